"""`sql` checks of a runbook in a whole installation, answered by a real PostgreSQL."""

import pytest

from tests.service.executors.sql_server import serve


@pytest.fixture
def server(new_postgres_database):
    yield from serve(new_postgres_database())


@pytest.fixture
def suture(installation, make_runbook, server, tmp_path):
    verify = '{query: "healthy", is: "== 1", within: 0s, hold: 0s}\n      - {sql: "orders/{{ queue }}", is: "> 0"}'

    def start(condition):
        path = make_runbook(precondition=f'{{sql: "orders/stuck", is: "{condition}"}}')
        text = path.read_text().replace('{query: "healthy", is: "== 1", within: 0s, hold: 0s}', verify)
        parameters = "parameters:\n  queue: {type: string, default: stuck}\nactions:"
        path.write_text(text.replace("actions:", parameters, 1))
        executors = {"ledger": {"file": str(tmp_path / "ledger")}, "sql": server.config()}
        one = installation(executors=executors).start()
        one.measure(1)
        return one

    return start


def test_a_precondition_and_a_verification_are_asked_of_the_database(suture):
    one = suture("== 5")
    incident = one.ended(one.alert(), "resolved", "escalated")
    assert (incident.status, one.ledger()) == ("resolved", ["shop"])
    [execution] = one.executions(incident.id)
    assert [(c.subject, c.values) for c in execution.verification.checks][1] == ("orders/stuck", (5.0, 5.0))
    [ranked] = one.parts.recommendations.latest(incident.id).candidates
    assert {part.feature: part.value for part in ranked.evidence}["precondition_holds"] == 1.0


def test_a_precondition_that_the_database_denies_stops_the_act(suture):
    one = suture("== 0")
    incident = one.ended(one.alert(), "escalated")
    assert one.ledger() == []
    [ranked] = one.parts.recommendations.latest(incident.id).candidates
    assert {part.feature: part.value for part in ranked.evidence}["precondition_fails"] == 1.0

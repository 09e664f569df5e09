"""Each fault shows in scraped telemetry, and a restart through supervisor cures it."""

from collections.abc import Callable, Mapping

import pytest

from evals.sandbox.faults import FAULTS, fault_of
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable


def scrape(sandbox: Sandbox) -> dict[str, float]:
    """All series of one round, with `up` of the shop, as the scraper adds it."""
    seen = sandbox.metrics("db-exporter") | sandbox.metrics("loadgen")
    try:
        return seen | sandbox.metrics("shop", timeout=0.5) | {"up": 1.0}
    except Unavailable:
        return seen | {"up": 0.0}


def answers(seen: Mapping[str, float], code: str) -> float:
    return seen[f'client_requests_total{{code="{code}"}}']


SYMPTOMS: dict[str, Callable[[Mapping[str, float], Mapping[str, float]], bool]] = {
    "kill_service": lambda before, now: now["up"] == 0 and answers(now, "502") > answers(before, "502") + 10,
    "hang_service": lambda before, now: now["up"] == 0 and answers(now, "error") > answers(before, "error"),
    "kill_database": lambda before, now: (
        now["up"] == 1
        and now["pg_up"] == 0
        and "pg_connections" not in now
        and answers(now, "503") > answers(before, "503") + 10
        and now["db_errors_total"] > before["db_errors_total"]
    ),
    "exhaust_connections": lambda before, now: (
        now["up"] == 1
        and now["pg_up"] == 0
        and now["pg_connections"] == now["pg_max_connections"]
        and answers(now, "503") > answers(before, "503") + 10
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_shows_in_telemetry_and_a_restart_cures_it(sandbox: Sandbox, name: str, eventually) -> None:
    assert eventually(sandbox.serving)
    fault = fault_of(name, sandbox)
    before = scrape(sandbox)
    fault.inject()
    try:
        assert eventually(lambda: SYMPTOMS[name](before, scrape(sandbox))), scrape(sandbox)
        assert not fault.repaired()
        assert sandbox.supervisor.process(fault.process).name == fault.process
        sandbox.supervisor.restart(fault.process)
        assert eventually(fault.repaired)
        # Customers are served again, and nobody is failed any more, without a restart of anything else.
        assert eventually(sandbox.serving)
        after = scrape(sandbox)
        assert eventually(lambda: answers(scrape(sandbox), "200") > answers(after, "200") + 10)
        assert scrape(sandbox)["pg_up"] == 1
    finally:
        fault.heal()


def test_a_fault_on_what_is_broken_already_is_refused(sandbox: Sandbox, eventually) -> None:
    fault = fault_of("kill_service", sandbox)
    fault.inject()
    try:
        assert eventually(lambda: sandbox.supervisor.process("shop").pid == 0)
        with pytest.raises(BadInput, match="broken already"):
            fault_of("hang_service", sandbox).inject()
    finally:
        fault.heal()
    assert fault.repaired() or eventually(fault.repaired)


def test_an_unknown_fault_is_answered_with_the_known_ones(sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match=r"no fault 'meteor'.*kill_database"):
        fault_of("meteor", sandbox)

"""Messages pass the guard too: what is forbidden is told once in the timeline, and remediation goes on."""

import pytest

from models.domain.incident import IncidentStatus

FORBID = '@id("quiet") forbid (principal, action == Action::"message/ticket-{kind}", resource) when {{ {when} }};'


@pytest.fixture
def ran(installation, make_settings, make_runbook):
    """Runs one incident to its end under an additional policy; gives the installation and the incident."""

    def run(policy):
        make_runbook()
        (make_settings().policies / "messages.cedar").write_text(policy)
        one = installation().start()
        one.measure(1.0)
        incident = one.alert()
        one.ended(incident, IncidentStatus.RESOLVED)
        assert one.ledger() == ["shop"]

        return one, incident

    return run


def test_a_forbidden_comment_is_told_of_once_and_the_rest_is_sent(ran):
    one, incident = ran(FORBID.format(kind="comment", when='resource.environment == "default"'))

    def closed():
        entries = [entry.text for entry in one.parts.incidents.get(incident).timeline if entry.kind == "ticket"]
        ticket = one.parts.incidents.ticket(incident)
        return entries if ticket and len(entries) >= 2 else None

    entries = one.until(closed, "the comments were not told of")
    assert set(entries) == {"not sent (ticket comment): policy quiet forbids it"}


def test_where_the_ticket_may_not_be_opened_the_rest_is_not_tried(ran):
    one, incident = ran(FORBID.format(kind="open", when="true"))
    one.until(lambda: one.parts.incidents.has_ticket_updates(incident) or None, "nothing was on its way")
    entries = one.until(
        lambda: [entry.text for entry in one.parts.incidents.get(incident).timeline if entry.kind == "ticket"] or None,
        "nothing was told",
    )
    assert entries == ["not sent (ticket open): policy quiet forbids it"]
    assert one.parts.incidents.ticket(incident) is None


def test_a_forbid_elsewhere_and_the_kill_switch_let_messages_pass(installation, make_settings):
    (make_settings().policies / "m.cedar").write_text(FORBID.format(kind="open", when='resource.environment == "prod"'))
    one = installation()
    one.parts.kill_switch.turn(True, "me")
    incident = one.parts.incidents.get(one.alert())
    assert one.parts.guard.message_refusal("ticket-open", incident) is None
    elsewhere = incident.model_copy(update={"environment": "prod"})
    assert one.parts.guard.message_refusal("ticket-open", elsewhere) == "policy quiet forbids it"
    assert one.parts.guard.message_refusal("ticket-comment", elsewhere) is None

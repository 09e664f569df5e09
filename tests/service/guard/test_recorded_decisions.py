"""Recorded decisions are found again, those that led to no execution included."""

from models.domain.incident import Request
from service.guard.replay import Recordings


def test_what_was_forbidden_in_an_earlier_episode_is_found_beside_what_was_forbidden_in_the_last(
    installation, make_runbook
):
    make_runbook()
    one = installation()
    parts = one.parts
    parts.intake.start_detecting()
    parts.corpus.sync()
    parts.remediation.launch()  # without the loops that would take the incident
    parts.kill_switch.turn(True, "ann")
    incident, deciding = one.alert(), parts.remediation.steps.deciding

    def decided(episode):
        plan = deciding.investigate(incident, episode)
        deciding.decide(incident, episode, plan["recommendation"], 0, 1, f"remediate-{incident}-{episode}")
        parts.remediation.steps.endings.hand_over(incident, episode, "forbidden")

    decided(1)
    make_runbook(target="elsewhere")
    parts.corpus.sync()
    parts.incidents.request(incident, Request(runbook="fix-shop", action="fix", by="ann"))
    decided(2)
    found = Recordings(parts.incidents, parts.executions, parts.recommendations).of(incident)
    assert [(each.execution, each.candidate.target) for each in found] == [
        ("EXE-1-1-1", "ledger:shop"), ("EXE-1-2-1", "ledger:elsewhere"),
    ]  # fmt: skip

"""What the report says of an incident, from its record alone."""

import json

from models.domain.execution import Health
from service.incident_report import IncidentReport, Record, markdown, report
from service.store.audit import AuditEntry


def test_times_count_from_the_first_signals_own_time(record, at):
    [episode] = report(record).episodes
    times = episode.times
    assert times.started_at == at(0)
    assert (times.detect.seconds, times.acknowledge.seconds, times.acknowledge.by) == (60, 65, "suture")
    assert (times.mitigate.seconds, times.resolve.seconds, times.resolve.by) == (625, 641, "suture")


def test_who_spoke_before_suture_looked_is_the_one_that_acknowledged(record, at):
    seized = record.incident.model_copy(
        update={
            "timeline": tuple(
                e.model_copy(update={"data": {"by": "ann"}, "at": at(63)}) if e.kind == "investigating" else e
                for e in record.incident.timeline
            )
        }
    )
    audited = AuditEntry(number=1, at=at(61), actor="eve", event="takeover", subject="INC-7", data={}, hash="0")
    made = report(Record(seized, record.recommendations, record.executions, record.approvals, [audited]))
    assert (made.episodes[0].times.acknowledge.seconds, made.episodes[0].times.acknowledge.by) == (61, "eve")


def test_what_was_not_reached_is_null(record):
    unhelped = Record(
        record.incident.model_copy(update={"timeline": record.incident.timeline[:4], "status": "awaiting_approval"}),
        record.recommendations, record.executions[:1],
    )  # fmt: skip
    [episode] = report(unhelped).episodes
    assert (episode.times.mitigate, episode.times.resolve, episode.ended_as) == (None, None, None)
    assert episode.helped is None


def test_each_candidate_with_what_was_measured_and_why_it_ended(record):
    first, second = report(record).episodes[0].attempts
    assert (first.state, first.ended_at_stage, first.place, first.has_rollback) == ("failed", "verification", 1, False)
    assert first.why == "not healthy after 24.0 s; the runbook has no rollback for it"
    assert [(m.subject, m.before.values, m.after.values) for m in second.measured] == [("up", (0.0,), (1.0,))]
    assert (second.health, second.verified_in_seconds) == (Health.HEALTHY, 14)
    assert [(word.by, word.waited_seconds) for word in second.words] == [("ann", 420)]


def test_learnings_follow_from_the_facts(record):
    told = "\n".join(report(record).episodes[0].learnings)
    assert "The alert `ShopDown` came 40.0 s after the first anomaly, of `latency_seconds`." in told
    assert "opened 1 min 0 s after the first signal's own time" in told
    assert "The first candidate, 'Restart the shop' (process/restart on process:shop), failed its verification" in told
    assert "has no rollback for 'Restart the shop'" in told
    assert "took 7 min 0 s of the 10 min 41 s until it was resolved" in told
    assert "What helped, 'Replace the shop' (process/replace on process:shop), was ranked 2" in told
    assert "no logs" in told


def test_the_timeline_tells_each_thing_once_in_order_and_by_whom(record, at):
    events = report(record).episodes[0].timeline
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {"seen", "status", "recommended", "decided", "done", "measured"} <= {event.kind for event in events}
    assert ("alertmanager", "seen") in {(event.by, event.kind) for event in events}
    assert [event.at for event in events if event.by == "ann"] == [at(150), at(620)]
    assert not [event for event in events if "told by the step" in event.text]
    assert len([event for event in events if "EXE-7-1-1" in event.text and event.kind == "done"]) == 1


def test_the_audit_tells_who_ended_a_step(record, at):
    cancelled = AuditEntry(
        number=1, at=at(180), actor="bob", event="execution.failed", subject="EXE-7-1-1", hash="0",
        data={"step": "verify", "detail": record.executions[0].steps[-1].detail},
    )  # fmt: skip
    made = report(Record(record.incident, record.recommendations, record.executions, {}, [cancelled]))
    assert [e.at for e in made.episodes[0].timeline if e.by == "bob"] == [at(180)]


def test_a_reopened_incident_is_told_by_episode(reopened, at):
    first, second = report(reopened).episodes
    assert (len(first.attempts), len(second.attempts)) == (2, 0)
    assert (second.times.started_at, second.times.detect.seconds) == (at(1000), 10)
    assert (second.ended_as, second.ended_by, second.times.resolve.seconds) == ("resolved", "bob", 300)
    assert second.times.mitigate is None
    assert second.handed_over == "no candidate was left to try"
    told = "\n".join(second.learnings)
    assert "It came back 5 min 59 s after it was resolved. What had helped, 'Replace the shop'" in told
    assert "bob ended it as resolved: the disk was emptied" in told
    assert second.timeline[0].kind == "seen"
    assert "EXE-7-1-1" not in str(second.timeline)


def test_a_handed_over_incident_that_suture_looks_at_again_is_another_episode(record, at):
    seen, investigating = record.incident.timeline[0], record.incident.timeline[1]
    incident = record.incident.model_copy(
        update={
            "timeline": (
                seen,
                investigating,
                investigating.model_copy(update={"kind": "escalated", "at": at(66)}),
                investigating.model_copy(update={"kind": "open", "at": at(90)}),
                investigating.model_copy(update={"at": at(91)}),
            )
        }
    )
    first, second = report(Record(incident, [], record.executions)).episodes
    assert (first.ended_as, second.ended_as, second.number) == ("escalated", None, 2)
    assert (len(first.attempts), len(second.attempts)) == (0, 2)


def test_json_and_markdown_hold_the_same(record):
    made = report(record)
    text = markdown(made)
    assert IncidentReport.model_validate_json(made.model_dump_json()) == made
    assert json.loads(made.model_dump_json())["episodes"][0]["times"]["resolve"]["seconds"] == 641
    for expected in (
        "# INC-7: shop is down # Owned", "- Resolved: 10 min 41 s after that, by suture", "0 before, 1 after; wanted",
        "- approved by ann after 7 min 0 s", "`Restart it first.`", "## Learnings",
    ):  # fmt: skip
        assert expected in text


def test_no_text_of_the_outside_becomes_markup(record):
    headings = [line for line in markdown(report(record)).splitlines() if line.startswith("# ")]
    assert headings == ["# INC-7: shop is down # Owned"]

"""The draft for the corpus: the same facts as the report's, in sections that retrieval cuts by heading."""

import pytest
import yaml

from models.domain.execution import ExecutionState
from service.incident_report import Record
from service.remediation.postmortem import document_of, draft


def section(text: str, name: str) -> str:
    return text.split(f"## {name}\n", 1)[1].split("\n## ", maxsplit=1)[0]


def test_it_begins_with_what_broke_and_what_helped(record):
    text = draft(record)
    assert document_of(record.incident) == "inc-7"
    lead = text.split("# shop is down # Owned\n", 1)[1].strip().splitlines()[0]
    assert lead == (
        'shop is down # Owned in prod, resolved by "Replace the shop" (process/replace on process:shop), '
        "measured healthy 14.0 s later."
    )


def test_it_tells_what_failed_how_long_it_took_and_what_follows(record):
    text = draft(record)
    assert "EXE-7-1-1: failed" in section(text, "What was done")
    assert "- Mitigated: 10 min 25 s after that" in section(text, "Times")
    assert "The first candidate, 'Restart the shop'" in section(text, "Learnings")
    assert "(ann): approved EXE-7-1-1" in section(text, "Timeline")
    assert "ShopDown" in section(text, "Symptoms")


def test_a_reopened_incident_gets_a_draft_of_its_own_which_tells_only_its_episode(reopened):
    text = draft(reopened)
    assert document_of(reopened.incident) == "inc-7-2"
    assert "id: inc-7-2" in text
    assert "EXE-7-1-1" not in text
    assert "verified healthy" not in section(text, "Timeline")
    lead = "shop is down # Owned in prod, resolved by bob: the disk was emptied; no action of Suture resolved it."
    assert lead in text


@pytest.mark.parametrize(
    ("state", "said"), [(ExecutionState.FAILED, "did not help"), (ExecutionState.UNCERTAIN, "ended uncertain")]
)
def test_what_was_tried_in_vain_is_in_the_first_sentence(reopened, state, said):
    tried = reopened.executions[0]
    later = tried.model_copy(
        update={
            "created_at": reopened.incident.timeline[-2].at,
            "id": "EXE-7-2-1",
            "state": state,
            "steps": tried.steps,
        }
    )
    text = draft(Record(reopened.incident, [], [*reopened.executions, later], {}))
    assert (
        f'resolved by bob: the disk was emptied; "Restart the shop" (process/restart on process:shop) {said}.' in text
    )


def test_it_says_what_moved_so_that_it_is_found_without_a_shared_word(record):
    def front(of: Record) -> dict:
        return yaml.safe_load(draft(of).split("---\n")[1])

    assert front(record)["moved"] == [{"metric": "latency_seconds", "direction": "up"}]
    incident = record.incident
    later = incident.signals[-1].model_copy(update={"metric": "shop_up", "anomaly": None, "text": "shop_up is down"})
    more = Record(incident.model_copy(update={"signals": (*incident.signals, later)}), [], [], {})
    assert front(more)["moved"][-1] == {"metric": "shop_up", "direction": "down"}

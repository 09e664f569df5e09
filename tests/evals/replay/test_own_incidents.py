"""`suture replay --data`: the incidents that an installation recorded, with what it knew then."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from models.detection.batch import Batch
from models.domain.execution import Decision, Execution, ExecutionState, Mode, Verdict
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal
from service.cli.main import app
from service.cli.state import repositories
from service.recommender import build_recommender
from service.settings import load_settings
from service.store.samples import SampleStore

LABELS = {"service": "shop", "process": "shop", "environment": "prod"}


@pytest.fixture
def installation(tmp_path, two_books):
    """An incident of an hour ago that an action ended now, and one of which nobody knows what helped."""
    settings = load_settings(state_dir=tmp_path / "own", runbooks=(two_books,))
    now = datetime.now(UTC).replace(microsecond=0)
    began = now - timedelta(hours=1)
    signals = tuple(
        Signal(kind="alert", name=name, at=began + after, status="resolved", labels=LABELS, text=text)
        for name, after, text in (
            ("DatabaseDown", timedelta(), "The database refuses connections"),
            ("QueueGrows", timedelta(minutes=5), "The queue of orders grows"),
        )
    )
    draft = Incident(
        id="INC-0", title="The database refuses connections", environment="prod", services=("shop",), labels=LABELS,
        signals=signals, started_at=began, detected_at=began, updated_at=now,
    )  # fmt: skip
    with repositories(settings) as state:
        with state.database.write() as connection:
            first = state.incidents.add(connection, draft)
            state.incidents.add(connection, draft.model_copy(update={"signals": signals[1:], "title": "The queue"}))
        made = build_recommender(settings).recommend(first)
        candidate = next(one.candidate for one in made.candidates if one.candidate.runbook == "database-down")
        decision = Decision(
            candidate_hash=candidate.hash, verdict=Verdict.NEEDS_APPROVAL, mode=Mode.APPROVE, reason="mode approve",
            approver_role="approver", approvals_needed=1, decided_at=began,
        )  # fmt: skip
        execution = Execution(
            id="EXE-1-1-1", incident=first.id, candidate=candidate, probability=0.8, decision=decision,
            created_at=began, state=ExecutionState.SUCCEEDED,
        )  # fmt: skip
        state.executions.add(execution, "workflow-1")
        state.incidents.transition(first.id, IncidentStatus.RESOLVED, "the database answers again")
    return settings.state_dir, began


def replay(folder, books, *arguments):
    done = CliRunner().invoke(app, ["replay", "--data", str(folder), "--runbooks", str(books), "--json", *arguments])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer, {one["incident"]: one for one in answer["rows"]}


def test_what_was_known_then_decides(installation, two_books):
    folder, _ = installation
    files = sorted(path.name for path in folder.iterdir())
    answer, by_id = replay(folder, two_books, "--mode", "auto", "--levels", "auto")
    assert sorted(path.name for path in folder.iterdir()) == sorted({*files, "postmortems"}), "nothing else is made"
    # Of the samples of that time nothing is kept: the precondition is not known, and nothing would be started.
    assert (by_id["INC-1"]["would_have"], by_id["INC-1"]["action"]) == ("held", "database-down/restart")
    assert by_id["INC-1"]["right"] is True
    assert by_id["INC-1"]["was"]["verdict"] == "needs_approval"
    assert by_id["INC-1"]["seconds_until_resolved"] >= 3600
    assert by_id["INC-2"]["right"] is None
    assert answer["supposed"]["levels"] == "auto"


def test_samples_that_are_still_kept_answer(installation, two_books):
    folder, began = installation
    store = SampleStore(
        f"sqlite:///{folder}/samples.db", retention=timedelta(hours=6), max_series=10, clock=lambda: datetime.now(UTC)
    )
    for after, value in ((-10, 0.0), (60, 1.0)):
        store.append(Batch(began.timestamp() + after, ({"__name__": "pg_up"},), np.array([value])))
    store.close()
    answer, by_id = replay(folder, two_books, "--mode", "auto", "--levels", "auto")
    assert by_id["INC-1"]["would_have"] == "acted"
    assert answer["time_saved"]["seconds"] >= 3600
    _, by_id = replay(folder, two_books, "--levels", "now")
    assert by_id["INC-1"]["would_have"] == "asked"

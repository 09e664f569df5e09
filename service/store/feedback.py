"""What people said of incidents that the detector opened: the tolerances of classes of series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from models.detection.feedback import SeriesClass, Verdict, class_of, tolerance_of
from models.domain.base import Clock, Frozen, Time
from models.domain.errors import Conflict, NotFound
from models.domain.incident import Incident
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.identifiers import number_of
from service.store.tables import detector_feedback

_PREFIX = "FBK-"
_LOCK = "detector-feedback"


class Feedback(Frozen):
    """One person's word on one incident. `id` is `FBK-<number>`, given by the store."""

    id: str
    incident: str
    verdict: Verdict
    note: str
    classes: tuple[SeriesClass, ...]
    """Those of the incident's anomalies, as it stood then."""
    by: str
    at: Time
    undone_at: Time | None = None
    undone_by: str | None = None


class ClassTolerance(Frozen):
    """What is in force for one class of series."""

    series: SeriesClass
    tolerance: float
    feedback: tuple[Feedback, ...]
    """What it is made of, newest first."""


class Feedbacks:
    """The repository of feedback."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(self, incident: Incident, verdict: Verdict, note: str, actor: str) -> Feedback:
        """Take a word; detectors follow it within seconds. One incident counts once.

        Raises Conflict where no signal of the incident is an anomaly, or where a word on it is in force.
        """
        labels = [signal.anomaly.labels for signal in incident.signals if signal.anomaly]
        classes = tuple(dict.fromkeys(class_of(each) for each in labels))
        if not classes:
            raise Conflict(
                f"no signal of {incident.id} is an anomaly of the detector; there is nothing for it to learn"
            )
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            for known in self._in_force(connection):
                if known.incident == incident.id:
                    raise Conflict(
                        f"{known.by} said of {incident.id} that it is {known.verdict}; undo {known.id} first"
                    )
            made = Feedback(
                id="", incident=incident.id, verdict=verdict, note=note, classes=classes, by=actor, at=self._clock()
            )
            inserted = connection.execute(
                insert(detector_feedback).values(incident=incident.id, in_force=True, document=_document(made))
            )
            made = made.model_copy(update={"id": f"{_PREFIX}{inserted.inserted_primary_key[0]}"})  # type: ignore[index]
            self._audit.append(connection, "feedback.given", made.id, _document(made), actor)
        return made

    def undo(self, identifier: str, actor: str) -> Feedback:
        """Take a word back, as if it had not been said. Raises NotFound, Conflict where it was taken back already."""
        number = _number(identifier)
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            query = select(detector_feedback.c.document).where(detector_feedback.c.number == number)
            document = connection.execute(query).scalar()
            if document is None:
                raise NotFound(f"there is no feedback {identifier}")
            known = _feedback(number, document)
            if known.undone_at is not None:
                raise Conflict(f"{identifier} was undone already, by {known.undone_by}")
            undone = known.model_copy(update={"undone_at": self._clock(), "undone_by": actor})
            connection.execute(
                update(detector_feedback)
                .where(detector_feedback.c.number == number)
                .values(in_force=False, document=_document(undone))
            )
            self._audit.append(connection, "feedback.undone", undone.id, _document(undone), actor)
        return undone

    def all(self, limit: int = 200) -> list[Feedback]:
        """The newest ones, undone ones included, newest first."""
        query = select(detector_feedback).order_by(detector_feedback.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [_feedback(row.number, row.document) for row in connection.execute(query)]

    def tolerances(self) -> list[ClassTolerance]:
        """What is in force for each class of which anything was said."""
        said: dict[SeriesClass, list[Feedback]] = defaultdict(list)
        with self._database.read() as connection:
            for each in self._in_force(connection):
                for series in each.classes:
                    said[series].append(each)
        return [_tolerance(series, words) for series, words in said.items()]

    def _in_force(self, connection: Connection) -> list[Feedback]:
        table = detector_feedback.c
        query = select(table.number, table.document).where(table.in_force).order_by(table.number.desc())
        return [_feedback(number, document) for number, document in connection.execute(query)]


def _tolerance(series: SeriesClass, words: Sequence[Feedback]) -> ClassTolerance:
    tolerance = tolerance_of(each.verdict for each in words)
    return ClassTolerance(series=series, tolerance=tolerance, feedback=tuple(words))


def _number(identifier: str) -> int:
    return number_of(identifier, _PREFIX, "feedback", "it is named")


def _document(feedback: Feedback) -> dict[str, Any]:
    return feedback.model_dump(mode="json", exclude={"id"})


def _feedback(number: int, document: dict[str, Any]) -> Feedback:
    return Feedback.model_validate({**document, "id": f"{_PREFIX}{number}"})

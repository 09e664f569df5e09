"""What is recorded: every fault of the sandbox, and alerts about nothing that a runbook mends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.incidents.format import Gold
from evals.sandbox.config import CAUSES
from evals.sandbox.fault import Fault
from evals.sandbox.faults import FAULTS
from evals.sandbox.scenarios import SAME_SYMPTOM
from models.domain.errors import BadInput

FALSE_ALARM, FOREIGN_ALERT = "false_alarm", "foreign_alert"


@dataclass(frozen=True)
class Subject:
    """One kind of incident, and the truth about it."""

    name: str
    fault: type[Fault] | None = None
    """None: nothing is broken, and an alert says that something is."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """In place of the sandbox's settings."""
    runbooks: tuple[Path, ...] = ()
    """Folders of runbooks beside the library and the sandbox's own."""

    @property
    def gold(self) -> Gold | None:
        """What the fault itself declares as its remedy; None where nothing of the catalogue mends it."""
        if self.fault is None or self.fault.remedy is None:
            return None
        remedy = self.fault.remedy
        return Gold(runbook=remedy.runbook, action=remedy.action, remediation=remedy.words, culprit=self.fault.service)


_ALONE = {one.name: one.settings for one in SAME_SYMPTOM}
SUBJECTS: dict[str, Subject] = {
    **{
        name: Subject(name, fault, _ALONE.get(name, {}), (CAUSES,) if name in _ALONE else ())
        for name, fault in FAULTS.items()
    },
    FALSE_ALARM: Subject(FALSE_ALARM),
    FOREIGN_ALERT: Subject(FOREIGN_ALERT),
}


def subjects_of(names: Sequence[str]) -> tuple[Subject, ...]:
    """Subjects by their names, all where none is named. Raises BadInput with the known names."""
    if unknown := [name for name in names if name not in SUBJECTS]:
        raise BadInput(f"there is no {unknown[0]!r} to record: choose one of {', '.join(SUBJECTS)}", where="--fault")
    return tuple(SUBJECTS[name] for name in dict.fromkeys(names)) or tuple(SUBJECTS.values())

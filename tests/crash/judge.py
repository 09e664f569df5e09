"""The verdict: what the target wrote down, beside what the installation says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.domain.base import utc_now
from models.domain.execution import Execution, ExecutionState
from models.domain.incident import Incident
from service.itsm.embedded import EmbeddedTicketing
from tests.crash.site import Case, Site

_IDEMPOTENT = ("idempotent", "both")
_WAITS = ("PENDING", "ENQUEUED", "DELAYED")
_ACTED = {ExecutionState.SUCCEEDED, ExecutionState.ROLLED_BACK}
_UNTOUCHED = {ExecutionState.PENDING, ExecutionState.CANCELLED}


@dataclass
class Counts:
    """What became of the cases of one kind. Only `again` and `uncertain` may be above zero."""

    kills: int = 0
    cases: int = 0
    lost: int = 0
    repeated: int = 0
    uncertain: int = 0
    """Executions of which nobody can tell whether they acted."""
    unjustified: int = 0
    """Of those the ones that need not be: the target could be asked, or no kill came in mid-act."""
    again: int = 0
    """Effects that came about again where the verb says that this does no harm."""
    wrong: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = vars(self), vars(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


@dataclass
class Verdict:
    """Counts by kind, and each fault in words."""

    kinds: dict[str, Counts] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def of(self, kind: str) -> Counts:
        """The counts of a kind."""
        return self.kinds.setdefault(kind, Counts())

    def fault(self, kind: str, what: str, words: str, number: int = 1) -> None:
        """Count a fault, and keep its words."""
        counts = self.of(kind)
        setattr(counts, what, getattr(counts, what) + number)
        self.faults.append(f"{what}: {words}")

    def add(self, other: Verdict) -> None:
        """Take another one in."""
        for kind, counts in other.kinds.items():
            self.kinds[kind] = self.of(kind) + counts
        self.faults += other.faults


def idle(site: Site) -> bool:
    """Whether nothing is left to do: no case goes on, and no ticket waits for its update."""
    accepted = [case for case in site.cases.values() if case.accepted]
    return all(site.ended(case) for case in accepted) and not site.incidents.tickets_owed() and not _waiting(site)


def judge(site: Site, tellings: dict[tuple[str, tuple[str, ...]], list[str]]) -> Verdict:
    """The verdict on a site that is idle. `tellings`: the ticket's comments of each kind and ending without a kill."""
    verdict, effects = Verdict(), _effects(site)
    tickets = EmbeddedTicketing(site.database.engine, utc_now)
    known: set[str] = set()
    for case in site.cases.values():
        verdict.of(case.kind.name).cases += 1
        incident, executions = site.incident(case), site.of(case)
        known |= {execution.id for execution in executions}
        if not case.accepted:
            continue
        if incident is None:
            verdict.fault(case.kind.name, "lost", f"{case.name}: its signal was acknowledged and is not there")
            continue
        _judge_end(verdict, site, case, incident, executions)
        for execution in executions:
            _judge_effects(verdict, case, execution, effects)
        told = tellings.get((case.kind.name, _ends(executions)))
        if told is not None and (heard := telling(tickets, case)) != told:
            verdict.fault(case.kind.name, "wrong", f"{case.name}: its ticket tells {heard}, not {told}")
    for key in effects:
        if key.split(":")[0] not in known:
            verdict.fault("observable", "lost", f"an effect of {key}, which no execution knows")
    for words in site.audit.verify().breaks:
        verdict.fault("observable", "wrong", f"audit: {words}")
    return verdict


def telling(tickets: EmbeddedTicketing, case: Case) -> list[str]:
    """What a case's tickets say, in order, without what differs from one case to the next."""
    said = []
    for ticket in tickets.list_tickets(incident=case.incident):
        whole = tickets.get_ticket(ticket.reference)
        said.append(f"opened, now {whole.status}")
        said += [f"{entry.kind}: {_heading(entry.text, case)}" for entry in whole.comments]
    return said


def _judge_end(verdict: Verdict, site: Site, case: Case, incident: Incident, executions: Sequence[Execution]) -> None:
    states, kind = _ends(executions), case.kind
    if kind.ends.get(states) == incident.status:
        return
    cut = "uncertain" in states and "uncertain" not in {state for ends in kind.ends for state in ends}
    if not cut:  # an uncertain one that need not be is counted as that
        words = f"{case.name}: {incident.id} is {incident.status} with {states}, not {kind.ends}"
        verdict.fault(kind.name, "lost", f"{words}; {[entry.text for entry in incident.timeline][-3:]}")


def _judge_effects(verdict: Verdict, case: Case, execution: Execution, effects: dict[str, list[Any]]) -> None:
    kind, state = case.kind, execution.state
    acts, undone = (len(effects.get(f"{execution.id}:{name}", [])) for name in ("act", "rollback"))
    verb = execution.candidate.uses.removeprefix("target/")
    for number in (acts, undone):
        if number > 1 and verb in _IDEMPOTENT:
            verdict.of(kind.name).again += number - 1
        elif number > 1:
            words = f"{case.name}: {execution.id} ({state}) took effect {number} times"
            verdict.fault(kind.name, "repeated", words, number - 1)
    if any(one["overlaps"] for key in effects if key.startswith(execution.id) for one in effects[key]):
        verdict.fault(kind.name, "wrong", f"{case.name}: its target had two acts at once")
    if state is ExecutionState.UNCERTAIN:
        verdict.of(kind.name).uncertain += 1
        if kind.name != "doubt" and not (case.cut and kind.name == "neither"):
            verdict.fault(kind.name, "unjustified", f"{case.name}: {execution.id} is uncertain: {_last(execution)}")
    faults = {
        f"{state} without an effect": state in _ACTED and acts == 0,
        "rolled back, and the target knows nothing of it": state is ExecutionState.ROLLED_BACK and undone == 0,
        f"{state}, and took effect": state in _UNTOUCHED and acts + undone > 0,
        "refused, and took effect": verb == "refuse" and acts > 0,
    }
    for words, holds in faults.items():
        if holds:
            verdict.fault(kind.name, "wrong", f"{case.name}: {execution.id} is {words}")


def _effects(site: Site) -> dict[str, list[Any]]:
    """By the key of the call, what the target itself wrote down."""
    found: dict[str, list[Any]] = {}
    for line in (site.folder / "effects").read_text().splitlines():
        entry = json.loads(line)
        found.setdefault(entry["key"], []).append(entry)
    return found


def _ends(executions: Sequence[Execution]) -> tuple[str, ...]:
    return tuple(str(execution.state) for execution in executions)


def _last(execution: Execution) -> str:
    return execution.steps[-1].detail if execution.steps else "no step"


def _heading(text: str, case: Case) -> str:
    line = next(iter(text.strip().splitlines()), "")
    for name in (case.kind.name, *case.kind.verbs):
        line = line.replace(name, "it")
    # Not what was measured, nor why a person is asked: a kill may change that.
    line = re.split(r"\(| after |(?<=\S)\*\*", line)[0]
    return re.sub(r"\d+", "#", line)


def _waiting(site: Site) -> bool:
    """Whether DBOS has something left to do."""
    return bool(site.client.list_workflows(status=list(_WAITS), load_input=False, load_output=False))

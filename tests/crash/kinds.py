"""What is driven while workers are killed: one kind of incident for each class of executor and each way to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RUNBOOK = """---
id: {name}
title: Runbook of {name}
services: ["*"]
triggers: ['signal.kind == "alert" && signal.name == "{name}"']
parameters:
  thing: {{type: string, from: incident.labels.on, pattern: "^[a-z0-9-]{{1,60}}$"}}
{diagnose}actions:
{actions}
---
# Runbook of {name}
## Symptoms
The alert {name} fires and requests fail.
## Mitigation
{mitigation}.
"""

ACTION = """  - id: {place}-{verb}
    title: Let the target {verb}
    uses: target/{verb}
    with: {{name: "{{{{ thing }}}}"}}
    risk: low
    reversible: {reversible}
    approval: {approval}
    timeout: 1s
    verify: [{{query: 'healthy{{service="{{{{ thing }}}}"}}', is: "== 1", within: 0s, hold: 0s}}]
    {rollback}
"""

# The first action is to be tried first, whatever earlier cases taught.
DIAGNOSE = """diagnose:
  - {{query: 'healthy{{service="{{{{ thing }}}}"}}', is: "== 0", supports: 1-{first}, refutes: 2-{second}}}
"""

Word = Literal["approve", "reject", "cancel"]


@dataclass(frozen=True)
class Kind:
    """`ends`: the states in which its executions may end, oldest first, with the incident's status then."""

    name: str
    verbs: tuple[str, ...]
    ends: dict[tuple[str, ...], str]
    says: str
    """What it is, for the table."""
    approval: str = "policy"
    rollback: str | None = None
    word: Word | None = None
    """What a person says of its execution."""
    shared: bool = False
    """Its cases act on one target, which is then busy."""
    tells_as: dict[tuple[str, ...], str] = field(default_factory=dict)
    """An ending that only a kill brings about: the kind whose ticket tells of the same one."""

    @property
    def runbook(self) -> str:
        """Its runbook."""
        rollback = (
            f'rollback: {{uses: target/{self.rollback}, with: {{name: "{{{{ thing }}}}"}}}}' if self.rollback else ""
        )
        actions = "".join(
            ACTION.format(
                place=place,
                verb=verb,
                approval=self.approval,
                rollback=rollback,
                reversible=str(bool(rollback)).lower(),
            )
            for place, verb in enumerate(self.verbs, 1)
        )
        diagnose = DIAGNOSE.format(first=self.verbs[0], second=self.verbs[1]) if len(self.verbs) > 1 else ""
        return RUNBOOK.format(
            name=self.name, diagnose=diagnose, actions=actions.rstrip(), mitigation=", then ".join(self.verbs)
        )


_RESOLVED = {("succeeded",): "resolved"}
_CANCELLED = {("cancelled",): "escalated"}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("idempotent", ("idempotent",), _RESOLVED, "may be done twice"),
        Kind("observable", ("observable",), _RESOLVED, "can be asked"),
        Kind("both", ("both",), _RESOLVED, "may be done twice, can be asked"),
        Kind(
            "neither", ("neither",), _RESOLVED | {("uncertain",): "escalated"}, "neither of them",
            tells_as={("uncertain",): "doubt"},
        ),
        Kind("slow", ("slow",), _RESOLVED, "can be asked; acts on after the caller died"),
        Kind("breaks", ("breaks",), _RESOLVED, "acts and does not answer; can be asked"),
        Kind("doubt", ("doubt",), {("uncertain",): "escalated"}, "acts and does not answer; cannot be asked"),
        Kind("refuse", ("refuse",), {("failed",): "escalated"}, "refuses"),
        Kind("next", ("refuse", "observable"), {("failed", "succeeded"): "resolved"}, "refuses; the next one acts"),
        Kind("rollback", ("useless",), {("rolled_back",): "escalated"}, "does not help; rolled back", rollback="undo"),
        Kind("approved", ("observable",), _RESOLVED, "a person says yes", approval="always", word="approve"),
        Kind("rejected", ("observable",), _CANCELLED, "a person says no", approval="always", word="reject"),
        Kind("cancelled", ("observable",), _CANCELLED, "a person cancels", approval="always", word="cancel"),
        Kind("forbidden", ("observable",), {(): "escalated"}, "the policy forbids it"),
        Kind("busy", ("slow",), _RESOLVED, "several on one target", shared=True),
    )
}  # fmt: skip

POLICIES = """
@id("crash-autopilot") permit (principal == Autopilot::"suture", action, resource);
@id("crash-people") permit (principal in Role::"approver", action, resource);
@id("crash-forbidden") forbid (principal, action, resource) when { context.runbook == "forbidden" };
"""

"""Runbooks as data: the typed form of the front matter, and the documents and passages of the corpus."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.domain.base import Duration, Frozen, Severity

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]
Uses = Annotated[str, Field(pattern=r"^[a-z0-9_]+/[a-z0-9-]+$")]
Risk = Literal["low", "medium", "high"]
ApprovalRule = Literal["policy", "always", "two-person"]
DocumentKind = Literal["runbook", "postmortem"]


class Parameter(Frozen):
    """A value that is resolved before ranking. Where it comes from: `from`, else `default`."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    source: str | None = Field(default=None, alias="from")
    """A CEL expression over `incident`."""
    default: str | int | float | bool | None = None
    pattern: str | None = None
    enum: tuple[str | int | float, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""


class Check(Frozen):
    """A measured condition: exactly one of `query` (PromQL), `sql` (a configured statement) or `http` (a URL).

    `is` compares the answer: an operator and a number (`== 1`, `> 0.95`). It holds when every returned value
    satisfies it and at least one was returned. `within` is how long it may take to become true, `hold` how
    long it must then stay true.
    """

    query: str | None = None
    sql: str | None = None
    http: str | None = None
    condition: str = Field(alias="is", pattern=r"^\s*(==|!=|<=|>=|<|>)\s*-?\d+(\.\d+)?([eE][-+]?\d+)?\s*$")
    within: Duration = timedelta(0)
    hold: Duration = timedelta(0)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if sum(part is not None for part in (self.query, self.sql, self.http)) != 1:
            raise ValueError("a check has exactly one of query, sql and http")
        return self

    @property
    def subject(self) -> str:
        """What is asked, whichever kind it is."""
        return self.query or self.sql or self.http or ""


class Diagnosis(Check):
    """A read-only check that speaks for one action, against another, or both."""

    supports: Identifier | None = None
    refutes: Identifier | None = None


class Step(Frozen):
    """A call of an executor's verb with its arguments."""

    uses: Uses
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")


class Action(Step):
    """An entry of a runbook's catalogue."""

    id: Identifier
    title: str = Field(min_length=1)
    risk: Risk = "medium"
    reversible: bool = False
    approval: ApprovalRule = "policy"
    timeout: Duration = timedelta(seconds=60)
    preconditions: tuple[Check, ...] = ()
    verify: tuple[Check, ...] = Field(min_length=1)
    """At least one: an action whose effect cannot be measured cannot be offered."""
    rollback: Step | None = None


class Runbook(Frozen):
    """A document with front matter, or a plain one (no triggers, no actions)."""

    id: Identifier
    title: str = Field(min_length=1)
    services: tuple[str, ...] = ("*",)
    severity: Severity = Severity.WARNING
    triggers: tuple[str, ...] = ()
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], Parameter] = Field(default_factory=dict)
    diagnose: tuple[Diagnosis, ...] = ()
    actions: tuple[Action, ...] = ()

    @model_validator(mode="after")
    def _references(self) -> Self:
        known = [action.id for action in self.actions]
        if len(set(known)) != len(known):
            raise ValueError("two actions have the same id")
        for check in self.diagnose:
            for name in (check.supports, check.refutes):
                if name is not None and name not in known:
                    raise ValueError(f"a diagnose check names the action {name!r}, which the runbook does not have")
        return self


class Document(Frozen):
    """A file of the corpus, as read. Spans of passages and citations count characters of `text`."""

    id: str
    """The runbook's id; for a file without front matter, its stem."""
    kind: DocumentKind
    title: str
    text: str
    """The whole file, front matter included, decoded as UTF-8."""
    body_start: int = 0
    """Where the text after the front matter begins, in characters."""
    path: str
    runbook: Runbook | None = None
    """The catalogue, where the front matter has one."""
    metadata: dict[str, Any] = Field(default_factory=dict)


class Passage(Frozen):
    """A chunk of a document: `document.text[start:end] == text`, always."""

    document: str
    kind: DocumentKind
    title: str
    """The document's title."""
    headings: tuple[str, ...] = ()
    start: int
    end: int
    text: str


class ScoredPassage(Frozen):
    """A passage that retrieval found. `score` is the fused one; the parts are kept as evidence."""

    passage: Passage
    score: float
    dense: float
    """Cosine similarity, in [-1, 1]."""
    lexical: float
    """BM25 score, 0 or more."""

"""The file of standing checks: what is measured how often, and when it violates the rule."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from models.domain.base import Duration, Frozen, Labels, Severity
from models.domain.errors import BadInput
from runbooks.expressions import BadExpression, check
from service.yaml_input import read_yaml

SAMPLE_FIELDS = frozenset({"value", "labels", "metric"})
"""What `when` may read of a row."""
SHORTEST = timedelta(seconds=10)
"""Between two measurements."""

_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_Address = Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$")]
_FACT = r"^[a-z][a-z0-9_]{0,62}$"


class FactSource(Frozen):
    """Where one fact comes from: exactly one of the first eight."""

    query: _Text | None = None
    sql: _Text | None = None
    http: _Text | None = None
    certificate: _Address | None = None
    """What a server shows: `host:port`, TLS from the first byte."""
    certificate_file: Path | None = None
    file: Path | None = None
    topology: Literal["services"] | None = None
    value: Any = None
    """As it stands here: what is declared."""
    label: str | None = Field(default=None, min_length=1)
    """Of a query's or statement's rows: the label whose values become `names`."""
    empty: Literal["unknown", "ok"] = "unknown"
    """What it means where a query or statement has no row: `ok` is a count of 0."""
    server_name: str | None = Field(default=None, min_length=1)
    """Asked for in place of the host, and what the certificate must be for."""
    ca: Path | None = None
    """What verifies the shown certificate, in place of the usual authorities."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = ("query", "sql", "http", "certificate", "certificate_file", "file", "topology", "value")
        given = [kind for kind in kinds if kind in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(kinds)}" + (f", not {' and '.join(given)}" if given else ""))
        if {"label", "empty"} & self.model_fields_set and given[0] not in ("query", "sql"):
            raise ValueError("label and empty belong to query or sql")
        if given[0] != "certificate" and (self.server_name or self.ca):
            raise ValueError("server_name and ca belong to certificate")
        return self


class StandingCheck(Frozen):
    """One rule. `when` is true where it is violated.

    Either `query` or `sql`, and `when` is asked of each row as `sample`; or `facts`, and it is asked once.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str = Field(default="", max_length=200)
    every: Duration = timedelta(minutes=5)
    service: str | None = Field(default=None, min_length=1, max_length=200)
    """Else the label `service` of the row."""
    labels: Labels = Field(default_factory=dict)
    severity: Severity = Severity.WARNING
    text: str = Field(default="", max_length=4000)
    query: _Text | None = None
    sql: _Text | None = None
    empty: Literal["unknown", "ok"] = "unknown"
    """What it means where there is no row. A query that filters (`x > 1`) has none when all is well: `ok`."""
    facts: dict[Annotated[str, Field(pattern=_FACT)], FactSource] = Field(default_factory=dict, max_length=20)
    when: _Text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in ("query", "sql", "facts") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("needs query, sql or facts, one of them")
        if "empty" in self.model_fields_set and self.facts:
            raise ValueError("empty belongs to query or sql")
        if self.every < SHORTEST:
            raise ValueError("every must be 10s or more")
        return self

    @property
    def name(self) -> str:
        """For people: the title, else the id."""
        return self.title or self.id

    @property
    def root(self) -> str:
        """The variable that `when` reads."""
        return "facts" if self.facts else "sample"


class StandingChecks(Frozen):
    """The file."""

    checks: tuple[StandingCheck, ...] = Field(default=(), max_length=1000)


def load_checks(path: Path) -> StandingChecks:
    """The checks of the YAML file. Raises BadInput with file, line and what mends it."""
    file = read_yaml(path)
    try:
        found = StandingChecks.model_validate(file.values)
    except ValidationError as error:
        raise file.bad_input(error) from error
    problems, seen = [], set()
    for place, one in enumerate(found.checks):
        if one.id in seen:
            problems.append(f"{file.where(('checks', place, 'id'))}: checks[{place}].id: {one.id} is given twice")
        seen.add(one.id)
        try:
            check(one.when, one.root, frozenset(one.facts) or SAMPLE_FIELDS)
            for query in _queries(one):
                _parsed(query)
        except (BadExpression, BadInput) as error:
            key = "when" if isinstance(error, BadExpression) else "facts" if one.facts else "query"
            problems.append(f"{file.where(('checks', place, key))}: checks[{place}].{key}: {error}")
    if problems:
        raise BadInput("; ".join(problems))
    return found


def _queries(one: StandingCheck) -> list[str]:
    return [query for query in (one.query, *(fact.query for fact in one.facts.values())) if query is not None]


def _parsed(query: str) -> None:
    """Raises BadInput for what is no PromQL. Whether the source supports it is the source's to say."""
    import promql_parser

    try:
        promql_parser.parse(query)
    except ValueError as error:
        raise BadInput(f"{query!r} is not PromQL: {' '.join(str(error).split())}") from error

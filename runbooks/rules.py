"""The linter's rules: one small function each, a runbook that fits the format in, remarks with their place out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import ValidationError

from models.domain.runbook import Action, Check, Parameter, Runbook, Step
from runbooks.binding import VerbInputs, names_in, render_check
from runbooks.expressions import BadExpression
from runbooks.frontmatter import Path
from runbooks.parameters import Unresolved, accept, check_source
from runbooks.patterns import BadPattern, compiled
from runbooks.queries import oversized
from runbooks.templates import BadTemplate, Scalar, names_of, render_value
from runbooks.triggers import check_trigger

Level = Literal["error", "warning"]
_LONGEST = timedelta(hours=1)
"""A longer timeout or wait is more likely a slip of the unit than meant."""

# Tried in turn for a text parameter with a pattern, so that its templates can be rendered without an incident.
_SAMPLES = ("sample", "a", "1", "10", "30s", "5m", "a-1", "app-1.example.com", "/a", "sample_1", "v1.0.0", "A1")


@dataclass(frozen=True)
class Remark:
    """A finding before its line is known. `key`: it is about the key at `path`, not about its value."""

    path: Path
    level: Level
    message: str
    mend: str
    key: bool = False


@dataclass(frozen=True)
class _Subject:
    """What the rules look at: the runbook, the verbs, sample values, and the parameters for which there is none."""

    runbook: Runbook
    catalogue: Mapping[str, VerbInputs]
    values: Mapping[str, Scalar]
    unsure: frozenset[str]


def remarks(runbook: Runbook, catalogue: Mapping[str, VerbInputs]) -> Iterator[Remark]:
    """Everything worth saying about a runbook that fits the format."""
    samples = {name: sample(parameter) for name, parameter in runbook.parameters.items()}
    unsure = frozenset(name for name, value in samples.items() if value is None)
    values = {name: "sample" if value is None else value for name, value in samples.items()}
    subject = _Subject(runbook, catalogue, values, unsure)
    yield from _triggers(runbook)
    yield from _parameters(runbook)
    for index, check in enumerate(runbook.diagnose):
        yield from _check(subject, check, ("diagnose", index))
    for index, action in enumerate(runbook.actions):
        yield from _action(subject, action, ("actions", index))


def _triggers(runbook: Runbook) -> Iterator[Remark]:
    if runbook.actions and not runbook.triggers:
        yield Remark(("id",), "warning", "no trigger speaks for it", "add `triggers` with the signals that it answers")
    for index, trigger in enumerate(runbook.triggers):
        try:
            check_trigger(trigger)
        except BadExpression as error:
            mend = 'write CEL over `signal`, for example signal.kind == "alert" && signal.name == "Down"'
            yield Remark(("triggers", index), "error", str(error), mend)


def _parameters(runbook: Runbook) -> Iterator[Remark]:
    used = names_in([check.subject for check in runbook.diagnose])
    for action in runbook.actions:
        used |= _names(action)
    for name, parameter in runbook.parameters.items():
        at: Path = ("parameters", name)
        if name not in used:
            yield Remark(at, "warning", f"the parameter {name!r} is not used", "remove it", key=True)
        if parameter.source is None and parameter.default is None:
            message = f"the parameter {name!r} has neither `from` nor `default`"
            yield Remark(at, "error", message, "say where its value comes from, or no action that uses it is offered")
        if parameter.source is not None:
            try:
                check_source(parameter.source)
            except BadExpression as error:
                yield Remark((*at, "from"), "error", str(error), "write CEL, for example incident.labels.process")
        yield from _parameter_values(parameter, name, at)


def _parameter_values(parameter: Parameter, name: str, at: Path) -> Iterator[Remark]:
    if parameter.pattern is not None:
        try:
            compiled(parameter.pattern)
        except BadPattern as error:
            message = f"the pattern is not a regular expression: {error}"
            yield Remark((*at, "pattern"), "error", message, "mend it; it must match the whole value")
            return
    if parameter.type not in ("integer", "number") and (parameter.minimum, parameter.maximum) != (None, None):
        yield Remark(at, "error", f"bounds on a {parameter.type}", "bounds are for integer and number", key=True)
    if parameter.default is not None:
        try:
            accept(parameter, parameter.default)
        except Unresolved as error:
            message = f"the default of {name!r} is refused: {error}"
            yield Remark((*at, "default"), "error", message, "give a default that fits, or widen what is allowed")


def _action(subject: _Subject, action: Action, at: Path) -> Iterator[Remark]:
    yield from _step(subject, action, at)
    yield from _waits(action, at)
    yield from _undo(subject, action, at)
    for part in ("preconditions", "verify"):
        checks: Sequence[Check] = getattr(action, part)
        for index, check in enumerate(checks):
            yield from _check(subject, check, (*at, part, index))
    before = {(check.subject, check.condition.replace(" ", "")) for check in action.preconditions}
    for index, check in enumerate(action.verify):
        if (check.subject, check.condition.replace(" ", "")) in before:
            message = "this check is also a precondition: it would be healthy without the action having helped"
            yield Remark((*at, "verify", index), "error", message, "verify what the action changes")
        if not check.within:
            message = "without `within` it is measured once, at the instant the action ends"
            yield Remark((*at, "verify", index), "warning", message, "give it time, for example within: 60s")
    if not action.preconditions:
        message = f"nothing is checked before {action.id!r} acts"
        yield Remark((*at, "id"), "warning", message, "add a precondition that is true only when it is needed")


def _undo(subject: _Subject, action: Action, at: Path) -> Iterator[Remark]:
    if action.rollback is not None:
        yield from _step(subject, action.rollback, (*at, "rollback"))
        if not action.reversible:
            message = "it has a rollback, and says that it is not reversible"
            yield Remark(
                (*at, "rollback"), "warning", message, "set reversible: true, or remove the rollback", key=True
            )
    elif action.reversible:
        message = f"{action.id!r} says that it is reversible, and has no rollback"
        yield Remark((*at, "reversible"), "error", message, "add the rollback, or set reversible: false", key=True)


def _waits(action: Action, at: Path) -> Iterator[Remark]:
    if not action.timeout:
        yield Remark((*at, "timeout"), "error", "the timeout is 0", "give it the longest time it may take, such as 60s")
    longest = [(("timeout",), action.timeout)]
    longest += [(("verify", index, "within"), check.within) for index, check in enumerate(action.verify)]  # type: ignore[misc]
    longest += [(("verify", index, "hold"), check.hold) for index, check in enumerate(action.verify)]  # type: ignore[misc]
    for path, duration in longest:
        if duration > _LONGEST:
            message = f"{path[-1]} is longer than an hour"
            yield Remark((*at, *path), "warning", message, "check the unit; an incident waits for it")


def _step(subject: _Subject, step: Step, at: Path) -> Iterator[Remark]:
    verb = subject.catalogue.get(step.uses)
    if verb is None:
        near = difflib.get_close_matches(step.uses, subject.catalogue, n=1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(subject.catalogue))}"
        yield Remark((*at, "uses"), "error", f"there is no {step.uses}", known)
    broken = list(_templates(subject, step.arguments, (*at, "with")))
    yield from broken
    if verb is None or broken:
        return
    try:
        verb.inputs.model_validate(render_value(step.arguments, subject.values))
    except BadTemplate as error:
        if not names_in(step.arguments) & subject.unsure:
            yield Remark((*at, "with"), "error", str(error), "mend the template", key=True)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            path: Path = (*at, "with", *item["loc"])
            if not names_in(_at(step.arguments, item["loc"])) & subject.unsure:
                message = f"{step.uses} takes no such argument: {'.'.join(map(str, item['loc']))}: {item['msg']}"
                fields = ", ".join(verb.inputs.model_fields)
                yield Remark(path, "error", message, f"its inputs are {fields}", key=item["type"] == "extra_forbidden")
    if step.uses.startswith(("script/", "http/")):
        yield from _loose(subject.runbook, step, at)


def _loose(runbook: Runbook, step: Step, at: Path) -> Iterator[Remark]:
    for name in sorted(names_in(step.arguments)):
        parameter = runbook.parameters.get(name)
        if parameter and parameter.type == "string" and parameter.pattern is None and parameter.enum is None:
            message = f"the parameter {name!r} goes into the arguments of {step.uses} and may be any text"
            yield Remark((*at, "with"), "error", message, "give it a pattern or an enum", key=True)


def _check(subject: _Subject, check: Check, at: Path) -> Iterator[Remark]:
    part = "query" if check.query is not None else "sql" if check.sql is not None else "http"
    broken = list(_templates(subject, check.subject, (*at, part)))
    yield from broken
    if broken:
        return
    try:
        rendered = render_check(check, subject.values)
    except BadTemplate as error:
        if not names_in(check.subject) & subject.unsure:
            yield Remark((*at, part), "error", str(error), "put text values within quotes")
        return
    if rendered.query is not None and (problem := _promql_problem(rendered.query)):
        yield Remark((*at, part), "error", f"not PromQL: {problem}", f"as rendered: {rendered.query}")


def _templates(subject: _Subject, value: Any, at: Path) -> Iterator[Remark]:
    """Templates that cannot be used, and names in them that are no parameter."""
    if isinstance(value, str):
        try:
            unknown = sorted(names_of(value) - subject.runbook.parameters.keys())
        except BadTemplate as error:
            yield Remark(at, "error", str(error), "templates hold parameters and simple expressions only")
            return
        for name in unknown:
            near = difflib.get_close_matches(name, subject.runbook.parameters, n=1)
            mend = f"did you mean {near[0]!r}?" if near else "add it to `parameters`"
            yield Remark(at, "error", f"there is no parameter {name!r}", mend)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _templates(subject, item, (*at, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _templates(subject, item, (*at, index))


def _promql_problem(query: str) -> str | None:
    from promql_parser import parse

    if problem := oversized(query):
        return problem
    try:
        parse(query)
    except ValueError as error:
        return str(error)
    return None


def _names(action: Action) -> frozenset[str]:
    rollback = action.rollback.arguments if action.rollback else {}
    subjects = [check.subject for check in (*action.preconditions, *action.verify)]
    return names_in([action.arguments, rollback, subjects])


def _at(value: Any, path: Sequence[int | str]) -> Any:
    """The part of `value` at `path`, or the deepest part on the way to it."""
    for step in path:
        if isinstance(value, Mapping) and step in value:
            value = value[str(step)]
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def sample(parameter: Parameter) -> Scalar | None:
    """A value that the parameter accepts, None where none of a few guesses fits its pattern."""
    bounds = [bound for bound in (parameter.minimum, parameter.maximum) if bound is not None]
    numbers = (1, *bounds, *(int(bound) for bound in bounds))
    guesses: tuple[Scalar | None, ...] = (parameter.default, *(parameter.enum or ()), *numbers, True, *_SAMPLES)
    for guess in guesses:
        try:
            if guess is not None:
                return accept(parameter, guess)
        except Unresolved:
            continue
    return None

"""Binds runbooks to an incident: actions become candidates, every template rendered and every argument valid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.domain.base import Labels
from models.domain.errors import SutureError
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, Dropped
from models.domain.runbook import Action, Check, Diagnosis, Runbook, Step
from models.domain.topology import Topology
from runbooks.expressions import Variables
from runbooks.parameters import incident_variables, resolve
from runbooks.queries import render_query, render_statement
from runbooks.templates import BadTemplate, Scalar, names_of, render_url, render_value
from runbooks.triggers import TriggerMatch, matching

AnyCheck = TypeVar("AnyCheck", bound=Check)

_UNKNOWN = Topology()


@dataclass(frozen=True)
class VerbInputs:
    """What binding needs to know of `executor/verb`: its typed inputs, and what its arguments act on, in one word."""

    inputs: type[BaseModel]
    target: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class BoundDiagnosis:
    """A diagnose check of a runbook that applies, rendered."""

    runbook: str
    check: Diagnosis


@dataclass(frozen=True)
class Binding:
    """What the runbooks offer for one incident. Everything in it is in the order of the runbooks."""

    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    """Actions of runbooks that apply, and why each cannot be offered."""
    matched: tuple[TriggerMatch, ...]
    diagnoses: tuple[BoundDiagnosis, ...]
    gaps: tuple[str, ...]
    """Diagnose checks that cannot be asked, and why; only of runbooks that a signal speaks for."""
    services: Mapping[str, str | None]
    """By the id of each runbook that applies, the service that it was bound to."""


class _Unusable(ValueError):
    """An action cannot become a candidate; the message says why."""


def bind(
    runbooks: Sequence[Runbook],
    incident: Incident,
    catalogue: Mapping[str, VerbInputs],
    among: Collection[str] | None = None,
    topology: Topology = _UNKNOWN,
) -> Binding:
    """Candidates of every runbook whose `services` fit the incident, whether or not a trigger of it matched.

    `catalogue` maps `executor/verb` to its inputs. `among`: the ids of the runbooks that are bound besides those that a
    trigger matched; None: all. `topology` has the labels of services other than the culprit. Never raises for what the
    incident's texts hold.
    """
    candidates: list[Candidate] = []
    dropped: list[Dropped] = []
    diagnoses: list[BoundDiagnosis] = []
    gaps: list[str] = []
    applying = [(runbook, fitting) for runbook in runbooks if (fitting := services_for(runbook, incident))]
    matched = matching([runbook for runbook, _ in applying], incident.signals)
    spoken_for = _speaking(matched, incident)
    services = {runbook.id: _bound_to(fitting, spoken_for.get(runbook.id, ())) for runbook, fitting in applying}
    told: dict[str | None, Variables] = {}
    for runbook, _ in applying:
        if among is not None and runbook.id not in spoken_for and runbook.id not in among:
            continue
        service = services[runbook.id]
        if service not in told:
            told[service] = incident_variables(incident, service, labels_of(incident, service, topology))
        values, reasons = resolve(runbook, told[service])
        for action in runbook.actions:
            try:
                candidates.append(_candidate(runbook, action, incident, service, values, reasons, catalogue))
            except _Unusable as error:
                dropped.append(Dropped(runbook=runbook.id, action=action.id, reason=str(error)))
        for check in runbook.diagnose:
            try:
                diagnoses.append(BoundDiagnosis(runbook.id, render_check(check, values)))
            except BadTemplate as error:
                if runbook.id in spoken_for:
                    gaps.append(f"{runbook.id}: the check {check.subject} cannot be asked: {error}")
    return Binding(tuple(candidates), tuple(dropped), matched, tuple(diagnoses), tuple(gaps), services)


def services_for(runbook: Runbook, incident: Incident) -> tuple[str | None, ...]:
    """The services of the incident that the runbook's globs fit, the culprit first; empty where it does not apply.

    An incident that names no service fits only runbooks for every service: then (None,).
    """
    named = [*([incident.culprit.service] if incident.culprit else []), *incident.services]
    named = named or [service for service in (incident.labels.get("service"),) if service]
    if not named:
        return (None,) if "*" in runbook.services else ()
    fitting = [name for name in named if any(fnmatchcase(name, pattern) for pattern in runbook.services)]
    return tuple(dict.fromkeys(fitting))


def _bound_to(fitting: tuple[str | None, ...], speaking: Collection[str | None]) -> str | None:
    """The first service whose own signal a trigger matched, else the first that fits.

    A latency that rose in the shop is no reason to roll back the database, though that may be the culprit.
    """
    return next((service for service in fitting if service in speaking), fitting[0])


def _speaking(matched: Sequence[TriggerMatch], incident: Incident) -> dict[str, set[str | None]]:
    """By runbook, the services whose signals its triggers matched."""
    services = {signal.fingerprint: signal.service for signal in incident.signals}
    found: dict[str, set[str | None]] = {}
    for match in matched:
        found.setdefault(match.runbook, set()).add(services.get(match.signal))
    return found


def labels_of(incident: Incident, service: str | None, topology: Topology = _UNKNOWN) -> Labels:
    """The labels that belong to `service`: the incident's where they are its own, and what its own signals share.

    `incident.labels` are the culprit's. Bound to another service they would name the wrong process, so another service
    has what its own signals share and what the topology says of it; where nobody knows whose they are, its own signals
    speak first.
    """
    owner = incident.culprit.service if incident.culprit else incident.labels.get("service")
    signals = [signal.labels for signal in incident.signals if signal.service == service]
    shared = {
        name: value
        for name, value in (signals[0].items() if signals else ())
        if name != "__name__" and all(labels.get(name) == value for labels in signals)
    }
    if service is None or owner == service:
        return shared | incident.labels
    known = topology.services.get(service)
    own = shared | (known.labels if known else {})
    return incident.labels | own if owner is None else own


def render_check(check: AnyCheck, values: Mapping[str, Scalar]) -> AnyCheck:
    """The check with its values in place. Raises BadTemplate."""
    if check.query is not None:
        return check.model_copy(update={"query": render_query(check.query, values)})
    if check.sql is not None:
        return check.model_copy(update={"sql": render_statement(check.sql, values)})
    return check.model_copy(update={"http": render_url(check.http or "", values)})


def _candidate(
    runbook: Runbook,
    action: Action,
    incident: Incident,
    service: str | None,
    values: Mapping[str, Scalar],
    reasons: Mapping[str, str],
    catalogue: Mapping[str, VerbInputs],
) -> Candidate:
    used = _names(action)
    missing = [reasons[name] for name in runbook.parameters if name in used and name in reasons]
    if missing:
        raise _Unusable("; ".join(missing))
    arguments, target = _call(action, values, catalogue)
    rollback = None
    if action.rollback is not None:
        undo, _ = _call(action.rollback, values, catalogue)
        rollback = action.rollback.model_copy(update={"arguments": undo})
    return Candidate(
        incident=incident.id,
        environment=incident.environment,
        service=service,
        runbook=runbook.id,
        action=action.id,
        title=action.title,
        uses=action.uses,
        arguments=arguments,
        target=target,
        parameters={name: value for name, value in values.items() if name in used},
        risk=action.risk,
        reversible=action.reversible,
        approval=action.approval,
        timeout=action.timeout,
        preconditions=_checks(action.preconditions, values),
        verify=_checks(action.verify, values),
        rollback=rollback,
    )


def _call(step: Step, values: Mapping[str, Scalar], catalogue: Mapping[str, VerbInputs]) -> tuple[dict[str, Any], str]:
    verb = catalogue.get(step.uses)
    if verb is None:
        raise _Unusable(f"{step.uses} is not offered by this installation")
    try:
        inputs = verb.inputs.model_validate(render_value(step.arguments, values))
    except BadTemplate as error:
        raise _Unusable(f"{step.uses}: {error}") from error
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in item["loc"]) or "arguments"
        raise _Unusable(f"{step.uses}: {path}: {item['msg']} (got {item['input']!r})") from error
    arguments = inputs.model_dump(mode="json", by_alias=True)
    try:
        return arguments, verb.target(arguments)
    except SutureError as error:
        raise _Unusable(f"{step.uses}: {error}") from error


def _checks(checks: tuple[Check, ...], values: Mapping[str, Scalar]) -> tuple[Check, ...]:
    try:
        return tuple(render_check(check, values) for check in checks)
    except BadTemplate as error:
        raise _Unusable(f"a check cannot be rendered: {error}") from error


def _names(action: Action) -> frozenset[str]:
    steps = [action, *([action.rollback] if action.rollback else [])]
    checks = (*action.preconditions, *action.verify)
    return names_in([step.arguments for step in steps]) | names_in([check.subject for check in checks])


def names_in(value: Any) -> frozenset[str]:
    """The parameters that the strings of `value` use; a broken template uses none, and fails where it is rendered."""
    if isinstance(value, str):
        try:
            return names_of(value)
        except BadTemplate:
            return frozenset()
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return frozenset(name for item in items for name in names_in(item))

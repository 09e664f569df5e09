"""Cedar policies: a checked set, asked about one request.

Language and semantics: https://docs.cedarpolicy.com/. A policy whose condition cannot be evaluated is an error here,
not a policy that does not apply: a `forbid` that silently stopped working would be worse than a refusal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cedarpy

from models.domain.errors import BadInput
from service.guard.policy_files import ALWAYS, DEFAULT_POLICIES, Policy, read_policies
from service.guard.policy_schema import (
    AUTOPILOT,
    MESSAGES,
    Principal,
    Request,
    person_entity,
    schema_text,
    standing_entities,
    target_entity,
)
from service.guard.probes import Probes

_TARGETS_KEPT = 256


@dataclass(frozen=True)
class Answer:
    """What the policies say of one principal: allowed or not, by which policies, and the errors met."""

    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()
    approvals: int = 0
    """The most people that a policy which allows it asks for by `@approvals`."""


class Policies:
    """A checked set of policies, parsed once. Safe to ask from several threads."""

    def __init__(self, policies: Sequence[Policy], actions: Iterable[str]) -> None:
        """`actions`: the `executor/verb` that there are; messages come on top."""
        acts = sorted(actions)
        self.all = tuple(policies)
        self._by_id = {policy.id: policy for policy in policies}
        self._actions = {*acts, *(f"message/{name}" for name in MESSAGES)}
        self._set = _parsed({policy.id: policy.form for policy in policies})
        self._entities = cedarpy.Entities.from_json_str(json.dumps(standing_entities(acts)))
        # One decision asks about its target several times.
        self._around = lru_cache(_TARGETS_KEPT)(self._with_target)

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the set's own policies, in the order of the files."""
        return tuple(policy.id for policy in self.all if not policy.always)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """The persons whom a permit names as its principal."""
        scopes = (policy.form["principal"] for policy in self.all if policy.effect == "permit")
        entities = (scope.get("entity", {}) for scope in scopes)
        return tuple(dict.fromkeys(entity["id"] for entity in entities if entity.get("type") == "Person"))

    def silencing(self) -> list[str]:
        """The forbids that could stop messages though they do not name them: their action is not restricted."""
        return [one.id for one in self.all if one.effect == "forbid" and one.form["action"]["op"] == "All"]

    def ask(self, principal: Principal, request: Request) -> Answer:
        """Whether `principal` may do what the request says. An action that does not exist is an error."""
        if request.action not in self._actions:
            return Answer(False, (), (f"there is no action {request.action!r}",))
        result = self._answer(self._set, principal, request)
        reasons = tuple(sorted(result.diagnostics.reasons, key=list(self._by_id).index))
        approvals = max((self._by_id[name].approvals for name in reasons), default=0) if result.allowed else 0
        return Answer(result.allowed, reasons, tuple(result.diagnostics.errors), approvals)

    def lacking(self, request: Request, besides: Collection[str] = ()) -> list[str]:
        """What the permits for the autopilot ask for that is not so, in words; those that lack least come first.

        Conditions on the attributes `besides` are left out.
        """
        result = self._answer(self._probe_set, AUTOPILOT, request)
        return self._probes.words(set(result.diagnostics.reasons), result.diagnostics.errors, request, besides)

    @cached_property
    def _probes(self) -> Probes:
        return Probes(self.all)

    @cached_property
    def _probe_set(self) -> cedarpy.PolicySet:
        return _parsed(self._probes.forms)

    def _with_target(self, target: str, service: str, environment: str) -> cedarpy.Entities:
        return self._entities.with_added_json_str(json.dumps([target_entity(target, service, environment)]))

    def _answer(self, policies: cedarpy.PolicySet, principal: Principal, request: Request) -> cedarpy.AuthzResult:
        entities = self._around(request.target, request.service, request.environment)
        if principal.type == "Person":
            entities = entities.with_added_json_str(json.dumps([person_entity(principal)]))
        question = {
            "principal": principal.uid,
            "action": {"type": "Action", "id": request.action},
            "resource": {"type": "Target", "id": request.target},
            "context": request.cedar_context,
        }
        return cedarpy.is_authorized(question, policies, entities)


def load_policies(folder: Path | None, actions: Iterable[str]) -> Policies:
    """All policies of a folder (the default set where None), checked against the schema for these actions.

    Raises BadInput with file and line.
    """
    acts = sorted(actions)
    schema = cedarpy.Schema.from_str(schema_text(acts))
    found = [*read_policies(folder or DEFAULT_POLICIES, schema), *read_policies(ALWAYS, schema, always=True)]
    times = Counter(policy.id for policy in found)
    for place, policy in enumerate(found):
        if times[policy.id] > 1 and policy.id in {other.id for other in found[:place]}:
            first = next(other.where for other in found if other.id == policy.id)
            raise BadInput(f"two policies have the same @id: {policy.id} (first at {first})", where=policy.where)
    return Policies(found, acts)


def _parsed(forms: dict[str, dict[str, object]]) -> cedarpy.PolicySet:
    document = {"templates": {}, "staticPolicies": forms, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(document))

"""Invokes AWS Lambda functions, points their aliases and sets their reserved concurrency."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from models.domain.base import canonical_json
from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.aws_lambda_session import Sessions, errors_as
from service.executors.aws_lambda_settings import Function, LambdaConfig
from service.executors.aws_lambda_verbs import (
    LATEST,
    VERBS,
    AliasInputs,
    AliasOutputs,
    AnyInputs,
    ConcurrencyInputs,
    ConcurrencyOutputs,
    InvokeInputs,
    InvokeOutputs,
    check_allowed,
    read_inputs,
)
from service.ports import Call, Context, Effect, ExecutorError
from service.validation import read_config, require_secret

_KEY = "suture_idempotency_key"
"""The field of the client context's `custom` part that carries the call's key."""
_PAYLOAD_BYTES = 1_048_576
"""Far above what a remediation needs, far below what Lambda takes."""
_LAST_WORDS = 1000
"""Characters of a function's error in an error's words."""


@dataclass(frozen=True)
class _Attempt:
    """One use of one function within one time limit."""

    sessions: Sessions
    function: Function
    call: Call
    deadline: float

    def client(self, operation: str, qualifier: str | None = None) -> Any:
        """A client for this one operation."""
        return self.sessions.client(self.function, operation, qualifier, self.call.key, self.deadline)

    def invocation(self, inputs: InvokeInputs) -> tuple[Any, dict[str, Any]]:
        """A client that may invoke, and the arguments of the request."""
        # Without a qualifier Lambda runs $LATEST, and IAM compares with the ARN as it was asked for.
        qualifier = None if inputs.qualifier == LATEST else inputs.qualifier
        request = {"FunctionName": self.function.arn, "Payload": self._payload(inputs)}
        return self.client("InvokeFunction", qualifier), request | ({"Qualifier": qualifier} if qualifier else {})

    def _payload(self, inputs: InvokeInputs) -> bytes:
        payload, field = dict(inputs.payload), self.function.key_field
        if field is not None:
            if field in payload:
                raise refused(f"payload.{field} is where the idempotency key goes; leave it out")
            payload[field] = self.call.key
        text = canonical_json(payload).encode()
        if len(text) > _PAYLOAD_BYTES:
            raise refused(f"the payload is longer than {_PAYLOAD_BYTES} bytes")
        return text

    def alias(self, name: str) -> dict[str, Any]:
        """Where the alias points: `version`, and `weights` of further versions."""
        with errors_as(f"alias {name} of {self.function.name} cannot be read"):
            found = self.client("GetAlias").get_alias(FunctionName=self.function.arn, Name=name)
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return {"version": found["FunctionVersion"], "weights": weights}

    def reserved(self) -> int | None:
        """Reserved concurrency; None where there is no reservation."""
        with errors_as(f"concurrency of {self.function.name} cannot be read"):
            client = self.client("GetFunctionConcurrency")
            found = client.get_function_concurrency(FunctionName=self.function.arn)
        number: int | None = found.get("ReservedConcurrentExecutions")
        return number


class LambdaExecutor:
    """Acts on listed functions with credentials for one action on one function each. Safe to use from several threads.

    Least privilege. Suture's own account needs `sts:AssumeRole` on `role_arn` and nothing else. The role needs, on the
    listed functions alone: `lambda:InvokeFunction` (on each qualifier in `invoke`); `lambda:GetAlias` and
    `lambda:UpdateAlias` for `aliases`; `lambda:GetFunctionConcurrency` and `lambda:PutFunctionConcurrency` for
    `concurrency`, and `lambda:DeleteFunctionConcurrency` where `unreserved`. Each request assumes the role anew for 900
    seconds, with a session policy that allows one of these actions on one ARN, under a name made of the call's key.
    """

    name = "lambda"
    verbs = VERBS

    def __init__(self, config: LambdaConfig, sessions: Sessions) -> None:
        self._config = config
        self._sessions = sessions

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> LambdaExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where boto3 is not installed."""
        settings = read_config(LambdaConfig, config, where="executors.lambda")
        if find_spec("botocore") is None:
            raise BadInput("needs boto3: pip install 'suture[aws]'", where="executors.lambda")
        for key in ("external_id", "access_key_id", "secret_access_key"):
            if reference := getattr(settings, key):
                require_secret(context.secret, reference, where=f"executors.lambda.{key}")
        return cls(settings, Sessions(settings, context.secret))

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`lambda:NAME`, whether the function was given by its name or its ARN."""
        return f"lambda:{read_inputs(verb, arguments).name}"

    def dry_run(self, call: Call) -> str:
        """What would be done. An invocation is checked by Lambda itself (`DryRun`), the others by reading."""
        attempt, inputs = self._attempt(call)
        name = attempt.function.name
        if isinstance(inputs, InvokeInputs):
            client, request = attempt.invocation(inputs)
            with errors_as(f"{name} cannot be invoked"):
                client.invoke(**request, InvocationType="DryRun")
            return f"would invoke {name}:{inputs.qualifier}; AWS permits it"
        if isinstance(inputs, AliasInputs):
            now = attempt.alias(inputs.alias)
            return f"would point alias {inputs.alias} of {name} from version {now['version']} to {inputs.version}"
        words = [_reservation(number) for number in (attempt.reserved(), inputs.reserved)]
        return f"would change {name} from {words[0]} to {words[1]}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`version` and `weights` of the alias, or `reserved`; nothing for an invocation."""
        attempt, inputs = self._attempt(call)
        if isinstance(inputs, InvokeInputs):
            return {}
        if isinstance(inputs, AliasInputs):
            return attempt.alias(inputs.alias)
        return {"reserved": attempt.reserved()}

    def act(self, call: Call) -> dict[str, Any]:
        """Invoke, point or set. Raises ExecutorError, also where the function itself answers with an error."""
        attempt, inputs = self._attempt(call)
        if isinstance(inputs, InvokeInputs):
            return self._invoke(attempt, inputs).model_dump()
        if isinstance(inputs, AliasInputs):
            return self._point(attempt, inputs).model_dump()
        return self._reserve(attempt, inputs).model_dump()

    def observe(self, call: Call) -> Effect:
        """HAPPENED or ABSENT by what Lambda shows of an alias or the concurrency; UNKNOWN where it cannot be asked.

        An invocation leaves no trace that can be asked for: REPEATABLE where the function honours the key, else
        UNKNOWN.
        """
        try:
            attempt, inputs = self._attempt(call)
            if isinstance(inputs, InvokeInputs):
                return Effect.REPEATABLE if attempt.function.idempotent_by_key else Effect.UNKNOWN
            if isinstance(inputs, AliasInputs):
                as_asked = attempt.alias(inputs.alias) == {"version": inputs.version, "weights": {}}
            else:
                as_asked = attempt.reserved() == inputs.reserved
        except ExecutorError:
            return Effect.UNKNOWN
        return Effect.HAPPENED if as_asked else Effect.ABSENT

    def _invoke(self, attempt: _Attempt, inputs: InvokeInputs) -> InvokeOutputs:
        client, request = attempt.invocation(inputs)
        context = base64.b64encode(canonical_json({"custom": {_KEY: attempt.call.key}}).encode()).decode()
        name, limit = attempt.function.name, self._config.response_limit
        attempt.call.confirm()
        with errors_as(f"invoking {name} failed"):
            answer = client.invoke(**request, InvocationType="RequestResponse", ClientContext=context)
            with closing(answer["Payload"]) as stream:
                body = stream.read(limit + 1)
        text = body[:limit].decode("utf-8", "replace")
        if problem := answer.get("FunctionError"):
            # How far it got before it failed is not known.
            raise ExecutorError(f"{name} answered with an error ({problem}): {text[:_LAST_WORDS]}")
        return InvokeOutputs(
            status=answer["StatusCode"],
            version=answer.get("ExecutedVersion") or inputs.qualifier,
            payload=text,
            truncated=len(body) > limit,
        )

    def _point(self, attempt: _Attempt, inputs: AliasInputs) -> AliasOutputs:
        attempt.call.confirm()
        with errors_as(f"alias {inputs.alias} of {attempt.function.name} cannot be changed"):
            after = attempt.client("UpdateAlias").update_alias(
                FunctionName=attempt.function.arn,
                Name=inputs.alias,
                FunctionVersion=inputs.version,
                RoutingConfig={"AdditionalVersionWeights": {}},  # else a share would go on to another version
            )
        return AliasOutputs(
            alias=inputs.alias, version=after["FunctionVersion"], before_version=attempt.call.before.get("version")
        )

    def _reserve(self, attempt: _Attempt, inputs: ConcurrencyInputs) -> ConcurrencyOutputs:
        arn, number = attempt.function.arn, inputs.reserved
        attempt.call.confirm()
        with errors_as(f"concurrency of {attempt.function.name} cannot be changed"):
            if number is None:
                attempt.client("DeleteFunctionConcurrency").delete_function_concurrency(FunctionName=arn)
            else:
                client = attempt.client("PutFunctionConcurrency")
                client.put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=number)
        return ConcurrencyOutputs(reserved=number, before=attempt.call.before.get("reserved"))

    def _attempt(self, call: Call) -> tuple[_Attempt, AnyInputs]:
        inputs = read_inputs(call.verb, call.arguments)
        function = self._config.functions.get(inputs.name)
        if function is None or inputs.function not in (function.name, function.arn):
            raise refused(f"function {inputs.function} is not allowed; add it to executors.lambda.functions")
        check_allowed(function, inputs)
        deadline = self._sessions.monotonic() + call.timeout.total_seconds()
        return _Attempt(self._sessions, function, call, deadline), inputs


def _reservation(number: int | None) -> str:
    return "no reserved concurrency" if number is None else f"reserved concurrency {number}"

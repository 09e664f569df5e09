"""What can be done with a Lambda function: inputs, outputs, and what of it the settings allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from models.domain.base import Frozen
from service.executors.arguments import read_arguments, refused
from service.executors.aws_lambda_settings import ARN, FUNCTION, Alias, Function, Qualifier, Version
from service.ports import Verb

LATEST = "$LATEST"
"""Lambda's word for the code that is not published as a version."""


class FunctionInputs(Frozen):
    """A function that the settings list, by its name or its ARN."""

    function: str = Field(pattern=rf"^({FUNCTION}|{ARN})$")

    @property
    def name(self) -> str:
        """The function's name, whichever way it was given."""
        return self.function.rsplit(":", 1)[-1]


class InvokeInputs(FunctionInputs):
    """What is sent to which version or alias."""

    qualifier: Qualifier = LATEST
    payload: dict[str, JsonValue] = Field(default_factory=dict)


class InvokeOutputs(Frozen):
    """The function's answer. `payload` is its text, cut at the cap; `version` is the one that ran."""

    status: int
    version: str
    payload: str
    truncated: bool


class AliasInputs(FunctionInputs):
    """The alias and the published version that all of its traffic shall go to."""

    alias: Alias
    version: Version


class AliasOutputs(Frozen):
    """The alias after the act. `before_version`: what it pointed at before."""

    alias: str
    version: str
    before_version: str | None


class ConcurrencyInputs(FunctionInputs):
    """Reserved concurrency. 0 stops the function; None takes the reservation away."""

    reserved: int | None = Field(ge=0)


class ConcurrencyOutputs(Frozen):
    """Reserved concurrency after the act, and before it; None where there is no reservation."""

    reserved: int | None
    before: int | None


VERBS = {
    verb.name: verb
    for verb in (
        Verb("invoke", "Invoke the function and wait for its answer", InvokeInputs, InvokeOutputs, False, True),
        Verb("publish-alias", "Point an alias at a version", AliasInputs, AliasOutputs, True, True),
        Verb("set-concurrency", "Set reserved concurrency", ConcurrencyInputs, ConcurrencyOutputs, True, True),
    )
}

AnyInputs = InvokeInputs | AliasInputs | ConcurrencyInputs


def read_inputs(verb: str, arguments: Mapping[str, Any]) -> AnyInputs:
    """The arguments as the verb's inputs. Raises ExecutorError on what does not fit, and on another verb."""
    if verb == "invoke":
        return read_arguments(InvokeInputs, arguments)
    if verb == "publish-alias":
        return read_arguments(AliasInputs, arguments)
    if verb == "set-concurrency":
        return read_arguments(ConcurrencyInputs, arguments)
    raise refused(f"there is no lambda/{verb}")


def check_allowed(function: Function, inputs: AnyInputs) -> None:
    """Raises ExecutorError where the settings do not allow this with the function."""
    where = f"executors.lambda.functions.{function.name}"
    if isinstance(inputs, InvokeInputs):
        if inputs.qualifier not in function.invoke:
            raise refused(f"{function.name}:{inputs.qualifier} may not be invoked; add it to {where}.invoke")
    elif isinstance(inputs, AliasInputs):
        if inputs.alias not in function.aliases:
            raise refused(f"alias {inputs.alias} of {function.name} may not be changed; add it to {where}.aliases")
    else:
        _check_concurrency(function, inputs.reserved, f"{where}.concurrency")


def _check_concurrency(function: Function, number: int | None, where: str) -> None:
    limits = function.concurrency
    if limits is None:
        raise refused(f"the concurrency of {function.name} may not be changed; add {where}")
    if number is None:
        if not limits.unreserved:
            raise refused(f"the reservation of {function.name} may not be taken away; set {where}.unreserved")
    elif not limits.minimum <= number <= limits.maximum:
        raise refused(f"{function.name} may have a reservation of {limits.minimum} to {limits.maximum}; see {where}")

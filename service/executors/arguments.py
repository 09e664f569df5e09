"""Reads a call's arguments into a verb's typed inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.ports import Effect, ExecutorError
from service.validation import explain

Inputs = TypeVar("Inputs", bound=BaseModel)


def refused(message: str) -> ExecutorError:
    """The error for a call that was refused before anything was touched."""
    return ExecutorError(message, effect=Effect.ABSENT)


def read_arguments(model: type[Inputs], arguments: Mapping[str, Any]) -> Inputs:
    """`arguments` as `model`. Raises ExecutorError: they were checked before, so a mistake here is not the user's."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        raise refused(f"arguments do not fit: {explain(error)}") from error

"""Reads a section of somebody's settings into its typed form, with an error that names the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.domain.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)


def explain(error: ValidationError) -> str:
    """Each problem as `key.path: what is wrong`, without the values: one of them may be a secret."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_input=False, include_url=False)
    )


def read_config(model: type[Model], config: Mapping[str, Any], *, where: str) -> Model:
    """`config` as `model`. Raises BadInput; `where` is the section's name, for example `executors.process`."""
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise BadInput(explain(error), where=where) from error


def require_secret(secret: Callable[[str], str], reference: str, *, where: str) -> None:
    """Raises BadInput, with the key that holds the reference, where it has no value: now, not in an incident."""
    try:
        secret(reference)
    except BadInput as error:
        raise BadInput(error.problem, where=where) from error

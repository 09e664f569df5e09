"""What may be a secret is not shown."""

from __future__ import annotations

import re
from typing import Any

_MASK = "***"
_SECRET = re.compile(r"(secret|password|passwd|token|api_?key|credential|authorization)", re.IGNORECASE)
_REFERENCE = re.compile(r"(env|file|vault):")
_USER_INFO = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Whether a value of this name may be a secret."""
    return _SECRET.search(name) is not None


def masked(value: Any, name: str = "") -> Any:
    """`value` with everything that looks like a secret replaced, at any depth; references to secrets are kept."""
    if isinstance(value, dict):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if is_secret(name) and not _REFERENCE.match(value):
        return _MASK
    return _USER_INFO.sub(rf"\1:{_MASK}@", value)

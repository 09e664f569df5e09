"""What a language model is to this package: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Transport(Protocol):
    """The call to a language model. `service.ports.LanguageModel` is the same by structure."""

    name: str

    def complete(self, system: str, user: str, schema: Mapping[str, Any]) -> str:
        """The model's answer, asked to be JSON of `schema`. Raises Unavailable when it fails or is slow."""

"""Any embedding model that LiteLLM reaches: OpenAI, Bedrock, Vertex, Ollama, vLLM and others."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.domain.base import Duration, parse_duration
from models.domain.errors import BadInput, Unavailable
from models.redaction import Redaction, redacted_words


class Config(BaseModel):
    """The adapter's settings: `embedder.config`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    """As LiteLLM writes it: `openai/text-embedding-3-small`, `ollama/nomic-embed-text`."""
    base_url: str | None = None
    api_key: str | None = None
    """A reference: `env:NAME` or `file:PATH`."""
    dimensions: int | None = Field(default=None, ge=1)
    """Asked of models that can shorten their vectors."""
    batch: int = Field(default=64, ge=1, le=2048)
    """Texts a request."""
    redaction: Redaction = Redaction()
    """What is replaced in texts before they leave: secrets and personal data."""
    timeout: Duration = parse_duration("30s")
    """Of one request; the client of the provider repeats a failed one twice."""


class Secrets(Protocol):
    """The part of an adapter's context that is used here."""

    @property
    def secret(self) -> Callable[[str], str]:
        """Resolves a reference to its value."""


class LiteLLMEmbedder:
    """Vectors of a served model, scaled to length 1. Raises Unavailable when the model does not answer in time."""

    def __init__(self, config: Config, api_key: str | None) -> None:
        self._config, self._key = config, api_key
        self.identity = f"litellm/{config.model}" + (f"/{config.dimensions}" if config.dimensions else "")
        self.dimension = config.dimensions or 0
        """0 until the first answer, unless the settings say it."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape [len(texts), dimension]; a vector of zeros stays one."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        size = self._config.batch
        vectors = np.concatenate([self._ask(texts[first : first + size]) for first in range(0, len(texts), size)])
        if self.dimension and vectors.shape[1] != self.dimension:
            raise BadInput(
                f"{self.identity} answered with vectors of {vectors.shape[1]} numbers, before it was {self.dimension}; "
                "check embedder.config.dimensions, and rebuild the index if the model was changed"
            )
        self.dimension = vectors.shape[1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    def _ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # Without it the import fetches a price list from the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        # It would print advice on standard output, where a command's JSON stands alone.
        litellm.suppress_debug_info = True
        config = self._config
        options: dict[str, Any] = {"dimensions": config.dimensions} if config.dimensions else {}
        try:
            answer = litellm.embedding(
                model=config.model,
                # Providers refuse an empty text.
                input=[redacted_words(text, config.redaction) if text.strip() else "." for text in texts],
                api_base=config.base_url,
                api_key=self._key,
                timeout=config.timeout.total_seconds(),
                encoding_format="float",
                **options,
            )
            rows = sorted(answer.data, key=lambda item: item["index"])
            vectors = np.array([item["embedding"] for item in rows], np.float32)
        except Exception as error:
            raise Unavailable(f"the embedding model {config.model} does not answer: {error}") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise Unavailable(
                f"the embedding model {config.model} gave an answer of shape {vectors.shape} for {len(texts)} texts"
            )
        return vectors


def build(config: Mapping[str, Any], context: Secrets | None = None) -> LiteLLMEmbedder:
    """The embedder from its settings (see `Config`). Raises BadInput for a wrong one, with its name."""
    try:
        parsed = Config.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["embedder.config", *map(str, first["loc"])])
        raise BadInput(first["msg"], where=where) from error
    if parsed.api_key is None:
        return LiteLLMEmbedder(parsed, None)
    if context is None:
        raise BadInput("api_key is a reference, and nothing is there to resolve it", where="embedder.config.api_key")
    return LiteLLMEmbedder(parsed, context.secret(parsed.api_key))

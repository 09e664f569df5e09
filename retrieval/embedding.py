"""What an embedder is to retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Text in, unit vectors out. Entry-point group: `suture.embedders`."""

    identity: str
    """Names the model and its version; an index remembers which embedder made it."""
    dimension: int

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape [len(texts), dimension]."""

"""The bytes of a saved state: an npz file whose member `meta` is JSON."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 2


def pack(meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> bytes:
    """One file of both, with the version; equal states give equal bytes."""
    header = np.frombuffer(json.dumps({"version": VERSION, **meta}).encode(), dtype=np.uint8)
    out = io.BytesIO()
    np.savez(out, **{"meta": header, **arrays})  # type: ignore[arg-type]  # the stub takes keywords for its own flag
    return out.getvalue()


def unpack(state: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The inverse of `pack`. Raises ValueError where the bytes are of another version or no state at all."""
    if not zipfile.is_zipfile(io.BytesIO(state)):
        raise ValueError("not a detector's state")
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        version = meta["version"]
    except (zipfile.BadZipFile, EOFError, KeyError, OSError, TypeError) as error:
        raise ValueError(f"not a detector's state: {error}") from error
    if version != VERSION:
        raise ValueError(f"the detector's state has version {version}, not {VERSION}")
    return meta, arrays

"""An embedder that remembers: a text that was embedded once on this machine is not embedded again."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Embedder

MAX_VECTORS = 50_000
"""Kept at most: about 80 MB with 384 numbers each. Those that were not asked for longest go first."""
QUERIES = 64  # in memory: more than are worked on at once
DAY = 86_400
BUSY_SECONDS = 5.0  # another process writes for milliseconds; longer than this is not worth the wait
PAGE = 500  # values in one statement: SQLite allows 999 in its older versions

_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, day INTEGER, vector BLOB)"

log = logging.getLogger(__name__)


class CachedEmbedder:
    """Another embedder whose vectors are kept in a file, by the hash of the text. Any number of threads and processes.

    A single text is a query: it may be asked twice in a row, so it is kept for a while in memory, never in the file.
    The file holds no text. It is a help only: where it cannot be read or written, that is logged and the texts are
    embedded.
    """

    def __init__(
        self,
        embedder: Embedder,
        file: Path,
        *,
        version: str = "",
        most: int = MAX_VECTORS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened yet. Vectors are told apart by the embedder's identity and by `version`, which must
        change whenever the same identity would give other vectors. `most` are kept; `clock` gives seconds.
        """
        self.identity, self.dimension = embedder.identity, embedder.dimension
        self._query = lru_cache(QUERIES)(lambda text: embedder.embed([text])[0])
        self._embedder, self._file, self._most, self._clock = embedder, file, most, clock
        self._salt = f"{embedder.identity}\0{version}\0".encode()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape [len(texts), dimension]; raises what the embedder raises."""
        if not texts:
            return self._embedder.embed(texts)
        if len(texts) == 1:
            return np.stack([self._query(texts[0])])
        keys = [hashlib.sha256(self._salt + text.encode()).digest() for text in texts]
        known = self._read(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            fresh = dict(zip(missing, self._embedder.embed(list(missing.values())), strict=True))
            self._write(fresh)
            known |= fresh
        return np.stack([known[key] for key in keys])

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        if not self._file.is_file():
            return {}
        found: dict[bytes, NDArray[np.float32]] = {}
        today, unmarked = self._today(), []
        try:
            with closing(self._open()) as database:
                for first in range(0, len(keys), PAGE):
                    page = keys[first : first + PAGE]
                    marks = ",".join("?" * len(page))
                    asked = f"SELECT key, day, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608  (marks only)
                    for key, day, vector in database.execute(asked, page):
                        found[key] = np.frombuffer(vector, np.float32)
                        if day < today:
                            unmarked.append((today, key))
                # Days, so that reading seldom writes.
                if unmarked:
                    with database:
                        database.executemany("UPDATE vectors SET day = ? WHERE key = ?", unmarked)
        except sqlite3.Error as error:
            self._failed(error)
        return {key: vector for key, vector in found.items() if vector.shape == (self.dimension,)}

    def _write(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as database, database:
                today = self._today()
                database.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                    [(key, today, vector.tobytes()) for key, vector in vectors.items()],
                )
                (count,) = database.execute("SELECT count(*) FROM vectors").fetchone()
                if count > self._most:
                    oldest = "SELECT key FROM vectors ORDER BY day LIMIT ?"
                    database.execute(f"DELETE FROM vectors WHERE key IN ({oldest})", (count - self._most,))  # noqa: S608
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=BUSY_SECONDS)
        try:
            database.execute(_SCHEMA)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _failed(self, error: Exception) -> None:
        log.warning("the cache of vectors %s is not used: %s", self._file, error)
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._file.unlink(missing_ok=True)  # made anew at the next write

    def _today(self) -> int:
        return int(self._clock()) // DAY

"""Sources, and the documents that their last good sync gave, in one SQLite file of the state folder.

Not in the installation's database: documents belong beside the index that is made of them, `suture recommend` reads
them without a database, and places are those of one machine. A sync is one transaction: a reader sees all of it or
nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from models.domain.errors import BadInput, NotFound, Unavailable
from runbooks.frontmatter import Fault
from service.corpus_sources.importing import Imported
from service.corpus_sources.source import CorpusSource, Outcome

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (
    name TEXT PRIMARY KEY, number INTEGER, source TEXT NOT NULL, outcome TEXT, stamp TEXT
);
CREATE TABLE IF NOT EXISTS pages (
    source TEXT, path TEXT, mark TEXT, text TEXT, facts TEXT, faults TEXT NOT NULL, PRIMARY KEY (source, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generation (mark TEXT);
"""
_STAGE = "CREATE TEMP TABLE staged (path TEXT PRIMARY KEY, mark TEXT, text TEXT, facts TEXT, faults TEXT)"
_BUSY_SECONDS = 30.0  # a commit of 20,000 pages takes a second or two
_FACTS = ("title", "kind", "body_start", "metadata", "catalogue", "withheld")


@dataclass(frozen=True)
class Kept:
    """A page as it is kept. `imported` is None where it could never be used."""

    source: str
    path: str
    imported: Imported | None
    faults: tuple[Fault, ...]


class Staged:
    """What a sync has found so far, beside what serves. `keep` and `put` take each path once."""

    def __init__(self, connection: sqlite3.Connection, source: str) -> None:
        self._connection, self._source = connection, source

    def keep(self, path: str, mark: str, fault: Fault | None = None) -> None:
        """The page stays as it was; with `fault` where it cannot be read now, so that it is read again next time."""
        self._insert(path, mark, None, None, (fault,) if fault else None)

    def put(self, path: str, mark: str, imported: Imported) -> None:
        """The page is new or has changed."""
        facts = {name: value for name, value in asdict(imported).items() if name in _FACTS}
        self._insert(path, mark, imported.text, json.dumps(facts), imported.faults)

    def _insert(
        self, path: str, mark: str, text: str | None, facts: str | None, faults: tuple[Fault, ...] | None
    ) -> None:
        told = None if faults is None else json.dumps([[f.line, f.message, f.mend] for f in faults])
        self._connection.execute("INSERT INTO temp.staged VALUES (?, ?, ?, ?, ?)", (path, mark, text, facts, told))

    def commit(self, outcome: Outcome, stamp: str | None) -> Outcome:
        """Serve what was found from now on; returns the outcome with its count of problems."""
        with _writing(self._connection) as connection:
            mine = (self._source,)
            connection.execute(
                "DELETE FROM pages WHERE source = ? AND path NOT IN (SELECT path FROM temp.staged)", mine
            )
            connection.execute(
                "INSERT OR REPLACE INTO pages SELECT ?, path, mark, text, facts, faults FROM temp.staged "
                "WHERE text IS NOT NULL",
                mine,
            )
            # Pages that could not be read keep the text that they had, where they had one.
            connection.execute(
                "INSERT INTO pages SELECT ?, path, mark, NULL, NULL, faults FROM temp.staged "
                "WHERE text IS NULL AND faults IS NOT NULL ON CONFLICT (source, path) "
                "DO UPDATE SET mark = excluded.mark, faults = excluded.faults",
                mine,
            )
            faulty = "SELECT COUNT(*) FROM pages WHERE source = ? AND faults != '[]'"
            done = outcome.model_copy(update={"problems": connection.execute(faulty, mine).fetchone()[0]})
            _note(connection, done)
            connection.execute("UPDATE sources SET stamp = ? WHERE name = ?", (stamp, self._source))
        return done


class SourceStore:
    """The repository of sources and their documents. Any number of processes; one syncs at a time (`syncing.py`)."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened or made yet."""
        self.folder = folder
        self._file = folder / "sources.db"

    def generation(self) -> str:
        """Another text after each change; empty before the first."""
        if not self._file.exists():
            return ""
        with self._opened() as connection:
            found = connection.execute("SELECT mark FROM generation").fetchone()
        return found[0] if found else ""

    def add(self, source: CorpusSource) -> None:
        """Raises BadInput where the name is taken."""
        with self._opened() as connection, _writing(connection):
            values = (source.name, source.model_dump_json())
            added = "INSERT INTO sources SELECT ?, 1 + COALESCE(MAX(number), 0), ?, NULL, NULL FROM sources"
            try:
                connection.execute(added, values)
            except sqlite3.IntegrityError as error:
                words = f"there is a source {source.name!r} already; choose another name, or remove it first"
                raise BadInput(words) from error

    def remove(self, name: str) -> CorpusSource:
        """Forget a source and its documents. Raises NotFound."""
        source = self.get(name)
        with self._opened() as connection, _writing(connection):
            connection.execute("DELETE FROM sources WHERE name = ?", (name,))
            connection.execute("DELETE FROM pages WHERE source = ?", (name,))
        return source

    def get(self, name: str) -> CorpusSource:
        """Raises NotFound, with what there is."""
        found = {source.name: source for source, _ in self.all()}
        if name not in found:
            there = ", ".join(found) or "none; `suture corpus add` adds one"
            raise NotFound(f"there is no source {name!r}; there are: {there}")
        return found[name]

    def all(self) -> list[tuple[CorpusSource, Outcome | None]]:
        """The sources in the order of adding, each with the outcome of its last sync."""
        if not self._file.exists():
            return []
        with self._opened() as connection:
            rows = connection.execute("SELECT source, outcome FROM sources ORDER BY number").fetchall()
        return [
            (CorpusSource.model_validate_json(source), Outcome.model_validate_json(outcome) if outcome else None)
            for source, outcome in rows
        ]

    def stamp(self, name: str) -> str | None:
        """What the last good sync of a source was stamped with."""
        with self._opened() as connection:
            found = connection.execute("SELECT stamp FROM sources WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def marks(self, name: str) -> dict[str, tuple[str, bool]]:
        """Path → (mark, whether there is a text) of a source's pages."""
        with self._opened() as connection:
            rows = connection.execute("SELECT path, mark, text IS NOT NULL FROM pages WHERE source = ?", (name,))
            return {path: (mark, bool(there)) for path, mark, there in rows}

    def pages(self, name: str) -> Iterator[Kept]:
        """A source's pages, sorted by path."""
        with self._opened() as connection:
            for path, text, facts, faults in connection.execute(
                "SELECT path, text, facts, faults FROM pages WHERE source = ? ORDER BY path", (name,)
            ):
                told = tuple(Fault(*fault) for fault in json.loads(faults))
                imported = None if text is None else Imported(text=text, faults=told, **json.loads(facts))
                yield Kept(name, path, imported, told)

    def withheld(self, name: str) -> int:
        """How many documents of a source define actions that it may not define."""
        with self._opened() as connection:
            counted = "SELECT COUNT(*) FROM pages WHERE source = ? AND json_extract(facts, '$.withheld')"
            return int(connection.execute(counted, (name,)).fetchone()[0])

    @contextmanager
    def staging(self, name: str) -> Iterator[Staged]:
        """Where a sync gathers what it finds; lost where `commit` is not reached."""
        with self._opened() as connection:
            connection.execute(_STAGE)
            yield Staged(connection, name)

    def note(self, outcome: Outcome) -> None:
        """Remember the outcome of a sync that changed no document."""
        with self._opened() as connection, _writing(connection):
            _note(connection, outcome)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with closing(sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            words = f"{self._file} cannot be used: {error}; free disk space, or remove it and add the sources again"
            raise Unavailable(words) from error


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("DELETE FROM generation")
        connection.execute("INSERT INTO generation VALUES (?)", (uuid4().hex,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _note(connection: sqlite3.Connection, outcome: Outcome) -> None:
    values = (outcome.model_dump_json(), outcome.source)
    connection.execute("UPDATE sources SET outcome = ? WHERE name = ?", values)

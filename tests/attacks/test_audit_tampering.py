"""Somebody with the database's password changes the audit log: `suture audit verify` says so, and where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from models.domain.base import canonical_json, sha256_hex, utc_now
from service.cli.main import app
from service.guard.approvals import sealing_key
from service.settings import Settings
from service.store.audit import AuditLog
from service.store.database import Database, open_database

FAMILY = "audit tampering"
ENTRIES = 6


@dataclass
class Log:
    """An audit log of six entries, and the way in of an attacker."""

    database: Database
    log: AuditLog
    settings: Settings

    def add(self, log: AuditLog | None = None) -> None:
        with self.database.write() as connection:
            (log or self.log).append(connection, "kill-switch.off", "kill-switch", {}, "eve")

    def do(self, *statements: str, **values: Any) -> None:
        with self.database.write() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def rows(self) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(text("SELECT * FROM audit ORDER BY number")).mappings()]

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Put these rows in place of all, numbered and hashed as the service would."""
        previous = "0" * 64
        self.do("DELETE FROM audit")
        for number, row in enumerate(rows, 1):
            fields = {**row, "number": number, "previous": previous}
            fields.pop("hash")
            previous = fields["hash"] = sha256_hex(canonical_json(fields))
            self.do(f"INSERT INTO audit ({', '.join(fields)}) VALUES ({', '.join(':' + f for f in fields)})", **fields)
        self.set_head(number=len(rows), hash=previous)

    def put_back(self, rows: list[dict[str, Any]], head: dict[str, Any]) -> None:
        """Log and head as they were, seal and all."""
        self.do("DELETE FROM audit", "DELETE FROM switches")
        for row in rows:
            self.do(f"INSERT INTO audit ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", **row)
        self.do("INSERT INTO switches (name, value) VALUES ('audit-head', :value)", value=json.dumps(head))

    def set_head(self, **changes: Any) -> None:
        self.do(
            "UPDATE switches SET value = :value WHERE name = 'audit-head'", value=json.dumps({**self.head(), **changes})
        )

    def head(self) -> dict[str, Any]:
        with self.database.read() as connection:
            found = connection.execute(text("SELECT value FROM switches WHERE name = 'audit-head'")).scalar()
        return json.loads(found) if isinstance(found, str) else found

    def verify(self, *options: str) -> tuple[int, str]:
        """The exit code and the words of the command."""
        done = CliRunner().invoke(app, ["audit", "verify", *options])
        return done.exit_code, done.output


@pytest.fixture
def attacked(database_url, make_settings, monkeypatch) -> Iterator[Log]:
    settings = make_settings(database_url=database_url)
    monkeypatch.setenv("SUTURE_DATABASE_URL", database_url)
    monkeypatch.setenv("SUTURE_STATE_DIR", str(settings.state_dir))
    database = open_database(settings.database)
    one = Log(database, AuditLog(database, utc_now, sealing_key(settings)), settings)
    for _ in range(ENTRIES):
        one.add()
    yield one
    database.close()


def swap(log: Log) -> None:
    log.do(
        "UPDATE audit SET number = 100 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 100",
    )


def rehash_tail(log: Log) -> None:
    rows = log.rows()
    rows[2]["actor"] = "nobody"
    log.write(rows)


def edit_and_rehash_one(log: Log) -> None:
    row = {**log.rows()[3], "actor": "nobody"}
    row.pop("hash")
    log.do("UPDATE audit SET actor = 'nobody', hash = :hash WHERE number = 4", hash=sha256_hex(canonical_json(row)))


def insert(log: Log) -> None:
    log.do("UPDATE audit SET number = number + 100 WHERE number > 3")
    log.do("UPDATE audit SET number = number - 99 WHERE number > 100")
    log.do("INSERT INTO audit SELECT 4, at, actor, event, subject, data, previous, hash FROM audit WHERE number = 3")


def cut_off(log: Log) -> None:
    log.do("DELETE FROM audit WHERE number > 4")
    log.set_head(number=4, hash=log.rows()[-1]["hash"])


def write_anew(log: Log) -> None:
    log.write([{**row, "actor": "admin"} for row in log.rows()[:3]])


def write_anew_without_seal(log: Log) -> None:
    write_anew(log)
    log.do("UPDATE switches SET value = :value WHERE name = 'audit-head'", value=json.dumps(
        {name: value for name, value in log.head().items() if name != "seal"}
    ))  # fmt: skip


def write_anew_and_go_on(log: Log) -> None:
    write_anew(log)
    log.add()  # by the service itself, which must not seal what was done before


def write_by_another_key(log: Log) -> None:
    log.add(AuditLog(log.database, utc_now, lambda: b"mine"))


EDITS: dict[str, tuple[Callable[[Log], None], str]] = {
    **{
        f"edited {column}": (
            lambda log, column=column: log.do(
                f"UPDATE audit SET {column} = 'x' || substr({column}, 2) WHERE number = 3"
            ),
            "entry 3" if column != "hash" else "entry 4",
        )
        for column in ("at", "actor", "event", "subject", "data", "previous", "hash")
    },
    "first removed": (lambda log: log.do("DELETE FROM audit WHERE number = 1"), "entry 1 is missing"),
    "middle removed": (lambda log: log.do("DELETE FROM audit WHERE number = 3"), "entry 3 is missing"),
    "last removed": (lambda log: log.do(f"DELETE FROM audit WHERE number = {ENTRIES}"), "ends at entry 5"),
    "all removed": (lambda log: log.do("DELETE FROM audit"), "ends at entry 0"),
    "two swapped": (swap, "entry 2"),
    "one put in": (insert, "entry 4"),
    "edited and hashed": (edit_and_rehash_one, "entry 5"),
    "tail hashed anew": (rehash_tail, "entry 6"),
    "end cut off with the head": (cut_off, "entry 4"),
    "head edited": (lambda log: log.set_head(number=7), "ends at entry 6"),
    "head of another hash": (lambda log: log.set_head(hash="0" * 64), "ends at entry 6"),
    "head removed": (lambda log: log.do("DELETE FROM switches"), "ends at entry 6"),
    "seal edited": (lambda log: log.set_head(seal="0" * 64), "entry 6"),
    "all written anew": (write_anew, "entry 3"),
    "all written anew, seal removed": (write_anew_without_seal, "entry 3"),
    "all written anew, then gone on with": (write_anew_and_go_on, "entry 4"),
    "written by another key": (write_by_another_key, "entry 7"),
}


def test_what_was_done_to_the_log_is_found_and_named(attack, attacked):
    rows, head = attacked.rows(), attacked.head()
    dialect = attacked.database.engine.dialect.name
    assert attacked.verify() == (0, f"{ENTRIES} entries, intact\n")
    for name, (change, words) in EDITS.items():
        assert attacked.log.verify().breaks == (), "before"
        change(attacked)
        with attack(name, dialect):
            assert words in "; ".join(attacked.log.verify().breaks)
            if dialect == "sqlite":  # where the command is quick
                code, said = attacked.verify()
                assert code == 1
                assert words in said
        attacked.put_back(rows, head)


def test_an_older_state_that_was_put_back_is_found_by_a_head_that_was_kept(attack, attacked):
    """The limit of the seal, and what goes beyond it: it must lie where the attacker does not write."""
    before, head = attacked.rows(), attacked.head()
    attacked.add()
    kept = CliRunner().invoke(app, ["audit", "head"]).output.strip()
    assert attacked.verify("--expect", kept)[0] == 0
    attacked.put_back(before, head)
    assert attacked.verify()[0] == 0, "seal and chain are genuine, of an earlier day"
    with attack("older state put back"):
        code, said = attacked.verify("--expect", kept)
        assert code == 1
        assert "entry 7 is not the one that was kept" in said


def test_the_real_command_ends_with_one(attacked):
    """In a process of its own, as a watchdog calls it."""
    attacked.do("DELETE FROM audit WHERE number = 3")
    program = Path(sys.executable).parent / "suture"
    done = subprocess.run([program, "audit", "verify"], env=dict(os.environ), capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"entry 3 is missing" in done.stdout

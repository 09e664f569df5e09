"""What a language model was asked and what that took: budgets over all replicas, and answers that are kept.

A call is noted before it is made, with the most that it can take, and corrected when it ended: what a crash leaves
counts in full, and two replicas cannot spend the same money.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from models.domain.base import Clock, Frozen
from service.language.spending import Spent, check_budget
from service.language_settings import ModelBudget, ModelCache
from service.store.database import Database

KEPT = timedelta(days=90)
"""How long calls are kept for the figures of past days."""

_metadata = sa.MetaData()
_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
calls = sa.Table(
    "language_calls",
    _metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("about", sa.String(100), nullable=False, index=True),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Double),
    # asked (and not ended, or lost in a crash), answered, failed, cached
    sa.Column("state", sa.String(16), nullable=False),
)
answers = sa.Table(
    "language_answers",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
)
"""Answers as they came, placeholders and all: no secret that was redacted is kept here."""

_LOCK = "language"


class Use(Frozen):
    """What one model took on one UTC day."""

    day: str
    model: str
    calls: int
    """Questions that were sent."""
    failed: int
    cached: int
    """Questions that were answered from what was kept."""
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    """US dollars; None where the price is not known."""


class Ledger:
    """The calls and the kept answers of one installation."""

    def __init__(self, database: Database, clock: Clock, budget: ModelBudget, cache: ModelCache) -> None:
        """Makes its tables where they are missing."""
        self._database, self._clock, self._budget, self._cache = database, clock, budget, cache
        with database.write() as connection:
            database.lock(connection, _LOCK)
            _metadata.create_all(connection)

    def reserve(self, model: str, about: str, wanted: Spent) -> int:
        """Note a call with the most that it can take; its number. Raises Unavailable where the budget forbids it."""
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            now = self._database.now(connection, self._clock).timestamp()
            connection.execute(sa.delete(calls).where(calls.c.at < now - KEPT.total_seconds()))
            day = _spent(connection, calls.c.at >= _midnight(now))
            check_budget(model, wanted, _spent(connection, calls.c.about == about[:100]), day, self._budget)
            return _added(connection, now, model, about, "asked", wanted)

    def settle(self, number: int, took: Spent, *, failed: bool = False) -> None:
        """Put what a call took in place of what was reserved."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(calls)
                .where(calls.c.id == number)
                .values(
                    prompt_tokens=took.prompt_tokens,
                    completion_tokens=took.completion_tokens,
                    cost=took.cost,
                    state="failed" if failed else "answered",
                )
            )

    def kept(self, key: str, model: str, about: str) -> str | None:
        """The answer to the same question, where one is kept that did not expire. Its use is noted."""
        if not self._cache.entries:
            return None
        with self._database.write() as connection:
            now = self._database.now(connection, self._clock).timestamp()
            since = now - self._cache.expires.total_seconds()
            found = connection.execute(
                sa.select(answers.c.text).where(answers.c.key == key, answers.c.at > since)
            ).scalar()
            if found is None:
                return None
            _added(connection, now, model, about, "cached", Spent())
            return str(found)

    def keep(self, key: str, text: str) -> None:
        """Keep an answer; those that expired go, and the oldest where there are too many."""
        if not self._cache.entries:
            return
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            now = self._database.now(connection, self._clock).timestamp()
            since = now - self._cache.expires.total_seconds()
            connection.execute(sa.delete(answers).where(sa.or_(answers.c.at <= since, answers.c.key == key)))
            # NUL is no text for PostgreSQL, and no part of JSON.
            connection.execute(sa.insert(answers).values(key=key, at=now, text=text.replace("\x00", "\ufffd")))
            newest = sa.select(answers.c.key).order_by(answers.c.at.desc(), answers.c.key).limit(self._cache.entries)
            connection.execute(sa.delete(answers).where(answers.c.key.not_in(newest)))

    def usage(self, days: int = 30) -> list[Use]:
        """What was used, by UTC day and model, newest first."""
        with self._database.read() as connection:
            now = self._database.now(connection, self._clock).timestamp()
            rows = connection.execute(
                sa.select(calls).where(calls.c.at >= _midnight(now) - (days - 1) * 86_400).order_by(calls.c.at.desc())
            ).all()
        groups: dict[tuple[str, str], list[sa.Row[Any]]] = {}
        for row in rows:
            groups.setdefault((f"{datetime.fromtimestamp(row.at, UTC):%F}", row.model), []).append(row)
        return [_use(day, model, group) for (day, model), group in groups.items()]


def _use(day: str, model: str, rows: Sequence[sa.Row[Any]]) -> Use:
    sent = [row for row in rows if row.state != "cached"]
    costs = [row.cost for row in sent if row.cost is not None]
    return Use(
        day=day,
        model=model,
        calls=len(sent),
        failed=sum(row.state == "failed" for row in sent),
        cached=len(rows) - len(sent),
        prompt_tokens=sum(row.prompt_tokens for row in sent),
        completion_tokens=sum(row.completion_tokens for row in sent),
        cost=sum(costs) if costs else None,
    )


def _midnight(now: float) -> float:
    """Unix seconds at which the UTC day began."""
    return now - now % 86_400


def _spent(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Spent:
    columns = (sa.func.sum(column) for column in (calls.c.prompt_tokens, calls.c.completion_tokens, calls.c.cost))
    row = connection.execute(sa.select(*columns).where(which)).one()
    return Spent(int(row[0] or 0), int(row[1] or 0), float(row[2] or 0.0))


def _added(connection: sa.Connection, now: float, model: str, about: str, state: str, spent: Spent) -> int:
    made = connection.execute(
        sa.insert(calls).values(
            at=now,
            model=model[:200],
            about=about[:100],
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            cost=spent.cost,
            state=state,
        )
    )
    key = made.inserted_primary_key
    assert key is not None
    return int(key[0])

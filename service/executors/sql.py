"""Runs allow-listed statements on PostgreSQL, ends idle sessions and cancels long queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.executors.sql_connection import Link, link
from service.executors.sql_reader import StatementReader
from service.executors.sql_sessions import (
    CancelInputs,
    SessionAct,
    SessionInputs,
    SessionOutputs,
    TerminateInputs,
    chosen_of,
)
from service.executors.sql_settings import SqlConfig
from service.executors.sql_statements import RunInputs, RunOutputs, StatementAct
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret

# The session verbs act on what the snapshot chose, by identity: a second time finds those ended, and takes no others.
VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "run", "Run an allow-listed statement in one transaction", RunInputs, RunOutputs, False, True, lingers=False
        ),
        Verb("terminate-idle", "End sessions that are idle for long", TerminateInputs, SessionOutputs, True, True),
        Verb("cancel-long", "Cancel queries that run for long", CancelInputs, SessionOutputs, True, True),
    )
}


class SqlExecutor:
    """Acts on PostgreSQL. Safe to use from several threads: each use has a connection of its own.

    Least privilege: a role of its own, LOGIN and nothing else (no superuser, no CREATEDB, CREATEROLE, REPLICATION or
    BYPASSRLS). For `run` and `sql` checks: the table privileges that the statements need, and SELECT, INSERT and UPDATE
    on the journal. For the session verbs: membership in pg_signal_backend, and in pg_read_all_stats to see what others
    do. PostgreSQL itself keeps such a role from signalling superusers.
    """

    name = "sql"
    verbs = VERBS

    def __init__(self, config: SqlConfig, secret: Callable[[str], str]) -> None:
        """`secret` resolves the reference of a password; asked at each use."""
        self._config = config
        self._secret = secret
        self.sql_reader = StatementReader(config, secret)
        """Answers `sql` checks."""

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> SqlExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(SqlConfig, config, where="executors.sql")
        for name, database in settings.databases.items():
            if database.password:
                where = f"executors.sql.databases.{name}.password"
                require_secret(context.secret, database.password, where=where)
        return cls(settings, context.secret)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`sql:DATABASE/STATEMENT`; for the session verbs `sql:DATABASE`."""
        if verb == "run":
            run = read_arguments(RunInputs, arguments)
            return f"sql:{run.database}/{run.statement}"
        return f"sql:{read_arguments(_session_model(verb), arguments).database}"

    def dry_run(self, call: Call) -> str:
        """The sessions that would be ended, or the plan of the statement, which is not executed."""
        if call.verb == "run":
            with self._statement(call) as act:
                name = call.arguments["statement"]
                return f"would run {name} ({act.statement.kind}) on {act.link.name}; its plan:\n{act.explain()}"
        with self._sessions(call) as sessions:
            return sessions.describe(*sessions.find())

    def snapshot(self, call: Call) -> dict[str, Any]:
        """For the session verbs `sessions`, which alone `act` will end, and `left`, how many more match."""
        if call.verb == "run":
            self._check(call)
            return {}
        with self._sessions(call) as sessions:
            chosen, left = sessions.find()
        return {"sessions": [session.model_dump() for session in chosen], "left": left}

    def act(self, call: Call) -> dict[str, Any]:
        """Run the statement, or end the sessions, within `call.timeout`. Raises ExecutorError."""
        if call.verb == "run":
            with self._statement(call) as act:
                done = act.read() if act.statement.kind == "read" else act.write()
                return done.model_dump()
        with self._sessions(call) as sessions:
            chosen, left = chosen_of(call.before), int(call.before.get("left", 0))
            if chosen is None:
                chosen, left = sessions.find()
            ended = sessions.end(chosen)
        return SessionOutputs(ended=len(ended), sessions=tuple(one.words for one in ended), left=left).model_dump()

    def observe(self, call: Call) -> Effect:
        """For `run` the journal's word; without one REPEATABLE for what may be run again, else UNKNOWN.

        For the session verbs HAPPENED where none of the chosen sessions is as it was, ABSENT where one is: ending the
        rest is right.
        """
        call = replace(call, cancelled=lambda: False)  # what was done before a person cancelled is asked all the same
        try:
            if call.verb == "run":
                return self._observe_run(call)
            chosen = chosen_of(call.before)
            if chosen is None:
                return Effect.UNKNOWN
            with self._sessions(call) as sessions:
                return Effect.ABSENT if sessions.remaining(chosen) else Effect.HAPPENED
        except ExecutorError:
            return Effect.UNKNOWN

    def _observe_run(self, call: Call) -> Effect:
        inputs = self._check(call)
        statement = self._config.statement(inputs.statement, inputs.database)
        if statement.kind == "read":
            return Effect.ABSENT
        if self._config.database(inputs.database).journal is None:
            return Effect.REPEATABLE if statement.idempotent else Effect.UNKNOWN
        with self._statement(call) as act:
            return act.observe()

    def _check(self, call: Call) -> RunInputs:
        """The inputs of a `run`, all that needs no database checked. Raises ExecutorError."""
        inputs = read_arguments(RunInputs, call.arguments)
        self._config.database(inputs.database)
        self._config.statement(inputs.statement, inputs.database).values(inputs.parameters)
        return inputs

    @contextmanager
    def _statement(self, call: Call) -> Iterator[StatementAct]:
        inputs = self._check(call)
        statement = self._config.statement(inputs.statement, inputs.database)
        values = statement.values(inputs.parameters)
        journal = self._config.database(inputs.database).journal
        with self._link(call, inputs.database) as made:
            yield StatementAct(made, statement, values, call.key, journal)

    @contextmanager
    def _sessions(self, call: Call) -> Iterator[SessionAct]:
        inputs = read_arguments(_session_model(call.verb), call.arguments)
        allowed = self._config.database(inputs.database).sessions
        if allowed is None:
            where = f"executors.sql.databases.{inputs.database}.sessions"
            raise refused(f"no session on {inputs.database} may be touched; set {where}")
        with self._link(call, inputs.database, autocommit=True) as made:
            made.limit()
            yield SessionAct(made, call.verb, inputs, allowed)

    @contextmanager
    def _link(self, call: Call, name: str, *, autocommit: bool = False) -> Iterator[Link]:
        try:
            with link(
                self._config.database(name),
                name,
                secret=self._secret,
                key=call.key,
                seconds=call.timeout.total_seconds(),
                autocommit=autocommit,
                cancelled=call.cancelled,
                confirm=call.confirm,
            ) as made:
                yield made
        except BadInput as error:  # a secret that can no longer be resolved
            raise refused(str(error)) from error


def _session_model(verb: str) -> type[SessionInputs]:
    models: dict[str, type[SessionInputs]] = {"terminate-idle": TerminateInputs, "cancel-long": CancelInputs}
    if verb not in models:
        raise refused(f"there is no sql/{verb}")
    return models[verb]

"""Small durable things: the kill switch, what correlation remembers, and the detector's saved state."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from models.correlation import Memory
from models.domain.base import Clock
from service.store.audit import AuditLog
from service.store.database import ADMISSION, Database
from service.store.tables import detector_states, switches

_KILL = "kill-switch"
_MEMORY = "correlation-memory"
_IS_ON = select(switches.c.value).where(switches.c.name == _KILL)


def kill_switch_is_on(connection: Connection) -> bool:
    """Whether new executions are stopped, as the caller's transaction sees it."""
    return bool(connection.execute(_IS_ON).scalar())


class KillSwitch:
    """Stops new executions over all replicas at once: every decision and every start reads it from the database."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def is_on(self) -> bool:
        """Whether new executions are stopped."""
        with self._database.read() as connection:
            return kill_switch_is_on(connection)

    def turn(self, on: bool, actor: str) -> None:
        """Turn it; the change is audited. Once this returns, nothing starts that it forbids, on any replica."""
        with self._database.write() as connection:
            # What is being started now is before the change, or sees it. It also makes people take turns.
            self._database.lock(connection, ADMISSION)
            connection.execute(delete(switches).where(switches.c.name == _KILL))
            connection.execute(insert(switches).values(name=_KILL, value=on))
            self._audit.append(connection, "kill-switch.on" if on else "kill-switch.off", _KILL, {}, actor)


class CorrelationMemory:
    """What correlation carries from one call to the next, kept with the incidents in one transaction."""

    def load(self, connection: Connection) -> Memory:
        """What the last call left."""
        value = connection.execute(select(switches.c.value).where(switches.c.name == _MEMORY)).scalar()
        return Memory.model_validate(value) if value else Memory()

    def save(self, connection: Connection, memory: Memory) -> None:
        """Keep it for the next call."""
        connection.execute(delete(switches).where(switches.c.name == _MEMORY))
        connection.execute(insert(switches).values(name=_MEMORY, value=memory.model_dump(mode="json")))


class DetectorStates:
    """What the detector knows, over a restart."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save(self, name: str, state: bytes) -> None:
        """Keep the newest state of the detector of that name."""
        with self._database.write() as connection:
            self._database.lock(connection, "detector-state")
            connection.execute(delete(detector_states).where(detector_states.c.name == name))
            connection.execute(
                insert(detector_states).values(name=name, saved_at=self._clock().timestamp(), state=state)
            )

    def load(self, name: str) -> bytes | None:
        """The state, where one was saved."""
        saved = self.saved(name)
        return None if saved is None else saved[1]

    def saved(self, name: str) -> tuple[float, bytes] | None:
        """When the state was saved, in unix seconds, and the state; None where none was."""
        columns = detector_states.c
        with self._database.read() as connection:
            query = select(columns.saved_at, columns.state).where(columns.name == name)
            row = connection.execute(query).first()
        return None if row is None else (row.saved_at, row.state)

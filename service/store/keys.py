"""API keys: shown once, stored as digests, with a role each."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, Row, insert, select, update

from models.domain.base import Clock, Frozen, Time
from models.domain.errors import NotFound, Unauthenticated
from service.security.roles import Role as Role  # noqa: PLC0414  (part of what a key is)
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.tables import keys

_PREFIX = "sut"


class Key(Frozen):
    """A key without its secret."""

    id: str
    name: str
    role: Role
    created_at: Time
    revoked_at: Time | None = None


class Keys:
    """The repository of API keys."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def create(self, name: str, role: Role, actor: str) -> tuple[Key, str]:
        """A new key and its text, which cannot be shown again."""
        with self._database.write() as connection:
            return self._create(connection, name, role, actor)

    def create_first(self, name: str, role: Role, actor: str) -> tuple[Key, str] | None:
        """The same where there is no key yet, else None; of replicas that ask at the same moment, one gets it."""
        with self._database.write() as connection:
            self._database.lock(connection, "first key")
            if connection.execute(select(keys.c.id).limit(1)).first() is not None:
                return None
            return self._create(connection, name, role, actor)

    def _create(self, connection: Connection, name: str, role: Role, actor: str) -> tuple[Key, str]:
        key = Key(id=secrets.token_hex(8), name=name, role=role, created_at=self._clock())
        secret = secrets.token_urlsafe(32)
        connection.execute(
            insert(keys).values(
                id=key.id, name=name, role=role, digest=_digest(secret), created_at=key.created_at.isoformat()
            )
        )
        self._audit.append(connection, "key.created", key.id, {"name": name, "role": role}, actor)
        return key, f"{_PREFIX}_{key.id}_{secret}"

    def authenticate(self, text: str) -> Key:
        """The key of that text. Raises Unauthenticated."""
        prefix, _, rest = text.partition("_")
        identifier, _, secret = rest.partition("_")
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.id == identifier)).first()
        if prefix != _PREFIX or row is None or not hmac.compare_digest(row.digest, _digest(secret)):
            raise Unauthenticated("this API key is not known")
        if row.revoked_at is not None:
            raise Unauthenticated("this API key was revoked")
        return _key(row)

    def find(self, identifier: str) -> Key | None:
        """The key of that id, revoked or not; None where there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.id == identifier)).first()
        return _key(row) if row is not None else None

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created_at))]

    def revoke(self, identifier: str, actor: str) -> None:
        """Make a key useless. Raises NotFound."""
        with self._database.write() as connection:
            changed = connection.execute(
                update(keys)
                .where(keys.c.id == identifier, keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock().isoformat())
            )
            if changed.rowcount != 1:
                raise NotFound(f"there is no active key {identifier}")
            self._audit.append(connection, "key.revoked", identifier, {}, actor)


def _digest(secret: str) -> str:
    # A fast hash is right here: the secret is 256 random bits, there is nothing to guess (unlike a password).
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key.model_validate(
        {"id": row.id, "name": row.name, "role": row.role, "created_at": row.created_at, "revoked_at": row.revoked_at}
    )

"""Approvals: a person's signed yes or no to one exact candidate, with an expiry."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol

from models.domain.base import Clock, canonical_json
from models.domain.errors import BadInput, Conflict, NotAllowed
from models.domain.execution import Approval, Execution, ExecutionState, Verdict
from service.files import write_once
from service.guard.names import person
from service.security.roles import Role
from service.security.secrets import resolve_secret
from service.settings import Settings
from service.store.audit import AuditLog
from service.store.executions import Executions
from service.store.keys import Key

SIGNING_KEY_FILE = "signing.key"
"""In the state folder."""


class KeyRing(Protocol):
    """The API keys, as far as they are asked here."""

    def find(self, identifier: str) -> Key | None:
        """The key of that id, revoked or not."""


class Objections(Protocol):
    """The guard, as far as it is asked here."""

    def objection(self, execution: Execution, by: str, role: Role, said_at: datetime, spoken: int) -> str | None:
        """Why that person's yes, given then after `spoken` others, does not count."""


@dataclass(frozen=True)
class Standing:
    """What people said of an execution so far, counting only signatures that hold and approvals of this candidate."""

    approved_by: tuple[str, ...]
    """Each person once."""
    rejected_by: tuple[str, ...]
    expires_in: timedelta
    """Zero or less: the time to decide has ended."""
    discounted: tuple[str, ...] = ()
    """Each yes that does not count (any more), with the reason."""

    def enough(self, needed: int) -> bool:
        """Whether enough different people said yes and none said no."""
        return not self.rejected_by and len(self.approved_by) >= needed


class Approvals:
    """Takes people's words and says how an execution stands."""

    def __init__(
        self,
        executions: Executions,
        key: bytes,
        expires: timedelta,
        clock: Clock,
        *,
        keys: KeyRing | None = None,
        guard: Objections | None = None,
    ) -> None:
        """`key` signs; `expires`: how long an execution waits, and how long a word holds.

        Without `keys` no yes that came by an API key counts; without `guard` only roles are looked at.
        """
        self._executions = executions
        self._key = key
        self._expires = expires
        self._clock = clock
        self._keys = keys
        self._guard = guard

    def give(
        self, execution_id: str, *, approved: bool, by: str, role: Role, key: str | None = None, comment: str = ""
    ) -> Approval:
        """Record a person's word, which came by the API key of the id `key` (None: at the command line).

        Raises NotFound, Conflict (does not wait, expired, spoke already) or NotAllowed.
        """
        execution = self._executions.get(execution_id)
        if execution.state is not ExecutionState.PENDING:
            raise Conflict(f"{execution_id} is {execution.state}; it does not wait for an approval")
        if execution.decision.verdict is not Verdict.NEEDS_APPROVAL:
            words = f"{execution_id} needs no approval and waits for none"
            raise Conflict(f"{words}; `suture execution cancel {execution_id}` stops it")
        if self._clock() >= self._expiry(execution):
            raise Conflict(f"the time to decide on {execution_id} ended at {self._expiry(execution).isoformat()}")
        before = self._executions.approvals(execution_id)
        same = next((word.by for word in before if person(word.by) == person(by)), None)
        if same is not None:
            raise Conflict(f"{by} has already decided on {execution_id}{'' if same == by else f', as {same}'}")
        now = self._clock()
        unsigned = Approval(
            id=f"APP-{secrets.token_hex(6)}",
            execution=execution_id,
            candidate_hash=execution.candidate.hash,
            approved=approved,
            by=by,
            role=role,
            key=key,
            # As it is stored: what is signed must read back the same.
            comment=comment.replace("\x00", "\ufffd"),
            at=now,
            expires_at=now + self._expires,
            signature="",
        )
        self._check(execution, unsigned, spoken=sum(word.approved for word in before))
        approval = unsigned.model_copy(update={"signature": self._sign(unsigned)})
        self._executions.add_approval(approval)
        return approval

    def standing(self, execution: Execution) -> Standing:
        """How an execution stands now."""
        now = self._clock()
        approved: dict[str, str] = {}
        rejected, discounted = [], []
        for word in self._executions.approvals(execution.id):
            if not self._is_about(word, execution) or now >= word.expires_at:
                continue
            if not word.approved:
                rejected.append(word.by)
                continue
            objection = self._objection(execution, word, spoken=len(approved))
            if objection is None:
                approved.setdefault(person(word.by), word.by)
            else:
                discounted.append(f"the yes of {word.by} does not count: {objection}")
        expires_in = self._expiry(execution) - now
        return Standing(tuple(approved.values()), tuple(rejected), expires_in, tuple(discounted))

    def _check(self, execution: Execution, word: Approval, spoken: int) -> None:
        """Raises NotAllowed where the word would not count."""
        role, needed = Role(word.role), _role_asked(execution)
        if not word.approved and not role.covers(needed):
            raise NotAllowed(f"deciding on {execution.id} takes the role {needed}; {word.by} is {role}")
        objection = self._objection(execution, word, spoken) if word.approved else None
        if objection is not None:
            raise NotAllowed(f"{word.by} cannot approve {execution.id}: {objection}")

    def _objection(self, execution: Execution, word: Approval, spoken: int) -> str | None:
        """Why a yes does not count; None where it does."""
        role = Role(word.role)
        if word.key is not None:
            known = self._keys.find(word.key) if self._keys else None
            if known is None or known.revoked_at is not None:
                return "the API key that it came by is revoked" if known else "the API key that it came by is not known"
            if not known.role.covers(role):
                return f"the API key that it came by is {known.role} by now, not {role}"
        needed = execution.decision.approvals_needed
        asked_by = execution.requested_by
        if asked_by is not None and person(asked_by) == person(word.by):
            if execution.candidate.risk == "high":
                return "who asked for a high-risk action cannot approve it"
            if needed > 1:
                return f"who asked for an action that {needed} people must approve is none of them"
        if self._guard is not None:
            return self._guard.objection(execution, word.by, role, word.at, spoken)
        asked = _role_asked(execution)
        return None if role.covers(asked) else f"it takes the role {asked}; {word.by} is {role}"

    def _is_about(self, word: Approval, execution: Execution) -> bool:
        signed = hmac.compare_digest(word.signature, self._sign(word))
        return signed and (word.execution, word.candidate_hash) == (execution.id, execution.candidate.hash)

    def _expiry(self, execution: Execution) -> datetime:
        return execution.created_at + self._expires

    def _sign(self, approval: Approval) -> str:
        # Without what is not set: words that were signed before a field was added keep their signatures.
        text = canonical_json(approval.model_dump(mode="json", exclude={"signature"}, exclude_none=True))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _role_asked(execution: Execution) -> Role:
    decision = execution.decision
    return Role.APPROVER if decision.approvers else Role(decision.approver_role or Role.ADMIN)


def signing_key(settings: Settings) -> bytes:
    """The installation's key: the one that the settings refer to, else one in the state folder, made on first use."""
    if settings.signing_key is not None:
        return resolve_secret(settings.signing_key).encode()
    return bytes.fromhex(write_once(settings.state_dir / SIGNING_KEY_FILE, secrets.token_hex(32)))


def own_signing_key(settings: Settings, audit: AuditLog) -> bytes:
    """As `signing_key`. Raises BadInput where the installation's is elsewhere: one made here would hold for nobody."""
    file = settings.state_dir / SIGNING_KEY_FILE
    if settings.signing_key is None and not file.is_file() and audit.has_seal():
        raise BadInput(
            f"{file} is not there, and the database is sealed with the signing key of another folder: "
            "name that one with --data, or set SUTURE_SIGNING_KEY"
        )
    return sealing_key(settings)()


def sealing_key(settings: Settings) -> Callable[[], bytes]:
    """The same key for the audit log, read when it is first used: commands that change nothing need none."""

    @cache
    def key() -> bytes:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return signing_key(settings)

    return key

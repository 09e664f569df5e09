"""Approvals: a person's signed yes or no to one exact candidate, with an expiry."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.domain.base import Clock, canonical_json
from models.domain.errors import Conflict, NotAllowed
from models.domain.execution import Approval, Execution, ExecutionState
from service.files import write_once
from service.security.secrets import resolve_secret
from service.settings import Settings
from service.store.executions import Executions
from service.store.keys import Role


@dataclass(frozen=True)
class Standing:
    """What people said of an execution so far, counting only signatures that hold and approvals of this candidate."""

    approved_by: tuple[str, ...]
    rejected_by: tuple[str, ...]
    expires_in: timedelta
    """Zero or less: the time to decide has ended."""

    def enough(self, needed: int) -> bool:
        """Whether enough different people said yes and none said no. `Ann` and `ann ` are one: names are by hand."""
        people = {unicodedata.normalize("NFKC", name).casefold().strip() for name in self.approved_by}
        return not self.rejected_by and len(people) >= needed


class Approvals:
    """Takes people's words and says how an execution stands."""

    def __init__(self, executions: Executions, key: bytes, expires: timedelta, clock: Clock) -> None:
        """`key` signs; `expires`: how long an execution waits, and how long a word holds."""
        self._executions = executions
        self._key = key
        self._expires = expires
        self._clock = clock

    def give(self, execution_id: str, *, approved: bool, by: str, role: Role, comment: str = "") -> Approval:
        """Record a person's word. Raises NotFound, Conflict (does not wait, expired, spoke already) or NotAllowed."""
        execution = self._executions.get(execution_id)
        if execution.state is not ExecutionState.PENDING:
            raise Conflict(f"{execution_id} is {execution.state}; it does not wait for an approval")
        if self._clock() >= self._expiry(execution):
            raise Conflict(f"the time to decide on {execution_id} ended at {self._expiry(execution).isoformat()}")
        needed = Role(execution.decision.approver_role or Role.ADMIN)
        if not role.covers(needed):
            raise NotAllowed(f"deciding on {execution_id} takes the role {needed}; {by} is {role}")
        now = self._clock()
        unsigned = Approval(
            id=f"APP-{secrets.token_hex(6)}",
            execution=execution_id,
            candidate_hash=execution.candidate.hash,
            approved=approved,
            by=by,
            role=role,
            comment=comment,
            at=now,
            expires_at=now + self._expires,
            signature="",
        )
        approval = unsigned.model_copy(update={"signature": self._sign(unsigned)})
        self._executions.add_approval(approval)
        return approval

    def standing(self, execution: Execution) -> Standing:
        """How an execution stands now."""
        now = self._clock()
        valid = [
            approval
            for approval in self._executions.approvals(execution.id)
            if hmac.compare_digest(approval.signature, self._sign(approval))
            and (approval.execution, approval.candidate_hash) == (execution.id, execution.candidate.hash)
            and now < approval.expires_at
        ]
        return Standing(
            approved_by=tuple(a.by for a in valid if a.approved),
            rejected_by=tuple(a.by for a in valid if not a.approved),
            expires_in=self._expiry(execution) - now,
        )

    def _expiry(self, execution: Execution) -> datetime:
        return execution.created_at + self._expires

    def _sign(self, approval: Approval) -> str:
        text = canonical_json(approval.model_dump(mode="json", exclude={"signature"}))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def signing_key(settings: Settings) -> bytes:
    """The installation's key: the one that the settings refer to, else one in the state folder, made on first use."""
    if settings.signing_key is not None:
        return resolve_secret(settings.signing_key).encode()
    return bytes.fromhex(write_once(settings.state_dir / "signing.key", secrets.token_hex(32)))

"""What people and systems may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a key may do; each may do all that the ones before it may."""

    VIEWER = "viewer"
    """Read everything but keys."""
    SENDER = "sender"
    """Also send telemetry and signals, and ask for recommendations."""
    APPROVER = "approver"
    """Also approve and reject, and turn the kill switch on."""
    ADMIN = "admin"
    """Also keys, and turning the kill switch off."""

    def covers(self, other: Role) -> bool:
        """Whether this role may do what the other may."""
        return list(Role).index(self) >= list(Role).index(other)

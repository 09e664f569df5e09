"""Whether what stands behind a name is a secret: a password of any look, a token, or something random."""

from __future__ import annotations

import math
import re
from collections import Counter

_PASSWORD = re.compile(r"(?i)passw|passphrase|pwd|secret|private[_-]?key|account[_-]?key|access[_-]?key")
_REFERENCE = re.compile(
    r"^(?:env|file|vault|ref|arn|projects|secretref|configmap)[:/]|^[$<{%*]|^/[\w./-]+$|^x{3,}$", re.IGNORECASE
)
"""Names of secrets, variables, masks and files: what points at a secret is none."""
_TOLD = """
true false null none nil undefined yes no on off ok empty unset unknown missing required optional invalid incorrect
wrong expired denied rejected refused failed failure error mismatch changed rotated reset revoked accepted valid
verified not is was has must too the for and with from string bytes redacted hidden masked policy authentication
authorization manager store rotation expiry count limit length
"""
_NO_VALUE = frozenset(_TOLD.split())
"""Words with which logs tell of a password."""
_NO_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:id|ids|sha\d*|hash|digest|etag|commit|checksum|integrity|fingerprint|revision|rev|version|image|"
    r"path|url|uri|file|query|span|trace|parent|pod|node|host|hostname|name|cursor|next|request|correlation|thumbprint|"
    r"md5|uuid|guid|label|job|topic|partition|type|class|method|state|traceparent|kid|serial|tag|ref|branch)s?$"
)
_NAME_OF_SECRET = re.compile(r"(?i)(?:name|ref|id|_path|file|type|policy|count|ttl|expiry)$")
_WORD_RUN = re.compile(r"[a-z]{8,}|[A-Z]{8,}")

RANDOM_LENGTH = 20
"""Characters from which a value can be called random: the shortest that common secret scanners look at."""
RANDOM_BITS = 3.6
"""Shannon entropy a character. 20 characters of base64 have 4.1 on average, an identifier of words 3.3."""


def bits(text: str) -> float:
    """Shannon entropy of the text's own letters, in bits a character (Shannon 1948)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0


def is_random(value: str) -> bool:
    """Whether the value looks drawn at random: long, of three kinds of characters, without a word, of high entropy.

    Hexadecimal alone never does: digests, trace ids and UUIDs are, and reasoning needs them.
    """
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", r"[+/=_-]"))
    return (
        len(value) >= RANDOM_LENGTH
        and bool(re.search("[a-z]", value) and re.search("[A-Z]", value) and re.search("[0-9]", value))
        and kinds >= 3
        and not _WORD_RUN.search(value)
        and bits(value) >= RANDOM_BITS
    )


def is_random_under(name: str, value: str) -> bool:
    """Whether the value looks random under a name that does not say that it is an identifier or a digest."""
    return not _NO_SECRET_NAME.search(name) and is_random(value)


def is_token(value: str) -> bool:
    """Whether the value can be a token: no plain word."""
    return bool(re.search(r"\d|[A-Z].*[a-z].*[A-Z]|=$", value)) and not _REFERENCE.match(value)


def is_password(name: str, mark: str, value: str) -> bool:
    """Whether what was given under such a name is the secret itself.

    A password may be any word but those with which logs tell of one ("password: incorrect"); a token or key has a
    digit and eight characters. `mark` stands between them: before a blank it is prose as often as an assignment.
    """
    plain = value.strip(".,:;!?")
    if len(plain) < 3 or plain.lower() in _NO_VALUE or _REFERENCE.match(plain) or _NAME_OF_SECRET.search(name):
        return False
    if _PASSWORD.search(name):
        return True
    long = len(plain) >= 8 and any(character.isdigit() for character in plain)
    return long and not (mark.endswith(" ") and plain.isdigit())

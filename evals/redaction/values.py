"""Made-up values in the forms of real secrets and personal data. All are drawn from a seed; none opens anything."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

_WORD = string.ascii_letters + string.digits
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HEX = "0123456789abcdef"

Maker = Callable[[random.Random], str]


def _of(alphabet: str, length: int, before: str = "", after: str = "") -> Maker:
    return lambda rng: before + "".join(rng.choices(alphabet, k=length)) + after


def _jwt(rng: random.Random) -> str:
    return "eyJ" + ".".join("".join(rng.choices(_WORD + "-_", k=length)) for length in (33, 80, 43))


def _pem(rng: random.Random) -> str:
    lines = ["".join(rng.choices(_WORD + "+/", k=64)) for _ in range(4)]
    kind = rng.choice(["RSA ", "EC ", ""])
    return "\n".join([f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"])


def _card(rng: random.Random) -> str:
    digits = rng.choice(["4", "51", "55", "2221"])
    digits += "".join(rng.choices(string.digits, k=15 - len(digits)))
    total = sum(int(d) * 2 - 9 * (int(d) > 4) if place % 2 == 0 else int(d) for place, d in enumerate(digits))
    digits += str(-total % 10)
    return rng.choice(["", " ", "-"]).join(digits[at : at + 4] for at in range(0, 16, 4))


def _iban(rng: random.Random) -> str:
    country, length = rng.choice([("DE", 22), ("GB", 22), ("FR", 27), ("NL", 18)])
    bank = "ABNA" if country in ("GB", "NL") else ""
    account = bank + "".join(rng.choices(string.digits, k=length - 4 - len(bank)))
    number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    plain = f"{country}{98 - number % 97:02d}{account}"
    return " ".join(plain[at : at + 4] for at in range(0, length, 4)) if rng.random() < 0.5 else plain


def _phone(rng: random.Random) -> str:
    digits = "".join(rng.choices("123456789", k=10))
    forms = (f"+49 {digits[:3]} {digits[3:]}", f"+1-{digits[:3]}-{digits[3:6]}-{digits[6:]}", f"+44{digits}",
             f"({digits[:3]}) {digits[3:6]}-{digits[6:]}")  # fmt: skip
    return rng.choice(forms)


def _mail(rng: random.Random) -> str:
    name = rng.choice(["ada", "grace.h", "alan+ops", "k_johnson", "m-hamilton"]) + str(rng.randrange(100))
    return f"{name}@{rng.choice(['example.com', 'mail.example.org', 'corp.example.co.uk'])}"


def _password(rng: random.Random) -> str:
    return rng.choice(["swordfish", "Tr0ub4dor", "letmein!", "correct-horse", "pa$$w0rd", "qwertz"]) + str(
        rng.randrange(10, 99)
    )


VALUES: dict[str, Maker] = {
    "aws": _of(_BASE32, 16, "AKIA"),
    "github": _of(_WORD, 36, "ghp_"),
    "github fine-grained": _of(_WORD + "_", 70, "github_pat_"),
    "gitlab": _of(_WORD, 20, "glpat-"),
    "slack": _of(_WORD, 24, "xoxb-123456789012-"),
    "stripe": _of(_WORD, 24, "sk_live_"),
    "google": _of(_WORD + "-_", 35, "AIza"),
    "openai": _of(_WORD, 40, "sk-proj-"),
    "npm": _of(_WORD, 36, "npm_"),
    "vault": _of(_WORD, 24, "hvs."),
    "jwt": _jwt,
    "pem": _pem,
    "bearer": _of(_WORD, 32),
    "random": _of(_WORD + "+/", 40),
    "hex": _of(_HEX, 32),
    "password": _password,
    "mail": _mail,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "user": lambda rng: rng.choice(["ada", "grace", "alan.t", "kjohnson", "mhamilton"]),
}
"""By the name under which a line of the corpus asks for one."""

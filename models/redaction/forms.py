"""The forms of secrets and personal data. Each pattern's group `it`, else its whole match, is what is replaced.

Prefixes are those that the issuers document, so that tokens can be found: GitHub (token formats), AWS (IAM
identifiers), Slack, Stripe, Google Cloud, npm, PyPI, Hugging Face, HashiCorp Vault, SendGrid, GitLab, OpenAI,
Anthropic.
All patterns run in linear time: every repetition is bounded, or cannot match what follows it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from models.redaction.checksums import is_card, is_iban
from models.redaction.values import is_password, is_random_under, is_token


class Form(NamedTuple):
    """One form: the word of its placeholder, the pattern, and what else must hold of a match."""

    kind: str
    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool] = lambda _: True


def _it(check: Callable[[str], bool]) -> Callable[[re.Match[str]], bool]:
    return lambda match: check(match["it"])


_KEYS = r"""(?x)(?<![A-Za-z0-9])(?:
    (?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}
  | gh[pousr]_[A-Za-z0-9]{30,255} | github_pat_[A-Za-z0-9_]{22,255}
  | glpat-[\w-]{20,64}
  | xox[abeoprs]-[A-Za-z0-9-]{10,255} | xapp-[A-Za-z0-9-]{10,255}
  | [rs]k_(?:live|test)_[A-Za-z0-9]{16,255} | whsec_[A-Za-z0-9+/=]{24,100}
  | AIza[\w-]{35} | ya29\.[\w-]{20,512} | GOCSPX-[\w-]{20,64}
  | sk-(?:proj-|ant-)?[\w-]{16,255}
  | npm_[A-Za-z0-9]{36} | pypi-[\w-]{16,255} | hf_[A-Za-z0-9]{30,64} | dop_v1_[a-f0-9]{64}
  | hv[sb]\.[\w-]{20,255} | SG\.[\w-]{16,64}\.[\w-]{16,64}
  | eyJ[\w-]{8,4096}\.[\w-]{8,8192}(?:\.[\w-]{0,1024})?
)(?![A-Za-z0-9])"""

# Lines of base64 or headers alone, and their end where there is one: nothing else is swallowed. A line break may be
# written as \n, as in JSON.
_END = r"(?:\r?\n|\\r\\n|\\n)"
_HEADER = r"[\w-]{1,40}: [^\n\\]{0,80}"
_PEM = (
    rf"-----BEGIN [A-Z ]{{0,30}}PRIVATE KEY-----"
    rf"(?:{_END}(?:{_HEADER}|[A-Za-z0-9+/=]{{0,100}})(?=[\r\n\\\"']|$)){{0,300}}"
    rf"(?:{_END}?-----END [A-Z ]{{0,30}}PRIVATE KEY-----)?"
)

_NAME = (
    r"(?P<name>[\w.-]{0,40}?(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"account[_-]?key|credentials?|x-auth)(?:[_-]?(?:key|value|id|data))?)"
)
# Up to the quote that closes it, where one does; in quotes that are themselves escaped, up to the next mark.
_VALUE = (
    r"""(?P<it>(?<=(?<!\\)")(?:[^"\\\n]|\\.){3,200}(?=")|(?<=(?<!\\)')(?:[^'\\\n]|\\.){3,200}(?=')"""
    r"""|(?<=\\["'])[^"'\\\n]{3,200}|[^\s"'\\,;&<>(){}\[\]]{3,200})"""
)
_OPTION = rf"(?<![\w-])--?{_NAME}[ =](?P<it>[^\s\"'\\,;&]{{3,200}})"
_ASSIGNED = rf"(?<![\w.-])(?<!://){_NAME}(?P<mark>\\?[\"']?\s{{0,3}}(?::=|=>|[:=])\s{{0,3}})(?:\\?[\"'])?{_VALUE}"
_ANY = (
    r"(?<![\w.-])(?P<name>[A-Za-z][\w.-]{0,40})\\?[\"']?\s?[:=]\s?\\?[\"']?"
    r"(?P<it>[A-Za-z0-9+/_=-]{20,200})(?![\w+/=-])"
)

_MAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])"
_NO_MAIL = re.compile(r"^git@|\.(?:service|socket|timer|mount|slice|target|scope|device|path)$")
_PHONE = (
    r"(?<![\w+.-])(?:\+\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?\d{1,4}(?:[ -]?\d{2,4}){2,4}|\(\d{3}\) ?\d{3}-\d{4})(?![\w.%-])"
)
_HOME = r"(?:/home/|/Users/|[A-Za-z]:(?:\\{1,2})Users(?:\\{1,2}))(?P<it>[\w.-]{2,40})(?=[/\\:\s\"']|$)"
_CARD = r"(?<![\w.-])(?:\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,4}|3\d{3}[ -]?\d{6}[ -]?\d{5})(?![\w.-])"
_IBAN = r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Z0-9])"
_HEADER_VALUE = r"(?i)authorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:\w{2,12} )?(?P<it>[\w.~+/=-]{6,4096})"

_SYSTEM_USERS = """
root ubuntu ec2-user app runner jenkins postgres node nobody git admin deploy default public shared user www-data
service vagrant centos debian core opc airflow spark nginx redis mysql
"""
_NOBODY = frozenset(_SYSTEM_USERS.split())
"""Users that are no person."""


def _is_given(match: re.Match[str]) -> bool:
    return is_password(match["name"], match.groupdict().get("mark", "="), match["it"])


SECRETS = (
    Form("SECRET", re.compile(_KEYS)),
    Form("SECRET", re.compile(_PEM)),
    Form("SECRET", re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/(?P<it>[\w/-]{20,120})")),
    Form("SECRET", re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s/@:\"'<>]{0,64}:(?P<it>[^\s/@\"'<>]{1,128})@")),
    Form("SECRET", re.compile(_HEADER_VALUE), _it(is_token)),
    Form("SECRET", re.compile(r"(?i)\bbearer (?P<it>[\w.~+/=-]{16,4096})"), _it(is_token)),
    Form("SECRET", re.compile(r"(?i)\b(?:set-)?cookie: ?[\w.-]{1,64}=(?P<it>[^;\s\"']{8,4096})")),
    Form("SECRET", re.compile(rf"(?i){_ASSIGNED}"), _is_given),
    Form("SECRET", re.compile(rf"(?i){_OPTION}"), _is_given),
    Form("SECRET", re.compile(_ANY), lambda match: is_random_under(match["name"], match["it"])),
)  # fmt: skip

PERSONAL = (
    Form("EMAIL", re.compile(_MAIL), lambda match: not _NO_MAIL.search(match[0].lower())),
    Form("IBAN", re.compile(_IBAN), lambda match: is_iban(match[0])),
    Form("CARD", re.compile(_CARD), lambda match: is_card(match[0])),
    Form("PHONE", re.compile(_PHONE), lambda match: 9 <= sum(map(str.isdigit, match[0])) <= 15),
    Form("USER", re.compile(_HOME), _it(lambda name: name.lower() not in _NOBODY)),
)  # fmt: skip


def _is_public(match: re.Match[str]) -> bool:
    try:
        return ipaddress.ip_address(match[0]).is_global
    except ValueError:
        return False


ADDRESSES = (
    Form("IP", re.compile(r"(?<![\w.:-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)"), _is_public),
    Form("IP", re.compile(r"(?<![\w.:-])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,7}(?![\w.:-])"), _is_public),
)

"""What a metric's name says of its series: how its values are read, and what a departure of it would mean.

The conventions are those of Prometheus (https://prometheus.io/docs/practices/naming/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/): suffixes for counters, base units, `up` for availability.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from functools import lru_cache

from models.domain.base import Labels
from models.domain.signal import Direction


class Kind(IntEnum):
    """How the values of a series are read."""

    SKIPPED = 0
    """Not scored: buckets, unix times, info series."""
    GAUGE = 1
    COUNTER = 2
    """Cumulative: its rate is scored."""
    SUM = 3
    """The sum of a histogram or summary: the mean per event is scored where its `_count` is there too."""
    STATE = 4
    """1 is well, 0 is not: only a fall is scored."""


_SKIPPED = ("_bucket", "_created", "_info")
_MOMENTS = re.compile(r"_not_after(_seconds)?$|_timestamp(_seconds)?$|_start_time_seconds$|_cert_expiry$")
"""A unix time says when something happened or ends: a renewal or a deployment is no departure of it."""
_STATES = ("_up", "_healthy", "_ready", "probe_success")


def kind_of(name: str) -> Kind:
    """The kind of a series with that metric name; a name that says nothing is a gauge's."""
    if not name or name.endswith(_SKIPPED) or _MOMENTS.search(name):
        return Kind.SKIPPED
    if name == "up" or name.endswith(_STATES):
        return Kind.STATE
    if name.endswith("_sum"):
        return Kind.SUM
    return Kind.COUNTER if name.endswith(("_total", "_count")) else Kind.GAUGE


class Role(StrEnum):
    """What a metric measures of its service, as on-call engineers sort it (the golden signals of the SRE book)."""

    AVAILABILITY = "availability"
    ERRORS = "errors"
    LATENCY = "latency"
    SATURATION = "saturation"
    TRAFFIC = "traffic"
    CONTEXT = "context"
    """Of the runtime or of the scrape itself: explains, and opens nothing alone."""
    OTHER = "other"


_ERROR_NAME = re.compile(r"error|fail|exception|timeout|refused|abort|5xx", re.IGNORECASE)
_ERROR_CODE = re.compile(r"5\d\d|5xx|error|.*fail.*|timeout|(?!ok$).*exception.*", re.IGNORECASE)
_LATENCY = re.compile(r"latency|duration|response_time|_seconds$|_milliseconds$", re.IGNORECASE)
_SATURATION = re.compile(
    r"cpu|connections|pool|queue|in_use|in_flight|inflight|pending|backlog|memory|disk|usage|utili[sz]ation|lag$",
    re.IGNORECASE,
)
_TRAFFIC = re.compile(r"requests|queries|transactions|messages|operations", re.IGNORECASE)
# A pool's waiting time is the pool's: saturation is asked first.
_BY_NAME = ((_SATURATION, Role.SATURATION), (_LATENCY, Role.LATENCY), (_TRAFFIC, Role.TRAFFIC))
_CONTEXT = ("process_", "python_", "go_", "jvm_", "nodejs_", "scrape_", "promhttp_")
# Of `models.detection.logs`: counts of lines by template and level, and of events such as deployments.
LOG_LINES, LOG_ERRORS, LOG_TEMPLATE_LINES = "log_lines_total", "log_errors_total", "log_template_lines_total"
CHANGES = "change_events_total"
_OF_LOGS = frozenset({LOG_LINES, LOG_ERRORS, LOG_TEMPLATE_LINES})
_BAD_LEVELS = ("error", "critical")
_CODE_LABELS = ("code", "status", "status_code", "outcome", "result")


def role_of(name: str, labels: Labels) -> Role:
    """The role of a series by its metric name and its status labels (`code="500"`, `status="error"`)."""
    return _role(name, labels.get("level"), tuple(labels[key] for key in _CODE_LABELS if key in labels))


# Asked for every signal of an incident, whenever one comes; there are few names.
@lru_cache(maxsize=4096)
def _role(name: str, level: str | None, codes: tuple[str, ...]) -> Role:
    if kind_of(name) is Kind.STATE:
        return Role.AVAILABILITY
    # More lines, or fewer, at a level that is no error explain what others found.
    if name.startswith(_CONTEXT) or name == CHANGES or (name in _OF_LOGS and level not in _BAD_LEVELS):
        return Role.CONTEXT
    if _ERROR_NAME.search(name) or name in _OF_LOGS or any(_ERROR_CODE.fullmatch(code) for code in codes):
        return Role.ERRORS
    if name.endswith("_count"):
        return Role.TRAFFIC
    for pattern, role in _BY_NAME:
        if pattern.search(family_of(name)):
            return role
    return Role.OTHER


_HARMFUL: dict[Role, tuple[Direction, ...]] = {
    Role.AVAILABILITY: ("down",),
    Role.ERRORS: ("up",),
    Role.LATENCY: ("up",),
    Role.SATURATION: ("up",),
    Role.TRAFFIC: ("down",),
    Role.OTHER: ("up", "down"),
    Role.CONTEXT: (),
}


def harmful(role: Role, direction: Direction) -> bool:
    """Whether a departure of that role in that direction can mean harm: errors that rise, traffic that falls."""
    return direction in _HARMFUL[role]


def family_of(name: str) -> str:
    """The metric without the suffix that its type adds: series of one family are not independent witnesses."""
    if name in _OF_LOGS:
        return "log_lines"  # the same lines, counted in several ways
    for suffix in ("_sum", "_count", "_total"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name

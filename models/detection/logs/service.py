"""The log of one service: its templates, its counts, and its record of new errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from models.detection.logs.config import LogSettings
from models.detection.logs.levels import ERRORS
from models.detection.logs.lines import LogLine, Owner, Taken
from models.detection.logs.masking import mask, telling_line
from models.detection.logs.novelty import ALONE, WAITS, Novelty
from models.detection.logs.templates import Template, Templates
from models.detection.meaning import LOG_ERRORS, LOG_LINES, LOG_TEMPLATE_LINES
from models.domain.base import Labels, Severity
from models.domain.signal import Signal, SignalKind

NEW_ERROR = "new error in the log"
"""The name of the signal."""
SERIES_FROM = 3
"""Lines from which a template is a series: lines that never come again must not fill the store of samples."""


class ServiceLog:
    """What is known of one service's lines."""

    def __init__(self, owner: Owner, since: float, settings: LogSettings) -> None:
        self.owner = owner
        self.settings = settings
        self.templates = Templates(settings.max_templates)
        self.novelty = Novelty(since)
        self.lines = 0
        self.errors = dict.fromkeys(sorted(ERRORS), 0)
        """Lines by level of error."""
        self._looked_up = 0
        """In the present interval."""

    def take(self, line: LogLine, taken: Taken, *, late: bool) -> bool:
        """Count one line; whether there may be other series than before."""
        taken.accepted += 1
        taken.late += late
        if not late:
            self.lines += 1
            if line.level in self.errors:
                self.errors[line.level] += 1
        if self._looked_up >= self.settings.max_rate * self.settings.interval.total_seconds():
            taken.by_level_only += 1
            return False
        self._looked_up += 1
        text = telling_line(line.text)
        if len(text) > self.settings.max_line:
            taken.cut += 1
            text = text[: self.settings.max_line]
        held = len(self.templates.by_id)
        template, fresh = self.templates.add(line.level, mask(text), line.at)
        if late:
            # A series may not jump by what lies in the past.
            template.sampled += 1
            template.count_late += 1
        if fresh:
            taken.templates_left += held + 1 - len(self.templates.by_id)
            if line.level in ERRORS and not late and not self.novelty.learning(line.at, self.settings):
                self.novelty.arrived(template.id, line.at)
        return fresh or template.count == SERIES_FROM

    def series(self) -> list[Labels]:
        """The series of the service as a whole, in the order of `end_interval`."""
        base = self.labels
        return [
            {"__name__": LOG_LINES, **base},
            *({"__name__": LOG_ERRORS, **base, "level": level} for level in self.errors),
        ]

    def template_series(self) -> list[Labels]:
        """The series of its templates, in the order of `template_values`."""
        return [self._series_of(template) for template in self._counted()]

    def end_interval(self) -> list[float]:
        """The counts of the service now; begins another interval."""
        self._looked_up = 0
        for template in self.templates.by_id.values():
            template.grew, template.sampled = template.count - template.sampled, template.count
        return [float(self.lines), *map(float, self.errors.values())]

    def template_values(self) -> list[float]:
        """The counts of its templates now."""
        return [float(template.series_value) for template in self._counted()]

    def news(self, at: float) -> list[Signal]:
        """Signals of new errors that came in the interval that ended at `at`."""
        found = []
        for identifier in list(self.novelty.watched):
            template = self.templates.by_id.get(identifier)
            if template is None:
                del self.novelty.watched[identifier]
                continue
            newcomer = self.novelty.judge(identifier, template.count, at, self.settings)
            if newcomer is not None and newcomer.p is not None and newcomer.p <= WAITS and template.grew:
                found.append(self._signal(template, newcomer.first_at, newcomer.p, at))
        return found

    @property
    def labels(self) -> Labels:
        """Of every series and signal of this service."""
        service, environment = self.owner
        named = {"service": service, "environment": environment}
        return {name: value for name, value in named.items() if value}

    def loudest(self, most: int = 3) -> list[Template]:
        """The templates of errors that grew most in the last interval."""
        grown = [one for one in self.templates.by_id.values() if one.grew and one.level in ERRORS]
        return sorted(grown, key=lambda one: -one.grew)[:most]

    def _counted(self) -> list[Template]:
        return [one for one in self.templates.by_id.values() if one.count >= SERIES_FROM]

    def _series_of(self, template: Template) -> Labels:
        return {
            "__name__": LOG_TEMPLATE_LINES, **self.labels, "level": template.level, "template": str(template.id),
        }  # fmt: skip

    def _signal(self, template: Template, first_at: float, p: float, at: float) -> Signal:
        labels = self._series_of(template)
        metric = labels.pop("__name__")
        rare = f"a new one within {self.settings.new_within.total_seconds():.0f} s has p = {p:.2g} here in health"
        return Signal(
            kind=SignalKind.ANOMALY,
            name=NEW_ERROR,
            at=datetime.fromtimestamp(at, UTC),
            metric=metric,
            labels=labels,
            severity=Severity.WARNING if p <= ALONE else Severity.INFO,
            value=float(template.count),
            text=f"{self.templates.words(template)}\n"
            f"never seen before at level {template.level}; {template.count} lines in {at - first_at:.0f} s; {rare}",
            source="logs",
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "owner": list(self.owner),
            "novelty": self.novelty.dump(),
            "lines": self.lines,
            "errors": self.errors,
            "looked_up": self._looked_up,
            **self.templates.dump(),
        }

    @classmethod
    def restored(cls, state: dict[str, Any], settings: LogSettings) -> ServiceLog:
        """The inverse of `dump`."""
        service, environment = state["owner"]
        log = cls((service, environment), 0.0, settings)
        log.novelty = Novelty.restored(state["novelty"])
        log.lines, log._looked_up = int(state["lines"]), int(state["looked_up"])
        log.errors = {level: int(state["errors"][level]) for level in log.errors}
        log.templates.restore(state)
        return log

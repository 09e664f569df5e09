"""Reads what ansible-runner wrote down of a run: what each host did, what changed, what failed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.domain.base import Frozen
from service.executors.hiding import hidden

_MOST = 100
"""Tasks that are told of each kind: outputs are stored, and shown in a ticket."""
_WORDS = 400
"""Characters of one task's words."""
_DIFF = 2000
"""Characters of all differences together."""
_EVENT_BYTES = 4_194_304
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")
_CONDITIONAL = frozenset({"skip_reason", "skipped_reason", "false_condition"})
"""Of a task that its own `when` or an empty loop left out: it would be left out in earnest too."""


class HostStats(Frozen):
    """How many tasks of one host ended how."""

    ok: int
    changed: int
    failed: int
    unreachable: int


@dataclass
class Events:
    """What is known of one run. Tasks are told as `HOST: TASK`, failures with their words.

    `begun`: at least one task was started. `touched`: something was changed, or may have been. `blind`: tasks that
    check mode left out. `hosts` is None where the run did not come to its end. `secrets` are kept out of all words.
    """

    secrets: Sequence[str] = ()
    begun: bool = False
    touched: bool = False
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    diff: str = ""
    hosts: dict[str, HostStats] | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Add one event."""
        data = event.get("event_data") or {}
        result = data.get("res") or {}
        task = self._shown(f"{data.get('host', '?')}: {data.get('task') or 'a task without a name'}")
        match event.get("event"):
            case "playbook_on_task_start" | "runner_on_start":
                self.begun = True
            case "runner_on_ok" if result.get("changed"):
                self.touched = True
                _add(self.changed, task)
                self.diff = (self.diff + self._difference(result.get("diff")))[:_DIFF]
            case "runner_on_failed":
                # A command that failed says `changed`, and of a censored task nothing is said.
                self.touched |= bool(result.get("changed", True))
                if not data.get("ignore_errors"):
                    _add(self.failed, f"{task}: {self._said(result)}")
            case "runner_on_unreachable":
                _add(self.unreachable, f"{task}: {self._said(result)}")
            case "runner_on_skipped" if not _CONDITIONAL & result.keys():
                _add(self.blind, task)
            case "playbook_on_stats":
                self.hosts = _stats(data)
                self.touched |= any(host.changed for host in self.hosts.values())

    def _shown(self, text: str) -> str:
        # Before anything is cut or folded: half a secret is not found any more.
        return hidden(text, self.secrets)

    def _said(self, result: Mapping[str, Any]) -> str:
        words = str(result.get("msg") or result.get("censored") or "no words")
        detail = str(result.get("stderr") or "").strip()
        return " ".join(self._shown(f"{words} {detail}").split())[:_WORDS]

    def _difference(self, diff: Any) -> str:
        parts = diff if isinstance(diff, list) else [diff]
        lines: list[str] = []
        for part in parts:
            if isinstance(part, Mapping) and "prepared" in part:
                lines.append(self._shown(str(part["prepared"])))
            elif isinstance(part, Mapping) and {"before", "after"} <= part.keys():
                before, after = (self._shown(_text(part[side])).splitlines() for side in ("before", "after"))
                old, new = (self._shown(str(part.get(f"{side}_header") or side)) for side in ("before", "after"))
                lines += difflib.unified_diff(before, after, old, new, lineterm="", n=1)
        return "".join(f"\n{line}" for line in lines)


def read_events(artifacts: Path, secrets: Sequence[str]) -> Events:
    """The events in ansible-runner's folder of one run, in their order. Of what cannot be read the worst is taken."""
    events = Events(secrets)
    numbered = []
    for file in (artifacts / "job_events").glob("*.json"):
        number = file.name.partition("-")[0]
        # ansible-runner numbers an event when it has read it; one of a killed run keeps the name that ansible gave it.
        if not number.isdigit() or file.name.endswith("-partial.json"):
            events.begun = True
        elif file.stat().st_size > _EVENT_BYTES:
            events.begun = events.touched = True
        else:
            numbered.append((int(number), file))
    for _, file in sorted(numbered):
        events.take(json.loads(file.read_text()))
    return events


def last_words(artifacts: Path, secrets: Sequence[str]) -> str:
    """The end of what ansible-playbook printed, without colours and secrets."""
    file = artifacts / "stdout"
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        start = max(0, file.stat().st_size - 4 * _WORDS)
        stream.seek(start)
        text = stream.read().decode("utf-8", "replace")
    return " ".join(hidden(_TERMINAL.sub("", text), secrets, cut_at_start=start > 0).split())[-_WORDS:]


def _stats(data: Mapping[str, Any]) -> dict[str, HostStats]:
    def count(kind: str, host: str) -> int:
        return int((data.get(kind) or {}).get(host, 0))

    return {
        host: HostStats(
            ok=count("ok", host),
            changed=count("changed", host),
            failed=count("failures", host),
            unreachable=count("dark", host),
        )
        for host in sorted(data.get("processed") or {})
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, indent=1)


def _add(tasks: list[str], task: str) -> None:
    if len(tasks) < _MOST:
        tasks.append(task)

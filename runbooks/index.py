"""The table of docs/library.md: each runbook of a folder with its actions and what it needs from the installation.

`python -m runbooks.index` prints it for the library; a test compares it with the page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from models.domain.runbook import Action, Parameter, Runbook, Step
from runbooks import LIBRARY
from runbooks.loader import load_corpus

_LABEL = re.compile(r"incident\.labels\.([A-Za-z_][A-Za-z0-9_]*)")
_NAMED = {"script/": "program", "http/": "target", "ansible/": "playbook", "sql/run": "statement"}
"""What a verb's argument names that the settings must list, by the beginning of the verb."""


def index_table(runbooks: Sequence[Runbook]) -> str:
    """The table in Markdown, one line a runbook, in the order of their ids."""
    lines = ["| runbook | actions: verb, risk | labels | also |", "|---|---|---|---|"]
    for one in sorted(runbooks, key=lambda runbook: runbook.id):
        actions = "<br>".join(_described(action) for action in one.actions)
        labels, named = (", ".join(f"`{name}`" for name in names) for names in (labels_of(one), named_by(one)))
        link = f"[{one.title}](../runbooks/library/{one.id}.md)"
        lines.append(f"| {link} | {actions} | {labels} | {named} |")
    return "\n".join(lines)


def labels_of(runbook: Runbook) -> tuple[str, ...]:
    """The labels without which some action of it is not offered, in the order of its parameters."""
    return _labels(parameter for parameter in runbook.parameters.values() if parameter.default is None)


def optional_labels_of(runbook: Runbook) -> tuple[str, ...]:
    """The labels that take the place of a default, in the order of its parameters."""
    return _labels(parameter for parameter in runbook.parameters.values() if parameter.default is not None)


def named_by(runbook: Runbook) -> tuple[str, ...]:
    """Programs, targets, playbooks and statements that its actions name and that the settings must list."""
    return tuple(dict.fromkeys(name for action in runbook.actions for step in _steps(action) for name in _names(step)))


def _labels(parameters: Iterable[Parameter]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in parameters for name in _LABEL.findall(one.source or "")))


def _described(action: Action) -> str:
    asks = "" if action.approval == "policy" else f", approval {action.approval}"
    return f"`{action.id}`: {action.uses}, {action.risk}{asks}"


def _steps(action: Action) -> Iterator[Step]:
    yield action
    if action.rollback is not None:
        yield action.rollback


def _names(step: Step) -> Iterator[str]:
    for verb, argument in _NAMED.items():
        value: Any = step.arguments.get(argument)
        # A template is a label's business.
        if step.uses.startswith(verb) and isinstance(value, str) and "{{" not in value:
            yield value


if __name__ == "__main__":
    sys.stdout.write(index_table(load_corpus([LIBRARY]).runbooks) + "\n")

"""Expressions in documents: they end soon, reach nothing, and a bad one costs its own runbook alone."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.domain.errors import BadInput
from models.domain.incident import Incident
from models.domain.runbook import Parameter
from models.domain.signal import Signal, SignalKind
from runbooks.binding import bind
from runbooks.expressions import BadExpression, NoValue, Variables, value_of
from runbooks.lint import lint
from runbooks.loader import load_corpus
from runbooks.parameters import Unresolved, accept
from runbooks.triggers import check_trigger, matches, signal_variables
from service.promql.parsing import parse
from tests.attacks.test_parameters import CATALOGUE

FAMILY = "expressions"
AT = datetime(2026, 1, 2, tzinfo=UTC)
LABELS = {str(number): "x" for number in range(64)}
SIGNAL = Signal(kind=SignalKind.ALERT, name="a" * 500, at=AT, labels=LABELS, text="a" * 65_000)
LONG_LIST = "[" + ",".join(["1"] * 200) + "]"

SLOW_TRIGGERS = {
    "nested macros": "signal.labels.all(a, " * 6 + "true" + ")" * 6,
    "nested lists": f"{LONG_LIST}.all(a, {LONG_LIST}.all(b, {LONG_LIST}.all(c, true)))",
    "macros with blanks": "signal.labels . all (a, signal.labels. exists (b, signal.labels .exists_one(c, true)))",
    "macros behind comments": "signal.labels.all(a, // x\nsignal.labels.all(b, //)\nsignal.labels.all(c, true)))",
    "chain of maps": "[signal.text]" + ".map(x, x + x)" * 60 + ".all(x, true)",
    "sums": "size(" + " + ".join(["signal.text"] * 140) + ") > 0",
    "expression": 'signal.text.matches("(a+)+$b")',
    "alternatives": 'signal.text.matches("(a|a|aa)*b")',
    "counted": 'signal.text.matches("((a{1,200}){1,200}){1,20}b")',
    "deep brackets": "(" * 900 + "true" + ")" * 900,
    "deep not": "!" * 1_900 + "true",
    "deep lists": "[" * 900 + "]" * 900,
    "deep calls": "size(" * 300 + "signal.text" + ")" * 300,
    "deep conditions": "true ? " * 250 + "true" + " : true" * 250,
    "long": "signal.name == 'a' || " * 10_000 + "true",
}  # fmt: skip

REACHING = {
    "class": "signal.__class__",
    "class of a label": "signal.labels.__class__.__mro__",
    "by index": 'signal["__class__"]',
    "import": "__import__('os')",
    "eval": "eval('1')",
    "open": "open('/etc/passwd')",
    "environment": "env.HOME",
    "other variable": "incident.id",
    "settings": "settings.policies",
    "globals": "globals()",
    "method": "signal.name.format(signal)",
}

SLOW_QUERIES = {
    "brackets": "(" * 2_000 + "up" + ")" * 2_000,
    "brackets by the thousand": "(" * 30_000 + "up" + ")" * 30_000,
    "signs": "-" * 4_000 + "up",
    "signs and blanks": "- " * 2_400 + "up",
    "calls": "abs(" * 900 + "up" + ")" * 900,
    "sums": "up" + " + up" * 900,
    "subqueries": "up" + "[1m:1s]" * 600,
    "long": "up or " * 10_000 + "up",
    "expression": 'up{x=~"((a{1,200}){1,200}){1,20}"}',
}

SLOW_PATTERNS = {
    "nested": "^(a+)+$",
    "alternatives": "^(a|aa)+$",
    "optional": "^(a?){30}a{30}$",
    "words": r"^(\w+\s?)*$",
    "dots": "^(.*a){12}$",
    "look-ahead": "^(?=(a+)+$)a",
    "back reference": r"^(a*)\1$",
    "broken": "(",
    "huge": "(a{1,900}){1,900}",
}


@pytest.mark.parametrize("name", SLOW_TRIGGERS)
def test_a_trigger_ends_soon_on_the_largest_signal(attack, name):
    with attack("trigger", name), at_most(1.0):
        matches(SLOW_TRIGGERS[name], signal_variables(SIGNAL))


@pytest.mark.parametrize("name", REACHING)
def test_a_trigger_reads_the_signal_and_nothing_else(attack, name):
    source = REACHING[name]
    with attack("refused or without a value", name):
        assert refused(source)
        assert not matches(source, signal_variables(SIGNAL))


def refused(source: str) -> bool:
    """By the linter, or where it is evaluated."""
    try:
        check_trigger(source)
        value_of(source, Variables(signal={"name": "x", "labels": {}}))
    except (BadExpression, NoValue):
        return True
    return False


@pytest.mark.parametrize("name", SLOW_QUERIES)
def test_a_query_is_parsed_soon_or_refused(attack, name):
    with attack("query", name), at_most(1.0), suppress(BadInput):
        parse(SLOW_QUERIES[name])


@pytest.mark.parametrize("name", SLOW_PATTERNS)
def test_a_pattern_takes_linear_time(attack, name):
    parameter = Parameter(pattern=SLOW_PATTERNS[name])
    for value in ("a" * 999 + "!", "a b " * 249 + "!", "a" * 1_000):
        with attack("pattern", name, value[:5]), at_most(0.5):
            try:
                accept(parameter, value)
            except Unresolved:
                continue


@pytest.mark.parametrize("kind", ["trigger", "query", "pattern"])
def test_a_hostile_runbook_costs_itself_alone(attack, write_document, tmp_path, kind):
    """Linted and bound beside a good one. In a process of its own first: what overflows the stack ends a process."""
    write_document("good.md", document("good"))
    table = {"trigger": SLOW_TRIGGERS, "query": SLOW_QUERIES, "pattern": SLOW_PATTERNS}[kind]
    for number, (_, text) in enumerate(table.items()):
        write_document(f"bad-{number}.md", document(f"bad-{number}", **{kind: text}))
    program = "import sys, pathlib, runbooks.lint as rules; print(len(rules.lint([pathlib.Path(sys.argv[1])], {})))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "runbooks")],
        capture_output=True, timeout=60, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    with attack("lint", kind):
        assert done.returncode == 0, done.stderr.decode()[-500:]
    signal = Signal(kind=SignalKind.ALERT, name="GoodDown", at=AT)
    incident = Incident(
        id="INC-1", title="x" * 400, signals=(signal,), started_at=AT, detected_at=AT, updated_at=AT
    )  # fmt: skip
    corpus = load_corpus([tmp_path / "runbooks"])
    with attack("bind", kind), at_most(3.0):
        binding = bind(corpus.runbooks, incident, CATALOGUE)
        assert "good" in {match.runbook for match in binding.matched}
        assert "good" in {candidate.runbook for candidate in binding.candidates}
    with attack("lint in this process", kind), at_most(5.0):
        assert lint([tmp_path / "runbooks"], CATALOGUE)


def document(name: str, trigger: str = 'signal.name == "GoodDown"', query: str = "up", pattern: str = ".*") -> str:
    return textwrap.dedent(
        f"""\
        ---
        id: {name}
        title: {name}
        triggers: [{json.dumps(trigger)}]
        parameters:
          title: {{type: string, from: incident.title, pattern: {json.dumps(pattern)}}}
        actions:
          - id: fix
            title: Fix it
            uses: ledger/write
            with: {{name: "{{{{ title }}}}"}}
            verify:
              - {{query: {json.dumps(query)}, is: "== 1"}}
        ---
        # {name}
        """
    )


class at_most:  # noqa: N801  (reads as a phrase)
    """Fails where the block took more seconds of processor time of this process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *error: object) -> None:
        assert time.process_time() - self._began < self._seconds

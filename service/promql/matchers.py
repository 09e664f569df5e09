"""Label matchers: equality and fully anchored regular expressions; a label that is absent counts as empty."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import promql_parser as ast

from models.domain.base import Labels
from models.domain.errors import BadInput

Test = Callable[[str], bool]


def predicate(matchers: Sequence[ast.Matcher]) -> Callable[[Labels], bool]:
    """A function that says whether a series' labels satisfy all matchers. Raises BadInput on a bad pattern."""
    tests = [(matcher.name, _test(matcher)) for matcher in matchers]
    return lambda labels: all(test(labels.get(name, "")) for name, test in tests)


def _test(matcher: ast.Matcher) -> Test:
    value = matcher.value
    if matcher.op == ast.MatchOp.Equal:
        return lambda text: text == value
    if matcher.op == ast.MatchOp.NotEqual:
        return lambda text: text != value
    matches = full_match(value)
    if matcher.op == ast.MatchOp.Re:
        return matches
    return lambda text: not matches(text)


def full_match(pattern: str) -> Test:
    """Whether the whole text matches; a dot matches line ends too, as in Prometheus. Raises BadInput.

    RE2 is the dialect of Prometheus and takes linear time; it is used where the `google-re2` package is installed,
    Python's `re` where it is not.
    """
    engine = _re2()
    compiled: Any
    try:
        if engine is None:
            compiled = re.compile(pattern, re.DOTALL | re.ASCII)
        else:
            options = engine.Options()
            options.dot_nl = True
            options.log_errors = False
            compiled = engine.compile(pattern, options)
    except (re.error, getattr(engine, "error", re.error)) as error:
        raise BadInput(f"PromQL: {pattern!r} is not a regular expression that can be used here: {error}") from error
    return lambda text: compiled.fullmatch(text) is not None


def _re2() -> ModuleType | None:
    try:
        return importlib.import_module("re2")
    except ImportError:
        return None

"""CEL, the language of triggers and of parameters' `from`: compiled, checked for names, evaluated on plain data.

Package: `common-expression-language` (Rust). Source of the language: https://github.com/google/cel-spec.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Any

import cel

MAX_LENGTH = 2_000
"""Characters. A trigger is one line; the parser is recursive, and this also bounds its depth."""
MAX_NESTED = 2
"""Macros (`all`, `exists`, …) within macros: each multiplies the work by the length of what it goes over."""
MAX_MAPS = 1
"""`map` macros: in a chain, each multiplies the size of the value."""
MAX_SUMS = 20
"""`+`: each may add a text of the largest size."""

# Operators come as `_==_`, `@in`, `!_`. The package's own additions are left out: they are not CEL.
_FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bool", "bytes"}
    | {"type", "dyn", "timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek"}
    | {"getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds", "max", "min"}
)
_TEXT = re.compile(
    r"""//[^\n]*
    | [rR]? ( \"{3} (?:\\.|[^\\])*? \"{3} | '{3} (?:\\.|[^\\])*? '{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )""",
    re.VERBOSE | re.DOTALL,
)


class BadExpression(ValueError):
    """An expression that cannot be used. The message is for a person."""


class NoValue(LookupError):
    """The expression has no value on this data: something that it reads is not there, or has another type."""


class Variables:
    """What any number of expressions are evaluated on: converted once, which takes fifty times as long as most of them.

    For one thread.
    """

    def __init__(self, **values: Any) -> None:
        self.values = values

    @cached_property
    def context(self) -> cel.Context:
        """For the engine. Raises TypeError or ValueError where CEL has no such value."""
        return cel.Context(self.values)


def check(source: str, root: str, fields: frozenset[str]) -> None:
    """Raises BadExpression unless `source` compiles and reads only known fields of the one variable `root`."""
    program = compiled(source)
    for name in program.functions():
        if name[0].isalpha() and name not in _FUNCTIONS:
            raise BadExpression(f"there is no function {name!r} in CEL")
    bare = _without_texts(source)
    bound = set(re.findall(r"\.(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,", bare))
    for name in program.variables():
        if name != root and name not in bound:
            raise BadExpression(f"there is no {name!r}; an expression here reads `{root}`")
    for match in _field_of(root).finditer(bare):
        field = match[1] or match[2]
        if field not in fields:
            raise BadExpression(f"`{root}` has no field {field!r}; it has {', '.join(sorted(fields))}")


@lru_cache(maxsize=4096)
def fields_read(source: str, root: str) -> tuple[str, ...] | None:
    """The fields of the variable `root` on which the expression's value depends, in order; None: perhaps on all."""
    bare = _without_texts(source)
    fields = [match[1] or match[2] for match in _field_of(root).finditer(bare)]
    whole = len(re.findall(rf"(?<![\w.]){root}\b", bare)) > len(fields)
    return None if whole else tuple(sorted(set(fields)))


def _field_of(root: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){root}\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*«([^»]*)»\s*\])")


def value_of(source: str, variables: Variables) -> Any:
    """The expression's value. Raises BadExpression where it does not compile, NoValue where it has none here."""
    try:
        return compiled(source).execute(variables.context)
    except KeyError as error:
        raise NoValue(f"there is no {str(error.args[0])!r}") from error
    except (TypeError, ValueError, ArithmeticError, RuntimeError, IndexError) as error:
        raise NoValue(str(error).split(". CEL ")[0]) from error


@lru_cache(maxsize=4096)
def compiled(source: str) -> cel.Program:
    """The compiled program. Raises BadExpression."""
    if len(source) > MAX_LENGTH:
        raise BadExpression(f"the expression is longer than {MAX_LENGTH} characters")
    _bounded(_without_texts(source))
    try:
        return cel.compile(source)
    except ValueError as error:
        raise BadExpression(_first_line(str(error))) from error


def _bounded(bare: str) -> None:
    """Raises BadExpression where the work of an expression could grow beyond measure: the engine has no limit."""
    if bare.count("+") > MAX_SUMS:
        raise BadExpression(f"the expression has more than {MAX_SUMS} +")
    if len(re.findall(r"\.\s*map\s*\(", bare)) > MAX_MAPS:
        raise BadExpression(f"the expression has more than {MAX_MAPS} map")
    opened: list[bool] = []
    for match in re.finditer(r"(?P<macro>\.\s*(?:all|exists|exists_one|map|filter)\s*)?\(|\)", bare):
        if match[0] != ")":
            opened.append(match["macro"] is not None)
            if sum(opened) > MAX_NESTED:
                raise BadExpression(f"macros are nested more than {MAX_NESTED} deep")
        elif opened:
            opened.pop()


def _first_line(message: str) -> str:
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (.*)", message)
    if found is None:
        return f"not a CEL expression: {message.splitlines()[0]}"
    return f"not a CEL expression, at character {found[2]}: {found[3].split(' expecting ')[0]}"


def _without_texts(source: str) -> str:
    """The source without comments, and with each literal text as «text» where it is one word, else as «»."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] is None:
            return " "
        text = match[1].strip("\"'")
        return f"«{text}»" if text.isidentifier() else "«»"

    return _TEXT.sub(replaced, source.replace("«", "").replace("»", ""))

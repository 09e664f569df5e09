"""Splits a Markdown file from its YAML front matter, and knows on which line of the file every key stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands in the front matter: keys and indexes from the top."""

MAX_BYTES = 1_000_000
"""A larger file is refused: the longest of 108 public runbooks that we looked at has 12 kB."""

_MAX_NODES = 20_000
"""Nodes after aliases are expanded. Our largest runbook has about 150; a few nested aliases can make billions."""

_MAX_LENGTH = 64_000
"""Characters of YAML. Ours have up to 5,000; the parser is slow on what is deeply nested."""

_MAX_DEPTH = 50
"""Of what libyaml composes: it recurses in C, where text that is nested deeply ends the process."""

_FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n")
_CLOSE = re.compile(r"^(---|\.\.\.)[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file: the line (from 1), what is wrong, and what mends it."""

    line: int
    message: str
    mend: str


class FrontMatterError(ValueError):
    """The front matter cannot be read at all."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class FrontMatter:
    """The mapping at the head of a file. `values` is plain data; dates are ISO 8601 text, so that it is JSON."""

    def __init__(self, root: yaml.MappingNode, values: dict[str, Any], first_line: int, body_start: int) -> None:
        """`first_line` is the file's line of the YAML's first line; `body_start` counts characters."""
        self.values = values
        self.body_start = body_start
        self._root = root
        self._first_line = first_line

    def line(self, path: Sequence[str | int], *, key: bool = False) -> int:
        """The file's line of the value at `path`, or of its key; of the deepest part that exists where it does not."""
        node: yaml.Node = self._root
        line = node.start_mark.line
        for position, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                break
            key_node, node = found
            # The last key itself where asked; a block's own first line would be the line after its key.
            wants_key = key or position < len(path) - 1 or not isinstance(node, yaml.ScalarNode)
            line = (key_node if wants_key else node).start_mark.line
        return line + self._first_line


def split(text: str) -> FrontMatter | None:
    """The front matter of a file's whole text; None where it has none.

    Raises FrontMatterError: not closed, not YAML, a tag that would run code, a key given twice, not a mapping.
    """
    fence = _FENCE.match(text)
    if fence is None:
        return None
    close = _CLOSE.search(text, fence.end())
    if close is None:
        raise FrontMatterError(
            Fault(1, "the front matter is never closed", "end it with a line of its own that holds only ---")
        )
    end = text.find("\n", close.end())
    body_start = len(text) if end < 0 else end + 1
    # A block that is empty is no front matter: `---` twice is also how Markdown draws two rules.
    source = text[fence.end() : close.start()]
    if not source.strip():
        return None
    root = _compose(source)
    return FrontMatter(root, _construct(root), 2, body_start)


def _compose(source: str) -> yaml.MappingNode:
    if len(source) > _MAX_LENGTH:
        message = f"the front matter is longer than {_MAX_LENGTH} characters"
        raise FrontMatterError(Fault(1, message, "split the runbook, or move text below the front matter"))
    try:
        root = yaml.compose(source, Loader=_loader(source))
    except yaml.YAMLError as error:
        raise FrontMatterError(_yaml_fault(error)) from error
    except RecursionError as error:
        raise FrontMatterError(Fault(2, "the YAML is nested too deeply", "flatten it")) from error
    if not isinstance(root, yaml.MappingNode):
        raise FrontMatterError(Fault(2, "the front matter is not a mapping", "write `key: value` lines, `id: …` first"))
    for count, node in enumerate(_walk(root), 1):
        if count > _MAX_NODES:
            message = f"the front matter expands to more than {_MAX_NODES} values"
            raise FrontMatterError(Fault(2, message, "write fewer YAML aliases (*name)"))
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node)
    return root


def _construct(root: yaml.MappingNode) -> dict[str, Any]:
    constructor = yaml.constructor.SafeConstructor()
    try:
        values = constructor.construct_document(root)
    except yaml.YAMLError as error:
        raise FrontMatterError(_yaml_fault(error)) from error
    except (ValueError, OverflowError) as error:
        message = f"a value looks like a date or a number and is none: {error}"
        raise FrontMatterError(Fault(_odd_scalar_line(root), message, "put it in quotes")) from error
    return {str(key): _plain(value) for key, value in values.items()}


def _odd_scalar_line(root: yaml.Node) -> int:
    """The line of the value that cannot be made, such as the date 2026-13-45: that error has no position."""
    for node in _walk(root):
        if isinstance(node, yaml.ScalarNode):
            try:
                yaml.constructor.SafeConstructor().construct_object(node)
            except (ValueError, OverflowError):
                return node.start_mark.line + 2
    return 2


def _loader(source: str) -> Any:
    """libyaml's, ten times as quick, for what it reads and is not nested deeply; else PyYAML's, with better errors."""
    quick = getattr(yaml, "CSafeLoader", None)
    if quick is None:
        return yaml.SafeLoader
    depth = 0
    try:
        for event in yaml.parse(source, Loader=quick):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                return yaml.SafeLoader
    except yaml.YAMLError:
        return yaml.SafeLoader
    return quick


def _yaml_fault(error: Exception) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line = mark.line + 2 if mark else 2
    if "could not determine a constructor" in problem:
        return Fault(line, f"YAML tags are not allowed: {problem}", "remove the tag (the word that begins with !)")
    return Fault(line, f"not valid YAML: {problem}", "quote values that hold { } [ ] : # > or a leading quote")


def _walk(root: yaml.Node) -> Iterator[yaml.Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            stack.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            mend = 'quote values that begin with {{: "{{ name }}"'
            raise FrontMatterError(Fault(key.start_mark.line + 2, "a key is not a plain word", mend))
        line = key.start_mark.line + 2
        if key.value in first:
            message = f"the key {key.value!r} is given twice, first on line {first[key.value]}"
            raise FrontMatterError(Fault(line, message, "keep one of them"))
        first[key.value] = line


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value

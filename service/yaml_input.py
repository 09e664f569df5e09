"""Reading YAML that somebody else wrote, with errors that name file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from models.domain.errors import BadInput
from runbooks.frontmatter import FrontMatter
from service.masking import is_secret
from service.plain_words import words_of


class YamlFile:
    """A file whose top is a mapping. `values` is plain data."""

    def __init__(self, path: Path, values: dict[str, Any], nodes: FrontMatter | None) -> None:
        """`read_yaml` is the way in."""
        self.path = path
        self.values = values
        self._nodes = nodes

    def where(self, place: Sequence[str | int], *, key: bool = False) -> str:
        """`file:line` of the value at `place`, or of its key; of the deepest part that exists where it does not."""
        return f"{self.path}:{self._nodes.line(place, key=key) if self._nodes else 1}"

    def explain(self, item: Any) -> str:
        """One of the errors of a pydantic ValidationError, with its place."""
        missing = item["type"] in ("missing", "extra_forbidden")
        place = self.where(item["loc"], key=missing)
        return f"{place}: {spell(item['loc']) or 'the file'}: {words_with_value(item)}"

    def bad_input(self, error: ValidationError) -> BadInput:
        """The error for a user: all that is wrong, in the order of the file."""
        items = sorted(error.errors(), key=lambda item: self.where(item["loc"]))
        return BadInput("; ".join(self.explain(item) for item in items))


def read_yaml(path: Path) -> YamlFile:
    """The file's content; an empty file is an empty mapping. Raises BadInput with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"is not UTF-8 text: byte {error.start}", where=str(path)) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"not valid YAML: {getattr(error, 'problem', error)}", where=where) from error
    except (ValueError, RecursionError) as error:
        words = f"a value looks like a date or a number and is none ({error}); put it in quotes"
        raise BadInput(words, where=str(path)) from error
    if values is None:
        return YamlFile(path, {}, None)
    if not isinstance(root, yaml.MappingNode):
        raise BadInput("the file must be a mapping: lines of `key: value`", where=f"{path}:1")
    _refuse_repeated_keys(root, path)
    return YamlFile(path, {str(key): value for key, value in values.items()}, FrontMatter(root, {}, 1, 0))


def spell(place: Sequence[object]) -> str:
    """`("scrape", 0, "url")` as `scrape[0].url`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def words_with_value(item: Any) -> str:
    """What is wrong, in words; with the value where it is short and cannot be a secret."""
    words = words_of(item)
    value = item["input"]
    secret = any(is_secret(str(part)) for part in item["loc"])
    plain = isinstance(value, str | int | float) and not secret and item["type"] != "missing"
    return f"{words} (it is {value!r})" if plain and repr(value) not in words else words


def _refuse_repeated_keys(root: yaml.MappingNode, path: Path) -> None:
    """YAML would silently keep the last of two."""
    waiting: list[yaml.Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                words = f"{key.value} is given twice, first on line {seen[key.value]}; keep one of them"
                raise BadInput(words, where=f"{path}:{line}")
            seen[str(key.value)] = line
            waiting.append(value)

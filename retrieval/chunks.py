"""Documents into passages: cut at headings, then at borders of paragraphs, with exact spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from models.domain.runbook import Document, Passage

CHUNKS_VERSION = 1
"""Raise it when the same document would be cut otherwise: indexes then cut and embed it again."""

TARGET = 900  # characters, about 200 tokens of English: with title and headings it fits in the embedder's 256
LARGEST_CODE = 4 * TARGET  # a longer code block is cut between lines
LARGEST_HEADING = 300  # characters; a longer one keeps its markup, for taking it off may cost their square

# What markdown-it takes for the end of a line (CommonMark 0.31, section 2.1); str.splitlines knows more of them.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def passages_of(document: Document, target: int = TARGET) -> tuple[Passage, ...]:
    """The passages in the order of the text, without overlap: `document.text[p.start:p.end] == p.text` for each.

    A section (a heading and what follows it) is one passage when it has at most `target` characters. A longer
    one is cut at borders of blocks; a block that alone is longer, at its inner blocks, then lines, then words.
    Code blocks stay whole unless they are huge. Front matter is no passage, nor is a heading with nothing but
    deeper headings below it: those carry it in `headings`.
    """
    return tuple(
        Passage(
            document=document.id,
            kind=document.kind,
            title=document.title,
            headings=section.headings,
            start=start,
            end=end,
            text=document.text[start:end],
        )
        for section in _sections(document)
        for start, end in _spans(document.text, section, target)
    )


@dataclass(frozen=True)
class _Block:
    """A piece of Markdown by its place in the text; `inner` are its own blocks where it holds some."""

    start: int
    end: int
    is_code: bool
    inner: tuple[_Block, ...]


@dataclass
class _Section:
    headings: tuple[str, ...]
    start: int
    end: int
    blocks: list[_Block]


def _sections(document: Document) -> Iterator[_Section]:
    """Sections with something to say, in order. The first may have no heading."""
    body = document.text[document.body_start :]
    lines = [document.body_start + found.start() for found in _LINE.finditer(body)]
    lines.append(len(document.text))
    path: list[tuple[int, str]] = []
    section = _Section((), document.body_start, document.body_start, [])
    links: dict[str, Any] = {}
    for node in SyntaxTreeNode(_blocks().parse(body, links)).children:
        if node.map is None:
            continue
        if node.type == "heading":
            level = int(node.tag[1])
            start = lines[node.map[0]]
            section.end = start
            if section.blocks:
                yield section
            elif path and path[-1][0] >= level:
                yield section  # a heading without a text, and not the parent of the next one
            path = [*(entry for entry in path if entry[0] < level), (level, _heading_text(node, links))]
            section = _Section(tuple(text for _, text in path), start, start, [])
        else:
            section.blocks.append(_block(node, lines))
    section.end = len(document.text)
    if section.blocks or path:
        yield section


@cache
def _blocks() -> MarkdownIt:
    # Inline rules take quadratic time on some texts, and only headings need them.
    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _heading_text(node: SyntaxTreeNode, links: dict[str, Any]) -> str:
    """What a reader sees of a heading. `links` are the link targets that the document defines elsewhere."""
    content = node.children[0].content
    if len(content) <= LARGEST_HEADING:
        (token,) = _inline().parseInline(content, links)
        content = "".join(part.content for part in _all(token) if part.type in ("text", "code_inline"))
    return " ".join(content.split())


def _all(token: Token) -> Iterator[Token]:
    yield token
    for child in token.children or ():
        yield from _all(child)


def _block(node: SyntaxTreeNode, lines: list[int]) -> _Block:
    assert node.map is not None
    inner = tuple(_block(child, lines) for child in node.children if child.map is not None and child.type != "inline")
    return _Block(lines[node.map[0]], lines[node.map[1]], node.type in ("fence", "code_block"), inner)


def _spans(text: str, section: _Section, target: int) -> Iterator[tuple[int, int]]:
    """The section cut into spans of about `target` characters, white space at the borders left out."""
    cuts = [section.start]
    if section.end - section.start > target:
        cuts = sorted({section.start, *(cut for block in section.blocks for cut in _cuts(text, block, target))})
        # The heading goes with what it heads.
        first = section.blocks[0].start if section.blocks else section.start
        cuts = [section.start, *(cut for cut in cuts if cut > first)]
    start = cuts[0]
    for cut, following in pairwise([*cuts[1:], section.end]):
        if following - start > target:
            yield from _trimmed(text, start, cut)
            start = cut
    yield from _trimmed(text, start, section.end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span without white space at its ends; none where nothing is left. Indentation of the first line stays."""
    inside = text[start:end]
    if not inside.strip():
        return
    blank = len(inside) - len(inside.lstrip())
    start += max(inside.rfind("\n", 0, blank), inside.rfind("\r", 0, blank)) + 1
    yield start, end - (len(inside) - len(inside.rstrip()))


def _cuts(text: str, block: _Block, target: int) -> Iterator[int]:
    """Where a section may be cut for this block: at its start, and inside where it is too long."""
    yield block.start
    size = block.end - block.start
    if size <= target or (block.is_code and size <= LARGEST_CODE):
        return
    if block.inner:
        for inner in block.inner:
            yield from _cuts(text, inner, target)
        return
    for line in _LINE.finditer(text, block.start, block.end):
        if line.end() > line.start():
            yield line.start()
            yield from _word_cuts(text, line.start(), line.end(), target)


def _word_cuts(text: str, start: int, end: int, target: int) -> Iterator[int]:
    """Cuts inside a line that is longer than `target`: before a word, or anywhere where no word ends in reach."""
    while end - start > target:
        space = max(text.rfind(" ", start + 1, start + target), text.rfind("\t", start + 1, start + target))
        start = space + 1 if space > start else start + target
        if start < end:
            yield start

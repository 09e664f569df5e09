"""A plan of diagnosis where no action fits: steps for a person, in the words of the nearest documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from models.domain.recommendation import Advice, Citation
from models.domain.runbook import Document, ScoredPassage
from models.ranking.citations import cite
from models.ranking.features import SUBSTANCE, saturate

MAX_DOCUMENTS = 2
MAX_STEPS = 5
"""Of one document: what a person can keep in mind."""
MAX_STEP = 500
"""Characters; a longer one ends at a word."""

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_LOOKING = re.compile(r"\b(?:diagnos|investigat|troubleshoot|debug|triage|first look|what to check)", re.IGNORECASE)
"""Headings under which runbooks say how to find the cause."""
_ITEM = re.compile(r"^(?:[-*+]|\d+[.)])[ \t]+(\S.*(?:\n(?![-*+][ \t]|\d+[.)][ \t]|#|\s*\n|```).+)*)", re.MULTILINE)
_PARAGRAPH = re.compile(r"^(?![#`|>\s-])(\S.*(?:\n(?!#|\s*\n|```).+)*)", re.MULTILINE)
_CODE = re.compile(r"^```.*?(?:^```|\Z)", re.MULTILINE | re.DOTALL)


def diagnosis_plan(passages: Sequence[ScoredPassage], documents: Mapping[str, Document]) -> tuple[Advice, ...]:
    """The steps of the Diagnosis sections of the nearest documents, each cited where it stands; never executable.

    `passages` as retrieval found them, best first. Documents that share too few words with the incident give none: a
    plan for something else misleads. A document without such a section gives the fitting sentence of its passage.
    """
    nearest: dict[str, ScoredPassage] = {}
    for found in passages:
        if saturate(found.lexical) >= SUBSTANCE:
            nearest.setdefault(found.passage.document, found)
    steps: list[Citation] = []
    for name, found in list(nearest.items())[:MAX_DOCUMENTS]:
        document = documents.get(name)
        own = list(_steps(document))[:MAX_STEPS] if document else []
        sentence = cite(found.passage, frozenset()) if not own else None
        steps += own or ([sentence] if sentence else [])
    return tuple(Advice(text=" ".join(step.quote.split()), citations=(step,)) for step in dict.fromkeys(steps))


def _steps(document: Document) -> Iterator[Citation]:
    """The list items of the sections on diagnosis; where a section has none, its paragraphs."""
    for start, end in _sections(document):
        # Numbering and indents of a list are the document's; what a step says begins after them.
        items = list(_ITEM.finditer(document.text, start, end)) or list(_PARAGRAPH.finditer(document.text, start, end))
        code = [block.span() for block in _CODE.finditer(document.text, start, end)]
        for item in items:
            if any(first <= item.start() < last for first, last in code):
                continue
            first, last = item.start(1), item.start(1) + len(item[1].rstrip())
            last = _cut(document.text, first, min(last, end))
            yield Citation(document=document.id, start=first, end=last, quote=document.text[first:last])


def _sections(document: Document) -> Iterator[tuple[int, int]]:
    """From below a heading on diagnosis to the next one of its level or above."""
    headings = list(_HEADING.finditer(document.text, document.body_start))
    for place, heading in enumerate(headings):
        if _LOOKING.search(heading[2]):
            below = (other for other in headings[place + 1 :] if len(other[1]) <= len(heading[1]))
            yield heading.end(), next((other.start() for other in below), len(document.text))


def _cut(text: str, start: int, end: int) -> int:
    if end - start <= MAX_STEP:
        return end
    cut = text.rfind(" ", start + 1, start + MAX_STEP)
    return cut if cut > start else start + MAX_STEP

"""Explains everything that is wrong with a folder of runbooks: file, line, what, and what mends it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.domain.runbook import Document, Runbook
from runbooks.binding import VerbInputs
from runbooks.frontmatter import FrontMatter
from runbooks.loader import Reading, find_files, kind_of_place, read_file
from runbooks.rules import Remark, remarks
from runbooks.schema import CATALOGUE_KEYS

Level = Literal["error", "warning"]
SECTIONS = ("Symptoms", "Diagnosis", "Mitigation", "Escalation")
"""What a person on call looks for. A runbook without one of them gets a warning."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing to mend. `line` counts from 1. An error means that the runbook or one of its actions cannot be used."""

    file: str
    line: int
    level: Level
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.message}; {self.mend}"


def lint(folders: Sequence[Path], catalogue: Mapping[str, VerbInputs]) -> list[Finding]:
    """Every finding of every file, in the order of files and lines. `catalogue`: the verbs that actions may use."""
    findings: list[Finding] = []
    taken: dict[str, str] = {}
    for folder in folders:
        for path, fault in find_files(folder):
            if fault is not None:
                findings.append(Finding(str(path), fault.line, "error", fault.message, fault.mend))
                continue
            reading = read_file(path, kind_of_place(folder, path))
            findings.extend(lint_reading(reading, path, catalogue))
            document = reading.document
            if document is not None and taken.setdefault(document.id, str(path)) != str(path):
                line = reading.front.line(("id",)) if reading.front else 1
                message = f"the id {document.id!r} is taken by {taken[document.id]}"
                findings.append(Finding(str(path), line, "error", message, "give it another id"))
    return sorted(findings)


def lint_reading(reading: Reading, path: Path, catalogue: Mapping[str, VerbInputs]) -> Iterator[Finding]:
    """The findings of one file by itself."""
    file, document, front = str(path), reading.document, reading.front
    for fault in reading.faults:
        yield Finding(file, fault.line, "error", fault.message, fault.mend)
    if document is None or front is None or reading.faults:
        return
    if document.runbook is None:
        yield from _misspelt(document, front, file)
        return
    for remark in (*remarks(document.runbook, catalogue), *_identity(document.runbook, path)):
        yield Finding(file, front.line(remark.path, key=remark.key), remark.level, remark.message, remark.mend)
    yield from _sections(document, file)


def _misspelt(document: Document, front: FrontMatter, file: str) -> Iterator[Finding]:
    """A key that is almost one of ours in a file that is taken for a plain runbook: its actions would be lost."""
    for key in front.values if document.kind == "runbook" else ():
        near = difflib.get_close_matches(key, CATALOGUE_KEYS, n=1, cutoff=0.8)
        if near:
            message = f"`{key}` is no field of a runbook, so the file is plain text without actions"
            yield Finding(file, front.line((key,), key=True), "warning", message, f"did you mean `{near[0]}`?")


def _identity(runbook: Runbook, path: Path) -> Iterator[Remark]:
    if runbook.id != path.stem:
        message = f"the id {runbook.id!r} differs from the file's name {path.name!r}"
        yield Remark(("id",), "warning", message, f"rename the file to {runbook.id}.md")
    if not runbook.actions:
        yield Remark(
            ("id",), "warning", "it has no actions", "add one, or drop the front matter's id: it is plain text"
        )


def _sections(document: Document, file: str) -> Iterator[Finding]:
    body = document.text[document.body_start :]
    headings = {match.strip().lower() for match in re.findall(r"^#{1,6}[ \t]+(.*?)[ \t#]*\r?$", body, re.MULTILINE)}
    line = document.text[: document.body_start].count("\n") + 1
    for section in SECTIONS:
        if section.lower() not in headings:
            message = f"there is no section {section}"
            yield Finding(file, line, "warning", message, f"add `## {section}` for the person on call")

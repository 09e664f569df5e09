"""Citations: a sentence or two of a passage, with the exact span in its document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from models.domain.incident import Incident
from models.domain.recommendation import Citation
from models.domain.runbook import Document, Passage, ScoredPassage

MAX_QUOTE = 300
"""Characters. A quote is for a person to check at a glance."""
MAX_PAIR = 160
"""Characters up to which a second sentence is taken with the first."""

_WORD = re.compile(r"[^\W_]+")
_LEAD = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+|>\s+)?")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|-{3,}|```)")
# A line that begins with one of these does not continue the sentence of the line before.
_BREAK = r"[ \t]*(?:\r?\n|\Z|[-*+>|]\s|\d+[.)]\s|#{1,6}\s|-{3,}|```)"
_WHOLE_LINE = r"(?:#{1,6}\s|-{3,}|```)[^\n]*"
_SENTENCE = re.compile(rf"{_WHOLE_LINE}|\S(?:[^\n]|\n(?!{_BREAK}))*?(?:[.!?](?=\s)|(?=\n{_BREAK})|\Z)")


def words_of(text: str) -> frozenset[str]:
    """The distinct words of three characters or more, folded to lower case, identifiers split at underscores."""
    return frozenset(word for word in _WORD.findall(text.lower()) if len(word) > 2)


def incident_text(incident: Incident) -> str:
    """All that an incident says in words."""
    said = [incident.title, incident.description]
    for signal in incident.signals:
        said += [signal.name, signal.metric or "", signal.text]
    return "\n".join(said)


def holds(citation: Citation, document: Document) -> bool:
    """Whether the quote stands in the document exactly where the citation says."""
    return (
        citation.document == document.id
        and 0 <= citation.start < citation.end <= len(document.text)
        and document.text[citation.start : citation.end] == citation.quote
    )


def cite(passage: Passage, wanted: frozenset[str]) -> Citation | None:
    """The sentence of the passage that shares most words with `wanted`, and the next one where both are short.

    None where the passage has no sentence, or its text is not as long as its span.
    """
    if passage.end - passage.start != len(passage.text):
        return None
    spans = [span for span in _sentences(passage.text) if span[0] < span[1]]
    if not spans:
        return None
    best = max(range(len(spans)), key=lambda i: (len(words_of(passage.text[slice(*spans[i])]) & wanted), -i))
    start, end = spans[best]
    if best + 1 < len(spans) and not passage.text[end : spans[best + 1][0]].strip(" \n"):
        following = spans[best + 1][1]
        end = following if following - start <= MAX_PAIR else end
    end = _shorten(passage.text, start, end)
    return Citation(
        document=passage.document,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
    )


def cite_best(
    passages: Iterable[ScoredPassage], wanted: frozenset[str], documents: Mapping[str, Document], limit: int = 2
) -> tuple[Citation, ...]:
    """Citations of the best passages, each once. One that does not hold in its document, where known, is left out."""
    found: list[Citation] = []
    for scored in sorted(passages, key=lambda item: -item.score):
        citation = cite(scored.passage, wanted)
        document = documents.get(scored.passage.document)
        if citation and citation not in found and (document is None or holds(citation, document)):
            found.append(citation)
        if len(found) == limit:
            break
    return tuple(found)


def cite_opening(document: Document) -> Citation | None:
    """The first sentence of the document's text, which says what it is about; None where it has no sentence."""
    lead = document.body_start
    body = document.text[lead:]
    # Emphasis as a whole is a remark on the document itself, such as "_Draft, to be finished._"
    spans = [(start, end) for start, end in _sentences(body) if body[start] != "_"]
    if not spans:
        return None
    start, end = spans[0][0], _shorten(body, *spans[0])
    return Citation(document=document.id, start=lead + start, end=lead + end, quote=body[start:end])


def cite_text(document: Document, text: str) -> Citation | None:
    """The first place in the document where `text` stands as it is written; None where it does not."""
    start = document.text.find(text) if text else -1
    return None if start < 0 else Citation(document=document.id, start=start, end=start + len(text), quote=text)


def _sentences(text: str) -> list[tuple[int, int]]:
    """Spans of sentences, list markers and surrounding blanks left out; headings and fences are none."""
    found: list[tuple[int, int]] = []
    for match in _SENTENCE.finditer(text):
        piece = match.group()
        if _HEADING.match(piece):
            continue
        lead = _LEAD.match(piece)
        start = match.start() + (lead.end() if lead else 0)
        end = match.start() + len(piece.rstrip())
        if re.search(r"\w", text[start:end]):
            found.append((start, end))
    return found


def _shorten(text: str, start: int, end: int) -> int:
    if end - start <= MAX_QUOTE:
        return end
    cut = text.rfind(" ", start + 1, start + MAX_QUOTE)
    return cut if cut > start else start + MAX_QUOTE

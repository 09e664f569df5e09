"""Whether what was shown is supported, judged without the code under test: from the files, by other means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.domain.recommendation import Citation


def read_texts(folder: Path) -> dict[str, str]:
    """The files as they are on disk, by stem: the library's files are named like their ids."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("**/*.md"))}


def unsupported(citations: Iterable[Citation], texts: Mapping[str, str]) -> list[str]:
    """The quotes that are not exactly what the file says at that place, in words."""
    return [f"{c.document} {c.start}-{c.end}: {c.quote!r}" for c in citations if not _stands(c, texts)]


def stands_somewhere(quote: str, texts: Mapping[str, str]) -> bool:
    """Whether the words of a quote, as a model wrote them, stand in any file, whatever the blanks between them."""
    wanted = " ".join(quote.split())
    return bool(wanted) and any(wanted in " ".join(text.split()) for text in texts.values())


def statements_in(value: Any) -> list[dict[str, Any]]:
    """Everything in a model's answer that looks like a statement, wherever it stands."""
    if isinstance(value, list):
        return [found for item in value for found in statements_in(item)]
    if not isinstance(value, dict):
        return []
    if "quote" in value or "text" in value:
        return [value]
    return [found for item in value.values() for found in statements_in(item)]


def _stands(citation: Citation, texts: Mapping[str, str]) -> bool:
    text = texts.get(citation.document)
    return text is not None and text[citation.start : citation.end] == citation.quote and bool(citation.quote.strip())

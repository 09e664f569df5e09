"""What the second stage knows of each document: its names, its title's words, its opening."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from models.domain.runbook import Passage
from retrieval.concepts import concepts
from retrieval.words import is_identifier, stems, without

LEAD = 600
"""Characters of a document's opening: where runbooks say when their alert fires."""
REMEMBERED = 4_096  # profiles, some 20 kB each at most; making one takes about a third of a millisecond


@dataclass(frozen=True)
class Profile:
    """One document, in stems."""

    names: frozenset[tuple[str, ...]]
    """Its id, title and first heading, each as the stems in their order."""
    title: tuple[str, ...]
    """The words of title and id, each once."""
    title_concepts: frozenset[str]
    lead: frozenset[str]


class OtherNames:
    """Names of documents, by which others refer to them ("this alert is similar to …"): not words of the referrer."""

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        """`documents` are ids and titles. Only identifiers count: a title in prose may be anybody's words."""
        self._owners: dict[str, str] = {}
        for id_, title in documents:
            for name in (id_, title.strip()):
                if is_identifier(name):
                    self._owners.setdefault(name.lower(), id_)

    def taken_from(self, text: str, document: str) -> str:
        """The text of `document` without the names of others."""
        return without(text, _Of(self._owners, document)) if self._owners else text


@dataclass(frozen=True)
class _Of:
    owners: Mapping[str, str]
    but: str

    def __contains__(self, name: object) -> bool:
        return self.owners.get(str(name), self.but) != self.but


class Profiles:
    """Profiles of documents by their rows, made when they are asked for and remembered. Safe for any thread."""

    def __init__(self, make: Callable[[int], Profile]) -> None:
        self.of = lru_cache(REMEMBERED)(make)


def profile_of(id_: str, title: str, passages: Sequence[Passage], others: OtherNames) -> Profile:
    """The profile of a document; `passages` are its own in order."""
    heading = next((passage.headings[0] for passage in passages if passage.headings), title)
    titles = stems(title), stems(id_)
    return Profile(
        names=frozenset(tuple(stems(name)) for name in (title, id_, heading)),
        title=tuple(dict.fromkeys([*titles[0], *titles[1]])),
        title_concepts=concepts(titles[0]) | concepts(titles[1]),
        lead=frozenset(stems(others.taken_from(_opening(passages), id_))),
    )


def _opening(passages: Sequence[Passage]) -> str:
    texts, length = [], 0
    for passage in passages:
        texts.append(passage.text[: LEAD - length])
        length += len(texts[-1])
        if length >= LEAD:
            break
    return "\n".join(texts)

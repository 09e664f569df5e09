"""HTML into Markdown: headings, code, tables and lists are kept; scripts, navigation and what is hidden are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import indent
from typing import TYPE_CHECKING, Any

from runbooks.frontmatter import MAX_BYTES
from service.corpus_sources.pages import PageFault

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

VERSION = 1
"""Raise it when the Markdown of the same page would be another: pages are then converted again."""

MAX_ELEMENTS = 20_000
"""Of one page: converting takes about 0.3 ms an element."""

MAX_TITLE = 300
"""Characters: a longer one is no title, and stands before every passage."""

_NOISE = (
    "script, style, noscript, template, iframe, object, svg, canvas, form, button, input, select, nav, aside, "
    "[role=navigation], [role=banner], [role=contentinfo], [role=search], [hidden], [aria-hidden=true], "
    "#breadcrumb-section, #breadcrumbs, .toc-macro, #footer"
)
_CONTENT = ("#main-content", "main", "[role=main]", "article", "#content", "body")
_HIDES = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?|highlight(?:-source)?)-([\w+#-]+)")
_BRUSH = re.compile(r"brush:\s*([\w+#-]+)")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BLANK = re.compile(r"[ \t]+$", re.MULTILINE)
_FENCES = re.compile(r"`{3,}")


def decoded(data: bytes) -> str:
    """The page's text, by its byte order mark, else what it declares, else UTF-8. Raises PageFault."""
    declared = None if data.startswith(b"\xef\xbb\xbf") else _CHARSET.search(data[:1024])
    # What is called Latin-1 on the web is Windows' superset of it: https://encoding.spec.whatwg.org/#names-and-labels
    name = declared.group(1).decode("ascii", "replace").lower() if declared else "utf-8-sig"
    # A page whose declaration can be read as ASCII is not UTF-16, whatever it says (the same standard).
    name = "utf-8" if name.startswith("utf-16") else name
    name = "cp1252" if name in ("iso-8859-1", "latin1", "ascii", "us-ascii", "windows-1252") else name
    try:
        return data.decode("utf-8-sig" if name in ("utf-8", "utf8") else name)
    except LookupError as error:
        raise PageFault(1, f"declares the charset {name!r}, which is unknown", "save it as UTF-8") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        words = f"byte {error.start} is not {error.encoding}" + ("" if declared else ", and no charset is declared")
        raise PageFault(line, words, "save the page as UTF-8") from error
    except UnicodeError as error:
        raise PageFault(1, f"is not {name}: {error}", "save the page as UTF-8") from error


def markdown_of(html: str, title: str | None = None) -> tuple[str, str]:
    """(title, Markdown) of a page; `title` wins over the page's own. The text begins with the title as a heading.

    Nothing in the page is read as front matter. Raises PageFault for a page that is too large or too deeply nested.
    """
    soup = parsed(html)
    return convert(soup, title or own_title(soup))


def parsed(html: str) -> BeautifulSoup:
    """The page's elements. Raises PageFault where there are too many."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_CONTROL.sub("", html), "html.parser")
    if sum(1 for _ in _tags(soup)) > MAX_ELEMENTS:
        raise PageFault(1, f"the page has more than {MAX_ELEMENTS} elements", "split it")
    return soup


def own_title(soup: BeautifulSoup) -> str:
    """What the page calls itself: its first heading of the first level, else its title; may be empty."""
    found = soup.find("h1") or soup.find("title")
    return " ".join(found.get_text(" ").split()) if found else ""


def convert(soup: BeautifulSoup, title: str) -> tuple[str, str]:
    """(title, Markdown) of a parsed page, which is changed. Raises PageFault."""
    content = next((found for each in _CONTENT if (found := soup.select_one(each))), soup)
    _clean(content)
    try:
        text = _converter().convert_soup(content)
    except RecursionError as error:
        raise PageFault(1, "the page's elements are nested too deeply", "flatten it") from error
    text = _BLANK.sub("", text.replace("\xa0", " ")).strip()
    title = title[:MAX_TITLE]
    heading = f"# {title}"
    if title and not text.startswith(heading):
        text = f"{heading}\n\n{text}"
    if len(text.encode()) > MAX_BYTES:
        raise PageFault(1, f"its text is larger than {MAX_BYTES} bytes", "split it")
    return title, text + "\n"


def _tags(soup: Tag) -> Iterable[Tag]:
    from bs4 import Tag

    return (each for each in soup.descendants if isinstance(each, Tag))


def _clean(content: Tag) -> None:
    # Collected first: an element within one that is taken away cannot be asked any more.
    noise = [*content.select(_NOISE), *(each for each in _tags(content) if _HIDES.search(str(each.get("style", ""))))]
    noise += [each for each in content.find_all(["header", "footer"]) if each.find("h1") is None]
    for each in noise:
        each.extract()
    for ordered in content.find_all("ol"):
        start = str(ordered.get("start", "1"))
        first = int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 1
        for number, item in enumerate(ordered.find_all("li", recursive=False), first):
            item["data-number"] = str(number)
    for cell in content.find_all(["td", "th"], colspan=True):
        # A thousand columns in each of a thousand cells would make a gigabyte.
        if len(str(cell["colspan"])) > 1:
            del cell["colspan"]


def _language(pre: Any) -> str:
    """Of a code block: by the class of it or of its `code`, or by Confluence's parameters."""
    for each in (pre, pre.find("code")):
        if each is None:
            continue
        if found := _BRUSH.search(str(each.get("data-syntaxhighlighter-params", ""))):
            return found.group(1)
        if found := _LANGUAGE.search(" ".join(each.get("class") or ())):
            return found.group(1)
    return ""


def _converter() -> Any:
    from markdownify import MarkdownConverter

    class Converter(MarkdownConverter):
        """Text stays as it is, character by character: `pg_up` is searched and quoted as `pg_up`."""

        def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
            """A link to somewhere else; one within the export leads nowhere here."""
            address = str(el.get("href") or "")
            shown = text.strip()
            if "_noformat" in parent_tags or not address.startswith(("http://", "https://")) or shown == address:
                return text
            return f"[{shown}]({address.split(maxsplit=1)[0]})" if shown else ""

        def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002
            """What it says to those who do not see it."""
            return str(el.get("alt") or "")

        def convert_li(self, el: Any, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002
            """With its number from before: counting siblings at each would take quadratic time."""
            text = text.strip()
            number = el.get("data-number")
            bullet = f"{number}. " if number else "- "
            return f"{bullet}{indent(text, ' ' * len(bullet))[len(bullet) :]}\n" if text else "\n"

        def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
            """A fence longer than any in the code; in a cell, where no line may end, code within the line."""
            code = text.strip("\n")
            if not code.strip():
                return ""
            if "_inline" in parent_tags:
                return f" `{' '.join(code.split())}` "
            fence = "`" * max([3, *(len(run) + 1 for run in _FENCES.findall(code))])
            return f"\n\n{fence}{_language(el)}\n{code}\n{fence}\n\n"

    return Converter(
        heading_style="ATX", escape_asterisks=False, escape_underscores=False, escape_misc=False,
        table_infer_header=True,
    )  # fmt: skip

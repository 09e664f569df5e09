"""What is special about the pages of a Confluence space that was exported as HTML."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from service.corpus_sources.html import convert, own_title, parsed

# `Disk-full_98321.html`, or `98321.html` where the title has no letter that Confluence writes into a file's name.
_NUMBER = re.compile(r"(?:^|_)(\d+)\.html?$")


def page_number(path: str) -> str | None:
    """The number in the name of an exported page, which is its `pageId` in Confluence."""
    found = _NUMBER.search(PurePosixPath(path).name)
    return found.group(1) if found else None


def is_page(path: str) -> bool:
    """Whether a file of the export is a page: not the list of pages, nor what was attached to one."""
    parts = PurePosixPath(path).parts
    return parts[-1].lower() != "index.html" and "attachments" not in parts[:-1]


def confluence_markdown(html: str) -> tuple[str, str]:
    """(title, Markdown) of a page, its title without the space's name. Raises PageFault."""
    soup = parsed(html)
    heading = soup.select_one("#title-text")
    title = " ".join(heading.get_text(" ").split()) if heading else own_title(soup)
    home = soup.select_one("#breadcrumbs a")
    space = " ".join(home.get_text(" ").split()) if home else ""
    return convert(soup, title.removeprefix(f"{space} : ") if space else title)

"""Help of the GNOME desktop (Debian gnome-user-docs), in Mallard, an XML format: a document is a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from refrain.training.data.packages.archive import Member, read_members
from refrain.training.data.packages.document import Document, Repeats, tidy
from refrain.training.errors import CorruptDatasetError

FOLDER = "usr/share/help/C/"

_MALLARD = "{http://projectmallard.org/1.0/}"
_SKIPPED = frozenset(f"{_MALLARD}{tag}" for tag in ("info", "media", "comment", "code", "screen"))
_BLOCKS = frozenset(f"{_MALLARD}{tag}" for tag in ("p", "title"))
_BETWEEN = {f"{_MALLARD}keyseq": "+", f"{_MALLARD}guiseq": " - "}


def read_gnome_help(package: Path) -> Iterator[Document]:
    """Yield titles and paragraphs of each page of the English originals, in the order of their paths.

    Paragraphs with a link that takes its words from another page are left out, as are those of an earlier page.
    """
    pages = {member.path: member for member in read_members(package, f"{FOLDER}.*\\.page")}
    repeats = Repeats()
    for path in sorted(pages):
        paragraphs = repeats.without(_blocks(_parsed(package, pages[path])))
        if paragraphs:
            yield Document(path.removeprefix(FOLDER).removesuffix(".page"), "\n".join(paragraphs))


def _parsed(package: Path, page: Member) -> ET.Element:
    """Return the root of a page; expat, which reads it, fetches no entity and lets none grow."""
    try:
        return ET.fromstring(page.content)  # noqa: S314
    except ET.ParseError as error:
        raise CorruptDatasetError(f"{package}: {page.path} is no XML: {error}") from error


def _blocks(element: ET.Element) -> Iterator[str]:
    """Yield the text of titles and paragraphs below an element."""
    for child in element:
        if child.tag in _SKIPPED:
            continue
        if child.tag not in _BLOCKS:
            yield from _blocks(child)
        elif not any(_is_bare(link) for link in child.iter(f"{_MALLARD}link")):
            text = tidy(_text(child))
            if text:
                yield text


def _is_bare(link: ET.Element) -> bool:
    return not tidy("".join(link.itertext()))


def _text(element: ET.Element) -> str:
    """Return the text of an element, with the keys or menus of a sequence joined."""
    if element.tag in _SKIPPED and element.tag != f"{_MALLARD}code":
        return ""
    if element.tag in _BETWEEN:
        return _BETWEEN[element.tag].join(tidy(_text(child)) for child in element)
    pieces = [element.text or ""]
    for child in element:
        pieces += [_text(child), child.tail or ""]
    return "".join(pieces)

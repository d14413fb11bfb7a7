"""Help of LibreOffice (Debian libreoffice-help-en-us): a document is a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from refrain.training.data.packages.archive import read_members
from refrain.training.data.packages.document import Document, Repeats
from refrain.training.data.packages.html_blocks import Role, html_blocks

FOLDER = "usr/share/libreoffice/help/en-US/text/"
MIN_WORDS = 20
"""A page of fewer is a list of links."""
MIN_WORDS_OF_A_BLOCK = 3
"""A paragraph of fewer is a cell of a table or a label."""

_SKIPPED = frozenset(
    (
        "bascode",
        "pycode",
        "code",
        "codeintable",
        "smathcode",
        "debug",
        "relatedtopics",
        "howtogetheader",
    )
)


def read_libreoffice_help(package: Path) -> Iterator[Document]:
    """Yield headings and paragraphs of each page, in the order of their paths.

    Code, what is said of a Macintosh beside other systems, and paragraphs that an earlier page has are left out.
    """
    pages = {member.path: member for member in read_members(package, f"{FOLDER}.*\\.html")}
    repeats = Repeats()
    for path in sorted(pages):
        title, *blocks = html_blocks(pages[path].text(), _Roles()) or [""]
        long = [block for block in blocks if len(block.split()) >= MIN_WORDS_OF_A_BLOCK]
        paragraphs = repeats.without([title, *long])
        document = Document(path.removeprefix(FOLDER).removesuffix(".html"), "\n".join(paragraphs))
        if document.num_words >= MIN_WORDS:
            yield document


class _Roles:
    """What each tag of a page is; of a sentence's variants for applications and systems, the first is read."""

    def __init__(self) -> None:
        self._num_variants = 0
        self._is_inline = False

    def __call__(self, tag: str, attributes: Mapping[str, str]) -> Role:
        classes = set(attributes.get("class", "").split())
        if classes & {"switch", "switchinline"}:
            self._num_variants, self._is_inline = 0, "switchinline" in classes
        if tag == "span" and "hidden" in attributes:
            self._num_variants += "MAC" not in classes
            is_second = self._is_inline and self._num_variants > 1
            return "skip" if is_second or "MAC" in classes else "inline"
        if tag in ("head", "script", "pre", "aside", "header", "nav") or classes & _SKIPPED:
            return "skip"
        return "block" if tag in ("h1", "h2", "h3", "h4", "p") else "inline"

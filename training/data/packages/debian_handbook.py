"""The Debian Administrator's Handbook (Debian debian-handbook): a document is a section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from refrain.training.data.packages.archive import read_members
from refrain.training.data.packages.document import Document
from refrain.training.data.packages.html_blocks import Role, html_blocks

FOLDER = "usr/share/doc/debian-handbook/html/en-US/"

_NUMBER = re.compile(r"^(?:Chapter |Appendix )?[A-Z0-9]+(?:\.\d+)*\.[ \xa0]+")


def read_handbook(package: Path) -> Iterator[Document]:
    """Yield headings and paragraphs of each section, in the order of their paths, without what is typed on a screen."""
    members = {member.path: member for member in read_members(package, f"{FOLDER}[^/]+\\.html")}
    for path in sorted(members):
        blocks = html_blocks(members[path].text(), _role)
        text = "\n".join(_NUMBER.sub("", block) for block in blocks)
        if text:
            yield Document(path.removeprefix(FOLDER).removesuffix(".html"), text)


def _role(tag: str, attributes: Mapping[str, str]) -> Role:
    classes = set(attributes.get("class", "").split())
    if tag in ("head", "script", "pre") or classes & {
        "toc",
        "docnav",
        "url",
        "screen",
        "programlisting",
    }:
        return "skip"
    return "block" if classes & {"para", "title"} or tag in ("h1", "h2", "h3", "dt") else "inline"

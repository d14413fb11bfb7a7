"""Small packages of registries, made by hand."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def tar_bytes(files: Mapping[str, str], packing: str = "xz") -> bytes:
    """Return a packed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{packing}") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def make_tgz(path: Path, files: Mapping[str, str]) -> Path:
    """Write a package as npm has it."""
    path.write_bytes(tar_bytes(files, "gz"))
    return path


def make_deb(path: Path, files: Mapping[str, str], data: str = "data.tar.xz") -> Path:
    """Write a Debian package: an `ar` archive with three members, each padded to an even length."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar_bytes({"./control": "Package: tiny"}) + b"!",
        data: tar_bytes({f"./{name}": text for name, text in files.items()}),
    }
    content = b"!<arch>\n"
    for name, body in members.items():
        content += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        content += body + b"\n" * (len(body) % 2)
    path.write_bytes(content)
    return path


def make_zip(path: Path, files: Mapping[str, str]) -> Path:
    """Write a wheel."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path

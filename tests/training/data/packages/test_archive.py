"""Packages are read without installing them, and those that could do harm are refused."""

import gzip
import tarfile

import pytest

from refrain.training.data.packages.archive import read_members, read_text_file
from refrain.training.errors import CorruptDatasetError
from tests.support.package_files import make_deb, make_tgz, make_zip

FILES = {"usr/share/doc/a.txt": "one", "usr/share/doc/b.html": "two", "usr/c.txt": "thrée"}
MAKERS = {"tiny.deb": make_deb, "tiny.tgz": make_tgz, "tiny.whl": make_zip, "tiny.zip": make_zip}


@pytest.mark.parametrize("name", MAKERS)
def test_the_files_that_are_wanted_come_in_order(tmp_path, name) -> None:
    package = MAKERS[name](tmp_path / name, FILES)
    members = list(read_members(package, r".*\.txt"))
    assert [(each.path, each.text()) for each in members] == [
        ("usr/share/doc/a.txt", "one"),
        ("usr/c.txt", "thrée"),
    ]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd"])
def test_a_path_that_leaves_the_archive_is_refused(tmp_path, name, path) -> None:
    if name == "tiny.deb" and path.startswith("/"):
        pytest.skip("make_deb begins every path with ./")
    package = MAKERS[name](tmp_path / name, {path: "x"})
    with pytest.raises(CorruptDatasetError, match="leaves the archive"):
        list(read_members(package, ".*"))


@pytest.mark.parametrize("name", MAKERS)
def test_absurd_sizes_are_refused_before_they_are_read(tmp_path, name) -> None:
    package = MAKERS[name](tmp_path / name, {"a": "x" * 100_000, "b": "y" * 100_000})
    with pytest.raises(CorruptDatasetError, match="too large"):
        list(read_members(package, "b", max_member=99_999))
    with pytest.raises(CorruptDatasetError, match="too large"):
        list(read_members(package, "nothing", max_total=150_000))


def test_links_and_folders_are_passed_over(tmp_path) -> None:
    package = tmp_path / "tiny.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, kind in (
            ("link", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("d", tarfile.DIRTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert list(read_members(package, ".*")) == []


@pytest.mark.parametrize("name", ["tiny.deb", "tiny.tgz"])
def test_a_truncated_package_is_refused_by_name(tmp_path, name) -> None:
    package = MAKERS[name](tmp_path / name, {"a": "".join(map(str, range(50_000)))})
    package.write_bytes(package.read_bytes()[:-2_000])
    with pytest.raises(CorruptDatasetError, match=f"{name} cannot be unpacked"):
        list(read_members(package, ".*"))


@pytest.mark.parametrize(
    "content", [b"", b"!<arch>\n", b"PK something else", b"!<arch>\n" + b"x" * 80]
)
def test_what_is_no_debian_package_is_refused(tmp_path, content) -> None:
    package = tmp_path / "tiny.deb"
    package.write_bytes(content)
    with pytest.raises(CorruptDatasetError, match="get it again"):
        list(read_members(package, ".*"))


def test_a_package_packed_with_zstd_is_refused_with_a_way_out(tmp_path) -> None:
    package = make_deb(tmp_path / "tiny.deb", FILES, data="data.tar.zst")
    with pytest.raises(CorruptDatasetError, match="zstd, as Ubuntu's are; take Debian's own"):
        list(read_members(package, ".*"))


def test_an_index_is_read_plain_or_packed(tmp_path) -> None:
    plain, packed = tmp_path / "index", tmp_path / "index.gz"
    plain.write_text("Package: tiny\n")
    packed.write_bytes(gzip.compress(b"Package: tiny\n"))
    assert read_text_file(plain) == read_text_file(packed) == "Package: tiny\n"
    with pytest.raises(CorruptDatasetError, match="too large"):
        read_text_file(packed, max_bytes=5)
    with pytest.raises(CorruptDatasetError, match=r"lz4 -d index\.lz4"):
        read_text_file(tmp_path / "index.lz4")

"""A text file: read in blocks of any size, refused with reasons."""

import pytest

from refrain.training.data import text_file as module
from refrain.training.data.text_file import TextFile, TextPart
from refrain.training.errors import CorpusError, EmptyCorpusError, NotUtf8Error

TEXT = "一行 of text,\r\nand another \r one\n\n\nthe 😀 end\r\n"
READ = TEXT.replace("\r\n", "\n")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
def test_blocks_of_any_size_are_the_same_text(tmp_path, monkeypatch, block, mark) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "a.txt"
    path.write_bytes((mark + TEXT).encode())
    file = TextFile.scan(path)
    assert file.read() == READ
    assert file.num_characters == len(READ)
    for first in range(len(READ)):
        for last in range(first, len(READ)):
            assert file.read(first, last) == READ[first:last]


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_another_encoding_is_refused_with_the_byte(tmp_path, monkeypatch, block) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc" + "床前".encode("gb18030"))
    with pytest.raises(
        NotUtf8Error, match=r"a\.txt is not UTF-8: byte 3, counted from 0, in line 1, is 0x"
    ):
        TextFile.scan(path)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("床前明月光，疑是地上霜。\n", "GB18030"),
        ("Déjà vu à la carte, très passé\n", "WINDOWS-1252"),
        ("the cat sat\n", "UTF-16"),
    ],
)
def test_what_a_file_is_likely_in_is_named(tmp_path, text, encoding) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((text * 20).encode(encoding))
    with pytest.raises(NotUtf8Error, match=f"iconv -f {encoding} -t UTF-8"):
        TextFile.scan(path)


@pytest.mark.parametrize("text", ["床前明月光，疑是地上霜。\n", "It’s “déjà vu”, isn’t it?\n"])
def test_one_damaged_byte_of_utf8_is_told_from_another_encoding(tmp_path, text) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode() * 20 + b"\xff" + text.encode() * 20)
    with pytest.raises(NotUtf8Error, match="drop what is damaged with iconv -c -f UTF-8"):
        TextFile.scan(path)


def test_half_a_character_at_the_end_is_refused_with_its_byte(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("床前".encode()[:-1])
    with pytest.raises(NotUtf8Error, match="byte 3, counted from 0, in line 1, is 0xe5"):
        TextFile.scan(path)


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_an_empty_file_is_refused(tmp_path, text) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(EmptyCorpusError):
        TextFile.scan(tmp_path / "a.txt")


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(CorpusError, match="No such file"):
        TextFile.scan(tmp_path / "none.txt")


@pytest.mark.parametrize("block", [1, 5, 100])
def test_blocks_of_a_part_end_between_words(tmp_path, monkeypatch, block) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "a.txt"
    path.write_text("the cat\n\nsat on " * 20, "utf-8")
    file = TextFile.scan(path)
    blocks = list(TextPart(file, 2, 300).blocks())
    assert "".join(blocks) == file.read(2, 300)
    assert all(after.startswith((" ", "\n")) for after in blocks[1:]) or block < 100


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_newlines_at_both_ends_are_left_out(tmp_path, monkeypatch, block) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "a.txt"
    path.write_text("\n\n\n a\n\nb \n\n\n\n", "utf-8")
    file = TextFile.scan(path)
    assert TextPart(file, 0, file.num_characters).without_newlines().read() == " a\n\nb "
    assert len(TextPart(file, 0, 2).without_newlines()) == 0

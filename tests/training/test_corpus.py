"""A person's own text file: read, refused with reasons, split."""

import pytest

from training.corpus import read_text_file, split_text
from training.errors import CorpusError, EmptyCorpusError, NotUtf8Error


def test_a_byte_order_mark_and_foreign_line_ends_are_taken_away(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff一行\r\n二行\r\n".encode())
    assert read_text_file(path) == "一行\n二行\n"


def test_another_encoding_is_refused_with_the_byte(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc" + "床前".encode("gb18030"))
    with pytest.raises(NotUtf8Error, match="byte 3, counted from 0, in line 1, is 0xb4"):
        read_text_file(path)


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_an_empty_file_is_refused(tmp_path, text) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(EmptyCorpusError):
        read_text_file(tmp_path / "a.txt")


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(CorpusError, match="No such file"):
        read_text_file(tmp_path / "none.txt")


def test_the_parts_of_a_split_follow_one_another_at_line_borders() -> None:
    text = "".join(f"line number {n}\n" for n in range(400))
    corpus = split_text(text)
    parts = [corpus.documents[split][0] for split in ("train", "validation", "test")]
    assert "\n".join(parts) + "\n" == text
    assert len(parts[0]) > 0.85 * len(text)
    assert corpus.unit == "stream"


def test_one_huge_line_is_cut_at_characters() -> None:
    corpus = split_text("字" * 1000)
    assert sum(len(part[0]) for part in corpus.documents.values()) == 1000


def test_a_text_of_a_few_letters_is_refused() -> None:
    with pytest.raises(EmptyCorpusError, match="too short"):
        split_text("abc")

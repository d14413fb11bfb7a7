"""Descriptions of packages, without what several packages say."""

from refrain.training.data.packages.debian_descriptions import read_descriptions

INDEX = """Package: tiny
Description-md5: 00
Description-en: a tiny
 Tiny does one thing, and does it
 well enough. It can:
  * read
    a file
  * write one
 .
 This package contains the program and nothing more.
 .
 Homepage of all.

Package: tiny-doc
Description-en: documentation of tiny
 This package contains the program and nothing more.
 .
 Pages about tiny.
 .
 Homepage of all.

Package: tiny-dev
Description-en: headers of tiny
 Homepage of all.

"""


def test_paragraphs_are_joined_and_repeats_left_out(tmp_path) -> None:
    index = tmp_path / "Translation-en"
    index.write_text(INDEX)
    tiny, doc = read_descriptions(index)
    assert tiny.id == "tiny"
    assert tiny.text.split("\n") == [
        "a tiny",
        "Tiny does one thing, and does it well enough. It can:",
        "* read a file",
        "* write one",
        "This package contains the program and nothing more.",
    ]
    assert (doc.id, doc.text) == ("tiny-doc", "documentation of tiny\nPages about tiny.")

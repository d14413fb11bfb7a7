"""Documents of a treebank, as text."""

import gzip

from refrain.training.data.packages.document import Document
from refrain.training.data.readers.english_web_treebank import (
    FILES,
    documents_of,
    read_web_treebank,
)

LINES = """# newdoc id = mail-1
# sent_id = mail-1-0001
# newpar id = mail-1-p0001
# text = Hi Bob,
1\tHi\thi\tINTJ

# sent_id = mail-1-0002
# newpar id = mail-1-p0002
# text = Its to late.
1\tIts\tit\tPRON

# text = See # text = there
# newdoc id = mail-2
# text = Bye.
"""


def test_sentences_become_paragraphs_and_paragraphs_documents() -> None:
    assert list(documents_of(LINES.splitlines())) == [
        ("mail-1", "Hi Bob,\nIts to late. See # text = there"),
        ("mail-2", "Bye."),
    ]


def test_the_official_splits_stay(tmp_path) -> None:
    paths = []
    for split, name in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = f"# newdoc id = {split}\n# text = Text of {split}.\n".encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        paths.append(path)
    assert list(read_web_treebank(*paths)) == [
        Document(split, f"Text of {split}.", split) for split in ("train", "validation", "test")
    ]

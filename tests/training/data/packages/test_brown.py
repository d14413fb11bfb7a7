"""Tagged tokens become what was printed in 1961."""

from refrain.training.data.packages.brown import read_brown
from tests.support.package_files import make_tgz

TEXT = """

\t``/`` I/ppss didn't/dod* see/vb it/ppo ''/'' ,/, he/pps said/vbd ;/. ;/.
Was/bedz it/pps 1/2/cd mile/nn ?/. ?/.


\tYes/rb ./.
"""


def test_tags_go_and_paragraphs_stay(tmp_path) -> None:
    package = make_tgz(tmp_path / "brown.tgz", {"package/cn10": TEXT, "package/README": "a/b"})
    (document,) = read_brown(package)
    assert document.id == "cn10"
    assert document.text == '"I didn\'t see it," he said; Was it 1/2 mile?\nYes.'


def test_the_genres_that_are_kept_aside_are_not_read(tmp_path) -> None:
    package = make_tgz(
        tmp_path / "brown.tgz", {f"package/{name}": TEXT for name in ("ca01", "cp29", "cr09")}
    )
    assert [document.id for document in read_brown(package)] == ["cr09"]

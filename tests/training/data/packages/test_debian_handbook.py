"""Sections of a book, without screens and numbers."""

from refrain.training.data.packages.debian_handbook import FOLDER, read_handbook
from tests.support.package_files import make_deb

PAGE = """<html><head><title>A.5. Siduction</title></head><body><ul class="docnav"><li>Prev</li></ul>
<h2 class="title">A.5. Siduction</h2><div class="para">It tracks <span>Sid</span>.
<div class="url">http://example.org</div></div><pre class="screen">$ apt update</pre>
<div class="sidebar"><p class="title">VOCABULARY Cache</p><div class="para">A store.</div></div></body></html>"""


def test_a_section_is_its_headings_and_paragraphs(tmp_path) -> None:
    package = make_deb(
        tmp_path / "book.deb",
        {
            f"{FOLDER}sect.siduction.html": PAGE,
            FOLDER.replace("en-US", "de-DE") + "sect.html": PAGE,
        },
    )
    (section,) = read_handbook(package)
    assert section.id == "sect.siduction"
    assert section.text == "Siduction\nIt tracks Sid.\nVOCABULARY Cache\nA store."

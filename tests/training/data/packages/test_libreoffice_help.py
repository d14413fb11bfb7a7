"""Pages of help, without code, menus of other systems and repeats."""

from refrain.training.data.packages.libreoffice_help import FOLDER, read_libreoffice_help
from tests.support.package_files import make_deb

ACCESS = """<p class="howtogetheader">To access this command...</p><p>Choose
<span class="switchinline"><span hidden="true" class="MAC">LibreOffice - Preferences</span><span hidden="true"
id="default">Tools - Options</span></span>, then <span class="switchinline"><span hidden="true"
class="WRITER">Text</span><span hidden="true" class="CALC">Cells</span></span>.</p>"""
BODY = """<p>Shows what is new in this version, with <span class="literal">code</span> in a line, and goes on at length
for as long as it takes to have twenty words on one page.</p>"""


def page(title, body):
    return f"<html><head><title>no</title></head><body><nav><p>Search all of it</p></nav><h1>{title}</h1>{body}</body>"


def test_a_page_is_its_title_and_its_paragraphs(tmp_path) -> None:
    code = '<div class="bascode"><p>Print 1 + 1</p></div><p class="code">Print 2 + 2</p>'
    table = '<table><td><p class="tablecontent">12</p></td></table><div class="debug"><p>This page is:</p></div>'
    package = make_deb(
        tmp_path / "help.deb",
        {
            f"{FOLDER}shared/b.html": page("Again", BODY.replace("new", "old") + ACCESS),
            f"{FOLDER}shared/a.html": page("Options", ACCESS + code + table + BODY),
            f"{FOLDER}shared/links.html": page("Links", "<p>See also this one.</p>"),
        },
    )
    first, second = read_libreoffice_help(package)
    assert (first.id, second.id) == ("shared/a", "shared/b")
    title, access, body = first.text.split("\n")
    assert (title, access) == ("Options", "Choose Tools - Options, then Text.")
    assert body.startswith("Shows what is new in this version, with code in a line")
    assert second.text.startswith("Again\nShows what is old")

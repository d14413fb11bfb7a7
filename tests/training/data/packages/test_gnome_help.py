"""Pages of Mallard, and no entity of theirs is fetched."""

import pytest

from refrain.training.data.packages.gnome_help import FOLDER, read_gnome_help
from refrain.training.errors import CorruptDatasetError
from tests.support.package_files import make_deb

PAGE = """<page xmlns="http://projectmallard.org/1.0/" id="lock">
<info><desc>No text.</desc><title type="link">Lock</title></info>
<title>Lock  the screen</title>
<p>Press <keyseq><key>Super</key><key>L</key></keyseq>, or <guiseq><gui>System</gui><gui>Lock</gui></guiseq>
with <code>a</code> click<media><p>A picture</p></media>.</p>
<section><title>More</title><p>See <link xref="other"/>.</p><screen>$ lock</screen>
<p>Read <link xref="other">the other page</link>.</p></section></page>"""


def test_a_page_is_its_titles_and_paragraphs(tmp_path) -> None:
    package = make_deb(
        tmp_path / "gnome.deb",
        {f"{FOLDER}gnome-help/lock.page": PAGE, "usr/share/help/de/gnome-help/lock.page": PAGE},
    )
    (page,) = read_gnome_help(package)
    assert page.id == "gnome-help/lock"
    assert page.text.split("\n") == [
        "Lock the screen",
        "Press Super+L, or System - Lock with a click.",
        "More",
        "Read the other page.",
    ]


def test_an_external_entity_is_refused(tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    evil = f'<!DOCTYPE page [<!ENTITY x SYSTEM "file://{secret}">]>' + PAGE.replace("More", "&x;")
    package = make_deb(tmp_path / "gnome.deb", {f"{FOLDER}gnome-help/lock.page": evil})
    with pytest.raises(CorruptDatasetError, match=r"lock\.page"):
        list(read_gnome_help(package))

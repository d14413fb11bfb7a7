"""The running text of HTML, whatever stands around it."""

from refrain.training.data.packages.html_blocks import html_blocks


def role(tag, attributes):
    if tag in ("script", "pre"):
        return "skip"
    return "block" if tag in ("h1", "p", "div") else "inline"


def test_blocks_come_in_the_order_in_which_they_begin() -> None:
    page = (
        "<body>out<h1>A <b>title</b></h1><div>before <p>in&amp;side</p> after</div><p> </p></body>"
    )
    assert html_blocks(page, role) == ["A title", "before after", "in&side"]


def test_what_is_skipped_is_skipped_whole() -> None:
    page = (
        "<p>a <script>var p = '<p>';</script>b</p><pre><p>code</p></pre><p>c<br>d<img src='x'/></p>"
    )
    assert html_blocks(page, role) == ["a b", "c d"]


def test_tags_that_nobody_opened_or_closed_do_no_harm() -> None:
    assert html_blocks("</p><p>one</i><p>two", role) == ["one", "two"]

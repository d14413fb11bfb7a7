"""Every tab does its job, in a browser, over the real service."""

from itertools import combinations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

ARRIVALS = """() => {
    window.seen = [];
    const count = () => document.querySelectorAll('#panel-write .token').length;
    new MutationObserver(() => window.seen.push(count())).observe(document.body, {childList: true, subtree: true});
}"""


def test_a_poem_appears_token_by_token_and_its_seed_gives_it_again(observed) -> None:
    page = observed.open()
    page.evaluate(ARRIVALS)
    page.locator("#panel-write .example").first.click()
    expect(page.locator(".token.end")).to_be_attached()
    expect(page.locator("#panel-write .status")).to_contain_text("by tang, seed")
    counts = sorted(set(page.evaluate("window.seen")))
    assert len(counts) > 10
    assert page.locator("article.verse .tokens").evaluate("e => getComputedStyle(e).textAlign") == (
        "center"
    )
    poem = page.locator("#panel-write .tokens").inner_text()
    page.get_by_role("button", name="Keep this seed").click()
    assert int(page.get_by_label("Seed").input_value()) >= 0
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(".token.end")).to_be_attached()
    expect(page.locator("#panel-write .status")).to_contain_text("by tang, seed")
    assert page.locator("#panel-write .tokens").inner_text() == poem


def test_a_word_shows_what_else_could_have_stood_there_and_can_be_exchanged(observed) -> None:
    page = observed.open()
    page.get_by_label("Seed").fill("6")
    page.get_by_label("Max tokens").fill("12")
    page.locator("#panel-write .example").nth(2).click()
    expect(page.locator("#panel-write .status")).to_contain_text("12 tokens")
    tokens, tooltip = page.locator(".token"), page.locator("#write-tooltip")
    tokens.nth(4).hover()
    expect(tooltip).to_be_visible()
    expect(tooltip).to_contain_text("%")
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    first = tokens.first.inner_text()
    rows = tooltip.locator(".row")
    assert rows.count() >= 5
    place = next(i for i in range(5) if "written" not in rows.nth(i).get_attribute("class"))
    other = rows.nth(place).locator(".word").inner_text()
    page.keyboard.press(str(place + 1))
    expect(tokens.nth(1)).to_have_text(other)
    expect(page.locator("#panel-write .status")).to_contain_text("tokens in")
    assert tokens.first.inner_text() == first
    page.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()


def test_stop_ends_the_request_and_keeps_the_text(observed, service) -> None:
    page = observed.open()
    service.held.is_on = True
    page.locator("#panel-write .example").nth(2).click()
    expect(page.locator(".token").first).to_be_attached()
    page.get_by_role("button", name="Stop").click()
    assert service.held.left.wait(60)
    service.held.is_on = False
    expect(page.locator("#panel-write .status")).to_have_text("Stopped.")
    assert page.locator(".token").count() >= 1
    assert [fault.split("/")[-1] for fault in observed.faults] == ["generate net::ERR_ABORTED"]
    observed.faults.clear()


def test_what_the_service_refuses_is_reported_and_nothing_is_lost(observed) -> None:
    page = observed.open()
    page.get_by_label("Begin with").fill("The river")
    page.get_by_label("Max tokens").fill("5000")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("#panel-write .notice")).to_contain_text("max_tokens may be at most 4,096")
    expect(page.locator("#panel-write .tokens")).to_contain_text("The river")
    assert page.get_by_label("Begin with").input_value() == "The river"
    assert len(observed.faults) == 1
    observed.faults.clear()


def test_bars_change_with_typing_and_a_number_takes_a_word(observed) -> None:
    page = observed.open("next")
    bars = page.locator("#panel-next .bars .word")
    expect(bars.first).to_have_text("States")
    text = page.get_by_label("Type")
    text.press("End")
    text.press("K")
    expect(bars.first).to_have_text("Kingdom")
    expect(page.locator("#panel-next .status")).to_contain_text("by english")
    text.press("1")
    expect(text).to_have_value("The capital of the United Kingdom ")
    expect(bars.first).not_to_have_text("Kingdom")
    page.locator("#panel-next .bars button").filter(has_text="and").click()
    expect(text).to_have_value("The capital of the United Kingdom and ")


def test_a_session_follows_edits_and_is_opened_anew_where_it_was_forgotten(observed) -> None:
    page = observed.open("next")
    bars = page.locator("#panel-next .bars .word")
    expect(bars.first).to_have_text("States")
    opened = []
    page.on("request", lambda r: r.url.endswith("/sessions") and opened.append(r.url))
    forgotten = {"error": {"message": "no session", "type": "", "param": None, "code": ""}}
    page.route("**/next", lambda r: r.fulfill(status=404, json=forgotten), times=1)
    page.get_by_label("Type").fill("The capital of the United K")
    expect(bars.first).to_have_text("Kingdom")
    assert len(opened) == 1
    page.get_by_label("Type").fill("He was born in New Y")
    expect(bars.first).to_have_text("York")
    assert len(opened) == 2
    assert all("404" in fault for fault in observed.faults)
    observed.faults.clear()


def test_a_text_whose_growth_went_unanswered_is_sent_to_a_new_session(observed) -> None:
    page = observed.open("next")
    bars = page.locator("#panel-next .bars .word")
    expect(bars.first).to_have_text("States")

    def lose_the_answer(route) -> None:
        route.fetch()
        route.abort()

    page.route("**/append", lose_the_answer, times=1)
    text = page.get_by_label("Type")
    text.fill("The capital of the United Kingdom of ")
    expect(page.locator("#panel-next .notice")).not_to_be_empty()
    with page.expect_request("**/sessions") as opened:
        text.fill("The capital of the United Kingdom of Great ")
    assert opened.value.post_data_json["text"] == "The capital of the United Kingdom of Great "
    expect(page.locator("#panel-next .notice")).to_be_empty()
    assert {"append" in fault or "ERR_FAILED" in fault for fault in observed.faults} == {True}
    observed.faults.clear()


def test_a_page_that_goes_ends_its_session(observed, service) -> None:
    page = observed.open("next")
    with page.expect_response("**/sessions") as opened:
        expect(page.locator("#panel-next .bars .word").first).to_have_text("States")
    session = opened.value.json()["session"]
    page.goto("about:blank")
    while service.held.ended.get(timeout=60) != session:
        pass  # one of another page
    assert set(observed.faults) <= {"about:blank"}  # which is not of the service
    observed.faults.clear()


def measured(observed, text):
    """Have the page measure a text; its tokens."""
    page = observed.open("surprise")
    page.get_by_label("Text to read").fill(text)
    page.get_by_role("button", name="Measure").click()
    return page.locator("#panel-surprise .token")


def test_letters_of_two_units_do_not_shift_the_colours(observed) -> None:
    words = measured(observed, "😀 The ship sank.")
    expect(words).to_have_count(5)
    assert words.all_inner_texts() == ["😀", "The", "ship", "sank", "."]


def test_a_text_is_coloured_by_surprise(observed) -> None:
    tokens = measured(observed, "The ship was built in qqqzzz.")
    page = observed.page
    expect(tokens).to_have_count(7)
    assert page.locator("#panel-surprise .tokens").inner_text() == "The ship was built in qqqzzz."
    levels = [int(tokens.nth(i).get_attribute("data-level")) for i in range(7)]
    assert levels[1] > levels[2]
    colours = {tokens.nth(i).evaluate("e => getComputedStyle(e).backgroundColor") for i in (1, 2)}
    assert len(colours) == 2
    expect(page.locator(".token.unknown")).to_have_text("qqqzzz")
    expect(page.locator("#panel-surprise aside")).to_contain_text("Perplexity")
    page.locator(".hardest button").first.click()
    expect(page.locator("#surprise-tooltip")).to_contain_text("Rank")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A lovely film with lovely performances.", "very positive"),
        ("房间太小，服务很差。", "negative"),
    ],
)
def test_a_review_gets_its_stars(observed, text, label) -> None:
    page = observed.open("sentiment")
    page.get_by_label("A review").fill(text)
    expect(page.locator(".verdict .label")).to_have_text(label)
    stars = float(page.locator(".stars .reading").inner_text().split()[0])
    filled = float(page.locator("#stars-filled rect").get_attribute("width"))
    assert filled == pytest.approx(26 * stars, abs=4)
    shares = page.locator(".classes .number").all_inner_texts()
    assert len(shares) == (5 if label == "very positive" else 2)


LABELS = """() => [...document.querySelectorAll('.ladder .plot')].map((plot) =>
    [...plot.querySelectorAll('text.value')].map((text) => {
        const { x, y, width, height } = text.getBBox();
        return { text: text.textContent, x, y, width, height };
    }))"""


def overlap(one, other, spare=2):
    """Return whether two boxes overlap by more than their letters' blank edges."""
    return all(
        one[at] + one[size] - spare > other[at] and other[at] + other[size] - spare > one[at]
        for at, size in (("x", "width"), ("y", "height"))
    )


def test_models_have_cards_curves_and_the_ladder(observed) -> None:
    page = observed.open("models")
    cards = page.locator("#panel-models .card")
    expect(cards).to_have_count(4)
    expect(page.locator(".card .plot")).to_have_count(4)
    tang = cards.filter(has=page.get_by_role("heading", name="tang"))
    for text in ("LSTM 512 + 384", "6.0M", "Kneser-Ney 5-gram", "161.4", "public domain"):
        expect(tang).to_contain_text(text)
    expect(
        page.get_by_role("img", name="Test perplexity against parameters on Penn")
    ).to_be_visible()
    assert page.locator(".ladder .plot .published").count() >= 2
    for width in (1160, 700, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)  # till it is drawn anew
        for boxes in page.evaluate(LABELS):
            assert [pair for pair in combinations(boxes, 2) if overlap(*pair)] == []


def test_the_load_is_reported_while_it_is_looked_at(observed) -> None:
    asked = []
    observed.page.on("request", lambda r: r.url.endswith("/load") and asked.append(r.url))
    observed.page.clock.install()
    page = observed.open("load")
    expect(page.locator(".totals")).to_contain_text("31,200")
    expect(page.locator(".card.load")).to_contain_text("41 / 64")
    expect(page.locator("#panel-load .status")).to_contain_text("up for 1 h 6 min")
    with page.expect_request("**/load"):
        page.clock.run_for(1_100)
    page.get_by_role("tab", name="Write").click()
    seen = len(asked)
    page.clock.run_for(5_000)
    assert len(asked) == seen


def test_a_service_that_does_not_report_its_load_is_reported_quietly(observed) -> None:
    refusal = {"error": {"message": "there is no /load", "type": "", "param": None, "code": ""}}
    observed.page.route("**/load", lambda route: route.fulfill(status=404, json=refusal))
    page = observed.open("load")
    expect(page.locator("#panel-load .status")).to_have_text(
        "This service does not report its load."
    )
    expect(page.locator("#panel-load .notice")).to_be_hidden()
    assert all("404" in fault for fault in observed.faults)
    observed.faults.clear()

"""The page can be read, heard and reached: at any width, in both themes, in both languages, by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

TABS = ("write", "next", "surprise", "sentiment", "models", "load")
CONTROLS = {"button", "textbox", "combobox", "slider", "spinbutton", "checkbox", "tab", "link"}
CONTROLS |= {"tabpanel", "tablist", "img", "meter"}
# How far the page is wider than the window, once it has been drawn in its new width.
OVERFLOW = """() => new Promise((resolve) => {
  const report = () => resolve(document.documentElement.scrollWidth - document.documentElement.clientWidth);
  requestAnimationFrame(() => requestAnimationFrame(report));
})"""
# Every visible text with too little contrast: colours are put one over the other, up to the page's own.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const mixed = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const found = [];
    for (let each = node; each; each = each.parentElement) found.unshift(getComputedStyle(each).backgroundColor);
    return found;
  };
  const faint = [];
  const check = (node, colour, text) => {
    const ground = behind(node);
    const [a, b] = [light(mixed(...ground, colour)), light(mixed(...ground))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${text.trim().slice(0, 30)} ${contrast.toFixed(2)}`);
    window.checked += 1;
  };
  window.checked = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent;
    const node = texts.currentNode.parentElement;
    if (!text.trim() || !node.checkVisibility() || node.closest("title, desc, option")) continue;
    const style = getComputedStyle(node);
    check(node, node instanceof SVGElement ? style.fill : style.color, text);
  }
  for (const node of document.querySelectorAll('textarea, select, input')) {
    if (!node.checkVisibility()) continue;
    check(node, getComputedStyle(node).color, node.value || node.id);
    if (node.placeholder) check(node, getComputedStyle(node, '::placeholder').color, node.placeholder);
  }
  return faint;
}"""


def fill(page: Page, tab: str) -> None:
    """Bring a tab to where it has the most to show."""
    panel = page.locator(f"#panel-{tab}")
    if tab == "write":
        panel.locator(".example").first.click()
        expect(panel.locator(".token.end")).to_be_attached()
        panel.locator(".token").nth(3).focus()
    elif tab == "next":
        expect(panel.locator(".bars .word").first).to_have_text("States")
    elif tab == "surprise":
        panel.locator(".example").nth(1).click()
        expect(panel.locator(".token.unknown")).to_be_visible()
        panel.locator(".token").nth(3).focus()
    elif tab == "sentiment":
        panel.locator(".example").first.click()
        expect(panel.locator(".stars")).to_be_visible()
    elif tab == "models":
        expect(panel.locator(".ladder .plot").first).to_be_visible()
        panel.locator("summary").first.click()
    else:
        expect(panel.locator(".card")).to_be_visible()


def nameless(observed) -> list[str]:
    """List controls that the browser's own accessibility tree has no name for."""
    session = observed.context.new_cdp_session(observed.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(seen) > len(TABS)
    return [node["role"]["value"] for node in seen if not node.get("name", {}).get("value")]


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_is_readable_at_any_width_in_both_themes_and_languages(observed, tab) -> None:
    page = observed.page
    page.emulate_media(reduced_motion="reduce")
    observed.open(tab)
    fill(page, tab)
    for language in ("en", "zh"):
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width in (1440, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(OVERFLOW) <= 0
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FAINT) == []
            assert page.evaluate("window.checked") > 15
        assert nameless(observed) == []
        page.locator("#language").click()


def test_the_keyboard_walks_through_the_tabs_and_the_address_keeps_the_place(observed) -> None:
    page = observed.open()
    page.locator("#tab-write").focus()
    for name in (*TABS[1:], TABS[0]):
        page.keyboard.press("ArrowRight")
        tab = page.locator(f"#tab-{name}")
        expect(tab).to_be_focused()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#panel-{name}")).to_be_visible()
        assert page.url.endswith(f"#{name}")
    page.keyboard.press("End")
    expect(page.locator("#tab-load")).to_be_focused()
    page.keyboard.press("Home")
    assert page.locator("[role=tab][tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    expect(page.locator("#panel-write")).to_be_focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Tab")
    expect(page.get_by_label("Begin with")).to_be_focused()
    page.goto(f"{observed.address}/#sentiment")
    page.reload()
    expect(page.locator("#panel-sentiment")).to_be_visible()


def test_the_chosen_theme_and_language_are_remembered_and_texts_stay(observed) -> None:
    page = observed.open()
    page.get_by_label("Begin with").fill("The river")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("tab", name="写作")).to_be_visible()
    assert page.get_by_label("开头").input_value() == "The river"
    page.reload()
    expect(page.get_by_role("tab", name="写作")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    expect(page.get_by_role("button", name="浅色")).to_be_visible()

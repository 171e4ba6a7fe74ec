"""One panel in real front ends, looked at in many ways; each test has a new panel in a notebook that stays open.

Not for: what changes what the kernel holds, or ends it (``test_panel.py``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser import axe
from tests.browser.panel_page import DARK, LIGHT, PanelPage
from tests.browser.served import HOSTILE, LOAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Desk

CELLS = (LOAD, "%tf_inspect served_model")
WIDTH, HEIGHT = 1280, 900
#: Tabs of a SavedModel that need no TensorFlow to be built.
READ = ("Model", "Layers", "Signatures", "Ops", "Graph", "Variables")
PAGE_WIDTHS = (600, 1600)
#: What sticks out of the notebook to the right, beyond what scrolls by itself.
OVERFLOW = """(root) => root.scrollWidth - root.clientWidth"""


@pytest.fixture
def panel(lasting: Desk) -> Iterator[PanelPage]:
    """A new panel on a SavedModel, on a page of the usual size."""
    frontend = lasting.frontend
    frontend.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    assert [output for output in frontend.run(1) if output["output_type"] == "error"] == []
    shown = PanelPage(frontend, 1).wait()
    yield shown
    # The server keeps it, for other pages, too.
    shown.set_theme(LIGHT)
    lasting.watch.check()


def test_an_op_is_shown_in_the_graph_and_a_box_in_the_table(panel: PanelPage) -> None:
    shown = panel.open("Ops")
    shown.get_by_role("row").filter(has_text="probability").click()
    shown.get_by_role("button", name="Show in graph").click()
    box = panel.shown.get_by_role("treeitem", name="probability")
    box.wait_for()
    panel.frontend.page.wait_for_function(
        "(each) => each.getAttribute('aria-selected') === 'true'", arg=box.element_handle()
    )


#: How far apart a heading and the cells below it begin, of each column, in pixels.
ASKEW = """(table) => [...table.querySelectorAll("[role=columnheader]")].map((heading, place) => Math.max(
  ...[...table.querySelectorAll(".tfm-row")].map((row) =>
    Math.abs(row.children[place].getBoundingClientRect().left - heading.getBoundingClientRect().left))))"""


def test_columns_stand_below_their_headings_and_scopes_at_their_depth(panel: PanelPage) -> None:
    for title in ("Ops", "Layers"):
        shown = panel.open(title)
        shown.get_by_role("gridcell").first.wait_for()
        askew = shown.locator(".tfm-table").evaluate(ASKEW)
        assert len(askew) > 2
        assert max(askew) < 1
    for theme in (DARK, LIGHT):
        panel.set_theme(theme)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == []
    shown.get_by_role("row").filter(has_text="probability").click()
    shown.get_by_role("button", name="Show in the graph").click()
    panel.shown.get_by_role("treeitem", name="probability").wait_for()


#: A text to copy, and a word of it.
COPIES = {"Python": "saved_model.load", "REST request": ":predict", "gRPC request": "make_tensor_proto"}


def test_a_signature_is_copied_as_python_and_as_requests(panel: PanelPage) -> None:
    panel.frontend.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = panel.open("Signatures")
    for label, word in COPIES.items():
        shown.get_by_role("button", name=f"Copy: {label}").last.click(force=True)
        shown.get_by_role("status").get_by_text("Copied").wait_for()
        copied = panel.frontend.page.evaluate("navigator.clipboard.readText()")
        assert word in copied
        assert "picture" in copied


def test_names_of_a_model_are_text_in_every_tab(panel: PanelPage) -> None:
    """The page fails its test on the request that the markup in these names would make."""
    for title in READ:
        shown = panel.open(title)
        if title == "Model":
            shown.get_by_text("All that was read of it").click()
        if title in ("Model", "Signatures", "Ops"):
            shown.get_by_text(HOSTILE).first.wait_for(state="attached", timeout=8000)
        assert shown.locator('img[src*="elsewhere"]').count() == 0


def test_the_keyboard_alone_reaches_the_tabs_and_what_they_hold(panel: PanelPage) -> None:
    keys = panel.frontend.page.keyboard
    panel.tab("Model").focus()
    for _ in range(panel.titles().index("Signatures")):
        keys.press("ArrowRight")
    keys.press("Enter")
    panel.shown.get_by_role("heading", name="classify_pictures (serve)").wait_for()
    summary = panel.shown.locator("summary").first
    summary.focus()
    keys.press("Enter")
    panel.shown.locator("pre").first.wait_for()
    # The front end's own shortcuts hear nothing: no cell is cut, none becomes Markdown.
    cells = panel.frontend.page.locator(".jp-Notebook .jp-Cell").count()
    for key in ("m", "x", "d", "d", "b"):
        keys.press(key)
    assert panel.frontend.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert panel.frontend.page.locator(".jp-Notebook .jp-MarkdownCell").count() == 0


#: What has the focus, whether it is in the panel, and how strongly it is outlined.
FOCUSED = """(panel) => {
  const each = document.activeElement, style = getComputedStyle(each);
  const box = each.closest(".tfm-box"), drawn = box && getComputedStyle([...box.querySelectorAll("rect")].at(-1));
  const width = drawn ? drawn.strokeWidth : style.outlineStyle === "none" ? "0" : style.outlineWidth;
  return [each.getAttribute("aria-label") ?? each.textContent, panel.contains(each), parseFloat(width)];
}"""


@pytest.mark.parametrize("title", ["Model", "Ops", "Graph", "Variables", "Convert"])
def test_all_that_tab_leads_to_shows_that_it_has_the_focus(panel: PanelPage, title: str) -> None:
    panel.open(title).locator("button, input, [tabindex='0']").first.wait_for()
    panel.tab(title).focus()
    reached = 0
    while True:
        panel.frontend.page.keyboard.press("Tab")
        name, is_inside, width = panel.root.evaluate(FOCUSED)
        if not is_inside:
            break
        reached += 1
        assert width >= 2, name
        assert reached < 60
    assert reached > 4


def test_what_leads_to_another_tab_takes_the_focus_along(panel: PanelPage) -> None:
    page = panel.frontend.page
    panel.shown.get_by_role("button", name="Explore the graph").focus()
    page.keyboard.press("Enter")
    panel.built().get_by_role("treeitem").first.wait_for()
    page.wait_for_function("() => document.activeElement.textContent === 'Graph'")
    page.keyboard.press("Tab")
    assert panel.root.evaluate(FOCUSED)[:2] == ["Find an op by name or type", True]
    # Who has left the panel is not called back.
    page.evaluate("document.activeElement.blur()")
    panel.shown.evaluate("(shown) => { shown.style.display = 'none'; shown.classList.add('changed'); }")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert not panel.root.evaluate(FOCUSED)[1]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_no_tab_keeps_anybody_out(panel: PanelPage, theme: str) -> None:
    panel.set_theme(theme)
    for title in READ:
        panel.open(title)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == [], title


def test_in_the_dark_theme_the_panel_is_dark(panel: PanelPage) -> None:
    ink = "(each) => getComputedStyle(each).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    heading = panel.shown.locator(".tfm-verdict")
    light = heading.evaluate(ink)
    panel.set_theme(DARK)
    panel.frontend.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    dark = heading.evaluate(ink)
    assert max(light) < 128 < min(dark)


def test_with_forced_colours_only_the_open_tab_is_underlined(panel: PanelPage) -> None:
    page = panel.frontend.page
    page.emulate_media(forced_colors="active")
    lines = panel.root.get_by_role("tab").evaluate_all(
        "(tabs) => tabs.map((tab) => parseFloat(getComputedStyle(tab).borderBottomWidth) > 0)"
    )
    page.emulate_media(forced_colors="none")
    assert lines == [title == "Model" for title in panel.titles()]


@pytest.mark.parametrize("width", PAGE_WIDTHS)
def test_the_panel_fits_narrow_and_wide_windows(panel: PanelPage, width: int) -> None:
    page = panel.frontend.page
    page.set_viewport_size({"width": width, "height": HEIGHT})
    for title in READ:
        panel.open(title)
        box, around = panel.root.bounding_box(), panel.cell.bounding_box()
        assert box is not None
        assert around is not None
        assert box["x"] + box["width"] <= around["x"] + around["width"] + 1, title
        assert panel.shown.evaluate(OVERFLOW) <= 1, title


#: Those of the elements whose text is cut off.
CUT = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent)"
#: Those of the cells whose text stands on several lines.
BROKEN = """(all) => all.filter((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
}).map((each) => each.textContent)"""


def test_on_a_narrow_page_titles_and_short_words_are_whole(panel: PanelPage) -> None:
    page = panel.frontend.page
    page.set_viewport_size({"width": 600, "height": HEIGHT})
    labels = panel.root.locator(".lm-TabBar-tabLabel")
    assert labels.count() == len(panel.titles())
    assert labels.evaluate_all(CUT) == []
    panel.shown.get_by_text("All that was read of it").click()
    words = panel.shown.locator(".tfm-sections td").filter(has_text=re.compile("^(serve|input|output|float32)$"))
    assert words.count() >= 4
    assert words.evaluate_all(BROKEN) == []
    # A text of several lines is set as text is, and not with the height of a control for each.
    lines = panel.open("Convert").locator("li")
    assert lines.first.evaluate("(each) => parseFloat(getComputedStyle(each).lineHeight)") < 22
    assert lines.count() > 1
    assert lines.evaluate_all(CUT) == []

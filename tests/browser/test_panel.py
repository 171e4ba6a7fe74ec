"""The panel in real front ends: what it shows, where its links lead, and what stands when the kernel is gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.browser import axe
from tests.browser.panel_page import DARK, LIGHT, RESTART, SAVE, PanelPage
from tests.browser.served import HOSTILE, LOAD, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import OpenNotebook
    from tests.browser.server import Server

    Show = Callable[..., PanelPage]

VIEW = "application/vnd.jupyter.widget-view+json"
#: Tabs of a SavedModel that need no TensorFlow to be built.
READ = ("Model", "Layers", "Signatures", "Ops", "Graph", "Variables")
PAGE_WIDTHS = (600, 1600)
#: What sticks out of the notebook to the right, beyond what scrolls by itself.
OVERFLOW = """(root) => root.scrollWidth - root.clientWidth"""


@pytest.fixture(autouse=True)
def sources(server: Server) -> None:
    """Lay out what the notebooks show."""
    lay_out(server.root)


@pytest.fixture
def show(notebook: OpenNotebook) -> Show:
    """Open a notebook, run a line and return the panel that it shows; further cells have not run."""

    def shown(line: str = "%tf_inspect served_model", *cells: str) -> PanelPage:
        frontend = notebook([LOAD, line, *cells])
        for index in (0, 1):
            assert [output for output in frontend.run(index) if output["output_type"] == "error"] == []
        return PanelPage(frontend, 1).wait()

    return shown


def name_of(panel: PanelPage) -> str:
    """Return the name of the notebook."""
    return panel.frontend.page.url.rpartition("/")[2].partition("?")[0]


def saved(server: Server, panel: PanelPage) -> list[Any]:
    """Save the notebook and return the outputs of the panel's cell as the file holds them."""
    panel.frontend.page.evaluate(SAVE)
    name = name_of(panel)
    outputs: list[Any] = nbformat.read(server.root / name, 4).cells[panel.index].outputs
    return outputs


def test_a_line_shows_the_panel_and_the_file_keeps_the_static_form(show: Show, server: Server) -> None:
    panel = show()
    assert panel.titles() == ["Model", "Layers", "Signatures", "Ops", "Graph", "Variables", "Run", "Convert"]
    assert panel.static.count() == 0
    # Of the static form's output nothing is left on the page, not even its prompt.
    prompts = panel.cell.locator(".jp-OutputPrompt:visible").all_inner_texts()
    assert [each for each in prompts if each.strip()] == []
    live, static = saved(server, panel)
    assert set(live["data"]) == {VIEW}
    assert {"text/plain", "text/html"} == set(static["data"])
    assert "classify_pictures" in static["data"]["text/html"]
    assert "classify_pictures" in static["data"]["text/plain"]


def test_the_summary_leads_to_the_rows(show: Show) -> None:
    panel = show("model = %tf_inspect served_model\nmodel")
    panel.shown.get_by_text("All that was read of it").click()
    panel.shown.get_by_role("button", name="Sigmoid").click()
    panel.root.locator('[role="tab"][aria-selected="true"]').get_by_text("Ops").wait_for()
    panel.built().get_by_text("1 of 3 rows").wait_for()
    (row,) = panel.shown.get_by_role("grid").get_by_role("row").filter(has_text="image").all_inner_texts()
    assert "probability" in row


def test_an_op_is_shown_in_the_graph_and_a_box_in_the_table(show: Show) -> None:
    panel = show()
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


def test_columns_stand_below_their_headings_and_scopes_at_their_depth(show: Show) -> None:
    panel = show()
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


def test_a_signature_is_copied_as_python_and_as_requests(show: Show) -> None:
    panel = show()
    panel.frontend.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = panel.open("Signatures")
    for label, word in {
        "Python": "saved_model.load",
        "REST request": ":predict",
        "gRPC request": "make_tensor_proto",
    }.items():
        shown.get_by_role("button", name=f"Copy: {label}").last.click(force=True)
        shown.get_by_role("status").get_by_text("Copied").wait_for()
        copied = panel.frontend.page.evaluate("navigator.clipboard.readText()")
        assert word in copied
        assert "picture" in copied


def test_names_of_a_model_are_text_in_every_tab(show: Show) -> None:
    """The page fails its test on the request that the markup in these names would make."""
    panel = show()
    for title in READ:
        shown = panel.open(title)
        if title == "Model":
            shown.get_by_text("All that was read of it").click()
        if title in ("Model", "Signatures", "Ops"):
            shown.get_by_text(HOSTILE).first.wait_for(state="attached", timeout=8000)
        assert shown.locator('img[src*="elsewhere"]').count() == 0


def test_the_keyboard_alone_reaches_the_tabs_and_what_they_hold(show: Show) -> None:
    panel = show()
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


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_no_tab_keeps_anybody_out(show: Show, theme: str) -> None:
    panel = show()
    panel.set_theme(theme)
    for title in READ:
        panel.open(title)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == [], title
    panel.set_theme(LIGHT)


def test_in_the_dark_theme_the_panel_is_dark(show: Show) -> None:
    panel = show()
    ink = "(each) => getComputedStyle(each).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    heading = panel.shown.locator(".tfm-verdict")
    light = heading.evaluate(ink)
    panel.set_theme(DARK)
    panel.frontend.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    dark = heading.evaluate(ink)
    panel.set_theme(LIGHT)
    assert max(light) < 128 < min(dark)


@pytest.mark.parametrize("width", PAGE_WIDTHS)
def test_the_panel_fits_narrow_and_wide_windows(show: Show, width: int) -> None:
    panel = show()
    page = panel.frontend.page
    page.set_viewport_size({"width": width, "height": 900})
    try:
        for title in READ:
            panel.open(title)
            box, around = panel.root.bounding_box(), panel.cell.bounding_box()
            assert box is not None
            assert around is not None
            assert box["x"] + box["width"] <= around["x"] + around["width"] + 1, title
            assert panel.shown.evaluate(OVERFLOW) <= 1, title
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


#: Those of the elements whose text is cut off.
CUT = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent)"
#: Those of the cells whose text stands on several lines.
BROKEN = """(all) => all.filter((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
}).map((each) => each.textContent)"""


def test_on_a_narrow_page_titles_and_short_words_are_whole(show: Show) -> None:
    panel = show()
    page = panel.frontend.page
    page.set_viewport_size({"width": 600, "height": 900})
    try:
        labels = panel.root.locator(".lm-TabBar-tabLabel")
        assert labels.count() == len(panel.titles())
        assert labels.evaluate_all(CUT) == []
        panel.shown.get_by_text("All that was read of it").click()
        words = panel.shown.locator(".tfm-sections td").filter(has_text=re.compile("^(serve|input|output|float32)$"))
        assert words.count() >= 4
        assert words.evaluate_all(BROKEN) == []
        # A text of several lines is set as text is, and not with the height of a control for each.
        line = panel.open("Convert").locator("li").first
        assert line.evaluate("(each) => parseFloat(getComputedStyle(each).lineHeight)") < 22
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


def test_two_panels_on_one_model_do_not_mind_each_other(show: Show) -> None:
    first = show("import tfmagic\nmodel = tfmagic.inspect('served_model')\nmodel", "model", "len(model.ops)")
    first.frontend.run(2)
    second = PanelPage(first.frontend, 2).wait()
    first.open("Signatures")
    second.open("Ops")
    assert first.tab("Signatures").get_attribute("aria-selected") == "true"
    assert second.tab("Ops").get_attribute("aria-selected") == "true"
    assert first.frontend.run(3)[0]["data"]["text/plain"] == "3"


def test_a_panel_that_is_shown_again_is_the_same_panel(show: Show) -> None:
    first = show("import tfmagic\npanel = tfmagic.panel('served_model')\npanel", "panel", "panel.tabs.selected_index")
    first.open("Signatures")
    first.frontend.run(2)
    again = PanelPage(first.frontend, 2)
    again.shown.get_by_role("heading", name="classify_pictures (serve)").wait_for()
    again.open("Ops")
    assert first.tab("Ops").get_attribute("aria-selected") == "true"
    assert first.frontend.run(3)[0]["data"]["text/plain"] == str(first.titles().index("Ops"))


def test_when_the_kernel_ends_the_static_form_stands_and_a_line_says_why(show: Show) -> None:
    panel = show()
    panel.frontend.page.evaluate(RESTART)
    panel.root.get_by_role("status").get_by_text("run the cell again").wait_for()
    panel.static.get_by_text("classify_pictures").first.wait_for()
    assert not panel.tab("Model").is_visible()


def test_of_a_panel_that_made_room_the_static_form_stands(show: Show) -> None:
    first = show(
        "%tf_inspect served_model",
        "from tfmagic.notebook import live_display\nlive_display._ALIVE = 1",
        "%tf_inspect served_model",
    )
    for index in (2, 3):
        first.frontend.run(index)
    PanelPage(first.frontend, 3).wait()
    first.static.get_by_text("classify_pictures").first.wait_for()
    assert first.root.count() == 0


def test_a_notebook_that_is_opened_again_shows_the_static_form(show: Show, server: Server) -> None:
    panel = show()
    saved(server, panel)
    name = name_of(panel)
    panel.frontend.page.goto("about:blank")
    server.stop_kernels()
    panel.frontend.open(server.page(name))
    panel.static.get_by_text("classify_pictures").first.wait_for()
    shown = panel.frontend.shown(1)
    assert "Op counts" in shown
    assert not panel.cell.get_by_text("Error displaying widget").is_visible()
    assert panel.root.count() == 0


def test_without_a_source_a_file_is_chosen_and_opened(notebook: OpenNotebook) -> None:
    frontend = notebook([LOAD, "chooser = %tf_panel\nchooser", "chooser.panel.source"])
    frontend.run(0)
    frontend.run(1)
    cell = frontend.cell(1)
    cell.get_by_label("Files").select_option("served_graph.pbtxt  (graph_def)")
    assert axe.violations(frontend.page, ".jp-OutputArea-output") == []
    cell.get_by_role("button", name="Open").click()
    panel = PanelPage(frontend, 1)
    panel.shown.locator(".tfm-card").wait_for()
    assert panel.titles() == ["Model", "Layers", "Signatures", "Ops", "Graph", "Variables", "Run", "Convert"]
    assert frontend.run(2)[0]["data"]["text/plain"].endswith("served_graph.pbtxt'")


#: A line, and what the person reads.
FAILING = {"%tf_panel notes.pb": "notes.pb", "%tf_panel nowhere.pb": "nowhere.pb", "%tf_panel --nonsense": "--nonsense"}


def test_bad_input_is_one_line_without_a_panel(notebook: OpenNotebook) -> None:
    frontend = notebook([LOAD, *FAILING])
    frontend.run(0)
    for index, named in enumerate(FAILING.values(), start=1):
        frontend.run(index)
        shown = frontend.shown(index).strip()
        assert shown.startswith("UsageError: ")
        assert named in shown
        assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(("mode", "live"), [("auto", 1), ("html", 0), ("text", 0)])
def test_the_choice_of_display(notebook: OpenNotebook, mode: str, live: int) -> None:
    frontend = notebook([LOAD, f"%config TfMagic.display = '{mode}'", "%tf_inspect served_model"])
    for index in (0, 1):
        frontend.run(index)
    outputs = frontend.run(2)
    assert sum(VIEW in output["data"] for output in outputs) == live
    assert ("text/html" in outputs[-1]["data"]) is (mode != "text")
    assert "picture" in frontend.shown(2)


BUSY = "import time\ntime.sleep(8)\nprint('slept')"
RUN_AND_LEAVE = """async (index) => {
  const app = window.jupyterapp ?? window.jupyterlab;
  app.shell.currentWidget.content.activeCellIndex = index;
  app.commands.execute("notebook:run-cell");
}"""
IS_BUSY = """() => {
  const app = window.jupyterapp ?? window.jupyterlab;
  return app.shell.currentWidget.sessionContext.session.kernel.status === "busy";
}"""


def test_a_tab_opens_while_a_cell_runs(show: Show) -> None:
    """Where the front end has subshells at once, elsewhere when the cell has ended."""
    panel = show("%tf_inspect served_model", BUSY)
    page = panel.frontend.page
    panel.wait_for_ping()
    page.evaluate(RUN_AND_LEAVE, 2)
    page.wait_for_function(IS_BUSY)
    panel.open("Signatures").get_by_role("heading", name="classify_pictures (serve)").wait_for(timeout=20_000)
    panel.frontend.cell(2).get_by_text("slept", exact=True).wait_for(timeout=20_000)

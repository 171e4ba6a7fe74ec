"""The panel in real front ends: what it shows, where its links lead, and what stands when the kernel is gone."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import tflite_samples
from tests.browser import axe
from tests.browser.panel_page import RESTART, SAVE, PanelPage
from tests.browser.served import LOAD, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import OpenNotebook
    from tests.browser.server import Server

    Show = Callable[..., PanelPage]

VIEW = "application/vnd.jupyter.widget-view+json"


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
    """Save the notebook and return the data of the outputs of the panel's cell, by type, as the file holds them."""
    panel.frontend.page.evaluate(SAVE)
    file = json.loads((server.root / name_of(panel)).read_text(encoding="utf-8"))
    return [
        {kind: data if isinstance(data, dict) else "".join(data) for kind, data in output["data"].items()}
        for output in file["cells"][panel.index]["outputs"]
    ]


def test_a_line_shows_the_panel_and_the_file_keeps_the_static_form(show: Show, server: Server) -> None:
    panel = show()
    assert panel.titles() == ["Model", "Layers", "Signatures", "Ops", "Graph", "Variables", "Run", "Convert"]
    assert panel.static.count() == 0
    # Of the static form's output nothing is left on the page, not even its prompt.
    prompts = panel.cell.locator(".jp-OutputPrompt:visible").all_inner_texts()
    assert [each for each in prompts if each.strip()] == []
    live, static = saved(server, panel)
    assert set(live) == {VIEW}
    assert {"text/plain", "text/html"} == set(static)
    assert "classify_pictures" in static["text/html"]
    assert "classify_pictures" in static["text/plain"]


def test_the_summary_leads_to_the_rows(show: Show) -> None:
    panel = show("model = %tf_inspect served_model\nmodel")
    panel.shown.get_by_text("All that was read of it").click()
    panel.shown.get_by_role("button", name="Sigmoid").click()
    panel.root.locator('[role="tab"][aria-selected="true"]').get_by_text("Ops").wait_for()
    panel.built().get_by_text("1 of 3 rows").wait_for()
    (row,) = panel.shown.get_by_role("grid").get_by_role("row").filter(has_text="image").all_inner_texts()
    assert "probability" in row


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
    server.end_sessions()
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


#: How many outputs are live, by what is chosen.
DISPLAYS = {"auto": 1, "html": 0, "text": 0}


def test_the_choice_of_display(notebook: OpenNotebook) -> None:
    lines = [(f"%config TfMagic.display = '{mode}'", "%tf_inspect served_model") for mode in DISPLAYS]
    frontend = notebook([LOAD, *itertools.chain(*lines)])
    frontend.run(0)
    for index, (mode, live) in zip(range(2, 8, 2), DISPLAYS.items(), strict=True):
        frontend.run(index - 1)
        outputs = frontend.run(index)
        assert sum(VIEW in output["data"] for output in outputs) == live, mode
        assert ("text/html" in outputs[-1]["data"]) is (mode != "text")
        frontend.cell(index).locator(".jp-OutputArea").get_by_text("picture").first.wait_for()


#: A cell that runs until a file is there.
BUSY = """from pathlib import Path
from time import sleep
while not Path("enough").exists():
    sleep(0.02)
print("done")"""
RUN_AND_LEAVE = """async (index) => {
  const app = window.jupyterapp ?? window.jupyterlab;
  app.shell.currentWidget.content.activeCellIndex = index;
  app.commands.execute("notebook:run-cell");
}"""
IS_BUSY = """() => {
  const app = window.jupyterapp ?? window.jupyterlab;
  return app.shell.currentWidget.sessionContext.session.kernel.status === "busy";
}"""


def test_a_tab_opens_while_a_cell_runs(show: Show, server: Server) -> None:
    (server.root / "enough").unlink(missing_ok=True)
    panel = show("%tf_inspect served_model", BUSY)
    page = panel.frontend.page
    panel.wait_for_ping()
    page.evaluate(RUN_AND_LEAVE, 2)
    page.wait_for_function(IS_BUSY)
    panel.open("Signatures").get_by_role("heading", name="classify_pictures (serve)").wait_for(timeout=20_000)
    (server.root / "enough").touch()
    panel.frontend.cell(2).get_by_text("done", exact=True).wait_for(timeout=20_000)


def test_a_quantised_file_is_shown_with_its_numbers_labels_and_subgraphs(show: Show, server: Server) -> None:
    tflite_samples.labelled(server.root / "colours.tflite")
    panel = show("%tf_inspect colours.tflite")
    panel.shown.get_by_text("All that was read of it").click()
    read = panel.text()
    for note in ("subgraphs 2", "name 'Colours', author 'Ada'", "output 0 'colours': labels in 'labels.txt'"):
        assert note in read
    signatures = panel.open("Signatures")
    for key in ("classify", "twice"):
        signatures.get_by_role("heading", name=key).wait_for()
    ops = panel.open("Ops")
    ops.get_by_role("row").filter(has_text="FULLY_CONNECTED").click()
    ops.get_by_text("0.0625 * (q + 7)").first.wait_for()
    ops.get_by_role("button", name="Show in graph").click()
    about = panel.built().get_by_role("region", name="Details of the chosen box")
    about.get_by_text("0.0625 * (q + 7)").first.wait_for()
    # Inputs by what they are.
    assert "weights" in about.inner_text()
    # The second subgraph is a box, its own boxes in it.
    twice = panel.shown.get_by_role("treeitem", name="twice", exact=False).first
    assert twice.get_attribute("aria-expanded") == "true"
    for label in ("x float32 2", "doubled ADD"):
        assert panel.shown.get_by_role("treeitem", name=label).get_attribute("aria-level") == "2"
    variables = panel.open("Variables")
    variables.get_by_role("row").filter(has_text="weights").click()
    # Of the real numbers that the integers stand for.
    chart = variables.get_by_role("img")
    chart.wait_for()
    assert "8 values" in (chart.get_attribute("aria-label") or "")
    for title in panel.titles():
        panel.open(title)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == [], title

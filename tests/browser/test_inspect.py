"""The magics in real front ends: what they show, how they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.panel_page import PanelPage
from tests.browser.served import HOSTILE, LOAD, lay_out

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.browser.server import Server


@pytest.fixture(autouse=True)
def sources(server: Server) -> None:
    """Lay out what the notebooks show."""
    lay_out(server.root)


@pytest.mark.parametrize("source", ["served_model", "served_graph.pbtxt"])
def test_inspect_shows_its_summary(notebook: OpenNotebook, source: str) -> None:
    frontend = notebook([LOAD, f"%tf_inspect {source}"])
    assert frontend.run(0) == []
    *_, output = frontend.run(1)
    assert output["output_type"] == "execute_result"
    assert {"text/plain", "text/html"} <= set(output["data"])
    assert "image:0" in output["data"]["text/plain"]
    panel = PanelPage(frontend, 1).wait()
    panel.shown.get_by_text("All that was read of it").click()
    assert "image:0" in panel.text()
    assert panel.shown.get_by_role("button", name="Sigmoid").is_visible()


def test_a_summary_shows_the_signatures_as_text(notebook: OpenNotebook) -> None:
    frontend = notebook([LOAD, "%tf_inspect served_model"])
    for index in (0, 1):
        assert [output for output in frontend.run(index) if output["output_type"] == "error"] == []
    PanelPage(frontend, 1).wait()
    frontend.cell(1).get_by_text("All that was read of it").click()
    shown = frontend.shown(1)
    assert "classify_pictures" in shown
    assert "picture" in shown
    assert HOSTILE in shown


def test_a_table_is_assigned_and_shown(notebook: OpenNotebook) -> None:
    frontend = notebook([LOAD, "ops = %tf_inspect served_model --ops", 'ops[ops["op"] == "Sigmoid"]'])
    assert frontend.run(0) == []
    assert frontend.run(1) == []
    frontend.run(2)
    cells = frontend.cell(2).locator("table.dataframe td").all_inner_texts()
    assert "probability" in cells
    assert "image" not in cells


#: A line that fails, and what its message must name.
FAILING = {
    "%tf_inspect notes.pb": "notes.pb",
    "%tf_inspect nowhere/at/all.pb": "nowhere/at/all.pb",
    "%tf_inspect served_model --ops --signature nonsense": "nonsense",
    "%tf_inspect served_model --no-such-flag": "--no-such-flag",
}


def test_an_error_is_one_line_without_a_traceback(notebook: OpenNotebook) -> None:
    frontend = notebook([LOAD, *FAILING])
    frontend.run(0)
    for index, (line, named) in enumerate(FAILING.items(), start=1):
        frontend.run(index)
        shown = frontend.shown(index).strip()
        assert shown.startswith("UsageError: "), line
        assert named in shown
        assert len(shown.splitlines()) == 1

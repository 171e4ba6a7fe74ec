from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error

from tests import drawn_graphs
from tests.browser import axe
from tests.browser.graph_page import GraphPage
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING, chain
from tfmagic.notebook.panel.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRONG = """<!doctype html><html lang="en"><title>wrong</title><body><main>
<div id="wrong"><button></button><p style="color:#ccc;background:#fff">pale</p></div>
<div id="right"><button>Go</button></div>
</main>"""
LIGHT = "background:#fff;--jp-layout-color1:#fff;--jp-ui-font-color1:rgba(0,0,0,.87);--jp-brand-color1:#1976d2"
DARK = "background:#111;--jp-layout-color1:#111;--jp-ui-font-color1:rgb(222,222,222);--jp-brand-color1:#2196f3"
#: By what is sought in each: a series, a loop, names that would be markup.
GRAPHS = {
    "unit": (chain(["x", *(f"net/block_{n // 5}/unit_{n}" for n in range(60))]), None),
    "mul": (LOOP, LOOPING),
    "alert": (chain(HOSTILE), None),
}


def test_what_is_wrong_is_found_where_it_is(page: Page) -> None:
    page.set_content(WRONG)
    found = axe.violations(page)
    assert [line.partition(" ")[0] for line in found] == ["button-name", "color-contrast"]
    assert "<button></button>" in found[0]
    assert axe.violations(page, "#wrong") == found
    assert axe.violations(page, "#right") == []
    with pytest.raises(Error, match="No elements found"):
        axe.violations(page, "#missing")


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sought", GRAPHS)
def test_the_graph_keeps_nobody_out(page: Page, sought: str, style: str) -> None:
    rows, functions = GRAPHS[sought]
    view: Any = GraphView(drawn_graphs.model(rows, functions))
    shown = GraphPage.mount(page, view, style)
    assert axe.violations(page) == []
    page.get_by_role("combobox", name="Find an op").fill(sought)
    shown.settle()
    page.locator("[role=listbox] [role=option]").first.wait_for()
    assert axe.violations(page) == []


def test_the_details_of_an_op_keep_nobody_out(page: Page) -> None:
    shown = GraphPage.mount(page, GraphView(drawn_graphs.model(LOOP, LOOPING)), LIGHT)
    shown.click("scope/mul")
    assert axe.violations(page) == []

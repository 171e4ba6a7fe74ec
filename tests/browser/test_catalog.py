"""A catalogue in JupyterLab: filter, sort, open one, compare two, by mouse and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import axe
from tests.browser.panel_page import DARK, LIGHT, PanelPage
from tests.browser.served import HOSTILE, LOAD
from tests.verbs.cataloguing import trees

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.conftest import OpenNotebook
    from tests.browser.frontend import Frontend
    from tests.browser.server import Server

SHOW = "frame = tfmagic.catalog('models')\ntfmagic.panel(frame)"
READ = 60_000
#: The distance of an element from the upper edge of the notebook, and what the lower edge's is.
IN_VIEW = """(each) => {
  const { top } = each.getBoundingClientRect();
  return top >= 0 && top < document.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect().bottom - 60;
}"""

pytestmark = pytest.mark.parametrize("server", ["lab"], indirect=True)


def lay_out(place: Path) -> None:
    """Lay out two versions of a model, a copy, a frozen graph, a file that is broken, and one with a loud name."""
    if place.exists():
        return
    trees.saved_model(place / "first", seed=1)
    trees.saved_model(place / "second", seed=2, units=70)
    trees.saved_model(place / "copy", seed=1, scope="other")
    trees.frozen(place / "frozen.pb")
    (place / "broken.keras").write_bytes(b"")
    (place / HOSTILE.replace("/", "")).mkdir()
    trees.frozen(place / HOSTILE.replace("/", "") / "graph.pb")


@pytest.fixture
def frontend(server: Server, notebook: OpenNotebook) -> Frontend:
    """A notebook that shows a catalogue."""
    lay_out(server.root / "models")
    shown = notebook([f"{LOAD}\nimport tfmagic", SHOW, "models.loc[0, 'tags']"])
    assert shown.run(0) == []
    assert [each for each in shown.run(1) if each["output_type"] == "error"] == []
    return shown


@pytest.fixture
def root(frontend: Frontend) -> Locator:
    """The catalogue's panel."""
    panel = frontend.cell(1).locator(".tfm-panel").first
    panel.get_by_role("row").filter(has_text="frozen.pb").wait_for()
    return panel


def row(root: Locator, name: str) -> Locator:
    return root.get_by_role("row").filter(has_text=name)


def test_rows_are_filtered_sorted_opened_and_compared_by_mouse(frontend: Frontend, root: Locator) -> None:
    assert root.get_by_role("heading", name="6 models, 1 of them with an error").is_visible()
    assert root.locator('img[src*="elsewhere"]').count() == 0
    root.get_by_role("button", name="bytes").click()
    root.locator("[aria-sort=descending]").wait_for()
    row(root, "second").and_(root.locator('[aria-rowindex="2"]')).wait_for()
    root.get_by_role("searchbox").fill("first")
    row(root, "second").wait_for(state="detached")
    row(root, "first").click()
    # What is JSON in the table is words here, and stays JSON in the variable.
    root.get_by_text("serving_default: x 4 float32 → y any shape float32").last.wait_for()
    root.get_by_role("button", name="to DataFrame").click()
    root.get_by_text("models is now a DataFrame").wait_for()
    assert frontend.run(2)[0]["data"]["text/plain"] == "'[[\"serve\"]]'"
    root.get_by_role("button", name="Open", exact=True).click()
    opened = root.locator(".tfm-panel")
    opened.locator(".tfm-card").wait_for(timeout=READ)
    frontend.page.wait_for_function(IN_VIEW, arg=opened.get_by_role("heading").first.element_handle())
    assert root.get_by_role("button", name="Cancel").count() == 0
    root.get_by_role("button", name="Compare with another").click()
    root.get_by_text("is one of two").wait_for()
    for other, answer in (("copy", "Equal"), ("second", "Not equal")):
        root.get_by_role("searchbox").first.fill(other)
        row(root, other).first.click()
        root.get_by_role("heading", name=f"models/{other}").wait_for()
        root.get_by_role("button", name="Compare with models/first").click()
        root.locator(".tfm-panel strong").get_by_text(answer, exact=True).wait_for(timeout=READ)
    opened.get_by_role("grid", name="Differences").get_by_text("dense/kernel").first.wait_for()


def test_the_keyboard_is_enough_and_its_focus_stays(frontend: Frontend, root: Locator) -> None:
    keys, page = frontend.page.keyboard, frontend.page
    root.get_by_role("grid").focus()
    keys.press("/")
    keys.type("first")
    row(root, "second").wait_for(state="detached")
    keys.press("ArrowDown")
    keys.press("Enter")
    root.get_by_role("heading", name="models/first").wait_for()
    act = root.get_by_role("button", name="Open", exact=True).first
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Tab")
    assert act.evaluate("(each) => each === document.activeElement")
    keys.press("Enter")
    root.locator(".tfm-panel .tfm-card").wait_for(timeout=READ)
    assert act.evaluate("(each) => each === document.activeElement")
    # The front end's own shortcuts hear nothing.
    keys.press("x")
    assert page.locator(".jp-Notebook .jp-Cell").count() == 3


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_it_keeps_nobody_out_and_fits_a_narrow_page(frontend: Frontend, root: Locator, theme: str) -> None:
    panel = PanelPage(frontend, 1)
    frontend.page.set_viewport_size({"width": 600, "height": 900})
    panel.set_theme(theme)
    row(root, "broken.keras").click()
    root.get_by_role("heading", name="models/broken.keras").wait_for()
    root.get_by_role("button", name="Open", exact=True).click()
    root.locator(".tfm-bad").wait_for()
    assert axe.violations(frontend.page, ".tfm-panel") == []
    assert root.evaluate("(each) => each.scrollWidth - each.clientWidth") <= 1
    panel.set_theme(LIGHT)

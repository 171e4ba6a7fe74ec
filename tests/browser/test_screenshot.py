"""The README's pictures of the panel, light and dark: a model is inspected, converted and checked in JupyterLab.

With a folder in ``TFMAGIC_SCREENSHOT`` they are taken of a MobileNetV2 and renew the README's; else of a small network.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.animation import SIGNATURE, animated, chunks
from tests.browser.conftest import SIZE
from tests.browser.panel_page import DARK, LIGHT, PanelPage
from tests.browser.served import LOAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import FloatRect, Page

    from tests.browser.conftest import OpenNotebook
    from tests.browser.server import Server

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: By theme: the first screen, for who wants nothing to move, and the steps one after the other.
PICTURES = {LIGHT: ("panel.png", "panel-steps.png"), DARK: ("panel-dark.png", "panel-steps-dark.png")}
#: How long each step stands.
SECONDS = (3.0, 3.0, 4.0)
#: Names a folder for the pictures, to renew the README's.
PLACE = "TFMAGIC_SCREENSHOT"
WIDTH, HEIGHT = 1280, 800
#: What the front end has above a notebook.
BARS = 140
MOST_BYTES = 400_000
#: What is of no use in a picture.
PLAIN = ".jp-cell-toolbar, .jp-Collapser { visibility: hidden } .jp-Notebook .jp-Cell { border-color: transparent }"
LARGE = """import keras
model = keras.applications.MobileNetV2(weights=None)"""
SMALL = """import keras
model = keras.Sequential([keras.Input((4,), name="flower"), keras.layers.Dense(3, name="kind")], name="flowers")"""
WORK = 120_000


@pytest.mark.tensorflow
@pytest.mark.parametrize("server", ["lab"], indirect=True)
def test_pictures_of_the_panel_are_taken(notebook: OpenNotebook, server: Server, tmp_path: Path) -> None:
    place = Path(os.environ.get(PLACE) or tmp_path)
    frontend = notebook([LOAD, LARGE if PLACE in os.environ else SMALL, "%tf_inspect model"])
    sheet = frontend.page.add_style_tag(content=PLAIN)
    for index in range(3):
        frontend.run(index)
    panel = PanelPage(frontend, 2).wait()
    page = frontend.page
    around = panel.cell.bounding_box()
    assert around is not None
    # The cell gets the width that the picture has.
    page.set_viewport_size({"width": round(WIDTH + SIZE["width"] - around["width"]), "height": HEIGHT + BARS})
    for theme, (first, steps) in PICTURES.items():
        shutil.rmtree(server.root / "served", ignore_errors=True)
        panel.set_theme(theme)
        frames = [page.screenshot(clip=clip(panel), animations="disabled") for _ in walked(panel)]
        (place / first).write_bytes(frames[0])
        (place / steps).write_bytes(animated(frames, SECONDS))
        for name in (first, steps):
            assert 10_000 < (place / name).stat().st_size < MOST_BYTES, name
    panel.set_theme(LIGHT)
    sheet.evaluate("(sheet) => sheet.remove()")


def walked(panel: PanelPage) -> Iterator[None]:
    """Go from the line to the model that was written and checked, and stop where a picture is taken."""
    panel.open("Model")
    rest(panel)
    yield
    shown = panel.open("Convert")
    for destination in ("elsewhere", "served"):
        shown.get_by_label("Destination").fill(destination)
        shown.get_by_label("Destination").press("Tab")
    shown.get_by_text("Size:").wait_for()
    rest(panel)
    yield
    shown.get_by_role("button", name="Convert", exact=True).click()
    shown.get_by_text("Written: served").wait_for(timeout=WORK)
    assert "checked: read back" in shown.get_by_text("Written: served").first.inner_text()
    rest(panel)
    yield


def rest(panel: PanelPage) -> None:
    """Let nothing be under the pointer, and the cell stand at the upper edge."""
    page: Page = panel.frontend.page
    page.mouse.move(WIDTH, HEIGHT + BARS - 1)
    panel.cell.evaluate("(cell) => cell.scrollIntoView({ block: 'start' })")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def clip(panel: PanelPage) -> FloatRect:
    """Return the part of the page that the cell stands in."""
    around = panel.cell.bounding_box()
    assert around is not None
    return {"x": around["x"], "y": around["y"], "width": WIDTH, "height": HEIGHT}


def test_the_readme_shows_them() -> None:
    assert README.index("<picture>") < README.index("\n## ")
    for name in (name for names in PICTURES.values() for name in names):
        assert f'"notebooks/{name}"' in README
        content = (ROOT / "notebooks" / name).read_bytes()
        assert content.startswith(SIGNATURE)
        assert len(content) < MOST_BYTES
        # Who asked the system for less motion gets pictures that stand still.
        assert ("steps" in name) == any(kind == b"acTL" for kind, _ in chunks(content))

"""The README's picture of the panel: taken here of a MobileNetV2 in JupyterLab, and small enough for a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.panel_page import PanelPage
from tests.browser.served import LOAD

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = "notebooks/panel.png"
#: Names another place for the picture, to renew the README's.
PLACE = "TFMAGIC_SCREENSHOT"
MOST_BYTES = 300_000
PNG = b"\x89PNG\r\n\x1a\n"
MODEL = """import keras
model = keras.applications.MobileNetV2(weights=None)"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("server", ["lab"], indirect=True)
def test_a_picture_of_the_panel_is_taken(notebook: OpenNotebook, tmp_path: Path) -> None:
    frontend = notebook([LOAD, MODEL, "%tf_inspect model"])
    for index in range(3):
        frontend.run(index)
    panel = PanelPage(frontend, 2).wait()
    shown = panel.open("Graph")
    shown.get_by_role("treeitem", name="block_2_*").focus()
    frontend.page.keyboard.press("Enter")
    shown.get_by_role("treeitem", name="block_2_expand").first.wait_for()
    frontend.page.mouse.move(0, 0)
    place = Path(os.environ.get(PLACE) or tmp_path / "panel.png")
    panel.root.screenshot(path=place, animations="disabled")
    assert place.read_bytes().startswith(PNG)
    assert 20_000 < place.stat().st_size < MOST_BYTES


def test_the_readme_shows_one() -> None:
    assert f"]({PICTURE})" in README
    found = (ROOT / PICTURE).read_bytes()
    assert found.startswith(PNG)
    assert len(found) < MOST_BYTES

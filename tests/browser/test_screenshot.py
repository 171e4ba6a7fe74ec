"""The README's pictures of the panel: taken of a MobileNetV2 in JupyterLab, light and dark, small enough for a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.panel_page import DARK, LIGHT, PanelPage
from tests.browser.served import LOAD

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = {LIGHT: "panel.png", DARK: "panel-dark.png"}
#: Names another folder for the pictures, to renew the README's.
PLACE = "TFMAGIC_SCREENSHOT"
MOST_BYTES = 300_000
PNG = b"\x89PNG\r\n\x1a\n"
MODEL = """import keras
model = keras.applications.MobileNetV2(weights=None)"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("server", ["lab"], indirect=True)
def test_pictures_of_the_panel_are_taken(notebook: OpenNotebook, tmp_path: Path) -> None:
    frontend = notebook([LOAD, MODEL, "%tf_inspect model"])
    for index in range(3):
        frontend.run(index)
    panel = PanelPage(frontend, 2).wait()
    frontend.page.mouse.move(0, 0)
    for theme, name in PICTURES.items():
        panel.set_theme(theme)
        place = Path(os.environ.get(PLACE) or tmp_path) / name
        panel.root.screenshot(path=place, animations="disabled")
        assert place.read_bytes().startswith(PNG)
        assert 20_000 < place.stat().st_size < MOST_BYTES
    panel.set_theme(LIGHT)


def test_the_readme_shows_them() -> None:
    assert README.index("<picture>") < README.index("\n## ")
    for name in PICTURES.values():
        assert f'"notebooks/{name}"' in README
        content = (ROOT / "notebooks" / name).read_bytes()
        assert content.startswith(PNG)
        assert len(content) < MOST_BYTES

"""What each part of the panel styles: itself, and nothing of the others or of the page around them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfmagic.notebook.panel import widgets

STATIC = Path(widgets.__file__).parent / "static"
#: The heading also takes the panel away once its kernel is gone, and makes its tabs readable; the theme is all parts'.
ROOTS = {"heading": r"\.tfm-(heading|panel)\b", "theme": r"\.tfm-(graph|table|sections|heading)$"}
SELECTORS = re.compile(r"([^{};]+)\{")


def selectors(style: str) -> list[str]:
    """Return the selectors of a style sheet, those inside conditions too; a comma in brackets parts none."""
    bare = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    found = [text.strip() for text in SELECTORS.findall(bare) if not text.strip().startswith("@")]
    return [each.strip() for text in found for each in re.split(r",(?![^(]*\))", text)]


def test_selectors_are_found_inside_conditions_too() -> None:
    style = "/* a { */ .a, .b:not(.c, .d) { x: y } @media (z) { .e { x: y } }"
    assert selectors(style) == [".a", ".b:not(.c, .d)", ".e"]


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.css")), ids=lambda path: path.stem)
def test_a_part_styles_itself_alone(path: Path) -> None:
    root = ROOTS.get(path.stem, rf"\.tfm-{path.stem}\b(?!-)")
    found = selectors(path.read_text(encoding="utf-8"))
    assert found
    assert [each for each in found if not re.match(root, each)] == []

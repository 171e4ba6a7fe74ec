"""A model's static card in a bare page: what stands in it has room.

Not for: what it says (``tests/display/test_card.py``), or names of any kind (``test_any_names.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfmagic.display import card
from tfmagic.frames import VariableRow
from tfmagic.models.model import Model, Part

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ["embeddings", *(f"bert/encoder/layer_{n}/intermediate/dense/kernel" for n in range(2))]
#: Of each name, its width, and how many lines it takes.
LINES = """(all) => all.map((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return [each.offsetWidth, new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size];
})"""


@pytest.mark.parametrize(("width", "most"), [(480, 3), (1280, 1)])
def test_names_of_what_holds_weights_are_whole_on_a_narrow_page(page: Page, width: int, most: int) -> None:
    rows = [VariableRow(name, "float32", (1000, 1000), 1_000_000, 4_000_000, None) for name in NAMES]
    model = Model("hand-made", "nowhere", {Part.VARIABLES: lambda: tuple(rows)})
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(f"<!doctype html><body>{card.markup(model)}")
    names = page.locator(".tfm-heaviest tbody td:first-child")
    assert names.all_inner_texts() == ["embeddings", *(f"bert/encoder/layer_{n}/intermediate/dense" for n in range(2))]
    for wide, lines in names.evaluate_all(LINES):
        assert wide > 100
        assert lines <= most
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

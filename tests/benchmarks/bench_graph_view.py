"""The live graph: from a click to the picture that answers it, and how soon a large graph is there, folded.

Measured in Chromium with the real widget and the real script in a bare page: what a front end's connection adds is not
in it. Medians; the table of ops, which the panel has read by then, is told apart.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

import tfmagic
from tests import drawn_graphs
from tests.browser import chromium
from tests.browser.graph_page import GraphPage
from tfmagic.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tfmagic.model import Model

SIZES = (10_000, 100_000, 1_000_000)
OPS = ("Conv2D", "BiasAdd", "Relu", "Const", "MatMul", "AddV2", "Shape", "Reshape", "Mul", "Tanh")
#: Boxes that are visible while an unfolding is measured, and how often it is.
VISIBLE, ROUNDS = 300, 9
GOAL_UNFOLD, GOAL_OPEN = 150, 1.0

#: Resolves to the milliseconds from asking for a box to the frame after its scene is drawn.
UNFOLD = """(number) => new Promise((done) => {
  const box = document.querySelector(`.tfm-box[data-n="${number}"]`);
  const world = box.parentNode, begin = performance.now();
  new MutationObserver((_, watch) => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
  }).observe(world, { childList: true });
  box.focus();
  box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
})"""


def net(count: int) -> Model:
    """Build a graph of nested scopes, ten ops a layer, ten layers a unit, a hundred units a block."""
    rows: list[drawn_graphs.Node] = [("input", "Placeholder", ())]
    before = "input"
    for number in range(1, count):
        op = OPS[number % 10]
        layer, unit = number // 10 % 10, number // 100
        name = f"net/block_{unit // 100}/unit_{unit}/layer_{layer}/{op}"
        rows.append((name, op, () if op == "Const" else (before,)))
        before = before if op == "Const" else name
    return tfmagic.inspect(drawn_graphs.graph(rows))


def grow(view: GraphView) -> None:
    """Unfold boxes until enough are visible; not measured."""
    while len(view.scene["boxes"]) < VISIBLE:
        number = next(box["n"] for box in view.scene["boxes"] if box["state"] == "folded")
        view._handle_custom_msg({"do": "open", "n": number}, [])


def unfold(shown: GraphPage) -> list[tuple[float, float]]:
    """Unfold and fold a box: for each round the milliseconds in all, and those of the kernel."""
    found = []
    number = [box["n"] for box in shown.view.scene["boxes"] if box["state"] == "folded"][-1]
    for _ in range(ROUNDS):
        total = shown.page.evaluate(UNFOLD, number)
        shown.page.evaluate(UNFOLD, number)
        begin = time.perf_counter()
        shown.view._handle_custom_msg({"do": "open", "n": number}, [])
        found.append((total, (time.perf_counter() - begin) * 1000))
        shown.view._handle_custom_msg({"do": "fold", "n": number}, [])
    return found


def measure(pages: tuple[Page, Page], count: int) -> None:
    """Print one row."""
    model = net(count)
    begin = time.perf_counter()
    model.table("ops", all=True)
    read = time.perf_counter() - begin
    begin = time.perf_counter()
    view = GraphView(model)
    kernel = time.perf_counter() - begin
    GraphPage.mount(pages[0], view)
    opened = time.perf_counter() - begin
    first = len(view.scene["boxes"])
    grow(view)
    times = unfold(GraphPage.mount(pages[1], view))
    total, own = (statistics.median(each) for each in zip(*times, strict=True))
    boxes = len(view.scene["boxes"])
    print(f"  {count:9,} {read:9.2f}s {kernel:9.2f}s {opened:9.2f}s {first:6} {boxes:8} {own:8.0f} ms {total:8.0f} ms")


def main() -> None:
    """Print seconds and milliseconds for each size."""
    print("the live graph:")
    print("      nodes  table of ops  folded   in the page  boxes  visible   unfold kernel  to paint")
    with sync_playwright() as playwright:
        program = chromium.find()
        browser = playwright.chromium.launch(executable_path=program, args=list(chromium.ARGUMENTS))
        for count in SIZES:
            pages = [browser.new_page(viewport={"width": 1200, "height": 900}) for _ in range(2)]
            measure((pages[0], pages[1]), count)
        browser.close()
    print(
        f"  goals: unfold to {VISIBLE} visible boxes {GOAL_UNFOLD} ms to paint; 100,000 nodes folded in {GOAL_OPEN} s"
    )


if __name__ == "__main__":
    main()

"""The live graph in a real JupyterLab: from a click to the picture that answers it, and how soon a large one is there.

The notebook is driven as the browser tests drive it. Medians; what a front end adds is in all of it. The table of ops,
which the panel has read by then, is told apart.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

import tfmagic
from tests import drawn_graphs
from tests.browser import chromium
from tests.browser.frontend import Frontend
from tests.browser.server import jupyter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.server import Server
    from tfmagic.models.model import Model

SIZES = (10_000, 100_000, 1_000_000)
OPS = ("Conv2D", "BiasAdd", "Relu", "Const", "MatMul", "AddV2", "Shape", "Reshape", "Mul", "Tanh")
#: Boxes that are visible while an unfolding is measured, and how often it is.
VISIBLE, ROUNDS = 300, 9
GOAL_UNFOLD, GOAL_OPEN, GOAL_DETAILS, GOAL_FRAMES = 100, 1.0, 100, 45

#: Runs a cell; resolves to the milliseconds from asking for it to the first frame that shows boxes.
OPEN = """async (index) => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  panel.content.activeCellIndex = index;
  panel.content.deselectAll();
  const begin = performance.now();
  app.commands.execute("notebook:run-cell");
  return new Promise((done) => {
    const look = () => {
      if (document.querySelector(".tfm-box")) requestAnimationFrame(() => done(performance.now() - begin));
      else requestAnimationFrame(look);
    };
    look();
  });
}"""
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
#: Resolves to the milliseconds from asking for a box's details to the frame that shows them.
DETAIL = """(number) => new Promise((done) => {
  const box = document.querySelector(`.tfm-box[data-n="${number}"]`), about = document.querySelector(".tfm-about");
  const key = (name) => box.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const begin = performance.now();
  new MutationObserver((_, watch) => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => { done(performance.now() - begin); key(" "); }));
  }).observe(about, { childList: true });
  box.focus();
  key(" ");
})"""
#: Resolves to the frames of a second in which the picture is dragged to another place with each of them.
PAN = """() => new Promise((done) => {
  const svg = document.querySelector(".tfm-stage > svg");
  svg.setPointerCapture = () => {};
  const send = (kind, x) =>
    svg.dispatchEvent(new PointerEvent(kind, { button: 0, clientX: 400 + x, clientY: 300 + x }));
  let frames = 0;
  send("pointerdown", 0);
  const begin = performance.now();
  const step = () => {
    frames += 1;
    send("pointermove", 120 * Math.sin(frames / 15));
    const seconds = (performance.now() - begin) / 1000;
    if (seconds < 1) requestAnimationFrame(step);
    else { send("pointerup", 0); done(frames / seconds); }
  };
  requestAnimationFrame(step);
})"""
READ = """import time
import tfmagic
from tfmagic.notebook.panel.widgets.graph_view import GraphView
model = tfmagic.inspect({name!r})
begin = time.perf_counter()
model.table("ops", all=True)
time.perf_counter() - begin"""
SHOW = """begin = time.perf_counter()
view = GraphView(model)
folded = time.perf_counter() - begin
view"""
FIRST = "(folded, len(view.scene['boxes']))"
#: Unfolds boxes until enough are visible, which is not measured, and tells the number of one that can be unfolded.
GROW = f"""while len(view.scene["boxes"]) < {VISIBLE}:
    number = next(box["n"] for box in view.scene["boxes"] if box["state"] == "folded")
    view._handle_custom_msg({{"do": "open", "n": number}}, [])
number = [box["n"] for box in view.scene["boxes"] if box["state"] == "folded"][-1]
number"""
KERNEL = f"""times = []
for _ in range({ROUNDS}):
    begin = time.perf_counter()
    view._handle_custom_msg({{"do": "open", "n": number}}, [])
    times.append(time.perf_counter() - begin)
    view._handle_custom_msg({{"do": "fold", "n": number}}, [])
(sorted(times)[{ROUNDS} // 2] * 1000, len(view.scene["boxes"]))"""
CELLS = (SHOW, FIRST, GROW, KERNEL)


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


def answer(frontend: Frontend, index: int) -> tuple[float, ...]:
    """Run a cell and return its numbers."""
    text = frontend.run(index)[-1]["data"]["text/plain"]
    return tuple(float(each) for each in text.strip("()").split(","))


def measure(browser: Browser, server: Server, count: int) -> None:
    """Print one row."""
    name = f"{count}.pb"
    (server.root / name).write_bytes(net(count).graph_def.SerializeToString())
    server.write_notebook(f"{count}.ipynb", [READ.format(name=name), *CELLS])
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    frontend = Frontend(page)
    frontend.open(server.page(f"{count}.ipynb"))
    (read,) = answer(frontend, 0)
    opened = page.evaluate(OPEN, 1) / 1000
    folded, first = answer(frontend, 2)
    (number,) = answer(frontend, 3)
    page.locator(f'.tfm-box[data-n="{int(number)}"]').wait_for()
    times = [(page.evaluate(UNFOLD, int(number)), page.evaluate(UNFOLD, int(number)))[0] for _ in range(ROUNDS)]
    frames = statistics.median(page.evaluate(PAN) for _ in range(3))
    details = statistics.median(page.evaluate(DETAIL, int(number)) for _ in range(ROUNDS))
    own, visible = answer(frontend, 4)
    found = f"{count:9,} {read:12.2f}s {folded:6.2f}s {opened:8.2f}s {first:6.0f} {visible:8.0f}"
    print(f"  {found} {own:8.0f} ms {statistics.median(times):14.0f} ms {details:8.0f} ms {frames:8.0f}")
    page.close()
    server.end_sessions()


def main() -> None:
    """Print seconds and milliseconds for each size."""
    print("the live graph, in JupyterLab:")
    print(
        "      nodes  table of ops  folded  in sight  boxes  visible  kernel of an unfolding, to paint  details  frames"
    )
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.ARGUMENTS))
        with jupyter("lab", Path(root), Path(home)) as server:
            for count in SIZES:
                measure(browser, server, count)
        browser.close()
    print(
        f"  goals: unfold to {VISIBLE} visible boxes {GOAL_UNFOLD} ms to paint; 100,000 nodes folded in {GOAL_OPEN} s; "
        f"details {GOAL_DETAILS} ms; {GOAL_FRAMES} frames a second while it is dragged"
    )


if __name__ == "__main__":
    main()

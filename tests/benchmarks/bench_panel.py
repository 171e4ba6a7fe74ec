"""The panel in a real JupyterLab: how soon it is there after its cell has run, and what a large one costs.

The notebook is driven as the browser tests drive it. Medians; what a front end adds is in all of it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.benchmarks.bench_graph_view import net
from tests.browser import chromium
from tests.browser.frontend import Frontend
from tests.browser.panel_page import PanelPage
from tests.browser.server import jupyter

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 5
LARGE = 1_000_000
GOAL_FIRST, GOAL_OPS = 0.3, 0.3

#: Runs a cell; resolves to the milliseconds from the kernel's answer to the first frame that shows the panel. Where the
#: panel is drawn before the answer, that is 0.
FIRST = """async (index) => {
  const app = window.jupyterapp;
  const panel = app.shell.currentWidget;
  panel.content.activeCellIndex = index;
  panel.content.deselectAll();
  const cell = panel.content.widgets[index].node;
  const drawn = new Promise((done, fail) => {
    const late = performance.now() + 60000;
    const look = () => {
      if (performance.now() > late) fail(new Error("no panel"));
      const found = [...cell.querySelectorAll(".tfm-panel h3")].some((each) => each.offsetParent);
      if (found) requestAnimationFrame(() => done(performance.now()));
      else requestAnimationFrame(look);
    };
    look();
  });
  const begin = performance.now();
  await app.commands.execute("notebook:run-cell");
  const end = performance.now();
  return [Math.max(await drawn - end, 0), end - begin];
}"""
KERAS = """import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import tfmagic
model = tfmagic.inspect(keras.applications.MobileNetV2(weights=None))
len(model.ops)"""
FILE = """import tfmagic
model = tfmagic.inspect("large.pb")
len(model.ops)"""


def median_of_cells(page: Page, first: int) -> tuple[float, float]:
    """Run the cells that show a panel; return the medians of the seconds after their end and of their own."""
    found = [page.evaluate(FIRST, index) for index in range(first, first + ROUNDS)]
    after, whole = zip(*found, strict=True)
    return statistics.median(after) / 1000, statistics.median(whole) / 1000


def until_rows(page: Page) -> float:
    """Open the table of ops of the last panel; return the seconds from the click to its rows."""
    panel = PanelPage(Frontend(page), ROUNDS)
    panel.cell.scroll_into_view_if_needed()
    begin = time.perf_counter()
    panel.tab("Ops").click()
    panel.shown.get_by_role("gridcell").first.wait_for()
    return time.perf_counter() - begin


def measured(page: Page, before: str, url: str) -> tuple[float, float]:
    """Open a notebook, run its first cell, then those that show panels."""
    frontend = Frontend(page)
    frontend.open(url)
    frontend.run(0)
    print(f"  {before}", end=" ", flush=True)
    return median_of_cells(page, 1)


def main() -> None:
    """Print what a person waits for."""
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        place = Path(root)
        (place / "large.pb").write_bytes(net(LARGE).graph_def.SerializeToString())
        with jupyter("lab", place, Path(home)) as server:
            browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.ARGUMENTS))
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(120_000)
            for name, cell in (("keras.ipynb", KERAS), ("file.ipynb", FILE)):
                server.write_notebook(name, [cell, *["model"] * ROUNDS])
            print(f"from the end of the cell to the panel, in JupyterLab, medians of {ROUNDS}:")
            after, whole = measured(page, "MobileNetV2:", server.page("keras.ipynb"))
            print(f"{after:.2f} s (goal {GOAL_FIRST}); the cell itself takes {whole:.2f} s")
            after, whole = measured(page, f"a graph of {LARGE:,} ops:", server.page("file.ipynb"))
            print(f"{after:.2f} s; the cell itself takes {whole:.2f} s")
            print(f"  its table of ops, from the click to the rows: {until_rows(page):.2f} s (goal {GOAL_OPS})")
            browser.close()


if __name__ == "__main__":
    main()

"""The table of ops: from the frame to the rows, from a key to the filtered rows, and what it costs a browser.

Measured in Chromium with the real widget and the real script in a bare page: what a front end's connection adds is not
in it. Medians of rounds. The heap is what the page has beyond an empty one, garbage collected.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.table_page import TablePage
from tfmagic import frames
from tfmagic.notebook.panel.widgets.ops_tab import COLUMNS, FACETS
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = (1_000, 100_000, 1_000_000)
OPS = ("Conv2D", "BiasAdd", "Relu", "Const", "MatMul", "AddV2", "Shape", "Reshape", "Mul", "Tanh")
ROUNDS = 7
TYPED = ("c", "co", "con", "conv", "conv2", "unit_9", "unit_99", "layer_3/relu", "nowhere")
SORTED = ("name", "op", "bytes", "shape")
GOALS = (
    "shown 1.5 s from the frame; a key to its rows 150 ms, slowest 250; sorted 300 ms, the first text sort 1.5 s; "
    "1 MB over the wire; 60 MB of heap; no blank frame"
)

#: Resolves to the milliseconds from a key to the frame after the rows that answer it.
TYPE = """(text) => new Promise((done) => {
  const search = document.querySelector(".tfm-search"), rows = document.querySelector(".tfm-rows");
  const begin = performance.now();
  new MutationObserver((_, watch) => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
  }).observe(rows, { childList: true });
  search.value = text;
  search.dispatchEvent(new Event("input"));
})"""
#: Likewise from a click on a header.
SORT = TYPE.replace("(text)", "(name)").replace(
    'search.value = text;\n  search.dispatchEvent(new Event("input"));',
    'document.querySelector(`[data-column="${name}"] button`).click();',
)
#: Scrolls to and fro for some frames; resolves to the part of the view that rows cover in each of them.
ROW_WATCH = """(count) => new Promise((done) => {
  const view = document.querySelector(".tfm-view"), pane = document.querySelector(".tfm-pane"), parts = [];
  const most = view.scrollHeight - view.clientHeight;
  const step = () => {
    const { top, bottom } = pane.getBoundingClientRect();
    const edges = [...document.querySelectorAll(".tfm-row")].map((row) => row.getBoundingClientRect());
    const reached = edges.length ? Math.min(bottom, edges.at(-1).bottom) - Math.max(top, edges[0].top) : 0;
    parts.push(reached / (bottom - top));
    if (parts.length > count) return done(parts);
    const turn = parts.length % 8;
    const near = view.scrollTop + (turn < 4 ? 140 : -90);
    view.scrollTop = turn === 7 ? Math.abs(Math.sin(parts.length * 12.9898)) * most : near;
    requestAnimationFrame(step);
  };
  step();
})"""


def million(count: int = 1_000_000) -> pd.DataFrame:
    """Build a table of ops of nested scopes, ten functions, a shape to most nodes."""
    numbers = range(count)
    names = [f"net/block_{n // 10_000}/unit_{n // 100}/layer_{n // 10 % 10}/{OPS[n % 10]}_{n}" for n in numbers]
    shapes: list[object] = [(None, each, 3) for each in range(500)] + [None]
    return pd.DataFrame({
        "function": frames.categorical(np.arange(count) * 10 // count, ["", *(f"f_{n}" for n in range(9))]),
        "name": pd.Series(names, dtype=object),
        "op": frames.categorical(np.arange(count) % 10, OPS),
        "inputs": pd.Series(np.fromiter(((name,) for name in names), object, count), dtype=object),
        "control_inputs": pd.Series(np.fromiter((() for _ in numbers), object, count), dtype=object),
        "device": frames.categorical(np.zeros(count, np.int8), [""]),
        "dtype": frames.categorical(np.arange(count) % 3, ["float32", "int32", "resource"]),
        "shape": pd.Series(np.fromiter((shapes[n % 501] for n in numbers), object, count), dtype=object),
        "bytes": np.arange(count) * 37 % 4001,
    })  # fmt: skip


def table(frame: pd.DataFrame) -> Table:
    """Make the table as the tab Ops does."""
    return Table(frame, label="Ops", columns=COLUMNS, facets=FACETS, bars=("bytes",))


def heap(page: Page) -> float:
    """Return the megabytes of the page's heap, garbage collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def median(page: Page, script: str, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Run a script with each argument in turns; return the median and the longest, in milliseconds."""
    times = [page.evaluate(script, each) for _ in range(ROUNDS) for each in arguments]
    return statistics.median(times), max(times)


def measure(browser: Browser, count: int) -> None:
    """Print one row."""
    frame = million(count)
    pages = [browser.new_page(viewport={"width": 1200, "height": 900}) for _ in range(2)]
    TablePage.mount(pages[1], table(frame.head(3)))
    before = heap(pages[1])
    begin = time.perf_counter()
    made = table(frame)
    kernel = time.perf_counter() - begin
    shown = TablePage.mount(pages[0], made)
    opened = time.perf_counter() - begin
    wire = sum(shown.sizes) / 1000
    made._handle_custom_msg({"do": "ping"}, [])
    for thread in [each for each in threading.enumerate() if each.name == "tfmagic search"]:
        thread.join()
    typed, slowest = median(pages[0], TYPE, TYPED)
    pages[0].evaluate(TYPE, "")
    sort, first = median(pages[0], SORT, SORTED)
    parts = pages[0].evaluate(ROW_WATCH, 120)
    blank = sum(part < 0.97 for part in parts)
    print(
        f"  {count:9,} {kernel:7.2f}s {opened:7.2f}s {wire:7.0f} kB {heap(pages[0]) - before:6.1f} MB"
        f" {typed:7.0f} ms {slowest:7.0f} ms {sort:7.0f} ms {first:7.0f} ms {blank:4} of {len(parts)}"
    )
    for page in pages:
        page.close()


def main() -> None:
    """Print a row for each size."""
    print("the table of ops:")
    print("       rows   kernel    shown       wire   heap   a key to rows   slowest   sorted   slowest  blank frames")
    with sync_playwright() as playwright:
        program = chromium.find()
        browser = playwright.chromium.launch(executable_path=program, args=list(chromium.ARGUMENTS))
        for count in SIZES:
            measure(browser, count)
        browser.close()
    print(f"  goals: {GOALS}")


if __name__ == "__main__":
    main()

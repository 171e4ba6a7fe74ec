"""A model's static form and its live graph in WebKit, on one page; skipped with a line where it is not installed.

Not for: front ends, and what other tests see of the graph in Chromium and Firefox.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests import drawn_graphs
from tests.browser import webkit
from tests.browser.graph_page import CALM, KEYS, MODEL
from tfmagic.notebook.panel.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.webkit import WebKit
    from tests.samples import Built

pytestmark = pytest.mark.other_engine
NAMES = ["x", *(f"net/block_{n // 5}/unit_{n}" for n in range(20))]
#: The page notes errors of its scripts; what the graph asks Python goes to the server that the page comes from.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>WebKit</title><body style="margin:8px">
<script>
  window.failed = [];
  addEventListener("error", (event) => failed.push(event.message));
  addEventListener("unhandledrejection", (event) => failed.push(String(event.reason)));
  const python = async (message) => (await fetch("/python", { method: "POST", body: JSON.stringify(message) })).json();
  (CALM)();
  MODEL
</script><div id="static">STATIC</div><div id="here"></div>"""
INK = "getComputedStyle(document.querySelector(arguments[0]))"


class Page:
    """A page and the Python side of its graph."""

    def __init__(self, static: str, view: GraphView) -> None:
        self.view = view
        self.messages: list[Any] = []
        view.send = lambda content, buffers=None: self.messages.append(content)  # noqa: ARG005 - the widget's signature
        self.text = PAGE.replace("CALM", CALM).replace("MODEL", MODEL).replace("STATIC", static)

    def answer(self, message: dict[str, Any] | None) -> dict[str, Any]:
        """Answer the script as a kernel does."""
        if message is not None:
            self.view._handle_custom_msg(message, [])
        messages, self.messages = self.messages, []
        return {"state": {key: self.view.get_state(key)[key] for key in KEYS}, "messages": messages}


@contextmanager
def served(page: Page) -> Iterator[str]:
    """Serve a page on the loopback; what else is asked for is not there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_page = self.path == "/"
            self.reply(page.text.encode() if is_page else b"", "text/html", 200 if is_page else 404)

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(json.dumps(page.answer(message)).encode(), "application/json", 200)

        def reply(self, body: bytes, kind: str, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shown(samples: Built) -> Iterator[tuple[WebKit, GraphView]]:
    """Show the card of a Keras file and the graph of a chain of blocks."""
    if absent := webkit.missing():
        pytest.skip(f"there is no {absent} (Debian's packages are webkit2gtk-driver and xvfb)")
    view = GraphView(drawn_graphs.model(drawn_graphs.chain(NAMES)))
    page = Page(tfmagic.inspect(samples["keras_archive"])._repr_html_(), view)
    with served(page) as address, webkit.window() as window:
        window.resize(1280, 1000)
        window.open(address)
        state = page.answer(None)["state"]
        window.ask("window.mount(arguments[0])", [state, str(view._esm), str(view._css)])
        settle(window)
        yield window, view


def settle(window: WebKit) -> None:
    """Wait until the page asks no more, and has drawn what it was told."""
    window.wait("window.isQuiet()")
    window.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")


def labels(window: WebKit) -> list[str]:
    found: list[str] = window.ask(
        "[...document.querySelectorAll('.tfm-box > text:first-of-type')].map((e) => e.textContent)"
    )
    return [text.removeprefix("▾ ") for text in found]


@pytest.mark.parametrize("width", [1280, 600])
def test_the_static_form_is_drawn_and_fits(shown: tuple[WebKit, GraphView], width: int) -> None:
    window, _ = shown
    window.resize(width, 1000)
    settle(window)
    assert window.ask("document.querySelector('#static img').naturalWidth") > 100
    assert window.ask("document.querySelector('.tfm-card .tfm-verdict').getBoundingClientRect().height") > 10
    assert window.ask("document.documentElement.scrollWidth - innerWidth") <= 0
    overlapping = """(() => {
      const place = (each) => document.querySelector(each).getBoundingClientRect();
      const [words, figure] = [place(".tfm-card-words"), place(".tfm-card figure")];
      return words.right > figure.left + 1 && words.bottom > figure.top + 1;
    })()"""
    assert not window.ask(overlapping)


def test_a_click_unfolds_and_arrows_have_tips_in_their_own_colour(shown: tuple[WebKit, GraphView]) -> None:
    window, view = shown
    window.resize(1280, 1000)
    settle(window)
    assert set(labels(window)) >= {"x", "block_0", "block_3"}
    number = next(box["n"] for box in view.scene["boxes"] if box["label"] == "block_1")
    window.ask("document.querySelector('.tfm-stage').scrollIntoView({ block: 'center' }) ?? true")
    window.click(f'.tfm-box[data-n="{number}"] text')
    window.wait("[...document.querySelectorAll('.tfm-box > text')].some((each) => each.textContent === 'unit_7')")
    settle(window)
    chosen = next(box["n"] for box in view.scene["boxes"] if box["label"] == "unit_7")
    window.click(f'.tfm-box[data-n="{chosen}"] text')
    settle(window)
    for kind, tip in ((".tfm-edge.tfm-up", ".tfm-up-tip"), (".tfm-edge.tfm-down", ".tfm-down-tip")):
        assert window.ask(f"{INK}.stroke", kind) == window.ask(f"{INK}.fill", tip) != "none"
        marker = window.ask("document.querySelector(arguments[0]).getAttribute('marker-end')", kind)
        assert window.ask(
            "document.querySelector(arguments[0]) !== null", marker.removeprefix("url(").removesuffix(")")
        )
    assert window.ask("window.failed") == []

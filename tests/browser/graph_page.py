"""A graph view in a bare page: the real Python widget and the real ESM, joined without a server or a kernel.

Not for: what only a real front end shows, its theme and its shortcuts (``frontend.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tfmagic.notebook.panel.widgets.graph_view import GraphView

ADDRESS = "http://127.0.0.1/graph"
#: What anywidget gives a widget's script, as far as the graph uses it; and whether something is still to come: an
#: answer, or what a script does after the short while that it gives a person to go on typing.
MODEL = """
const due = new Set(), { setTimeout: begin, clearTimeout: end } = window;
window.setTimeout = (call, delay = 0, ...rest) => {
  const id = begin.call(window, () => { due.delete(id); call(...rest); }, delay);
  if (delay < 1000) due.add(id);
  return id;
};
window.clearTimeout = (id) => { due.delete(id); end.call(window, id); };
window.isQuiet = () => due.size === 0 && (window.sent ?? 0) === (window.answered ?? 0);
window.mount = async ([state, esm, css]) => {
  const listeners = {}, dirty = {};
  const emit = (name, ...values) => (listeners[name] ?? []).slice().forEach((each) => each(...values));
  const apply = ({ state: fresh, messages }) => {
    const changed = Object.keys(fresh).filter((key) => JSON.stringify(fresh[key]) !== JSON.stringify(state[key]));
    Object.assign(state, fresh);
    changed.forEach((key) => emit("change:" + key));
    messages.forEach((message) => emit("msg:custom", message, []));
    window.answered = (window.answered ?? 0) + 1;
  };
  const model = {
    get: (key) => state[key],
    on: (name, each) => { (listeners[name] ??= []).push(each); },
    off: (name, each) => { listeners[name] = (listeners[name] ?? []).filter((other) => other !== each); },
    send: (message) => { window.sent = (window.sent ?? 0) + 1; python(message).then(apply); },
  };
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const widget = (await import(address)).default;
  window.unmount = await widget.render({ model, el: document.getElementById("here") });
};
"""
KEYS = ("scene", "entries", "entry", "constants", "links", "colours", "colour")


#: Scrolling and changes of size are told with the next frame.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def settle(page: Page) -> None:
    """Wait until the page asks no more, is told no more, and has drawn what it was told."""
    page.evaluate(DRAWN)
    page.wait_for_function("() => window.isQuiet()")
    page.evaluate(DRAWN)


#: What other engines are not asked by playwright: to tell pages that less motion is wanted.
CALM = """() => {
  const real = window.matchMedia.bind(window);
  window.matchMedia = (query) => query.includes("reduced-motion") ? { matches: true } : real(query);
}"""


def _is_chromium(page: Page) -> bool:
    browser = page.context.browser
    return browser is not None and browser.browser_type.name == "chromium"


@dataclass(frozen=True)
class GraphPage:
    """A page that shows a graph view.

    Attributes
    ----------
    page : Page
        The page.
    view : GraphView
        The Python side.
    """

    page: Page
    view: GraphView

    @classmethod
    def mount(cls, page: Page, view: GraphView, style: str = "", *, calm: bool = True) -> GraphPage:
        """Show a view in a page, with a theme's variables."""
        messages: list[Any] = []
        view.send = lambda content, buffers=None: messages.append(content)  # noqa: ARG005 - the widget's own signature

        def answer(message: dict[str, Any] | None) -> dict[str, Any]:
            if message is not None:
                view._handle_custom_msg(message, [])
            found = {"state": {key: view.get_state(key)[key] for key in KEYS}, "messages": list(messages)}
            messages.clear()
            plain: dict[str, Any] = json.loads(json.dumps(found))
            return plain

        page.expose_function("python", answer)
        # What moves would be measured on its way.
        if _is_chromium(page):
            page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
        body = (
            f'<!doctype html><html lang="en"><title>graph</title><body style="margin:8px;{style}"><div id="here"></div>'
        )
        page.route(ADDRESS, lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(ADDRESS)
        page.evaluate("() => {" + MODEL + "}")
        if not _is_chromium(page):
            page.evaluate(CALM)
        page.evaluate("window.mount", [answer(None)["state"], view._esm.__str__(), view._css.__str__()])
        shown = cls(page, view)
        shown.settle()
        return shown

    def settle(self) -> None:
        """Wait until the kernel has answered all that was asked, and the page has drawn it."""
        settle(self.page)

    @property
    def boxes(self) -> Locator:
        """All boxes."""
        return self.page.locator(".tfm-box")

    def box(self, label: str) -> Locator:
        """Return the box with this label."""
        number = next(box["n"] for box in self.view.scene["boxes"] if box["label"] == label)
        return self.page.locator(f'.tfm-box[data-n="{number}"]')

    def click(self, label: str) -> None:
        """Click a box where its label stands."""
        box = self.box(label).locator("text").first.bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.settle()

    def labels(self) -> list[str]:
        """Return the labels that are drawn."""
        return [
            text.removeprefix("▾ ") for text in self.page.locator(".tfm-box > text:first-of-type").all_text_contents()
        ]

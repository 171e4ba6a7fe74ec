"""Whatever a model calls its things: no name becomes an element, an address, a script or a formula of the page.

Not for: what a name is in code that is offered for copying (``tests/verbs/snippets/test_any_names.py``).
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import tfmagic
from tests import checkpoint_samples
from tests.browser import graph_page, table_page
from tests.browser.conftest import LOCAL_SCHEMES
from tests.browser.graph_page import GraphPage
from tests.browser.table_page import TablePage
from tfmagic import errors
from tfmagic.display import card
from tfmagic.display.elements import element
from tfmagic.escaping import UNTYPESET, visible
from tfmagic.files import protos
from tfmagic.notebook.panel.widgets.card import Card
from tfmagic.notebook.panel.widgets.graph_view import GraphView
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Dialog, Page

    from tfmagic.models.model import Model

#: By what a place would have to forget for the name to act.
NAMES = {
    "text": "<img src=x onerror=alert(1)>",
    "script": "</script></style></title></svg><script>alert(2)</script>",
    "attribute": '" onmouseover="alert(3)" autofocus onfocus="alert(3)" x="',
    "single quotes": "' onmouseover='alert(4)' autofocus onfocus='alert(4)' x='",
    "address": "javascript:alert(5)",
    "elsewhere": '<a href="https://elsewhere.example/">a</a><iframe src="//elsewhere.example/"></iframe>',
    "markdown": "[a](javascript:alert(6)) ![b](https://elsewhere.example/b.png) <https://elsewhere.example>",
    "style sheet": "url(https://elsewhere.example/c);}*{background:url(https://elsewhere.example/d)}",
    "formula": r"$\href{javascript:alert(7)}{x}$ \(y\) $$\rule{9em}{9em}$$",
    "terminal": "\x1b]8;;https://elsewhere.example\x07link\x1b]8;;\x07\x1b[2J\x9b31m",
    "no end": "nul\0bell\x07",
    "turned around": "\u202egnp.exe\u2066\u200b\ufeff",
    "lines": "line\nbreak\r\u2028separator",
    "entity": "&lt;img src=x onerror=alert(8)&gt;&quot;",
    "long": "<b>" * 350_000,
}
#: Half of a character: JSON and paths may hold it, messages do not.
LONE = "\ud800<img src=x onerror=alert(9)>"
#: In the name of a directory there is no slash, and no NUL.
IN_PATHS = "\"><img src=x onerror=alert(10)>$x$\x1b]8;;\u202e\udcff'"
ADDRESS = "http://127.0.0.1/names"
OWN = (ADDRESS, graph_page.ADDRESS, table_page.ADDRESS)

#: What of a page a name may not have become.
BROKEN = """(untypeset) => {
  const all = [...document.querySelectorAll("*")].filter((each) => each.id !== "here");
  const told = (each) => each.outerHTML.slice(0, 300);
  const addresses = ["href", "src", "srcset", "action", "formaction", "xlink:href", "data", "poster", "background"];
  const ours = (value) => value.startsWith("data:image/svg+xml,");
  const shown = (value) => /[\\p{Cc}\\p{Cf}\\u2028\\u2029]/u.test(value.replaceAll("\\n", ""));
  const broken = [];
  const say = (what, where) => broken.push(what + ": " + where);
  for (const each of all) {
    if (/^(script|iframe|object|embed|link|base|form|meta|a)$/i.test(each.localName)) say("element", told(each));
    for (const { name, value } of each.attributes) {
      if (/^on/i.test(name) || name === "autofocus") say("attribute " + name, told(each));
      if (addresses.includes(name) && !ours(value)) say("address", told(each));
      if (name === "style" && /url|javascript/i.test(value)) say("style", told(each));
      if (shown(value)) say("hidden character in " + name, told(each));
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (parentElement.localName === "style") continue;
    if (shown(data)) say("hidden character", JSON.stringify(data.slice(0, 200)));
    if (untypeset && /\\$.*\\$/.test(data) && !parentElement.closest(untypeset)) say("formula", told(parentElement));
  }
  return broken;
}"""
#: Every element is passed over and focused, and all that is folded is opened.
TOUCH = """() => {
  for (const each of document.querySelectorAll("body *")) {
    each.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    each.focus?.();
    if (each.localName === "summary") each.click();
  }
}"""


class Strict:
    """What a page of ours must not do at all: ask anybody but for itself, open a window, show a dialog, or fail."""

    def __init__(self, page: Page) -> None:
        self.acts: list[str] = []
        page.on("dialog", self._spoke)
        page.on("popup", lambda popup: self.acts.append(f"window {popup.url}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("pageerror", lambda error: self.acts.append(f"script {error.message}"))

    def _spoke(self, dialog: Dialog) -> None:
        self.acts.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _asked(self, address: str) -> None:
        if urlsplit(address).scheme not in LOCAL_SCHEMES and address not in OWN:
            self.acts.append(f"request {address[:100]}")


@pytest.fixture
def strict(page: Page) -> Strict:
    """What the page does."""
    return Strict(page)


def saved_model(directory: Path, names: Sequence[str]) -> Path:
    """Write a SavedModel in which each name stands in every place that has one."""
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    nodes = meta_graph.graph_def.node
    nodes.add(name="x", op="Placeholder").attr["dtype"].type = 1
    stored = {}
    for place, name in enumerate(names):
        meta_graph.meta_info_def.tags.append(name)
        meta_graph.asset_file_def.add(filename=name).tensor_info.name = f"{name}:0"
        signature = meta_graph.signature_def[name]
        signature.method_name = name
        for side in (signature.inputs, signature.outputs):
            side[name].name, side[name].dtype = f"{name}:0", 1
            side[name].tensor_shape.dim.add(size=-1, name=name)
        nodes.add(name=name, op="Relu", input=["x"], device=name).attr[name].s = name.encode()
        nodes.add(name=f"s{place}/{name}", op=name, input=[name])
        write = nodes.add(name=f"w{place}/{name}", op="WriteFile", input=[name, "x"])
        write.attr["file"].s = name.encode()
        variable = nodes.add(name=f"v{place}/{name}", op="VarHandleOp")
        variable.attr["shared_name"].s, variable.attr["dtype"].type = f"v{place}/{name}".encode(), 1
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = name
        function.signature.input_arg.add(name=name, type=1)
        function.node_def.add(name=name, op="WriteFile", input=[name])
        nodes.add(name=f"c{place}/{name}", op="PartitionedCall", input=["x"]).attr["f"].func.name = name
        stored[f"v{place}/{name}".encode()] = checkpoint_samples.entry((2,), b"\0" * 8)
    (directory / "variables").mkdir(parents=True)
    checkpoint_samples.write_bundle(directory / "variables" / "variables", stored, b"\0" * 8)
    (directory / "saved_model.pb").write_bytes(message.SerializeToString())
    return directory


def keras_file(path: Path, names: Sequence[str]) -> Path:
    """Write a Keras file whose layers are called so, and are of such classes."""
    dense = [
        {
            "module": name,
            "class_name": "Dense",
            "registered_name": name,
            "name": name,
            "config": {"name": name, "units": 3},
        }
        for name in names
    ]
    layers = [*dense, {"module": "keras.layers", "class_name": names[0], "config": {"name": names[0], "fn": names[1]}}]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": names[0], "layers": layers}}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": names[0]}))
        file.writestr("config.json", json.dumps(config))
    return path


def forms(model: Model) -> Iterator[Any]:
    """Yield what is shown of a model without a kernel."""
    yield model
    yield tfmagic.scan(model)
    for name in ("signatures", "ops", "functions", "variables", "metagraphs", "assets", "layers"):
        try:
            yield model.table(name, all=True)
        except errors.TfMagicError:
            continue


def show(page: Page, body: str) -> None:
    """Show a page, and touch all that stands on it."""
    page.route(ADDRESS, lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"))
    page.goto(ADDRESS)
    page.evaluate(TOUCH)


@pytest.fixture
def hostile(tmp_path: Path) -> Model:
    """A model that calls everything so, where the path does as well."""
    directory = tmp_path / IN_PATHS
    directory.mkdir()
    return tfmagic.inspect(saved_model(directory / "m", list(NAMES.values())))


def test_what_is_not_escaped_is_noticed(page: Page, strict: Strict) -> None:
    page.route("**/x", lambda route: route.fulfill(body="no picture"))
    show(page, f'<p title="{NAMES["attribute"]}">{NAMES["text"]}{NAMES["script"]}{NAMES["turned around"]} $x$')
    broken = " ".join(page.evaluate(BROKEN, f".{UNTYPESET.split()[0]}"))
    assert all(word in broken for word in ("element", "attribute on", "address", "hidden character", "formula"))
    assert {act.split()[0] for act in strict.acts} == {"dialog", "request"}


def test_names_of_any_kind_are_text_in_a_static_page(
    page: Page, strict: Strict, hostile: Model, tmp_path: Path
) -> None:
    layers = tfmagic.inspect(keras_file(tmp_path / IN_PATHS / "k.keras", [*NAMES.values(), LONE]))
    shown = [*forms(hostile), *forms(layers)]
    show(page, "<!doctype html><title>names</title>" + "".join(each._repr_html_() for each in shown))
    assert page.evaluate(BROKEN, f".{UNTYPESET.split()[0]}") == []
    text = page.evaluate("document.body.textContent")
    # Half of a character is replaced as it is read: no text of Python's that is one could be written anywhere.
    for name in (*NAMES.values(), LONE[1:], IN_PATHS):
        assert visible(name[:30]) in text
    assert all(char.isprintable() or char == "\n" for each in shown for char in repr(each))
    assert strict.acts == []


def test_names_of_any_kind_are_text_on_the_live_card(page: Page, strict: Strict, hostile: Model) -> None:
    words, note = card.card(hostile), element("p", card.FILLED)
    widget = Card(words, card.picture(hostile), element("p", card.PICTURED), note, lambda *_, **__: None)
    page.expose_function("python", lambda _: {"state": {}, "messages": []})
    show(page, '<!doctype html><title>card</title><div id="here"></div>')
    page.evaluate("() => {" + graph_page.MODEL + "}")
    state = {key: widget.get_state(key)[key] for key in ("words", "picture", "caption", "note")}
    page.evaluate("window.mount", [state, str(widget._esm), str(widget._css)])
    page.evaluate(TOUCH)
    graph_page.settle(page)
    assert page.locator("svg").count() == 1
    assert page.evaluate(BROKEN, None) == []
    assert strict.acts == []


def test_names_of_any_kind_are_text_in_the_live_table(page: Page, strict: Strict, hostile: Model) -> None:
    shown = TablePage.mount(
        page, Table(hostile.table("ops", all=True), label="Ops", facets={"op": ""}, bars=("bytes",))
    )
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    shown.settle()
    page.evaluate(TOUCH)
    shown.settle()
    assert page.evaluate(BROKEN, None) == []
    assert strict.acts == []


def test_names_of_any_kind_are_text_in_the_live_graph(page: Page, strict: Strict, hostile: Model) -> None:
    shown = GraphPage.mount(page, GraphView(hostile))
    for number in [box["n"] for box in shown.view.scene["boxes"]][:4]:
        page.locator(f'.tfm-box[data-n="{number}"]').focus()
        page.keyboard.press("Enter")
        shown.settle()
    page.evaluate(TOUCH)
    shown.settle()
    assert page.evaluate(BROKEN, None) == []
    assert strict.acts == []

from __future__ import annotations

import html
import re
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import tfmagic
from tests import drawn_graphs, tflite_samples
from tests.display.test_render import Reader
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING, chain
from tfmagic.display import render
from tfmagic.display.graph import folded_svg, op_colours, svg
from tfmagic.frames import LayerRow
from tfmagic.models.model import Model, Part

SVG = "{http://www.w3.org/2000/svg}"
#: All that a picture is made of: nothing runs, loads or links.
ELEMENTS = {"svg", "title", "desc", "defs", "marker", "path", "g", "rect", "text"}
ATTRIBUTES = {
    "role", "width", "height", "viewBox", "font-family", "font-size", "id", "refX", "refY", "markerWidth",
    "markerHeight", "orient", "markerUnits", "d", "fill", "transform", "x", "y", "rx", "stroke", "stroke-width",
    "stroke-opacity", "fill-opacity", "font-weight", "text-anchor", "opacity", "marker-end", "stroke-dasharray",
}  # fmt: skip


def drawn(model: Model) -> tuple[svg.Picture, ET.Element]:
    """Draw a model; parsing fails unless all tags are balanced and everything is escaped."""
    found = svg.picture(model)
    assert found is not None
    return found, ET.fromstring(found.svg)  # noqa: S314 - our own


def texts(tree: ET.Element) -> list[str]:
    return [each.text or "" for each in tree.iter(f"{SVG}text")]


def keras(*rows: LayerRow) -> Model:
    return Model("keras_file", "made", {Part.KERAS: lambda: rows})


def layer(name: str, *inputs: str, kind: str = "Dense") -> LayerRow:
    return LayerRow(name, kind, inputs, (), (None, 4), 20, None)


def test_a_picture_says_what_it_shows() -> None:
    found, tree = drawn(drawn_graphs.model(chain(["x", "dense/one", "dense/two", "y"])))
    assert tree.get("role") == "img"
    assert [each.tag for each in tree][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert tree.findtext(f"{SVG}title") == "main graph"
    assert tree.findtext(f"{SVG}desc") == found.words == "main graph: 4 boxes, 3 edges (x, one, two, y)"
    assert {"dense", "one", "two", "x", "y"} <= set(texts(tree))
    assert op_colours.KINDS["activation"] in texts(tree)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(name: str) -> None:
    rows: list[drawn_graphs.Node] = [
        (name, "Placeholder", ()), (f"{name}/a", name, (name,)), (f"{name}/b", "Relu", (f"{name}/a",)),
        (f"s/{name}", "Relu", (f"{name}/b",)),
    ]  # fmt: skip
    found, tree = drawn(drawn_graphs.model(rows))
    assert {each.tag.removeprefix(SVG) for each in tree.iter()} <= ELEMENTS
    assert {key for each in tree.iter() for key in each.attrib} <= ATTRIBUTES
    assert not re.search(r"(?i)(href|javascript:|<script|<img|<style|&lt;script&gt;alert.{6000})", found.svg)
    assert len(found.svg) < 20_000
    page = drawn_graphs.model(rows)._repr_html_()
    assert Reader(page, strict=False).elements <= {
        "div", "p", "strong", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "img",
        "style", "figure", "span",
    }  # fmt: skip


def test_the_only_address_in_a_picture_is_that_of_its_language() -> None:
    found, _ = drawn(drawn_graphs.model(LOOP, LOOPING))
    assert re.findall(r"\w+://[^\"]*", found.svg) == ["http://www.w3.org/2000/svg"]
    assert re.findall(r"url\([^)]*\)", found.svg) == ["url(#a)"] * found.svg.count("url(")


def test_the_static_display_holds_the_picture_and_says_it_in_words() -> None:
    model = drawn_graphs.model(chain(["x", "a/b", "a/c", "y"]))
    folded = folded_svg.picture(model)
    assert folded is not None
    page = model._repr_html_()
    (encoded,) = re.findall(r'<img src="data:image/svg\+xml,([^"<>&#]+)"', page)
    shown = ET.canonicalize(urllib.parse.unquote(encoded))
    assert shown == ET.canonicalize(folded.svg)
    assert folded.words in html.unescape(page)


def test_layers_are_drawn_rather_than_ops() -> None:
    model = keras(
        layer("in", kind="InputLayer"), layer("inner", "in", kind="Functional"), layer("inner/i", kind="InputLayer"),
        layer("inner/d", "inner/i"), layer("inner/e", "inner/d"), layer("out", "inner"),
    )  # fmt: skip
    found, tree = drawn(model)
    assert found.words.startswith("layers: 5 boxes, 4 edges")
    assert {"in", "i", "d", "e", "out", "inner"} <= set(texts(tree))


def test_a_layer_that_is_called_on_two_inputs() -> None:
    model = keras(
        layer("a", kind="InputLayer"), layer("b", kind="InputLayer"), layer("m", "a", "b", kind="Functional"),
        layer("m/p", kind="InputLayer"), layer("m/q", kind="InputLayer"), layer("m/r", "m/q", "m/p"), layer("c", "m"),
    )  # fmt: skip
    found, _ = drawn(model)
    assert "7 boxes" not in found.words
    assert "6 boxes, 5 edges" in found.words


def test_what_holds_nothing_has_no_picture() -> None:
    assert svg.picture(drawn_graphs.model([])) is None
    assert svg.picture(keras(layer("dense"), layer("other"))) is None
    assert svg.picture(Model("checkpoint", "made", {Part.VARIABLES: tuple})) is None


def test_the_display_of_ten_thousand_nodes_is_small() -> None:
    rows = chain(f"net/block_{n // 100}/unit_{n // 10}/op_{n}" for n in range(10_000))
    page = drawn_graphs.model(rows)._repr_html_()
    assert "<img" in page
    assert len(page.encode()) < 100_000


@pytest.mark.parametrize("rows", [drawn_graphs.wide(3000), chain(f"op{n}" for n in range(3000)), chain(["x"])])
def test_wide_and_long_graphs_stay_pictures(rows: list[drawn_graphs.Node]) -> None:
    found, tree = drawn(drawn_graphs.model(rows))
    assert len(found.svg) < 60_000
    assert 0.2 < found.width / found.height < 6
    assert len(list(tree.iter(f"{SVG}rect"))) < 200


def test_the_picture_survives_nbconvert_without_a_network() -> None:
    import nbconvert  # noqa: PLC0415 - seconds that few workers should take
    import nbformat  # noqa: PLC0415 - as above

    model = drawn_graphs.model(chain(["x", "a/b", "a/c", "y"]))
    page = model._repr_html_()
    output = nbformat.v4.new_output("display_data", {"text/html": page, "text/plain": "plain"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("model", outputs=[output])])
    exporter: Any = nbconvert.HTMLExporter()  # type: ignore[no-untyped-call]
    converted, _ = exporter.from_notebook_node(notebook)
    (encoded,) = re.findall(r'<img [^>]*src="data:image/svg\+xml,([^"]+)"', converted)
    folded = folded_svg.picture(model)
    assert folded is not None
    assert ET.canonicalize(urllib.parse.unquote(encoded)) == ET.canonicalize(folded.svg)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_page_of_mobilenet_is_small() -> None:
    import keras  # noqa: PLC0415 - seconds that only this test should take

    page = tfmagic.inspect(keras.applications.MobileNetV2(weights=None))._repr_html_()
    assert "<img" in page
    # The style sheet is 8 kB of it, the picture 10; a notebook of ten such pages stays below 300 kB.
    assert len(page.encode()) < 28_600


def test_a_picture_can_be_an_output_of_its_own() -> None:
    found, _ = drawn(drawn_graphs.model(LOOP, LOOPING))
    assert found._repr_svg_() == found.svg
    assert found.address.startswith("data:image/svg+xml,%3Csvg")


def test_every_kind_has_a_colour_in_the_picture_and_in_the_live_view() -> None:
    assert set(svg.COLOURS) == set(op_colours.KINDS)
    style = (Path(tfmagic.__file__).parent / "display" / "tokens.css").read_text("utf-8")
    (other,) = re.findall(r"\[data-kind\] \{\s*--kind: (#\w+);", style)
    said = dict.fromkeys(op_colours.KINDS, other) | dict(
        re.findall(r'\[data-kind="(\w+)"\] \{ --kind: (#\w+); \}', style)
    )
    assert said == svg.COLOURS


@pytest.mark.parametrize("colour", svg.COLOURS.values())
def test_colours_stand_out_from_white_and_from_black(colour: str) -> None:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    luminance = sum(part * each for part, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    # WCAG 2.2 asks for 3 to 1 of what is no text.
    assert min((1.05) / (luminance + 0.05), (luminance + 0.05) / 0.05) >= 2.8


def test_a_display_of_text_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render.display, "mode", "text")
    assert "text/html" not in drawn_graphs.model(chain(["x", "y"]))._repr_mimebundle_()


def test_what_is_fused_to_an_op_of_tflite_is_said_with_it(tmp_path: Path) -> None:
    for activation, said in (("RELU6", "ADD +RELU6"), ("NONE", "ADD")):
        model = tfmagic.inspect(tflite_samples.labelled(tmp_path / "m.tflite", activation=activation))
        assert said in texts(drawn(model)[1])
        folded = folded_svg.picture(model)
        assert folded is not None
        assert ("RELU6" in folded.words) == (activation == "RELU6")

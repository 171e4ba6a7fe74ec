"""One model is drawn over another: what only one has, what is changed, which weights differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import chain
from tfmagic import errors
from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import folded_svg
from tfmagic.files import protos
from tfmagic.verbs import compared_graphs

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.graph_view import GraphView


def graph(ops: dict[str, str]) -> Model:
    """Return a chain of ops behind a placeholder."""
    rows = chain(["x", *ops])
    return drawn_graphs.model([rows[0], *((name, ops[name], inputs) for name, _, inputs in rows[1:])])


def kinds(view: GraphView) -> dict[str, str]:
    return {box["label"]: box["kind"] for box in view.scene["boxes"] if box["state"] != "open"}


def test_what_only_one_has_is_drawn_in_its_place() -> None:
    own = graph({"a": "Relu", "new": "Abs", "b": "Neg"})
    other = graph({"a": "Relu", "old": "Exp", "b": "Neg"})
    view = tfmagic.graph_view(own, compare=other)
    assert (view.colour, view.scene["coloured"]) == ("compared", "differences from a GraphDef message")
    assert kinds(view) == {"x": "same", "a": "same", "new": "only", "old": "gone", "b": "changed"} | (
        {"b": "same"} if kinds(view)["b"] == "same" else {}
    )
    numbers = {box["label"]: box["n"] for box in view.scene["boxes"]}
    edges = {(edge["a"], edge["b"]) for edge in view.scene["edges"]}
    assert {(numbers["a"], numbers["old"]), (numbers["old"], numbers["b"])} <= edges
    details = {box["label"]: box["detail"] for box in view.scene["boxes"]}
    assert details["new"].startswith("+ only here")
    assert details["old"].startswith("\N{MINUS SIGN} only in the other")


def test_a_folded_scope_counts_what_differs_in_it() -> None:
    names = {f"net/block_{n // 5}/unit_{n}": "Relu" for n in range(60)}
    other = {name: "Neg" if name.endswith(("_16", "_17")) else op for name, op in names.items()}
    view = tfmagic.graph_view(graph(names), compare=graph(other))
    assert kinds(view)["block_3"] in ("only", "gone")
    assert kinds(view)["block_4"] == "same"


def test_a_box_of_the_static_picture_that_is_cut_says_all_in_its_title() -> None:
    name = "efficientnet_with_a_long_name/block_3_expand_separable_convolution_of_images/activation"
    own, other = (graph({name: op, "end": "Neg"}) for op in ("Relu", "Exp"))
    picture = folded_svg.picture(own, compared_graphs.of(own, other))
    assert picture is not None
    (label,) = re.findall(r"<text[^>]*>((?:eff|block)[^<]*)</text>", picture.svg)
    (whole,) = re.findall(r"<title>([^<]*activation[^<]*)</title>", picture.svg)
    assert "…" in label
    assert name.rpartition("/")[2] in whole
    assert whole.endswith("+ only here")


def test_counts_of_a_box_of_the_static_picture_are_never_cut() -> None:
    names = [f"efficientnet/block_{n}_expand_separable_convolution/activation" for n in range(40)]
    own, other = (graph(dict.fromkeys(names, "Relu") | changed) for changed in ({}, {names[3]: "Exp", names[9]: "Neg"}))
    picture = folded_svg.picture(own, compared_graphs.of(own, other))
    assert picture is not None
    assert ">+ 2, \N{MINUS SIGN} 2</text>" in picture.svg


def test_what_differs_in_a_function_is_marked_in_it_whatever_scope_calls_it() -> None:
    """Two calls of one function and one of another: what one graph has besides is drawn where it was."""

    def calling(inner: dict[str, str]) -> Model:
        message = protos.message("GraphDef")()
        message.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
        function = message.library.function.add()
        function.signature.name = "inner"
        function.signature.input_arg.add(name="a").type = 1
        function.signature.output_arg.add(name="b").type = 1
        last = "a"
        for name, op in inner.items():
            function.node_def.add(name=name, op=op, input=[last]).attr["T"].type = 1
            last = f"{name}:y:0"
        function.ret["b"] = last
        last = "x"
        for scope in ("first/part", "second"):
            call = message.node.add(name=f"{scope}/call", op="PartitionedCall", input=[last])
            call.attr["f"].func.name = "inner"
            last = call.name
        message.node.add(name="out", op="Sigmoid", input=[last]).attr["T"].type = 1
        return tfmagic.inspect(message)

    own = calling({"up": "Exp", "middle": "Neg", "end": "Tanh"})
    other = calling({"up": "Exp", "middle": "Abs", "old/extra": "Sqrt", "end": "Tanh"})
    colour = compared_graphs.of(own, other)
    choice = colour.over(graph_choices.choices(own))[0]
    assert choice.library is not None
    body = choice.library.body("inner")
    assert body.names == ["up", "middle", "end", "a", "b", "old/extra"]
    shades = colour(choice.library).shades(
        [(body, np.ones(len(body.names), bool), np.array([node])) for node in range(len(body.names))]
    )
    found = dict(zip(body.names, (box.kind for box in shades.boxes), strict=True))
    assert found == {"up": "same", "middle": "only", "end": "same", "a": "same", "b": "same", "old/extra": "gone"}


def test_equal_models_say_so_and_have_one_colour() -> None:
    view = tfmagic.graph_view(graph({"a": "Relu"}), compare=graph({"a": "Relu"}))
    assert set(kinds(view).values()) == {"same"}
    assert view.scene["note"].startswith("the two are equal")


def test_names_of_another_model_reach_no_markup() -> None:
    own, other = graph({"a": "Relu"}), graph({"a": "Relu", "<script>alert(1)</script>": "Abs"})
    colour = compared_graphs.of(own, other)
    picture = folded_svg.picture(own, colour)
    assert picture is not None
    assert "<script" not in picture.svg
    page = str(tfmagic.panel(own, compare=other)._repr_mimebundle_()["text/html"])
    assert "<script" not in page


def test_what_has_nothing_in_common_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(errors.TfMagicError):
        tfmagic.graph_view(graph({"a": "Relu"}), compare=str(tmp_path / "x.npy"))


@pytest.mark.tensorflow
def test_layers_with_other_weights_are_marked_and_layers_that_are_gone_are_drawn(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415

    layers = keras.layers

    def network(*, deep: bool) -> Any:
        inner = [layers.Dense(4, name="inner")] if deep else []
        return keras.Sequential(
            [keras.Input((4,)), layers.Dense(4, name="first"), *inner, layers.Dense(2, name="last")]
        )

    own, other = network(deep=False), network(deep=True)
    own.get_layer("last").set_weights(other.get_layer("last").get_weights())
    other.save(tmp_path / "other.keras")
    view = tfmagic.graph_view(own, compare=str(tmp_path / "other.keras"))
    found = kinds(view)
    assert (found["first"], found["inner"], found["last"]) == ("retrained", "gone", "same")
    # Weights of a layer that only one has are no other weights.
    (inner,) = (box["detail"] for box in view.scene["boxes"] if box["label"] == "inner")
    assert inner == "\N{MINUS SIGN} only in the other, Dense"
    panel = tfmagic.panel(own, compare=str(tmp_path / "other.keras"))
    assert panel.tabs.titles[-1] == "Diff"
    panel.go_to("Diff")


@pytest.mark.tensorflow
def test_weights_of_a_saved_model_are_marked_where_they_are_used(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="last")]
    )
    for name in ("before", "after"):
        tfmagic.export(model, str(tmp_path / name), verify=False)
        model.get_layer("last").set_weights([each + 1 for each in model.get_layer("last").get_weights()])
    view = tfmagic.graph_view(str(tmp_path / "before"), compare=str(tmp_path / "after"))
    marked = [box["title"] for box in view.scene["boxes"] if box["kind"] == "retrained"]
    assert [title.partition(":")[0].rpartition("/")[2] for title in marked] == ["last"]

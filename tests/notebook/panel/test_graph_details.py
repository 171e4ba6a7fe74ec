from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING
from tfmagic.display.graph.choices import choices
from tfmagic.display.graph.unfolding import Unfolding
from tfmagic.frames import LayerRow, VariableRow
from tfmagic.models.model import Model, Part
from tfmagic.notebook.panel import layer_settings
from tfmagic.notebook.panel.graph_details import GraphDetails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.samples import Built
    from tfmagic.display.graph.bodies import Body

FLOAT = 1
TIMES = "\N{MULTIPLICATION SIGN}"


def constant(node: Any, *shape: int) -> None:
    """Give a Const node ascending values."""
    node.attr["dtype"].type = FLOAT
    tensor = node.attr["value"].tensor
    tensor.dtype = FLOAT
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.arange(np.prod(shape), dtype="<f4").tobytes()


def weighty() -> Model:
    graph = drawn_graphs.graph(
        [
            ("x", "Placeholder", ()),
            ("net/w", "Const", ()),
            ("net/w/read", "Identity", ("net/w",)),
            ("net/y", "MatMul", ("x", "net/w/read")),
            ("net/z", "Relu", ("net/y", "^x")),
        ]
    )
    constant(graph.node[1], 4, 5)
    graph.node[3].attr["transpose_a"].b = True
    graph.node[3].attr["T"].type = FLOAT
    graph.node[3].attr["_class"].list.s.append(b"loc:@w")
    return tfmagic.inspect(graph)


def details(model: Model, label: str, *, constants: bool = False) -> dict[str, Any]:
    """Return what is known of the box with this label, everything unfolded."""
    choice = choices(model)[0]
    assert choice.library is not None
    unfolding = Unfolding(choice.library, choice.function, constants=constants)
    for box in unfolding.visible():
        unfolding.open(box.number)
    box = max((box for box in unfolding.visible() if box.label == label), key=lambda box: box.kind == "op")
    return GraphDetails(model, choice.library, is_layers=choice.title == "layers").of(box)


def test_a_node_tells_its_attributes_and_what_tensorflow_notes_for_itself_apart() -> None:
    told = details(weighty(), "y")
    assert told["settings"] == [["T", "float32"], ["transpose_a", "True"]]
    assert [name for name, _ in told["usual"]] == ["_class"]
    assert told["line"] == "MatMul, in net"


def test_a_weight_is_found_behind_what_hands_it_on() -> None:
    (weight,) = details(weighty(), "y")["holds"]
    assert weight == {"name": "net/w", "dtype": "float32", "shape": f"4{TIMES}5", "bytes": 80, "row": 0}


def test_what_only_waits_is_said_to_wait() -> None:
    told = details(weighty(), "z")
    assert [(end["name"], end["key"]) for end in told["inputs"]] == [("net/y", ""), ("x", "waits for")]
    assert ("net/z", "waits for it") in [(end["name"], end["key"]) for end in details(weighty(), "x")["outputs"]]


def test_a_constant_tells_its_values() -> None:
    told = details(weighty(), "w", constants=True)
    assert told["value"] == ", ".join(f"{number}.0" for number in range(20))


def test_a_scope_tells_what_it_holds_and_what_crosses_its_border() -> None:
    told = details(weighty(), "net")
    assert told["op"] == ""
    assert told["line"] == "2 ops"
    assert told["settings"] == [["MatMul", "1"], ["Relu", "1"]]
    assert [end["name"] for end in told["inputs"]] == ["x"]
    assert told["outputs"] == []
    assert [weight["name"] for weight in told["holds"]] == ["net/w"]


def test_of_a_large_scope_only_what_may_hold_a_weight_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[drawn_graphs.Node] = [("x", "Placeholder", ())]
    for number in range(300):
        constants = [f"n/{number}/{name}" for name in "ba"] if number % 100 == 0 else []
        rows += [(name, "Const", ()) for name in reversed(constants)]
        rows.append((f"n/{number}/y", "AddN", (rows[-1 - len(constants)][0], *constants)))
    graph = drawn_graphs.graph(rows)
    for node in graph.node:
        if node.op == "Const":
            constant(node, 4, 5)
    looked_at: list[int] = []
    held = GraphDetails._held

    def noted(details: GraphDetails, body: Body, node: int) -> Iterator[str]:
        looked_at.append(node)
        return held(details, body, node)

    monkeypatch.setattr(GraphDetails, "_held", noted)
    told = details(tfmagic.inspect(graph), "n")
    # In the order of the ops that take them, and of their inputs.
    assert [weight["name"] for weight in told["holds"]] == [f"n/{n}/{name}" for n in (0, 100, 200) for name in "ba"]
    assert len(looked_at) == 6


def test_a_weight_is_followed_out_of_the_functions_that_it_is_given_to() -> None:
    # The loop's body reads its second argument, which the main graph feeds with the variable v.
    told = details(drawn_graphs.model(LOOP, LOOPING), "scope/mul")
    assert [weight["name"] for weight in told["holds"]] == ["v"]
    assert told["function"] == "body"
    assert told["tensor"] == ""


LAYERS = (
    LayerRow("in", "InputLayer", (), ("outer/dense",), (None, 8), 0, None),
    LayerRow("outer/dense", "Dense", ("in",), (), (None, 4), 36, trainable=True),
)
SETTINGS: dict[str, object] = {
    "name": "dense", "units": 4, "use_bias": False, "activation": "relu", "kernel_size": [3, 3], "rate": 0.25,
    "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}, "bias_constraint": None,
    "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}, "axis": [-1],
}  # fmt: skip


def layered() -> Model:
    variables = (
        VariableRow("outer/dense/kernel", "float32", (8, 4), 32, 128, trainable=True),
        VariableRow("outer/dense_2/kernel", "float32", (8, 4), 32, 128, trainable=True),
        VariableRow("outer/dense/inner/bias", "float32", (4,), 4, 16, trainable=True),
    )
    return Model(
        "keras_model",
        "built here",
        {Part.KERAS: lambda: LAYERS, Part.VARIABLES: lambda: variables},
        settings={"outer/dense": SETTINGS}.get,  # type: ignore[arg-type] # gives None for others, as no reader does
    )


def test_a_layer_tells_what_it_was_made_with_the_usual_apart() -> None:
    told = details(layered(), "outer/dense")
    assert dict(told["settings"]) == {
        "units": "4", "use_bias": "no", "activation": "relu", "kernel_size": f"3{TIMES}3", "rate": "0.25",
        "axis": "(-1)",
    }  # fmt: skip
    assert dict(told["usual"])["kernel_initializer"] == "GlorotUniform"
    assert dict(told["usual"])["dtype"] == "mixed_float16"
    assert told["line"] == "Dense, layer 2 of 2, in outer"


def test_a_layer_has_its_own_weights_and_those_of_layers_in_it() -> None:
    names = [weight["name"] for weight in details(layered(), "outer/dense")["holds"]]
    assert names == ["outer/dense/kernel", "outer/dense/inner/bias"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_control_character_of_a_name_gets_into_the_pane(name: str) -> None:
    told = details(drawn_graphs.model([("x", "Placeholder", ()), (name, name, ("x",))]), "x")
    texts = [told["name"], told["line"], *(end["name"] for end in told["outputs"])]
    assert all(text.isprintable() for text in texts)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "yes"), (1, "1"), (0.001, "0.001"), ("same", "same"), ([1, 2, 3, 4, 5], "(1, 2, 3, 4, 5)")],
)
def test_settings_are_worded_as_a_person_writes_them(value: object, text: str) -> None:
    assert layer_settings.setting_text("size", value) == text


def told_of(model: Model, library: Any, function: str, label: str, *, is_layers: bool) -> dict[str, Any]:
    unfolding = Unfolding(library, function)
    while closed := [box for box in unfolding.visible() if box.can_open and not box.is_open and box.kind != "op"]:
        unfolding.open(closed[0].number)
    found = [box for box in unfolding.visible() if box.kind == "op" and box.name.endswith(label)]
    return GraphDetails(model, library, is_layers=is_layers).of(found[0])


@pytest.mark.tensorflow
def test_a_layer_of_a_live_model_can_be_an_output_and_one_of_a_file_cannot(samples: Built) -> None:
    for name, tensor in (("keras_model", "hidden"), ("keras_archive", "")):
        model = tfmagic.inspect(samples[name])
        (choice,) = [each for each in choices(model) if each.title == "layers"]
        assert told_of(model, choice.library, choice.function, "hidden", is_layers=True)["tensor"] == tensor
        # Its inputs and outputs are ends already.
        assert told_of(model, choice.library, choice.function, "x", is_layers=True)["tensor"] == ""


@pytest.mark.tensorflow
def test_a_node_of_the_function_that_a_signature_runs_can_be_its_output(samples: Built, tmp_path: Path) -> None:
    tfmagic.export(samples["keras_model"], tmp_path / "served", signature="classify")
    model = tfmagic.inspect(tmp_path / "served")
    choice = choices(model)[0]
    told = told_of(model, choice.library, choice.function, "Relu", is_layers=False)
    assert (told["tensor"], told["signature"]) == (f"{told['name']}:0", "classify")
    done = tfmagic.run(tmp_path / "served", {"x": np.ones((2, 4), "float32")}, outputs=[told["tensor"]])
    assert next(iter(done.outputs.values())).shape == (2, 3)

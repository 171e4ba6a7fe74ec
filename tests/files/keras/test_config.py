from __future__ import annotations

import json
from typing import Any

import pytest

from tests import keras_samples
from tfmagic import errors
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import layer_rows
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras.inbound_nodes import End

FLOATS = End("float32", (None, 4))


def layer(name: str, kind: str = "Dense", **arguments: object) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **arguments}}


def sequential(*layers: dict[str, Any], name: str = "model") -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def paths(model: dict[str, Any]) -> list[str]:
    return [found.path for found in keras_config.layers(model)]


def test_a_sequential_is_a_chain_in_every_dialect() -> None:
    parts = [layer("a", units=3, batch_input_shape=[None, 4]), layer("b", units=2)]
    for model in (sequential(*parts), {"class_name": "Sequential", "config": parts}):
        first, second = keras_config.layers(model)
        assert (first.inputs, first.outputs, first.shape) == ((), ("b",), (None, 3))
        assert (second.inputs, second.outputs, second.shape) == (("a",), (), (None, 2))
        assert keras_config.signature(model) == ({"a_input": FLOATS}, {"b": End("float32", (None, 2))})


def functional(nodes: dict[str, Any], inputs: object, outputs: object) -> dict[str, Any]:
    layers = [
        layer("x", "InputLayer", batch_shape=[None, 4]),
        layer("a", units=3),
        layer("b", units=3),
        layer("c", "Add"),
    ]
    for spec in layers:
        spec["inbound_nodes"] = nodes.get(spec["config"]["name"], [])
    return {"class_name": "Functional", "config": {"layers": layers, "input_layers": inputs, "output_layers": outputs}}


def tensor(*history: object) -> dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 3], "dtype": "float16", "keras_history": list(history)},
    }


KERAS_2 = {"a": [[["x", 0, 0, {}]]], "b": [["x", 0, 0, {"y": ["a", 0, 0]}]], "c": [[["a", 0, 0, {}], ["b", 0, 0, {}]]]}
KERAS_3 = {
    "a": [{"args": [tensor("x", 0, 0)], "kwargs": {}}],
    "b": [{"args": [tensor("x", 0, 0)], "kwargs": {"y": tensor("a", 0, 0)}}],
    "c": [{"args": [[tensor("a", 0, 0), tensor("b", 0, 0)]], "kwargs": {}}],
}


@pytest.mark.parametrize("nodes", [KERAS_2, KERAS_3], ids=["keras2", "keras3"])
def test_edges_of_both_dialects(nodes: dict[str, Any]) -> None:
    found = {each.path: each for each in keras_config.layers(functional(nodes, ["x", 0, 0], ["c", 0, 0]))}
    assert found["x"].outputs == ("a", "b")
    assert found["a"].outputs == ("b", "c")
    assert found["b"].inputs == ("x", "a")
    assert found["c"].inputs == ("a", "b")
    assert found["a"].shape == (None, 3)


@pytest.mark.parametrize(
    ("structure", "keys"),
    [
        (["c", 0, 0], ["c"]),
        ([["c", 0, 0], ["a", 0, 0]], ["c", "a"]),
        ([["a", 0, 0], ["a", 1, 0]], ["a", "a_1"]),
        ({"p": ["c", 0, 0], "q": ["c", 0, 0]}, ["p", "q"]),
    ],
)
def test_keys_of_ends_are_the_users(structure: object, keys: list[str]) -> None:
    ends = keras_config.signature(functional(KERAS_2, [["x", 0, 0]], structure))
    assert ends is not None
    assert list(ends.outputs) == keys
    assert ends.inputs == {"x": FLOATS}


def test_the_dtype_written_with_a_tensor_counts() -> None:
    ends = keras_config.signature(functional(KERAS_3, ["x", 0, 0], ["a", 0, 0]))
    assert ends is not None
    assert ends.outputs == {"a": End("float16", (None, 3))}


def test_nested_models_are_flattened() -> None:
    inner = sequential(layer("x", "InputLayer", batch_shape=[None, 4]), layer("deep", units=2), name="inner")
    model = sequential(layer("start"), sequential(inner, name="outer"), layer("end", units=1))
    assert paths(model) == ["start", "outer", "outer/inner", "outer/inner/x", "outer/inner/deep", "end"]
    found = {each.path: each for each in keras_config.layers(model)}
    assert found["outer/inner/deep"].inputs == ("outer/inner/x",)
    assert found["outer"].shape == (None, 2)
    assert found["end"].shape == (None, 1)


def test_a_frozen_model_freezes_its_layers() -> None:
    inner = sequential(layer("deep", trainable=True), name="inner")
    inner["config"]["trainable"] = False
    found = {
        each.path: each.trainable for each in keras_config.layers(sequential(inner, layer("free", trainable=True)))
    }
    assert found == {"inner": False, "inner/deep": False, "free": True}


def test_layers_with_code_are_named() -> None:
    wrapped = layer("each", "TimeDistributed", layer=layer("l", "Lambda"))
    function = layer("act", "Activation", activation={"class_name": "__lambda__", "config": {"code": "..."}})
    model = sequential(layer("a"), sequential(layer("l", "Lambda"), name="inner"), wrapped, function)
    assert keras_config.carrying_code(keras_config.layers(model)) == ("inner/l", "each", "act")


def test_keras_1_merges_branches() -> None:
    branches = [sequential(layer("a"), name="left"), sequential(layer("b"), name="right")]
    model = {
        "class_name": "Sequential",
        "config": [{"class_name": "Merge", "config": {"layers": branches}}, layer("c")],
    }
    found = {each.path: each for each in keras_config.layers(model)}
    assert found["merge/right"].inputs == ()
    assert found["c"].inputs == ("merge",)


def test_a_subclassed_model_tells_nothing() -> None:
    model = {"class_name": "Mine", "config": {"size": 3}}
    assert keras_config.layers(model) == ()
    assert keras_config.signature(model) is None


def test_an_unbuilt_sequential_has_no_signature() -> None:
    assert keras_config.signature(sequential(layer("a", units=3))) is None


def test_nesting_has_a_limit() -> None:
    model = layer("core")
    for depth in range(60):
        model = sequential(model, name=f"m{depth}")
    with pytest.raises(errors.CorruptSourceError, match="nests models"):
        keras_config.layers(model)


JUNK: list[Any] = [
    None,
    0,
    -1,
    1.5,
    "text",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    "\ud800",
    True,
    10**30,
    ["x", 0, 0],
    float("nan"),
]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_in_a_config_is_survived(junk: object) -> None:
    sample = functional(KERAS_3, ["x", 0, 0], ["c", 0, 0])
    text = json.dumps(sample)
    for place in _places(sample):
        model = json.loads(text)
        _put(model, place, junk)
        layer_rows.rows(keras_config.layers(model), {}, {})
        keras_config.carrying_code(keras_config.layers(model))
        keras_config.signature(model)


def test_paths_that_would_take_all_of_the_memory_are_refused() -> None:
    inner = sequential(*(layer(f"l{number}", units=1) for number in range(100)))
    inner["config"]["name"] = "n" * (keras_config.MOST_LETTERS // 100)
    with pytest.raises(errors.CorruptSourceError, match="all paths together take more than"):
        keras_config.layers(sequential(inner))


def test_leaves_are_the_layers_that_hold_no_others_under_the_ends_of_long_ways() -> None:
    inner = sequential(layer("a", units=1), layer("b", units=1))
    inner["config"]["name"] = "inner"
    model = sequential(layer("first", units=1), inner, layer("last", units=1))
    places = [(outer, keras_specs.name(spec)) for outer, spec in keras_specs.leaves(model)]
    assert places == [("", "first"), ("inner/", "a"), ("inner/", "b"), ("", "last")]
    inner["config"]["name"] = "n" * 100_000
    assert {len(outer) for outer, _ in keras_specs.leaves(model)} <= {0, 1001}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [path, *(place for key in keys for place in _places(value[key], (*path, key)))]


def _put(model: Any, place: tuple[Any, ...], junk: object) -> None:
    if place:
        *outer, last = place
        for key in outer:
            model = model[key]
        model[last] = junk


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("build", keras_samples.MODELS.values(), ids=keras_samples.MODELS)
def test_shapes_are_those_of_keras(package: str, build: Any) -> None:
    keras = pytest.importorskip(package)
    model = build(keras)
    config = json.loads(model.to_json())
    found = {each.path: each for each in keras_config.layers(config)}
    for each in model.layers:
        live = each.output.shape if package == "keras" else each.output_shape
        stated = found[each.name].shape
        assert stated is None or stated == tuple(live[0] if isinstance(live, list) else live), each.name
        assert found[each.name].trainable in (each.trainable, None)


def test_a_layer_that_data_built_takes_the_batch_of_the_model() -> None:
    def model(batch: int | None) -> dict[str, Any]:
        norm = {**layer("norm", "Normalization"), "build_config": {"input_shape": [2, 4]}}
        given = layer("x", "InputLayer", batch_shape=[batch, 4])
        return sequential(given, norm, {**layer("b", units=3), "build_config": {"input_shape": [2, 4]}})

    for batch in (None, 2):
        found = keras_config.signature(model(batch))
        assert found is not None
        assert [end.shape for end in found.outputs.values()] == [(batch, 3)]
        assert [each.shape for each in keras_config.layers(model(batch))] == [(batch, 4), (batch, 4), (batch, 3)]

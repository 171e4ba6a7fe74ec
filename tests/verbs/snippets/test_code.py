"""The plain code that ``--code`` shows is run, and held against what tfmagic makes of the same call."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.notebook.test_magics import run
from tests.samples import SAMPLES
from tfmagic import errors
from tfmagic.files.tflite.structure import describe
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(5).random((3, 4), dtype=np.float32)
LIVE = ("keras_model", "module", "tf_function", "concrete_function", "loaded_saved_model", "session")
FILES = ("saved_model_tf2", "saved_model_tf1", "keras_archive", "meta_graph")
PLACES = {
    "saved_model": "served", "graph_def": "m.pb", "graph_text": "m.pbtxt", "checkpoint": "m.ckpt", "keras": "m.keras",
    "h5": "m.h5", "weights": "m.weights.h5", "tflite": "m.tflite", "tensorboard": "logs",
}  # fmt: skip


def executed(text: str, **names: Any) -> dict[str, Any]:
    """Run code that tfmagic has no part in."""
    assert "tfmagic" not in text.replace(str(names.pop("apart", "")), "")
    space: dict[str, Any] = {**names}
    exec(compile(text, "<snippet>", "exec"), space)  # noqa: S102 - that is what it is for
    return space


@pytest.mark.parametrize("name", [*LIVE, *FILES])
@pytest.mark.parametrize("format", list(PLACES))
def test_exports(samples: Built, tmp_path: Path, name: str, format: str) -> None:
    source = samples[name]
    place = tmp_path / PLACES[format]
    if not tfmagic.forms().loc[SAMPLES[name].form, format]:
        pytest.skip("not possible")
    shown = tfmagic.code("export", source, place, name="source", format=format)
    if (SAMPLES[name].form, format) in {("session", "tflite"), ("meta_graph", "tflite")}:
        assert "tfmagic.export(" in shown.text
        assert "import tensorflow" not in shown.text
        return
    assert shown.text.startswith("import tensorflow as tf\n")
    executed(str(shown), source=source, apart=tmp_path)
    check(source, place, format)


def check(source: object, place: Path, format: str) -> None:
    expected = next(iter(tfmagic.run(source, {"x": X}).outputs.values()))
    if format == "tensorboard":
        assert list(place.glob("*tfevents*"))
    elif format in ("checkpoint", "weights"):
        sizes = set(tfmagic.inspect(place).variables["size"])
        assert {12, 3, 6, 2} <= sizes
    else:
        found = tfmagic.run(place, {"x": X})
        (value,) = (each for each in found.outputs.values() if each.shape == expected.shape)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["keras_model", "saved_model_tf2", "session"])
def test_freezing_as_tfmagic_does(samples: Built, tmp_path: Path, name: str) -> None:
    source = samples[name]
    shown = tfmagic.code("freeze", source, name="source", output=tmp_path / "theirs.pb")
    executed(str(shown), source=source, apart=tmp_path)
    ours = tfmagic.freeze(source, output=tmp_path / "ours.pb")
    assert (tmp_path / "theirs.pb").is_file()
    frame = tfmagic.inspect(tmp_path / "theirs.pb").ops
    assert list(frame["op"]).count("MatMul") == list(ours.ops["op"]).count("MatMul") == 2


@pytest.mark.parametrize("name", ["keras_model", "saved_model_tf2", "session"])
def test_optimising_as_tfmagic_does(samples: Built, tmp_path: Path, name: str) -> None:
    source = samples[name]
    shown = tfmagic.code("freeze", source, name="source", output=tmp_path / "theirs.pb", optimize=True)
    executed(str(shown), source=source, apart=tmp_path)
    frozen = tfmagic.freeze(source, output=tmp_path / "ours.pb", optimize=True)
    kinds = tfmagic.inspect(tmp_path / "theirs.pb").ops["op"].value_counts()
    assert kinds["MatMul"] == 2
    assert kinds.sum() <= len(frozen.ops) + 2
    check(source, tmp_path / "theirs.pb", "graph_def")


@pytest.mark.parametrize("name", ["keras_model", "saved_model_tf2", "tf_function"])
@pytest.mark.parametrize("quantize", ["float16", "dynamic", "int8"])
def test_quantising_as_tfmagic_does(samples: Built, tmp_path: Path, name: str, quantize: str) -> None:
    place = tmp_path / "theirs.tflite"
    examples = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    options: dict[str, Any] = {"quantize": quantize, **({"samples": examples} if quantize == "int8" else {})}
    shown = tfmagic.code("export", samples[name], place, name="source", **options)
    executed(str(shown), source=samples[name], samples=examples, apart=tmp_path)
    tfmagic.export(samples[name], tmp_path / "ours.tflite", **options)
    theirs, ours = (describe(each).subgraphs[0] for each in (place, tmp_path / "ours.tflite"))
    kinds = [sorted(tensor.dtype for tensor in each.tensors if tensor.dtype != "int32") for each in (theirs, ours)]
    assert ("int8" in kinds[0]) == ("int8" in kinds[1])
    assert kinds[0].count("float16") == kinds[1].count("float16")


def test_a_saved_model_that_is_optimised_has_no_code(samples: Built, tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedConversionError, match=r"code for a '\.pb'"):
        tfmagic.code("export", samples["keras_model"], tmp_path / "m", optimize=True)


def test_signing(samples: Built, tmp_path: Path) -> None:
    source = samples["saved_model_tf2"]
    shown = tfmagic.code("sign", source, tmp_path / "signed", rename={"serving_default": "predict"})
    executed(str(shown), apart=tmp_path)
    assert set(tfmagic.inspect(tmp_path / "signed").signatures["signature"]) == {"predict"}


def test_restoring(samples: Built, tmp_path: Path) -> None:
    model = samples["keras_model"]
    tfmagic.export(model, tmp_path / "m.ckpt")
    tfmagic.export(model, tmp_path / "m.weights.h5")
    before = [each.copy() for each in model.get_weights()]
    for name in ("m.ckpt", "m.weights.h5"):
        model.set_weights([each * 0 for each in before])
        executed(str(tfmagic.code("restore", model, tmp_path / name)), model=model, apart=tmp_path)
        for one, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)


def test_merging(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    first = tf.function(lambda a: {"b": a + 1.0}, input_signature=[tf.TensorSpec([None], name="a")])
    second = tf.function(lambda b: {"c": b * 3.0}, input_signature=[tf.TensorSpec([None], name="b")])
    shown = tfmagic.code("merge", first, second, name="one", second_name="two", output=tmp_path / "m")
    executed(str(shown), one=first, two=second, apart=tmp_path)
    assert tfmagic.run(tmp_path / "m", {"a": [1.0, 2.0]}).outputs["c"].tolist() == [6, 9]


def test_the_magics_show_it_and_do_nothing(samples: Built, tmp_path: Path, shell: InteractiveShell) -> None:
    shell.user_ns.update(net=samples["keras_model"], place=str(tmp_path / "served"))
    shown = run(shell, "%tf_export net {place} --code")
    assert "found = net(x, training=False)" in shown.text
    assert "<pre>" in shown._repr_html_()
    assert not (tmp_path / "served").exists()
    for line in ("%tf_freeze net -o {place}.pb --code", "%tf_restore net {place}.ckpt --code"):
        assert "import tensorflow as tf" in run(shell, line).text
    assert list(tmp_path.iterdir()) == []


def test_names_of_a_model_are_text_in_the_code(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    evil = "y'); import os; os.abort() #"
    function = tf.function(lambda x: {evil: x + 1.0}, input_signature=[tf.TensorSpec([None], name="x")])
    shown = tfmagic.code("export", function, tmp_path / "m.pb", name="source")
    executed(str(shown), source=function, apart=tmp_path)
    assert "os.abort" not in shown._repr_html_() or "&#x27;" in shown._repr_html_()


EVIL = "y'); import os; os.abort() #\r\u2028"


def test_keys_stay_text_in_the_code_of_a_merge(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    doubled = tf.function(lambda x: {EVIL: x * 2.0}, input_signature=[tf.TensorSpec([None], name="x")])
    tfmagic.export(lambda_module(), tmp_path / "second", inputs={"a b": "x"})
    shown = str(tfmagic.code("merge", doubled, tmp_path / "second", name="source", connect={EVIL: "a b"}))
    tree = ast.parse(shown)
    assert "os" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import) and node.names[0].name == "os"]
    merged = executed(shown, source=doubled, apart=tmp_path)["merged"]
    assert merged(tf.constant([1.0]))["z"].numpy().tolist() == [3.0]


def lambda_module() -> runtime.Live:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.__call__ = tf.function(lambda x: {"z": x + 1.0}, input_signature=[tf.TensorSpec([None], name="x")])
    return module


def test_what_has_no_code_says_so(samples: Built) -> None:
    with pytest.raises(errors.UnknownNameError, match="freeze"):
        tfmagic.code("freze", samples["keras_model"])
    with pytest.raises(errors.UnsupportedConversionError, match="tflite"):
        tfmagic.code("export", samples["tflite"], "m.pb")
    assert "tfmagic.verbs.snippets" in sys.modules
    served = samples["saved_model_tf2"]
    # What the verb refuses has no code, nor has what the code would leave out without a word.
    with pytest.raises(errors.ConversionError, match="only a SavedModel"):
        tfmagic.code("sign", samples["keras_model"], rename={"serving_default": "predict"})
    with pytest.raises(errors.UnknownNameError, match="'serving_default'"):
        tfmagic.code("sign", served, remove=["serving"])
    for verb, options in (
        ("export", {"signatures": {"a": {}}}),
        ("sign", {"signatures": {"a": {"outputs": ["y"]}}}),
        ("sign", {"rename_tags": {"serve": "eval"}}),
    ):
        with pytest.raises(errors.UnsupportedConversionError, match="one signature"):
            tfmagic.code(verb, served, "there", **options)


@pytest.mark.parametrize(
    "name", ["keras_model", "module", "tf_function", "concrete_function", "loaded_saved_model", *FILES[:3]]
)
def test_the_ends_that_are_chosen_are_those_of_the_code(samples: Built, tmp_path: Path, name: str) -> None:
    source = samples[name]
    key = next(iter(tfmagic.run(source, {"x": X}).outputs))
    options: dict[str, Any] = {"inputs": {"images": "x"}, "outputs": {"scores": key}, "batch": 3}
    shown = tfmagic.code("export", source, tmp_path / "theirs", name="source", method="classify", text=True, **options)
    assert "# The method name is always" in str(shown)
    assert "# The message is binary" in str(shown)
    executed(str(shown), source=source, apart=tmp_path)
    tfmagic.export(source, tmp_path / "ours", **options)
    for place in ("theirs", "ours"):
        frame = tfmagic.inspect(tmp_path / place).signatures.set_index("key")
        assert frame.loc["images", "shape"] == (3, 4)
        assert "scores" in set(frame.index)
    frame = tfmagic.verify(tmp_path / "ours", tmp_path / "theirs", {"images": X})
    assert list(frame["equal"]) == [True]


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Any:
    """Keras 3, and Keras 2 where it is installed."""
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("result", ["one", "dict", "nest"])
def test_what_a_model_of_ones_own_class_returns_is_found_in_the_code(library: Any, result: str) -> None:
    class Own(library.Model):  # type: ignore[misc] # whichever library it is
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(2)

        def call(self, x: Any) -> Any:
            made = self.dense(x)
            return {"one": made, "dict": {"b": made, "a": 2 * made}, "nest": [made, (3 * made, 4 * made)]}[result]

    source = Own()
    source(X)
    space = executed(str(tfmagic.code("run", source, name="source")), source=source)
    found = space["function"](runtime.tensorflow().constant(X))
    expected = tfmagic.run(source, {"x": X}).outputs
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5)


@pytest.fixture(scope="module")
def two_ends() -> Any:
    """A model with two inputs and two outputs that differ in all: their order, their names."""
    keras = keras_runtime.keras()
    one, other = (keras.layers.Input((4,), name=name) for name in ("b", "a"))
    return keras.Model({"b": one, "a": other}, {"z": one * 2 - other, "y": one + other * 3})


def as_function(model: Any) -> Any:
    tf = runtime.tensorflow()
    specs = [tf.TensorSpec([None, 4], name=name) for name in ("b", "a")]
    return tf.function(lambda b, a: {"z": b * 2 - a, "y": (b + a * 3)}, input_signature=specs) if model else None


@pytest.mark.parametrize("kind", ["keras", "function", "saved_model"])
@pytest.mark.parametrize("outputs", [["z"], ["y"], {"first": "y", "second": "z"}])
@pytest.mark.parametrize("inputs", [["a", "b"], {"one": "b", "two": "a"}])
def test_which_end_is_which(two_ends: Any, tmp_path: Path, kind: str, inputs: Any, outputs: Any) -> None:
    source = two_ends if kind == "keras" else as_function(two_ends)
    if kind == "saved_model":
        tfmagic.export(source, tmp_path / "saved")
        source = tmp_path / "saved"
    shown = tfmagic.code("export", source, tmp_path / "theirs", name="source", inputs=inputs, outputs=outputs)
    executed(str(shown), source=source, apart=tmp_path)
    tfmagic.export(source, tmp_path / "ours", inputs=inputs, outputs=outputs)
    frame = tfmagic.verify(tmp_path / "ours", tmp_path / "theirs")
    assert list(frame["equal"]) == [True] * len(outputs)
    assert set(frame["output"]) == set(outputs)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"outputs": ["hidden/Relu"]}, "inside of the function"), ({"inputs": ["b"]}, "asks for 'a' too")],
)
def test_ends_that_no_public_call_reaches_have_no_code(two_ends: Any, options: Any, told: str) -> None:
    with pytest.raises(errors.UnsupportedConversionError, match=told):
        tfmagic.code("export", two_ends, "m", **options)
    with pytest.raises(errors.UnsupportedConversionError, match="its own inputs and outputs"):
        tfmagic.code("export", two_ends, "m.tflite", outputs=["z"])


@pytest.mark.parametrize("tags", ["train", "serve,gpu", None])
def test_tags_are_those_of_the_part_that_is_meant(samples: Built, tmp_path: Path, tags: str | None) -> None:
    shown = str(tfmagic.code("export", samples["saved_model_several"], tmp_path / "m.pb", tags=tags))
    found = eval(shown.partition("tags=")[2].partition(")")[0])  # noqa: S307 - our own
    assert sorted(found) == sorted((tags or "serve").split(","))
    shown = str(tfmagic.code("export", samples["saved_model_several"], tmp_path / "m", tags="mine"))
    assert "tags=['serve']" in shown
    assert "The tag-set is always 'serve'" in shown
    with pytest.raises(errors.UnknownNameError):
        tfmagic.code("freeze", samples["saved_model_several"], tags="mine")


def test_keys_that_are_no_arguments_of_python_go_through_a_dict(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    source = tf.function(lambda values: {"sum y": values["a feature"] + values["X"]})
    source({"a feature": tf.constant([1.0]), "X": tf.constant([2.0])})
    for place in ("saved", "m.tflite"):
        tfmagic.export(source, tmp_path / place)
        space = executed(str(tfmagic.code("run", tmp_path / place)), apart=tmp_path)
        assert list(space["outputs"]) == ["sum y"]


def test_the_trace_for_some_python_values_is_the_one_in_the_code(tmp_path: Path) -> None:
    tf: Any = runtime.tensorflow()

    class Scale(tf.Module):  # type: ignore[misc]
        @tf.function  # type: ignore[untyped-decorator]
        def scale(self, twice: bool, x: Any) -> Any:  # noqa: FBT001 - a Python value before a tensor
            return {"y": x * (2.0 if twice else 1.0)}

    source = Scale()
    for twice in (False, True):
        source.scale(twice, tf.constant([3.0]))
    shown = tfmagic.code("export", source, tmp_path / "theirs", name="source", signature="scale(twice=True)")
    executed(str(shown), source=source, apart=tmp_path)
    assert tfmagic.run(tmp_path / "theirs", {"x": [3.0]}).outputs["y"] == [6.0]


@pytest.fixture(scope="module")
def nesting() -> dict[str, Any]:
    """Functions whose arguments are nested, and one that takes what code has no name for."""
    tf: Any = runtime.tensorflow()
    spec = tf.TensorSpec([None, 2], tf.float32)
    tree = {"b": [spec, spec], "a": spec}
    module = tf.Module()
    module.signed = tf.function(lambda x: {"y": x["a"] + x["b"][0] * x["b"][1]}, input_signature=[tree])
    module.pair = tf.function(lambda p, q: {"y": p[0] * p[1] + q}, input_signature=[(spec, spec), spec])
    free = tf.function(lambda x, y: {"y": x["a"] * x["b"][0] * y})
    free.get_concrete_function({"b": (spec,), "a": spec}, 2.0)
    by_name = tf.function(lambda x, *, scale: {"y": x["a"] * scale["s"]})
    by_name.get_concrete_function({"a": spec}, scale={"s": tf.TensorSpec([], tf.float32)})
    sparse = tf.function(lambda x: {"y": tf.sparse.reduce_sum(x)})
    sparse.get_concrete_function(tf.SparseTensorSpec([None, 3]))
    return {"signed": module, "pair": module, "free": free, "by_name": by_name, "sparse": sparse}


@pytest.mark.parametrize("name", ["signed", "pair", "free", "by_name"])
def test_the_code_nests_arguments_as_the_function_does(nesting: dict[str, Any], tmp_path: Path, name: str) -> None:
    source = nesting[name]
    options: dict[str, Any] = {"signature": name} if name in ("signed", "pair") else {}
    shown = tfmagic.code("export", source, tmp_path / "theirs", name="source", **options)
    ours = tfmagic.export(source, tmp_path / "ours", **options)
    executed(str(shown), source=source, apart=tmp_path)
    tables = [tfmagic.inspect(tmp_path / each).signatures for each in ("theirs", "ours")]
    keys = [sorted(zip(frame["signature"], frame["side"], frame["key"], strict=True)) for frame in tables]
    assert keys[0] == keys[1]
    assert tfmagic.verify(tmp_path / "theirs", ours.path)["equal"].all()


def test_what_code_has_no_name_for_is_named(nesting: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedConversionError, match="'SparseTensorSpec', which code cannot name"):
        tfmagic.code("export", nesting["sparse"], tmp_path / "theirs")


def test_an_input_called_self_is_fed_in_a_session(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        tfmagic.export(session, tmp_path / "saved", inputs={"self": x}, outputs={"y": x + 3.0})
    space = executed(str(tfmagic.code("run", tmp_path / "saved")), apart=tmp_path)
    np.testing.assert_array_equal(space["outputs"]["y"], [3.0])

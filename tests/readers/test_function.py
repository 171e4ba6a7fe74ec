from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tfmagic import errors, readers
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def run(model: Any, key: str | None, **inputs: Any) -> dict[str, Any]:
    function = model.part(Part.FUNCTION)(key)
    return {name: value.tolist() for name, value in function(inputs).items()}


def ends(model: Any) -> list[tuple[str, str, str]]:
    frame = model.signatures
    return list(zip(frame["signature"], frame["side"], frame["key"], strict=True))


def test_a_module_has_a_signature_a_method(tf: Any, codec: Any) -> None:
    codec.decode(tf.ones([2]))
    codec.decode(tf.ones([2]), times=3)
    model = readers.read(codec)
    assert (model.form, model.origin) == ("function", "tf.Module 'codec' (Codec)")
    assert model.parts == ("graph", "signatures", "variables", "function")
    assert sorted(set(model.signatures["signature"])) == ["decode(times=1)", "decode(times=3)", "encode", "look"]
    assert ("encode", "input", "value") in ends(model)
    assert ("look", "output", "found") in ends(model)
    assert run(model, "encode", value=[1, 2]) == {"code": [2, 4]}
    assert run(model, "decode(times=1)", code=[4, 2]) == {"output_0": [2, 1]}
    assert run(model, "decode(times=3)", code=[4, 2]) == {"output_0": [6, 3]}
    assert run(model, "look", words=["a", "b"]) == {"found": [5, -1]}
    assert model.variables[["name", "dtype", "shape", "trainable"]].to_numpy().tolist() == [
        ["scale", "float32", (), True]
    ]
    assert len(model.functions) == 4
    assert {"Mul", "RealDiv", "LookupTableFindV2"} <= set(model.ops["op"])
    with pytest.raises(errors.UnknownNameError, match="encode"):
        model.part(Part.FUNCTION)()


def test_a_variable_of_a_strategy_counts_once(tf: Any) -> None:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        weight = tf.Variable([[1.0], [2.0]], name="weight")
    module = tf.Module()
    module.weight = weight
    module.serve = tf.function(lambda x: x @ module.weight, input_signature=[tf.TensorSpec([None, 2])])
    model = readers.read(module)
    assert list(model.variables["name"]) == ["weight"]
    assert run(model, None, x=[[3.0, 4.0]]) == {"output_0": [[11.0]]}


def test_a_function_of_one_trace_is_its_own_graph(tf: Any) -> None:
    @tf.function  # type: ignore[untyped-decorator]
    def affine(image: Any, *, bias: Any) -> Any:
        return {"z": image * 2 + bias, "a": image}

    affine(tf.ones([2]), bias=tf.ones([]))
    model = readers.read(affine)
    assert model.origin == "tf.function 'affine'"
    assert ends(model) == [
        ("serving_default", "input", "image"),
        ("serving_default", "input", "bias"),
        ("serving_default", "output", "z"),
        ("serving_default", "output", "a"),
    ]
    function = model.part(Part.FUNCTION)()
    assert [end.key for end in function.outputs] == ["z", "a"]
    assert run(model, None, image=[1, 2], bias=1) == {"z": [3, 5], "a": [1, 2]}
    assert model.functions.empty
    affine(tf.ones([3]), bias=tf.ones([]))
    assert sorted(set(readers.read(affine).signatures["signature"])) == ["affine", "affine_1"]


def test_nested_arguments_go_by_their_keys(tf: Any) -> None:
    @tf.function  # type: ignore[untyped-decorator]
    def total(pair: Any, rest: Any) -> Any:
        return pair["b"] + pair["a"] * 10 + rest[0] * 100

    total({"b": tf.constant(1), "a": tf.constant(2)}, [tf.constant(3)])
    model = readers.read(total)
    assert [end[2] for end in ends(model) if end[1] == "input"] == ["b", "a", "rest_0"]
    assert run(model, None, b=1, a=2, rest_0=3) == {"output_0": 321}


def test_a_module_that_never_called_its_base_is_read(tf: Any) -> None:
    class Plain(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.weight = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([2], name="x")])  # type: ignore[untyped-decorator]
        def scale(self, x: Any) -> Any:
            return {"y": x * self.weight}

    model = readers.read(Plain())
    assert "Plain" in model.origin
    assert run(model, None, x=[1, 2]) == {"y": [2, 4]}


def test_nested_results_go_by_their_keys(tf: Any) -> None:
    """Also a list below a key, whose parts have no names of their own but TensorFlow's."""
    spec = tf.TensorSpec([2], "int32", name="x")
    nested = tf.function(lambda x: {"b": x, "a": {"z": x * 2, "list": [x * 3, x * 4]}}, input_signature=[spec])
    expected = {"b": [1, 2], "a/z": [2, 4], "a/list": [3, 6], "a/list_1": [4, 8]}
    assert run(readers.read(nested), None, x=[1, 2]) == expected


def test_a_concrete_function_is_taken_as_it_is(tf: Any) -> None:
    concrete = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([None, 3], "int32", name="x"))
    model = readers.read(concrete)
    assert model.origin == "a ConcreteFunction"
    assert model.part(Part.FUNCTION)().concrete is concrete
    assert run(model, None, x=[[1, 2, 3]]) == {"output_0": [[2, 3, 4]]}


def test_a_loaded_saved_model_shows_its_signatures(tf: Any, codec: Any, tmp_path: Path) -> None:
    signatures = {"enc": codec.encode, "words": codec.look}
    tf.saved_model.save(codec, str(tmp_path), signatures=signatures)
    loaded = tf.saved_model.load(str(tmp_path))
    model = readers.read(loaded)
    assert model.origin == "a loaded SavedModel"
    assert sorted(set(model.signatures["signature"])) == ["enc", "words"]
    assert run(model, "enc", value=[3]) == {"code": [6]}
    assert run(model, "words", words=["a"]) == {"found": [5]}
    assert model.variables["name"].tolist() == ["scale"]
    assert run(readers.read(loaded.signatures), "enc", value=[3]) == {"code": [6]}
    assert run(readers.read(loaded.signatures["words"]), None, words=["x"]) == {"found": [-1]}


def test_a_loaded_saved_model_without_signatures_shows_its_functions(tf: Any, codec: Any, tmp_path: Path) -> None:
    tf.saved_model.save(codec, str(tmp_path), signatures={})
    model = readers.read(tf.saved_model.load(str(tmp_path)))
    assert {"encode", "look"} <= set(model.signatures["signature"])
    assert run(model, "encode", value=[3]) == {"code": [6]}


def test_a_function_that_was_never_called_says_what_to_do(tf: Any) -> None:
    model = readers.read(tf.function(lambda x: x))
    with pytest.raises(errors.MissingPartError, match=r"never called.*input_signature"):
        _ = model.signatures
    assert model.variables.empty


def test_a_function_without_arguments_is_traced(tf: Any) -> None:
    assert run(readers.read(tf.function(lambda: tf.constant(7))), None) == {"output_0": 7}


def test_a_module_without_functions_says_so(tf: Any) -> None:
    with pytest.raises(errors.MissingPartError, match=r"no attribute that is a tf\.function"):
        _ = readers.read(tf.Module()).ops


def test_arguments_that_are_no_tensors_are_refused(tf: Any) -> None:
    @tf.function(input_signature=[tf.data.DatasetSpec(tf.TensorSpec([]))])  # type: ignore[untyped-decorator]
    def summed(numbers: Any) -> Any:
        return numbers.reduce(0.0, lambda total, number: total + number)

    with pytest.raises(errors.ConversionError, match="DatasetSpec"):
        _ = readers.read(summed).signatures


@pytest.mark.parametrize("name", ["Variable", "Tensor", "Dataset", "layer"])
def test_what_is_no_model_is_not_claimed(tf: Any, name: str) -> None:
    value = {
        "Variable": lambda: tf.Variable(1.0),
        "Tensor": lambda: tf.constant(1.0),
        "Dataset": lambda: tf.data.Dataset.range(3),
        "layer": lambda: pytest.importorskip("tf_keras").layers.Dense(2),
    }[name]()
    with pytest.raises(errors.UnrecognizedSourceError):
        readers.read(value)

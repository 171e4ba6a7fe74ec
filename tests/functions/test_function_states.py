"""Functions in every state: saved, traced for Python values, cut out of a graph, with tables, without a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _ends(model: Any) -> list[tuple[str, str]]:
    frame = model.signatures
    return list(zip(frame["side"], frame["key"], strict=True))


def test_a_function_that_was_saved_has_one_signature(tf: Any, tmp_path: Path) -> None:
    """Saving traces it again; what is equal to a trace before it is that trace."""
    module = tf.Module()
    module.weight = tf.Variable(3.0)
    specs = [tf.TensorSpec([None], name="x")]
    module.f = tf.function(lambda x: {"y": x * module.weight}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    tfmagic.run(module.f, {"x": [1.0]})
    tf.saved_model.save(module, str(tmp_path / "n"), signatures=module.f)
    assert set(tfmagic.inspect(module.f).signatures["signature"]) == {"serving_default"}
    assert _ends(tfmagic.freeze(module.f)) == [("input", "x"), ("output", "y")]
    assert set(tfmagic.inspect(module).signatures["signature"]) == {"f"}


def test_looking_traces_nothing_again(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x * 2.0}, input_signature=[tf.TensorSpec([None], name="x")])
    tfmagic.inspect(module.f).signatures  # noqa: B018 - a function that was never traced is traced once, to be shown
    assert module.f.experimental_get_tracing_count() == 0
    module.f(tf.constant([1.0]))
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    count = module.f.experimental_get_tracing_count()
    for source in (module.f, module):
        tfmagic.inspect(source).signatures  # noqa: B018 - as above
        tfmagic.inspect(source).ops  # noqa: B018 - as above
    assert module.f.experimental_get_tracing_count() == count


def test_traces_that_differ_in_python_values_are_told_apart_by_those(tf: Any, codec: Any, tmp_path: Path) -> None:
    for times in (3, 1):
        codec.decode(tf.constant([1.0]), times=times)
    keys = set(tfmagic.inspect(codec.decode).signatures["signature"])
    assert keys == {"decode(times=3)", "decode(times=1)"}
    tfmagic.export(codec.decode, tmp_path / "m")
    for key, expected in (("decode(times=3)", 9.0), ("decode(times=1)", 3.0)):
        assert tfmagic.run(codec.decode, {"code": [6.0]}, signature=key).outputs["output_0"] == [expected]
        assert tfmagic.run(tmp_path / "m", {"code": [6.0]}, signature=key).outputs["output_0"] == [expected]
    codec.decode(tf.constant([[1.0]]), times=3)
    assert "decode(times=3)_1" in set(tfmagic.inspect(codec.decode).signatures["signature"])


def test_what_only_shapes_tell_apart_is_numbered(tf: Any) -> None:
    function = tf.function(lambda x: x + 1)
    for shape in ([2], [3]):
        function(tf.ones(shape))
    assert set(tfmagic.inspect(function).signatures["signature"]) == {"function", "function_1"}


def test_a_saved_object_without_signatures_shows_its_functions(tf: Any, codec: Any, tmp_path: Path) -> None:
    """As ``saved_model_cli show --all`` does."""
    for times in (1, 3):
        codec.decode(tf.constant([1.0]), times=times)
    codec.look.get_concrete_function()
    codec.both = tf.function(lambda pair: pair["a"] + pair["b"])
    codec.both({"a": tf.constant(1), "b": tf.constant(2)})
    tf.saved_model.save(codec, str(tmp_path / "m"), signatures={})
    shown = repr(tfmagic.inspect(tmp_path / "m"))
    for text in (
        "decode(code: float32 (1,), times=1)",
        "decode(code: float32 (1,), times=3)",
        "look(words: string (None,))",
        "both(pair: {'a': int32 (), 'b': int32 ()})",
    ):
        assert text in shown
    with pytest.raises(errors.MissingPartError, match=r"Nobody signed.*look\(words: string"):
        tfmagic.freeze(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert {"look", "decode(times=1)", "decode(times=3)"} <= set(tfmagic.inspect(loaded).signatures["signature"])


def test_a_loaded_function_has_the_arguments_that_its_author_wrote(tf: Any, tmp_path: Path) -> None:
    """TensorFlow stores them in small letters; Python's parameters keep theirs, by which the function is called."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    module.f = tf.function(lambda Img, mask: {"Out": Img * module.scale - tf.sparse.to_dense(mask)})  # noqa: N803
    sparse = tf.sparse.SparseTensor([[0]], [1.0], [2])
    module.f(tf.ones([2]), sparse)
    tf.saved_model.save(module, str(tmp_path / "m"))
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    loaded.f(Img=tf.ones([2]), mask=sparse)
    for source in (loaded, loaded.f, module.f):
        assert {"Img", "mask_values"} < {key for side, key in _ends(tfmagic.inspect(source)) if side == "input"}
        assert tfmagic.run(source, {"Img": [1.0, 1.0], "mask": sparse}).outputs["Out"].tolist() == [1.0, 2.0]
    tfmagic.export(loaded, tmp_path / "n")
    assert tfmagic.run(tmp_path / "n", {"Img": [1.0, 1.0], "mask": sparse}).outputs["Out"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("recipe", ["prune", "convert_variables_to_constants_v2"])
def test_a_function_without_a_structure_has_inputs(tf: Any, recipe: str, tmp_path: Path) -> None:
    """What the usual recipes around frozen graphs return."""
    weight = tf.Variable([[2.0], [3.0]])
    if recipe == "prune":
        wrapped = tf.compat.v1.wrap_function(
            lambda Image: tf.identity(Image @ weight, name="scores"),  # noqa: N803 - a key with a capital
            [tf.TensorSpec([None, 2], name="Image")],
        )
        function, output = wrapped.prune("Image:0", "scores:0"), "scores"
    else:
        from tensorflow.python.framework import convert_to_constants  # noqa: PLC0415 - where the articles take it from

        live = tf.function(lambda Image: Image @ weight)  # noqa: N803 - as above
        concrete = live.get_concrete_function(tf.TensorSpec([None, 2], name="Image"))
        function, output = convert_to_constants.convert_variables_to_constants_v2(concrete), "output_0"
    assert _ends(tfmagic.inspect(function)) == [("input", "Image"), ("output", output)]
    given = {"Image": [[1.0, 10.0]]}
    assert tfmagic.run(function, given).outputs[output] == [[32.0]]
    assert tfmagic.run(tfmagic.freeze(function), given).outputs[output] == [[32.0]]
    tfmagic.export(function, tmp_path / "m")
    called = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"](Image=tf.constant([[1.0, 10.0]]))
    assert called[output].numpy() == [[32.0]]


def test_a_function_that_is_pruned_to_an_op_is_run_for_its_effect_or_refused(tf: Any, tmp_path: Path) -> None:
    """TensorFlow's own saving takes a function that returns ``{}``, and refuses one that is pruned to an op."""
    v1 = tf.compat.v1

    def program(x: Any) -> Any:
        total = v1.get_variable("total", initializer=1.0)
        v1.assign_add(total, x)
        return tf.multiply(x, total, name="y")

    wrapped = v1.wrap_function(program, [tf.TensorSpec([], name="x")])
    computes = wrapped.prune("x:0", wrapped.graph.get_operation_by_name("y"))
    assert _ends(tfmagic.inspect(computes)) == [("input", "x")]
    for destination in ("m", "m.pb"):
        with pytest.raises(errors.ConversionError, match="returns no tensor"):
            tfmagic.export(computes, tmp_path / destination)
    assert not list(tmp_path.iterdir())
    (write,) = (each for each in wrapped.graph.get_operations() if each.type == "AssignAddVariableOp")
    done = tfmagic.export(wrapped.prune("x:0", write), tmp_path / "m")
    assert any("TensorFlow 2 calls it for what it does" in note for note in done.notes)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert loaded.signatures["serving_default"](x=tf.constant(2.0)) == {}
    assert loaded.variables[0].numpy() == 3.0
    beside = wrapped.prune("x:0", ["y:0", wrapped.graph.get_operation_by_name("y")])
    tfmagic.export(beside, tmp_path / "n")
    assert tfmagic.run(tmp_path / "n", {"x": 2.0}).outputs["y"] == 2.0


def test_a_method_that_uses_a_table_is_exported_by_itself(codec: Any, tmp_path: Path) -> None:
    tfmagic.export(codec.look, tmp_path / "m")
    assert tfmagic.run(tmp_path / "m", {"words": ["a", "?"]}).outputs["found"].tolist() == [5, -1]
    assert tfmagic.run(tfmagic.freeze(codec.look), {"words": ["a"]}).outputs["found"].tolist() == [5]


@pytest.mark.parametrize("kind", ["dict", "function", "list"])
def test_an_attribute_called_variables_may_be_anything(tf: Any, kind: str, tmp_path: Path) -> None:
    root = tf.__internal__.tracking.AutoTrackable()
    root.own = weight = tf.Variable(2.0, name="weight")
    root.variables = {"dict": {"a": weight}, "function": tf.function(lambda: weight + 0.0), "list": [weight]}[kind]
    if kind == "function":
        root.variables()
    root.f = tf.function(lambda x: {"y": x * weight}, input_signature=[tf.TensorSpec([], name="x")])
    tf.saved_model.save(root, str(tmp_path / "m"), signatures=root.f)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert list(tfmagic.inspect(loaded).variables["name"]) == ["weight"]
    assert tfmagic.run(loaded, {"x": 3.0}).outputs["y"] == 6.0
    tfmagic.export(loaded, tmp_path / "n")
    assert tfmagic.run(tmp_path / "n", {"x": 3.0}).outputs["y"] == 6.0


def test_a_module_may_have_a_method_called_variables(tf: Any) -> None:
    class Odd(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(2.0, name="weight")

        @tf.function(input_signature=[])  # type: ignore[untyped-decorator]
        def variables(self) -> Any:
            return {"all": self.weight + 0.0}

    assert list(tfmagic.inspect(Odd()).variables["name"]) == ["weight"]
    assert tfmagic.run(Odd()).outputs["all"] == 2.0

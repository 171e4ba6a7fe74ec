"""What TensorFlow's ``save_test`` and ``load_test`` try of arguments, results and signatures' keys, asked of ours.

Live, loaded, exported and frozen functions take and give the same under the same keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import tfmagic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


class _Pair(NamedTuple):
    """Its fields are in an order of their own."""

    beta: Any
    alpha: Any


def _results(source: Any, values: dict[str, Any], **options: Any) -> dict[str, list[Any]]:
    outputs = tfmagic.run(source, values, **options).outputs
    return {key: np.asarray(value).tolist() for key, value in outputs.items()}


def _sides(model: Any) -> dict[str, set[str]]:
    frame = model.signatures
    return {side: set(frame[frame["side"] == side]["key"]) for side in ("input", "output")}


def test_nested_arguments_and_results_keep_the_keys_of_their_parts(tf: Any, tmp_path: Path) -> None:
    """``test_structured_inputs``, ``test_named_tuple``, ``test_save_defaults_nested_structure``."""

    def spec(name: str) -> Any:
        return tf.TensorSpec([2], name=name)

    def program(pair: Any, parts: Any) -> Any:
        first, (second,) = parts["k"]
        return _Pair(beta=pair.alpha - pair.beta, alpha={"z": first, "y": [second * 3.0]})

    module = tf.Module()
    signature = [_Pair(spec("b"), spec("a")), {"k": [spec("first"), (spec("second"),)]}]
    module.f = tf.function(program, input_signature=signature, autograph=False)
    values = {"b": [1.0, 2.0], "a": [5.0, 7.0], "first": [1.0, 1.0], "second": [2.0, 3.0]}
    expected = {"beta": [4.0, 5.0], "alpha/z": [1.0, 1.0], "alpha/y": [6.0, 9.0]}
    tfmagic.export(module.f, tmp_path / "ours")
    tf.saved_model.save(module, str(tmp_path / "theirs"))
    loaded = tf.saved_model.load(str(tmp_path / "theirs"))
    for source in (module.f, loaded, tmp_path / "ours", tfmagic.freeze(module.f)):
        assert _results(source, values) == expected
    for source in (module.f, loaded, tmp_path / "ours"):
        assert _sides(tfmagic.inspect(source)) == {"input": set(values), "output": set(expected)}
    # What keeps an order keeps the author's.
    assert list(tfmagic.run(module.f, values).outputs) == list(expected)


def test_keywords_and_defaults_tell_traces_apart(tf: Any, tmp_path: Path) -> None:
    """``test_additional_kwargs``, ``test_function_with_default_none_input``, ``test_save_defaults_dict``."""
    module = tf.Module()
    module.f = tf.function(
        lambda x, *, Scale=None, offset=2.0: {"o": x * (1.0 if Scale is None else Scale) + offset}  # noqa: N803
    )
    module.f(tf.ones([2]))
    module.f(tf.ones([2]), Scale=tf.constant(2.0))
    module.f(tf.ones([2]), offset=tf.constant(7.0))
    tf.saved_model.save(module, str(tmp_path / "theirs"))
    loaded = tf.saved_model.load(str(tmp_path / "theirs"))
    tfmagic.export(module, tmp_path / "ours")
    expected: dict[str, tuple[dict[str, Any], list[float]]] = {
        "f(Scale=None,offset=2.0)": ({"x": [1.0, 2.0]}, [3.0, 4.0]),
        "f(offset=2.0)": ({"x": [1.0, 2.0], "Scale": 2.0}, [4.0, 6.0]),
        "f(Scale=None)": ({"x": [1.0, 2.0], "offset": 7.0}, [8.0, 9.0]),
    }
    for source in (module, loaded, tmp_path / "ours"):
        assert set(tfmagic.inspect(source).signatures["signature"]) == set(expected)
        for key, (values, results) in expected.items():
            assert _results(source, values, signature=key) == {"o": results}


@pytest.mark.parametrize("key", ["sig-with-dash.dot", "_private", "größe 1"])
def test_any_key_of_a_signature_is_kept(tf: Any, tmp_path: Path, key: str) -> None:
    """``test_save_uses_sanitized_signature_name``: what TensorFlow renames are functions, never the key."""
    module = tf.Module()
    module.weight = tf.Variable(3.0)
    spec = tf.TensorSpec([None], name="x")
    module.f = tf.function(lambda x: {"y": x * module.weight}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "theirs"), signatures={key: module.f})
    tfmagic.export(tmp_path / "theirs", tmp_path / "ours")
    frozen = tfmagic.freeze(tmp_path / "theirs")
    for source in (tmp_path / "theirs", tmp_path / "ours", frozen):
        assert set(tfmagic.inspect(source).signatures["signature"]) == {key}
        assert _results(source, {"x": [1.0]}) == {"y": [3.0]}
    assert list(tf.saved_model.load(str(tmp_path / "ours")).signatures) == [key]


def test_what_a_call_does_beside_its_result_is_done_by_both_loaders(tf: Any, tmp_path: Path) -> None:
    """``test_control_outputs``: a count that no result depends on."""
    module = tf.Module()
    module.count = tf.Variable(0.0)

    def program(x: Any) -> dict[str, Any]:
        module.count.assign_add(x)
        return {"twice": x * 2.0}

    module.f = tf.function(program, input_signature=[tf.TensorSpec([], name="x")], autograph=False)
    tfmagic.export(module, tmp_path / "m")
    assert module.count.numpy() == 0.0
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    loaded.signatures["f"](x=tf.constant(3.0))
    assert [each.numpy() for each in loaded.variables] == [3.0]
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], str(tmp_path / "m")).signature_def["f"]
        session.run(signature.outputs["twice"].name, {signature.inputs["x"].name: 4.0})
        assert session.run(v1.global_variables()) == [4.0]


def test_variables_of_all_kinds_and_what_is_captured_come_along(tf: Any, tmp_path: Path) -> None:
    """``test_capture_variables``, ``test_captured_constant``, ``test_partially_defined_variable_shape``."""
    module = tf.Module()
    module.kinds = [
        tf.Variable(3, dtype=tf.int64), tf.Variable(1.5, dtype=tf.float16), tf.Variable(1.5, dtype=tf.bfloat16),
        tf.Variable(tf.constant(1) > 0), tf.Variable(tf.constant([1, -2], tf.int8)), tf.Variable([2.0], shape=[None]),
    ]  # fmt: skip
    module.word = tf.Variable(b"a\0")
    many, ragged = tf.constant(np.arange(5000, dtype=np.float32)), tf.ragged.constant([[1.0, 2.0], [3.0]])

    def program(x: Any) -> dict[str, Any]:
        total = tf.add_n([tf.reduce_sum(tf.cast(each, tf.float32)) for each in module.kinds])
        return {
            "sum": total + tf.gather(many, tf.cast(x, tf.int32)) + tf.reduce_sum(ragged),
            "text": tf.strings.join([module.word, tf.strings.as_string(tf.cast(x, tf.int32))]),
        }

    module.f = tf.function(program, input_signature=[tf.TensorSpec([], name="x")], autograph=False)
    tf.saved_model.save(module, str(tmp_path / "theirs"), signatures=module.f)
    tfmagic.export(module.f, tmp_path / "ours")
    sources: list[Any] = [
        module.f,
        tf.saved_model.load(str(tmp_path / "theirs")),
        tmp_path / "theirs",
        tmp_path / "ours",
    ]
    for source in [*sources, *map(tfmagic.freeze, sources)]:
        assert _results(source, {"x": 4000.0}) == {"sum": 4014.0, "text": b"a\x004000"}

"""Ends are listed in the order that a form keeps: a client that calls by position goes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
ENDS = [("input", "z"), ("input", "a"), ("output", "y"), ("output", "b")]


def listed(source: object) -> list[tuple[str, str]]:
    frame = tfmagic.inspect(source).signatures
    return list(zip(frame["side"], frame["key"], strict=True))


@pytest.mark.parametrize("suffix", [None, ".keras", ".h5", ".tflite", ""])
def test_ends_are_listed_in_the_order_of_a_keras_model(tmp_path: Path, suffix: str | None) -> None:
    import keras  # noqa: PLC0415 - seconds that only who needs it should take

    z, a = (keras.Input((2,), name=name) for name in "za")
    model = keras.Model([z, a], [keras.layers.Add(name="y")([z, a]), keras.layers.Subtract(name="b")([z, a])])
    if suffix is None:
        assert listed(model) == ENDS
        return
    path = tmp_path / f"model{suffix}"
    tfmagic.export(model, path, verify=False)
    # A SignatureDef keeps no order.
    assert listed(path) == (ENDS if suffix else sorted(ENDS))


def test_ends_are_listed_in_the_order_of_a_functions_arguments(tf: Any) -> None:
    spec = tf.TensorSpec([None], tf.float32)

    class Pair(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        @tf.function(input_signature=[spec, spec])  # type: ignore[untyped-decorator]
        def one(self, z: Any, a: Any) -> Any:
            return {"y": z, "b": a}

        @tf.function(input_signature=[spec, spec])  # type: ignore[untyped-decorator]
        def two(self, z: Any, a: Any) -> Any:
            return {"y": a, "b": z}

    assert listed(Pair().one) == ENDS
    assert listed(Pair()) == [*ENDS, *ENDS]

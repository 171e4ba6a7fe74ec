from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [
        ([None, 4], "float32", []),
        ([None, 5], "float32", ["float32 (None, 5)"]),
        ([1, 4], "float32", ["float32 (1, 4)"]),
        ([4], "float32", ["float32 (4,)"]),
        (None, "float32", []),
        ([None, 4], "float64", ["float64 (None, 4)"]),
    ],
)
def test_what_goes_into_graphs_without_signatures_is_compared(
    tf: Any, shape: list[int | None] | None, dtype: str, told: list[str]
) -> None:
    def graph(shape: list[int | None] | None, dtype: str) -> Any:
        with tf.Graph().as_default() as made:
            x = tf.compat.v1.placeholder(dtype, shape, name="x")
            tf.identity(tf.cast(x, tf.float32) if dtype != "float32" else x, name="y")
        return made.as_graph_def()

    found = tfmagic.diff(graph([None, 4], "float32"), graph(shape, dtype)).table
    rows = found[found["what"] == "signature"]
    assert rows["b"].tolist() == told, found.to_string()
    assert set(rows["where"]) <= {"input 'x'"}


def test_signatures_that_are_not_compared_are_told(tf: Any, tmp_path: Path) -> None:
    class Two(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def one(self, x: Any) -> Any:
            return {"y": x + 1.0}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def two(self, x: Any) -> Any:
            return {"y": x + 2.0}

    module = Two()
    tf.saved_model.save(module, tmp_path / "both", signatures={"one": module.one, "two": module.two})
    tf.saved_model.save(module, tmp_path / "first", signatures={"one": module.one})
    compared = "of the signatures 'one' was compared, 'two' not: name another one, signature=… (--signature)"
    assert tfmagic.diff(tmp_path / "both", tmp_path / "both").notes == (compared,)
    for pair, which in ((("both", "first"), "first"), (("first", "both"), "second")):
        found = tfmagic.diff(*(tmp_path / name for name in pair))
        assert found.notes == (compared, f"the {which} model alone has the signature 'two'")
    assert tfmagic.diff(tmp_path / "both", tmp_path / "first", signature="one").notes == ()

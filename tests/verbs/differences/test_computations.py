from __future__ import annotations

from typing import Any

import pytest

import tfmagic

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

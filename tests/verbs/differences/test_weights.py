"""Weights go together by what takes them: names may say nothing, or the wrong thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfmagic
from tfmagic.files import protos

FIRST, SECOND = np.arange(16, dtype=np.float32), np.arange(16, dtype=np.float32)[::-1]


def layers(**weights: np.ndarray) -> Any:
    """Return a frozen graph of two layers of one size, which take weights in this order."""
    graph = protos.message("GraphDef")()
    last = graph.node.add(name="x", op="Placeholder").name
    graph.node[0].attr["dtype"].type = 1
    for number, (name, values) in enumerate(weights.items()):
        constant = graph.node.add(name=name, op="Const")
        constant.attr["dtype"].type = 1
        tensor = constant.attr["value"].tensor
        tensor.dtype = 1
        tensor.tensor_content = np.ascontiguousarray(values, np.float32).tobytes()
        tensor.tensor_shape.dim.add(size=4)
        tensor.tensor_shape.dim.add(size=4)
        last = graph.node.add(name=f"layer_{number}", op="MatMul", input=[last, name]).name
        graph.node[-1].attr["T"].type = 1
    return graph


ORIGINAL = layers(kernel=FIRST, recurrent=SECOND)


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [
        (layers(a=FIRST, b=SECOND), True),
        (layers(a=SECOND, b=FIRST), False),
        (layers(recurrent=FIRST, kernel=SECOND), True),
        (layers(kernel=SECOND, recurrent=FIRST), False),
        (layers(a=FIRST, kernel=SECOND), True),
        (layers(a=SECOND, kernel=FIRST), False),
    ],
    ids=["renamed", "renamed and exchanged", "names exchanged", "exchanged", "one name moved", "moved and exchanged"],
)
def test_weights_of_one_shape_are_told_apart(other: Any, is_equal: bool) -> None:  # noqa: FBT001
    for pair in ((ORIGINAL, other), (other, ORIGINAL)):
        compared = tfmagic.diff(*pair)
        assert compared.equal == is_equal, compared.table.to_string()

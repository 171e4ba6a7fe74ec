"""Weights go together by what takes them: names may say nothing, or the wrong thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.files import protos

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.tensorflow
def test_weights_of_a_traced_model_are_those_of_its_table(tmp_path: Path) -> None:
    """A traced graph calls a variable by the op that reads it first, which tells nothing of what it is."""
    import keras  # noqa: PLC0415

    def built(*values: np.ndarray, names: tuple[str, str]) -> Any:
        layers = [keras.layers.Dense(4, use_bias=False, name=name) for name in names]
        model = keras.Sequential([keras.Input((4,), name="x"), *layers])
        model.set_weights([each.reshape(4, 4) for each in values])
        return model

    own = built(FIRST, SECOND, names=("a", "end"))
    own.save(tmp_path / "own.keras")
    for order, is_equal in (((FIRST, SECOND), True), ((SECOND, FIRST), False)):
        tfmagic.export(built(*order, names=("c", "end")), tmp_path / "other", verify=False, overwrite=True)
        for source in (tmp_path / "own.keras", own):
            assert tfmagic.diff(source, tmp_path / "other").equal == is_equal

from __future__ import annotations

import pytest

from tfmagic.files.keras import shapes as keras_shapes


@pytest.mark.parametrize("junk", ["x" * 10, [["a", 10**12]], -1, {"a": 1}, None, [2], 10**30], ids=repr)
@pytest.mark.parametrize(
    "kind", ["UpSampling2D", "Conv2D", "ZeroPadding2D", "Reshape", "DepthwiseConv2D", "Dense", "GRU"]
)
def test_junk_in_arguments_gives_no_shape(kind: str, junk: object) -> None:
    names = ("size", "kernel_size", "strides", "padding", "filters", "units", "target_shape", "depth_multiplier")
    shape = keras_shapes.output(kind, dict.fromkeys(names, junk), [(None, 10**9, 10**9, 3)])
    assert shape is None or all(keras_shapes.is_dimension(size) for size in shape)


def test_shapes_that_do_not_go_together_give_none() -> None:
    assert keras_shapes.output("Add", {}, [(None, 2), (None, 3)]) is None
    assert keras_shapes.output("Add", {}, [(None, 1), (None, 3)]) == (None, 3)
    assert keras_shapes.output("Concatenate", {"axis": -1}, [(None, 2), (None, 3)]) == (None, 5)
    assert keras_shapes.output("Concatenate", {"axis": 0}, [(2, 2), (2, 3)]) is None

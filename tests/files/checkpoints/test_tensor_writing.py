from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tfmagic.files.checkpoints import tensor_bundle, tensor_writing

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "a/kernel": ("float32", np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)),
    "big endian": ("int32", np.arange(5, dtype=">i4")),
    "empty": ("float64", np.zeros((0, 3))),
    "flag": ("bool", np.array(True)),  # noqa: FBT003 - a value
    "größe": ("int64", np.array(-7)),
    "texts": ("string", np.array([[b"", b"a\0b"], [b"x" * 300, "ü".encode()]], dtype=object)),
    "no texts": ("string", np.zeros(0, dtype=object)),
}


def written(directory: Path) -> Path:
    tensors = (tensor_writing.Tensor(key, dtype, value) for key, (dtype, value) in VALUES.items())
    tensor_writing.write(directory / "model.ckpt", tensors)
    return directory / "model.ckpt"


def test_our_own_reader_reads_it(tmp_path: Path) -> None:
    prefix = written(tmp_path)
    checkpoint = tensor_bundle.open_checkpoint(prefix)
    assert set(checkpoint.entries) == set(VALUES)
    for key, (dtype, value) in VALUES.items():
        assert checkpoint.entries[key].dtype == dtype
        np.testing.assert_array_equal(checkpoint.read(key), value)


@pytest.mark.tensorflow
def test_tensorflow_reads_it(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who needs it should take

    reader = tf.train.load_checkpoint(str(written(tmp_path)))
    assert set(reader.get_variable_to_shape_map()) == set(VALUES)
    for key, (_, value) in VALUES.items():
        np.testing.assert_array_equal(reader.get_tensor(key), value)


def test_more_tensors_than_a_block_of_the_index_holds(tmp_path: Path) -> None:
    count = 2_000
    values = (tensor_writing.Tensor(f"v{n}", "int32", np.array(n, np.int32)) for n in range(count))
    tensor_writing.write(tmp_path / "many", values)
    checkpoint = tensor_bundle.open_checkpoint(tmp_path / "many")
    assert [int(checkpoint.read(f"v{n}")) for n in (0, 999, count - 1)] == [0, 999, count - 1]

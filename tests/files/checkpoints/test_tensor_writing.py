from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tfmagic import errors
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


WHOLE = np.arange(24, dtype=np.float32).reshape(6, 4)
#: Pieces as SaveV2 has them: two of a tensor, and one that is all of another.
PIECES = (("p/w", "6 4 0,2:0,4", WHOLE[:2]), ("p/w", "6 4 2,4:-", WHOLE[2:]), ("p/all", "6 4 0,6:0,4", WHOLE))


def _pieces(directory: Path) -> Path:
    tensors = (tensor_writing.Tensor(key, "float32", value, piece) for key, piece, value in PIECES)
    tensor_writing.write(directory / "pieces", tensors)
    return directory / "pieces"


def test_pieces_of_a_tensor_are_read_as_one(tmp_path: Path) -> None:
    checkpoint = tensor_bundle.open_checkpoint(_pieces(tmp_path))
    assert set(checkpoint.entries) == {"p/w", "p/all"}
    for key in checkpoint.entries:
        np.testing.assert_array_equal(checkpoint.read(key), WHOLE)


@pytest.mark.tensorflow
def test_tensorflow_reads_pieces_whole_and_one_by_one(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    prefix = str(_pieces(tmp_path))
    np.testing.assert_array_equal(tf.train.load_checkpoint(prefix).get_tensor("p/w"), WHOLE)
    keys, pieces, values = zip(*PIECES, strict=True)
    found = tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=keys, shape_and_slices=pieces, dtypes=[tf.float32] * len(keys)
    )
    for value, expected in zip(found, values, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_more_tensors_than_a_block_of_the_index_holds(tmp_path: Path) -> None:
    count = 2_000
    values = (tensor_writing.Tensor(f"v{n}", "int32", np.array(n, np.int32)) for n in range(count))
    tensor_writing.write(tmp_path / "many", values)
    checkpoint = tensor_bundle.open_checkpoint(tmp_path / "many")
    assert [int(checkpoint.read(f"v{n}")) for n in (0, 999, count - 1)] == [0, 999, count - 1]


def test_a_piece_is_read_alone_where_it_lies_alone(tmp_path: Path) -> None:
    checkpoint = tensor_bundle.open_checkpoint(_pieces(tmp_path))
    (shard,) = tmp_path.glob("*.data*")
    content = bytearray(shard.read_bytes())
    content[0] ^= 1
    shard.write_bytes(content)
    np.testing.assert_array_equal(checkpoint.read("p/w", piece=((2, 4), (0, -1))), WHOLE[2:])
    np.testing.assert_array_equal(checkpoint.read("p/all", piece=((1, 2), (0, -1))), WHOLE[1:3])
    for piece in ((), ((0, 2), (0, 4)), ((0, 3), (0, 4))):
        with pytest.raises(errors.CorruptSourceError):
            checkpoint.read("p/w", piece=piece)

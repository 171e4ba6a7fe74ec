from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import checkpoint_samples as samples
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.files.protos import Message

needs_tensorflow = pytest.mark.tensorflow


def add_rows(slices: Message, start: int, length: int) -> None:
    """Add the slice that takes some rows of a matrix."""
    piece = slices.add()
    piece.extent.add(start=start, length=length)
    piece.extent.add()


FLOATS = np.arange(6, dtype="<f4").reshape(2, 3)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return samples.write_bundle(tmp_path / "small", {b"w": samples.entry((2, 3), FLOATS.tobytes())}, FLOATS.tobytes())


def test_anatomy(small: Path) -> None:
    checkpoint = tensor_bundle.open_checkpoint(small)
    assert (checkpoint.version, checkpoint.shard_count, checkpoint.big_endian) == ("V2", 1, False)
    assert checkpoint.shards == {small.with_name("small.data-00000-of-00001"): 24}
    stored = checkpoint.entries["w"]
    assert (stored.dtype, stored.shape, stored.bytes, stored.shard, stored.offset) == ("float32", (2, 3), 24, 0, 0)
    assert checkpoint.rows() == (("w", "float32", (2, 3), 6, 24, None),)
    np.testing.assert_array_equal(tensor_bundle.read_tensor(small, "w"), FLOATS)


def test_big_endian_values_are_swapped(tmp_path: Path) -> None:
    data = FLOATS.astype(">f4").tobytes()
    prefix = samples.write_bundle(tmp_path / "big", {b"w": samples.entry((2, 3), data)}, data, endianness=1)
    np.testing.assert_array_equal(tensor_bundle.read_tensor(prefix, "w"), FLOATS)


def test_an_unknown_name_lists_the_near_ones(small: Path) -> None:
    with pytest.raises(errors.UnknownNameError, match="no variable 'v'") as raised:
        tensor_bundle.read_tensor(small, "v")
    assert raised.value.available == ("w",)


@pytest.mark.parametrize("shape", [(1 << 40,), (5,), (2, 4)])
def test_a_claimed_shape_is_held_against_the_bytes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    prefix = samples.write_bundle(tmp_path / "c", {b"w": samples.entry(shape, FLOATS.tobytes())}, FLOATS.tobytes())
    assert tensor_bundle.open_checkpoint(prefix).rows()[0].shape == shape
    with pytest.raises(errors.CorruptSourceError, match="24 bytes do not make"):
        tensor_bundle.read_tensor(prefix, "w")


def test_a_claimed_number_of_shards_allocates_nothing(tmp_path: Path) -> None:
    prefix = samples.write_bundle(tmp_path / "c", {b"w": samples.entry((2, 3), FLOATS.tobytes())})
    index = tmp_path / "c.index"
    header = protos.message("BundleHeaderProto")(num_shards=(1 << 31) - 1).SerializeToString()
    index.write_bytes(samples.table({b"": header, b"w": samples.entry((2, 3), FLOATS.tobytes()).SerializeToString()}))
    checkpoint = tensor_bundle.open_checkpoint(prefix)
    assert checkpoint.notes == (
        "data shard 'c.data-00000-of-2147483647' is missing: names and shapes are shown, values cannot be read",
    )


def test_missing_and_short_shards_are_noted_and_refused(small: Path) -> None:
    shard = small.with_name("small.data-00000-of-00001")
    shard.write_bytes(samples.LFS_POINTER[:20])
    checkpoint = tensor_bundle.open_checkpoint(small)
    assert "has 20 bytes where the index counts on 24" in checkpoint.notes[0]
    with pytest.raises(errors.CorruptSourceError, match="truncated or a Git LFS pointer"):
        checkpoint.read("w")
    shard.unlink()
    checkpoint = tensor_bundle.open_checkpoint(small)
    assert "is missing: names and shapes are shown, values cannot be read" in checkpoint.notes[0]
    assert len(checkpoint.rows()) == 1
    with pytest.raises(errors.CorruptSourceError, match="is missing"):
        checkpoint.read("w")


def test_a_value_that_fails_its_checksum(small: Path) -> None:
    shard = small.with_name("small.data-00000-of-00001")
    shard.write_bytes(bytes([1]) + shard.read_bytes()[1:])
    with pytest.raises(errors.CorruptSourceError, match="do not match their checksum"):
        tensor_bundle.open_checkpoint(small).read("w")
    assert tensor_bundle.open_checkpoint(small).read("w", check=False).shape == (2, 3)


def test_pieces_must_cover_the_whole(tmp_path: Path) -> None:
    whole = samples.entry((4, 3), b"")
    add_rows(whole.slices, 0, 2)
    key = tensor_slices.key(b"w", ((0, 2), (0, -1)))
    piece = samples.entry((2, 3), FLOATS.tobytes())
    prefix = samples.write_bundle(tmp_path / "p", {b"w": whole, key: piece}, FLOATS.tobytes())
    checkpoint = tensor_bundle.open_checkpoint(prefix)
    assert checkpoint.rows() == (("w", "float32", (4, 3), 12, 24, None),)
    with pytest.raises(errors.CorruptSourceError, match="6 elements"):
        checkpoint.read("w")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("written")
    for name, version, sharded in (("v1", 1, False), ("v1s", 1, True), ("v2", 2, False), ("v2s", 2, True)):
        samples.write_saver(directory / name / "model.ckpt", version, sharded=sharded)
    samples.write_objects(directory / "objects" / "ckpt")
    samples.write_keras(directory / "keras" / "weights")
    return directory


@needs_tensorflow
@pytest.mark.parametrize("name", ["v1", "v1s", "v2", "v2s", "objects", "keras"])
def test_agrees_with_tensorflow_to_the_last_value(written: Path, name: str) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that the other tests need not take

    files = checkpoint_location.find(written / name)
    assert files is not None
    checkpoint = tensor_bundle.open_checkpoint(files.prefix, files.tables)
    reader = tf.train.load_checkpoint(str(files.prefix))
    shapes = reader.get_variable_to_shape_map()
    dtypes = reader.get_variable_to_dtype_map()
    saved = samples.plain_values() | {"embedding": samples.EMBEDDING}
    assert {key: stored.shape for key, stored in checkpoint.entries.items()} == {
        key: tuple(shape) for key, shape in shapes.items()
    }
    for key, stored in checkpoint.entries.items():
        assert stored.dtype == dtypes[key].name
        value = checkpoint.read(key)
        assert value.shape == stored.shape
        # In the V1 format TensorFlow's reader gives up on partitions and some dtypes; what was saved is known.
        known = saved[key] if name.startswith("v1") else reader.get_tensor(key)
        np.testing.assert_array_equal(value, np.array(known, dtype=value.dtype))
    assert not checkpoint.notes


@needs_tensorflow
def test_a_partitioned_variable_is_one_row(written: Path) -> None:
    for name in ("v1", "v2", "v2s"):
        files = checkpoint_location.find(written / name)
        assert files is not None
        checkpoint = tensor_bundle.open_checkpoint(files.prefix, files.tables)
        assert len(checkpoint.entries["embedding"].slices) == 3
        rows = [row for row in checkpoint.rows() if "embedding" in row.name]
        assert rows == [("embedding", "float32", (10, 4), 40, 160, None)]


@needs_tensorflow
def test_string_damage_is_noticed(written: Path, tmp_path: Path) -> None:
    for path in (written / "v2").iterdir():
        shutil.copy(path, tmp_path)
    checkpoint = tensor_bundle.open_checkpoint(tmp_path / "model.ckpt")
    stored = checkpoint.entries["text"]
    shard = checkpoint.shard(0)
    whole = shard.read_bytes()
    for position in range(stored.offset, stored.offset + 20):
        shard.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        with pytest.raises(errors.CorruptSourceError):
            checkpoint.read("text")


@pytest.mark.parametrize("compressed", [False, True])
def test_v1_files_list_what_they_hold_themselves(tmp_path: Path, *, compressed: bool) -> None:
    names = ["model.ckpt-00000-of-00002", "model.ckpt-00001-of-00002"]
    for number, name in enumerate(names):
        meta = protos.message("SavedTensorSlices")()
        tensor = meta.meta.tensor.add(name="w", type=1)
        tensor.shape.CopyFrom(protos.shape_proto((4, 3)))
        piece = ((2 * number, 2), (0, -1))
        add_rows(tensor.slice, 2 * number, 2)
        data = protos.message("SavedTensorSlices")()
        data.data.data.float_val.extend(range(6 * number, 6 * number + 6))
        stored = {b"": meta.SerializeToString(), tensor_slices.key(b"w", piece): data.SerializeToString()}
        (tmp_path / name).write_bytes(samples.table(stored, compress=samples.snappy_literals if compressed else None))
    files = checkpoint_location.find(tmp_path / "model.ckpt")
    assert files is not None
    checkpoint = tensor_bundle.open_checkpoint(files.prefix, files.tables)
    assert checkpoint.rows() == (("w", "float32", (4, 3), 12, 48, None),)
    np.testing.assert_array_equal(checkpoint.read("w"), np.arange(12, dtype="f4").reshape(4, 3))
    (tmp_path / names[0]).unlink()
    files = checkpoint_location.find(tmp_path / names[1])
    assert files is not None
    assert "1 of the 2 files" in files.notes[0]
    with pytest.raises(errors.CorruptSourceError, match="6 elements"):
        tensor_bundle.open_checkpoint(files.prefix, files.tables).read("w")

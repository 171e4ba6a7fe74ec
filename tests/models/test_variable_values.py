"""Values of variables in every form: the same numbers that went in, without reading what is not asked for."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import checkpoint_samples, samples
from tests.checkpoint_samples import entry, write_bundle
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.keras import values as keras_values
from tfmagic.frames import VariableRow
from tfmagic.models import value_blocks, variable_values
from tfmagic.models.variable_values import VariableValues

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

WEIGHTS = samples.WEIGHTS
#: A message has no checkpoint beside it.
VALUELESS = "meta_graph_message"
WITH_VALUES = [name for name, sample in samples.SAMPLES.items() if "variables" in sample.parts and name != VALUELESS]
FLOATS = np.arange(3_000_000, dtype="<f4")


def rows(source: object) -> tuple[VariableValues, list[VariableRow]]:
    model = tfmagic.inspect(source)
    return VariableValues(model), [VariableRow(*each) for each in model.variables.itertuples(index=False, name=None)]


def read(values: VariableValues, row: VariableRow) -> np.ndarray:
    found = values.of(row)
    joined = np.concatenate([np.zeros(0), *found.blocks()])
    assert len(joined) == found.size
    return joined


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", WITH_VALUES)
def test_the_weights_of_every_form_are_those_that_went_in(name: str, samples: Built) -> None:
    values, listed = rows(samples[name])
    for label, weight in WEIGHTS.items():
        same = [row for row in listed if row.shape == weight.shape and row.dtype == "float32"]
        found = [read(values, row) for row in same]
        assert any(np.array_equal(each, weight.reshape(-1)) for each in found), (label, [row.name for row in listed])


@pytest.mark.tensorflow
@pytest.mark.parametrize("version", [1, 2])
def test_all_dtypes_and_pieces_of_a_checkpoint(version: int, tmp_path: Path) -> None:
    checkpoint_samples.write_saver(tmp_path / "model.ckpt", version)
    values, listed = rows(tmp_path / "model.ckpt")
    by_name = {row.name: row for row in listed}
    for name, value in checkpoint_samples.plain_values().items():
        if name not in {"text", "complex"}:
            np.testing.assert_array_equal(read(values, by_name[name]), np.asarray(value).reshape(-1))
    np.testing.assert_array_equal(read(values, by_name["embedding"]), checkpoint_samples.EMBEDDING.reshape(-1))
    with pytest.raises(errors.ReadError, match="strings"):
        values.of(by_name["text"])
    with pytest.raises(errors.ReadError, match="complex"):
        values.of(by_name["complex"])


@pytest.mark.tensorflow
def test_a_bfloat16_is_read_with_and_without_its_library(tmp_path: Path) -> None:
    checkpoint_samples.write_objects(tmp_path / "ckpt")
    values, listed = rows(tmp_path)
    half = next(row for row in listed if row.dtype == "bfloat16")
    assert read(values, half).tolist() == [1.5, -2.0]
    assert variable_values.comparable(np.array([0x3FC0, 0xC000], np.uint16), "bfloat16").tolist() == [1.5, -2.0]


@pytest.mark.tensorflow
def test_a_live_variable_has_the_values_of_now(samples: Built) -> None:
    model = samples["keras_model"]
    values, listed = rows(model)
    before = [variable.numpy() for variable in model.variables]
    bias = next(row for row in listed if row.shape == (3,))
    place = [tuple(variable.shape) for variable in model.variables].index((3,))
    try:
        model.variables[place].assign([7.0, 8.0, 9.0])
        assert read(values, bias).tolist() == [7, 8, 9]
    finally:
        model.variables[place].assign(before[place])


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two variables of 12 MB, of which the other one's bytes are damaged."""
    data = FLOATS.tobytes()
    second = entry((len(FLOATS),), data, offset=len(data))
    return write_bundle(
        tmp_path / "large",
        {b"a": entry((3, 1_000_000), data), b"b": second},
        data + data[:-4] + b"\x00\x00\x00\x7f",
    )


def test_no_more_is_held_than_a_block_or_so(large: Path) -> None:
    values, listed = rows(large)
    blocks = values.of(listed[0]).blocks
    tracemalloc.start()
    total = sum(float(block.sum(dtype=np.float64)) for block in blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == FLOATS.astype(np.float64).sum()
    assert peak < 3 * value_blocks.BLOCK < FLOATS.nbytes * 1.1


def test_damaged_values_are_told_by_their_checksum_and_others_are_read(large: Path) -> None:
    values, listed = rows(large)
    assert len(read(values, listed[0])) == len(FLOATS)
    with pytest.raises(errors.CorruptSourceError, match="checksum"):
        read(values, listed[1])


def test_a_shard_that_is_missing_or_too_short_is_named(large: Path) -> None:
    shard = large.with_name("large.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[:20_000_000])
    values, listed = rows(large)
    assert len(read(values, listed[0])) == len(FLOATS)
    with pytest.raises(errors.CorruptSourceError, match="truncated"):
        values.of(listed[1])
    shard.unlink()
    with pytest.raises(errors.CorruptSourceError, match="missing"):
        values.of(listed[0])


def test_values_that_take_other_bytes_than_their_shape_are_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "odd", {b"a": entry((5,), b"\0" * 24)}, b"\0" * 24)
    values, listed = rows(prefix)
    with pytest.raises(errors.CorruptSourceError, match="should take 20 bytes"):
        values.of(listed[0])


def test_big_endian_values_are_swapped_in_every_block(tmp_path: Path) -> None:
    data = FLOATS[:7].astype(">f4").tobytes()
    prefix = write_bundle(tmp_path / "big", {b"a": entry((7,), data)}, data, endianness=1)
    values, listed = rows(prefix)
    assert read(values, listed[0]).tolist() == list(range(7))


@pytest.mark.tensorflow
def test_what_only_the_graph_declares_has_no_value(samples: Built) -> None:
    values, listed = rows(samples[VALUELESS])
    with pytest.raises(errors.ReadError, match="no checkpoint with its value lies beside"):
        values.of(listed[0])


def test_a_keras_file_is_read_in_parts_whatever_its_layout(tmp_path: Path) -> None:
    import h5py  # noqa: PLC0415 - for this test alone

    path = tmp_path / "some.weights.h5"
    kernel = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=kernel, chunks=(2, 2, 5), compression="gzip")
        file.create_dataset("layers/dense/vars/1", data=np.float32(4))
        file.create_dataset("layers/dense/vars/2", data=np.zeros((0, 3), np.float32))
    names = [row.name for row in rows(path)[1]]
    parts = [list(keras_values.blocks(path, name, 40)) for name in names]
    assert np.concatenate(parts[0]).tolist() == list(range(60))
    assert max(len(part) for part in parts[0]) <= 10
    assert [part.tolist() for part in parts[1]] == [[4]]
    assert parts[2] == []


def test_values_in_another_file_are_not_followed(tmp_path: Path) -> None:
    import h5py  # noqa: PLC0415 - for this test alone

    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\x01" * 40)
    path = tmp_path / "some.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(10,), dtype="f4", external=[(str(secret), 0, 40)])
    values, listed = rows(path)
    with pytest.raises(errors.CorruptSourceError, match="another file"):
        read(values, listed[0])


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (2, 3, 4), (1, 1, 50), (4, 0), (100, 1)])
@pytest.mark.parametrize("most", [1, 5, 12, 1000])
def test_slabs_cover_an_array_in_order(shape: tuple[int, ...], most: int) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape)
    parts: list[Any] = [array[part].reshape(-1) for part in keras_values.slabs(shape, most)]
    assert np.concatenate([np.zeros(0), *parts]).tolist() == list(range(array.size))
    assert all(len(part) <= max(most, 1) for part in parts)


def test_what_means_something_inside_tensorflow_only_is_refused(tmp_path: Path) -> None:
    stored = entry((), b"12345678")
    stored.dtype = protos.dtype_number("variant")
    prefix = write_bundle(tmp_path / "it", {b"iterator": stored}, b"12345678")
    values, (row,) = rows(prefix)
    with pytest.raises(errors.ReadError, match="'variant' have a meaning inside TensorFlow only"):
        values.as_stored(row)

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.files.keras import values as keras_values

if TYPE_CHECKING:
    from pathlib import Path

h5py = pytest.importorskip("h5py")
#: Paths of which one ends as another does.
DATASETS = {
    "layers/dense/vars/0": 1.0,
    "layers/sequential/layers/dense/vars/0": 2.0,
    "vars/0": 3.0,
    "layers/sequential/vars/0": 4.0,
}


def written(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in DATASETS.items():
            file.create_dataset(name, data=np.full(3, value, np.float32))
    return path


def test_a_dataset_is_found_by_its_whole_path(tmp_path: Path) -> None:
    with keras_values.opened(written(tmp_path / "m.weights.h5")) as stored:
        found = {weight.array.path: stored.value(weight)[0] for weight in stored.weights}
    assert found == DATASETS


def test_ordinary_values_are_read_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.weights.h5"
    stored_values: list[Any] = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7.0), np.zeros((0, 4), np.int8)]
    brain_floats = np.array([1.5, -2.0], np.float32).view(np.uint16)[1::2].copy().view("V2")
    with h5py.File(path, "w") as file:
        for place, values in enumerate(stored_values):
            file.create_dataset(f"layers/a/vars/{place}", data=values)
        file.create_dataset("layers/b/vars/0", data=brain_floats).attrs["dtype"] = "bfloat16"
        file.create_dataset("layers/c/vars/0", data=np.ones(9, np.float32), chunks=True)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("not a file for the library")

    monkeypatch.setattr(h5py, "File", refuse)
    with keras_values.opened(path) as stored:
        weights = {weight.array.path: weight for weight in stored.weights}
        chunked = weights.pop("layers/c/vars/0")
        brain = weights.pop("layers/b/vars/0")
        for weight, values in zip(weights.values(), stored_values, strict=True):
            read = stored.value(weight)
            assert (read.dtype, read.shape) == (values.dtype, values.shape)
            np.testing.assert_array_equal(read, values)
            np.testing.assert_array_equal(np.concatenate([[], *stored.blocks(weight, 8)]), values.reshape(-1))
        np.testing.assert_array_equal(stored.value(brain).astype(np.float32), [1.5, -2.0])
        with pytest.raises(errors.CorruptSourceError, match="not a file for the library"):
            stored.value(chunked)


def test_an_archive_is_unpacked_once_for_all_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "model.weights.h5")
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    members, open_member = [], zipfile.ZipFile.open

    def noting(self: zipfile.ZipFile, name: Any, *given: Any, **options: Any) -> Any:
        members.append(str(getattr(name, "filename", name)))
        return open_member(self, name, *given, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", noting)
    with keras_values.opened(path) as stored:
        assert {stored.value(weight)[0] for weight in stored.weights} == set(DATASETS.values())
    assert members.count("model.weights.h5") == 1


def test_whole_models_keep_their_weights_in_a_group(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"a", b"b"]
        for name in ("a", "b"):
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            layer.create_dataset(f"{name}/kernel:0", data=np.full(2, ord(name), np.float32))
        # The same path, beside the model's weights.
        file.create_dataset("a/a/kernel:0", data=np.zeros(2, np.float32))
    with keras_values.opened(path) as stored:
        assert [stored.value(weight)[0] for weight in stored.weights] == [ord("a"), ord("b")]
        assert [weight.owners for weight in stored.weights] == [("a",), ("b",)]
        with pytest.raises(errors.UnknownNameError, match="did you mean 'a/kernel'"):
            stored.named("a/kernl")


def test_what_the_caller_raises_is_no_damage_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "m.weights.h5")
    with pytest.raises(OSError, match="disk full"), keras_values.opened(path):
        raise OSError("disk full")

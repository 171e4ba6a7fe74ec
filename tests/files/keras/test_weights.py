"""The names of weights in files of older versions of Keras, which say less."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import weights as keras_weights

if TYPE_CHECKING:
    from pathlib import Path

h5py = pytest.importorskip("h5py")


def names(path: Path) -> list[str]:
    config = keras_archive.contents(path).config
    with keras_archive.weights(path) as root:
        return [weight.name for weight in keras_weights.read(root, config)]


def written(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, shape in shapes.items():
            file.create_dataset(name, data=np.zeros(shape, np.float32))
    return path


def test_layers_of_a_nested_model_have_its_place_where_no_name_is_stated(tmp_path: Path) -> None:
    dense = {"0": (2, 2), "1": (2,)}
    places = ("layers/dense/vars", "layers/sequential/layers/dense/vars", "layers/functional/layers/dense/vars")
    path = written(
        tmp_path / "m.weights.h5", {f"{place}/{name}": shape for place in places for name, shape in dense.items()}
    )
    assert names(path) == [
        "dense/kernel", "dense/bias", "functional/dense/kernel", "functional/dense/bias",
        "sequential/dense/kernel", "sequential/dense/bias",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "are_named"),
    [
        ([(3, 16), (4, 16), (16,)], True),  # LSTM
        ([(3, 12), (4, 12), (2, 12)], True),  # GRU, two biases
        ([(3, 4), (4, 4)], True),
        ([(3, 16), (4, 12), (16,)], False),
        ([(3, 16), (5, 16), (16,)], False),
        ([(3, 16), (4, 16), (16,), (4,)], False),
        ([(3,), (4,)], False),
    ],
)
def test_a_cell_behind_a_direction_is_told_by_its_shapes(
    tmp_path: Path,
    shapes: list[tuple[int, ...]],
    are_named: bool,  # noqa: FBT001 - a table
) -> None:
    place = "layers/bidirectional/forward_layer/cell/vars"
    path = written(tmp_path / "m.weights.h5", {f"{place}/{number}": shape for number, shape in enumerate(shapes)})
    own = ["kernel", "recurrent_kernel", "bias"] if are_named else [f"vars/{number}" for number in range(len(shapes))]
    assert names(path) == [f"bidirectional/forward_layer/cell/{name}" for name in own[: len(shapes)]]


@pytest.mark.parametrize("written_name", ["lstm", "forward_lstm"])
def test_both_directions_are_called_after_the_layer(tmp_path: Path, written_name: str) -> None:
    """Keras up to 3.5 wrote the name that the first direction has, later ones that of the layer that was given."""
    lstm = {"class_name": "LSTM", "config": {"name": written_name, "units": 4}}
    layer = {"class_name": "Bidirectional", "config": {"name": "both", "layer": lstm}}
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [layer]}}
    weights = tmp_path / "model.weights.h5"
    written(weights, {f"layers/bidirectional/{way}_layer/cell/vars/0": (3, 16) for way in ("forward", "backward")})
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", '{"keras_version": "3.4.1"}')
        archive.write(weights, "model.weights.h5")
    assert [name.rpartition("/vars/")[0] for name in names(tmp_path / "m.keras")] == [
        "both/backward_lstm/lstm_cell", "both/forward_lstm/lstm_cell",
    ]  # fmt: skip


def test_a_weight_without_a_path_belongs_to_its_layer(tmp_path: Path) -> None:
    """Keras 3.0 wrote no path into ``.h5``; Keras 1 wrote the layer's name with an underscore."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"hidden", b"norm", b"dense_1"]
        for layer, weights in (("hidden", ["kernel", "bias"]), ("norm", ["gamma"]), ("dense_1", ["dense_1_W"])):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name in weights:
                group.create_dataset(name, data=np.zeros(2, np.float32))
    assert names(path) == ["hidden/kernel", "hidden/bias", "norm/gamma", "dense_1_W"]

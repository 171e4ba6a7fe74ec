"""Canaries for Keras' own walk along what it saves, and for what stands in for it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from tfmagic.runtime import keras_saving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def model(library: Any) -> Any:
    inner = library.Sequential([library.Input((2,)), library.layers.Dense(2)])
    x = library.Input((2,))
    return library.Model(x, library.layers.Dense(1)(inner(x)))


@pytest.mark.parametrize(("name", "walk"), [("keras", "_walk_saveable"), ("tf_keras", "_walk_trackable")])
def test_keras_walks_where_it_did(name: str, walk: str) -> None:
    library = pytest.importorskip(name)
    own = getattr(importlib.import_module(f"{name}.src.saving.saving_lib"), walk)
    assert keras_saving.saving(model(library)).attributes is own


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_an_object_has_its_variables_in_the_order_in_which_it_saves_them(name: str) -> None:
    library = pytest.importorskip(name)
    layer = library.layers.BatchNormalization()
    layer.build((None, 3))
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    own = keras_saving.saving(library.Sequential([layer])).own_variables(layer)
    assert [tuple(store[str(place)].shape) for place in range(4)] == [tuple(each.shape) for each in own]
    assert [each.name.rpartition("/")[2].partition(":")[0] for each in own] == [
        "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip


def test_without_keras_own_walk_the_layers_of_a_model_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = pytest.importorskip("keras")
    from tfmagic.verbs.restore import restore  # noqa: PLC0415 - TensorFlow comes with it

    source, target = model(keras), model(keras)
    source.save_weights(tmp_path / "m.weights.h5")
    monkeypatch.delattr("keras.src.saving.saving_lib._walk_saveable")
    restore(target, tmp_path / "m.weights.h5")
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        assert (mine == other).all()

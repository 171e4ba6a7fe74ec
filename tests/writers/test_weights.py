from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import tfmagic
from tests.keras_samples import MODELS
from tfmagic import errors
from tfmagic.runtime import keras as keras_runtime
from tfmagic.writers.weights import WeightsDraft

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("name", MODELS)
def test_weights_go_out_and_come_back(tmp_path: Path, name: str) -> None:
    keras = keras_runtime.keras()
    model = MODELS[name](keras)
    done = tfmagic.export(model, tmp_path / "m.weights.h5")
    assert done.format == "weights"
    assert len(done.verification) == len(model.weights)
    assert done.verification["equal"].all()
    other = MODELS[name](keras)
    other.load_weights(tmp_path / "m.weights.h5")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert tfmagic.inspect(tmp_path / "m.weights.h5").variables["size"].sum() == model.count_params()


def test_they_come_out_of_a_whole_file(tmp_path: Path) -> None:
    model = MODELS["branching"](keras_runtime.keras())
    model.save(tmp_path / "m.keras")
    done = tfmagic.export(tmp_path / "m.keras", tmp_path / "weights.bin", format="weights")
    assert done.verification["equal"].all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "weights.bin"]


def test_a_value_that_got_lost_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["branching"](keras_runtime.keras())
    write = WeightsDraft.write

    def spoiled(self: WeightsDraft, path: Path) -> None:
        kernel = model.get_layer("shared").kernel
        before = kernel.numpy()
        kernel.assign(before + 1)
        write(self, path)
        kernel.assign(before)

    monkeypatch.setattr(WeightsDraft, "write", spoiled)
    with pytest.raises(errors.VerificationError, match=r"shared/kernel"):
        tfmagic.export(model, tmp_path / "m.weights.h5")
    assert list(tmp_path.iterdir()) == []


def test_unverified_is_said(tmp_path: Path) -> None:
    done = tfmagic.export(MODELS["branching"](keras_runtime.keras()), tmp_path / "m.weights.h5", verify=False)
    assert "not verified: verify=False" in done.notes
    assert not len(done.verification)


def test_signatures_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionError, match="'signature' cannot be written as 'weights'"):
        tfmagic.export(MODELS["branching"](keras_runtime.keras()), tmp_path / "m.weights.h5", signature="mine")

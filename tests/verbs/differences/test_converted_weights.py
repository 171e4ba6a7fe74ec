"""What a converter made of weights is found by their values, and told only where it is certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfmagic
from tfmagic.frames import VariableRow
from tfmagic.verbs.differences import converted_weights


def listed(values: np.ndarray, name: str) -> tuple[VariableRow, np.ndarray]:
    return VariableRow(name, "float32", values.shape, values.size, values.nbytes, True), values  # noqa: FBT003 - trainable


def paired(own: dict[str, np.ndarray], converted: dict[str, np.ndarray]) -> dict[str, tuple[str, bool]]:
    """Return for each weight that has a counterpart its name, and whether it is scaled."""
    mine, theirs = (
        [listed(values.astype(np.float32), name) for name, values in side.items()] for side in (own, converted)
    )
    pairs = converted_weights._of_one_size(mine, theirs, next(iter(own.values())).size)
    return {pair.own.name: (pair.converted.name, pair.is_scaled) for pair in pairs}


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "order", "laid"),
    [
        ((4, 6), (1, 0), (6, 4)),
        ((3, 3, 8, 4), (3, 0, 1, 2), (4, 3, 3, 8)),
        ((3, 3, 8, 2), (0, 1, 2, 3), (1, 3, 3, 16)),
        ((3, 8, 4), (2, 0, 1), (4, 1, 3, 8)),
    ],
    ids=["dense", "convolution", "depthwise", "line"],
)
def test_layouts_of_a_converter_are_seen_through(
    shape: tuple[int, ...], order: tuple[int, ...], laid: tuple[int, ...]
) -> None:
    kernel, other = drawn(*shape), drawn(*shape, seed=1)
    converted = {"b": kernel.transpose(order).reshape(laid), "c": other.transpose(order).reshape(laid)}
    assert paired({"other": other, "kernel": kernel}, converted) == {"other": ("c", False), "kernel": ("b", False)}


def test_a_norm_that_was_folded_in_is_a_factor_of_each_channel() -> None:
    kernel = drawn(3, 3, 8, 4)
    folded = kernel.transpose(3, 0, 1, 2) * np.array([0.5, 1, 2, 3], np.float32).reshape(-1, 1, 1, 1)
    assert paired({"kernel": kernel}, {"folded": folded}) == {"kernel": ("folded", True)}


def test_rounding_is_seen_through_and_other_values_are_not() -> None:
    kernel = drawn(16, 16)
    step = np.abs(kernel).max() / 127
    assert paired({"kernel": kernel}, {"rounded": np.round(kernel.T / step) * step}) == {"kernel": ("rounded", False)}
    assert paired({"kernel": kernel}, {"another": drawn(16, 16, seed=1)}) == {}


def test_where_two_are_nearly_alike_nothing_is_claimed() -> None:
    kernel = drawn(16, 16)
    near = {"first": kernel.T + drawn(16, 16, seed=1) * 0.01, "second": kernel.T + drawn(16, 16, seed=2) * 0.01}
    assert paired({"kernel": kernel}, near) == {}


@pytest.mark.tensorflow
def test_what_became_of_the_weights_of_a_model_is_told(tmp_path: Any) -> None:
    import keras  # noqa: PLC0415

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "relu", name="first"), keras.layers.Dense(3)])
    tfmagic.export(model, tmp_path / "served", verify=False)
    tfmagic.export(model, tmp_path / "plain.tflite", verify=False)
    compared = tfmagic.diff(tmp_path / "served", tmp_path / "plain.tflite")
    assert "2 of 4 weights hold the same" in compared.notes[0] or "4 of 4" in compared.notes[0]
    assert not compared.equal
    other = tfmagic.diff(tmp_path / "plain.tflite", tmp_path / "served")
    assert list(other.table["b"][other.table["what"] == "weight"]) == list(
        compared.table["a"][compared.table["what"] == "weight"]
    )

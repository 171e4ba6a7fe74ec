from __future__ import annotations

import wave
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs import input_files, run_inputs

if TYPE_CHECKING:
    from pathlib import Path

X = Endpoint("x", "serving_x:0", "float32", (None, 2))
IDS = Endpoint("ids", "serving_ids:0", "int8", (None,))


def function(*ends: Endpoint) -> Any:
    return SimpleNamespace(key="serving_default", inputs=ends)


@pytest.mark.parametrize("name", ["x", "x:0", "serving_x", "serving_x:0"])
def test_an_input_goes_by_its_key_and_by_its_tensor(name: str) -> None:
    values = run_inputs.matched(function(X, IDS), {name: [[1, 2]]}).arrays
    assert list(values) == ["x"]
    np.testing.assert_array_equal(values["x"], [[1, 2]])


def test_a_key_comes_before_a_tensor_of_that_name() -> None:
    other = Endpoint("serving_x", "another:0", "float32", (None, 2))
    values = run_inputs.matched(function(X, other), {"serving_x": np.ones((1, 2), np.float32)}).arrays
    assert list(values) == ["serving_x"]


@pytest.mark.parametrize("name", ["x", "serving_x:0"])
def test_a_file_of_sound_is_read_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.array([0, 16384], "<i2").tobytes())
    read = []

    def at(place: Path) -> list[input_files.File]:
        read.append(place)
        return [input_files.File(str(place), place.read_bytes())]

    monkeypatch.setattr(input_files, "at", at)
    values = run_inputs.matched(function(X), {name: path})
    np.testing.assert_array_equal(values.arrays["x"], [[0, 0.5]])
    assert values.file_names == {"x": ("a.wav",)}
    assert values.sample_rates == {"x": 16_000}
    assert read == [path]


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(errors.UnknownNameError, match="x"):
        run_inputs.matched(function(X), {"xx": [[1, 2]]})


def test_an_input_is_given_once() -> None:
    with pytest.raises(errors.ConversionError, match="twice"):
        run_inputs.matched(function(X), {"x": [[1, 2]], "serving_x:0": [[1, 2]]})


def test_values_come_by_name() -> None:
    with pytest.raises(errors.ConversionError, match="by the names of inputs"):
        run_inputs.matched(function(X), [[1, 2]])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "value", "word"),
    [
        (X, [[1.0, 2.0, 3.0]], "dimension 1 is 3, not 2"),
        (X, [1.0, 2.0], "batch dimension"),
        (X, [["a", "b"]], "text is no number"),
        (IDS, [1.5], "astype"),
        (IDS, [200], "from -128 to 127"),
        (Endpoint("t", "t:0", "string", (None,)), [1], "str or bytes"),
    ],
)
def test_what_does_not_fit_is_told_with_both_sides(end: Endpoint, value: object, word: str) -> None:
    with pytest.raises(errors.ConversionError, match=word) as caught:
        run_inputs.fitting(end, value)
    assert end.dtype in str(caught.value)
    assert repr(end.key) in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", [[1, 2]]), ("float64", [[True, False]]), ("complex64", [[1.5, 2]])]
)
def test_a_narrower_kind_of_number_is_taken(dtype: str, value: object) -> None:
    assert run_inputs.fitting(X._replace(dtype=dtype), value).shape == (1, 2)

from __future__ import annotations

import re

import numpy as np
import pytest

from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.verification import comparison, tolerances


def equal(expected: object, result: object) -> bool | None:
    return comparison.difference(np.asarray(expected), np.asarray(result)).equal


def test_the_columns_are_the_contracts() -> None:
    frame = comparison.compare({"b": np.zeros(2), "a": np.zeros(2)}, {"a": np.zeros(2), "b": np.ones(2) / 4}).frame
    assert list(frame.columns) == ["output", "max_abs", "max_rel", "equal"]
    assert frame.drop(columns="max_rel").to_numpy().tolist() == [["b", 0.25, False], ["a", 0.0, True]]
    assert frame["max_rel"].tolist() == pytest.approx([2.5e8, 0.0])


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-9], True),
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], False),
        (np.array([1, 2], np.float32), np.array([1, 2.00001], np.float32), True),
        (np.array([1, 1000], np.float32), np.array([1.05, 1000], np.float32), True),  # within the output's own scale
        (np.array([1, 1000], np.float32), np.array([1.5, 1000], np.float32), False),
        ([np.nan, 1.0], [np.nan, 1.0], True),
        ([np.nan, 1.0], [0.0, 1.0], False),
        ([np.inf, 1.0], [np.inf, 1.0], True),
        ([np.inf, 1.0], [-np.inf, 1.0], False),
        ([np.nan], [np.inf], False),
        ([np.nan], [np.nan], None),  # it tells nothing, nor does what is empty
        ([np.inf, -np.inf], [np.inf, -np.inf], None),
        ([np.nan], [1.0], False),
        ([1.0], [np.nan], False),
        (np.array([], object), np.array([], object), None),
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 3], False),
        ([2**62 + 1], [2**62], False),
        ([True], [False], False),
        (np.array([b"a", b"\xff"], object), np.array([b"a", b"\xff"], object), True),
        (np.array([b"a"], object), np.array([b"b"], object), False),
        (np.zeros((0, 3)), np.zeros((0, 3)), None),
        (np.zeros((0, 3)), np.zeros((0, 4)), False),
        (np.zeros(0, np.int64), np.zeros(0, np.int64), None),
        (np.zeros((2, 1)), np.zeros(2), False),
        (np.zeros(2, np.float32), np.zeros(2, np.float64), False),
        (np.array([1, 2], np.float16), np.array([1.01, 2], np.float16), True),
        (np.array([1 + 1j]), np.array([1 + 1j]), True),
        (np.array([1 + 1j]), np.array([1 - 1j]), False),
    ],
)
def test_what_counts_as_equal(expected: object, found: object, same: bool | None) -> None:  # noqa: FBT001 - a case
    assert equal(expected, found) is same


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("dtype", "near", "far"), [("bfloat16", 1.03, 1.3), ("float16", 1.005, 1.05), ("float8_e4m3fn", 1.25, 4.0)]
)
def test_short_floats_have_tolerances_of_their_own(dtype: str, near: float, far: float) -> None:
    tf = runtime.tensorflow()
    plain, close, apart = (tf.cast([1.0, 1.0], dtype).numpy() * value for value in (1, near, far))
    plain, close, apart = (np.asarray(each).astype(plain.dtype) for each in (plain, close, apart))
    assert equal(plain, close) is True
    assert equal(plain, apart) is False
    assert equal(plain * np.nan, plain * np.nan) is None


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["qint8", "quint8", "qint32", "uint4", "int4"])
def test_quantised_and_short_integers_are_equal_exactly(dtype: str) -> None:
    values = np.array([1, 2]).astype(runtime.tensorflow().as_dtype(dtype).as_numpy_dtype)
    assert equal(values, values) is True
    assert equal(values, values[::-1]) is False


def test_the_meaning_names_each_tolerance() -> None:
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        (stated,) = re.findall(rf"([\d.e-]+) for {dtype}", tolerances.MEANING)
        assert float(stated) == tolerances.TOLERANCES[dtype]


def test_an_output_that_is_missing_or_new_is_not_equal() -> None:
    frame = comparison.compare({"a": np.zeros(1)}, {"b": np.zeros(1)}).frame
    assert frame[["output", "equal"]].to_numpy().tolist() == [["a", False], ["b", False]]

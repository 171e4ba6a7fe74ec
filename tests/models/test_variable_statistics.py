"""Statistics against numpy over the whole array, whatever the blocks; numbers at the edges of what floats hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic.models import variable_statistics
from tfmagic.models.variable_statistics import BARS, CancelledError, Statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

RANDOM = np.random.default_rng(5)
ARRAYS: dict[str, np.ndarray] = {
    "normal": RANDOM.normal(3, 0.1, 10_000).astype(np.float32),
    "far from zero": RANDOM.normal(1e8, 1, 4_000),
    "half": RANDOM.normal(size=999).astype(np.float16),
    "constant": np.full(500, 0.1, np.float32),
    "matrix": RANDOM.normal(size=(31, 17)),
    "sparse": np.where(RANDOM.random(5_000) < 0.9, 0, RANDOM.normal(size=5_000)),
    "integers": RANDOM.integers(-1000, 1000, 3_000),
    "few integers": RANDOM.integers(2, 9, 3_000).astype(np.uint8),
    "flags": RANDOM.random(777) < 0.25,
    "one": np.array(2.5),
}


def of(values: np.ndarray, step: int = 97, **more: Any) -> Statistics:
    flat = values.reshape(-1)
    return variable_statistics.of(
        lambda: (flat[first : first + step] for first in range(0, flat.size, step)), **more
    )  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("step", [1, 97, 1 << 20])
def test_blocks_add_up_to_what_numpy_says_of_the_whole(name: str, step: int) -> None:
    values = ARRAYS[name]
    found, whole = of(values, step), values.astype(np.float64)
    assert (found.count, found.zeros) == (values.size, int((values == 0).sum()))
    assert (found.nans, found.infinities) == (0, 0)
    assert found.mean == pytest.approx(whole.mean(), rel=1e-12)
    assert found.std == pytest.approx(whole.std(), rel=1e-7, abs=1e-12)
    assert (found.low, found.high) == (whole.min(), whole.max())
    assert sum(found.bars) == values.size


def test_a_histogram_is_numpys() -> None:
    values = ARRAYS["normal"]
    assert of(values).bars == tuple(np.histogram(values.astype(np.float64), BARS)[0])


def test_integers_of_few_values_have_a_bar_each() -> None:
    values = ARRAYS["few integers"]
    assert of(values).bars == tuple(int((values == each).sum()) for each in range(2, 9))
    assert of(ARRAYS["flags"]).bars == (int((~ARRAYS["flags"]).sum()), int(ARRAYS["flags"].sum()))


def test_what_is_not_finite_is_counted_and_left_out_of_the_rest() -> None:
    values = np.array([np.nan, 1, np.inf, 3, -np.inf, 0, np.nan], np.float32)
    found = of(values, 2)
    assert (found.count, found.nans, found.infinities, found.zeros) == (7, 2, 2, 1)
    assert (found.low, found.high) == (0.0, 3.0)
    assert found.mean == pytest.approx(4 / 3)
    assert found.std == pytest.approx(np.std([1, 3, 0]))
    assert sum(found.bars) == 3


@pytest.mark.parametrize("values", [np.full(5, np.nan), np.array([np.inf, -np.inf])])
def test_where_nothing_is_finite_there_is_no_mean_and_no_histogram(values: np.ndarray) -> None:
    found = of(values)
    assert (found.mean, found.std, found.low, found.high, found.bars) == (None, None, None, None, ())
    assert found.nans + found.infinities == values.size


def test_of_no_values_at_all_nothing_is_said() -> None:
    assert of(np.zeros((0, 4))) == Statistics(0, 0, 0, 0, None, None, None, None, ())


@pytest.mark.parametrize(
    "values",
    [
        np.array([-1.7e308, 1.7e308, 0]),
        np.array([5e-324, 0, 1e-323]),
        np.array([1.0, np.nextafter(1, 2), np.nextafter(1, 2)]),
        np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max]),
        np.array([0, np.iinfo(np.uint64).max], np.uint64),
    ],
)
@pytest.mark.filterwarnings("error")
def test_the_largest_the_smallest_and_the_nearest_numbers_each_fall_into_a_bar(values: np.ndarray) -> None:
    found = of(values)
    assert sum(found.bars) == values.size
    assert found.low == float(values.min())
    assert found.high == float(values.max())


def test_it_can_be_stopped_between_two_blocks() -> None:
    read: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for number in range(10):
            read.append(number)
            yield np.zeros(4)

    def check(seen: int) -> None:
        if seen >= 12:
            raise CancelledError

    with pytest.raises(CancelledError):
        variable_statistics.of(blocks, check)
    assert read == [0, 1, 2]


def test_progress_is_told_over_both_passes() -> None:
    told: list[int] = []
    of(ARRAYS["normal"], 5_000, check=told.append)
    assert told == [5_000, 10_000, 15_000, 20_000]

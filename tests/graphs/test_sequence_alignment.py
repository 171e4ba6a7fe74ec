from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

from tfmagic.graphs import sequence_alignment


def length_in_common(first: list[int], second: list[int]) -> int:
    """Return how many numbers two sequences can have in common, by the table that every textbook has."""
    longest = np.zeros((len(first) + 1, len(second) + 1), int)
    for x, y in product(range(len(first)), range(len(second))):
        longest[x + 1, y + 1] = (
            longest[x, y] + 1 if first[x] == second[y] else max(longest[x, y + 1], longest[x + 1, y])
        )
    return int(longest[-1, -1])


@pytest.mark.parametrize("seed", range(60))
def test_as_much_goes_together_as_can(seed: int) -> None:
    chosen = random.Random(seed)
    first, second = ([chosen.randrange(4) for _ in range(chosen.randrange(30))] for _ in range(2))
    x, y = sequence_alignment.aligned(np.array(first, np.int64), np.array(second, np.int64))
    assert [first[place] for place in x.tolist()] == [second[place] for place in y.tolist()]
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) > 0).all()
    assert len(x) == length_in_common(first, second)


def test_many_differences_are_looked_for_piece_by_piece() -> None:
    """2,000 numbers of 100,000 are left out of the one or the other, which is more than is looked for at a time."""
    chosen = np.random.default_rng(3)
    whole = chosen.integers(0, 50, 100_000)
    first, second = (np.delete(whole, chosen.choice(len(whole), 1_000, replace=False)) for _ in range(2))
    x, y = sequence_alignment.aligned(first, second)
    assert (first[x] == second[y]).all()
    assert len(x) > 97_000


def test_what_has_nothing_in_common_comes_to_an_end() -> None:
    x, _ = sequence_alignment.aligned(np.arange(200_000), np.arange(200_000) + 1_000_000)
    assert not len(x)

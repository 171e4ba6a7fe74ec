from __future__ import annotations

import itertools
import random

import pytest

from tfmagic.display.graph.layout.ranks import BOTTOM, TOP, Component
from tfmagic.display.graph.layout.rows import Middles, stacked

#: 0 feeds 1 and 2, which feed 3; an edge from 0 to 3 passes their rank as the point -10.
DIAMOND = Component(
    {0: 0, 1: 1, 2: 1, -10: 1, 3: 2},
    {0: 0.0, 1: 0.0, -10: 1.0, 2: 2.0, 3: 0.0},
    {(0, 1): [], (0, 2): [], (1, 3): [], (2, 3): [], (0, 3): [-10]},
)
SIZES = {0: (100.0, 28.0), 1: (60.0, 40.0), 2: (60.0, 28.0), 3: (100.0, 28.0)}


def middles(component: Component, sizes: dict[int, tuple[float, float]]) -> dict[int, float]:
    return Middles(sizes, {}).find(component, stacked(component, sizes))


def test_a_rank_is_as_high_as_its_highest_box_and_ranks_do_not_touch() -> None:
    rows = stacked(DIAMOND, SIZES)
    assert [row.keys for row in rows] == [[0], [1, -10, 2], [3]]
    assert [row.bottom - row.top for row in rows] == [28, 40, 28]
    assert all(upper.bottom < lower.top for upper, lower in itertools.pairwise(rows))


def test_what_is_symmetrical_stands_symmetrically() -> None:
    places = middles(DIAMOND, SIZES)
    assert places[0] == pytest.approx(places[3])
    assert places[0] - places[1] == pytest.approx(places[2] - places[0], abs=1)
    assert places[1] < places[-10] < places[2]


def test_the_leftmost_box_begins_at_zero() -> None:
    places = middles(DIAMOND, SIZES)
    assert min(places[key] - SIZES.get(key, (0.0, 0.0))[0] / 2 for key in places) == pytest.approx(0)


def test_a_chain_is_straight_whatever_its_boxes_widths() -> None:
    sizes = {key: (40.0 + 30 * key, 28.0) for key in range(5)}
    chain = Component(
        {key: key for key in range(5)}, dict.fromkeys(range(5), 0.0), {(key, key + 1): [] for key in range(4)}
    )
    assert len({round(place, 6) for place in middles(chain, sizes).values()}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_two_boxes_of_a_rank_overlap(seed: int) -> None:
    generator = random.Random(seed)
    count = 30
    ranks = {key: generator.randint(0, 4) for key in range(count)}
    sizes = {key: (generator.uniform(20, 200), 28.0) for key in range(count)}
    chains: dict[tuple[int, int], list[int]] = {
        (a, b): [] for a in range(count) for b in range(count) if ranks[b] == ranks[a] + 1 and generator.random() < 0.2
    }
    component = Component(ranks, {key: float(key) for key in range(count)}, chains)
    rows = stacked(component, sizes)
    places = Middles(sizes, {}).find(component, rows)
    for row in rows:
        for left, right in itertools.pairwise(row.keys):
            assert places[right] - places[left] >= (sizes[left][0] + sizes[right][0]) / 2


def test_edges_to_the_ends_of_an_open_box_pull_at_nothing() -> None:
    component = Component({0: 0}, {0: 0.0}, {(TOP, 0): [], (0, BOTTOM): []})
    assert middles(component, {0: (50.0, 28.0)}) == {0: pytest.approx(25)}

from __future__ import annotations

import itertools

import pytest

from tfmagic.display.graph.layout.columns import HIGH, Limits, Placed, place
from tfmagic.display.graph.layout.ranks import Links

SIZE = (80.0, 28.0)


def chain(count: int) -> tuple[dict[int, tuple[float, float]], Links]:
    return dict.fromkeys(range(count), SIZE), Links([(key, key + 1) for key in range(count - 1)])


def columns(placed: Placed) -> list[float]:
    return sorted({round(x, 3) for x, _ in placed.corners.values()})


def overlapping(placed: Placed) -> list[tuple[int, int]]:
    return [
        (a, b)
        for (a, (x, y)), (b, (over, down)) in itertools.combinations(placed.corners.items(), 2)
        if abs(x - over) < SIZE[0] and abs(y - down) < SIZE[1]
    ]


def test_a_short_chain_is_one_column() -> None:
    placed = place(*chain(5), {}, Limits(1.6))
    assert len(columns(placed)) == 1
    assert placed.height <= HIGH


def test_a_long_chain_turns_into_columns_that_are_read_from_the_left() -> None:
    placed = place(*chain(60), {}, Limits(1.6))
    assert len(columns(placed)) > 1
    assert placed.height < 60 * SIZE[1]
    assert [placed.corners[key][0] for key in range(60)] == sorted(placed.corners[key][0] for key in range(60))
    assert overlapping(placed) == []


def test_no_ratio_means_no_columns() -> None:
    assert len(columns(place(*chain(60), {}, Limits(None)))) == 1


def test_what_nothing_connects_stands_on_shelves() -> None:
    placed = place(dict.fromkeys(range(40), SIZE), Links([]), {}, Limits(1.6))
    assert len({y for _, y in placed.corners.values()}) > 1
    assert overlapping(placed) == []
    assert 0.5 < placed.width / placed.height < 5


def test_an_edge_that_closes_a_cycle_runs_up_along_the_right_side() -> None:
    sizes, links = chain(3)
    placed = place(sizes, links._replace(between=[*links.between, (2, 0)]), {}, Limits(1.6))
    right = max(x + SIZE[0] for x, _ in placed.corners.values())
    way = placed.edges[2, 0]
    assert max(x for x, _ in way) > right
    assert way[0][1] > way[-1][1], "it goes up"
    assert placed.width >= max(x for x, _ in way)


@pytest.mark.parametrize("wrap", [0.6, 1.6, 3.0])
def test_everything_lies_within_the_size_that_is_told(wrap: float) -> None:
    placed = place(*chain(50), {}, Limits(wrap))
    assert all(0 <= x <= placed.width - SIZE[0] + 0.01 for x, _ in placed.corners.values())
    assert all(0 <= y <= placed.height - SIZE[1] + 0.01 for _, y in placed.corners.values())


def test_moving_moves_edges_too() -> None:
    placed = place(*chain(3), {}, Limits(None))
    placed.edges[0, 1] = [(1.0, 2.0)]
    moved = placed.moved(10, 20, 500, 600)
    assert moved.edges[0, 1] == [(11.0, 22.0)]
    assert moved.corners[0] == (placed.corners[0][0] + 10, placed.corners[0][1] + 20)
    assert (moved.width, moved.height) == (500, 600)

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tests import drawn_graphs
from tfmagic.display.graph import scenes
from tfmagic.display.graph.bodies import Library
from tfmagic.display.graph.layout import nesting
from tfmagic.display.graph.layout.nesting import Item, Layout, Rectangle
from tfmagic.display.graph.unfolding import Unfolding

Edges = list[tuple[int, int]]


def items(count: int, generator: random.Random | None = None) -> list[Item]:
    sizes = generator or random.Random(3)
    return [Item(key, sizes.randint(40, 220), sizes.choice((28, 42))) for key in range(count)]


def flat(found: list[Item]) -> list[Item]:
    return [each for item in found for each in (item, *flat(list(item.inner)))]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    across = a.x < b.x + b.width and b.x < a.x + a.width
    return across and a.y < b.y + b.height and b.y < a.y + a.height


def within(inner: Rectangle, outer: Rectangle) -> bool:
    return (
        inner.x >= outer.x and inner.y >= outer.y
        and inner.x + inner.width <= outer.x + outer.width + 0.01
        and inner.y + inner.height <= outer.y + outer.height + 0.01
    )  # fmt: skip


def check(found: Layout, boxes: list[Item], around: Rectangle | None = None) -> None:
    """Fail unless no two neighbours overlap and everything is within what is around it."""
    around = around or Rectangle(-0.01, -0.01, found.width + 0.02, found.height + 0.02)
    for a, b in itertools.combinations(boxes, 2):
        assert not overlap(found.boxes[a.key], found.boxes[b.key]), (a.key, b.key)
    for box in boxes:
        assert within(found.boxes[box.key], around)
        check(found, list(box.inner), found.boxes[box.key])


def check_ends(found: Layout, edges: Edges) -> None:
    """Fail unless each edge runs from the lower side of its source to the upper side of its target."""
    for source, target in edges:
        (x, y), (over, above) = found.edges[source, target][0], found.edges[source, target][-1]
        a, b = found.boxes[source], found.boxes[target]
        assert a.x <= x <= a.x + a.width
        assert y == pytest.approx(a.y + a.height)
        assert b.x <= over <= b.x + b.width
        assert above == pytest.approx(b.y)


def nested() -> tuple[list[Item], Edges]:
    inner = [Item(10, 80, 28), Item(11, 60, 42), Item(12, 70, 28, (Item(20, 50, 28), Item(21, 90, 28)))]
    boxes = [Item(0, 100, 28), Item(1, 40, 28, inner), Item(2, 60, 42), Item(3, 300, 28)]
    return boxes, [(0, 10), (10, 11), (10, 20), (20, 21), (21, 2), (11, 2), (0, 2), (3, 21), (3, 1)]


def net(seed: int, count: int) -> tuple[list[Item], Edges]:
    generator = random.Random(seed)
    edges = {(a, min(count - 1, a + 1 + int(generator.expovariate(0.2)))) for a in range(count - 1) for _ in range(2)}
    return items(count, generator), sorted(edges)


@pytest.mark.parametrize("wrap", [None, 0.8, 3.0])
@pytest.mark.parametrize(("boxes", "edges"), [nested(), net(1, 12), net(2, 60), net(3, 150)])
def test_boxes_stand_apart_and_edges_end_at_them(boxes: list[Item], edges: Edges, wrap: float | None) -> None:
    found = nesting.place(boxes, edges, wrap=wrap)
    assert set(found.boxes) == {box.key for box in flat(boxes)}
    check(found, boxes)
    check_ends(found, edges)


def test_what_feeds_stands_above() -> None:
    boxes, edges = net(4, 40)
    found = nesting.place(boxes, edges)
    for source, target in edges:
        assert found.boxes[source].y + found.boxes[source].height < found.boxes[target].y


def test_the_same_graph_looks_the_same() -> None:
    boxes, edges = net(5, 80)
    first = nesting.place(boxes, edges, wrap=1.6)
    assert all(nesting.place(boxes, edges, wrap=1.6) == first for _ in range(3))


def test_a_straight_chain_is_drawn_straight() -> None:
    found = nesting.place(items(8), [(index, index + 1) for index in range(7)])
    for points in found.edges.values():
        assert {round(x, 3) for x, _ in points} == {round(points[0][0], 3)}


@pytest.mark.parametrize("ratio", [0.7, 1.6, 3.0])
def test_a_long_chain_goes_on_in_further_columns(ratio: float) -> None:
    boxes, edges = items(60), [(index, index + 1) for index in range(59)]
    tall = nesting.place(boxes, edges)
    found = nesting.place(boxes, edges, wrap=ratio)
    assert tall.height > 3000
    assert ratio / 2 < found.width / found.height < ratio * 2
    check(found, boxes)
    check_ends(found, edges)


def test_a_short_chain_stays_one_column() -> None:
    boxes, edges = items(6), [(index, index + 1) for index in range(5)]
    assert nesting.place(boxes, edges, wrap=3.0)[:4] == nesting.place(boxes, edges)[:4]


def test_edges_of_a_cycle_go_round_the_side() -> None:
    boxes, edges = items(4), [(0, 1), (1, 2), (2, 3), (3, 1)]
    found = nesting.place(boxes, edges)
    check(found, boxes)
    check_ends(found, edges)
    right = max(box.x + box.width for box in found.boxes.values())
    assert max(x for x, _ in found.edges[3, 1]) > right
    assert found.width >= max(x for x, _ in found.edges[3, 1])


def test_boxes_without_edges_share_shelves() -> None:
    boxes = items(50)
    found = nesting.place(boxes, [], wrap=2.0)
    check(found, boxes)
    assert 0.8 < found.width / found.height < 5


def test_unconnected_parts_stand_beside_each_other() -> None:
    boxes = items(6)
    found = nesting.place(boxes, [(0, 1), (2, 3)])
    check(found, boxes)
    assert found.height < sum(box.height for box in boxes) + 40


def test_edges_between_a_box_and_what_it_holds_are_left_out() -> None:
    boxes = [Item(0, 90, 28, (Item(1, 50, 28),))]
    found = nesting.place(boxes, [(0, 1), (1, 0), (1, 1)])
    assert found.edges == {}
    check(found, boxes)


def test_edges_into_open_boxes_cross_the_upper_side() -> None:
    boxes, edges = nested()
    found = nesting.place(boxes, edges)
    top = found.boxes[1].y
    assert any(y == pytest.approx(top) and x == pytest.approx(found.edges[0, 10][-2][0]) for x, y in found.edges[0, 10])
    assert [y for _, y in found.edges[0, 10]] == sorted(y for _, y in found.edges[0, 10])


def test_nothing_at_all() -> None:
    assert nesting.place([], [])[:4] == ({}, {}, 0, 0)


def test_only_what_is_visible_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = drawn_graphs.model(drawn_graphs.chain(f"block_{n // 100}/op_{n}" for n in range(3000)))
    unfolding = Unfolding(Library(model))
    seen: list[int] = []
    place = nesting.place

    def counting(boxes: list[Item], edges: Edges, **more: Any) -> Layout:
        seen.append(len(boxes))
        return place(boxes, edges, **more)

    monkeypatch.setattr(nesting, "place", counting)
    scenes.scene(unfolding)
    assert seen == [30]


def test_columns_stay_where_they_are_when_something_unfolds_and_when_it_folds_again() -> None:
    names = [f"block_{block}/op_{n}" for block in range(40) for n in range(5)]
    unfolding = Unfolding(Library(drawn_graphs.model(drawn_graphs.chain(["x", *names, "y"]))))

    def column_heads() -> list[str]:
        boxes = scenes.scene(unfolding)["boxes"]
        outer = [box for box in boxes if box["depth"] == min(each["depth"] for each in boxes)]
        lefts: dict[int, list[Any]] = {}
        for box in outer:
            lefts.setdefault(round((box["x"] + box["w"] / 2) / 40), []).append(box)
        return [min(column, key=lambda box: box["y"])["label"] for _, column in sorted(lefts.items())]

    before = column_heads()
    assert len(before) > 1
    number = next(box.number for box in unfolding.visible() if box.label == "block_7")
    unfolding.open(number)
    opened = {box["label"]: box for box in scenes.scene(unfolding)["boxes"]}
    assert "op_3" in opened
    assert unfolding.heads[-1]
    heads = set(unfolding.heads[-1])
    unfolding.fold(number)
    assert column_heads() == before
    assert set(unfolding.heads[-1]) == heads


@pytest.mark.parametrize("seed", range(4))
def test_what_stays_as_it_was_is_not_placed_anew_and_stands_where_it_would(seed: int) -> None:
    """Boxes are opened and folded at random; without what was placed before, the scene is the same."""
    rows, functions = drawn_graphs.LOOP, drawn_graphs.LOOPING
    rows = [
        *rows,
        *(
            (f"n/{n // 25}/{n // 5}/{n}", "Relu", (f"n/{(n - 1) // 25}/{(n - 1) // 5}/{n - 1}",) if n else ("y",))
            for n in range(100)
        ),
    ]
    unfolding = Unfolding(Library(drawn_graphs.model(rows, functions)))
    generator = random.Random(seed)
    kept = 0
    for _ in range(30):
        boxes = [box for box in unfolding.visible() if box.can_open and box.kind != "function"]
        box = generator.choice(boxes)
        (unfolding.fold if box.is_open else unfolding.open)(box.number)
        heads, levels = dict(unfolding.heads), unfolding.levels
        found = scenes.scene(unfolding)
        kept += sum(placed is levels[key] for key, placed in unfolding.levels.items() if key in levels)
        unfolding.heads, unfolding.levels = heads, {}
        assert scenes.scene(unfolding) == found
    assert kept > 20


def test_a_scene_of_a_real_nest_is_drawn_whole() -> None:
    unfolding = Unfolding(Library(drawn_graphs.model(drawn_graphs.LOOP, drawn_graphs.LOOPING)))
    unfolding.open(1)
    scene = scenes.scene(unfolding)
    boxes = {box["n"]: box for box in scene["boxes"]}
    assert len(boxes) == 12
    for box in boxes.values():
        if box["parent"] in boxes:
            outer = boxes[box["parent"]]
            assert outer["x"] < box["x"]
            assert outer["y"] < box["y"]
            assert box["x"] + box["w"] < outer["x"] + outer["w"]
            assert box["y"] + box["h"] < outer["y"] + outer["h"]
    assert {(boxes[edge["a"]]["label"], boxes[edge["b"]]["label"]) for edge in scene["edges"]} >= {
        ("x", "a"),
        ("next", "y"),
    }


def test_parts_that_nothing_connects_keep_their_long_edges() -> None:
    # The solver numbers the points of one component's edges as it does the boxes of another.
    first = [(0, 2), (2, 3), (3, 4), (3, 5), (1, 5), (5, 6), (3, 6), (2, 6), (0, 6), (6, 7)]
    edges = first + [(source + 8, target + 8) for source, target in first]
    boxes = items(16)
    found = nesting.place(boxes, edges)
    check(found, boxes)
    check_ends(found, edges)


@pytest.mark.parametrize("hub", ["source", "target"])
def test_what_feeds_every_step_runs_beside_them_as_one(hub: str) -> None:
    steps = [(index, index + 1) for index in range(1, 24)]
    edges = [*steps, *((0, index) if hub == "source" else (index, 25) for index in range(1, 25))]
    boxes = items(26)[: 25 if hub == "source" else 26][0 if hub == "source" else 1 :]
    found = nesting.place(boxes, edges)
    check(found, boxes)
    check_ends(found, edges)
    # Without a trunk, 24 edges that pass 24 ranks are about 300 pixels wider.
    assert found.width < 2 * max(box.width for box in boxes)


def test_a_rank_of_very_many_boxes_is_staggered_and_edges_pass_between() -> None:
    boxes = items(62)
    edges = [(0, index) for index in range(1, 61)] + [(index, 61) for index in range(1, 61)]
    found = nesting.place(boxes, edges)
    check(found, boxes)
    check_ends(found, edges)
    assert 0.4 < found.width / found.height < 8
    for (source, target), points in found.edges.items():
        for (x, y), (next_x, next_y) in itertools.pairwise(points):
            if abs(x - next_x) < 0.01:
                for key in set(found.boxes) - {source, target}:
                    assert not overlap(found.boxes[key], Rectangle(x, y + 0.1, 0.01, next_y - y - 0.2))

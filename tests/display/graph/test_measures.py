"""Numbers by name are summed up in what is drawn: in scopes, in functions, in what a constant feeds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests import drawn_graphs
from tests.drawn_graphs import LOOP, LOOPING, chain
from tfmagic.display.graph import scenes, shades
from tfmagic.display.graph.bodies import Library
from tfmagic.display.graph.measures import BYTES, SECONDS, Measure, Sums
from tfmagic.display.graph.shades import BLANK, ByMeasure, Scale, number_text
from tfmagic.display.graph.unfolding import Unfolding

NAMES = [f"net/block_{n // 5}/unit_{n}" for n in range(60)]


def shown(rows: list[drawn_graphs.Node], functions: Any = None, **more: Any) -> tuple[Unfolding, dict[str, str]]:
    """Return an unfolded graph, and by label what its boxes say in their second line."""
    library = Library(drawn_graphs.model(rows, functions))
    unfolding = Unfolding(library)
    unfolding.start()
    return unfolding, details(unfolding, **more)


def details(unfolding: Unfolding, **more: Any) -> dict[str, str]:
    colouring = ByMeasure(Sums(Measure("values", **more), unfolding.library))
    drawn = scenes.scene(unfolding, colouring=colouring)
    return {box["label"]: box["detail"].partition(",")[0] for box in drawn["boxes"] if box["state"] != "open"}


def test_a_folded_scope_has_the_sum_of_what_it_holds() -> None:
    unfolding, said = shown(chain(["x", *NAMES]), of_names=dict.fromkeys(NAMES, 2.0))
    assert said["block_3"] == "10"
    box = next(box for box in unfolding.visible() if box.label == "block_3")
    unfolding.open(box.number)
    said = details(unfolding, of_names=dict.fromkeys(NAMES, 2.0))
    assert said["unit_17"] == "2"
    assert said["block_4"] == "10"


def test_what_has_no_number_is_not_taken_for_zero() -> None:
    _, said = shown(chain(["x", "a", "b"]), of_names={"a": 0.0})
    assert said["a"] == "0"
    assert said["b"].startswith("Relu")


def test_a_number_of_a_scope_is_that_of_the_box_which_holds_all_of_it() -> None:
    unfolding, said = shown(chain(["x", *NAMES]), of_names={"net/block_3": 7.0, "net/block_4/unit_20": 1.0})
    assert said["block_3"] == "7"
    assert said["block_4"] == "1"
    box = next(box for box in unfolding.visible() if box.label == "block_3")
    unfolding.open(box.number)
    assert not details(unfolding, of_names={"net/block_3": 7.0})["unit_17"].startswith("7")


def test_a_constant_that_is_not_drawn_counts_for_what_it_feeds() -> None:
    rows = [
        ("x", "Placeholder", ()),
        ("w", "Const", ()),
        ("read", "Identity", ("w",)),
        ("mul", "MatMul", ("x", "read")),
    ]
    _, said = shown(rows, of_names={"w": 12.0, "mul": 1.0})
    assert said == {"x": said["x"], "mul": "13"}


def test_a_call_has_the_sum_of_the_function_also_of_one_that_calls_itself() -> None:
    unfolding, _ = shown(LOOP, LOOPING)
    loop = next(box for box in unfolding.boxes if box.label == "loop")
    unfolding.fold(loop.number)
    numbers = {("body", "scope/mul"): 3.0, ("cond", "less"): 1.0, ("self", "neg"): 5.0, ("", "x"): 100.0}
    said = details(unfolding, of_nodes=numbers)
    assert said["loop"] == "9"
    assert said["x"] == "100"


def test_names_of_nothing_are_told() -> None:
    library = Library(drawn_graphs.model(chain(["x", "net/a", "net/b"])))
    names = {"net": 1.0, "net/a": 1.0, "net/a/": 1.0, "ne": 1.0, "<b>": 1.0, "net/c": 1.0, "": 1.0}
    colouring = ByMeasure(Sums(Measure("values", names), library))
    unfolding = Unfolding(library)
    note = scenes.scene(unfolding, colouring=colouring)["note"]
    assert note == "5 of 7 names are of no node or scope: 'net/a/', 'ne', '<b>' and 2 more"


@pytest.mark.parametrize(
    "values",
    [[1, 2, 3, 4, 5, 6], [1e-9, 1.0, 1e9], [3.0], [0.0], [-1.0, -100.0, 5.0], [1, 1, 1, 1, 1e6], [7, 7, 7], []],
)
def test_each_number_is_in_the_class_whose_end_is_not_below_it(values: list[float]) -> None:
    scale = Scale.of(values)
    legend = dict(scale.legend())
    assert set(legend) <= set(shades.FILLS)
    ends = dict(zip(legend, [*(-end for end in reversed(scale.downs)), 0.0, *scale.ups], strict=True))
    for value in values:
        kind = scale.kind(value)
        assert abs(value) <= abs(ends[kind]) * (1 + 1e-9)
        assert (value < 0) == kind.startswith("down")
    levels = [scale.kind(value) for value in sorted(value for value in values if value > 0)]
    assert levels == sorted(levels)
    if values and max(values) > 0:
        assert scale.kind(max(values)) == "up6"


def test_what_is_no_finite_number_raises_nothing() -> None:
    scale = Scale.of([float("inf"), float("-inf"), 2.0])
    assert scale.kind(float("inf")) == "up6"
    assert scale.kind(float("-inf")) == "down6"
    assert scale.kind(float("nan")) == BLANK


def test_few_numbers_far_above_the_others_do_not_make_all_others_one_class() -> None:
    values = [*np.geomspace(100, 10_000, 30).tolist(), 1e6]
    assert len({Scale.of(values).kind(value) for value in values}) >= 4


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0, "", "0"), (999, "", "999"), (3_538_984, "", "3.54 M"), (-1500, "", "-1.5 k"), (0.25, "", "0.25"),
        (1_300_000, BYTES, "1.3 MB"), (0.0123, SECONDS, "12.3 ms"), (2.0, SECONDS, "2 s"), (4e-7, SECONDS, "0.4 µs"),
        (float("inf"), "", "inf"), (float("nan"), BYTES, "nan"),
    ],
)  # fmt: skip
def test_numbers_are_worded_in_three_digits(value: float, unit: str, words: str) -> None:
    assert number_text(value, unit) == words


def test_classes_differ_in_lightness_alone_so_that_everybody_tells_them_apart() -> None:
    """Of each side lightness falls from class to class by a tenth of the way at least, whatever the hue."""
    for side in ("up", "down"):
        fills = [fill for kind, (fill, _) in shades.FILLS.items() if kind.startswith(side)]
        lights = [lightness(fill) for fill in fills]
        assert all(before - after > 0.04 for before, after in itertools.pairwise(lights)), lights


@pytest.mark.parametrize("kind", shades.FILLS)
def test_words_on_a_fill_are_legible(kind: str) -> None:
    fill, is_strong = shades.FILLS[kind]
    ink = luminance("#ffffff" if is_strong else "#111827")
    light, dark = sorted((luminance(fill), ink), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def lightness(colour: str) -> float:
    """Return CIE L*, from 0 to 1."""
    y = luminance(colour)
    return (116 * y ** (1 / 3) - 16) / 100 if y > 0.008856 else 9.033 * y

"""The colours of a graph that is coloured by data: a class of numbers for each box, and the legend that tells them.

Numbers have seven classes of one hue, from pale to strong, after ColorBrewer's *Blues* (Harrower and Brewer 2003): what
tells them apart is lightness alone, which every kind of colour blindness leaves, and a copier. Numbers below zero have
*Oranges*: blue and orange stay two hues with the common kinds of colour blindness. What was compared is told apart by
Okabe and Ito's colours, and by a sign on the box. The classes begin and end at round numbers that the legend states.
Not for: the colours of kinds of ops (:mod:`tfmagic.display.graph.op_colours`).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tfmagic.display.graph import measures
from tfmagic.display.render import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.graph.measures import Sums
    from tfmagic.files.wire import Integers, Mask

#: Classes of numbers on each side of zero, which has one of its own.
STEPS = 6
#: No number.
BLANK = "blank"
#: Of two models: only this one has it, only the other one, both compute otherwise, with other weights, the same.
ONLY, GONE, CHANGED, WEIGHTS, SAME = "only", "gone", "changed", "retrained", "same"
#: The colours of classes on our own paper, pale to strong: ColorBrewer's Blues and Oranges of seven classes, the last
#: orange but one a little paler, so that dark words on it are legible.
_BLUES = ("#eff3ff", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#084594")
_ORANGES = ("#feedde", "#fdd0a2", "#fdae6b", "#fd8d3c", "#f16913", "#e35a0d", "#8c2d04")
#: By class: the fill in a static picture, and whether words on it are white.
FILLS: Mapping[str, tuple[str, bool]] = {
    **{f"up{level}": (colour, level >= STEPS - 1) for level, colour in enumerate(_BLUES)},
    **{f"down{level}": (colour, level >= STEPS) for level, colour in enumerate(_ORANGES) if level},
    BLANK: ("#f6f8fb", False),
    ONLY: ("#56b4e9", False),
    GONE: ("#e69f00", False),
    CHANGED: ("#f0e442", False),
    WEIGHTS: ("#cc79a7", False),
    SAME: ("#f6f8fb", False),
}
#: By mark, the sign on a box, what the legend says, and what the box of a single node does; others count.
_MARKS = {
    ONLY: ("+", "only here", "only here"),
    GONE: ("\N{MINUS SIGN}", "only in the other", "only in the other"),
    CHANGED: ("\N{NOT EQUAL TO}", "computes otherwise", "changed"),
    WEIGHTS: ("\N{ALMOST EQUAL TO}", "other weights", "other weights"),
}
#: More than this between the largest number and a usual one, and classes grow by a factor, not by a step.
_SKEWED = 12
_FACTORS = (2, 3, 5, 10)
_FEW = 3


class Painted(NamedTuple):
    """How a box is coloured: its class, and its number in words."""

    kind: str
    words: str


@dataclass(frozen=True)
class Shades:
    """The colours of some boxes.

    Attributes
    ----------
    boxes : tuple of Painted
        In their order.
    legend : tuple of (str, str)
        Classes, and what each stands for.
    title : str
        What is measured.
    note : str
        What has no place in the picture.
    """

    boxes: tuple[Painted, ...]
    legend: tuple[tuple[str, str], ...]
    title: str
    note: str = ""


class Colouring(Protocol):
    """What colours the boxes of a graph."""

    def shades(self, groups: Sequence[tuple[Body, Mask, Integers]]) -> Shades:
        """Colour boxes, each told by its body, which nodes of that are drawn, and those that it holds."""


class Colour(Protocol):
    """What a graph is coloured by, whichever of a model's graphs is drawn."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    def __call__(self, library: Library) -> Colouring:
        """Return what colours the boxes of a library's graphs."""

    def over(self, choices: list[Choice]) -> list[Choice]:
        """Return what there is to draw, with what else is drawn over it."""


class ByMeasure:
    """Colours boxes by what a measure sums up to in them.

    Parameters
    ----------
    sums : Sums
        The measure.
    """

    def __init__(self, sums: Sums) -> None:
        self._sums = sums

    def shades(self, groups: Sequence[tuple[Body, Mask, Integers]]) -> Shades:
        """Colour boxes: the classes are those of these boxes' numbers."""
        measure = self._sums.measure
        values = [self._sums.of(*group) for group in groups]
        scale = Scale.of([value for value in values if value is not None], measure.unit)
        boxes = [
            Painted(BLANK, "") if value is None else Painted(scale.kind(value), number_text(value, measure.unit))
            for value in values
        ]
        legend = [*scale.legend(), *([(BLANK, "no number")] if None in values else [])]
        return Shades(tuple(boxes), tuple(legend), measure.title, ". ".join(filter(None, [measure.note, self._missed])))

    @property
    def _missed(self) -> str:
        names = self._sums.unmatched
        if not names:
            return ""
        count = len(self._sums.measure.of_names)
        return f"{len(names):,} of {count:,} names are of no node or scope: {_some(names)}"


class ByMarks:
    """Colours boxes by what differs in them between two models.

    Parameters
    ----------
    sums : mapping of str to Sums
        How often there is each kind of difference, the gravest first.
    title : str
        What was compared.
    note : str
        What was not.
    is_equal : bool
        Whether nothing differs.
    """

    def __init__(self, sums: Mapping[str, Sums], title: str, note: str, *, is_equal: bool) -> None:
        self._sums = sums
        self._title = title
        self._note = note
        self._is_equal = is_equal

    def shades(self, groups: Sequence[tuple[Body, Mask, Integers]]) -> Shades:
        """Mark boxes: the gravest difference gives the colour, the words count all of them."""
        boxes = [self._painted(group) for group in groups]
        legend = [(kind, f"{sign} {text}") for kind, (sign, text, _) in _MARKS.items() if self._counted(kind)]
        lost = [name for kind in self._sums for name in self._sums[kind].unmatched]
        missed = f"{_some(lost)} {'is' if len(lost) == 1 else 'are'} not drawn here" if lost else ""
        note = ". ".join(filter(None, ["the two are equal" if self._is_equal else "", missed, self._note]))
        return Shades(tuple(boxes), (*legend, (SAME, "the same")), self._title, note)

    def _counted(self, kind: str) -> bool:
        measure = self._sums[kind].measure
        return bool(measure.of_names or measure.of_nodes)

    def _painted(self, group: tuple[Body, Mask, Integers]) -> Painted:
        counts = {kind: round(sums.of(*group) or 0) for kind, sums in self._sums.items()}
        shown = [kind for kind, count in counts.items() if count]
        if not shown:
            return Painted(SAME, "")
        is_node = len(group[2]) == 1
        if is_node and shown[0] in (ONLY, GONE):
            # Whatever lies in it is on one side only, too: there is no other to differ from.
            shown = shown[:1]
        signs = (f"{_MARKS[kind][0]} {_MARKS[kind][2] if is_node else f'{counts[kind]:,}'}" for kind in shown)
        return Painted(shown[0], ", ".join(signs))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return f"{', '.join(map(repr, names[:_FEW]))}{more}"


@dataclass(frozen=True)
class Scale:
    """Classes of numbers.

    Attributes
    ----------
    ups, downs : tuple of float
        Where the classes above and below zero end, by their distance to it.
    unit : str
        As a measure has it.
    """

    ups: tuple[float, ...]
    downs: tuple[float, ...]
    unit: str

    @classmethod
    def of(cls, values: Iterable[float], unit: str = "") -> Scale:
        """Choose classes: equal steps, or where few numbers are far above the others, equal factors."""
        finite = [value for value in values if math.isfinite(value)]
        return cls(
            _ends([value for value in finite if value > 0]), _ends([-value for value in finite if value < 0]), unit
        )

    def kind(self, value: float) -> str:
        """Return the class of a number."""
        ends, name = (self.downs, "down") if value < 0 else (self.ups, "up")
        if math.isnan(value):
            return BLANK
        if value == 0:
            return "up0"
        level = next((level for level, end in enumerate(ends, 1) if abs(value) <= end), len(ends) or STEPS)
        return f"{name}{level + STEPS - len(ends) if ends else STEPS}"

    def legend(self) -> list[tuple[str, str]]:
        """Return the classes from the lowest to the highest, with the numbers at which each ends."""
        downs = [
            (f"down{STEPS - place}", f"to -{number_text(end, self.unit)}")
            for place, end in enumerate(reversed(self.downs))
        ]
        first = STEPS - len(self.ups) + 1
        ups = [(f"up{first + place}", f"to {number_text(end, self.unit)}") for place, end in enumerate(self.ups)]
        return [*downs, ("up0", "0"), *ups]


def _ends(values: Sequence[float]) -> tuple[float, ...]:
    """Return where classes end: round numbers, the last not below the largest."""
    if not values:
        return ()
    top = max(values)
    usual = statistics.median(values)
    if top == min(values):
        return (top,)
    if top / usual > _SKEWED:
        factor = next((each for each in _FACTORS if top / each ** (STEPS - 1) <= usual), _FACTORS[-1])
        ends = [_rounded(top / factor**place) for place in reversed(range(STEPS))]
    else:
        ends = [_rounded(top * place / STEPS) for place in range(1, STEPS + 1)]
    return tuple(sorted(set(ends)))


def _rounded(value: float) -> float:
    """Round up to two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / power - 1e-9) * power:.3g}")


def number_text(value: float, unit: str = "") -> str:
    """Word a number in about three digits: ``3.54 M``, ``1.2 MB``, ``0.35 ms``."""
    if unit == measures.BYTES and math.isfinite(value) and value >= 0:
        return size_text(round(value))
    if unit == measures.SECONDS and math.isfinite(value):
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "\N{MICRO SIGN}s")):
            if abs(value) * factor >= 1 or name == "\N{MICRO SIGN}s":
                return f"{value * factor:.3g} {name}"
    size, power = value, ""
    for letter in "kMGT":
        if not abs(size) >= 1000 or math.isinf(size):  # noqa: PLR2004 - the next power
            break
        size, power = size / 1000, letter
    return f"{size:.3g} {power}".strip()

"""The folded graph as SVG: one column of boxes, each filled as far as its share of the parameters, shapes beside them.

The same text is drawn inline, where it follows ``--ink``, ``--soft``, ``--paper`` and ``--line`` of what is around it,
and in an ``<img>``, where its own colours are legible on white and on black. Not for: what is folded
(:mod:`tfmagic.display.graph.folded_graph`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.display import render
from tfmagic.display.graph import folded_graph, scenes, shades
from tfmagic.display.graph.svg import COLOURS, FONT, Picture, escaped, legend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.display.graph.folded_graph import FoldedBox, FoldedGraph
    from tfmagic.display.graph.shades import Colour, Painted, Shades
    from tfmagic.display.shown_model import ShownModel
    from tfmagic.frames import Shape

#: Pixels: a box in a column, beside another one, and alone where others are not, its height, from one row to the next,
#: between two of a row.
_WIDTH, _NARROW, _ALONE, _HEIGHT, _PITCH, _BESIDE = 196, 160, 232, 24, 37, 14
#: Below boxes beside each other, room for their shapes.
_WRITTEN = 9
#: Around the picture, between edges that pass boxes, before shapes.
_MARGIN, _LANE, _ASIDE = 4, 8, 12
#: The width of a letter of a label, of what stands beside it, of a digit of a shape, and of what is between these.
_LETTER, _SMALL, _CAPITAL, _DIGIT, _TIMES = 7.2, 6.5, 8.0, 7.0, 9.3
_INK, _SOFT, _PAPER, _LINE = (
    f"var(--{name}, {colour})"
    for name, colour in (("ink", "#1f2937"), ("soft", "#56606e"), ("paper", "#f6f8fb"), ("line", "#8b929c"))
)
#: Beside boxes there is no paper of ours in an ``<img>``.
_BARE = "var(--soft, #7a828d)"
#: What a box says is written in, its name and its detail: on paper, on pale fills, on strong ones.
_INKS, _ON_PALE, _ON_STRONG = (_INK, _SOFT), ("#111827", "#111827"), ("#ffffff", "#ffffff")
#: A legend of numbers is not written in less.
_LEGEND_WIDTH = 300
_ARROW = 4
#: What stands between the ends of a run.
_RUN = " … "
#: Letters that are left of a name beside a number, and of a run's beside what it repeats.
_FEWEST = 7
#: Characters of all that is said of a box.
_MOST_TITLE = 400


def picture(model: ShownModel, colour: Colour | None = None) -> Picture | None:
    """Draw the graph of a model folded to about a dozen boxes.

    Parameters
    ----------
    model : ShownModel
        The model.
    colour : callable, optional
        Makes what colours the boxes of a library; without, their colours tell the kinds of their ops.

    Returns
    -------
    Picture or None
        None where no graph is at hand: nothing is traced for it.
    """
    folded = folded_graph.folded(model, colour.over if colour else None)
    if folded is None:
        return None
    if colour is None:
        return drawn(folded)
    groups = [(folded.body, folded.shown, box.nodes) for box in folded.boxes]
    return drawn(folded, colour(folded.library).shades(groups))


def drawn(folded: FoldedGraph, colours: Shades | None = None) -> Picture:
    """Draw a folded graph, its boxes filled by what colours them, or as far as their share of the parameters."""
    places = _Places.of(folded)
    edges = "".join(_edges(folded, places))
    painted = colours.boxes if colours else [None] * len(folded.boxes)
    pairs = enumerate(zip(folded.boxes, painted, strict=True))
    boxes = "".join(_box(box, places.corners[index], places, folded, paint) for index, (box, paint) in pairs)
    width, height = round(places.width), round(places.height)
    words = _words(folded, colours)
    if colours:
        width = max(width, _LEGEND_WIDTH)
        rows, keys = legend(colours.legend, width - 2 * _MARGIN, colours.title)
        boxes += f'<g transform="translate({_MARGIN} {height + 6})" font-size="11">{keys}</g>'
        height += 6 + 20 * rows
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="12">'
        f"<title>{escaped(folded.title)}</title><desc>{escaped(words)}</desc>{edges}{boxes}</svg>"
    )
    return Picture(svg, words, width, height, colours.note if colours else "")


def _words(folded: FoldedGraph, colours: Shades | None) -> str:
    """Say what the picture shows."""
    numbers = [paint.words for paint in colours.boxes] if colours else [""] * len(folded.boxes)
    pairs = zip(folded.boxes, numbers, strict=True)
    names = ", ".join(" ".join(filter(None, [box.label, box.detail, number])) for box, number in pairs)
    by = f" by {colours.title}" if colours else ""
    return render.cell_text(f"{folded.title}{by}: {names}")


class Corner(NamedTuple):
    """The upper left corner of a box, and how wide it is."""

    x: float
    y: float
    width: float


@dataclass
class _Places:
    """Where boxes stand."""

    corners: list[Corner]
    #: By box, whether it is the right one of two, and whether it is alone in its row.
    is_right: list[bool]
    is_alone: list[bool]
    width: float
    height: float
    left: float
    right: float
    lanes: dict[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, folded: FoldedGraph) -> _Places:
        rows: dict[int, list[int]] = defaultdict(list)
        for index, rank in enumerate(folded.ranks):
            rows[rank].append(index)
        is_double = any(len(row) > 1 for row in rows.values())
        alone = _ALONE if is_double else _WIDTH
        content = 2 * _NARROW + _BESIDE if is_double else _WIDTH
        is_right, is_alone = [False] * len(folded.boxes), [True] * len(folded.boxes)
        for row in rows.values():
            for position, index in enumerate(row):
                is_alone[index], is_right[index] = len(row) == 1, position > 0
        passing = [edge for edge in folded.edges if folded.ranks[edge[1]] - folded.ranks[edge[0]] != 1]
        sides = {edge: any(is_right[end] for end in edge) for edge in passing}
        rights = sum(sides.values())
        left = _MARGIN + _LANE * (len(passing) - rights) + (2 if passing else 0)
        right = left + content
        corners = [Corner(0, 0, alone)] * len(folded.boxes)
        y = float(_MARGIN)
        for rank in sorted(rows):
            for position, index in enumerate(rows[rank]):
                x = left + ((content - alone) / 2 if is_alone[index] else position * (_NARROW + _BESIDE))
                corners[index] = Corner(x, y, alone if is_alone[index] else _NARROW)
            y += _PITCH + _WRITTEN * (len(rows[rank]) > 1)
        written = max((_width(_shape(box.shape)) for box in folded.boxes), default=0)
        width = right + _LANE * rights + _ASIDE + written + _MARGIN
        height = y - _PITCH + _HEIGHT + 4 + _MARGIN
        places = cls(corners, is_right, is_alone, width, height, left, right)
        counts = [0, 0]
        for edge, side in sides.items():
            counts[side] += 1
            places.lanes[edge] = right + _LANE * counts[1] if side else left - _LANE * counts[0]
        return places


def _shape(shape: Shape) -> str:
    """Word a shape without the batch: every box has it."""
    return scenes.shape_text(shape[1:] if shape and shape[0] is None else shape)


def _width(text: str) -> float:
    times = text.count("\N{MULTIPLICATION SIGN}")
    return (len(text) - times) * _DIGIT + times * _TIMES


def _box(box: FoldedBox, corner: Corner, places: _Places, folded: FoldedGraph, paint: Painted | None) -> str:
    """Draw a box, what it is, how much it weighs or what its number is, and the shape that leaves it."""
    x, y, width = corner
    colour = COLOURS[box.kind] if paint is None else _LINE
    frame = f'height="{_HEIGHT}" rx="{_HEIGHT / 2 if box.kind == "end" else 4:g}"'
    title = render.cut(_title(box, folded, paint), _MOST_TITLE)
    parts = ["<g>", f"<title>{escaped(title)}</title>"]
    if box.count > 1:
        parts.append(
            f'<rect x="{x + 3:g}" y="{y + 3:g}" width="{width:g}" {frame} fill="{_PAPER}" stroke="{colour}" '
            'stroke-opacity=".6"/>'
        )
    parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" {frame} fill="{_PAPER}"/>')
    whole = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" {frame}'
    inks = _INKS
    if paint is not None:
        fill, is_strong = shades.FILLS[paint.kind]
        parts.append(f'{whole} fill="{fill}" stroke="{colour}"/>')
        inks = _ON_STRONG if is_strong else _ON_PALE
    else:
        share = box.parameters / folded.parameters if folded.parameters else 0
        filled = share * width
        if filled >= 1:
            parts.append(f'<rect x="{x:g}" y="{y:g}" width="{filled:.1f}" {frame} fill="{colour}" fill-opacity=".3"/>')
        parts.append(f'{whole} fill="{colour}" fill-opacity=".1" stroke="{colour}"/>')
    shown = replace(box, detail=paint.words) if paint and paint.words else box
    texts = _texts(shown, corner, inks, is_number=shown is not box)
    parts += [*texts, _beside(box, corner, places), "</g>"]
    return "".join(parts)


def _title(box: FoldedBox, folded: FoldedGraph, paint: Painted | None) -> str:
    """Word all that is known of a box, the number that colours it included."""
    count = render.counted(box.parameters, "parameter")
    share = f"{count}, {box.parameters / folded.parameters:.0%}" if box.parameters else ""
    number = paint.words if paint else ""
    return ", ".join(filter(None, [box.label, box.detail, _shape(box.shape), share, number]))


def _texts(box: FoldedBox, corner: Corner, inks: tuple[str, str], *, is_number: bool) -> Iterator[str]:
    """Write a label and what it is or its number, as much of both as there is room for."""
    x, y, width = corner
    room = width - 20
    label = _cut(box.label, int(room / _LETTER))
    # Capitals, of which TFLite's ops are all, are wider.
    small = _CAPITAL if box.detail.isupper() else _SMALL
    left = int((room - len(label) * _LETTER - 6) / small)
    detail = box.detail
    if len(detail) > left:
        # What follows a layer is left out before the layer's own class is.
        detail = detail.partition(" +")[0]
    if len(detail) > left and detail[:1].isdecimal() and not is_number:
        # How many there are of something says less than what they are called.
        detail = ""
    if len(detail) > left:
        # A number says more than the middle of a name; of an op's name there is enough in half of it.
        least = _FEWEST if is_number or _RUN in box.label else int(room / _LETTER / 2)
        label = _cut(box.label, max(int((room - len(detail) * small - 6) / _LETTER), least))
        left = int((room - len(label) * _LETTER - 6) / small)
        detail = render.cut(detail, left) if left > 4 else ""  # noqa: PLR2004 - fewer letters say nothing
    yield f'<text x="{x + 9:g}" y="{y + 16:g}" fill="{inks[0]}">{escaped(label)}</text>'
    if detail:
        yield (
            f'<text x="{x + width - 9:g}" y="{y + 16:g}" font-size="11" text-anchor="end" fill="{inks[1]}">'
            f"{escaped(detail)}</text>"
        )


def _cut(label: str, count: int) -> str:
    """Shorten a label; of a run its beginning is left, as half a name of each end would say nothing."""
    first, dots, _ = label.partition(_RUN)
    if not dots or len(label) <= count:
        return render.cut(label, count)
    return f"{first} …" if len(first) + 2 <= count else f"{first[: count - 1]}…"


def _beside(box: FoldedBox, corner: Corner, places: _Places) -> str:
    """Write the shape that leaves a box: beside it, or below where another stands beside it."""
    shape = _shape(box.shape)
    if not shape:
        return ""
    if places.is_alone[places.corners.index(corner)]:
        y = corner.y + 16
        lanes = [lane for lane in places.lanes.values() if lane > places.right]
        x = max([corner.x + corner.width + _ASIDE, *(lane + 4 for lane in lanes)])
    else:
        x, y = corner.x + corner.width / 2 + 6, corner.y + _HEIGHT + 10
    return f'<text x="{x:g}" y="{y:g}" font-size="11" fill="{_BARE}">{escaped(shape)}</text>'


def _edges(folded: FoldedGraph, places: _Places) -> Iterator[str]:
    """Draw edges: down to the next row, or around the rows between."""
    yield f'<g fill="none" stroke="{_LINE}" stroke-width="1.2">'
    tips = []
    for source, target in folded.edges:
        begin, end = places.corners[source], places.corners[target]
        if (source, target) in places.lanes:
            lane = places.lanes[source, target]
            is_right = lane > places.right
            begins, ends = (begin.x + begin.width, end.x + end.width) if is_right else (begin.x, end.x)
            start, stop = begin.y + _HEIGHT / 2, end.y + _HEIGHT / 2
            tip = ends + (_ARROW if is_right else -_ARROW)
            yield f'<path d="M{begins:g} {start:g}H{lane:g}V{stop:g}H{tip:g}"/>'
            tips.append(_tip(ends, stop, -1 if is_right else 1, 0))
        else:
            below = begin.y + _HEIGHT + (3 if folded.boxes[source].count > 1 else 0)
            points = [(begin.x + begin.width / 2, below), (end.x + end.width / 2, end.y - _ARROW)]
            yield f'<path d="{scenes.path(points)}"/>'
            tips.append(_tip(end.x + end.width / 2, end.y, 0, 1))
    yield f'</g><path fill="{_LINE}" d="{"".join(tips)}"/>'


def _tip(x: float, y: float, dx: int, dy: int) -> str:
    """Draw the tip of an arrow that ends at a point and goes in a direction."""
    back = (x - dx * _ARROW * 1.6, y - dy * _ARROW * 1.6)
    wide = _ARROW * 0.9
    return (
        f"M{x:g} {y:g}L{back[0] + dy * wide:g} {back[1] + dx * wide:g}L{back[0] - dy * wide:g} {back[1] - dx * wide:g}z"
    )

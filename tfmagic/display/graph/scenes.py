"""What a picture of a graph shows, as plain data: boxes with their words and places, edges as paths, the legend.

The live view draws a scene in the browser, :mod:`tfmagic.display.graph.svg` as static SVG. Not for: colours, and what
is open (:mod:`tfmagic.display.graph.unfolding`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic.display.graph import op_colours, visible_edges
from tfmagic.display.graph.bodies import ENDS
from tfmagic.display.graph.layout import nesting
from tfmagic.display.render import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfmagic.display.graph.bodies import Body
    from tfmagic.display.graph.boxes import Box
    from tfmagic.display.graph.layout.nesting import Item, Layout, Point
    from tfmagic.display.graph.shades import Colouring
    from tfmagic.display.graph.unfolding import Unfolding
    from tfmagic.display.graph.visible_edges import Edge
    from tfmagic.frames import Shape

#: Pixels: the height of a box with one line and with two, and how wide it may be.
_ONE_LINE, _TWO_LINES, _LEAST_WIDTH, _MOST_WIDTH = 28, 42, 64, 218
#: The usual width of a letter of the first and the second line, of 12 and 10.5 pixels height, and of a capital there:
#: TFLite's ops are all capitals.
_LETTER, _SMALL_LETTER, _CAPITAL, _MARGIN = 6.9, 5.8, 7.2, 26
#: An edge that stands for more than this is no thicker.
_MOST_THICK = 8
_EPSILON = 0.5
#: Characters of all that is said of a box.
_MOST_TITLE = 400
_TIMES = "\N{MULTIPLICATION SIGN}"
#: Scenes are made of this.
Data = dict[str, Any]


class Words(NamedTuple):
    """What a box says: its name, a second line, and the whole of it for who asks."""

    label: str
    detail: str
    title: str


def scene(unfolding: Unfolding, *, wrap: float | None = 1.6, colouring: Colouring | None = None) -> Data:
    """Lay out what is visible; the columns of what was drawn before stay.

    Parameters
    ----------
    unfolding : Unfolding
        What is open.
    wrap : float, optional
        The width to height ratio to aim for with long chains.
    colouring : Colouring, optional
        What colours the boxes in place of the kinds of their ops.

    Returns
    -------
    dict
        ``boxes`` (drawn in this order), ``edges``, ``width``, ``height`` in pixels, ``kinds``: those that appear, or
        the classes of what colours; ``coloured``: what that is, ``""`` for kinds, and ``note``: what is to be known of
        it; ``tucked``: whether constants or variables are not drawn that could be.
    """
    boxes = list(unfolding.visible())
    words = {box.number: said(box) for box in boxes}
    kinds = {box.number: box.op_kind for box in boxes}
    shades = None
    if colouring is not None:
        closed = [box for box in boxes if not box.is_open]
        shades = colouring.shades([(box.room.body, box.room.shown, box.scope.members) for box in closed])
        for box, painted in zip(closed, shades.boxes, strict=True):
            kinds[box.number] = painted.kind
            words[box.number] = _with_number(words[box.number], painted.words, shades.title)
    edges = visible_edges.visible(unfolding)
    placed = nesting.place(
        _items(unfolding.root.boxes, words),
        [(each.source, each.target) for each in edges],
        wrap=wrap,
        heads=unfolding.heads,
        before=unfolding.levels,
    )
    unfolding.heads |= {key: each.heads for key, (_, each) in placed.levels.items()}
    unfolding.levels = placed.levels
    seen = {box.op_kind for box in boxes if not box.is_open}
    return {
        "boxes": [_box_data(box, words[box.number], kinds[box.number], placed) for box in boxes],
        "edges": list(_edge_data(edges, placed)),
        "width": math.ceil(placed.width),
        "height": math.ceil(placed.height),
        "kinds": [list(pair) for pair in shades.legend]
        if shades
        else [[kind, label] for kind, label in op_colours.KINDS.items() if kind in seen],
        "coloured": shades.title if shades else "",
        "note": shades.note if shades else "",
        "tucked": any(room.is_tucking for room in unfolding.rooms()),
    }


def _with_number(words: Words, number: str, title: str) -> Words:
    """Put the number that colours a box before what else its second line says."""
    if not number:
        return words
    detail = _cut_detail(", ".join(filter(None, [number, words.detail])))
    return Words(words.label, detail, cut(f"{words.title}; {title}: {number}", _MOST_TITLE))


def _items(boxes: Iterable[Box], words: dict[int, Words]) -> list[Item]:
    return [
        nesting.Item(box.number, *size(words[box.number]), _items(box.parts, words) if box.is_open else ())
        for box in boxes
    ]


def size(words: Words) -> tuple[float, float]:
    """Return width and height of a box that says this."""
    text = max(len(words.label) * _LETTER, len(words.detail) * _SMALL_LETTER + _wider(words.detail))
    return round(min(max(text + _MARGIN, _LEAST_WIDTH), _MOST_WIDTH), 1), _TWO_LINES if words.detail else _ONE_LINE


def _wider(text: str) -> float:
    """Return by how much a second line is wider for its capitals."""
    return sum(map(str.isupper, text)) * (_CAPITAL - _SMALL_LETTER)


def _cut_detail(text: str) -> str:
    return cut(text, int((_MOST_WIDTH - _MARGIN - _wider(text)) / _SMALL_LETTER))


def said(box: Box) -> Words:
    """Word a box."""
    label = cut(box.label, int((_MOST_WIDTH - _MARGIN) / _LETTER))
    if box.kind == "op":
        detail = _op_detail(box)
        title = f"{box.name} ({box.op})"
    else:
        count = len(box.scope.members)
        ops = [op for op, _ in sorted(box.op_counts.items(), key=lambda item: (-item[1], item[0]))]
        telling = [op for op in ops if op_colours.kind_of(op) == box.op_kind][:1]
        detail = _repeated(box) or f"{count:,} {box.room.body.noun}{''.join(f', {op}' for op in telling)}"
        title = (
            f"{box.name}: {count:,} {box.room.body.noun} ({', '.join(f'{box.op_counts[op]:,} {op}' for op in ops[:6])})"
        )
    return Words(label, _cut_detail(detail), cut(title, _MOST_TITLE))


def _repeated(box: Box) -> str:
    """Say what a series or a chunk repeats, where all of its parts are of one class: ``6 TransformerBlock``."""
    parts = box.scope.grouped or []
    ops = {box.room.body.ops[int(part.members[0])] for part in parts if part.is_node}
    is_one = len(parts) > 1 and len(ops) == 1 and all(part.is_node for part in parts)
    return f"{_TIMES}{len(parts)} {ops.pop()}" if is_one else ""


def _op_detail(box: Box) -> str:
    """Word an op: its type, and the biggest constant that it works with."""
    if box.op in ENDS:
        body = box.room.body
        return " ".join(filter(None, [body.dtypes[box.node], shape_text(body.shapes[box.node])]))
    return " ".join(filter(None, [op_words(box.room.body, box.node), _weights(box)]))


def op_words(body: Body, node: int) -> str:
    """Word what a node does, with what is fused to it: ``CONV_2D +RELU6``."""
    fused = body.fused(node)
    return f"{body.ops[node]} +{fused}" if fused else body.ops[node]


def is_named_after(label: str, op: str) -> bool:
    """Say whether a name is its op's in other letters: ``max_pooling2d_1`` of a MaxPooling2D."""
    return re.sub(r"_\d+$", "", label.rpartition("/")[2]).replace("_", "").lower() == op.lower()


def _weights(box: Box) -> str:
    """Return the shape of the biggest constant or variable that is tucked into a node."""
    room, body = box.room, box.room.body
    if op_colours.kind_of(box.op) not in {"matrix", "recurrent"}:
        return ""
    tucked = [int(body.source[edge]) for edge in body.inputs_of(box.node)]
    shapes = [body.shapes[node] for node in tucked if not room.shown[node]]
    known = [shape for shape in shapes if shape and None not in shape]
    return shape_text(max(known, key=lambda shape: float(np.prod([float(each or 0) for each in shape])), default=None))


def shape_text(shape: Shape) -> str:
    """Word a shape as on a drawing, with crosses; nothing where it is not known, and of a single number."""
    return _TIMES.join("?" if each is None else str(each) for each in shape) if shape else ""


def _box_data(box: Box, words: Words, kind: str, placed: Layout) -> Data:
    x, y, width, height = placed.boxes[box.number]
    state = "open" if box.is_open else "folded" if box.can_open else "op"
    shape = "end" if box.kind == "op" and box.op in ENDS else box.kind
    return {
        "n": box.number,
        "x": round(x),
        "y": round(y),
        "w": round(width),
        "h": round(height),
        "label": words.label,
        "detail": "" if box.is_open else words.detail,
        "title": words.title,
        "kind": kind,
        "state": state,
        "shape": shape,
        "parent": box.parent.number if box.parent else -1,
        "depth": sum(1 for _ in box.above()),
    }


def _edge_data(edges: Sequence[Edge], placed: Layout) -> Iterable[Data]:
    """Yield edges as data; a shape is written once where a box has no other."""
    shapes: dict[int, set[str]] = {}
    for edge in edges:
        shapes.setdefault(edge.source, set()).add(_edge_shape(edge))
    labelled: set[int] = set()
    for edge in edges:
        points = placed.edges.get((edge.source, edge.target))
        if points is None:
            continue
        shape = _edge_shape(edge)
        first = edge.source not in labelled and len(shapes[edge.source]) == 1
        labelled.add(edge.source)
        yield {
            "a": edge.source,
            "b": edge.target,
            "d": path(points),
            "n": edge.merged,
            "w": round(1.2 + 0.25 * min(edge.merged - 1, _MOST_THICK), 2),
            "control": edge.is_control,
            "shape": shape,
            "at": [round(points[0][0] + 5), round(points[0][1] + 12)] if first and shape else None,
        }


def _edge_shape(edge: Edge) -> str:
    """Word the shape of the first tensor that an edge stands for; only first outputs have a known one."""
    room, node = edge.tensor
    return shape_text(room.body.shapes[node]) if edge.port == 0 and not edge.is_control else ""


def path(points: Sequence[Point]) -> str:
    """Write points as the path of an SVG: straight where they are in line, else curves that begin and end upright."""
    (x, y), parts = points[0], [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
    # How far a line down has come: one is written for all the rows that it passes.
    down: float | None = None
    for next_x, next_y in points[1:]:
        upright, level = abs(next_x - x) < _EPSILON, abs(next_y - y) < _EPSILON
        if upright:
            down = down if level else next_y
        else:
            if down is not None:
                parts.append(f"V{down:.0f}")
                down = None
            middle = (y + next_y) / 2
            bent = f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y:.0f}"
            parts.append(f"H{next_x:.0f}" if level else bent)
        if not (upright and level):
            x, y = next_x, next_y
    if down is not None:
        parts.append(f"V{down:.0f}")
    return "".join(parts)

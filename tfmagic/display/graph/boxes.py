"""Boxes that stand for nodes, scopes and functions in one place of a picture, and the bodies unfolded within them.

Not for: which of them are open (:mod:`tfmagic.display.graph.unfolding`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.display.graph import op_colours

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tfmagic.display.graph.bodies import Body
    from tfmagic.display.graph.name_scopes import Scope
    from tfmagic.files.wire import Integers, Mask


class Split(NamedTuple):
    """The edges of a room, or of a box, by the boxes in it: those that run between them, and within each by its number.

    What is folded hides its edges, most of those of a large graph: nobody looks at them again.
    """

    between: Integers
    within: dict[int, Integers]


@dataclass(eq=False)
class Room:
    """A body as it is unfolded in one place.

    Attributes
    ----------
    body : Body
        What is unfolded.
    inside : Box or None
        The box that it stands in, None for the graph itself.
    first_input : int
        Which input of the call is the body's first argument.
    shown : array of bool
        The nodes that are drawn.
    holder : int array
        For each node the number of the deepest box that was opened to and holds it; -1 for what is not drawn.
    """

    body: Body
    inside: Box | None
    first_input: int
    shown: Mask
    holder: Integers = field(init=False)
    boxes: list[Box] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holder = np.full(len(self.body.names), -1, np.int64)

    @cached_property
    def is_tucking(self) -> bool:
        """Whether constants or variables are not drawn that could be."""
        return bool((~self.shown & ~self.body.hidden).any())

    @cached_property
    def edges(self) -> Integers:
        """The edges between drawn nodes."""
        indices: Integers = np.flatnonzero(self.shown[self.body.source] & self.shown[self.body.target])
        return indices

    @cached_property
    def split(self) -> Split:
        """The edges by the boxes of the first level."""
        return self.split_by(self.boxes, self.edges)

    def split_by(self, boxes: Sequence[Box], edges: Integers) -> Split:
        """Tell edges by the boxes that hold their ends, all of which one of them holds."""
        for place, box in enumerate(boxes):
            self._places[box.scope.members] = place
        source, target = self._places[self.body.source[edges]], self._places[self.body.target[edges]]
        is_within = source == target
        held, places = edges[is_within], source[is_within]
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(boxes) + 1))
        slices = (held[order[first:last]] for first, last in itertools.pairwise(starts.tolist()))
        return Split(edges[~is_within], {box.number: each for box, each in zip(boxes, slices, strict=True)})

    @cached_property
    def _places(self) -> npt.NDArray[np.int32]:
        """Room for the number of the box that holds a node."""
        return np.empty(len(self.body.names), np.int32)


@dataclass(eq=False)
class Box:
    """A node, a scope or a function in one place.

    Attributes
    ----------
    number : int
        Its number in this view; it keeps it.
    kind : str
        ``"op"``, ``"scope"``, ``"series"``, ``"chunk"`` or ``"function"``.
    label : str
        What to call it.
    scope : Scope
        What it holds of its room's body.
    room : Room
        Where it stands.
    parent : Box or None
        The box around it.
    """

    number: int
    kind: str
    label: str
    scope: Scope
    room: Room
    parent: Box | None
    is_open: bool = False
    #: Whether it can be opened.
    can_open: bool = False
    rooms: list[Room] = field(default_factory=list)
    parts: list[Box] = field(default_factory=list)

    @property
    def node(self) -> int:
        """The node that it is, or the first that it holds."""
        return int(self.scope.members[0])

    @property
    def op(self) -> str:
        """The op of a single node, ``""`` of others."""
        return self.room.body.ops[self.node] if self.kind == "op" else ""

    @property
    def name(self) -> str:
        """Its whole name in its body."""
        name = self.room.body.names[self.node]
        if self.kind in {"op", "function"}:
            return name if self.kind == "op" else self.label
        inside = name[: self.scope.depth]
        return inside.rstrip("/") if self.kind == "scope" else inside + self.label

    @cached_property
    def op_counts(self) -> dict[str, int]:
        """How many nodes of each op it holds."""
        codes, ops = self.room.body.op_codes
        counts = np.bincount(codes[self.scope.members], minlength=len(ops))
        return {ops[place]: int(counts[place]) for place in np.flatnonzero(counts)}

    @cached_property
    def op_kind(self) -> str:
        """The most telling kind of its ops."""
        kinds = {op_colours.kind_of(op) for op in self.op_counts}
        if self.kind != "op":
            kinds = kinds - {"end"} or kinds
        return next(kind for kind in op_colours.KINDS if kind in kinds)

    @cached_property
    def split(self) -> Split:
        """The edges between its own nodes, by its parts."""
        around = self.parent if self.parent is not None and self.parent.room is self.room else self.room
        return self.room.split_by(self.parts, around.split.within[self.number])

    def above(self) -> Iterator[Box]:
        """Yield the boxes around it, the nearest first."""
        box = self.parent
        while box:
            yield box
            box = box.parent

"""Which boxes of a graph are open: scopes open to their parts, calls to the functions that they call.

Not for: edges (:mod:`tfmagic.display.graph.visible_edges`), where boxes stand
(:mod:`tfmagic.display.graph.layout.nesting`), or how they look.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph import name_scopes
from tfmagic.display.graph.boxes import Box, Room

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.display.graph.bodies import Call, Library
    from tfmagic.display.graph.layout.nesting import Levels
    from tfmagic.display.graph.name_scopes import Scope

#: Boxes at first, and at all: a browser pans 1,000 boxes at 52 to 62 frames a second, 3,000 at 21.
MAX_FIRST, MAX_VISIBLE = 60, 1000
#: A scope with at least this share of the nodes says nothing while it is folded.
_TELLING_SHARE = 0.5
#: What TensorFlow and Keras call the scopes of gradients and optimizers.
_TRAINING = re.compile(
    r"(?i)(gradients?|gradient_?tape|optimizers?|adam(?:w|ax|optimizer)?|nadam|sgd|rmsprop|adagrad|adadelta|ftrl"
    r"|momentum|gradientdescent|lamb|lion)(?:_\d+)?"
)
#: Fewer boxes than this are no picture yet.
_FEW_BOXES = 5


class Unfolding:
    """A graph and which of its boxes are open.

    Parameters
    ----------
    library : Library
        The bodies.
    function : str
        The body to show, ``""`` for the main graph.
    constants : bool
        Whether constants and variables are boxes too.
    """

    def __init__(self, library: Library, function: str = "", *, constants: bool = False) -> None:
        self.library = library
        self.constants = constants
        self.boxes: list[Box] = []
        #: The boxes that begin columns, as it was drawn last: columns stay where they are.
        self.heads: dict[int, frozenset[int]] = {}
        #: How it was laid out last: what has not changed since is not laid out anew.
        self.levels: Levels = {}
        self.root = self._room(function, None, 0)

    def _room(self, function: str, inside: Box | None, first_input: int) -> Room:
        """Make a place for a body and the boxes of its first level."""
        body = self.library.body(function)
        kinds = name_scopes.Shown(body)
        # The condition of a loop is given all that goes round and looks at one of it.
        plain = kinds.plain & ~kinds.unused_arguments if inside else kinds.plain
        room = Room(body, inside, first_input, kinds.everything if self.constants else plain)
        room.boxes = self._make(name_scopes.root(room.shown).parts(body), room, inside)
        for box in room.boxes:
            room.holder[box.scope.members] = box.number
        return room

    def _make(self, parts: Iterable[Scope], room: Room, parent: Box | None) -> list[Box]:
        """Make boxes of scopes; they hold their nodes once what is around them is open."""
        return [self._box(part, room, parent) for part in parts]

    def _box(self, scope: Scope, room: Room, parent: Box | None) -> Box:
        kind = "op" if scope.is_node else scope.kind
        label = room.body.keys.get(int(scope.members[0]), scope.label) if kind == "op" else scope.label
        box = Box(len(self.boxes), kind, label, scope, room, parent)
        box.can_open = kind != "op" or bool(self._calls(box))
        self.boxes.append(box)
        return box

    def _calls(self, box: Box) -> list[Call]:
        """Return what a node calls, but for functions that it stands in already: those would unfold for ever."""
        around = {box.room.body.function}
        around |= {room.body.function for outer in box.above() for room in (outer.room, *outer.rooms)}
        return [call for call in self.library.calls(box.room.body, box.node) if call.function not in around]

    # Opening and folding

    def open(self, number: int) -> None:
        """Open a box; one that cannot be opened, or whose parts would be too many to see, stays as it is."""
        box = self.boxes[number]
        if not box.can_open or box.is_open:
            return
        if not box.parts:
            self._fill(box)
        for part in box.parts:
            part.is_open = part.kind == "function"
            if part.room is box.room and not part.is_open:
                box.room.holder[part.scope.members] = part.number
        box.is_open = True

    def _fill(self, box: Box) -> None:
        """Make the parts of a box that is opened for the first time."""
        if box.kind != "op":
            box.parts = self._make(box.scope.parts(box.room.body), box.room, box)
            return
        calls = self._calls(box)
        if len(calls) == 1:
            box.rooms = [self._room(calls[0][1], box, calls[0][2])]
            box.parts = box.rooms[0].boxes
            return
        for role, function, first in calls:
            inner = Box(len(self.boxes), "function", f"{role}: {function}", box.scope, box.room, box, is_open=True)
            self.boxes.append(inner)
            inner.rooms = [self._room(function, inner, first)]
            inner.parts = inner.rooms[0].boxes
            inner.can_open = True
            box.parts.append(inner)
            box.rooms += inner.rooms

    def fold(self, number: int) -> None:
        """Fold a box, and all that is open in it."""
        box = self.boxes[number]
        if not box.is_open:
            return
        for part in box.parts:
            self.fold(part.number)
        box.is_open = False
        if box.kind != "function":
            box.room.holder[box.scope.members] = box.number

    def growth(self, number: int) -> int:
        """Return how many more boxes would be visible if a box were opened."""
        box = self.boxes[number]
        if box.is_open or not box.can_open:
            return 0
        if not box.parts:
            self._fill(box)
        return sum(1 + len(part.parts) * part.is_open for part in box.parts)

    def start(self) -> None:
        """Unfold what says nothing while it is folded, as long as a person can take in the boxes."""
        while True:
            visible = list(self.visible())
            folded = [box for box in visible if not box.is_open]
            least = _TELLING_SHARE * sum(map(self.weight, folded)) if len(folded) >= _FEW_BOXES else 0
            leaves = [box for box in folded if box.can_open and self.weight(box) >= least and not is_of_training(box)]
            leaves = [box for box in leaves if len(visible) + self.growth(box.number) <= MAX_FIRST]
            if not leaves:
                return
            self.open(max(leaves, key=self.weight).number)

    def weight(self, box: Box) -> int:
        """Return how many nodes a box stands for, those of the functions that it calls included."""
        if box.kind != "op":
            return len(box.scope.members)
        return sum(self.library.sizes.get(call.function, 0) for call in self._calls(box)) if box.can_open else 1

    # What is visible

    def visible(self) -> Iterator[Box]:
        """Yield the boxes that are drawn, those around others first."""
        yield from _walk(self.root.boxes)

    def rooms(self) -> Iterator[Room]:
        """Yield the rooms that are visible."""
        yield self.root
        for box in self.visible():
            if box.is_open:
                yield from (room for room in box.rooms if room.inside is box)

    def reveal(self, route: Iterable[tuple[int, str]], node: int) -> Box:
        """Open all that stands around a node.

        Parameters
        ----------
        route : iterable of (int, str)
            The calls that lead from the root's body to the node's: the node that calls, and the function.
        node : int
            The node in the last body.

        Returns
        -------
        Box
            The node's box; that of a consumer, or of a call, if the node itself is not drawn.
        """
        room = self.root
        for caller, function in route:
            box = self._reach(room, caller)
            self.open(box.number)
            inner = next((inner for inner in box.rooms if inner.body.function == function), None)
            if inner is None:
                return box
            if inner.inside and not inner.inside.is_open:
                self.open(inner.inside.number)
            if not inner.shown.any():
                # Of arguments that nobody uses nothing is drawn: the call stands for them.
                return inner.inside or box
            room = inner
        return self._reach(room, node)

    def _reach(self, room: Room, node: int) -> Box:
        """Open the scopes around a node of a room."""
        node = self._drawn(room, node)
        box = self.boxes[int(room.holder[node])]
        while box.kind != "op":
            self.open(box.number)
            box = self.boxes[int(room.holder[node])]
        return box

    def _drawn(self, room: Room, node: int) -> int:
        """Return the node, or the nearest that consumes it or feeds it and is drawn."""
        seen, waiting = {node}, [node]
        while waiting:
            node = waiting.pop(0)
            if room.shown[node]:
                return node
            following = [int(room.body.target[edge]) for edge in room.body.outputs_of(node)]
            following += [int(room.body.source[edge]) for edge in room.body.inputs_of(node)]
            waiting += [each for each in following if each not in seen]
            seen.update(following)
        return int(np.flatnonzero(room.shown)[0])


def is_of_training(box: Box) -> bool:
    """Say whether a box holds what only training needs, by its name: nobody unfolds that first."""
    return any(_TRAINING.fullmatch(piece) for piece in box.label.split("/"))


def _walk(boxes: Iterable[Box]) -> Iterator[Box]:
    for box in boxes:
        yield box
        if box.is_open:
            yield from _walk(box.parts)

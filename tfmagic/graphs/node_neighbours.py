"""What a node of the table of ops takes, and what takes it: by rows of that table.

Not for: drawing edges (:mod:`tfmagic.display.graph.bodies`), nor for where a graph begins and ends.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    import pandas as pd

    from tfmagic.files.wire import Integers

#: Bodies that are kept: whoever follows links goes back and forth between few.
_KEPT = 8


class Neighbour(NamedTuple):
    """A node that another one mentions; ``row`` is None where the name is no node's, but an argument's."""

    text: str
    row: int | None


class _Body(NamedTuple):
    """The nodes of the main graph or of a function.

    ``places`` has the place of each name in ``rows``; ``users`` are the rows that mention a node, ``first`` says where
    those of each begin, by the row's place in ``rows``.
    """

    rows: Integers
    places: dict[str, int]
    users: Integers
    first: Integers


class Neighbours:
    """Finds inputs and consumers in the table of ops.

    Parameters
    ----------
    frame : DataFrame
        The whole table of ops.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._bodies: dict[int, _Body] = {}
        # A large body is read in a thread.
        self._lock = threading.RLock()

    def inputs(self, row: int, column: str = "inputs") -> list[Neighbour]:
        """Return what a node takes, in order."""
        body = self._body(row)
        places = [(text, _place(body.places, text)) for text in self.frame[column].iloc[row]]
        return [Neighbour(text, int(body.rows[place]) if place >= 0 else None) for text, place in places]

    def consumers(self, row: int) -> list[int]:
        """Return the rows of the nodes that take something of a node or wait for it, each once."""
        body = self._body(row)
        place = int(np.searchsorted(body.rows, row))
        return list(dict.fromkeys(body.users[body.first[place] : body.first[place + 1]].tolist()))

    def size_if_unread(self, row: int) -> int:
        """Return how many nodes must be read first to tell the neighbours of one, none if they have been."""
        codes = self.frame["function"].cat.codes
        return 0 if int(codes.iloc[row]) in self._bodies else int((codes == codes.iloc[row]).sum())

    def row_of(self, name: str, function: str | None = None) -> int | None:
        """Return the row of a node, the first one where several functions have one of this name."""
        same = np.fromiter((each == name for each in self.frame["name"]), bool, len(self.frame))
        if function is not None:
            same &= (self.frame["function"] == function).to_numpy()
        rows = np.flatnonzero(same)
        return int(rows[0]) if rows.size else None

    def _body(self, row: int) -> _Body:
        codes = self.frame["function"].cat.codes
        code = int(codes.iloc[row])
        with self._lock:
            if code not in self._bodies:
                if len(self._bodies) >= _KEPT:
                    self._bodies.pop(next(iter(self._bodies)))
                self._bodies[code] = _built(self.frame, np.flatnonzero(codes.to_numpy() == code))
            return self._bodies[code]


def _built(frame: pd.DataFrame, rows: Integers) -> _Body:
    """Turn the names that nodes mention into rows, and these around."""
    names = frame["name"].to_numpy()[rows].tolist()
    places = dict(zip(names, range(len(names)), strict=True))
    sources, owners = [], []
    for column in ("inputs", "control_inputs"):
        texts: list[tuple[str, ...]] = frame[column].to_numpy()[rows].tolist()
        arity = np.fromiter(map(len, texts), np.int64, len(texts))
        mentioned = list(itertools.chain.from_iterable(texts))
        sources.append(np.array([places.get(text, -1) for text in mentioned], np.int64))
        for index in np.flatnonzero(sources[-1] < 0).tolist():
            sources[-1][index] = _place(places, mentioned[index])
        owners.append(np.repeat(rows, arity))
    source, owner = np.concatenate(sources), np.concatenate(owners)
    order = np.lexsort((owner, source))
    order = order[source[order] >= 0]
    first = np.searchsorted(source[order], np.arange(len(rows) + 1))
    return _Body(rows, places, owner[order], first)


def _place(places: dict[str, int], text: str) -> int:
    """Return the place of the node that a text mentions, -1 if it is none."""
    place = places.get(text)
    return places.get(node_of(text), -1) if place is None else place

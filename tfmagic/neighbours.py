"""What a node of the table of ops takes, and what takes it: by rows of that table.

Not for: drawing edges (:mod:`tfmagic.graph_bodies`), nor for where a graph begins and ends.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.plumbing import node_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tfmagic.wire import Integers

#: Bodies that are kept: whoever follows links goes back and forth between few.
_KEPT = 8


class Neighbour(NamedTuple):
    """A node that another one mentions; ``row`` is None where the name is no node's, but an argument's."""

    text: str
    row: int | None


class _Body(NamedTuple):
    """The nodes of the main graph or of a function.

    ``numbers`` has the row of each name; ``users`` are the rows that mention a node, ``first`` says where those of each
    begin, by the row's place in ``rows``.
    """

    rows: Integers
    numbers: dict[str, int]
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

    def inputs(self, row: int, column: str = "inputs") -> list[Neighbour]:
        """Return what a node takes, in order."""
        numbers = self._body(row).numbers
        return [Neighbour(text, numbers.get(node_of(text))) for text in self.frame[column].iloc[row]]

    def consumers(self, row: int) -> list[int]:
        """Return the rows of the nodes that take something of a node or wait for it, each once."""
        body = self._body(row)
        place = int(np.searchsorted(body.rows, row))
        return list(dict.fromkeys(body.users[body.first[place] : body.first[place + 1]].tolist()))

    def row_of(self, name: str, function: str | None = None) -> int | None:
        """Return the row of a node, the first one where several functions have one of this name."""
        same = np.fromiter((each == name for each in self.frame["name"]), bool, len(self.frame))
        if function is not None:
            same &= (self.frame["function"] == function).to_numpy()
        rows = np.flatnonzero(same)
        return int(rows[0]) if rows.size else None

    def _body(self, row: int) -> _Body:
        code = int(self.frame["function"].cat.codes.iloc[row])
        if code not in self._bodies:
            if len(self._bodies) >= _KEPT:
                self._bodies.pop(next(iter(self._bodies)))
            rows = np.flatnonzero(self.frame["function"].cat.codes.to_numpy() == code)
            self._bodies[code] = _built(self.frame.iloc[rows], rows)
        return self._bodies[code]


def _built(part: pd.DataFrame, rows: Integers) -> _Body:
    """Turn the names that nodes mention into rows, and these around."""
    places = {name: place for place, name in enumerate(part["name"].tolist())}
    sources, owners = [], []
    for column in ("inputs", "control_inputs"):
        texts: Sequence[tuple[str, ...]] = part[column].tolist()
        mentioned = itertools.chain.from_iterable(texts)
        sources.append(np.fromiter((_place(places, text) for text in mentioned), np.int64))
        owners.append(np.repeat(rows, np.fromiter(map(len, texts), np.int64, len(texts))))
    source, owner = np.concatenate(sources), np.concatenate(owners)
    order = np.lexsort((owner, source))
    order = order[source[order] >= 0]
    first = np.searchsorted(source[order], np.arange(len(rows) + 1))
    return _Body(rows, {name: int(rows[place]) for name, place in places.items()}, owner[order], first)


def _place(places: dict[str, int], text: str) -> int:
    """Return the place of the node that a text mentions, -1 if it is none."""
    found = places.get(text)
    return places.get(node_of(text), -1) if found is None else found

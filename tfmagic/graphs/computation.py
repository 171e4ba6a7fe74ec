"""What a graph computes between its ends, as columns: a million ops are compared in seconds.

Not for: finding it (:mod:`tfmagic.graphs.computation_reading`), what differs between two
(:mod:`tfmagic.graphs.computation_matching`), or the values of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, overload

import numpy as np

from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfmagic.files.wire import Integers
    from tfmagic.graphs.node_attributes import Objects
    from tfmagic.graphs.node_descriptions import Attributes

#: More ops are not looked at, nor more nodes of all kinds, those of a function again with each call of it.
MOST_OPS, MOST_STEPS = 3_000_000, 10_000_000
#: What stands for what goes in.
INPUT = "input"
#: What a lookup table is called, of whatever kind; what it holds is compared apart.
TABLE = "HashTableV2"
#: What stands for a tensor that nothing gives.
UNKNOWN = "unknown"

#: An op of a computation by its place, and the number of its output.
Tensor: TypeAlias = tuple[int, int]


class Op(NamedTuple):
    """One op of a computation.

    Attributes
    ----------
    name : str
        The node's, below the scopes of the calls that lead to it.
    op : str
        TensorFlow's name, ``"input"`` or ``"weight"``.
    attributes : tuple of pairs of str
        By name, as text that is the same for the same value.
    inputs : tuple of tensors
        What it consumes.
    """

    name: str
    op: str
    attributes: Attributes
    inputs: tuple[Tensor, ...]


def _none() -> Integers:
    return np.zeros(0, np.int64)


@dataclass
class Names:
    """The names of ops, put together when they are asked for.

    Attributes
    ----------
    of_nodes : array of str
        The names of a graph's nodes.
    nodes, prefixes : int array
        For each op its node, and which of the scopes it lies in; -1 for what goes by another name.
    scopes : sequence of str
        Each with its stroke.
    others : mapping of int to str
        The names of those ops.
    """

    of_nodes: Objects = field(default_factory=lambda: np.zeros(0, object))
    nodes: Integers = field(default_factory=_none)
    prefixes: Integers = field(default_factory=_none)
    scopes: Sequence[str] = ("",)
    others: Mapping[int, str] = field(default_factory=dict)

    def __getitem__(self, place: int) -> str:
        """Return the name of an op."""
        node = self.nodes[place]
        return self.others[place] if node < 0 else str(self.scopes[self.prefixes[place]] + self.of_nodes[node])

    def of(self, places: Integers) -> Objects:
        """Return the names of some ops."""
        nodes, prefixes = self.nodes[places], self.prefixes[places]
        names = self.of_nodes[nodes] if len(self.of_nodes) else np.full(len(places), "", object)
        scoped = np.flatnonzero(np.array([bool(scope) for scope in self.scopes])[prefixes])
        names[scoped] = np.array(self.scopes, object)[prefixes[scoped]] + names[scoped]
        other = np.flatnonzero(nodes < 0)
        names[other] = [self.others[place] for place in places[other].tolist()]
        return names


@dataclass
class Computation:
    """Ops in the order in which they can run, and what comes out.

    What comes around a loop is the one thing that an op takes from those behind it. Of weights there is what tells
    them apart.

    Attributes
    ----------
    described : sequence of (op, attributes)
        What ops there are.
    codes : int array
        For each op, which of them it is.
    offsets, sources : int array
        Where the tensors of each op begin, and the end; the tensors that they consume, op by op.
    names : Names
        Of the ops.
    outputs : dict of str to tensor
        By key.
    changes : int array
        The places of ops that change variables and tables as the computation runs.
    constants, kinds : dict of int to str
        By place. A kind is dtype and shape as a text, which tells nothing of whether a weight is a variable or a
        constant.
    is_cut : bool
        Whether there are more ops or calls than are looked at: functions that call one another, each twice, run
        exponentially many.
    """

    described: Sequence[tuple[str, Attributes]] = ()
    codes: Integers = field(default_factory=_none)
    offsets: Integers = field(default_factory=lambda: np.zeros(1, np.int64))
    sources: Integers = field(default_factory=_none)
    names: Names = field(default_factory=Names)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    changes: Integers = field(default_factory=_none)
    constants: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def backward_takers(self) -> Integers:
        """The places of ops that take what is computed after them: it comes around a loop."""
        owners = np.repeat(np.arange(len(self.codes)), np.diff(self.offsets))
        return np.unique(owners[self.sources // OUTPUTS >= owners])

    @property
    def ops(self) -> Ops:
        """The ops one by one."""
        return Ops(self)

    def of_ops(self, *wanted: str) -> Integers:
        """Return the places of the ops that go by some names of TensorFlow, of inputs or weights."""
        chosen = np.array([op in wanted for op, _ in self.described] or [False], bool)
        return np.flatnonzero(chosen[self.codes])


class Ops(Sequence[Op]):
    """The ops of a computation, each made when it is asked for."""

    def __init__(self, computation: Computation) -> None:
        self._computation = computation

    def __len__(self) -> int:
        """Return how many ops there are."""
        return len(self._computation.codes)

    @overload
    def __getitem__(self, place: int) -> Op: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Op]: ...

    def __getitem__(self, place: int | slice) -> Op | Sequence[Op]:
        """Return one op, or some."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        whole = self._computation
        sources = whole.sources[whole.offsets[place] : whole.offsets[place + 1]]
        op, attributes = whole.described[whole.codes[place]]
        return Op(whole.names[place], op, attributes, tuple(map(_tensor, sources.tolist())))


def _tensor(number: int) -> Tensor:
    return divmod(number, OUTPUTS)


def tensors(numbers: Iterable[int]) -> list[Tensor]:
    """Return tensors by their numbers."""
    return list(map(_tensor, numbers))


def spread(firsts: Integers, counts: Integers) -> Integers:
    """Return the numbers from each of some on, as many as are asked for, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(firsts - ends + counts, counts)

"""What two computations have in common whose ops were paired, and what differs between them.

Not for: pairing ops (:mod:`tfmagic.graphs.computation_pairing`), or weights' values.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import computation_marks
from tfmagic.graphs.computation import INPUT, TABLE, UNKNOWN, Computation, spread
from tfmagic.graphs.computation_marks import Numbers
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.computation import Op, Tensor
    from tfmagic.graphs.computation_marks import Marks

#: What TensorFlow appends to a scope that is opened again.
NUMBER = re.compile(r"(?:_\d+)+(?=/|$)")
#: What is no op of TensorFlow whose scope would be renamed.
CONSTANT = "Const"
_NAMELESS = (INPUT, WEIGHT, CONSTANT, TABLE)


def _no_partners() -> tuple[Integers, Integers]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass
class Matching:
    """What two computations have in common, by the places of their ops.

    Attributes
    ----------
    partners : two int arrays
        For each op of a computation the one of the other that is the same, or has the same name and op; -1 for none.
    is_same : bool
        Whether both are the same bytes: then nothing was looked at.
    equal_weights : set of pairs of int
        Weights, by their places, that hold the same although both computations have others by their names.
    """

    first: Computation
    second: Computation
    partners: tuple[Integers, Integers] = field(default_factory=_no_partners)
    is_same: bool = False
    equal_weights: set[tuple[int, int]] = field(default_factory=set)

    @cached_property
    def marks(self) -> tuple[Marks, Marks]:
        """A number for each op of both by what it is made of."""
        numbers = Numbers()
        return computation_marks.forward(self.first, numbers), computation_marks.forward(self.second, numbers)

    @property
    def is_cut(self) -> bool:
        """Whether one of the two has more ops than were looked at."""
        return any(each.is_cut for each in self.both)

    @property
    def both(self) -> tuple[Computation, Computation]:
        """The two computations."""
        return self.first, self.second

    @property
    def pairs(self) -> tuple[Integers, Integers]:
        """The places of ops that go together, in each of the two."""
        firsts = np.flatnonzero(self.partners[0] >= 0)
        return firsts, self.partners[0][firsts]

    @property
    def first_only(self) -> list[int]:
        """Ops that the second one has not."""
        return _left(self.first, self.partners[0])

    @property
    def second_only(self) -> list[int]:
        """Ops that the first one has not."""
        return _left(self.second, self.partners[1])

    @property
    def has_all_weights(self) -> bool:
        """Whether each weight that one computation uses is a weight of the other one, too."""
        return all(
            (partners[whole.of_ops(WEIGHT)] >= 0).all()
            for whole, partners in zip(self.both, self.partners, strict=True)
        )

    @property
    def weight_pairs(self) -> list[tuple[int, int]]:
        """Weights that ops which go together take at the same place, or that come out under the same key, by places."""
        return self._pairs_of(WEIGHT)

    @property
    def table_pairs(self) -> list[tuple[int, int]]:
        """Lookup tables that ops which go together take at the same place, by their places."""
        return self._pairs_of(TABLE)

    def _pairs_of(self, op: str) -> list[tuple[int, int]]:
        places = [whole.of_ops(op) for whole in self.both]
        if not all(map(len, places)):
            return []
        _, a, b = self._taken(*self.pairs)
        ends = [
            (mine[0], self.second.outputs[key][0])
            for key, mine in self.first.outputs.items()
            if key in self.second.outputs
        ]
        results = np.array(ends, np.int64).reshape(-1, 2)
        taken = np.concatenate([np.stack([a // OUTPUTS, b // OUTPUTS], 1), results])
        of_op = [np.zeros(len(whole.codes), bool) for whole in self.both]
        for flags, of_side in zip(of_op, places, strict=True):
            flags[of_side] = True
        pairs = taken[of_op[0][taken[:, 0]] & of_op[1][taken[:, 1]]]
        return [(a, b) for a, b in np.unique(pairs, axis=0).tolist()]

    @property
    def constants(self) -> Iterator[tuple[str, str, bool]]:
        """The names of weights that are constants in both graphs, and whether they are equal."""
        for first, value in self.first.constants.items():
            second = int(self.partners[0][first])
            if second in self.second.constants:
                is_equal = value == self.second.constants[second]
                yield self.first.names[first], self.second.names[second], is_equal

    @property
    def changed(self) -> Iterator[tuple[Op, Op]]:
        """Pairs that have other attributes."""
        firsts, seconds = self.pairs
        numbers = Numbers()
        a, b = (
            np.array([numbers[attributes] for _, attributes in whole.described] or [0], np.int64)[whole.codes[places]]
            for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        is_used = _used(self.first)[firsts] | _used(self.second)[seconds]
        for place in np.flatnonzero((a != b) & is_used).tolist():
            pair = self.first.ops[int(firsts[place])], self.second.ops[int(seconds[place])]
            if WEIGHT not in (pair[0].op, pair[1].op):
                yield pair

    @property
    def stand_ins(self) -> Iterator[tuple[Op, Op]]:
        """Pairs of a variable and a constant whose value is compared with the variable's."""
        for firsts, wanted in ((self.first.of_ops(WEIGHT), CONSTANT), (self.first.of_ops(CONSTANT), WEIGHT)):
            for first in firsts.tolist():
                second = int(self.partners[0][first])
                if second >= 0 and self.second.described[self.second.codes[second]][0] == wanted:
                    yield self.first.ops[first], self.second.ops[second]

    @property
    def rewired(self) -> Iterator[tuple[str, str, str]]:
        """What takes other tensors than its partner, with these: a node and its input, or an output by its key.

        Where one of the tensors is of an op that only one computation has, that says it.
        """
        names = [set(whole.names.of(whole.of_ops(WEIGHT))) for whole in self.both]
        for first, second in zip(*(each.tolist() for each in self._doubtful), strict=True):
            a, b = self.first.ops[first], self.second.ops[second]
            if len(a.inputs) != len(b.inputs):
                yield f"{a.name}, inputs", f"{len(a.inputs)} inputs", f"{len(b.inputs)} inputs"
                continue
            for slot, (mine, theirs) in enumerate(zip(a.inputs, b.inputs, strict=True)):
                if not self._is_same(mine, theirs, names):
                    yield f"{a.name}, input {slot}", _text(self.first, mine), _text(self.second, theirs)
        for key, mine in self.first.outputs.items():
            theirs = self.second.outputs.get(key, (-1, 0))
            is_paired = self.partners[0][mine[0]] >= 0 and theirs[0] >= 0 and self.partners[1][theirs[0]] >= 0
            if is_paired and not self._is_same(mine, theirs, names):
                yield f"output {key!r}", _text(self.first, mine), _text(self.second, theirs)

    @property
    def _doubtful(self) -> tuple[Integers, Integers]:
        """Pairs whose inputs all have partners, which are not each other's."""
        firsts, seconds = self.pairs
        known = [
            _is_all(whole, partners[whole.sources // OUTPUTS] >= 0)
            for whole, partners in zip(self.both, self.partners, strict=True)
        ]
        is_used = _used(self.first)[firsts] | _used(self.second)[seconds]
        kept = known[0][firsts] & known[1][seconds] & is_used
        firsts, seconds = firsts[kept], seconds[kept]
        counts, others = (
            np.diff(whole.offsets)[places] for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        is_doubtful = counts != others
        owners, a, b = self._taken(firsts, seconds)
        is_other = (a % OUTPUTS != b % OUTPUTS) | (self.partners[0][a // OUTPUTS] != b // OUTPUTS)
        is_doubtful[owners[is_other]] = True
        return firsts[is_doubtful], seconds[is_doubtful]

    def _taken(self, firsts: Integers, seconds: Integers) -> tuple[Integers, Integers, Integers]:
        """Return what some pairs with as many inputs take, input by input: which pair, and both tensors."""
        counts, others = (
            np.diff(whole.offsets)[places] for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        alike = np.flatnonzero(counts == others)
        a, b = (
            whole.sources[spread(whole.offsets[places[alike]], counts[alike])]
            for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        return np.repeat(alike, counts[alike]), a, b

    def _is_same(self, mine: Tensor, theirs: Tensor, weight_names: Sequence[set[str]]) -> bool:
        """Whether two tensors are the same: those of partners, or of ops that compute the same."""
        if mine[1] != theirs[1]:
            return False
        if self.partners[0][mine[0]] == theirs[0] or (mine[0], theirs[0]) in self.equal_weights:
            return True
        a, b = self.first.ops[mine[0]], self.second.ops[theirs[0]]
        if WEIGHT in (a.op, b.op):
            # Weights compute nothing: where names tell which is which, others go together in vain.
            return a.op == b.op and a.name not in weight_names[1] and b.name not in weight_names[0]
        return bool(self.marks[0][mine[0]] == self.marks[1][theirs[0]])

    @property
    def renamed(self) -> dict[tuple[str, str], int]:
        """How many ops a scope renames, by the scope's two names; numbers that TensorFlow appends are no names."""
        firsts, seconds = self.pairs
        is_named = np.array([op not in _NAMELESS for op, _ in self.first.described] or [False], bool)
        kept = is_named[self.first.codes[firsts]]
        names = [whole.names.of(places[kept]) for whole, places in zip(self.both, (firsts, seconds), strict=True)]
        # Most have the same name in another scope: the scopes are told apart once.
        others = names[0] != names[1]
        scopes: Counter[tuple[str, str]] = Counter()
        for a, b in zip(names[0][others], names[1][others], strict=True):
            (mine, _, own), (theirs, _, other) = a.rpartition("/"), b.rpartition("/")
            scopes[(mine, theirs) if own == other else (a, b)] += 1
        counts: Counter[tuple[str, str]] = Counter()
        for (mine, theirs), count in scopes.items():
            pair = parted(NUMBER.sub("", mine), NUMBER.sub("", theirs))
            if pair[0] != pair[1]:
                counts[pair] += count
        return dict(counts)


def _left(whole: Computation, partners: Integers) -> list[int]:
    """Return the ops without partners, but for those that nothing takes, such as an axis that says nothing."""
    return np.flatnonzero(_used(whole) & (partners < 0)).tolist()


def _used(whole: Computation) -> Mask:
    """Say of each op whether another one takes what it gives, it comes out, or it changes state."""
    is_taken = np.zeros(len(whole.codes), bool)
    is_taken[whole.sources // OUTPUTS] = True
    is_taken[[place for place, _ in whole.outputs.values()]] = True
    is_taken[whole.changes] = True
    return is_taken


def _is_all(whole: Computation, flags: Mask) -> Mask:
    """Say of each op whether all its inputs have a flag."""
    missing = np.concatenate([[0], np.cumsum(~flags)])
    return np.asarray(np.diff(missing[whole.offsets]) == 0)


def _text(whole: Computation, tensor: Tensor) -> str:
    name = whole.names[tensor[0]]
    return f"{name}:{tensor[1]}" if tensor[1] else name


def parted(first: str, second: str) -> tuple[str, str]:
    """Return two names without the parts at their ends that they share."""
    a, b = first.split("/"), second.split("/")
    while a and b and a[-1] == b[-1]:
        a.pop()
        b.pop()
    return "/".join(a), "/".join(b)


def same() -> Matching:
    """Return the matching of two computations that are known to be one."""
    return Matching(Computation(), Computation(), is_same=True)


def named(whole: Computation, places: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield op and name of what stands at places, but for inputs, weights, and what nobody knows anything of."""
    for place in places:
        op = whole.described[whole.codes[place]][0]
        if op not in (INPUT, WEIGHT, UNKNOWN):
            yield op, whole.names[place]

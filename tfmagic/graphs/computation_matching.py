"""Which ops of two computations are the same, whatever they are called, and what is left over.

An op that was put in between changes what everything behind it is made of: so ops are matched by all that comes before
them, the rest by all that comes after, the rest of those by name. Each step takes time that grows with the number of
ops alone. Not for: weights' values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tfmagic.graphs.computation import INPUT, WEIGHT, Computation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.graphs.computation import Op, Tensor

_Pairs: TypeAlias = dict[int, int]
_Integers: TypeAlias = "npt.NDArray[np.int64]"
_Mask: TypeAlias = "npt.NDArray[np.bool_]"
#: More than there are marks, outputs of an op or inputs: numbers below it are joined to one, which tells them apart.
_MOST = 1 << 40
#: What TensorFlow appends to a scope that is opened again.
_NUMBER = re.compile(r"(?:_\d+)+(?=/|$)")


@dataclass
class Matching:
    """What two computations have in common, by the places of their ops.

    Attributes
    ----------
    pairs : dict of int to int
        Ops that are the same, or that have the same name and op.
    first_only, second_only : list of int
        Ops that the other one has not.
    is_same : bool
        Whether both are the same bytes: then nothing was looked at.
    marks : two lists of int
        A number for each op by what it is made of.
    """

    first: Computation
    second: Computation
    pairs: _Pairs = field(default_factory=dict)
    first_only: list[int] = field(default_factory=list)
    second_only: list[int] = field(default_factory=list)
    is_same: bool = False
    marks: tuple[list[int], list[int]] = ([], [])

    @property
    def is_cut(self) -> bool:
        """Whether one of the two has more ops than were looked at."""
        return any(each.is_cut for each in self.both)

    @property
    def both(self) -> tuple[Computation, Computation]:
        """The two computations."""
        return self.first, self.second

    @property
    def has_all_weights(self) -> bool:
        """Whether each weight that one computation uses is a weight of the other one, too."""
        left = [self.first.ops[place] for place in self.first_only] + [
            self.second.ops[place] for place in self.second_only
        ]
        return not any(op.op == WEIGHT for op in left)

    @property
    def constants(self) -> Iterator[tuple[str, str, bool]]:
        """The names of weights that are constants in both graphs, and whether they are equal."""
        for first, second in self.pairs.items():
            if first in self.first.constants and second in self.second.constants:
                is_equal = self.first.constants[first] == self.second.constants[second]
                yield self.first.ops[first].name, self.second.ops[second].name, is_equal

    @property
    def changed(self) -> Iterator[tuple[Op, Op]]:
        """Pairs that have other attributes."""
        for first, second in self.pairs.items():
            a, b = self.first.ops[first], self.second.ops[second]
            if a.attributes != b.attributes:
                yield a, b

    @property
    def rewired(self) -> Iterator[tuple[str, str, str]]:
        """What takes other tensors than its partner, with these: a node and its input, or an output by its key.

        Where one of the tensors is of an op that only one computation has, that says it.
        """
        taken = set(self.pairs.values())
        names = [{op.name for op in each.ops if op.op == WEIGHT} for each in self.both]
        for first, second in self.pairs.items():
            a, b = self.first.ops[first], self.second.ops[second]
            if any(place not in self.pairs for place, _ in a.inputs) or any(
                place not in taken for place, _ in b.inputs
            ):
                continue
            if len(a.inputs) != len(b.inputs):
                yield f"{a.name}, inputs", f"{len(a.inputs)} inputs", f"{len(b.inputs)} inputs"
                continue
            for slot, (mine, theirs) in enumerate(zip(a.inputs, b.inputs, strict=True)):
                if not self._is_same(mine, theirs, names):
                    yield f"{a.name}, input {slot}", _text(self.first, mine), _text(self.second, theirs)
        for key, mine in self.first.outputs.items():
            theirs = self.second.outputs.get(key, (-1, 0))
            if mine[0] in self.pairs and theirs[0] in taken and not self._is_same(mine, theirs, names):
                yield f"output {key!r}", _text(self.first, mine), _text(self.second, theirs)

    def _is_same(self, mine: Tensor, theirs: Tensor, weight_names: Sequence[set[str]]) -> bool:
        """Whether two tensors are the same: those of partners, or of ops that compute the same."""
        if mine[1] != theirs[1]:
            return False
        if self.pairs[mine[0]] == theirs[0]:
            return True
        a, b = self.first.ops[mine[0]], self.second.ops[theirs[0]]
        if WEIGHT in (a.op, b.op):
            # Weights compute nothing: where names tell which is which, others go together in vain.
            return a.op == b.op and a.name not in weight_names[1] and b.name not in weight_names[0]
        return self.marks[0][mine[0]] == self.marks[1][theirs[0]]

    @property
    def renamed(self) -> dict[tuple[str, str], int]:
        """How many ops a scope renames, by the scope's two names; numbers that TensorFlow appends are no names."""
        scopes: Counter[tuple[str, str]] = Counter()
        for first, second in self.pairs.items():
            a, b = self.first.ops[first].name, self.second.ops[second].name
            if a != b and self.first.ops[first].op not in (INPUT, WEIGHT, "Const"):
                pair = parted(_NUMBER.sub("", a), _NUMBER.sub("", b))
                scopes.update([pair] if pair[0] != pair[1] else [])
        return dict(scopes)


def _text(computation: Computation, tensor: Tensor) -> str:
    name = computation.ops[tensor[0]].name
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


def match(first: Computation, second: Computation) -> Matching:
    """Match the ops of two computations whose inputs have the same keys."""
    matching = Matching(first, second)
    kinds = _Numbers()
    matching.marks = _forward(first, kinds), _forward(second, kinds)
    _pair(matching, *matching.marks)
    if len(matching.pairs) < max(len(first.ops), len(second.ops)):
        _pair(matching, _backward(first, kinds), _backward(second, kinds))
        _pair(matching, *_by_name(matching))
    taken = set(matching.pairs.values())
    matching.first_only = [place for place in range(len(first.ops)) if place not in matching.pairs]
    matching.second_only = [place for place in range(len(second.ops)) if place not in taken]
    return matching


class _Numbers(dict[object, int]):
    """Numbers for what is asked for, in the order of asking; a million tuples would keep the garbage collector busy."""

    def __missing__(self, key: object) -> int:
        number = self[key] = len(self)
        return number


def _pair(matching: Matching, first: Sequence[int], second: Sequence[int]) -> None:
    """Pair what is left and has the same mark, which is no negative number: those of one name first, then in order."""
    left = _marks_left(first, matching.pairs.keys()), _marks_left(second, set(matching.pairs.values()))
    counts = [np.bincount(marks[marks >= 0], minlength=max(map(_greatest, left)) + 1) for marks in left]
    once = (counts[0] == 1) & (counts[1] == 1)
    twins = np.full(len(once), -1)
    twins[left[1][_is_any(left[1], once)]] = np.flatnonzero(_is_any(left[1], once))
    single = np.flatnonzero(_is_any(left[0], once))
    matching.pairs.update(zip(single.tolist(), twins[left[0][single]].tolist(), strict=True))
    several = (counts[0] > 0) & (counts[1] > 0) & ~once
    _pair_several(matching, *(_places_by_mark(marks, several) for marks in left))


def _marks_left(marks: Sequence[int], taken: Collection[int]) -> _Integers:
    left = np.array(marks, np.int64)
    left[np.fromiter(taken, np.int64, len(taken))] = -1
    return left


def _greatest(marks: _Integers) -> int:
    return int(marks.max(initial=-1))


def _is_any(marks: _Integers, wanted: _Mask) -> _Mask:
    """Say of each mark whether it is wanted; a negative one is none."""
    return np.append(wanted, False)[marks]


def _places_by_mark(marks: _Integers, wanted: _Mask) -> dict[int, list[int]]:
    places: dict[int, list[int]] = defaultdict(list)
    chosen = np.flatnonzero(_is_any(marks, wanted))
    for place, mark in zip(chosen.tolist(), marks[chosen].tolist(), strict=True):
        places[mark].append(place)
    return places


def _pair_several(matching: Matching, first: Mapping[int, list[int]], second: Mapping[int, list[int]]) -> None:
    """Pair what shares its mark with others: those of one name, then the rest in order."""
    for mark, places in first.items():
        by_name = {matching.second.ops[place].name: place for place in reversed(second[mark])}
        rest = []
        for place in places:
            twin = by_name.pop(matching.first.ops[place].name, None)
            if twin is None:
                rest.append(place)
            else:
                matching.pairs[place] = twin
        if rest:
            taken = {matching.pairs[place] for place in places if place in matching.pairs}
            matching.pairs.update(zip(rest, (place for place in second[mark] if place not in taken), strict=False))


def _by_name(matching: Matching) -> tuple[list[int], list[int]]:
    """Return a number for each op that is left by its kind and its name, without what TensorFlow appends to names."""
    numbers = _Numbers()
    left = matching.pairs.keys(), set(matching.pairs.values())
    first, second = (
        [-1 if place in taken else numbers[op.op, _NUMBER.sub("", op.name)] for place, op in enumerate(computation.ops)]
        for computation, taken in zip(matching.both, left, strict=True)
    )
    return first, second


def _forward(computation: Computation, numbers: _Numbers) -> list[int]:
    """Return a number for each op by what it is made of: the same one means the same computation up to there."""
    marks: list[int] = []
    for op in computation.ops:
        mark = numbers[op.op, op.name if op.op == INPUT else "", op.attributes, len(op.inputs)]
        for place, output in op.inputs:
            mark = numbers[(mark * _MOST + marks[place]) * _MOST + output]
        marks.append(mark)
    return marks


def _backward(computation: Computation, numbers: _Numbers) -> list[int]:
    """Return a number for each op by what is made of it."""
    uses: list[list[int]] = [[] for _ in computation.ops]
    for key, (place, output) in computation.outputs.items():
        uses[place].append((numbers["result", key] * _MOST + output) * _MOST)
    marks = [0] * len(computation.ops)
    for place in reversed(range(len(computation.ops))):
        op = computation.ops[place]
        mark = numbers["of", op.op, op.name if op.op == INPUT else "", op.attributes, len(uses[place])]
        for use in sorted(uses[place]):
            mark = numbers[-1 - mark * _MOST**3 - use]
        marks[place] = mark
        uses[place] = []
        for slot, (source, output) in enumerate(op.inputs):
            uses[source].append((mark * _MOST + output) * _MOST + slot + 1)
    return marks


def named(computation: Computation, places: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yield op and name of what stands at places, inputs and weights left out."""
    for place in places:
        op = computation.ops[place]
        if op.op not in (INPUT, WEIGHT):
            yield op.op, op.name

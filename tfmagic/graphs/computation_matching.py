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

from tfmagic.graphs.computation import INPUT, WEIGHT, Computation

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from tfmagic.graphs.computation import Op, Tensor

_Pairs: TypeAlias = dict[int, int]
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
    numbers: dict[Hashable, int] = {}
    matching.marks = _forward(first, numbers), _forward(second, numbers)
    _pair(matching, *matching.marks)
    if len(matching.pairs) < max(len(first.ops), len(second.ops)):
        _pair(matching, _backward(first, numbers), _backward(second, numbers))
        names = [[(op.op, _NUMBER.sub("", op.name)) for op in each.ops] for each in (first, second)]
        _pair(matching, *names)
    taken = set(matching.pairs.values())
    matching.first_only = [place for place in range(len(first.ops)) if place not in matching.pairs]
    matching.second_only = [place for place in range(len(second.ops)) if place not in taken]
    return matching


def _pair(matching: Matching, first: Sequence[Hashable], second: Sequence[Hashable]) -> None:
    """Pair what is left and has the same mark: those of one name first, then in order."""
    taken = set(matching.pairs.values())
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for place, mark in enumerate(second):
        if place not in taken:
            waiting[mark].append(place)
    rest: list[int] = []
    by_name = {(mark, matching.second.ops[place].name): place for mark, places in waiting.items() for place in places}
    for place, mark in enumerate(first):
        if place in matching.pairs or mark not in waiting:
            continue
        twin = by_name.pop((mark, matching.first.ops[place].name), None)
        if twin is None:
            rest.append(place)
        else:
            matching.pairs[place] = twin
            taken.add(twin)
    free = {mark: iter([place for place in places if place not in taken]) for mark, places in waiting.items()}
    for place in rest:
        twin = next(free[first[place]], None)
        if twin is not None:
            matching.pairs[place] = twin


def _forward(computation: Computation, numbers: dict[Hashable, int]) -> list[int]:
    """Return a number for each op by what it is made of: the same one means the same computation up to there."""
    marks: list[int] = []
    for op in computation.ops:
        key = op.name if op.op == INPUT else ""
        mark = (op.op, key, op.attributes, tuple((marks[place], output) for place, output in op.inputs))
        marks.append(numbers.setdefault(mark, len(numbers)))
    return marks


def _backward(computation: Computation, numbers: dict[Hashable, int]) -> list[int]:
    """Return a number for each op by what is made of it."""
    uses: list[list[tuple[int, int, int]]] = [[] for _ in computation.ops]
    for key, (place, output) in computation.outputs.items():
        uses[place].append((numbers.setdefault(("result", key), len(numbers)), output, -1))
    marks = [0] * len(computation.ops)
    for place in reversed(range(len(computation.ops))):
        op = computation.ops[place]
        key = op.name if op.op == INPUT else ""
        mark = ("of", op.op, key, op.attributes, tuple(sorted(uses[place])))
        marks[place] = numbers.setdefault(mark, len(numbers))
        for slot, (source, output) in enumerate(op.inputs):
            uses[source].append((marks[place], output, slot))
    return marks


def named(computation: Computation, places: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yield op and name of what stands at places, inputs and weights left out."""
    for place in places:
        op = computation.ops[place]
        if op.op not in (INPUT, WEIGHT):
            yield op.op, op.name

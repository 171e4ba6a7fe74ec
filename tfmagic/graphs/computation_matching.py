"""Which ops of two computations are the same, whatever they are called, and what is left over.

An op that was put in between changes what everything behind it is made of: so ops are matched by all that comes before
them, the rest by all that comes after, the rest of those by name. Each step takes time that grows with the number of
ops alone. Not for: weights' values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.graphs.computation import INPUT, UNKNOWN, Computation, spread
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.computation import Op, Tensor

#: A mark is less than two to this.
_BITS = 32
#: With the place of an op of the first computation, the mark of a pair.
_PAIRED = 1 << _BITS - 1
#: Ops with more inputs take a mark after each of them: longer integers take longer.
_FEW_INPUTS = 2
#: What TensorFlow appends to a scope that is opened again.
_NUMBER = re.compile(r"(?:_\d+)+(?=/|$)")
#: What is no op of TensorFlow whose scope would be renamed.
_CONSTANT = "Const"
_NAMELESS = (INPUT, WEIGHT, _CONSTANT)

_Marks: TypeAlias = "npt.NDArray[np.int64]"


def _no_marks() -> tuple[_Marks, _Marks]:
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
    marks : two int arrays
        A number for each op by what it is made of.
    """

    first: Computation
    second: Computation
    partners: tuple[Integers, Integers] = field(default_factory=_no_marks)
    is_same: bool = False
    marks: tuple[_Marks, _Marks] = field(default_factory=_no_marks)

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
        numbers = _Numbers()
        a, b = (
            np.array([numbers[attributes] for _, attributes in whole.described] or [0], np.int64)[whole.codes[places]]
            for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        for place in np.flatnonzero(a != b).tolist():
            pair = self.first.ops[int(firsts[place])], self.second.ops[int(seconds[place])]
            if WEIGHT not in (pair[0].op, pair[1].op):
                yield pair

    @property
    def stand_ins(self) -> Iterator[tuple[Op, Op]]:
        """Pairs of a variable and a constant whose value is compared with the variable's."""
        for firsts, wanted in ((self.first.of_ops(WEIGHT), _CONSTANT), (self.first.of_ops(_CONSTANT), WEIGHT)):
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
        kept = known[0][firsts] & known[1][seconds]
        firsts, seconds = firsts[kept], seconds[kept]
        counts, others = (
            np.diff(whole.offsets)[places] for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        is_doubtful = counts != others
        alike = np.flatnonzero(~is_doubtful)
        a, b = (
            whole.sources[spread(whole.offsets[places[alike]], counts[alike])]
            for whole, places in zip(self.both, (firsts, seconds), strict=True)
        )
        is_other = (a % OUTPUTS != b % OUTPUTS) | (self.partners[0][a // OUTPUTS] != b // OUTPUTS)
        is_doubtful[np.repeat(alike, counts[alike])[is_other]] = True
        return firsts[is_doubtful], seconds[is_doubtful]

    def _is_same(self, mine: Tensor, theirs: Tensor, weight_names: Sequence[set[str]]) -> bool:
        """Whether two tensors are the same: those of partners, or of ops that compute the same."""
        if mine[1] != theirs[1]:
            return False
        if self.partners[0][mine[0]] == theirs[0]:
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
            pair = parted(_NUMBER.sub("", mine), _NUMBER.sub("", theirs))
            if pair[0] != pair[1]:
                counts[pair] += count
        return dict(counts)


def _left(whole: Computation, partners: Integers) -> list[int]:
    """Return the ops without partners, but for those that nothing takes, such as an axis that says nothing."""
    is_taken = np.zeros(len(partners), bool)
    is_taken[whole.sources // OUTPUTS] = True
    is_taken[[place for place, _ in whole.outputs.values()]] = True
    return np.flatnonzero(is_taken & (partners < 0)).tolist()


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


def match(first: Computation, second: Computation) -> Matching:
    """Match the ops of two computations whose inputs have the same keys."""
    partners = np.full(len(first.codes), -1, np.int64), np.full(len(second.codes), -1, np.int64)
    matching = Matching(first, second, partners)
    numbers = _Numbers()
    matching.marks = _forward(first, numbers), _forward(second, numbers)
    _pair(matching, matching.marks)
    if any((each < 0).any() for each in partners):
        uses = _uses(first, numbers), _uses(second, numbers)
        _pair_from_the_ends(matching, uses, numbers)
        _pair(matching, _backward(matching, uses, numbers))
        _pair(matching, _by_name(matching))
        _pair_stand_ins(matching, uses)
    return matching


class _Numbers(dict[object, int]):
    """Numbers from 1 on for what is asked for; integers, as a million tuples would keep the garbage collector busy."""

    def __missing__(self, key: object) -> int:
        number = self[key] = len(self) + 1
        return number


def _pair(matching: Matching, marks: tuple[_Marks, _Marks]) -> None:
    """Pair what is left and has the same mark, which is no negative number: those of one name first, then in order."""
    left = [np.where(partners < 0, each, -1) for each, partners in zip(marks, matching.partners, strict=True)]
    most = 1 + max(int(each.max(initial=-1)) for each in left)
    counts = [np.bincount(each[each >= 0], minlength=most) for each in left]
    once = (counts[0] == 1) & (counts[1] == 1)
    by_mark = np.full(most, -1)
    places = np.flatnonzero(_is_any(left[1], once))
    by_mark[left[1][places]] = places
    firsts = np.flatnonzero(_is_any(left[0], once))
    _join(matching, firsts, by_mark[left[0][firsts]])
    several = (counts[0] > 0) & (counts[1] > 0) & ~once
    _pair_several(matching, *(_places_by_mark(each, several) for each in left))


def _join(matching: Matching, firsts: Integers | list[int], seconds: Integers | list[int]) -> None:
    matching.partners[0][firsts] = seconds
    matching.partners[1][seconds] = firsts


def _is_any(marks: _Marks, wanted: Mask) -> Mask:
    """Say of each mark whether it is wanted; a negative one is none."""
    return np.append(wanted, False)[marks]


def _places_by_mark(marks: _Marks, wanted: Mask) -> dict[int, list[int]]:
    places: dict[int, list[int]] = defaultdict(list)
    chosen = np.flatnonzero(_is_any(marks, wanted))
    for place, mark in zip(chosen.tolist(), marks[chosen].tolist(), strict=True):
        places[mark].append(place)
    return places


def _pair_several(matching: Matching, first: Mapping[int, list[int]], second: Mapping[int, list[int]]) -> None:
    """Pair what shares its mark with others: those of one name, then the rest in order."""
    firsts: list[int] = []
    seconds: list[int] = []
    for mark, places in first.items():
        by_name = {matching.second.names[place]: place for place in reversed(second[mark])}
        rest, taken = [], set()
        for place in places:
            twin = by_name.pop(matching.first.names[place], None)
            if twin is None:
                rest.append(place)
            else:
                firsts.append(place)
                seconds.append(twin)
                taken.add(twin)
        free = [place for place in second[mark] if place not in taken]
        firsts += rest[: len(free)]
        seconds += free[: len(rest)]
    _join(matching, firsts, seconds)


def _by_name(matching: Matching) -> tuple[_Marks, _Marks]:
    """Return a number for each op that is left by its kind and its name, without what TensorFlow appends to names."""
    numbers = _Numbers()
    marks = []
    for whole, partners in zip(matching.both, matching.partners, strict=True):
        own = np.full(len(partners), -1, np.int64)
        places = np.flatnonzero(partners < 0)
        ops = [whole.described[code][0] for code in whole.codes[places].tolist()]
        names = whole.names.of(places)
        own[places] = [numbers[op, _NUMBER.sub("", name)] for op, name in zip(ops, names, strict=True)]
        marks.append(own)
    return marks[0], marks[1]


def _first_marks(whole: Computation, numbers: _Numbers, way: str, counts: Integers) -> Integers:
    """Return a number for each op by what it computes by itself, and how many tensors it has to do with."""
    codes = np.array([numbers[described] for described in whole.described] or [0], np.int64)[whole.codes]
    pairs, places = np.unique(codes << _BITS | counts, return_inverse=True)
    marks = np.array([numbers[way, pair] for pair in pairs.tolist()], np.int64)[places]
    for place in whole.of_ops(INPUT).tolist():
        marks[place] = numbers[way, whole.names[place], int(counts[place])]
    return marks


def _forward(whole: Computation, numbers: _Numbers) -> _Marks:
    """Return a number for each op by what it is made of: the same one means the same computation up to there."""
    counts = np.diff(whole.offsets)
    marks = _first_marks(whole, numbers, "forward", counts).tolist()
    number, numbered = numbers.setdefault, numbers.__len__
    for place, outputs in _further_outputs(whole, counts):
        marks[place] = numbers[marks[place], outputs]
    sources = (whole.sources // OUTPUTS).tolist()
    takers = np.flatnonzero(counts)
    for place, begin, count in zip(
        *(each.tolist() for each in (takers, whole.offsets[takers], counts[takers])), strict=True
    ):
        mark = marks[place]
        if count == 1:
            mark = mark << _BITS | marks[sources[begin]]
        elif count == _FEW_INPUTS:
            mark = (mark << _BITS | marks[sources[begin]]) << _BITS | marks[sources[begin + 1]]
        else:
            for source in sources[begin : begin + count - 1]:
                mark = number(mark << _BITS | marks[source], numbered() + 1)
            mark = mark << _BITS | marks[sources[begin + count - 1]]
        marks[place] = number(mark, numbered() + 1)
    return np.array(marks, np.int64)


def _further_outputs(whole: Computation, counts: Integers) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the ops that consume anything but the first outputs of others, with the numbers of these outputs."""
    owners = np.repeat(np.arange(len(counts)), counts)
    for place in np.unique(owners[whole.sources % OUTPUTS > 0]).tolist():
        outputs = whole.sources[whole.offsets[place] : whole.offsets[place + 1]] % OUTPUTS
        yield place, tuple(outputs.tolist())


class _Uses(NamedTuple):
    """What is made of each op, those of the last op first.

    Attributes
    ----------
    firsts : int array
        Where the uses of each op begin, counted from the last op on, and the end.
    users : int array
        The ops that use it, counted from the last one on as well, from 1; 0 where it comes out.
    labels : int array
        Numbers that say how.
    """

    firsts: Integers
    users: Integers
    labels: Integers


def _uses(whole: Computation, numbers: _Numbers) -> _Uses:
    """Gather the uses of all ops, in an order that what comes before does not change."""
    count = len(whole.codes)
    counts = np.diff(whole.offsets)
    slots = np.arange(len(whole.sources)) - np.repeat(whole.offsets[:-1], counts)
    ways, places = np.unique(slots * OUTPUTS + whole.sources % OUTPUTS, return_inverse=True)
    labels = np.array([numbers["input", way] for way in ways.tolist()], np.int64)[places]
    ends = list(whole.outputs.items())
    results = np.array([numbers["result", key, output] for key, (_, output) in ends], np.int64)
    used = count - 1 - np.concatenate([whole.sources // OUTPUTS, np.array([end for _, (end, _) in ends], np.int64)])
    users = np.concatenate([count - np.repeat(np.arange(count), counts), np.zeros(len(ends), np.int64)])
    labels = np.concatenate([labels, results])
    order = np.lexsort((labels, users, used))
    firsts = np.concatenate([[0], np.cumsum(np.bincount(used, minlength=count))])
    return _Uses(firsts, users[order], labels[order])


def _pair_from_the_ends(matching: Matching, uses: tuple[_Uses, _Uses], numbers: _Numbers) -> None:
    """Pair what is left at the ends of both, as far as the same is made of it: most models differ in a few places."""
    count, other_count = (len(whole.codes) for whole in matching.both)
    firsts = np.arange(count - _count_alike(matching, uses, numbers), count)
    seconds = firsts + other_count - count
    is_left = (matching.partners[0][firsts] < 0) & (matching.partners[1][seconds] < 0)
    _join(matching, firsts[is_left], seconds[is_left])


def _count_alike(matching: Matching, uses: tuple[_Uses, _Uses], numbers: _Numbers) -> int:
    """Return how many ops at the ends of both are by themselves the same, and have the same uses."""
    marks = [_backward_marks(*each, numbers)[::-1] for each in zip(matching.both, uses, strict=True)]
    count = _common_length(marks)
    rows = int(uses[0].firsts[count])
    row = min(
        _common_length([each.users[:rows] for each in uses]), _common_length([each.labels[:rows] for each in uses])
    )
    return count if row == rows else int(np.searchsorted(uses[0].firsts, row, "right")) - 1


def _pair_stand_ins(matching: Matching, uses: tuple[_Uses, _Uses]) -> None:
    """Pair variables that are left with constants that are left where the same ops take them: freezing makes these.

    A constant of one element, or of whole numbers, is as a rule no weight, so that nothing else tells.
    """
    waiting: dict[object, list[int]] = defaultdict(list)
    for own, wanted, place, key in _left_leaves(matching, uses):
        if own == 0:
            waiting[wanted, key].append(place)
            continue
        kinds = {WEIGHT: _CONSTANT, _CONSTANT: WEIGHT}
        firsts = waiting.get((kinds[wanted], key))
        if firsts:
            _join(matching, [firsts.pop(0)], [place])


def _left_leaves(matching: Matching, uses: tuple[_Uses, _Uses]) -> Iterator[tuple[int, str, int, object]]:
    """Yield weights and constants that are left: of which computation, what it is, its place, which pairs take it."""
    for side, whole in enumerate(matching.both):
        count, partners, own = len(whole.codes), matching.partners[side], uses[side]
        for op in (WEIGHT, _CONSTANT):
            for place in [each for each in whole.of_ops(op).tolist() if partners[each] < 0]:
                begin, end = own.firsts[count - 1 - place : count - place + 1].tolist()
                users = [count - user for user in own.users[begin:end].tolist()]
                if end > begin and all(user < count and partners[user] >= 0 for user in users):
                    pairs = users if side == 0 else partners[users].tolist()
                    yield side, op, place, frozenset(zip(pairs, own.labels[begin:end].tolist(), strict=True))


def _common_length(columns: Sequence[Integers]) -> int:
    """Return how many numbers at the beginnings of two columns are the same."""
    length = min(map(len, columns))
    others = np.flatnonzero(columns[0][:length] != columns[1][:length])
    return int(others[0]) if len(others) else length


def _backward_marks(whole: Computation, uses: _Uses, numbers: _Numbers) -> _Marks:
    """Return a number for each op by what it computes by itself, and how many uses it has."""
    return _first_marks(whole, numbers, "backward", np.diff(uses.firsts)[::-1])


def _backward(matching: Matching, uses: tuple[_Uses, _Uses], numbers: _Numbers) -> tuple[_Marks, _Marks]:
    """Return a number for each op that is left by what is made of it, where what is paired counts as one."""
    pairs = np.arange(len(matching.first.codes)), matching.partners[1]
    first, second = (
        _backward_of_left(_backward_marks(whole, each, numbers), partners < 0, _PAIRED | places, each, numbers)
        for whole, partners, places, each in zip(matching.both, matching.partners, pairs, uses, strict=True)
    )
    return first, second


def _backward_of_left(own: _Marks, is_left: Mask, paired: _Marks, uses: _Uses, numbers: _Numbers) -> _Marks:
    # From the last op on, behind what stands for the outside.
    marks = [0, *np.where(is_left, own, paired)[::-1].tolist()]
    left = np.flatnonzero(is_left[::-1])
    number, numbered = numbers.setdefault, numbers.__len__
    users, labels = uses.users.tolist(), uses.labels.tolist()
    for place, begin, end in zip(
        *(each.tolist() for each in (left + 1, uses.firsts[left], uses.firsts[left + 1])), strict=True
    ):
        mark = marks[place]
        for use in sorted([marks[users[each]] << _BITS | labels[each] for each in range(begin, end)]):
            mark = number(mark << 2 * _BITS | use, numbered() + 1)
        marks[place] = mark
    return np.where(is_left, np.array(marks[:0:-1], np.int64), -1)


def named(whole: Computation, places: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield op and name of what stands at places, but for inputs, weights, and what nobody knows anything of."""
    for place in places:
        op = whole.described[whole.codes[place]][0]
        if op not in (INPUT, WEIGHT, UNKNOWN):
            yield op, whole.names[place]

"""Pairs ops of two computations that are the same, whatever they are called.

An op that was put in between changes what everything behind it is made of: so ops are paired by all that comes before
them, the rest by all that comes after, the rest of those in the order in which both run, and by name. Each step takes
time that grows with the number of ops alone. Not for: what differs (:mod:`tfmagic.graphs.computation_matching`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import computation_marks, sequence_alignment
from tfmagic.graphs.computation_marks import PAIRED, Numbers, Uses
from tfmagic.graphs.computation_matching import CONSTANT, NUMBER, Matching
from tfmagic.graphs.node_descriptions import WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.computation import Computation
    from tfmagic.graphs.computation_marks import Marks


def match(first: Computation, second: Computation) -> Matching:
    """Pair the ops of two computations whose inputs have the same keys."""
    partners = np.full(len(first.codes), -1, np.int64), np.full(len(second.codes), -1, np.int64)
    matching = Matching(first, second, partners)
    if _is_one(matching):
        places = np.arange(len(first.codes))
        _join(matching, places, places)
        return matching
    marks = zip(matching.marks, _other_weights(matching), strict=True)
    _pair(matching, _both(np.where(is_left, -1, each) for each, is_left in marks))
    if any((each < 0).any() for each in partners):
        numbers = Numbers()
        uses = computation_marks.uses(first, numbers), computation_marks.uses(second, numbers)
        by_use = _both(computation_marks.by_use(*each, numbers) for each in zip(matching.both, uses, strict=True))
        _pair_from_the_ends(matching, uses, by_use)
        _pair_in_order(matching)
        _pair(matching, _backward(matching, uses, by_use, numbers))
        _pair(matching, _by_name(matching))
        _pair(matching, _by_neighbours(matching))
        _pair_stand_ins(matching, uses)
        _pair(matching, _of_weights(matching))
    return matching


def _both(pair: Iterable[Marks]) -> tuple[Marks, Marks]:
    first, second = pair
    return first, second


def _is_one(matching: Matching) -> bool:
    """Whether both are written down alike, op by op: no more needs to be asked then."""
    first, second = matching.both
    if not all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("offsets", "sources")):
        return False
    numbers, counts = Numbers(), np.diff(first.offsets)
    mine, theirs = (computation_marks.of_ops(whole, numbers, "", counts) for whole in matching.both)
    return np.array_equal(mine, theirs) and not _are_exchanged(matching)


def _are_exchanged(matching: Matching) -> bool:
    """Whether weights at one place in both have names that say that they belong elsewhere."""
    names = [whole.names.of(whole.of_ops(WEIGHT)) for whole in matching.both]
    known = [set(each) for each in names]
    return any(a != b and (a in known[1] or b in known[0]) for a, b in zip(*names, strict=True))


def _other_weights(matching: Matching) -> Iterator[Mask]:
    """Say of each op of a computation whether it is a weight whose name the other one has not."""
    places = [whole.of_ops(WEIGHT) for whole in matching.both]
    names = [whole.names.of(each) for whole, each in zip(matching.both, places, strict=True)]
    for side, whole in enumerate(matching.both):
        is_other, known = np.zeros(len(whole.codes), bool), set(names[1 - side])
        is_other[places[side]] = [name not in known for name in names[side]]
        yield is_other


def _pair(matching: Matching, marks: tuple[Marks, Marks]) -> None:
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


def _is_any(marks: Marks, wanted: Mask) -> Mask:
    """Say of each mark whether it is wanted; a negative one is none."""
    return np.append(wanted, False)[marks]


def _places_by_mark(marks: Marks, wanted: Mask) -> dict[int, list[int]]:
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


def _pair_from_the_ends(matching: Matching, uses: tuple[Uses, Uses], by_use: tuple[Marks, Marks]) -> None:
    """Pair what is left at the ends of both, as far as the same is made of it: most models differ in a few places."""
    count, other_count = (len(whole.codes) for whole in matching.both)
    firsts = np.arange(count - _count_alike(uses, by_use), count)
    seconds = firsts + other_count - count
    is_left = (matching.partners[0][firsts] < 0) & (matching.partners[1][seconds] < 0)
    _join(matching, firsts[is_left], seconds[is_left])


def _count_alike(uses: tuple[Uses, Uses], by_use: tuple[Marks, Marks]) -> int:
    """Return how many ops at the ends of both are by themselves the same, and have the same uses."""
    count = _common_length([each[::-1] for each in by_use])
    rows = int(uses[0].firsts[count])
    row = min(
        _common_length([each.users[:rows] for each in uses]), _common_length([each.labels[:rows] for each in uses])
    )
    return count if row == rows else int(np.searchsorted(uses[0].firsts, row, "right")) - 1


def _pair_in_order(matching: Matching) -> None:
    """Pair what is left and is by itself the same, where both run it between the same others: as files are compared."""
    places = [np.flatnonzero(partners < 0) for partners in matching.partners]
    numbers = Numbers()
    marks = [
        computation_marks.of_ops(whole, numbers, "", np.diff(whole.offsets))[left]
        for whole, left in zip(matching.both, places, strict=True)
    ]
    firsts, seconds = sequence_alignment.aligned(*marks)
    _join(matching, places[0][firsts], places[1][seconds])


def _backward(
    matching: Matching, uses: tuple[Uses, Uses], by_use: tuple[Marks, Marks], numbers: Numbers
) -> tuple[Marks, Marks]:
    """Return a number for each op that is left by what is made of it, where what is paired counts as one."""
    pairs = np.arange(len(matching.first.codes)), matching.partners[1]
    sides = zip(by_use, matching.partners, pairs, uses, strict=True)
    return _both(
        computation_marks.backward(own, partners < 0, PAIRED | places, each, numbers)
        for own, partners, places, each in sides
    )


def _by_name(matching: Matching) -> tuple[Marks, Marks]:
    """Return a number for each op that is left by its kind and its name, without what TensorFlow appends to names."""
    numbers = Numbers()
    marks = []
    for whole, partners in zip(matching.both, matching.partners, strict=True):
        own = np.full(len(partners), -1, np.int64)
        places = np.flatnonzero(partners < 0)
        ops = [whole.described[code][0] for code in whole.codes[places].tolist()]
        names = whole.names.of(places)
        own[places] = [numbers[op, NUMBER.sub("", name)] for op, name in zip(ops, names, strict=True)]
        marks.append(own)
    return marks[0], marks[1]


def _by_neighbours(matching: Matching) -> tuple[Marks, Marks]:
    """Return a number for each op that is left by its kind, and by what is paired that runs before it."""
    numbers = Numbers()
    marks = []
    for side, (whole, partners) in enumerate(zip(matching.both, matching.partners, strict=True)):
        is_left = partners < 0
        last = np.maximum.accumulate(np.where(is_left, -1, np.arange(len(partners))))[is_left]
        before = np.where(last < 0, -1, partners[last]) if side == 0 else last
        own = np.full(len(partners), -1, np.int64)
        ops = [whole.described[code][0] for code in whole.codes[is_left].tolist()]
        own[is_left] = [numbers[pair] for pair in zip(ops, before.tolist(), strict=True)]
        marks.append(own)
    return marks[0], marks[1]


def _of_weights(matching: Matching) -> tuple[Marks, Marks]:
    """Return a number for each weight that is left, the same for those of one dtype and shape."""
    numbers = Numbers()
    marks = []
    for whole, partners in zip(matching.both, matching.partners, strict=True):
        own = np.full(len(partners), -1, np.int64)
        places = whole.of_ops(WEIGHT)
        places = places[partners[places] < 0]
        own[places] = [numbers[whole.kinds.get(place, "")] for place in places.tolist()]
        marks.append(own)
    return marks[0], marks[1]


def _pair_stand_ins(matching: Matching, uses: tuple[Uses, Uses]) -> None:
    """Pair variables that are left with constants that are left where the same ops take them: freezing makes these.

    A constant of one element, or of whole numbers, is as a rule no weight, so that nothing else tells.
    """
    waiting: dict[object, list[int]] = defaultdict(list)
    for own, wanted, place, key in _left_leaves(matching, uses):
        if own == 0:
            waiting[wanted, key].append(place)
            continue
        kinds = {WEIGHT: CONSTANT, CONSTANT: WEIGHT}
        firsts = waiting.get((kinds[wanted], key))
        if firsts:
            _join(matching, [firsts.pop(0)], [place])


def _left_leaves(matching: Matching, uses: tuple[Uses, Uses]) -> Iterator[tuple[int, str, int, object]]:
    """Yield weights and constants that are left: of which computation, what it is, its place, which pairs take it."""
    for side, whole in enumerate(matching.both):
        count, partners, own = len(whole.codes), matching.partners[side], uses[side]
        for op in (WEIGHT, CONSTANT):
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

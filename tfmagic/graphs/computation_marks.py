"""Numbers of the ops of computations: by what each is made of, and by what is made of it.

Two ops have the same number where they compute the same, up to there or from there on, whatever they are called. Each
step takes time that grows with the number of ops alone. Not for: pairing ops
(:mod:`tfmagic.graphs.computation_pairing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.graphs.computation import INPUT
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.computation import Computation

Marks: TypeAlias = "npt.NDArray[np.int64]"

#: A mark is less than two to this.
_BITS = 32
#: With the place of an op of the first computation, the mark of a pair.
PAIRED = 1 << _BITS - 1
#: Ops with more inputs take a mark after each of them: longer integers take longer.
_FEW_INPUTS = 2


class Numbers(dict[object, int]):
    """Numbers from 1 on for what is asked for; integers, as a million tuples would keep the garbage collector busy."""

    def __missing__(self, key: object) -> int:
        number = self[key] = len(self) + 1
        return number


def of_ops(whole: Computation, numbers: Numbers, way: str, counts: Integers) -> Marks:
    """Return a number for each op by what it computes by itself, and how many tensors it has to do with."""
    codes = np.array([numbers[described] for described in whole.described] or [0], np.int64)[whole.codes]
    pairs, places = np.unique(codes << _BITS | counts, return_inverse=True)
    marks = np.array([numbers[way, pair] for pair in pairs.tolist()], np.int64)[places]
    for place in whole.of_ops(INPUT).tolist():
        marks[place] = numbers[way, whole.names[place], int(counts[place])]
    return marks


def forward(whole: Computation, numbers: Numbers) -> Marks:
    """Return a number for each op by what it is made of: the same one means the same computation up to there.

    What comes around a loop is no part of it.
    """
    counts = np.diff(whole.offsets)
    marks = of_ops(whole, numbers, "forward", counts).tolist()
    number, numbered = numbers.setdefault, numbers.__len__
    for place, outputs in _further_outputs(whole, counts):
        marks[place] = numbers[marks[place], outputs]
    sources = (whole.sources // OUTPUTS).tolist()
    counts[whole.backward_takers] = 0
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


class Uses(NamedTuple):
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


def uses(whole: Computation, numbers: Numbers) -> Uses:
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
    return Uses(firsts, users[order], labels[order])


def by_use(whole: Computation, uses: Uses, numbers: Numbers) -> Marks:
    """Return a number for each op by what it computes by itself, and how many uses it has."""
    return of_ops(whole, numbers, "backward", np.diff(uses.firsts)[::-1])


def backward(own: Marks, is_left: Mask, paired: Marks, uses: Uses, numbers: Numbers) -> Marks:
    """Return a number for each op that is left by what is made of it, -1 for the others.

    Parameters
    ----------
    own : int array
        The numbers of ops by themselves.
    is_left : bool array
        Which of them have no partner.
    paired : int array
        The numbers of those that have one.
    uses : Uses
        What is made of each.
    numbers : Numbers
        Shared by both computations.
    """
    # From the last op on, behind what stands for the outside.
    marks = [0, *np.where(is_left, own, paired)[::-1].tolist()]
    left = np.flatnonzero(is_left[::-1])
    number, numbered = numbers.setdefault, numbers.__len__
    users, labels = uses.users.tolist(), uses.labels.tolist()
    for place, begin, end in zip(
        *(each.tolist() for each in (left + 1, uses.firsts[left], uses.firsts[left + 1])), strict=True
    ):
        mark = marks[place]
        if end - begin == 1:
            mark = number((mark << _BITS | marks[users[begin]]) << _BITS | labels[begin], numbered() + 1)
        else:
            for use in sorted([marks[users[each]] << _BITS | labels[each] for each in range(begin, end)]):
                mark = number(mark << 2 * _BITS | use, numbered() + 1)
        marks[place] = mark
    return np.where(is_left, np.array(marks[:0:-1], np.int64), -1)

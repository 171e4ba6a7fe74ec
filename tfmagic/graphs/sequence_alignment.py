"""Which numbers of two sequences go together, in order, so that few are left out.

After E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (Algorithmica 1, 1986), piece by piece, as what
differences cost grows with their square. Not for: what the numbers stand for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.graphs.computation import spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.wire import Integers

#: So many differences are looked for at a time.
_MOST_AT_ONCE = 256
#: So many steps are taken in all: what differs in more is another thing, not the same with some changes.
_MOST_STEPS = 1 << 19
#: Numbers compared at first; the farther two run alike, the more at a time.
_FEW, _FACTOR = 64, 4
_NOWHERE = -2


class _Run(NamedTuple):
    """Where two sequences are alike: from which place on in each, and how far."""

    first: int
    second: int
    length: int


def aligned(first: Integers, second: Integers) -> tuple[Integers, Integers]:
    """Return the places of what goes together in each of the two."""
    search = _Search(first, second)
    runs = np.array([run for piece in search.pieces() for run in piece if run.length], np.int64).reshape(-1, 3)
    return spread(runs[:, 0], runs[:, 2]), spread(runs[:, 1], runs[:, 2])


class _Search:
    """Goes forward through two sequences, leaving out now a number of the one, now of the other.

    A diagonal is how much farther the way is in the first than in the second; a front says, for the number of
    differences so far, how far in the first each diagonal can be followed.
    """

    def __init__(self, first: Integers, second: Integers) -> None:
        self._first, self._second = first, second
        self._numbers = first.tolist(), second.tolist()
        self._begin = 0, 0

    def pieces(self) -> Iterator[list[_Run]]:
        """Yield the runs up to some number of differences, from there on those up to as many more, and so on."""
        steps = 0
        while self._begin[0] < len(self._first) and self._begin[1] < len(self._second) and steps < _MOST_STEPS:
            fronts = list(self._fronts())
            steps += sum(map(len, fronts))
            # The diagonal that leads farthest in both.
            diagonal = max(fronts[-1], key=lambda each: 2 * fronts[-1][each] - each)
            piece = self._way(fronts, diagonal)
            self._begin = piece[-1].first + piece[-1].length, piece[-1].second + piece[-1].length
            yield piece

    def _fronts(self) -> Iterator[dict[int, int]]:
        (x, y), front = self._begin, {1: self._begin[0]}
        ends = len(self._first), len(self._second)
        for count in range(_MOST_AT_ONCE):
            before, front = front, {}
            for diagonal in range(-count, count + 1, 2):
                begin = max(self._entries(before, diagonal))
                if begin >= 0:
                    front[diagonal] = begin + self._length(begin, begin - x - diagonal + y)
            yield front
            if any(end >= ends[0] and end - x - diagonal + y >= ends[1] for diagonal, end in front.items()):
                return

    def _entries(self, front: dict[int, int], diagonal: int) -> tuple[int, int]:
        """Return where a diagonal is entered by leaving out a number of the second, or of the first sequence."""
        x, y = self._begin
        below, above = front.get(diagonal + 1, _NOWHERE), front.get(diagonal - 1, _NOWHERE) + 1
        if below - x - diagonal + y > len(self._second):
            below = _NOWHERE
        return below, above if above <= len(self._first) else _NOWHERE

    def _length(self, x: int, y: int) -> int:
        """Return how many numbers are the same from two places on."""
        first, second = self._numbers
        length = min(len(first) - x, len(second) - y)
        if length <= 0 or first[x] != second[y]:
            return 0
        done, size = 1, _FEW
        while done < length:
            end = min(done + size, length)
            others = self._first[x + done : x + end] != self._second[y + done : y + end]
            place = int(others.argmax())
            if others[place]:
                return done + place
            done, size = end, size * _FACTOR
        return length

    def _way(self, fronts: list[dict[int, int]], diagonal: int) -> list[_Run]:
        """Return the runs of the way that ends on a diagonal."""
        x, y = self._begin
        runs = []
        for count in reversed(range(len(fronts))):
            end = fronts[count][diagonal]
            entries = self._entries(fronts[count - 1] if count else {1: x}, diagonal)
            begin = max(entries)
            runs.append(_Run(begin, begin - x - diagonal + y, end - begin))
            diagonal += 1 if begin == entries[0] else -1
        return runs[::-1]

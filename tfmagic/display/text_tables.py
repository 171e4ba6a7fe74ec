"""Rows and columns as lines of text, within the width that there is.

Not for: what stands in a cell (:func:`tfmagic.display.render.cell_text`).
"""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Between the columns of a table.
_GAP = "  "
#: Below this width a column says nothing; columns are left out before all of them are as narrow as this.
_NARROWEST, _READABLE = 8, 10
#: The first column says which row it is: others give way before.
_FIRST_COUNTS = 0.6
_CUT = "…"
#: So many blanks make a sentence.
_SENTENCE = 3

#: The characters that a line has room for, None where nobody looks at a terminal.
room: ContextVar[int | None] = ContextVar("tfmagic_room", default=None)


@contextmanager
def within(width: int | None) -> Iterator[None]:
    """Have what is laid out inside fit a width, in characters."""
    token = room.set(width)
    try:
        yield
    finally:
        room.reset(token)


def laid_out(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Lay out rows, the headings first, in columns.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells, as many in each row.
    width : int, optional
        Of a line, in characters. The widest columns give way, then the last ones are left out, which is said.
    """
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    count = len(sizes) if width is None else _fitting(sizes, width)
    left_out = len(sizes) - count
    sizes = sizes[:count] if width is None else _narrowed(sizes[:count], width)
    lines = [line for row in rows for line in _lines(row, sizes)]
    return [*lines, f"… and {left_out} more column{'' if left_out == 1 else 's'}"] if left_out else lines


def _lines(row: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """Lay out a row; a sentence at its end goes on below, where it begins."""
    cells = [_cut(cell, size) for cell, size in zip(row, sizes, strict=False)]
    last = row[len(sizes) - 1] if sizes else ""
    if not sizes or len(last) <= sizes[-1] or last.count(" ") < _SENTENCE:
        return [_GAP.join(cells).rstrip()]
    before = "".join(cell + _GAP for cell in cells[:-1])
    first, *more = textwrap.wrap(last, sizes[-1])
    return [before + first, *(" " * len(before) + line for line in more)]


def _fitting(sizes: Sequence[int], width: int) -> int:
    """Return how many columns can be read side by side."""
    taken, count = -len(_GAP), 0
    for size in sizes:
        taken += len(_GAP) + min(size, _READABLE)
        if count and taken > width:
            break
        count += 1
    return count


def _narrowed(sizes: Sequence[int], width: int) -> list[int]:
    """Take from the widest columns what does not fit into a line."""
    sizes = list(sizes)
    while sizes and sum(sizes) + len(_GAP) * (len(sizes) - 1) > width and max(sizes) > _NARROWEST:
        weights = [sizes[0] * _FIRST_COUNTS if sizes[0] > _NARROWEST else 0, *sizes[1:]]
        sizes[weights.index(max(weights))] -= 1
    return sizes


def _cut(cell: str, size: int) -> str:
    """Fill up a cell, or cut it: a name, which differs from others at its ends, in its middle."""
    if len(cell) <= size:
        return cell.ljust(size)
    if " " in cell or size < _NARROWEST:
        return cell[: size - 1] + _CUT
    tail = size // 2
    return cell[: size - tail - 1] + _CUT + cell[-tail:]

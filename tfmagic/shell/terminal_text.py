"""A result as text that fits a terminal, and tables as lines.

Not for: formats that programs read (:mod:`tfmagic.shell.printing`).
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.frames import visible
from tfmagic.shell.result_tables import Table, Written, is_frame, is_missing, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Between the columns of a table.
_GAP = "  "
#: Below this width a column says nothing.
_NARROWEST = 8


def as_text(result: object) -> str:
    """Return a result as text, as wide as the terminal where there is one."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if isinstance(result, frames.Rows) or is_frame(result):
        table = table_of(result)
        return "" if table is None else "\n".join(laid_out(table, width))
    lines = repr(result).split("\n")
    table = table_of(result.signatures) if isinstance(result, Written) else None
    lines += (
        [] if table is None else ["", "Signatures", *(f"  {line}" for line in laid_out(table, width and width - 2))]
    )
    return "\n".join(lines if width is None else _folded(lines, width))


def laid_out(table: Table, width: int | None) -> list[str]:
    """Lay out a table in columns, narrower ones where the terminal is."""
    rows = [table.columns, *([short_word(value) for value in row] for row in table.rows)]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        sizes = _fitted(sizes, width)
    return [_GAP.join(_cut(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _fitted(sizes: list[int], width: int) -> list[int]:
    """Take from the widest columns what does not fit into a line."""
    sizes = list(sizes)
    while sizes and sum(sizes) + len(_GAP) * (len(sizes) - 1) > width and max(sizes) > _NARROWEST:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def _cut(cell: str, size: int) -> str:
    return cell.ljust(size) if len(cell) <= size else cell[: size - 1] + "…"


def _folded(lines: Iterable[str], width: int) -> Iterator[str]:
    """Continue lines that are too long in the next one, further to the right."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        folded = textwrap.wrap(
            line, width, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False, tabsize=1
        )
        yield from folded or [""]


def word_of(value: object) -> str:
    """Word a cell as a display does, without cutting it."""
    if isinstance(value, tuple):
        text = ", ".join(map(str, value)) if value and isinstance(value[0], str) else str(value)
    else:
        text = "" if is_missing(value) else str(value)
    return visible(text)


def short_word(value: object) -> str:
    """Word a cell for people: no number has more digits than say something."""
    return f"{value:.6g}" if isinstance(value, float) else word_of(value)

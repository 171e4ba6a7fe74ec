"""A result as text that fits a terminal, and tables as lines.

Not for: formats that programs read (:mod:`tfmagic.shell.printing`).
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.display import text_tables
from tfmagic.escaping import visible
from tfmagic.frames import is_missing
from tfmagic.shell.result_tables import Table, Written, is_frame, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def as_text(result: object) -> str:
    """Return a result as text, as wide as the terminal where there is one."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if isinstance(result, frames.Rows) or is_frame(result):
        table = table_of(result)
        return "" if table is None else "\n".join(laid_out(table, width))
    with text_tables.within(width):
        lines = repr(result).split("\n")
    table = table_of(result.signatures) if isinstance(result, Written) else None
    lines += (
        [] if table is None else ["", "Signatures", *(f"  {line}" for line in laid_out(table, width and width - 2))]
    )
    return "\n".join(lines if width is None else _folded(lines, width))


def laid_out(table: Table, width: int | None) -> list[str]:
    """Lay out a table in columns, narrower ones where the terminal is."""
    columns, rows = table
    if width is not None and set(frames.CatalogRow._fields) <= set(columns):
        # What a person looks for first comes first: the last ones may have no room.
        places = [columns.index(name) for name in frames.CATALOG_SHOWN]
        columns, rows = list(frames.CATALOG_SHOWN), [tuple(row[place] for place in places) for row in rows]
    return text_tables.laid_out([columns, *([short_word(value) for value in row] for row in rows)], width)


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
    return f"{value:.6g}" if isinstance(value, float) and not is_missing(value) else word_of(value)

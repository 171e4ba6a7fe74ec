"""Values of a table in words, as live tables and details show them.

Not for: static displays, whose cells are worded alike but not their numbers (:mod:`tfmagic.display.render`).
"""

from __future__ import annotations

import numpy as np

from tfmagic.display import render
from tfmagic.frames import is_missing


def cell_text(value: object) -> str:
    """Word one value as displays do; numbers by thousands, names cut in their middle, what is missing as nothing."""
    if is_missing(value):
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, str):
        return render.cut(value)
    return render.cell_text(value)


def long_text(value: object, most: int = 4000) -> str:
    """Word one value at length, with nothing in it that is not shown."""
    if not isinstance(value, str):
        return cell_text(value)
    step = render.MAX_CELL - 1
    text = "".join(render.cell_text(value[first : first + step]) for first in range(0, min(len(value), most), step))
    return text if len(value) <= most else f"{text}…"

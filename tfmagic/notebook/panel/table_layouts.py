"""What a person makes of a table's columns: their order, which are hidden, how wide they are.

Not for: how columns are drawn (``widgets/static/table_columns.js``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Pixels that are believed of a width.
_NARROWEST, _WIDEST = 16, 4000


def checked(layout: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return what a browser sends as far as it speaks of columns that there are.

    Parameters
    ----------
    layout : mapping
        ``order`` and ``hidden``, names of columns; ``widths``, pixels by name.
    columns : sequence of str
        Those of the table.

    Returns
    -------
    dict
        The same keys. A table whose columns were all hidden keeps its first one.

    Raises
    ------
    TypeError, ValueError, AttributeError
        If it is nothing of the kind.
    """
    order = [name for name in dict.fromkeys(map(str, layout.get("order", ()))) if name in columns]
    hidden = [name for name in dict.fromkeys(map(str, layout.get("hidden", ()))) if name in columns]
    sizes = {str(name): int(width) for name, width in layout.get("widths", {}).items()}
    return {
        "order": order,
        "hidden": hidden if len(hidden) < len(columns) else hidden[1:],
        "widths": {name: min(max(width, _NARROWEST), _WIDEST) for name, width in sizes.items() if name in columns},
    }

"""The tab Graph: the live graph, and the link from one of its boxes to the table of ops.

Not for: drawing (:mod:`tfmagic.notebook.panel.widgets.graph_view`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from tfmagic.notebook.panel.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

#: The tab that shows a node's row.
_OPS = "Ops"


def build(model: Model, panel: Place | None = None) -> ipywidgets.Widget:
    """Build the tab.

    Parameters
    ----------
    model : Model
        Whatever it has: layers, a graph, a graph that is still to be traced.
    panel : Place, optional
        Where the link to the table of ops leads; without one there is no link.
    """
    if not {"graph", "keras"} & set(model.parts):
        message = f"A {model.form} has no graph; it has {', '.join(model.parts) or 'nothing'}."
        return ipywidgets.Label(message)
    return GraphView(model, _row_opener(model, panel) if panel else None)


def _row_opener(model: Model, panel: Place) -> Callable[[int], None]:
    """Return what shows a row of the table of ops in its tab."""

    def show(row: int) -> None:
        frame = model.table("ops", all=True)
        panel.go_to(_OPS, row=row, name=str(frame["name"].iloc[row]), function=str(frame["function"].iloc[row]))

    return show

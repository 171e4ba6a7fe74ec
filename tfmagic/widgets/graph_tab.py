"""The tab Graph: the live graph, and the link from one of its boxes to the table of ops.

Not for: drawing (:mod:`tfmagic.widgets.graph_view`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import ipywidgets

from tfmagic.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from tfmagic.model import Model

#: The tab that shows a node's row.
_OPS = "Ops"


class Panel(Protocol):
    """What the tab needs of the panel around it."""

    def go_to(self, title: str, **what: object) -> None:
        """Show another tab, and in it what is named."""


def build(model: Model, panel: Panel | None = None) -> ipywidgets.Widget:
    """Build the tab.

    Parameters
    ----------
    model : Model
        Whatever it has: layers, a graph, a graph that is still to be traced.
    panel : Panel, optional
        Where the link to the table of ops leads; without one there is no link.
    """
    if not {"graph", "keras"} & set(model.parts):
        message = f"A {model.form} has no graph; it has {', '.join(model.parts) or 'nothing'}."
        return ipywidgets.Label(message)
    return GraphView(model, _row_opener(model, panel) if panel else None)


def _row_opener(model: Model, panel: Panel) -> RowOpener:
    """Return what shows a row of the table of ops in its tab."""

    def show(row: int) -> None:
        frame = model.table("ops", all=True)
        panel.go_to(_OPS, row=row, name=str(frame["name"].iloc[row]), function=str(frame["function"].iloc[row]))

    return show


class RowOpener(Protocol):
    """Shows a row of the whole table of ops."""

    def __call__(self, row: int) -> None:
        """Show it."""

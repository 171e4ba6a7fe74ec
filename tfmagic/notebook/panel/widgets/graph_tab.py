"""The tab Graph: the live graph, and the links from its boxes to other tabs.

Not for: drawing (:mod:`tfmagic.notebook.panel.widgets.graph_view`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.notebook.panel.widgets import forms
from tfmagic.notebook.panel.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from collections.abc import Callable

    import ipywidgets

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

#: The tabs that show a node's row, a weight's, and what is made of a tensor.
_OPS, _VARIABLES, _CONVERT = "Ops", "Variables", "Convert"


def build(model: Model, panel: Place | None = None) -> ipywidgets.Widget:
    """Build the tab.

    Parameters
    ----------
    model : Model
        Whatever it has: layers, a graph, a graph that is still to be traced.
    panel : Place, optional
        Where links lead; without one there are none.
    """
    if not {"graph", "keras"} & set(model.parts):
        return forms.without(model, "graph")
    if panel is None:
        return GraphView(model)
    colour = panel.colour
    return GraphView(
        model,
        _row_opener(model, panel),
        on_variable=lambda row: panel.go_to(_VARIABLES, row=row),
        on_output=lambda tensor, signature: panel.go_to(_CONVERT, outputs=(tensor,), signature=signature or None),
        colour=colour,
        compared=panel.compared,
        trust=panel.trust,
    )


def _row_opener(model: Model, panel: Place) -> Callable[[int], None]:
    """Return what shows a row of the table of ops in its tab."""

    def show(row: int) -> None:
        frame = model.table("ops", all=True)
        panel.go_to(_OPS, row=row, name=str(frame["name"].iloc[row]), function=str(frame["function"].iloc[row]))

    return show

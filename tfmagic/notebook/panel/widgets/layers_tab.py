"""The tab Layers: what a Keras model is made of, what each layer takes, and the way to its box and its weights.

Not for: other graphs' name scopes, nor drawing layers (the tab Graph).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets.table import Act, Details, Table

if TYPE_CHECKING:
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

COLUMNS = ("name", "class", "shape", "parameters", "bytes", "trainable", "inputs")
FACETS = {"class": "(none)", "trainable": "not trained"}
_GRAPH, _VARIABLES = "Graph", "Variables"


def build(model: Model, panel: Place) -> ipywidgets.VBox:
    """Build the tab; no weight is read for it."""
    return LayersTab(model, panel)


class LayersTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The table of layers.

    Attributes
    ----------
    table : Table
        Its rows, in the model's order until somebody sorts them.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._panel = panel
        self._has_variables = "variables" in model.parts
        self.table = Table(
            model.layers,
            label="Layers",
            columns=COLUMNS,
            search=("name", "class"),
            facets=FACETS,
            bars=("parameters", "bytes"),
            on_row=self._open,
            on_act=self._act,
            namespace=panel.namespace,
            variable="layers",
        )
        super().__init__(children=(self.table,))

    def arrive(self, name: str | None = None, **_others: object) -> None:
        """Show a layer by its name; a part of a name filters by it."""
        names = self.table.frame["name"].tolist()
        if name in names:
            self.table.show(names.index(name))
        else:
            self.table.filter(name or "")

    def _open(self, row: int) -> None:
        """Tell what is known of a layer."""
        if row < 0:
            return
        layer = self.table.frame.iloc[row]
        facts = [(str(column), cell_text.long_text(layer[column])) for column in layer.index if column != "name"]
        acts = [Act(name=_GRAPH, text="Show in the graph")]
        if self._has_variables and layer["parameters"]:
            acts.append(Act(name=_VARIABLES, text="Show its weights"))
        title = cell_text.long_text(layer["name"])
        self.table.tell(Details(row=row, title=title, facts=[fact for fact in facts if fact[1]], acts=acts))

    def _act(self, name: str, row: int) -> None:
        """Show the layer's box, or the rows of its weights."""
        layer = str(self.table.frame["name"].iloc[row])
        if name == _GRAPH:
            self._panel.go_to(_GRAPH, layer=layer)
        else:
            self._panel.go_to(_VARIABLES, name=f"{layer}/")

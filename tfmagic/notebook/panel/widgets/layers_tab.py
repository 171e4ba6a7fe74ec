"""The tab Layers: what a model is made of, what each layer takes, and the way to its box and its weights.

Of a graph that nobody made of Keras layers, its name scopes at a chosen depth. Not for: drawing layers (the tab Graph).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import pandas as pd

from tfmagic.models.model import Part
from tfmagic.notebook.panel import cell_text, layer_settings, scope_rows
from tfmagic.notebook.panel.widgets import forms
from tfmagic.notebook.panel.widgets.row_details import Act, Details
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

COLUMNS = (
    "name", "class", "shape", "parameters", "bytes", "flops", "activation", "configuration", "trainable", "inputs",
)  # fmt: skip
FACETS = {"class": "(none)", "trainable": "not trained", "activation": "(none)"}
_SCOPE_COLUMNS = ("name", "class", "ops", "parameters", "bytes", "flops", "activation_bytes")
_GRAPH, _VARIABLES = "Graph", "Variables"
#: Of more layers the configuration is told only in the details: each layer is looked for among all.
_CONFIGURED = 3_000


def build(model: Model, panel: Place) -> ipywidgets.VBox:
    """Build the tab; no weight is read for it."""
    return LayersTab(model, panel) if Part.KERAS.value in model.parts else ScopesTab(model, panel)


class LayersTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The table of layers.

    Attributes
    ----------
    table : Table
        Its rows, in the model's order until somebody sorts them.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model, self._panel = model, panel
        self._has_variables = "variables" in model.parts
        self.table = Table(
            _configured(model),
            label="Layers",
            columns=COLUMNS,
            search=("name", "class"),
            facets=FACETS,
            bars=("parameters", "bytes", "flops"),
            on_row=self._open,
            on_act=self._act,
            namespace=panel.namespace,
            variable="layers",
        )
        super().__init__(children=(self.table,))

    def arrive(self, name: str | None = None, **_others: object) -> None:
        """Show a layer by its name; a part of a name filters by it."""
        _arrive(self.table, name)

    def _open(self, row: int) -> None:
        """Tell what is known of a layer."""
        if row < 0:
            return
        layer = self.table.frame.iloc[row]
        own, usual = layer_settings.worded(self._model.layer_settings(str(layer["name"])))
        facts = [
            *(
                (str(column), cell_text.long_text(layer[column]))
                for column in layer.index
                if column not in ("name", "activation", "configuration")
            ),
            *((name, text) for name, text in (*own, *usual) if name != "name"),
        ]
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


def _arrive(table: Table, name: str | None) -> None:
    """Show the row of a name; by a part of one the rows are filtered."""
    names = table.frame["name"].tolist()
    if name in names:
        table.show(names.index(name))
    else:
        table.filter(name or "")


def _configured(model: Model) -> pd.DataFrame:
    """Return the table of layers with what each was made with."""
    frame = model.layers
    if len(frame) > _CONFIGURED:
        return frame
    # A model within the model is what its layers are.
    models = {name.rpartition("/")[0] for name in frame["name"]}
    settings = [{} if name in models else model.layer_settings(name) for name in frame["name"]]
    return frame.assign(
        activation=pd.Categorical([layer_settings.activation(each) for each in settings]),
        configuration=pd.Series([layer_settings.line(each) for each in settings], index=frame.index, dtype=object),
    )


class ScopesTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The table of a graph's name scopes.

    Attributes
    ----------
    table : Table
        Its rows, in the order of the graph until somebody sorts them; another one for each depth.
    depth : ToggleButtons
        How many parts of a name make a scope.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model, self._panel = model, panel
        self._scopes = scope_rows.Scopes(model)
        self.depth = ipywidgets.ToggleButtons(
            description="Depth of name scopes",
            options=list(range(1, self._scopes.depths + 1)),
            value=self._scopes.first_depth,
            style={"button_width": "auto", "description_width": "auto"},
        )
        self._tables: dict[int, Table] = {}
        self.table = self._table()
        self._head = forms.row(self.depth)
        self._head.add_class("tfm-above")
        forms.show(self._head, shown=self._scopes.depths > 1)
        super().__init__(children=(self._head, self.table))
        self.depth.observe(lambda _: self._choose(), "value")

    def _table(self) -> Table:
        """Return the table of the depth that is chosen."""
        depth = int(self.depth.value)
        if depth not in self._tables:
            self._tables[depth] = Table(
                self._scopes.frame(depth),
                label="Scopes",
                columns=_SCOPE_COLUMNS,
                search=("name", "class"),
                facets={"class": "(none)"},
                bars=("parameters", "bytes", "flops"),
                on_row=self._open,
                on_act=self._act,
                namespace=self._panel.namespace,
                variable="scopes",
            )
        return self._tables[depth]

    def _choose(self) -> None:
        """Show another depth, its columns as those of the one before."""
        columns = self.table.layout_of_columns
        self.table = self._table()
        self.table.layout_of_columns = columns
        self.children = (self._head, self.table)

    def arrive(self, name: str | None = None, **_others: object) -> None:
        """Show a scope by its name; a part of a name filters by it."""
        _arrive(self.table, name)

    def _open(self, row: int) -> None:
        """Tell what is known of a scope."""
        if row < 0:
            return
        scope = self.table.frame.iloc[row]
        facts = [(str(column), cell_text.long_text(scope[column])) for column in scope.index if column != "name"]
        acts = [Act(name=_GRAPH, text="Show in the graph")]
        if self._scopes.weights(str(scope["name"])):
            acts.append(Act(name=_VARIABLES, text="Show its weights"))
        title = cell_text.long_text(scope["name"])
        self.table.tell(Details(row=row, title=title, facts=[fact for fact in facts if fact[1]], acts=acts))

    def _act(self, name: str, row: int) -> None:
        """Show the scope's first box, or the rows of its weights."""
        scope = str(self.table.frame["name"].iloc[row])
        if name == _GRAPH:
            node, function = self._scopes.node(scope)
            self._panel.go_to(_GRAPH, name=node, function=function)
        else:
            self._panel.go_to(_VARIABLES, name=self._scopes.weights(scope))

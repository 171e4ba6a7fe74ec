"""The tab Diff: what differs from the model that this one is compared with, and the way to it in the graph.

Not for: finding what differs (:mod:`tfmagic.verbs.diff`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from tfmagic.escaping import html_text
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import forms
from tfmagic.notebook.panel.widgets.row_details import Act, Details
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place
    from tfmagic.verbs.diff import Diff

COLUMNS = ("what", "where", "a", "b", "difference", "cosine")
_GRAPH, _VARIABLES = "Graph", "Variables"
#: Rows of these have a box, and of these a variable.
_DRAWN, _WEIGHT = ("op", "attribute", "layer"), "weight"


def build(model: Model, panel: Place) -> DiffTab:
    """Build the tab."""
    return DiffTab(model, panel)


class DiffTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The verdict and the table.

    Attributes
    ----------
    verdict : ipywidgets.HTML
        Whether the two are equal, and what was not compared.
    table : Table
        The rows.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        assert panel.compared is not None  # noqa: S101 - the tab is there only then
        compared = panel.compared.diff
        self._panel = panel
        self._has_layers = "keras" in model.parts
        self.verdict = ipywidgets.HTML(verdict(compared))
        self.table = rows(compared, panel, on_row=self._open, on_act=self._act)
        forms.show(self.table, shown=len(compared.table) > 0)
        super().__init__(children=(self.verdict, self.table))

    def _open(self, row: int) -> None:
        """Tell all of one difference."""
        if row < 0:
            return
        difference = self.table.frame.iloc[row]
        acts = [Act(name=_GRAPH, text="Show in the graph")] if difference["what"] in _DRAWN else []
        if difference["what"] == _WEIGHT and difference["a"]:
            acts = [Act(name=_VARIABLES, text="Show the variable")]
        self.table.tell(details(self.table, row, acts))

    def _act(self, name: str, row: int) -> None:
        """Show a difference's box, or the row of its weight."""
        difference = self.table.frame.iloc[row]
        where = str(difference["where"])
        if name == _VARIABLES:
            self._panel.go_to(_VARIABLES, name=where.partition(" / ")[0])
            return
        node = where.rpartition(", ")[0] or where
        self._panel.go_to(_GRAPH, **({"layer": node} if difference["what"] == "layer" else {"name": node}))


def rows(
    compared: Diff,
    panel: Place,
    on_row: Callable[[int], None] | None = None,
    on_act: Callable[[str, int], None] | None = None,
) -> Table:
    """Return the table of all differences."""
    return Table(
        compared.table.astype({"what": "category"}),
        label="Differences",
        columns=COLUMNS,
        search=("where", "a", "b"),
        facets={"what": "(none)"},
        on_row=on_row,
        on_act=on_act,
        namespace=panel.namespace,
        variable="differences",
    )


def details(table: Table, row: int, acts: Sequence[Act] = ()) -> Details:
    """Return all that is known of one difference."""
    difference = table.frame.iloc[row]
    facts = [(str(column), cell_text.long_text(difference[column])) for column in difference.index]
    title = cell_text.long_text(difference["where"])
    return Details(row=row, title=title, facts=[fact for fact in facts if fact[1]], acts=acts)


def verdict(compared: Diff) -> str:
    """Say whether both are equal, as a line in the tone of the answer."""
    first, second = map(html_text, compared.origins)
    count = len(compared.table)
    rows = f"{count:,} difference{'' if count == 1 else 's'}" if count else "no difference"
    answer = "Equal" if compared.equal else "Not equal"
    tone = "tfm-says tfm-good" if compared.equal else "tfm-says"
    notes = "".join(f'<p class="tfm-small">{html_text(note)}</p>' for note in compared.notes)
    return f'<p class="{tone}"><strong>{answer}</strong>: a is {first}, b is {second}; {rows}.</p>{notes}'

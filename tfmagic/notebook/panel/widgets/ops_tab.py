"""The tab Ops: all nodes of a model to filter, sort and follow, and each one's details.

Not for: the table itself (:mod:`tfmagic.notebook.panel.widgets.table`), or what is known of a node
(:mod:`tfmagic.graphs.node_details`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np

from tfmagic.display.graph.bodies import Library
from tfmagic.graphs import node_details
from tfmagic.graphs.node_neighbours import Neighbours
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.row_details import Act, Details, Group, Link
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.graphs.node_neighbours import Neighbour
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.letter_index import Mask
    from tfmagic.notebook.panel.widgets.protocols import Place

#: Names first: at 600 pixels the first columns are what is seen.
COLUMNS = ("name", "op", "dtype", "shape", "bytes", "inputs", "control_inputs", "function", "device")
FACETS = {"function": "main graph", "op": "(none)", "dtype": "(none)"}
#: Links of one kind that details list.
_MOST_LINKS = 40
#: Up to so many ops are read for neighbours before the handler answers.
_AT_ONCE = 100_000
_GRAPH = "Graph"
_SAVING = "Save and restore ops"
#: What details show elsewhere than among the facts.
_ELSEWHERE = frozenset({"name", "inputs", "control_inputs"})


def build(model: Model, panel: Place) -> ipywidgets.Widget:
    """Build the tab; a graph that is not at hand is traced now, which takes its time.

    Parameters
    ----------
    model : Model
        Whatever it has.
    panel : Place
        Where the link to the graph leads, and where the filtered rows can be put.
    """
    if "graph" not in model.parts:
        return forms.without(model, "graph")
    return OpsTab(model, panel)


class OpsTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The table of ops.

    Attributes
    ----------
    table : Table
        The rows are those of the whole table of ops.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model, self._panel = model, panel
        frame = model.table("ops", all=True)
        self._neighbours = Neighbours(frame)
        self._lock = threading.RLock()
        self._opened = -1
        self.table = Table(
            frame,
            label="Ops",
            columns=COLUMNS,
            facets=FACETS,
            bars=("bytes",),
            aside=(_SAVING, _plumbing(model, len(frame))),
            on_row=self._open,
            on_act=self._act,
            namespace=panel.namespace,
            variable="ops",
        )
        super().__init__(children=(self.table,))

    def arrive(
        self,
        row: int | None = None,
        name: str | None = None,
        function: str | None = None,
        op: str | None = None,
        **_others: object,
    ) -> None:
        """Show a row, by its number in the whole table or by its name; or the rows of an op type, of a function."""
        if row is None and name is not None:
            row = self._neighbours.row_of(name, function)
        if row is not None:
            self.table.show(row)
        elif name is None:
            self.table.filter(
                **{key: value for key, value in (("op", op), ("function", function)) if value is not None}
            )

    # Details

    def _open(self, row: int) -> None:
        """Tell a node's details; of a large graph the neighbours are looked for in a thread."""
        with self._lock:
            self._opened = row
        if row < 0:
            return
        count = self._neighbours.size_if_unread(row)
        if count <= _AT_ONCE:
            self.table.tell(self.details(row))
            return
        self.table.tell({**self._known(row), "note": f"Looking for its neighbours among {count:,} ops …"})
        threads.begin(lambda: self._tell_later(row), "neighbours")

    def _tell_later(self, row: int) -> None:
        """Tell a node's details, if they are still wanted when they are there."""
        details = self.details(row)
        with self._lock:
            if self._opened == row:
                self.table.tell(details)

    def details(self, row: int) -> Details:
        """Return all that is known of a node."""
        return {**self._known(row), "groups": list(self._groups(row))}

    def _known(self, row: int) -> Details:
        """Return what a node tells of itself."""
        name = self.table.frame["name"].iloc[row]
        acts = [Act(name=_GRAPH, text="Show in graph")]
        facts = [*self._facts(row), *self._attributes(row)]
        return Details(row=row, title=cell_text.long_text(name), facts=facts, acts=acts)

    def _facts(self, row: int) -> Iterator[tuple[str, str]]:
        for column in self.table.frame.columns:
            value = self.table.frame[column].iloc[row]
            text = cell_text.long_text(value)
            if column == "function" and not text:
                text = FACETS[column]
            if column not in _ELSEWHERE and text and (column, text) != ("bytes", "0"):
                yield column, text

    def _attributes(self, row: int) -> Iterator[tuple[str, str]]:
        node = self._model.meta_graph.graph.node_def(row)
        if node.op == "Const" and "value" in node.attr:
            yield "first values", cell_text.long_text(node_details.values_text(node.attr["value"].tensor))
        for name, text in node_details.attributes(node):
            yield f"attribute {cell_text.cell_text(name)}", cell_text.long_text(text)

    def _groups(self, row: int) -> Iterator[Group]:
        for column, title in (("inputs", "inputs"), ("control_inputs", "waits for")):
            links = [_link(each) for each in self._neighbours.inputs(row, column)]
            if links:
                yield _group(title, links)
        names = self.table.frame["name"]
        consumers = self._neighbours.consumers(row)
        if consumers:
            yield _group(
                "consumers", [Link(text=cell_text.long_text(names.iloc[each]), row=each) for each in consumers]
            )

    def _act(self, act: str, row: int) -> None:
        frame = self.table.frame
        self._panel.go_to(act, name=str(frame["name"].iloc[row]), function=str(frame["function"].iloc[row]))


def _link(neighbour: Neighbour) -> Link:
    text = cell_text.long_text(neighbour.text)
    return Link(text=text) if neighbour.row is None else Link(text=text, row=neighbour.row)


def _group(title: str, links: list[Link]) -> Group:
    return Group(title=title, links=links[:_MOST_LINKS], more=max(0, len(links) - _MOST_LINKS))


def _plumbing(model: Model, count: int) -> Mask:
    """Say which ops only save and restore; of a graph so large that following all edges would take long, none."""
    if count <= Library.FOLLOWED_NODES:
        return np.array(model.plumbing_ops, bool)
    return np.zeros(count, bool)

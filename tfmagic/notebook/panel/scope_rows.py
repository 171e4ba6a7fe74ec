"""The name scopes of a graph as rows of a table, at a chosen depth: what layers are where nobody kept any.

Not for: layers that Keras knows (``model.layers``), or drawing scopes (:mod:`tfmagic.display.graph.unfolding`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import name_scopes, op_colours
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.graph_details import GraphDetails

if TYPE_CHECKING:
    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.models.model import Model

#: Columns of the table.
COLUMNS = ("name", "class", "shape", "ops", "parameters", "bytes", "flops")
#: Names have no more components that make a depth of their own.
MOST_DEPTH = 8
#: So many rows tell something of a graph.
_TELLING = 5
#: Weights are followed through up to this many nodes.
_FOLLOWED = 200_000


class Scopes:
    """The scopes of the graph that a model opens with.

    Parameters
    ----------
    model : Model
        A model whose graph is at hand, or is traced for it.

    Attributes
    ----------
    function : str
        The function that holds the nodes, ``""`` is the main graph.
    """

    def __init__(self, model: Model) -> None:
        choice = next((each for each in graph_choices.of_graph(model)), None)
        self.function = choice.function if choice is not None else ""
        self._model = model
        self._library: Library | None = choice.library if choice is not None else None

    @cached_property
    def _body(self) -> Body | None:
        return self._library.body(self.function) if self._library is not None else None

    @cached_property
    def _shown(self) -> Mask:
        return name_scopes.Shown(self._body).plain if self._body is not None else np.zeros(0, bool)

    @cached_property
    def depths(self) -> int:
        """How many depths there are to choose among."""
        names = self._body.names if self._body is not None else []
        parts = max((names[node].count("/") for node in np.flatnonzero(self._shown).tolist()), default=0)
        return max(1, min(parts, MOST_DEPTH))

    @cached_property
    def first_depth(self) -> int:
        """The least depth that tells a graph's parts apart."""
        for depth in range(1, self.depths + 1):
            if len(self._groups(depth)) >= _TELLING:
                return depth
        return self.depths

    def nodes(self, name: str, depth: int) -> Integers:
        """Return the nodes of a scope, by number in the body."""
        return np.array(self._groups(depth).get(name, ()), np.int64)

    def node_name(self, name: str, depth: int) -> str:
        """Return the name of a scope's first node, ``""`` if there is none."""
        nodes = self.nodes(name, depth)
        return self._body.names[int(nodes[0])] if self._body is not None and len(nodes) else ""

    def weights(self, name: str, depth: int) -> list[str]:
        """Return the names of the variables that a scope works with."""
        return self._weight_names(self.nodes(name, depth).tolist())

    def _groups(self, depth: int) -> dict[str, list[int]]:
        """Return the drawn nodes by the first parts of their names; one whose name has no more stands alone."""
        groups: dict[str, list[int]] = {}
        names = self._body.names if self._body is not None else []
        for node in np.flatnonzero(self._shown).tolist():
            parts = names[node].split("/")
            # The last part is the node's own.
            groups.setdefault("/".join(parts[: max(1, min(depth, len(parts) - 1))]), []).append(node)
        return groups

    def frame(self, depth: int) -> pd.DataFrame:
        """Return a row for each scope, in the order of the graph.

        Parameters
        ----------
        depth : int
            How many parts of a name are looked at.

        Returns
        -------
        DataFrame
            Columns :data:`COLUMNS`: the scope, its most telling op, the shape that leaves it, how many ops it has, and
            the parameters and bytes of the variables that it works with, and the FLOPs of a batch of one where a
            signature runs it; a variable of two scopes counts for both.
        """
        groups = self._groups(depth)
        weights = [self._weights(nodes) for nodes in groups.values()]
        table = pd.DataFrame({
            "name": pd.Series(list(groups), dtype=object),
            "class": pd.Categorical([self._telling(nodes) for nodes in groups.values()]),
            "shape": pd.Series([None] * len(groups), dtype=object),
            "ops": np.fromiter(map(len, groups.values()), np.int64, len(groups)),
            "parameters": pd.array([size for size, _ in weights], dtype="Int64"),
            "bytes": pd.array([size for _, size in weights], dtype="Int64"),
        })  # fmt: skip
        table["flops"] = pd.array([self._flops(depth).get(name) for name in groups], dtype="Int64")
        table["shape"] = pd.Series(self._shapes(groups), dtype=object)
        return table

    def _telling(self, nodes: list[int]) -> str:
        """Return the op that says most of a scope: the most frequent one of the most telling kind."""
        assert self._body is not None  # noqa: S101 - for mypy: there are nodes
        counts: dict[str, int] = {}
        for node in nodes:
            counts[self._body.ops[node]] = counts.get(self._body.ops[node], 0) + 1
        kinds = list(op_colours.KINDS)
        return min(counts, key=lambda op: (kinds.index(op_colours.kind_of(op)), -counts[op], op))

    def _shapes(self, groups: dict[str, list[int]]) -> list[object]:
        """Return the shape of what leaves each scope: of its last node that feeds another one."""
        body = self._body
        assert body is not None or not groups  # noqa: S101 - for mypy
        if body is None:
            return []
        number = np.full(len(body.names), -1, np.int64)
        for place, nodes in enumerate(groups.values()):
            number[nodes] = place
        source, target = number[body.source], number[body.target]
        leaving = body.source[(source >= 0) & (source != target) & (body.slot >= 0)]
        last = {int(number[node]): int(node) for node in np.sort(leaving).tolist()}
        return [body.shapes[last.get(place, nodes[-1])] for place, nodes in enumerate(groups.values())]

    def _flops(self, depth: int) -> dict[str, int | None]:
        """Return the operations of one run by scope; of a graph that is too large to follow none."""
        if self._details is None:
            return {}
        rows = self._model.rows("costs", depth=depth)
        return {str(row[0]): row[5] for row in rows.rows} if rows is not None else {}  # type: ignore[misc]

    # Weights

    @cached_property
    def _details(self) -> GraphDetails | None:
        if self._body is None or self._library is None or len(self._body.names) > _FOLLOWED:
            return None
        return GraphDetails(self._model, self._library, is_layers=False)

    def _weight_names(self, nodes: list[int]) -> list[str]:
        if self._details is None or self._body is None:
            return []
        names = dict.fromkeys(self._details.weight_names(self._body, nodes, self._shown))
        return [name for name in names if name in self._details.variables]

    def _weights(self, nodes: list[int]) -> tuple[int | None, int | None]:
        """Add up the variables that nodes work with; nothing is known of a graph that is too large to follow."""
        if self._details is None:
            return None, None
        rows = [self._details.variables[name][1] for name in self._weight_names(nodes)]
        sizes = [
            [0 if cell_text.is_missing(each) else int(each or 0) for each in (row.size, row.bytes)] for row in rows
        ]
        return sum(size for size, _ in sizes), sum(size for _, size in sizes)

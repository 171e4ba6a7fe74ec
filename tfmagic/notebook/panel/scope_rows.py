"""The name scopes of a graph as rows of a table, at a chosen depth: what layers are where nobody kept any.

The rows are the table of costs; here is what leads from a scope to its nodes and to its weights. Not for: layers that
Keras knows (``model.layers``), counting (:mod:`tfmagic.models.costs`), or drawing scopes.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.models.model import Part

if TYPE_CHECKING:
    import pandas as pd

    from tfmagic.models.model import Model

#: Names have no more components that make a depth of their own.
MOST_DEPTH = 8
#: So many rows tell something of a graph.
_TELLING = 5
#: Ops that are seldom what a scope is looked at for, and not drawn.
_ASIDE = frozenset({"Const", "VarHandleOp", "VariableV2", "ReadVariableOp", "NoOp", "Identity"})


class Scopes:
    """The scopes of a model's graph, which is traced if it has to be.

    Parameters
    ----------
    model : Model
        A model with a graph.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def frame(self, depth: int) -> pd.DataFrame:
        """Return the table of costs at a depth, its scopes as names."""
        return self._model.table("costs", depth=depth).rename(columns={"scope": "name"})

    @cached_property
    def first_depth(self) -> int:
        """The least depth that tells the parts of the graph from one another."""
        for depth in range(1, self.depths):
            if len(self._model.table("costs", depth=depth)) >= _TELLING:
                return depth
        return self.depths

    @cached_property
    def depths(self) -> int:
        """How many depths there are to choose among."""
        ops = self._model.table("ops", all=True)
        levels = ops["name"].str.count("/").max() if len(ops) else 0
        return max(1, min(int(levels), MOST_DEPTH))

    def node(self, scope: str) -> tuple[str, str]:
        """Return the first node of a scope that is drawn, and the function that holds it; ``""`` for what is not."""
        ops = self._model.table("ops", all=True)
        inside = ops[(ops["name"] == scope) | ops["name"].str.startswith(f"{scope}/")]
        drawn = inside[~inside["op"].isin(_ASIDE)]
        first = drawn if len(drawn) else inside
        return (str(first["name"].iloc[0]), str(first["function"].iloc[0])) if len(first) else ("", "")

    def weights(self, scope: str) -> str:
        """Return what the names of a scope's variables begin with, or hold; ``""`` where none is found.

        A frozen graph may have its constants under the end of a scope's name: ``conv1/kernel`` of ``net/conv1``.
        """
        if Part.VARIABLES.value not in self._model.parts:
            return ""
        names = self._model.table("variables", all=True)["name"]
        parts = scope.split("/")
        ends = ("/".join(parts[place:]) + "/" for place in range(len(parts)))
        return next((end for end in ends if names.str.startswith(end).any()), "")

"""The public tables of a model (DESIGN section 5): each made once, of the parts that it shows.

Not for: how a table is made of a graph (:mod:`tfmagic.models.graph_tables`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from tfmagic import errors, frames
from tfmagic.graphs import function_uses, plumbing, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.models import costs as model_costs
from tfmagic.models import graph_tables
from tfmagic.models.form import Part
from tfmagic.models.read_parts import ReadParts, missing_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from tfmagic.graphs.costs.graph_costs import NodeCost
    from tfmagic.graphs.function_uses import FunctionUse

#: The part that each table shows.
TABLE_PARTS: Mapping[str, Part] = {
    "signatures": Part.SIGNATURES,
    "ops": Part.GRAPH,
    "functions": Part.GRAPH,
    "variables": Part.VARIABLES,
    "metagraphs": Part.GRAPH,
    "assets": Part.GRAPH,
    "layers": Part.KERAS,
    "costs": Part.GRAPH,
}


class PublicTables(ReadParts):
    """The tables of a model, as DataFrames or as rows."""

    @property
    def signatures(self) -> pd.DataFrame:
        """Inputs and outputs of each SignatureDef."""
        return self.table("signatures")

    @property
    def ops(self) -> pd.DataFrame:
        """Nodes of the main graph and of all functions."""
        return self.table("ops")

    @property
    def functions(self) -> pd.DataFrame:
        """The function library."""
        return self.table("functions")

    @property
    def variables(self) -> pd.DataFrame:
        """Variables, without their values."""
        return self.table("variables")

    @property
    def metagraphs(self) -> pd.DataFrame:
        """The MetaGraphDefs by tag-set."""
        return self.table("metagraphs")

    @property
    def assets(self) -> pd.DataFrame:
        """Asset files."""
        return self.table("assets")

    @property
    def layers(self) -> pd.DataFrame:
        """Keras layers."""
        return self.table("layers")

    @property
    def costs(self) -> pd.DataFrame:
        """What one run costs for a batch of one, by Keras layer, else by name scope; nothing runs for it.

        ``attrs["total"]`` words all FLOPs together, with "at least" where a row does not tell its own.
        """
        return self.table("costs")

    def table(self, name: str, *, all: bool = False, depth: int | None = None) -> pd.DataFrame:  # noqa: A002 - the contract's name
        """Return one of the public tables (DESIGN section 5).

        Parameters
        ----------
        name : str
            ``"signatures"``, ``"ops"``, ``"functions"``, ``"variables"``, ``"metagraphs"``, ``"assets"``, ``"layers"``
            or ``"costs"``.
        all : bool
            Whether signatures of bookkeeping and the ops that save and restore are included.
        depth : int, optional
            Of ``costs``: how many parts of a name make its scope. By default the first at which the model is more than
            one.

        Raises
        ------
        UnknownNameError
            If there is no table of that name.
        MissingPartError
            If the form has no such table.
        """
        self._require_table(name)
        if name == "signatures" and self.has_no_signature:
            return self.proposals
        frame: pd.DataFrame = self.once(f"table {name} {depth}", lambda: self._frame(name, depth))
        hidden = () if all else self._hidden(name, frame)
        kept = frame[[not hide for hide in hidden]] if any(hidden) else frame
        return kept.reset_index(drop=True)

    def rows(self, name: str, *, all: bool = False, depth: int | None = None) -> frames.Rows | None:  # noqa: A002 - the contract's name
        """Return the rows of a table, without making a DataFrame of them.

        Takes and raises what :meth:`table` does. None of a table that is made of columns, not of rows: the ops, and a
        signature that is proposed for them.
        """
        self._require_table(name)
        if name not in _ROWS or (name == "signatures" and self.has_no_signature):
            return None
        rows = self._rows(name, depth)
        return frames.Rows(name, rows if all or name not in _HIDING else self._visible(name, rows))

    def _visible(self, name: str, rows: Sequence[tuple[object, ...]]) -> Sequence[tuple[object, ...]]:
        """Return the rows of a table that are no bookkeeping, these themselves where all are."""
        if name == "variables":
            return [row for row in rows if row[0] not in self._copies] if self._copies else rows
        kept: Sequence[tuple[object, ...]] = self.once(
            "visible signatures", lambda: [row for row in rows if not signatures.is_hidden(str(row[1]))]
        )
        return kept

    def end_rows(self) -> Sequence[frames.SignatureRow]:
        """Return the rows of the table of signatures, those that are proposed where there is none."""
        listed = self.rows("signatures")
        if listed is not None:
            return cast("Sequence[frames.SignatureRow]", listed.rows)
        columns = (self._proposals[name] for name in frames.columns("signatures"))
        rows: Sequence[frames.SignatureRow] = self.once(
            "rows proposed", lambda: [frames.SignatureRow(*row) for row in zip(*columns, strict=True)]
        )
        return rows

    def shown_variables(self) -> Sequence[frames.VariableRow]:
        """Return the rows of the table of variables; raises MissingPartError where the form has none."""
        return cast("Sequence[frames.VariableRow]", cast("frames.Rows", self.rows("variables")).rows)

    def layer_rows(self) -> Sequence[frames.LayerRow]:
        """Return the rows of the table of layers; raises MissingPartError where the form has none."""
        return cast("Sequence[frames.LayerRow]", cast("frames.Rows", self.rows("layers")).rows)

    def _require_table(self, name: str) -> None:
        """Raise where there is no such table, or the form has not what it shows."""
        if name not in TABLE_PARTS:
            raise errors.UnknownNameError(name, "table", TABLE_PARTS, self.form)
        is_proposed = name == "signatures" and self.has_no_signature
        part = Part.KERAS if name == "costs" and Part.KERAS in self.loaders else TABLE_PARTS[name]
        if part not in self.loaders and not is_proposed:
            advice = f"The table {name!r} needs it. {self.advice or missing_advice(part)}"
            raise errors.MissingPartError(part.value, self.form, self.parts, advice)

    def _frame(self, name: str, depth: int | None) -> pd.DataFrame:
        if name not in _ROWS:
            return graph_tables.ops(self.meta_graph)
        frame = frames.from_rows(name, self._rows(name, depth))
        if name == "costs":
            frame.attrs["total"] = str(self._total_cost(depth))
        return frame

    def _rows(self, name: str, depth: int | None) -> Sequence[tuple[object, ...]]:
        if name == "costs":
            costs: tuple[frames.CostRow, ...] = self.once(f"rows costs {depth}", lambda: tuple(self._costs(depth)))
            return costs
        rows: Sequence[tuple[object, ...]] = self.once(f"rows {name}", lambda: tuple(_ROWS[name](self)))
        return rows

    def _costs(self, depth: int | None) -> Iterable[frames.CostRow]:
        """Return the costs of a Keras model's own layers, else of the scopes of its graph."""
        if Part.KERAS in self.loaders:
            return model_costs.of_layers(self.part(Part.KERAS), depth or 1)
        # Another depth is another sum of the same.
        return model_costs.by_scope(self.node_costs, depth)

    @property
    def total_cost(self) -> frames.TotalCost:
        """What the layers of a Keras model, else the scopes of its graph, cost together."""
        if Part.KERAS not in self.loaders:
            return self._total_cost(None)
        total: frames.TotalCost = self.once("total cost", lambda: model_costs.total_of_layers(self.part(Part.KERAS)))
        return total

    def _total_cost(self, depth: int | None) -> frames.TotalCost:
        place = frames.columns("costs").index("flops")
        return frames.TotalCost.of(cast("int | None", row[place]) for row in self._rows("costs", depth))

    @property
    def node_costs(self) -> tuple[NodeCost, ...]:
        """What each node of the graph costs that the default signature, or what is proposed for one, needs."""
        if self.has_no_signature:
            ends = model_costs.Ends.of_proposals(self.proposals)
        else:
            ends = model_costs.Ends.of_signatures(self.meta_graph.signature_def or dict(self.signature_def))
        nodes: tuple[NodeCost, ...] = self.once("costs of nodes", lambda: model_costs.of_graph(self.meta_graph, ends))
        return nodes

    @property
    def has_no_signature(self) -> bool:
        """Whether there is a graph, and nothing says where it begins and ends."""
        if Part.GRAPH not in self.loaders:
            return False
        tagged = self.part(Part.SIGNATURES) if Part.SIGNATURES in self.loaders else ()
        return not any(found for _, found in tagged)

    @property
    def proposals(self) -> pd.DataFrame:
        """Inputs and outputs proposed for a graph without signatures: the columns of ``signatures``, none of it sure.

        The signature's key and its method are ``"proposed"``.
        """
        return self._proposals.copy()

    @property
    def _proposals(self) -> pd.DataFrame:
        frame: pd.DataFrame = self.once("proposals", lambda: graph_tables.proposals(self.meta_graph, self.ends))
        return frame

    @cached_property
    def ends(self) -> plumbing.Ends:
        """Where the main graph seems to begin and end."""
        with self.well_formed():
            return plumbing.ends_of(self.meta_graph.graph)

    def hidden_count(self, name: str) -> int:
        """Return how many rows of a table are shown only with ``all``."""
        if (rows := self.rows(name)) is None:
            return sum(self.plumbing_ops) if name == "ops" else 0
        return len(self._rows(name, None)) - len(rows.rows)

    @property
    def plumbing_ops(self) -> list[bool]:
        """Say of each row of the whole table of ops whether it only saves or restores."""
        return self._hidden("ops", self.table("ops", all=True))

    def _hidden(self, name: str, frame: pd.DataFrame) -> list[bool]:
        """Say of each row whether it is bookkeeping."""
        if name == "signatures":
            own: list[bool] = self.once(
                "hidden signatures", lambda: list(map(signatures.is_hidden, frame["signature"]))
            )
            return own
        if name == "ops":
            hidden: list[bool] = self.once("hidden ops", lambda: self._plumbing(frame))
            return hidden
        if name == "variables" and self._copies:
            return [each in self._copies for each in frame["name"]]
        return [False] * len(frame)

    def _plumbing(self, ops: pd.DataFrame) -> list[bool]:
        return plumbing.is_plumbing(ops, self._function_uses if plumbing.has_plumbing(ops) else ())

    @property
    def _copies(self) -> frozenset[str]:
        """The names of rows of the table of variables that are one of them once more, as Keras 3 exports them."""
        if Part.GRAPH not in self.loaders or self.checkpoint is None:
            return frozenset()
        copies: frozenset[str] = self.once(
            "copies", lambda: graph_variables.copies(self.checkpoint_files(), self.meta_graphs)
        )
        return copies

    @property
    def _function_uses(self) -> list[FunctionUse]:
        uses: list[FunctionUse] = self.once("function uses", lambda: function_uses.read(self.meta_graph.graph))
        return uses


def _variable_count(model: PublicTables) -> int:
    rows = model.rows("variables") if Part.VARIABLES in model.loaders else None
    return 0 if rows is None else len(rows.rows)


#: The tables of rows that hide some unless all are asked for.
_HIDING = frozenset({"signatures", "variables"})
#: What makes the rows of each table but that of the ops, which is made of columns; costs have a depth.
_ROWS: Mapping[str, Callable[[PublicTables], Iterable[tuple[object, ...]]]] = {
    "signatures": lambda model: signatures.rows(model.part(Part.SIGNATURES)),
    "functions": lambda model: model._function_uses,  # noqa: SLF001 - this module's own
    "variables": lambda model: model.part(Part.VARIABLES),
    "metagraphs": lambda model: graph_tables.metagraphs(model.meta_graphs, _variable_count(model)),
    "assets": lambda model: (
        graph_tables.assets(model.meta_graphs, model.path) if model.packed is None else model.packed()
    ),
    "layers": lambda model: model.part(Part.KERAS),
    "costs": lambda model: model._costs(None),  # noqa: SLF001 - as above
}

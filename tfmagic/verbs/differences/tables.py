"""Rows for the lookup tables of two models: those that the same ops take must hold the same.

Not for: which tables go together (:mod:`tfmagic.graphs.computation_matching`), or what tables hold
(:mod:`tfmagic.functions.state`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from tfmagic import errors, frames
from tfmagic.files import protos
from tfmagic.functions.state import live_tables
from tfmagic.graphs.function_library import all_nodes
from tfmagic.graphs.resources import TABLES
from tfmagic.models.model import Part
from tfmagic.runtime import concrete_functions
from tfmagic.transforms.captures import captures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.live_tables import TableContent
    from tfmagic.graphs.computation_matching import Matching
    from tfmagic.models.model import Model
    from tfmagic.runtime import tensorflow as runtime

#: What a row is about.
TABLE = "table"
_NOT_COMPARED = "not compared"


def may_be_outside(model: Model) -> bool:
    """Say whether tables of a model may hold what its graph does not: a file's lines, what a live one was filled with.

    Of a frozen graph the constants fill them.
    """
    if model.variables_are_constants:
        return False
    listed = {op.name for op in model.meta_graph.header.meta_info_def.stripped_op_list.op}
    return not listed or not TABLES.isdisjoint(listed)


def captured(model: Model, key: str) -> Mapping[str, runtime.Live]:
    """Return the handles of what a traced function took from outside beside variables, by the nodes that stand for it.

    What is a graph has its tables in it.
    """
    function = _traced(model, key)
    return {} if function is None else captures(function).resources


def rows(first: Model, second: Model, matching: Matching, keys: tuple[str, str]) -> Iterator[frames.DiffRow]:
    """Yield a row for each pair of tables with other entries, and for each that cannot be compared.

    The matching learns which tables hold the same.
    """
    sides: tuple[_Side, ...] = ()
    for a, b in matching.table_pairs:
        sides = sides or (_Side(first, keys[0]), _Side(second, keys[1]))
        names = matching.first.names[a], matching.second.names[b]
        where = names[0] if names[0] == names[1] else f"{names[0]} / {names[1]}"
        try:
            mine, theirs = (side.content(name) for side, name in zip(sides, names, strict=True))
        except errors.TfMagicError as error:
            yield frames.DiffRow(_NOT_COMPARED, where, "", str(error), None, None)
            continue
        count = _differing(mine, theirs)
        if count or _described(mine) != _described(theirs):
            words = f"{_described(theirs)}, {count:,} {'differs' if count == 1 else 'differ'}"
            yield frames.DiffRow(TABLE, where, _described(mine), words, None, None)
        else:
            matching.equal_weights.add((a, b))


class _Side:
    """The tables of one model."""

    def __init__(self, model: Model, key: str) -> None:
        self._function = _traced(model, key)
        self._handles = {} if self._function is None else captures(self._function).resources
        self._store = model.stored_state() if self._function is None else None

    @cached_property
    def _nodes(self) -> Sequence[protos.Message]:
        """The nodes that may name the dtypes of a live table."""
        concrete = cast("NamedFunction", self._function).concrete
        return list(all_nodes(protos.parse("GraphDef", concrete_functions.graph_def(concrete).SerializeToString())))

    @cached_property
    def _stored(self) -> frozenset[str]:
        return frozenset() if self._store is None else frozenset(node.name for node in self._store.graph_def.node)

    def content(self, name: str) -> TableContent:
        """Return what a table holds; raises an error of ours where that is not to be known."""
        if name in self._handles:
            held = live_tables.content(self._handles[name], self._nodes)
            if held is not None:
                return held
        if self._store is None or name not in self._stored:
            raise errors.ConversionError(f"what {name!r} holds is not to be known without running the model")
        return self._store.table_contents([name])[name]


def _traced(model: Model, key: str) -> NamedFunction | None:
    """Return the function of a model that can only be called, None of what is a graph."""
    if Part.GRAPH not in model.reader.costly or Part.FUNCTION not in model.loaders:
        return None
    function: NamedFunction = model.part(Part.FUNCTION)(key)
    return function


def _differing(first: TableContent, second: TableContent) -> int:
    """Count the keys that only one of two tables has, or with another value; their order is chance."""
    mine, theirs = _entries(first), _entries(second)
    return len(mine.keys() ^ theirs.keys()) + sum(value != theirs.get(key, value) for key, value in mine.items())


def _entries(content: TableContent) -> dict[object, object]:
    return dict(zip(_listed(content.keys), _listed(content.values), strict=True))


def _listed(values: np.ndarray) -> list[object]:
    """Return the values of each entry as what can be a key: numbers by their bytes, in which NaN equals NaN."""
    if values.dtype.kind == "O":
        return [tuple(each) for each in values.reshape(len(values), -1).tolist()]
    return [each.tobytes() for each in values]


def _described(content: TableContent) -> str:
    kinds = ("string" if each.dtype.kind == "O" else each.dtype.name for each in content)
    return f"{' to '.join(kinds)}, {len(content.keys):,} {'entry' if len(content.keys) == 1 else 'entries'}"

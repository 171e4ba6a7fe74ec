"""A session as a place where the state of a graph lies: variables are read a few at a time, when they are wanted.

Not for: the same of files (:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions import sessions
from tfmagic.functions.state import live_tables
from tfmagic.functions.state.initial_values import Stored
from tfmagic.functions.state.saved_models import Store
from tfmagic.functions.state.value_groups import grouped, tensor_bytes
from tfmagic.graphs import moving_averages
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from tfmagic.files import protos
    from tfmagic.functions.state.live_tables import TableContent


@dataclass(frozen=True)
class _Group:
    """Variables that are read in one run; each value is let go of when it is handed out."""

    store: SessionStore
    names: tuple[str, ...]
    _values: dict[str, np.ndarray] = field(default_factory=dict)

    def value(self, name: str) -> np.ndarray:
        """Return the value of one of the variables as it is now, or was when another of them was read."""
        if name not in self._values:
            self._values.update(self.store.values(self.names))
        return self._values.pop(name)


@dataclass(frozen=True)
class SessionStore(Store):
    """The state of a session's graph.

    Attributes
    ----------
    session : tf.compat.v1.Session
        Open, its variables initialised.
    """

    session: runtime.Live = None

    @property
    def init_op(self) -> str:
        """None: what the session's variables and tables hold is what counts, not what they began with."""
        return ""

    def asset_file(self, node: str, name: str) -> Path:
        """Return a file that a node of the user's graph names; raises ConversionError if it is not there."""
        del node
        if not Path(name).is_file():
            raise errors.ConversionError(f"a table is filled from the file {name!r}, which is not there any more")
        return Path(name)

    def clean(self, graph_def: protos.Message) -> None:
        """Take the shapes out that describing the graph wrote at its nodes, in place."""
        for node in graph_def.node:
            node.attr.pop("_output_shapes", None)

    def may_have(self, tensor: object) -> bool:
        """Say whether a live tensor is none of another graph; a name is of none."""
        return getattr(tensor, "graph", self.session.graph) is self.session.graph

    def has_value(self, name: str) -> bool:
        """Say that each variable has a value; reading it raises where it has none."""
        del name
        return True

    def table_content(self, table: str, export: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys and values of a table, by the node that reads it."""
        del table
        keys, content = self.session.run([f"{export}:0", f"{export}:1"])
        return keys, content

    def without_value(self, names: Iterable[str]) -> list[str]:
        """Return those variables, by their nodes, that nothing has given a value yet."""
        return sessions.without_value(self.session, names)

    def averaged(self, names: Iterable[str]) -> list[str]:
        """Return those variables, by their nodes, beside which the session holds a moving average."""
        return [name for name in names if f"{name}{moving_averages.SUFFIX}" in self._nodes]

    def _meant(self, name: str) -> str:
        """Return the variable whose value one gets: its moving average, or itself."""
        return f"{name}{moving_averages.SUFFIX}" if self.ema and self.averaged([name]) else name

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values of variables in one run, by the names of their nodes."""
        values = sessions.values(self.session, list(dict.fromkeys(map(self._meant, names))))
        return {name: values[self._meant(name)] for name in names}

    def values_before(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values: nothing is run behind them."""
        return self.values(names)

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """Describe variables as their nodes declare them.

        Raises
        ------
        ConversionError
            If nothing in the graph reads one.
        """
        declared = {name: stored for name in names if (stored := self._declared(name)) is not None}
        groups = (
            _Group(self, tuple(names))
            for names in grouped(declared, lambda name: tensor_bytes(declared[name].dtype, declared[name].shape))
        )
        read = {
            name: declared[name]._replace(read=partial(group.value, name)) for group in groups for name in group.names
        }
        return {name: read[name] if name in declared else self._held(name) for name in names}

    def _declared(self, name: str) -> Stored | None:
        """Return what the graph says of a variable, None where only its value says the shape (validate_shape=False)."""
        tensor = sessions.reading(self.session.graph, self._meant(name))
        if not tensor.shape.is_fully_defined():
            return None
        return Stored(tensor.dtype.base_dtype.name, tuple(tensor.shape.as_list()), partial(self._read, name))

    def _held(self, name: str) -> Stored:
        """Return a value as it is now: the next step of the session may give the variable another shape."""
        value = self._read(name)
        dtype = sessions.reading(self.session.graph, self._meant(name)).dtype.base_dtype.name
        return Stored(dtype, value.shape, lambda: value)

    def _read(self, name: str) -> np.ndarray:
        return self.values([name])[name]

    def tables(self, names: Sequence[str]) -> dict[str, runtime.Live]:
        """Make tables with what the session's own tables hold, by the names of their nodes."""
        with runtime.eager():
            return {name: sessions.table(self.session, name) for name in names}

    def table_contents(self, names: Sequence[str]) -> dict[str, TableContent]:
        """Return what the session's own tables hold, by the names of their nodes."""
        contents = {}
        for name, table in self.tables(names).items():
            content = live_tables.content(table.resource_handle, self.graph_def.node)
            if content is None:
                raise errors.ConversionError(f"what the table {name!r} holds cannot be read")
            contents[name] = content
        return contents

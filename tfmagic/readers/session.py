"""The form ``session``: a TF1 session with its graph, or a graph alone.

The user's graph is never added to. A graph without a session has no values, so there is a graph and nothing else.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfmagic import functions
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.models.value_blocks import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.graph_defs import Shared
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.functions.unsigned_graphs import Ends
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate
    from tfmagic.models.value_blocks import Values
    from tfmagic.runtime import tensorflow as runtime

_CLASSES = ("Graph", "BaseSession", "_MonitoredSession")


class SessionReader(Reader):
    """Reads sessions and graphs of TensorFlow 1."""

    form: ClassVar[str] = "session"
    title: ClassVar[str] = "Session of TensorFlow 1"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.VARIABLES, Part.FUNCTION})
    has_free_key: ClassVar[bool] = True
    is_session: ClassVar[bool] = True
    instead: ClassVar[str] = "a tf.Graph has no values: give the tf.compat.v1.Session that has run its initialisers"
    is_open: ClassVar[bool] = True
    holds_more: ClassVar[bool] = True
    looks_like: ClassVar[str] = "a `tf.compat.v1.Session`, a `tf.Graph`"
    is_live: ClassVar[bool] = True

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the object is a session or a graph."""
        return candidate.path is None and any(functions.tf_functions.is_a(candidate.value, name) for name in _CLASSES)

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; a graph has no tags to choose by."""
        del tags
        value = candidate.value
        if functions.tf_functions.is_a(value, "Graph"):
            return Model(self.form, f"a live {type(value).__name__}", {Part.GRAPH: cache(partial(_graphs, value))})
        return self._of_session(value)

    def _of_session(self, value: runtime.Live, *, ema: bool = False) -> Model:
        """Return the model of a session, its weights or their moving averages in it."""
        graphs = cache(lambda: _graphs(functions.sessions.raw(value).graph))
        state = cache(lambda: _state(value, graphs(), ema=ema))
        return Model(
            self.form,
            f"a live {type(value).__name__}",
            {
                Part.GRAPH: graphs,
                Part.VARIABLES: lambda: graph_variables.rows(None, graphs()),
                Part.FUNCTION: lambda: partial(_function, value, graphs, state if ema else None),
            },
            live=value,
            values=lambda row: _values(value, row.name),
            state=state,
            averaging=partial(self._of_session, value, ema=True),
            ema=ema,
        )

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the session as it is."""
        return [f"session = {source.name}"]


def _values(session: runtime.Live, name: str) -> Values:
    """Return the values that a variable has now."""
    inner = functions.sessions.raw(session)
    node = next((op.name for op in inner.graph.get_operations() if _shared_name(op) == name), name)
    return cut(np.asarray(functions.sessions.values(inner, [node])[node]))


def _shared_name(op: runtime.Live) -> str:
    """Return the name that the table of variables gives a resource variable."""
    if op.type != "VarHandleOp":
        return ""
    shared: str = op.get_attr("shared_name").decode(errors="replace")
    return shared or str(op.name)


def _graphs(value: runtime.Live) -> tuple[MetaGraph, ...]:
    """Describe a graph with its collections, shapes included."""
    return (MetaGraph.of_message(functions.sessions.meta_graph_def(value)),)


def _state(session: runtime.Live, graphs: tuple[MetaGraph, ...], *, ema: bool) -> Store:
    return functions.session_state.SessionStore(graphs[0], session=functions.sessions.raw(session), ema=ema)


def _function(  # noqa: PLR0913 - what was given, and the options of a signature
    session: runtime.Live,
    graphs: Callable[[], tuple[MetaGraph, ...]],
    state: Callable[[], Store] | None,
    key: str | None = None,
    *,
    inputs: Ends = None,
    outputs: Ends = None,
    shared: Shared | None = None,
) -> NamedFunction:
    """Take out the function between the ends given, those proposed for the graph where none are."""
    wrap = partial(functions.sessions.of_session, session, read=None if state is None else state().values)
    return functions.unsigned_graphs.between(wrap, graphs()[0], key, inputs, outputs, shared=shared)

"""The form ``session``: a TF1 session with its graph, or a graph alone.

The user's graph is never added to. A graph without a session has no values, so there is a graph and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tfmagic import errors, graph, graph_variables, plumbing, signatures
from tfmagic.frames import from_columns
from tfmagic.functions import sessions
from tfmagic.functions.tf_functions import is_a
from tfmagic.metagraphs import MetaGraph
from tfmagic.model import Model, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tfmagic import _tf
    from tfmagic.functions import NamedFunction
    from tfmagic.registry import Candidate

#: Tensor names by key, or tensor names, whose nodes' names are then the keys.
Ends: TypeAlias = Mapping[str, str] | Sequence[str] | None

_HANDLES = frozenset({"resource", "variant"})


class SessionReader:
    """Reads sessions and graphs of TensorFlow 1."""

    form: ClassVar[str] = "session"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.VARIABLES, Part.FUNCTION})
    looks_like: ClassVar[str] = "a `tf.compat.v1.Session`, a `tf.Graph`"
    is_live: ClassVar[bool] = True

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the object is a session or a graph."""
        return any(is_a(candidate.value, name) for name in ("Graph", "BaseSession", "_MonitoredSession"))

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; a graph has no tags to choose by."""
        del tags
        value = candidate.value
        if is_a(value, "Graph"):
            return Model(self.form, f"a live {type(value).__name__}", {Part.GRAPH: cache(partial(_graphs, value))})
        graphs = cache(lambda: _graphs(sessions.raw(value).graph))
        return Model(
            self.form,
            f"a live {type(value).__name__}",
            {
                Part.GRAPH: graphs,
                Part.VARIABLES: lambda: graph_variables.rows(None, graphs()),
                Part.FUNCTION: lambda: partial(_function, value, graphs),
            },
        )


def _graphs(value: _tf.Live) -> tuple[MetaGraph, ...]:
    """Describe a graph with its collections, shapes included."""
    return (MetaGraph.of_message(sessions.meta_graph_def(value)),)


def _function(
    session: _tf.Live,
    graphs: Callable[[], tuple[MetaGraph, ...]],
    key: str | None = None,
    *,
    inputs: Ends = None,
    outputs: Ends = None,
) -> NamedFunction:
    """Take out the function between the ends given, those proposed for the graph where none are."""
    proposed = _proposed(graphs()[0]) if inputs is None or outputs is None else None
    given, wanted = (
        _by_key(getattr(proposed, side) if ends is None else ends)
        for side, ends in (("inputs", inputs), ("outputs", outputs))
    )
    if not wanted:
        raise errors.MissingPartError(
            "function", SessionReader.form, ("graph", "variables"), "No output is to be seen in the graph: name one"
        )
    return sessions.of_session(session, given, wanted, key=key or signatures.DEFAULT_KEY)


def _proposed(meta_graph: MetaGraph) -> plumbing.Ends:
    ops = from_columns("ops", graph.node_columns(meta_graph.graph, {})._asdict())
    ends = plumbing.propose_ends(plumbing.main_graph(ops))
    dtypes = dict(zip(ops["name"], ops["dtype"], strict=True))
    # A handle is nothing that a function could hand to anyone.
    return ends._replace(outputs=tuple(each for each in ends.outputs if dtypes[plumbing.node_of(each)] not in _HANDLES))


def _by_key(ends: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Name tensors after their nodes if nobody else did."""
    if isinstance(ends, Mapping):
        return dict(ends)
    return {plumbing.node_of(tensor): tensor for tensor in ends}

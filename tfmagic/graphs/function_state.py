"""Find what saving a graph loses: variables and tables inside it, as TensorFlow 1 has them, and calls into Python.

Not for: what a function captured from outside (``transforms/``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.function_library import called
from tfmagic.graphs.state_ops import filled_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.runtime import tensorflow as runtime

_STATE = frozenset({
    "VarHandleOp", "VariableV2", "Variable", "HashTableV2", "HashTable", "MutableHashTableV2", "MutableHashTable",
    "MutableHashTableOfTensorsV2", "MutableDenseHashTableV2", "AnonymousHashTable", "AnonymousMutableHashTable",
})  # fmt: skip
#: Ops that call a function of this process, by a number that no other process knows.
PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


def own_state(graph_def: runtime.Live) -> list[str]:
    """Return the nodes that keep state, of the main graph and of the functions that it calls.

    A table that the same graph fills is none; nor is one in a function that a loader would call to make it anew.
    """
    return list(dict.fromkeys(name for nodes in _bodies(graph_def) for name in _keepers(nodes)))


def python_calls(graph_def: runtime.Live) -> list[str]:
    """Return the nodes that call back into Python, of the main graph and of the functions that it calls."""
    return [node.name for nodes in _bodies(graph_def) for node in nodes if node.op in PYTHON_OPS]


def _bodies(graph_def: runtime.Live) -> list[Sequence[runtime.Live]]:
    """Return the nodes of the main graph, and of each function that it calls."""
    library = {function.signature.name: function for function in graph_def.library.function}
    reached = called(graph_def.node, library)
    return [graph_def.node, *(function.node_def for name, function in library.items() if name in reached)]


def _keepers(nodes: Sequence[runtime.Live]) -> Iterator[str]:
    filled = filled_tables(nodes)
    return (node.name for node in nodes if node.op in _STATE and node.name not in filled)

"""Name scopes of a function that is being traced, as Keras layers open them.

Not for: names in a graph that is made (:mod:`tfmagic.graphs.tensor_names`).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GRAPH_STATE = ("name_scope", "_name_stack", "_names_in_use", "version")
#: Where Keras 3 keeps, for each thread, the scopes that are open: ``keras/src/backend/common/name_scope.py``.
_STATE_MODULE, _STACK = "keras.src.backend.common.global_state", "name_scope_stack"


@contextlib.contextmanager
def without_empty_scopes() -> Iterator[None]:
    """Let a scope in which no op was made give its name back, in the function that is being traced and nowhere else.

    A layer of Keras 3 opens its scope twice, for ``build`` and for ``call``: the first stays empty, and the ops would
    lie in ``dense_1_1``, and those of a cell in the body of a loop in ``while/lstm_cell_1``. The body is a graph of its
    own, which TensorFlow makes on the way, so each graph is reached when a layer opens its first scope there. Without
    the private attributes of graphs and of Keras, which is the fallback, the names are those.
    """
    traced = runtime.tensorflow().compat.v1.get_default_graph()
    _forget_empty(traced)
    state = _keras_state()
    if state is None:
        yield
        return
    before = state.get_global_attribute(_STACK)
    state.set_global_attribute(_STACK, _Scopes(before or (), lambda: _forget_empty_below(traced)))
    try:
        yield
    finally:
        state.set_global_attribute(_STACK, before)


class _Scopes(list[Any]):
    """The scopes that are open in a thread; somebody hears of each before it is opened in the graph."""

    def __init__(self, scopes: Any, before_opening: Callable[[], None]) -> None:  # noqa: ANN401 - Keras' own objects
        super().__init__(scopes)
        self._before_opening = before_opening

    def append(self, scope: object) -> None:
        self._before_opening()
        super().append(scope)


def _keras_state() -> Any:  # noqa: ANN401 - a module
    """Return the module in which Keras 3 keeps what belongs to a thread, None where it has none."""
    if runtime.loaded("keras") is None:
        return None
    try:
        state = importlib.import_module(_STATE_MODULE)
    except ImportError:
        return None
    has_both = hasattr(state, "get_global_attribute") and hasattr(state, "set_global_attribute")
    return state if has_both else None


def _forget_empty_below(traced: runtime.Live) -> None:
    """Reach the graph in which a scope is about to be opened, if it is part of what is being traced."""
    tf = runtime.tensorflow()
    if tf.executing_eagerly():
        return
    graph = outer = tf.compat.v1.get_default_graph()
    while outer is not None and outer is not traced:
        outer = getattr(outer, "outer_graph", None)
    # What was exchanged is a plain function.
    if outer is traced and inspect.ismethod(getattr(graph, "name_scope", None)):
        _forget_empty(graph)


def _forget_empty(graph: runtime.Live) -> None:
    if not all(hasattr(graph, name) for name in _GRAPH_STATE):
        return
    opened, used = graph.name_scope, graph._names_in_use  # noqa: SLF001 - there is no public way

    @contextlib.contextmanager
    def name_scope(name: str | None) -> Iterator[str]:
        stack = graph._name_stack  # noqa: SLF001 - as above
        # Names are unique whatever their case; one that ends in a slash is entered again, not made.
        key = f"{stack}/{name}".lower() if stack and name else (name or "").lower()
        before, version = used.get(key), graph.version
        with opened(name) as scope:
            yield scope
        if name and not name.endswith("/") and graph.version == version:
            scope_name = str(scope).rstrip("/").lower()
            if scope_name != key:
                used.pop(scope_name, None)
            if before is None:
                used.pop(key, None)
            else:
                used[key] = before

    graph.name_scope = name_scope

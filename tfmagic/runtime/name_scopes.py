"""Name scopes of a function that is being traced, as Keras layers open them.

Not for: names in a graph that is made (:mod:`tfmagic.graphs.tensor_names`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATE = ("name_scope", "_name_stack", "_names_in_use", "version")


def forget_empty_scopes() -> None:
    """Let a scope in which no op was made give its name back, in the function that is being traced and nowhere else.

    A layer of Keras 3 opens its scope twice, for ``build`` and for ``call``: the first stays empty, and the ops would
    lie in ``dense_1_1``. Without the private attributes of the graph, which is the fallback, they do.
    """
    graph = runtime.tensorflow().compat.v1.get_default_graph()
    if not all(hasattr(graph, name) for name in _STATE):
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

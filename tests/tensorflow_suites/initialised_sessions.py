"""Sessions as TensorFlow 1's own tests make them. Not for: the project's samples (``tests/session_samples.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def initialised(tf: Any, build: Callable[[Any], None]) -> Any:
    """Return a session on a graph of TensorFlow 1, initialised."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        build(v1)
        session = v1.Session(graph=graph)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    return session

"""A session as a place where the state of a graph lies: variables are read one at a time, when they are wanted.

Not for: the same of files (:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions import sessions
from tfmagic.functions.state.saved_models import Store, Stored
from tfmagic.graphs import restores
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tfmagic.graphs.restores import Slot


@dataclass(frozen=True)
class SessionStore(Store):
    """The state of a session's graph.

    Attributes
    ----------
    session : tf.compat.v1.Session
        Open, its variables initialised.
    """

    session: runtime.Live = None

    def require(self, names: Sequence[str]) -> dict[str, Slot]:
        """Return the variables' own names; raises ConversionError if nothing in the graph reads one."""
        for name in names:
            sessions.reading(self.session.graph, name)
        return {name: restores.Slot(name) for name in names}

    def tensor(self, name: str, slot: Slot) -> Stored:
        """Describe a variable as its node declares it.

        Raises
        ------
        ConversionError
            If its shape is not known before it is read.
        """
        del slot
        tensor = sessions.reading(self.session.graph, name)
        if not tensor.shape.is_fully_defined():
            raise errors.ConversionError(f"the shape of the variable {name!r} is not declared")
        dtype = tensor.dtype.base_dtype.name
        return Stored(dtype, tuple(tensor.shape.as_list()), partial(self._read, name))

    def _read(self, name: str) -> np.ndarray:
        return sessions.values(self.session, [name])[name]

    def tables(self, names: Sequence[str]) -> dict[str, runtime.Live]:
        """Make tables with what the session's own tables hold, by the names of their nodes."""
        with runtime.eager():
            return {name: sessions.table(self.session, name) for name in names}

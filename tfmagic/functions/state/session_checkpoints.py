"""What ``tf.compat.v1.train.Saver`` would save of a session, found without adding an op to the user's graph.

A Saver adds its ops to the graph that it saves. Here it does so to a copy, which goes into the ``.meta``; the values
come from the user's session. Not for: functions of a session (:mod:`tfmagic.functions.sessions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, progress
from tfmagic.functions import named_function, sessions
from tfmagic.functions.state.value_groups import grouped, tensor_bytes
from tfmagic.graphs.resources import VARIABLES
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from tfmagic.frames import Shape

_SAVE, _INPUTS = "SaveV2", 3


class SessionTensor(NamedTuple):
    """A tensor of a checkpoint, which is a variable or a piece of one.

    Attributes
    ----------
    key : str
        Its key in the checkpoint.
    slice : str
        Which part of the whole it is, empty for all.
    node : str
        The variable in the user's graph.
    dtype : str
        Of its values.
    shape : tuple or None
        As far as the graph says it.
    """

    key: str
    slice: str
    node: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class SavedSession:
    """A session on its way to a checkpoint.

    Attributes
    ----------
    session : tf.compat.v1.Session
        Where the values are.
    meta_graph_def : bytes
        The serialised MetaGraphDef, with a Saver's ops and its SaverDef.
    tensors : tuple of SessionTensor
        What the Saver saves, in its order.
    """

    session: runtime.Live
    meta_graph_def: bytes
    tensors: tuple[SessionTensor, ...]

    @property
    def size(self) -> int:
        """What the values take in bytes, as far as the graph says it."""
        return sum(tensor_bytes(tensor.dtype, tensor.shape) or 0 for tensor in self.tensors)

    def groups(self) -> Iterator[list[SessionTensor]]:
        """Yield the tensors a few at a time."""
        return grouped(self.tensors, lambda tensor: tensor_bytes(tensor.dtype, tensor.shape))

    def values(self) -> Iterator[tuple[SessionTensor, np.ndarray]]:
        """Yield each tensor with the value that the session has for it, a few in memory at a time.

        Raises
        ------
        ReadError
            If the session is closed.
        ConversionError
            If a variable is not initialised.
        """
        for group in self.groups():
            progress.check()
            values = dict(sessions.values(self.session, [tensor.node for tensor in group]))
            for tensor in group:
                yield tensor, values.pop(tensor.node)

    def value(self, tensor: SessionTensor) -> np.ndarray:
        """Return the value that the session has for one tensor now."""
        return sessions.values(self.session, [tensor.node])[tensor.node]


def of_session(session: runtime.Live) -> SavedSession:
    """Collect what there is to save.

    Raises
    ------
    ConversionError
        If the graph has nothing to save, or what a table holds cannot be found out.
    """
    tf = runtime.tensorflow()
    inner = sessions.raw(session)
    v1 = tf.compat.v1
    _require_variables_only(inner.graph)
    original = sessions.meta_graph_def(inner.graph)
    with tf.Graph().as_default() as copy:
        # It makes a Saver of its own where the message has none: a second would be a second set of nodes.
        saver = v1.train.import_meta_graph(original, clear_devices=True)
        if saver is None:
            raise errors.ConversionError("the session's graph has no variable, so there is nothing to save")
        saver_def = saver.as_saver_def()
        meta_graph_def = v1.train.export_meta_graph(graph=copy, saver_def=saver_def).SerializeToString()
        # The user's own Savers may stand in the same scope.
        done = copy.get_tensor_by_name(saver_def.save_tensor_name).op
        save = next(each for each in done.control_inputs if each.type == _SAVE)
        names, slices = ([each.decode() for each in _constant(tf, save.inputs[place])] for place in (1, 2))
        tensors = tuple(
            SessionTensor(key, piece, _variable(tensor), tensor.dtype.base_dtype.name, named_function.shape(tensor))
            for key, piece, tensor in zip(names, slices, save.inputs[_INPUTS:], strict=True)
        )
    return SavedSession(inner, meta_graph_def, tensors)


def _require_variables_only(graph: runtime.Live) -> None:
    """Refuse what only a Saver in the user's graph can save: its content would be lost."""
    saveables = graph.get_collection("saveable_objects")
    if saveables:
        raise errors.ConversionError(
            f"the session holds {errors.listed(str(each.name) for each in saveables)}, whose content only a Saver in "
            "its own graph can save, and no op is added to that: tf.compat.v1.train.Saver().save(session, path) does"
        )


def _constant(tf: runtime.Live, tensor: runtime.Live) -> Iterator[bytes]:
    yield from tf.make_ndarray(tensor.op.get_attr("value")).reshape(-1).tolist()


def _variable(tensor: runtime.Live) -> str:
    """Return the node of the variable that a tensor is read from."""
    while tensor.op.type not in VARIABLES:
        tensor = tensor.op.inputs[0]
    name: str = tensor.op.name
    return name

"""What ``tf.compat.v1.train.Saver`` would save of a session, found without adding an op to the user's graph.

A Saver adds its ops to the graph that it saves. Here they come to the message that goes into the ``.meta``, and to no
graph: TensorFlow would take a copy of the whole graph to make them, and looks for a free name for each among all that
another Saver has. The values come from the user's session. Not for: functions of a session
(:mod:`tfmagic.functions.sessions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, progress
from tfmagic.files import protos
from tfmagic.functions import sessions
from tfmagic.functions.state.value_groups import grouped, tensor_bytes
from tfmagic.graphs import variables
from tfmagic.graphs.resources import REF_VARIABLES
from tfmagic.graphs.tensor_names import FreeNames, node_of
from tfmagic.transforms.placement import leave_absent_devices
from tfmagic.writers.saved_model import saver
from tfmagic.writers.saved_model.saver import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from tfmagic.frames import Shape
    from tfmagic.runtime import tensorflow as runtime


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
        The serialised MetaGraphDef, with a saver's ops and its SaverDef.
    tensors : tuple of SessionTensor
        What a Saver saves, in its order.
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


def of_session(session: runtime.Live) -> tuple[SavedSession, tuple[str, ...]]:
    """Collect what there is to save, and what is to be noted.

    Raises
    ------
    ConversionError
        If the graph has nothing to save, or what a table holds cannot be found out.
    """
    inner = sessions.raw(session)
    _require_variables_only(inner.graph)
    message = protos.adopt(sessions.meta_graph_def(inner.graph))
    nodes = {node.name: node for node in message.graph_def.node}
    definitions = {node_of(each.variable_name): each for each in variables.definitions(message, "variables")}
    places = sorted(((*place_of(each), name) for name, each in definitions.items()), key=lambda place: place[0])
    if not places:
        raise errors.ConversionError("the session's graph has no variable, so there is nothing to save")
    tensors = tuple(_tensor(nodes[name], key, piece) for key, piece, name in places)
    saver.add_saver(message, FreeNames(nodes), [_saved(nodes[each.node], each) for each in tensors])
    notes = leave_absent_devices(message.graph_def)
    return SavedSession(inner, message.SerializeToString(), tensors), notes


def _require_variables_only(graph: runtime.Live) -> None:
    """Refuse what only a Saver in the user's graph can save: its content would be lost."""
    saveables = graph.get_collection("saveable_objects")
    if saveables:
        raise errors.ConversionError(
            f"the session holds {errors.listed(str(each.name) for each in saveables)}, whose content only a Saver in "
            "its own graph can save, and no op is added to that: tf.compat.v1.train.Saver().save(session, path) does"
        )


def _tensor(node: protos.Message, key: str, piece: str) -> SessionTensor:
    dtype, shape = protos.dtype_name(node.attr["dtype"].type), protos.shape_of(node.attr["shape"].shape)
    return SessionTensor(key, piece, str(node.name), dtype, shape)


def _saved(node: protos.Message, tensor: SessionTensor) -> saver.SavedVariable:
    """Say what a saver takes of a variable: itself where it is a reference."""
    is_reference = node.op in REF_VARIABLES
    source = tensor.node if is_reference else ""
    saved = saver.SavedTensor(tensor.key, tensor.slice, source, node.attr["dtype"].type)
    return saver.SavedVariable(tensor.node, saved, node.device, is_reference)

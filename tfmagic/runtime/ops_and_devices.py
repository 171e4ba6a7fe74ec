"""What TensorFlow has here: the definition of each op, which of its arguments are references, and the devices.

Not for: graphs; the definitions that a file brings along stand in its MetaGraphDef.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A processor of this process, without TensorFlow's help.
_FIRST_PROCESSOR = re.compile(r"(/job:localhost)?(/replica:0)?(/task:0)?(/(device:)?(CPU|cpu):(0|\*))?")


class Definitions:
    """The definitions of the ops that a graph can use.

    Parameters
    ----------
    graph_def : GraphDef
        Its functions are ops, too.
    header : MetaGraphDef
        Ops that are not registered here may stand in the list that it brings along.
    """

    def __init__(self, graph_def: protos.Message, header: protos.Message) -> None:
        self._functions: Mapping[str, protos.Message] = {
            each.signature.name: each.signature for each in graph_def.library.function
        }
        self._listed: Mapping[str, protos.Message] = {
            each.name: each for each in header.meta_info_def.stripped_op_list.op
        }

    def of(self, op: str) -> protos.Message | None:
        """Return the OpDef of an op, None if nobody knows it."""
        return self._functions.get(op) or self._listed.get(op) or op_definition(op)


@cache
def op_definition(op: str) -> protos.Message | None:
    """Return the OpDef of an op, of our pool; None if no op of this name is registered, or TensorFlow is not installed.

    The fallback asks what TensorFlow would write into a MetaGraphDef with such a node.
    """
    if not runtime.is_installed():
        return None
    try:
        registry = importlib.import_module("tensorflow.python.framework.op_def_registry")
        definition = registry.get(op)
    except (ImportError, AttributeError):
        return exported_definition(op)
    return None if definition is None else protos.adopt(definition)


def exported_definition(op: str) -> protos.Message | None:
    """Return the OpDef that an export of a graph with such an op lists: the public way, slower."""
    tf = runtime.tensorflow()
    graph_def = tf.compat.v1.GraphDef()
    graph_def.node.add(name="node", op=op)
    with tf.Graph().as_default():
        try:
            meta_graph_def = tf.compat.v1.train.export_meta_graph(graph_def=graph_def)
        except (ValueError, RuntimeError):
            return None
    definitions = {each.name: each for each in meta_graph_def.meta_info_def.stripped_op_list.op}
    return protos.adopt(definitions[op]) if op in definitions else None


@cache
def has_device(name: str) -> bool:
    """Say whether a device is one of this process: ``"/device:GPU:0"`` where there is a GPU; one of any kind is.

    The first processor always is; where TensorFlow is not installed, nothing else is.
    """
    if _FIRST_PROCESSOR.fullmatch(name):
        return True
    if not runtime.is_installed():
        return False
    tf = runtime.tensorflow()
    try:
        spec = tf.DeviceSpec.from_string(name)
    except ValueError:
        return False
    if spec.job not in (None, "localhost") or spec.task or spec.replica:
        return False
    if spec.device_type is None:
        return True
    there = [each for each in tf.config.list_physical_devices() if each.device_type == spec.device_type.upper()]
    return len(there) > (spec.device_index or 0)

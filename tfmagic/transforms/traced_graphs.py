"""What can only be called, as a graph with a way to its variables' values: so that it can be joined to one.

    f(x; kernel) of a model          x: Placeholder ─┐
                                     kernel: VarHandleOp ── dense/MatMul/ReadVariableOp ── dense/MatMul ── scores

Nothing is traced again: the nodes are those of the function's own graph, and what it captured stands under the names
that its user knows. Not for: tables and other resources, which only the process holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.functions.state.initial_values import Stored
from tfmagic.functions.state.saved_models import Store
from tfmagic.graphs.function_library import all_nodes
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.resources import own_state, python_calls
from tfmagic.graphs.tensor_names import FreeNames, node_of
from tfmagic.runtime import concrete_functions
from tfmagic.transforms.captures import array_of, captures, of_tensor
from tfmagic.transforms.end_names import node_names
from tfmagic.transforms.frozen_graph import constant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tfmagic.functions import NamedFunction
    from tfmagic.runtime import tensorflow as runtime

#: What refers to Python functions of the process that traced.
_LOCAL_ATTRS = ("_gradient_op_type", "_construction_context", "_user_specified_name")


@dataclass(frozen=True)
class TracedStore(Store):
    """The state of a function's graph.

    Attributes
    ----------
    variables : mapping of str to tf.Variable
        By their nodes.
    """

    variables: Mapping[str, runtime.Live] = field(default_factory=dict)

    @property
    def init_op(self) -> str:
        """None: the variables have their values."""
        return ""

    @property
    def asset_variables(self) -> Mapping[str, Path]:
        """None: a function's variables hold values."""
        return {}

    def has_value(self, name: str) -> bool:
        """Say that each variable has a value."""
        return name in self.variables

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values of variables, by the names of their nodes."""
        return {name: array_of(self.variables[name]) for name in names}

    def values_before(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values: nothing is run behind them."""
        return self.values(names)

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """Describe the values of variables, by the names of their nodes."""
        return {name: self._described(name) for name in names}

    def _described(self, name: str) -> Stored:
        variable = self.variables[name]
        read = partial(self._read, name)
        return Stored(variable.dtype.name, tuple(variable.shape.as_list()), read)

    def _read(self, name: str) -> np.ndarray:
        return self.values([name])[name]


def traced_store(function: NamedFunction, trainable: Mapping[int, bool]) -> TracedStore | None:
    """Return a function's graph with its variables, None where it needs more than these.

    Parameters
    ----------
    function : NamedFunction
        Its inputs and outputs are tensors of the result.
    trainable : mapping of int to bool
        Whether variables are trained, by their identity, where the source says otherwise than TensorFlow.
    """
    native = concrete_functions.graph_def(function.concrete)
    held = captures(function)
    if held.resources or own_state(native) or python_calls(native):
        return None
    meta_graph = protos.message("MetaGraphDef")()
    meta_graph.graph_def.CopyFrom(protos.adopt(native))
    graph_def = meta_graph.graph_def
    for node in all_nodes(graph_def):
        for name in _LOCAL_ATTRS:
            node.attr.pop(name, None)
    nodes = {node.name: node for node in graph_def.node}
    for name, tensor in held.tensors.items():
        value = of_tensor(tensor)
        constant(nodes[name], value)
        content = nodes[name].attr["value"].tensor
        if value.texts is None:
            content.tensor_content = bytes(value.read())
        else:
            content.CopyFrom(value.texts())
    variables = _put_variables(graph_def, held.variables, function.variables)
    for name, variable in variables.items():
        trains = bool(trainable.get(id(variable), variable.trainable))
        definition = protos.message("VariableDef")(variable_name=f"{name}:0", is_resource=True, trainable=trains)
        for collection in ("variables", *(["trainable_variables"] if trains else [])):
            meta_graph.collection_def[collection].bytes_list.value.append(definition.SerializeToString())
    return TracedStore(MetaGraph.of_message(meta_graph), variables=variables)


def _put_variables(
    graph_def: protos.Message, placeholders: Mapping[str, runtime.Live], named: Mapping[str, runtime.Live]
) -> dict[str, runtime.Live]:
    """Put a variable of its own name in the place of the placeholders that stand for it."""
    known = {id(variable): name for name, variable in named.items()}
    kept = [node for node in graph_def.node if node.name not in placeholders]
    free = FreeNames(node.name for node in kept)
    distinct = {id(variable): variable for variable in placeholders.values()}
    wanted = node_names(known.get(key, variable.name.partition(":")[0]) for key, variable in distinct.items())
    names = {key: free(name) for key, name in zip(distinct, wanted, strict=True)}
    result = protos.message("GraphDef")()
    for key, variable in distinct.items():
        node = result.node.add(name=names[key], op="VarHandleOp")
        node.attr["dtype"].type = protos.dtype_number(variable.dtype.name)
        node.attr["shape"].shape.CopyFrom(protos.adopt(variable.shape.as_proto()))
        node.attr["shared_name"].s = names[key].encode()
        node.attr["container"].s = b""
    for node in kept:
        copy = result.node.add()
        copy.CopyFrom(node)
        for place, text in enumerate(node.input):
            if not text.startswith("^") and node_of(text) in placeholders:
                copy.input[place] = names[id(placeholders[node_of(text)])]
    del graph_def.node[:]
    graph_def.node.extend(result.node)
    return {names[key]: variable for key, variable in distinct.items()}

"""Freeze a function: its variables, captured tensors and tables become constants of one graph.

The graph is taken without its weights, flattened and cut to what the outputs need; then reads of variables become
uses of constants whose content stays in the variables until it is written. TensorFlow's own
``convert_variables_to_constants_v2`` copies every weight some ten times and cannot freeze tables. Not for: writing
(``writers/``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfmagic import errors, protos
from tfmagic.transforms import inlining, tables
from tfmagic.transforms.captures import captures, of_tensor, of_variable, require_outside_state, strings, value_of
from tfmagic.transforms.constants import Body, Library, Spec, refusal
from tfmagic.transforms.ends import name_ends
from tfmagic.transforms.frozen import FrozenGraph, constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.functions import NamedFunction
    from tfmagic.transforms.captures import Captures
    from tfmagic.transforms.frozen import Value

_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_ASSIGNMENTS = re.compile(r"Assign(?:Add|Sub)?VariableOp|Resource(?:Scatter|Apply|SparseApply)\w*")
_RANDOM = re.compile(r"(?:Stateless)?(?:Random(?!Shuffle)|TruncatedNormal|ParameterizedTruncatedNormal|Multinomial)")
_BATCH_NORM = re.compile(r"FusedBatchNorm(?:V\d)?")


def freeze(function: NamedFunction) -> FrozenGraph:
    """Freeze a function.

    Returns
    -------
    FrozenGraph
        Its inputs and outputs are nodes named by the user's keys.

    Raises
    ------
    UnsupportedConversionError
        If the function writes to variables, calls back into Python, or needs another kind of state.
    TooLargeError
        If the result would pass 2 GiB.
    """
    found = captures(function)
    require_outside_state(function, "graph_def")
    graph_def = _flat_graph(function)
    assigned = _assigned(graph_def)
    inputs, outputs = name_ends(graph_def, function.inputs, function.outputs)
    ends = [_node(each.tensor) for each in inputs], [_node(each.tensor) for each in outputs]
    inlining.prune(graph_def, ends[1], ends[0])
    _refuse_python(graph_def)
    values = tables.fill(graph_def, found.resources)
    values.update(_constants(graph_def, found))
    # Handles that only waited for their placeholders are gone with the reads.
    inlining.prune(graph_def, ends[1], ends[0])
    frozen = FrozenGraph(
        graph_def,
        {node.name: values[node.name] for node in graph_def.node if node.name in values},
        inputs,
        outputs,
        function.key,
        function.method,
        tuple(_notes(graph_def, assigned)),
    )
    frozen.require_small_enough()
    return frozen


def _node(tensor: str) -> str:
    return tensor.removesuffix(":0")


def _flat_graph(function: NamedFunction) -> protos.Message:
    """Return the function's graph, calls inlined: variables are placeholders in it, their content is elsewhere."""
    try:
        graph_def = function.concrete.graph.as_graph_def()
    except ValueError as error:
        if "larger than" not in str(error):
            raise
        message = (
            f"the constants in the graph of {function.key!r} take more than 2 GiB, and no protobuf message can hold "
            "them; keep such tensors in tf.Variable and export to a SavedModel"
        )
        raise errors.TooLargeError(message) from error
    keep = [endpoint.tensor for endpoint in (*function.inputs, *function.outputs)]
    return inlining.inlined(graph_def, [*keep, *(tensor.name for tensor in function.concrete.inputs)])


def _assigned(graph_def: protos.Message) -> list[str]:
    """Return the ops that write to variables, reached or not."""
    return [node.name for node in inlining.all_nodes(graph_def) if _ASSIGNMENTS.match(node.op)]


def _refuse_python(graph_def: protos.Message) -> None:
    """Refuse what a graph in a file cannot do."""
    for node in inlining.all_nodes(graph_def):
        if node.op in _PYTHON:
            raise refusal(
                f"op {node.name!r} ({node.op}) calls back into Python (tf.py_function or tf.numpy_function), which "
                "works in the process that traced it only; write that step in TensorFlow ops"
            )


def _constants(graph_def: protos.Message, found: Captures) -> dict[str, Value]:
    """Replace what is left of the captures by constants; return their content by the node's name."""
    nodes = {node.name: node for node in graph_def.node}
    variables = {name: of_variable(each) for name, each in found.variables.items() if name in nodes}
    tensors = {name: of_tensor(each) for name, each in found.tensors.items() if name in nodes}
    starts = {name: Spec(value.dtype, value.shape) for name, value in variables.items()}
    Body(graph_def.node, Library(graph_def), starts).rewrite()
    values = {**variables, **tensors}
    for name, value in values.items():
        constant(nodes[name], value)
        if value.dtype == "string":
            source = found.tensors[name] if name in tensors else value_of(found.variables[name])
            nodes[name].attr["value"].tensor.CopyFrom(strings(source))
    return {name: value for name, value in values.items() if value.dtype != "string"}


def _notes(graph_def: protos.Message, assigned: list[str]) -> Iterator[str]:
    """Say what makes a frozen graph differ from what its user may expect."""
    if assigned:
        yield (
            f"the function also updates variables ({errors.listed(assigned[:3])}), which the frozen graph does not; "
            "was it traced in training mode?"
        )
    for nodes, meaning in (
        (_matching(graph_def, _RANDOM), "draws random numbers, so that two runs differ: dropout in training mode?"),
        (
            _training_norms(graph_def),
            "normalises by each batch (is_training=true): traced in training mode?",
        ),
    ):
        if nodes:
            yield f"the graph {meaning} ({errors.listed(nodes[:3])})"


def _matching(graph_def: protos.Message, op: re.Pattern[str]) -> list[str]:
    return [node.name for node in inlining.all_nodes(graph_def) if op.match(node.op)]


def _training_norms(graph_def: protos.Message) -> list[str]:
    # The attribute's default is true, and a default is left out of a message.
    return [
        node.name
        for node in inlining.all_nodes(graph_def)
        if _BATCH_NORM.fullmatch(node.op) and ("is_training" not in node.attr or node.attr["is_training"].b)
    ]

"""Freeze a function: its variables, captured tensors and tables become constants of one graph.

The graph is taken without its weights, flattened and cut to what the outputs need; then reads of variables become
uses of constants whose content stays in the variables until it is written. TensorFlow's own
``convert_variables_to_constants_v2`` copies every weight some ten times and cannot freeze tables. Not for: writing
(``writers/``).
"""

from __future__ import annotations

import itertools
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.functions.named_function import graph_notes
from tfmagic.graphs import function_library
from tfmagic.graphs.ops import Effect, of_effect, of_kind
from tfmagic.graphs.resources import PYTHON_OPS
from tfmagic.graphs.seed_states import DRAWN_STATE, KERNEL_RANDOM
from tfmagic.graphs.tensor_names import node_of, plain
from tfmagic.graphs.walks import reached
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import frozen_state, inlining, lookup_tables, pruning
from tfmagic.transforms.asset_contents import asset_contents
from tfmagic.transforms.captures import (
    Captures,
    assets,
    captures,
    of_tensor,
    of_variable,
    require_outside_state,
)
from tfmagic.transforms.end_names import name_ends, node_names, rename_nodes
from tfmagic.transforms.frozen_graph import FrozenGraph, constant
from tfmagic.transforms.function_names import name_by_content
from tfmagic.transforms.settled_branches import settle_conditionals
from tfmagic.transforms.variable_reads import Body, Library, Spec, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tfmagic.files import protos
    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.transforms.frozen_graph import Value

_PLACEHOLDERS = of_kind("placeholder")
#: Ops whose state lies elsewhere than in variables and tables.
_OTHER_STATE = re.compile(
    r"\w*Queue(V2)?|(?!Anonymous)\w*Iterator(V2)?|\w+Reader(V2)?|Barrier|TemporaryVariable|AutoReloadVariable"
    r"|BoostedTrees\w*Handle\w*|SimpleML\w*Resource|Anonymous(Iterator|MultiDevice|RandomSeed|SeedGen)\w*"
)
_ASSIGNMENTS = re.compile(r"Assign(?:Add|Sub)?VariableOp|Resource(?:Scatter|Apply|SparseApply)\w*")
_STATELESS = of_kind("random") & of_effect(Effect.PURE)
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
    if not function.outputs:
        raise refusal(
            f"{function.key!r} returns no tensor, and a frozen graph is what its outputs need: nothing would be left"
        )
    captured = captures(function)
    require_outside_state(function, "graph_def")
    graph_def = _flat_graph(function)
    # As long as Python's objects for the nodes are there, whoever goes through the graph makes none anew: enough of
    # those have Python's collector go through all that a user holds, which took as long as half of the freezing.
    _alive = list(graph_def.node)
    state = State(
        {name: of_variable(each) for name, each in captured.variables.items()},
        {name: of_tensor(each) for name, each in captured.tensors.items()},
        captured.resources,
    )
    state = state._replace(tensors={**state.tensors, **_read_assets(graph_def, function, captured)})
    names = rename_nodes(graph_def, _variable_names(graph_def, function, captured.variables))

    # What its graph tells is told of the frozen one, in words of its own.
    of_source = graph_notes(function.concrete) if function.notes else ()
    return assembled(
        graph_def,
        (function.inputs, function.outputs),
        state.renamed(names),
        reading=runtime.eager,
        known=[note for note in function.notes if note not in of_source],
        key=function.key,
        method=function.method,
    )


def _read_assets(graph_def: protos.Message, function: NamedFunction, captured: Captures) -> dict[str, Value]:
    """Return what the outputs read from assets, by the nodes that read; a path alone would lead out of the file."""
    files = {name: Path(each.asset_path.numpy().decode()) for name, each in assets(function, captured).items()}
    if not files:
        return {}
    nodes = {node.name: node for node in graph_def.node}
    ends = [node_of(end.tensor) for end in function.outputs]
    needed = reached(ends, lambda name: [node_of(each) for each in nodes[name].input])
    return asset_contents([nodes[name] for name in needed], files, ends)


class State(NamedTuple):
    """What a flat graph takes from outside, by the node that stands for each: variables, other tensors, tables."""

    variables: Mapping[str, Value]
    tensors: Mapping[str, Value]
    tables: Mapping[str, runtime.Live]

    def renamed(self, names: Mapping[str, str]) -> State:
        """Return the state with other names for some nodes."""
        return State(*({names.get(name, name): value for name, value in each.items()} for each in self))


def assembled(
    graph_def: protos.Message,
    ends: tuple[Sequence[Endpoint], Sequence[Endpoint]],
    state: State,
    *,
    reading: Callable[[], AbstractContextManager[None]] = nullcontext,
    known: Sequence[str] = (),
    **others: str,
) -> FrozenGraph:
    """Name the ends of a flat graph, and put constants in the place of its state.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool; changed in place.
    ends : inputs and outputs
        The tensors of the graph under the user's keys.
    state : State
        What the nodes that stand for variables, tensors and tables hold.
    reading : callable
        Gives a context in which many values are read faster than each by itself.
    known : sequence of str
        What is to be noted first.
    **others
        ``key`` and ``method`` of the signature.

    Raises
    ------
    UnsupportedConversionError, TooLargeError
        As :func:`freeze`.
    """
    _alive = list(graph_def.node)
    assigned, checked = assignments(graph_def), _checks(graph_def, [node_of(each.tensor) for each in ends[1]])
    drawn, changed = frozen_state.changed(graph_def, state.variables)
    renamed: dict[str, str] = {}
    inputs, outputs = name_ends(graph_def, *ends, renamed)
    state = state.renamed(renamed)
    drawn, changed = ({renamed.get(name, name) for name in names} for names in (drawn, changed))
    names = [plain(each.tensor) for each in outputs], [plain(each.tensor) for each in inputs]
    pruning.prune(graph_def, *names)
    _alive = list(graph_def.node)
    refuse_python(graph_def)
    refuse_other_state(graph_def)
    values = lookup_tables.fill(graph_def, state.tables)
    values.update(_constants(graph_def, state, drawn))
    # Handles that only waited for their placeholders are gone with the reads.
    pruning.prune(graph_def, *names)
    _require_inputs(graph_def, names[1])
    of_state = list(frozen_state.notes(graph_def, drawn, {name: state.variables[name] for name in changed}))
    name_by_content(graph_def)
    frozen = FrozenGraph(
        graph_def,
        {node.name: values[node.name] for node in graph_def.node if node.name in values},
        inputs,
        outputs,
        others["key"],
        others["method"],
        (*known, *notes(graph_def, () if of_state else assigned, checked - _checks(graph_def, names[0])), *of_state),
        reading=reading,
    )
    frozen.require_small_enough()
    return frozen


def _flat_graph(function: NamedFunction) -> protos.Message:
    """Return the function's graph, calls inlined: variables are placeholders in it, their content is elsewhere."""
    try:
        graph_def = concrete_functions.graph_def(function.concrete)
    except ValueError as error:
        if "larger than" not in str(error):
            raise
        message = (
            f"the constants in the graph of {function.key!r} take more than 2 GiB, and no protobuf message can hold "
            "them; keep such tensors in tf.Variable and export to a SavedModel"
        )
        raise errors.TooLargeError(message) from error
    keep = [endpoint.tensor for endpoint in (*function.inputs, *function.outputs)]
    keep += [tensor.name for tensor in function.concrete.inputs]
    flat = inlining.inlined(graph_def, keep)
    # An input that was made a constant decides branches, perhaps one within another.
    while settle_conditionals(flat):
        flat = inlining.inlined(flat, keep)
    return flat


def _variable_names(
    graph_def: protos.Message, function: NamedFunction, variables: Mapping[str, runtime.Live]
) -> dict[str, str]:
    """Return the variables' own names for the nodes that stand for them, as far as no other node has such a name.

    TensorFlow calls them by a number, or by the op that reads them first. Names differ in more than their case.
    """
    known = {id(each): name for name, each in function.variables.items()}
    named = {node: known[id(each)] for node, each in variables.items() if id(each) in known}
    taken = {node.name.lower() for node in graph_def.node if node.name not in named}
    result = {}
    for node, wanted in zip(named, node_names(named.values()), strict=True):
        numbered = (f"{wanted}_{number}" for number in itertools.count(1))
        result[node] = next(each for each in itertools.chain((wanted,), numbered) if each.lower() not in taken)
        taken.add(result[node].lower())
    return {node: name for node, name in result.items() if node != name}


def assignments(graph_def: protos.Message) -> list[str]:
    """Return the ops that write to variables, reached or not."""
    return [node.name for node in function_library.all_nodes(graph_def) if _ASSIGNMENTS.match(node.op)]


def _checks(graph_def: protos.Message, outputs: Sequence[str]) -> set[str]:
    """Return the assertions that some outputs wait for, by data or control, those within functions too."""
    if not any(node.op == "Assert" for node in function_library.all_nodes(graph_def)):
        return set()
    nodes = {node.name: node for node in graph_def.node}
    needed = reached(outputs, lambda name: [node_of(each) for each in nodes[name].input if node_of(each) in nodes])
    functions = {function.signature.name: function for function in graph_def.library.function}
    own = [nodes[name] for name in needed if name in nodes]
    called = (functions[name].node_def for name in function_library.called(own, functions))
    return {node.name for node in itertools.chain(own, *called) if node.op == "Assert"}


def refuse_python(graph_def: protos.Message) -> None:
    """Refuse what a graph in a file cannot do."""
    for node in function_library.all_nodes(graph_def):
        if node.op in PYTHON_OPS:
            raise refusal(
                f"op {node.name!r} ({node.op}) calls back into Python (tf.py_function or tf.numpy_function), which "
                "works in the process that traced it only; write that step in TensorFlow ops"
            )


def refuse_other_state(graph_def: protos.Message) -> None:
    """Refuse what hands out something else at each run: no file holds what it had to hand out."""
    for node in function_library.all_nodes(graph_def):
        if _OTHER_STATE.fullmatch(node.op):
            raise refusal(
                f"op {node.name!r} ({node.op}) holds a state of its own, such as a queue or an iterator, which a graph "
                "cannot: choose inputs behind it, with inputs=[…] (--inputs)"
            )


def _require_inputs(graph_def: protos.Message, inputs: Sequence[str]) -> None:
    """Refuse a graph that waits for a value which nothing gives it."""
    missing = [node.name for node in graph_def.node if node.op in _PLACEHOLDERS and node.name not in inputs]
    if missing:
        raise errors.ConversionError(
            f"the outputs also need {errors.listed(missing)}, which is not among the inputs {errors.listed(inputs)}; "
            "add it, or choose inputs further down the graph"
        )


def _constants(graph_def: protos.Message, state: State, drawn: Container[str]) -> dict[str, Value]:
    """Replace what is left of the state by constants, or by what draws it; return the content by the node's name."""
    nodes = {node.name: node for node in graph_def.node}
    variables = {name: value for name, value in state.variables.items() if name in nodes}
    starts = {name: Spec(value.dtype, value.shape) for name, value in variables.items()}
    Body(graph_def.node, Library(graph_def), starts).rewrite()
    values = variables | {name: value for name, value in state.tensors.items() if name in nodes}
    for name in [name for name in values if name in drawn]:
        frozen_state.draw(graph_def, nodes[name], values.pop(name))
    for name, value in values.items():
        constant(nodes[name], value)
        if value.texts is not None:
            nodes[name].attr["value"].tensor.CopyFrom(value.texts())
    return {name: value for name, value in values.items() if value.texts is None}


def notes(graph_def: protos.Message, assigned: Sequence[str], unchecked: set[str]) -> Iterator[str]:
    """Say what makes a frozen graph differ from what its user may expect."""
    if unchecked:
        yield (
            f"checks of values ({errors.listed(sorted(unchecked)[:3])}) are left out of the frozen graph: it goes on "
            "where the source would refuse its inputs"
        )
    if assigned:
        yield (
            f"the function also updates variables ({errors.listed(assigned[:3])}), which the frozen graph does not; "
            "was it traced in training mode?"
        )
    yield from _random_notes(graph_def)
    norms = _training_norms(graph_def)
    if norms:
        yield (
            "the graph normalises by each batch (is_training=true): traced in training mode? "
            f"({errors.listed(norms[:3])})"
        )


def _random_notes(graph_def: protos.Message) -> Iterator[str]:
    """Say whether two runs of the graph differ: what is stateless draws what its seed says."""
    nodes = list(function_library.all_nodes(graph_def))
    drawn = any(DRAWN_STATE in node.attr for node in nodes)
    moving = [node.name for node in nodes if node.op in KERNEL_RANDOM and DRAWN_STATE not in node.attr]
    seeded = [node.name for node in nodes if node.op in _STATELESS]
    if moving:
        yield (
            "the graph draws random numbers, so that two runs differ: dropout in training mode? "
            f"({errors.listed(moving[:3])})"
        )
    elif seeded and not drawn:
        yield (
            "the graph draws random numbers from a seed, so that equal seeds give equal runs "
            f"({errors.listed(seeded[:3])})"
        )


def _training_norms(graph_def: protos.Message) -> list[str]:
    # The attribute's default is true, and a default is left out of a message.
    return [
        node.name
        for node in function_library.all_nodes(graph_def)
        if _BATCH_NORM.fullmatch(node.op) and ("is_training" not in node.attr or node.attr["is_training"].b)
    ]

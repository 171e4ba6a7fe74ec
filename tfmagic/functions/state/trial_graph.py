"""The graph of a trial run: nothing of it prints, draws what cannot be repeated, or goes by a name of the user's.

Not for: the variables and tables that a run changes (:mod:`tfmagic.functions.state.resource_copies`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs.function_library import all_nodes, references
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.seed_states import DRAWN_STATE, GENERATOR_OPS, GENERATOR_SHAPE, KERNEL_RANDOM
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: What a graph that is to be repeated draws from, where its author chose no seed.
SEED = 20240229
#: Ops that print, and how they are cut out: the first has no outputs, the second hands on its first input.
_PRINTS, _PRINTS_AND_PASSES = "PrintV2", "Print"
_SEEDS = ("seed", "seed2")
#: Attributes that bind a node or a function to the graph that it came from.
_LOCAL_ATTRS = ("_gradient_op_type", "api_implements", "api_preferred_device", "forward_function_name",
                "backward_function_name")  # fmt: skip
_READ_GENERATOR = "RngReadAndSkip"
_numbers = itertools.count(1)


def prints(graph_def: protos.Message) -> bool:
    """Say whether a run prints."""
    return any(node.op in (_PRINTS, _PRINTS_AND_PASSES) for node in all_nodes(graph_def))


def drawing(graph_def: protos.Message, has_seed_states: bool) -> frozenset[str]:  # noqa: FBT001 - found by the caller
    """Return the ops by which a run draws what the next one does not, those on seed states under one name."""
    nodes = list(all_nodes(graph_def))
    has_seed_states = has_seed_states or any(node.op in GENERATOR_OPS or DRAWN_STATE in node.attr for node in nodes)
    drawn = {node.op for node in nodes if node.op in KERNEL_RANDOM and DRAWN_STATE not in node.attr}
    return frozenset(drawn | ({"seed states"} if has_seed_states else set()))


def cut_prints(graph_def: protos.Message) -> None:
    """Let nothing print; what waited for it, or took what it hands on, does so still."""
    for node in all_nodes(graph_def):
        if node.op == _PRINTS:
            _become(node, "NoOp", ())
        elif node.op == _PRINTS_AND_PASSES:
            dtype = node.attr["T"].type
            _become(node, "Identity", node.input[:1])
            node.attr["T"].type = dtype


def _become(node: protos.Message, op: str, inputs: Iterable[str]) -> None:
    waited = [text for text in node.input if text.startswith("^")]
    inputs = list(inputs)
    node.op = op
    node.attr.clear()
    del node.input[:]
    node.input.extend((*inputs, *waited))


def seed(graph_def: protos.Message) -> None:
    """Give what draws without a seed the same one: two graphs that draw alike then draw the same."""
    for node in all_nodes(graph_def):
        if node.op in KERNEL_RANDOM and not any(name in node.attr and node.attr[name].i for name in _SEEDS):
            for name in _SEEDS:
                node.attr[name].i = SEED
    for node in graph_def.node:
        _hold(node)
    for function in graph_def.library.function:
        held = {node.name for node in function.node_def if _hold(node)}
        for node in function.node_def if held else ():
            node.input[:] = [_held_output(text, held) for text in node.input]
        for name, text in list(function.ret.items()) if held else ():
            function.ret[name] = _held_output(text, held)


def _hold(node: protos.Message) -> bool:
    """Let a node that draws or reads the state of a generator give the same in every graph; say whether it did."""
    if DRAWN_STATE not in node.attr and node.op != _READ_GENERATOR:
        return False
    shape = list(node.attr[DRAWN_STATE].list.i) if DRAWN_STATE in node.attr else GENERATOR_SHAPE
    _become(node, "Const", ())
    node.attr["dtype"].type = protos.dtype_number("int64")
    tensor = node.attr["value"].tensor
    tensor.dtype = protos.dtype_number("int64")
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    tensor.int64_val.append(SEED)
    return True


def _held_output(text: str, held: set[str]) -> str:
    """Name the output of a Const where it was that of the op that reads a generator."""
    return f"{node_of(text)}:output:0" if ":value:" in text and node_of(text) in held else text


def isolate(graph_def: protos.Message, own: Collection[str]) -> None:
    """Let some nodes name resources that nobody else has, and the others name what they did.

    A node that names none goes by its own name, which an import changes.
    """
    container = f"tfmagic-trial-{next(_numbers)}".encode()
    for node in all_nodes(graph_def):
        if node.name in own:
            node.attr["container"].s = container
        elif node.op in VARIABLES and not ("shared_name" in node.attr and node.attr["shared_name"].s):
            node.attr["shared_name"].s = node.name.encode()


def under_own_names(graph_def: protos.Message) -> None:
    """Rename the functions of the library: under an equal name a process runs, and moves, the one that it has."""
    number = next(_numbers)
    names = {each.signature.name: f"{each.signature.name}__trial_{number}" for each in graph_def.library.function}
    for function in graph_def.library.function:
        function.signature.name = names[function.signature.name]
        _drop(function)
    graph_def.library.ClearField("gradient")
    for node in all_nodes(graph_def):
        _drop(node)
        node.op = names.get(node.op, node.op)
        for reference in references(node):
            reference.name = names.get(reference.name, reference.name)


def _drop(holder: protos.Message) -> None:
    for name in _LOCAL_ATTRS:
        if name in holder.attr:
            del holder.attr[name]

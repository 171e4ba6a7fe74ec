"""Which nodes of a graph do a model's work, and which save, restore and initialise it; where it begins and ends.

A SavedModel's graph holds the nodes that write and read its checkpoint; nobody who lists ops means those. A graph
without signatures begins at placeholders and ends where nobody consumes: the most asked question of all. Not for:
changing a graph.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.graphs import loop_bodies
from tfmagic.graphs.ops import of_kind, output_dtype
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached
from tfmagic.graphs.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from tfmagic.files.wire import Mask
    from tfmagic.graphs.function_uses import FunctionUse
    from tfmagic.graphs.node_columns import NodeColumns
    from tfmagic.graphs.serialized import SerializedGraph

    #: What a node takes, or waits for.
    Edges: TypeAlias = tuple[str, ...]

#: Ops of saving and restoring, hidden in a listing of ops unless all are asked for.
SAVE_RESTORE_OPS = of_kind("save", "restore")
#: Ops that write a variable of TensorFlow 1 and give on what they wrote: a result where there is no other.
_WRITES = of_kind("reference write")
#: Ops that look at a value without using it.
_LOOKING = of_kind("print", "summary", "summary writer") | {"Assert"}
#: Ops that end a graph without being a result.
_NO_RESULT = (
    of_kind("constant", "placeholder", "variable", "reference variable", "variable write", "variable query", "assert")
    | of_kind("table", "mutable table", "table fill")
    | {"NoOp", "ControlTrigger", "QueueClose", "QueueCloseV2", "QueueEnqueue", "QueueEnqueueV2", "QueueEnqueueMany"}
    | {"QueueEnqueueManyV2", "MakeIterator", "IteratorToStringHandle"}
    | SAVE_RESTORE_OPS
    | _WRITES
    | _LOOKING
)
#: Ops that seldom are a result: what a gradient or a loop leaves behind. They count where nothing else ends.
_SELDOM_RESULT = frozenset({
    "Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike", "BroadcastGradientArgs", "ReadVariableOp",
    "PlaceholderWithDefault", "EmptyTensorList", "TensorListReserve", "Switch", "RefSwitch", "Merge", "Exit", "RefExit",
})  # fmt: skip
#: Ops that tell the size of a value and nothing else of it, and ops that pick something out of that.
_MEASURING = frozenset({"Shape", "ShapeN", "Rank", "Size"})
_PICKING = frozenset(
    {"StridedSlice", "Slice", "Unpack", "Gather", "GatherV2", "Squeeze", "Reshape", "Cast", "Identity"}
)
#: Ops with outputs that stand for the branch or the loop rather than for its result.
_BRANCHING = frozenset({"While", "StatelessWhile", "Switch", "RefSwitch"})
#: Ops that give results, but in an assertion only run a branch.
_GUARDS = frozenset({"If", "StatelessIf"})
#: Dtypes of handles: of tables, iterators, datasets, lists.
_HANDLES = frozenset({"resource", "variant"})
#: What tf.gradients, which every optimizer of TensorFlow 1 calls, appends to an op's name: the scope of its gradient.
_GRADIENT = "_grad"


class Node(NamedTuple):
    """What is needed of a node to follow the graph."""

    op: str
    inputs: tuple[str, ...]


class Ends(NamedTuple):
    """Proposed inputs and outputs of a graph, as tensor names; ``unused`` are placeholders that nobody consumes.

    ``defaults`` are placeholders with a default: inputs if one wants, not if one does not.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    unused: tuple[str, ...]
    defaults: tuple[str, ...]


def main_graph(ops: pd.DataFrame) -> dict[str, Node]:
    """Take the main graph's nodes from the table of ops, by name."""
    main = ops[ops["function"] == ""]
    return _by_name(main["name"], main["op"], main["inputs"], main["control_inputs"])


def main_graph_of(columns: NodeColumns) -> dict[str, Node]:
    """Take the main graph's nodes from the columns of which the table of ops would be made, by name."""
    rows = np.flatnonzero(columns.function.among({""}))
    return _by_name(columns.name[rows], columns.op.take(rows), columns.inputs[rows], columns.control_inputs[rows])


def _by_name(
    names: Iterable[str], ops: Iterable[str], data: Iterable[Edges], control: Iterable[Edges]
) -> dict[str, Node]:
    return {name: Node(op, taken + waited) for name, op, taken, waited in zip(names, ops, data, control, strict=True)}


def consumers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return who consumes each node, by data or by control."""
    by_input: dict[str, list[str]] = defaultdict(list)
    for name, node in nodes.items():
        for edge in node.inputs:
            by_input[node_of(edge)].append(name)
    return by_input


def _wiring(nodes: Mapping[str, Node]) -> Wiring:
    """Give numbers to nodes."""
    numbers = {name: number for number, name in enumerate(nodes)}
    labels = {op: number for number, op in enumerate(dict.fromkeys(node.op for node in nodes.values()))}
    texts = [text for node in nodes.values() for text in node.inputs]
    edges = (
        np.repeat(np.arange(len(nodes)), np.array([len(node.inputs) for node in nodes.values()], np.int64)),
        np.array([numbers.get(node_of(text), -1) for text in texts], np.int64),
        np.array([text.startswith("^") for text in texts], bool),
    )
    ops = np.array([labels[node.op] for node in nodes.values()], np.int64)
    return Wiring(list(nodes), ops, list(labels), edges)


def propose_ends(nodes: Mapping[str, Node]) -> Ends:
    """Propose where a graph without signatures begins and ends.

    Outputs are nodes that nothing consumes, less bookkeeping, bodies of loops and gradients; where some of them depend
    on an input, only those count, and of those the ones that are no by-products: that leaves a training graph's loose
    ends behind. Inputs are the placeholders that these need.
    """
    return _proposed(_wiring(nodes))


def ends_of(graph: SerializedGraph) -> Ends:
    """Propose where the main graph of a serialised one begins and ends; see :func:`propose_ends`.

    Every edge is followed, once for whoever asks.
    """
    if "ends" not in graph.kept:
        graph.kept["ends"] = _proposed(Wiring.of_graph(graph))
    ends: Ends = graph.kept["ends"]
    return ends


def needed_of(graph: SerializedGraph, tensors: Iterable[str]) -> set[str]:
    """Return the nodes of the main graph of a serialised one that some tensors depend on, their own included."""
    wiring = Wiring.of_graph(graph)
    needed = wiring.before(wiring.called(set(map(node_of, tensors))))
    return {wiring.names[node] for node in np.flatnonzero(needed).tolist()}


def _proposed(wiring: Wiring) -> Ends:
    saving = wiring.of_ops(SAVE_RESTORE_OPS.__contains__)
    if saving.any():
        wiring = wiring.without(_plumbing(wiring, saving))
    is_used = wiring.used > 0
    placeholders = wiring.of_ops(of_kind("placeholder").__contains__)
    bodies, gradients = _in_loops(wiring), wiring.called(_gradient_nodes(wiring.names))
    is_result, is_looking = wiring.of_ops(_is_result), wiring.of_ops(_LOOKING.__contains__)
    behind = wiring.behind(gradients) & ~gradients & ~bodies if gradients.any() else gradients
    # What only a training step differentiates is a result all the same; an energy behind which forces lie is not.
    onlookers = is_looking if (behind & is_result & ~is_used).any() else is_looking | gradients
    # A summary and an assertion look at a value without using it.
    consumed = np.zeros(len(wiring.names), bool)
    consumed[wiring.sources[~onlookers[wiring.takers] & ~wiring.controls]] = True
    loose = ~bodies & ~gradients & ~consumed
    ends = loose & is_result
    inputs = placeholders & is_used
    if ends.sum() != 1:
        fed = wiring.behind(inputs)
        ends = ends & fed if (ends & fed).any() else ends
        if not ends.any():
            ends = loose & _written_results(wiring, fed, is_fed=bool(inputs.any()))
    by_products = ends & _by_products(wiring)
    if by_products.sum() < ends.sum():
        ends &= ~by_products
    needed = wiring.before(ends) if ends.any() else inputs
    return Ends(
        _tensors(wiring, inputs & needed),
        _tensors(wiring, ends),
        tuple(wiring.names[node] for node in np.flatnonzero(placeholders & ~is_used).tolist()),
        _tensors(wiring, wiring.of_ops("PlaceholderWithDefault".__eq__)),
    )


def _tensors(wiring: Wiring, chosen: Mask) -> tuple[str, ...]:
    return tuple(f"{wiring.names[node]}:0" for node in np.flatnonzero(chosen).tolist())


def _in_loops(wiring: Wiring) -> Mask:
    """Say of each node whether it lies between the entries and the exits of loops."""
    result = np.zeros(len(wiring.names), bool)
    if wiring.of_ops(loop_bodies.ENTRIES.__contains__).any():
        ops = dict(enumerate(wiring.labels[op] for op in wiring.ops.tolist()))
        used = wiring.users()
        result[list(loop_bodies.inside(ops, dict(zip(ops, map(used, ops), strict=True))))] = True
    return result


def _gradient_nodes(names: Sequence[str]) -> set[str]:
    """Return the nodes in the scopes of tf.gradients, whatever their user called them.

    Such a scope holds, for an op ``a/b`` of the graph, the scope ``a/b_grad``.
    """
    scopes: set[str] = set()
    folders = {name.rpartition("/")[0] for name in names if f"{_GRADIENT}/" in name}
    known = set(names) if folders else set()
    for folder in folders:
        parts = folder.split("/")
        for end, part in enumerate(parts[1:], 1):
            of_op = part.removesuffix(_GRADIENT)
            begins = range(1, end + 1) if of_op != part else ()
            scopes.update("/".join(parts[:begin]) for begin in begins if "/".join([*parts[begin:end], of_op]) in known)
    if not scopes:
        return set()
    return {name for name in names if any(folder in scopes for folder in _folders(name))}


def _folders(name: str) -> Iterator[str]:
    place = name.find("/")
    while place >= 0:
        yield name[:place]
        place = name.find("/", place + 1)


def _written_results(wiring: Wiring, fed: Mask, *, is_fed: bool) -> Mask:
    """Say of each node whether it hands on what it wrote; where nothing is fed, an Assign initialises."""
    writes = wiring.of_ops(_WRITES.__contains__)
    return writes & fed if is_fed else writes & ~wiring.of_ops("Assign".__eq__)


def _by_products(wiring: Wiring) -> Mask:
    """Say of each node whether it is left over from a loop or a gradient, if it ends a graph."""
    first = wiring.first_inputs()
    is_alias = wiring.of_ops("Identity".__eq__) & (first >= 0)
    branches, guards = (wiring.of_ops(ops.__contains__)[first] & is_alias for ops in (_BRANCHING, _GUARDS))
    # What something waits for and nothing uses is the branch of an assertion.
    # A size that was picked out, a batch's say, was meant for something that is gone.
    sizes = wiring.of_ops(_MEASURING.__contains__)
    is_picking = wiring.of_ops(_PICKING.__contains__) & (first >= 0)
    while (more := is_picking & sizes[first] & ~sizes).any():
        sizes = sizes | more
    return branches | (guards & (wiring.used > 0)) | sizes | wiring.of_ops(_SELDOM_RESULT.__contains__)


def _is_result(op: str) -> bool:
    fixed = output_dtype(op)
    has_value = bool(fixed.attrs) or fixed.default not in {"", *_HANDLES}
    return has_value and op not in _NO_RESULT


def has_plumbing(ops: pd.DataFrame) -> bool:
    """Say whether a table of ops has some that save or restore; without any, no function needs to be looked at."""
    return not SAVE_RESTORE_OPS.isdisjoint(ops["op"].cat.categories)


def is_plumbing(ops: pd.DataFrame, functions: Iterable[FunctionUse]) -> list[bool]:
    """Say of each row of the table of ops whether it only saves or restores.

    Plumbing are the ops of saving and restoring, what depends on them, what only serves them, and functions that
    hold such ops. Variables never are.
    """
    if not has_plumbing(ops):
        return [False] * len(ops)
    hidden = _plumbing_functions(ops, functions)
    nodes = main_graph(ops)
    callers = {caller for use in functions if use.name in hidden for caller in use.called_by}
    names = _plumbing_nodes(nodes, callers)
    return [
        (function in hidden) if function else (name in names)
        for function, name in zip(ops["function"], ops["name"], strict=True)
    ]


def _plumbing_functions(ops: pd.DataFrame, functions: Iterable[FunctionUse]) -> set[str]:
    """Return the functions that save or restore, and those that only they call."""
    hidden = set(ops.loc[ops["op"].isin(SAVE_RESTORE_OPS) & (ops["function"] != ""), "function"])
    uses = list(functions)
    callees = _callees(uses)
    others = {use.name: len(use.called_by) for use in uses}
    waiting = list(hidden)
    while waiting:
        for name in callees.get(waiting.pop(), ()):
            others[name] -= 1
            if not others[name] and name not in hidden:
                hidden.add(name)
                waiting.append(name)
    return hidden


def _callees(uses: Iterable[FunctionUse]) -> dict[str, list[str]]:
    """Return which functions each caller calls, a function or a node of the main graph."""
    by_caller: dict[str, list[str]] = defaultdict(list)
    for use in uses:
        for caller in use.called_by:
            by_caller[caller].append(use.name)
    return by_caller


def _plumbing_nodes(nodes: Mapping[str, Node], callers: set[str]) -> set[str]:
    """Return the nodes of the main graph that save and restore."""
    wiring = _wiring(nodes)
    roots = wiring.of_ops(SAVE_RESTORE_OPS.__contains__) | wiring.called(callers)
    return {wiring.names[node] for node in np.flatnonzero(_plumbing(wiring, roots)).tolist()}


def _plumbing(wiring: Wiring, roots: Mask) -> Mask:
    """Say of each node whether it saves and restores, depends on what does, or serves nothing else."""
    variables = wiring.of_ops(VARIABLES.__contains__)
    result: Mask = wiring.behind(roots) & ~variables
    # A node serves saving alone once each of its edges leads to what does: each is counted off once.
    others, taken = wiring.used.tolist(), wiring.inputs()
    is_settled = bytearray((result | variables).tobytes())
    waiting = np.flatnonzero(result).tolist()
    serving = []
    while waiting:
        for source in taken(waiting.pop()):
            others[source] -= 1
            if not others[source] and not is_settled[source]:
                is_settled[source] = 1
                waiting.append(source)
                serving.append(source)
    result[serving] = True
    return result


def ancestors(nodes: Mapping[str, Node], roots: Iterable[str]) -> set[str]:
    """Return all nodes that the roots depend on, the roots included; names that lead nowhere are passed over."""
    known = nodes.__contains__
    return reached(filter(known, roots), lambda name: filter(known, map(node_of, nodes[name].inputs)))


def needed(nodes: Mapping[str, Node], uses: Iterable[FunctionUse], tensors: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the nodes of the main graph and the functions that some of its tensors need.

    Parameters
    ----------
    nodes : mapping of str to Node
        The nodes of the main graph, by name.
    uses : iterable of FunctionUse
        The functions, and what calls them.
    tensors : iterable of str
        Names of tensors of the main graph.
    """
    behind = ancestors(nodes, map(node_of, tensors))
    callees = _callees(uses)
    called = (name for node in behind for name in callees.get(node, ()))
    return behind, reached(called, lambda name: callees.get(name, ()))

"""Which nodes of a graph do a model's work, and which save, restore and initialise it; where it begins and ends.

A SavedModel's graph holds the nodes that write and read its checkpoint; nobody who lists ops means those. A graph
without signatures begins at placeholders and ends where nobody consumes: the most asked question of all. Not for:
changing a graph.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs import loop_bodies
from tfmagic.graphs.ops import of_kind, output_dtype
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import pandas as pd

    from tfmagic.frames import Shape
    from tfmagic.graphs.function_uses import FunctionUse

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
    inputs = [data + control for data, control in zip(main["inputs"], main["control_inputs"], strict=True)]
    return {name: Node(op, edges) for name, op, edges in zip(main["name"], main["op"], inputs, strict=True)}


def consumers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return who consumes each node, by data or by control."""
    by_input: dict[str, list[str]] = defaultdict(list)
    for name, node in nodes.items():
        for edge in node.inputs:
            by_input[node_of(edge)].append(name)
    return by_input


def propose_ends(nodes: Mapping[str, Node]) -> Ends:
    """Propose where a graph without signatures begins and ends.

    Outputs are nodes that nothing consumes, less bookkeeping, bodies of loops and gradients; where some of them depend
    on an input, only those count, and of those the ones that are no by-products: that leaves a training graph's loose
    ends behind. Inputs are the placeholders that these need.
    """
    saving = _plumbing_nodes(nodes, set())
    nodes = {name: node for name, node in nodes.items() if name not in saving}
    used = consumers(nodes)
    placeholders = [name for name, node in nodes.items() if node.op in of_kind("placeholder")]
    inputs = [name for name in placeholders if used.get(name)]
    ops = {name: node.op for name, node in nodes.items()}
    bodies, gradients = loop_bodies.inside(ops, used), _gradient_nodes(nodes)
    behind = reached(gradients, lambda name: used.get(name, ())) - gradients - bodies
    # What only a training step differentiates is a result all the same; an energy behind which forces lie is not.
    onlookers = set() if any(_is_result(nodes[name].op) and not used.get(name) for name in behind) else gradients
    outside = (name for name in nodes if name not in bodies and name not in gradients)
    consumed = _consumed(nodes, onlookers)
    loose = [name for name in outside if name not in consumed]
    ends = [name for name in loose if _is_result(nodes[name].op)]
    fed = reached(inputs, lambda name: used.get(name, ()))
    ends = [name for name in ends if name in fed] or ends
    ends = ends or [name for name in loose if _is_written_result(name, nodes, fed, is_fed=bool(inputs))]
    results = [name for name in ends if not _is_by_product(name, nodes, is_awaited=bool(used.get(name)))]
    results = results or ends
    needed = ancestors(nodes, results) if results else set(inputs)
    return Ends(
        tuple(f"{name}:0" for name in inputs if name in needed),
        tuple(f"{name}:0" for name in results),
        tuple(name for name in placeholders if not used.get(name)),
        tuple(f"{name}:0" for name, node in nodes.items() if node.op == "PlaceholderWithDefault"),
    )


def _gradient_nodes(nodes: Mapping[str, Node]) -> set[str]:
    """Return the nodes in the scopes of tf.gradients, whatever their user called them.

    Such a scope holds, for an op ``a/b`` of the graph, the scope ``a/b_grad``.
    """
    scopes: set[str] = set()
    for folder in {name.rpartition("/")[0] for name in nodes if f"{_GRADIENT}/" in name}:
        parts = folder.split("/")
        for end, part in enumerate(parts[1:], 1):
            of_op = part.removesuffix(_GRADIENT)
            begins = range(1, end + 1) if of_op != part else ()
            scopes.update("/".join(parts[:begin]) for begin in begins if "/".join([*parts[begin:end], of_op]) in nodes)
    if not scopes:
        return set()
    return {name for name in nodes if any(folder in scopes for folder in _folders(name))}


def _folders(name: str) -> Iterator[str]:
    place = name.find("/")
    while place >= 0:
        yield name[:place]
        place = name.find("/", place + 1)


def _is_written_result(name: str, nodes: Mapping[str, Node], fed: Collection[str], *, is_fed: bool) -> bool:
    """Say whether a node that ends a graph hands on what it wrote; where nothing is fed, an Assign initialises."""
    op = nodes[name].op
    return op in _WRITES and (name in fed if is_fed else op != "Assign")


def _is_by_product(name: str, nodes: Mapping[str, Node], *, is_awaited: bool) -> bool:
    """Say whether a node that ends a graph is left over from a loop or a gradient."""
    node = nodes[name]
    source = nodes.get(node_of(node.inputs[0])) if node.op == "Identity" and node.inputs else None
    # What something waits for and nothing uses is the branch of an assertion.
    is_guards = source is not None and source.op in _GUARDS and is_awaited
    is_branchings = source is not None and source.op in _BRANCHING
    return is_branchings or is_guards or node.op in _SELDOM_RESULT


def _consumed(nodes: Mapping[str, Node], onlookers: Collection[str]) -> set[str]:
    """Return the nodes whose value is consumed; onlookers, a summary and an assertion look at one without using it."""
    return {
        node_of(edge)
        for user, node in nodes.items()
        if node.op not in _LOOKING and user not in onlookers
        for edge in node.inputs
        if not edge.startswith("^")
    }


def _is_result(op: str) -> bool:
    fixed = output_dtype(op)
    has_value = bool(fixed.attrs) or fixed.default not in {"", *_HANDLES}
    return has_value and op not in _NO_RESULT


def is_plumbing(ops: pd.DataFrame, functions: Iterable[FunctionUse]) -> list[bool]:
    """Say of each row of the table of ops whether it only saves or restores.

    Plumbing are the ops of saving and restoring, what depends on them, what only serves them, and functions that
    hold such ops. Variables never are.
    """
    if not SAVE_RESTORE_OPS.intersection(ops["op"].cat.categories):
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
    used = consumers(nodes)
    roots = [name for name, node in nodes.items() if node.op in SAVE_RESTORE_OPS or name in callers]
    after = reached(roots, lambda name: used.get(name, ()))
    names = {name for name in after if nodes[name].op not in VARIABLES}
    # A node serves saving alone once each of its edges leads to what does: each is counted off once.
    others = {name: len(users) for name, users in used.items()}
    waiting = list(names)
    while waiting:
        for edge in nodes[waiting.pop()].inputs:
            name = node_of(edge)
            others[name] -= 1
            if not others[name] and name in nodes and name not in names and nodes[name].op not in VARIABLES:
                names.add(name)
                waiting.append(name)
    return names


def endpoint_shapes(ops: pd.DataFrame) -> dict[str, tuple[str, Shape]]:
    """Return dtype and shape of each node's first output in the main graph, by name."""
    main = ops[ops["function"] == ""]
    return {name: (dtype, shape) for name, dtype, shape in zip(main["name"], main["dtype"], main["shape"], strict=True)}


def ancestors(nodes: Mapping[str, Node], roots: Iterable[str]) -> set[str]:
    """Return all nodes that the roots depend on, the roots included; names that lead nowhere are passed over."""
    known = nodes.__contains__
    return reached(filter(known, roots), lambda name: filter(known, map(node_of, nodes[name].inputs)))


def needed(frame: pd.DataFrame, uses: Iterable[FunctionUse], tensors: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the nodes of the main graph and the functions that some of its tensors need.

    Parameters
    ----------
    frame : DataFrame
        The whole table of ops.
    uses : iterable of FunctionUse
        The functions, and what calls them.
    tensors : iterable of str
        Names of tensors of the main graph.
    """
    nodes = ancestors(main_graph(frame), map(node_of, tensors))
    callees = _callees(uses)
    called = (name for node in nodes for name in callees.get(node, ()))
    return nodes, reached(called, lambda name: callees.get(name, ()))

"""Optimise a frozen graph once, so that nobody does it again at each first call.

TensorFlow's own optimizer folds constants and batch norms, takes out what does nothing, and merges what is equal. The
ends keep their names; no layout and no dtype changes, so that the file runs where it ran before. Not for: reaching the
optimizer (:mod:`tfmagic.runtime.grappler`), or what it needs help with (:mod:`tfmagic.transforms.batch_norms`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.findings import hazards
from tfmagic.graphs import function_library
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.tensor_names import node_of
from tfmagic.runtime import grappler
from tfmagic.transforms import batch_norms, inlining, pruning
from tfmagic.transforms.function_names import name_by_content

if TYPE_CHECKING:
    from tfmagic.transforms.frozen_graph import FrozenGraph

#: Kinds of ops that a note lists.
_MOST_KINDS = 6
#: Begins the name of what TensorFlow keeps for itself: ops that no other program has, attributes of one process.
_OWN = "_"


def optimize(frozen: FrozenGraph) -> FrozenGraph:
    """Return a graph that gives the same with fewer ops, its constants in it.

    Raises
    ------
    MissingDependencyError
        If TensorFlow is not installed.
    ConversionError
        If variables stayed variables, or TensorFlow's optimizer cannot be reached or does not take the graph.
    """
    if frozen.kept is not None:
        raise errors.ConversionError(
            "optimize=True (--optimize) folds constants, and keep_variables= (--keep-variables) keeps variables, with "
            "what initialises and restores them: leave one of them out"
        )
    grappler.require()
    source = frozen.filled()
    before = _kinds(source)
    ends = [end.tensor for end in (*frozen.inputs, *frozen.outputs)]
    _require_end(source, frozen)
    own = {name for node in function_library.all_nodes(source) for name in node.attr if name.startswith(_OWN)}
    batch_norms.unfold(source, ends)
    # Where nodes ask for it, branches and loops that are functions would become those of TensorFlow 1.
    lowered = _lowering(source, to=False)
    result = _optimized(source, ends, before)
    if lowered:
        _lowering(result, to=True)
    batch_norms.fold_depthwise(result, ends)
    _leave_process(result, own)
    inputs, outputs = (
        list(dict.fromkeys(node_of(end.tensor) for end in side)) for side in (frozen.inputs, frozen.outputs)
    )
    _require(result, [*inputs, *outputs])
    pruning.prune(result, outputs, [name for name in inputs if name not in outputs])
    name_by_content(result)
    note = _note(before, _kinds(result))
    smaller = replace(frozen, graph_def=result, values={}, notes=(*frozen.notes, note))
    smaller.require_small_enough()
    return smaller


def _require_end(source: protos.Message, frozen: FrozenGraph) -> None:
    """Refuse what the optimizer would never be done with: it unrolls calls, and computes what is constant."""
    inputs, outputs = ([end.tensor for end in side] for side in (frozen.inputs, frozen.outputs))
    endless = [
        each for each in hazards.of_graph(source, outputs, fed=inputs) if each.effect is Effect.STOPS_THE_PROCESS
    ]
    if endless:
        raise errors.ConversionError(
            f"TensorFlow's optimizer would {hazards.describe(endless)}; leave optimize=True (--optimize) out"
        )


def _lowering(graph_def: protos.Message, *, to: bool) -> bool:
    """Set what asks for branches and loops to be lowered where a node has it; say whether one asked."""
    nodes = [node for node in function_library.all_nodes(graph_def) if inlining.LOWERING in node.attr]
    asked = any(node.attr[inlining.LOWERING].b for node in nodes)
    for node in nodes:
        node.attr[inlining.LOWERING].b = to
    return asked


def _optimized(source: protos.Message, ends: list[str], before: Counter[str]) -> protos.Message:
    """Return the graph as the optimizer makes it, without ops of TensorFlow's own that the source has not."""
    native = protos.native(source)
    for remap in (True, False):
        result = protos.adopt(grappler.optimized(native, ends, remap=remap))
        added = sorted(op for op in _kinds(result) if op.startswith(_OWN) and op not in before)
        if not added:
            return result
    raise errors.ConversionError(
        f"TensorFlow's optimizer puts {errors.listed(added)} into the graph, which no other program has; leave "
        "optimize=True (--optimize) out"
    )


def _leave_process(graph_def: protos.Message, own: set[str]) -> None:
    """Take out what the optimizer noted for itself."""
    for node in function_library.all_nodes(graph_def):
        for name in [name for name in node.attr if name.startswith(_OWN) and name not in own]:
            del node.attr[name]


def _require(graph_def: protos.Message, names: list[str]) -> None:
    """Refuse a result that lost one of its ends."""
    there = {node.name for node in graph_def.node}
    missing = [name for name in names if name not in there]
    if missing:
        raise errors.ConversionError(
            f"TensorFlow's optimizer does not keep {errors.listed(missing)}; leave optimize=True (--optimize) out"
        )


def _kinds(graph_def: protos.Message) -> Counter[str]:
    return Counter(node.op for node in function_library.all_nodes(graph_def))


def _note(before: Counter[str], after: Counter[str]) -> str:
    """Say how many ops there were and are, and of which kinds most are gone."""
    gone = (before - after).most_common(_MOST_KINDS)
    fewer = ", ".join(f"{op} {before[op]:,} to {after[op]:,}" for op, _ in gone)
    return f"optimised: ops {before.total():,} before, {after.total():,} after" + (f" ({fewer})" if fewer else "")

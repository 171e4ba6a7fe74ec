"""What a run may wait for, for ever: said where one does not come to its end.

Not for: what a run does outside the model (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.findings import hazards
from tfmagic.findings.execution import Walk
from tfmagic.findings.walked_graphs import Graph
from tfmagic.graphs import function_library, ops
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.pipelines import HANDING_OUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfmagic.files import protos
    from tfmagic.graphs.metagraphs import MetaGraph

_LOOPS = ops.of_kind("loop") | {"Enter", "RefEnter", "LoopCond"}
_QUEUES = frozenset(op for op in HANDING_OUT if "Queue" in op) | {"BarrierTakeMany", "QueueEnqueue", "QueueEnqueueV2"}
_JOINING = ops.of_kind("batch")
#: The most telling first: a loop of TensorFlow's own ends as a rule.
_WAITS = (
    (_QUEUES, "waits for a queue that nobody fills, which in TensorFlow 1 tf.compat.v1.train.start_queue_runners does"),
    (HANDING_OUT - _QUEUES, "waits for the next element of an input pipeline"),
    (ops.of_effect(Effect.NETWORK), "waits for an answer from the network"),
    (ops.of_effect(Effect.HOST_CODE), "runs code of the process, which may wait for anything"),
    (_JOINING, "waits for other calls to make a batch with"),
    (_LOOPS, "is a loop, which may end on other inputs only"),
)


def suspect(graph_def: protos.Message) -> str:
    """Say which node of a graph a run that does not end may be waiting for; empty where none is known to wait."""
    return _suspect((node.name, node.op) for node in function_library.all_nodes(graph_def))


def at_loading(meta_graph: MetaGraph) -> str:
    """Say which node may wait of those that a SavedModel's loader runs beside restoring; empty where none may."""
    if not hazards.has_initialisers(meta_graph.header, meta_graph.object_graph_def):
        return ""
    message = meta_graph.lean_meta_graph_def()
    walk = Walk(Graph(message.graph_def), effects=frozenset(Effect))
    hazards.load(walk, hazards.Loaded(message))
    return _suspect((node.node, node.op) for node in walk.seen)


def _suspect(nodes: Iterable[tuple[str, str]]) -> str:
    """Word which of some nodes, by name and op, is the most likely to wait."""
    first: dict[str, str] = {}
    for name, op in nodes:
        first.setdefault(op, name)
    for waiting, words in _WAITS:
        known = next((op for op in first if op in waiting), None)
        if known is not None:
            return f"perhaps because node {first[known]!r} ({known}) {words}"
    return ""

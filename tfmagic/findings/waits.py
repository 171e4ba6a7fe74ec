"""What a run may wait for, for ever: said where one does not come to its end.

Not for: what a run does outside the model (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs import function_library, ops
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.pipelines import HANDING_OUT

if TYPE_CHECKING:
    from tfmagic.files import protos

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
    first: dict[str, str] = {}
    for node in function_library.all_nodes(graph_def):
        first.setdefault(node.op, node.name)
    for waiting, words in _WAITS:
        op = next((op for op in first if op in waiting), None)
        if op is not None:
            return f"perhaps because node {first[op]!r} ({op}) {words}"
    return ""

"""How long each op of a graph takes, by what TensorFlow notes of a call of a session.

Not for: which inputs it is called on, or whether it may run (:mod:`tfmagic.verbs.op_times`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_SECONDS = 1e-9
#: What the tracer of a device calls a kernel: the node and its op.
_KERNEL = re.compile(r"([^:]+)(?::\w+)?")


def traced(
    graph_def: runtime.Live, feeds: Mapping[str, npt.ArrayLike], fetches: Sequence[str], calls: int
) -> list[dict[str, float]]:
    """Call a graph, once to warm up, and note what each node took.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class, without variables.
    feeds : mapping of str to array
        Values by tensor.
    fetches : sequence of str
        The tensors that are computed.
    calls : int
        How many calls are noted.

    Returns
    -------
    list of dict of str to float
        For each call, seconds by the name of a node. Where TensorFlow's optimizer made one op of several, the time is
        that of the one whose name it bears.
    """
    tf = runtime.tensorflow()
    compat = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    options = compat.RunOptions(trace_level=compat.RunOptions.FULL_TRACE)
    times = []
    with compat.Session(graph=graph) as session:
        for _ in range(2):
            session.run(list(fetches), dict(feeds))
        for _ in range(calls):
            metadata = compat.RunMetadata()
            session.run(list(fetches), dict(feeds), options=options, run_metadata=metadata)
            times.append(_of_nodes(metadata))
    return times


def _of_nodes(metadata: runtime.Live) -> dict[str, float]:
    """Add up what a call noted, by node; a GPU's kernels are noted a second time by its streams, which are left out."""
    seconds: dict[str, float] = defaultdict(float)
    for device in metadata.step_stats.dev_stats:
        if "/stream" in device.device or "/memcpy" in device.device:
            continue
        for node in device.node_stats:
            took = node.op_end_rel_nanos - node.op_start_rel_nanos
            name = _KERNEL.match(node.node_name)
            if name is not None and not node.node_name.startswith("_"):
                seconds[name[1]] += max(took or node.all_end_rel_micros * 1000, 0) * _SECONDS
    return dict(seconds)

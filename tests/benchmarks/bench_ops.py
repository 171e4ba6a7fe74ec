"""The table of ops of a GraphDef: tfmagic against the loop a user writes over TensorFlow's messages.

Up to 1,000,000 nodes, to show that the cost grows linearly. Imports and a first call on one node are outside the
clock on both sides; times are the process's CPU seconds, both sides having one thread, and memory is what the process
gains meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.benchmarks.processes import measure

SIZES = (1_000, 10_000, 100_000, 1_000_000)
#: What issue 20 asks for, times faster by the number of nodes; and what issue 2 does, added memory in files.
GOALS, GOAL_MEMORY = {1_000: 1.2, 100_000: 5, 1_000_000: 6}, 4

#: A graph of six ops in turn, a sixth of it constants, with shapes recorded as a SavedModel records them.
_WRITE = """
import sys
import numpy as np
from tensorflow.core.framework import graph_pb2, types_pb2
graph = graph_pb2.GraphDef()
ops = ["Const", "Conv2D", "BiasAdd", "Relu", "MatMul", "Identity"]
for index in range(int(sys.argv[2])):
    node = graph.node.add(name=f"model/block_{index // 100}/layer_{index % 100}/op_{index}", op=ops[index % 6])
    if node.op == "Const":
        node.attr["dtype"].type = types_pb2.DT_FLOAT
        tensor = node.attr["value"].tensor
        tensor.dtype = types_pb2.DT_FLOAT
        tensor.tensor_shape.dim.add(size=4)
        tensor.tensor_content = np.full(4, index, np.float32).tobytes()
        continue
    node.input.append(graph.node[index - 1].name)
    if node.op in ("Conv2D", "BiasAdd", "MatMul"):
        node.input.append(graph.node[index - index % 6].name)
    node.attr["T"].type = types_pb2.DT_FLOAT
    if node.op == "Conv2D":
        node.attr["padding"].s = b"SAME"
        node.attr["strides"].list.i.extend([1, 1, 1, 1])
    shape = node.attr["_output_shapes"].list.shape.add()
    for size in (-1, index % 7, 8):
        shape.dim.add(size=size)
open(sys.argv[1], "wb").write(graph.SerializeToString())
"""
_CLOCK = """
import json, resource, sys, time
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
table(sys.argv[2])
before, start = peak(), time.process_time()
frame = table(sys.argv[1])
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "added": peak() - before, "rows": len(frame)}))
"""
_OURS = (
    """
import pandas, tfmagic
from tfmagic.verbs.inspect import inspect
def table(path):
    return inspect(path).ops
"""
    + _CLOCK
)
_THEIRS = (
    """
import pandas as pd, tensorflow as tf
from tensorflow.core.framework import graph_pb2
def table(path):
    graph = graph_pb2.GraphDef.FromString(open(path, "rb").read())
    rows = []
    for node in graph.node:
        dtype = next((tf.as_dtype(node.attr[key].type).name for key in ("dtype", "T") if key in node.attr), None)
        shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
        shape = tuple(size.size for size in shapes[0].dim) if shapes else None
        rows.append((node.name, node.op, node.device, tuple(node.input), dtype, shape))
    return pd.DataFrame(rows, columns=["name", "op", "device", "inputs", "dtype", "shape"])
"""
    + _CLOCK
)


def main() -> None:
    """Print seconds, added memory and their ratios for each size."""
    print("the table of ops of a GraphDef, imports apart, CPU time:")
    print(f"  {'nodes':>9} {'tfmagic':>9} {'loop':>9} {'ratio':>6} {'µs/node':>8} {'added/file':>11} {'loop':>6}")
    with tempfile.TemporaryDirectory() as directory:
        single = str(Path(directory) / "1.pb")
        measure(_WRITE, single, "1")
        for count in SIZES:
            path = Path(directory) / f"{count}.pb"
            measure(_WRITE, str(path), str(count))
            _row(count, path, *(json.loads(measure(code, str(path), single).output) for code in (_OURS, _THEIRS)))
    goals = ", ".join(f"{goal} at {count:,}" for count, goal in GOALS.items())
    print(f"  goals: ratio at least {goals}; at 1,000,000 added/file at most {GOAL_MEMORY}, µs/node level")


def seconds_of_ops(count: int) -> float:
    """Return the processor's seconds of our table of ops of so many nodes."""
    with tempfile.TemporaryDirectory() as directory:
        single, path = (str(Path(directory) / name) for name in ("1.pb", "many.pb"))
        measure(_WRITE, single, "1")
        measure(_WRITE, path, str(count))
        return float(json.loads(measure(_OURS, path, single).output)["seconds"])


def _row(count: int, path: Path, ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert ours["rows"] == theirs["rows"] == count
    ratio = theirs["seconds"] / ours["seconds"]
    added, stock = (each["added"] / path.stat().st_size for each in (ours, theirs))
    each = ours["seconds"] / count * 1e6
    seconds = f"{ours['seconds']:8.3f}s {theirs['seconds']:8.3f}s"
    print(f"  {count:9,} {seconds} {ratio:6.1f} {each:8.2f} {added:11.1f} {stock:6.1f}")


if __name__ == "__main__":
    main()

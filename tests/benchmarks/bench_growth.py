"""How the cost of each verb grows: seconds of the processor for models of three sizes, and the exponent that fits them.

A model is a chain of layers, each with a variable of its own; each size is a process of its own. Frozen, even the
longest is below the size from which on a graph is wrapped as it lies (``conversion/wrap_frozen_graph``), which has a
row of its own.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.benchmarks import growth
from tests.benchmarks.bench_checkpoint import FRAME, WRITE
from tests.benchmarks.bench_ops import seconds_of_ops
from tests.benchmarks.processes import measure

LAYERS = (500, 1_500, 4_500)
ENTRIES = (10_000, 30_000, 90_000)
NODES = (30_000, 100_000, 300_000)
#: Constants of 52 MB of a frozen graph, which is wrapped as it lies on the disk.
CONSTANTS = (2, 6, 18)

_VERBS = """
import gc, json, os, sys, time
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import tensorflow as tf
import tfmagic
count, place = int(sys.argv[1]), sys.argv[2]
v1 = tf.compat.v1

def chain(count):
    module = tf.Module()
    module.kernels = [tf.Variable(tf.random.normal([48, 48]) / 7, name=f"kernel_{number}") for number in range(count)]
    def call(x):
        for kernel in module.kernels:
            x = tf.nn.relu(x @ kernel)
        return {"y": x}
    spec = tf.TensorSpec([None, 48], name="x")
    module.call = tf.function(call, input_signature=[spec], autograph=False)
    return module, module.call.get_concrete_function()

def session_of(count):
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = y = v1.placeholder(tf.float32, [None, 48], name="x")
        for number in range(count):
            y = tf.nn.relu(tf.matmul(y, v1.get_variable(f"kernel_{number}", [48, 48])))
        tf.identity(y, name="y")
        session.run(v1.global_variables_initializer())
    return session

def jobs(module, concrete, session, at):
    yield "freeze a live function", lambda: tfmagic.freeze(concrete, output=at + "/live.pb", verify=False)
    yield "freeze a session", lambda: tfmagic.freeze(session, outputs=["y"], output=at + "/session.pb", verify=False)
    yield "export a live function", lambda: tfmagic.export(concrete, at + "/exported", verify=False)
    yield "export a live function, verified", lambda: tfmagic.export(concrete, at + "/verified")
    yield "export a session", lambda: tfmagic.export(session, at + "/of_session", outputs=["y"], verify=False)
    yield "freeze from disk", lambda: tfmagic.freeze(at + "/exported", output=at + "/stored.pb", verify=False)
    yield "freeze from disk, verified", lambda: tfmagic.freeze(at + "/exported", output=at + "/checked.pb")
    yield "sign in place", lambda: tfmagic.sign(at + "/exported", rename={"serving_default": "predict"}, verify=False)
    yield "wrap a frozen graph", lambda: tfmagic.export(at + "/live.pb", at + "/wrapped", verify=False)
    yield "signatures of a SavedModel", lambda: len(tfmagic.inspect(at + "/exported").signatures)

seconds = {}
# The first goes before the clock: imports, and what is made once.
for size, at in ((4, place + "/first"), (count, place + "/second")):
    os.mkdir(at)
    module, concrete = chain(size)
    for title, job in jobs(module, concrete, session_of(size), at):
        # To go through what the process holds anyway is Python's collector's work, which a small size may not call for.
        gc.collect()
        gc.freeze()
        begun = time.process_time()
        job()
        seconds[title] = time.process_time() - begun
print(json.dumps(seconds))
"""
_WRAPPED = """
import os, sys, time
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf
import tfmagic
v1 = tf.compat.v1
count, place = int(sys.argv[1]), sys.argv[2]
with tf.Graph().as_default() as graph:
    x = y = v1.placeholder(tf.float32, [None, 3600], name="x")
    for number in range(count):
        y = tf.nn.relu(tf.matmul(y, tf.constant(np.full((3600, 3600), number, np.float32))))
    tf.identity(y, name="y")
open(place + "/frozen.pb", "wb").write(graph.as_graph_def().SerializeToString())
tfmagic.export
begun = time.process_time()
tfmagic.export(place + "/frozen.pb", place + "/wrapped")
print(time.process_time() - begun)
"""
_CPU = """
import atexit, resource
def _tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)
atexit.register(_tell)
"""


def main() -> None:
    """Print a row for each verb and table."""
    print(f"how costs grow (goal: exponents of at most {growth.MOST}):")
    seconds: dict[str, dict[float, float]] = {}
    for count in LAYERS:
        with tempfile.TemporaryDirectory() as directory:
            taken = json.loads(measure(_VERBS, str(count), directory).output.splitlines()[-1])
        for title, each in taken.items():
            seconds.setdefault(title, {})[count] = each
    for title, by_size in seconds.items():
        growth.report(title, by_size)
    growth.report("wrap a frozen graph as it lies", {count: _seconds_of_wrapping(count) for count in CONSTANTS})
    growth.report("ops of a GraphDef", {count: seconds_of_ops(count) for count in NODES})
    growth.report("variables of a checkpoint", {count: _seconds_of_checkpoint(count) for count in ENTRIES})


def _seconds_of_wrapping(count: int) -> float:
    """Return the processor's seconds of making a SavedModel of a frozen graph with so many constants, verified."""
    with tempfile.TemporaryDirectory() as directory:
        return float(measure(_WRAPPED, str(count), directory).output.splitlines()[-1])


def _seconds_of_checkpoint(count: int) -> float:
    """Return the processor's seconds of a whole process that lists a checkpoint."""
    with tempfile.TemporaryDirectory() as directory:
        prefix = str(Path(directory) / "checkpoint")
        measure(WRITE, prefix, str(count))
        return float(measure(_CPU + FRAME, prefix).output.split()[-1])


if __name__ == "__main__":
    main()

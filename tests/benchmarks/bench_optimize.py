"""The first call of a frozen MobileNetV2 in a fresh session of a fresh process: optimised against as it was frozen.

TensorFlow optimises a graph at its first call in a session; a graph that was optimised once leaves it little to do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.jobs import compare, report

ROUNDS = 7
#: What issue 16 asks for.
GOAL = 2.5

_FREEZE = """
import sys, keras, tfmagic
model = keras.applications.MobileNetV2(weights=None)
tfmagic.freeze(model, output=sys.argv[1] + "/plain.pb", verify=False)
tfmagic.freeze(model, output=sys.argv[1] + "/optimised.pb", optimize=True, verify=False)
"""
PREPARE = """
import numpy as np, tensorflow as tf
v1 = tf.compat.v1
graph_def = v1.GraphDef()
with open(sys.argv[1], "rb") as file:
    graph_def.ParseFromString(file.read())
graph = tf.Graph()
with graph.as_default():
    tf.graph_util.import_graph_def(graph_def, name="")
(source,) = [node.name for node in graph_def.node if node.op == "Placeholder"]
image = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
session = v1.Session(graph=graph)
"""
_CALL = 'session.run("predictions:0", {source + ":0": image})'


def main() -> None:
    """Print seconds, memory and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, "-c", _FREEZE, directory], check=True, capture_output=True)
        place = str(Path(directory) / "{label}.pb")
        jobs = compare(ROUNDS, PREPARE, place, optimised=_CALL, plain=_CALL)
    report("first call of a frozen MobileNetV2", jobs, "optimised", "plain", GOAL)


if __name__ == "__main__":
    main()

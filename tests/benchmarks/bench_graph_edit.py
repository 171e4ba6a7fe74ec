"""Edit graphs that hold their training, too: seconds of the processor for three sizes, and the exponent that fits them.

A session's network has layers of two variables each, which an optimizer trains: of its nodes a twentieth are the model.
Each size is a process of its own; what is made is not verified, which would import the graph once more.
"""

from __future__ import annotations

import json
import tempfile

from tests.benchmarks import growth
from tests.benchmarks.processes import measure

#: About 10,000, 30,000 and 90,000 nodes.
LAYERS = (180, 540, 1_620)

_EDITS = """
import gc, json, os, sys, time
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import tensorflow as tf
import tfmagic
count, place = int(sys.argv[1]), sys.argv[2]
v1 = tf.compat.v1

def session_of(count):
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = y = v1.placeholder(tf.float32, [None, 8], name="x")
        for number in range(count):
            with v1.variable_scope(f"layer_{number}"):
                kernel = v1.get_variable("kernel", [8, 8], use_resource=False)
                bias = v1.get_variable("bias", [8], use_resource=False)
                y = tf.nn.relu(tf.matmul(y, kernel) + bias)
        y = tf.identity(y, name="y")
        v1.train.AdamOptimizer().minimize(tf.reduce_mean(y * y), name="train")
        v1.train.Saver()
        session.run(v1.global_variables_initializer())
    return session

def jobs(session, at):
    options = {"verify": False}
    ends = {"inputs": ["x"], "outputs": ["y"]}
    yield "to a frozen graph", lambda: tfmagic.freeze(session, output=at + "/named.pb", **ends, **options)
    yield "to a frozen graph, ends proposed", lambda: tfmagic.freeze(session, output=at + "/proposed.pb", **options)
    yield "to a SavedModel", lambda: tfmagic.export(session, at + "/saved", **ends, **options)
    yield "to a checkpoint", lambda: tfmagic.export(session, at + "/all.ckpt", **options)
    yield "merged with itself", lambda: tfmagic.merge(session, session, connect={"y": "x"}, output=at + "/m", **options)

seconds = {}
# The first goes before the clock: imports, and what is made once.
for size, at in ((4, place + "/first"), (count, place + "/second")):
    os.mkdir(at)
    session = session_of(size)
    nodes = len(session.graph.get_operations())
    for title, job in jobs(session, at):
        # What TensorFlow holds of the session is not looked through again and again meanwhile.
        gc.collect()
        gc.freeze()
        begun = time.process_time()
        job()
        seconds[title] = time.process_time() - begun
print(json.dumps([nodes, seconds]))
"""


def main() -> None:
    """Print a row for each result."""
    print(f"how edits of graphs of so many nodes grow (goal: exponents of at most {growth.MOST}):")
    rows: dict[str, dict[float, float]] = {}
    for count in LAYERS:
        with tempfile.TemporaryDirectory() as directory:
            nodes, seconds = json.loads(measure(_EDITS, str(count), directory).output.splitlines()[-1])
        for title, taken in seconds.items():
            rows.setdefault(title, {})[nodes] = taken
    for title, by_size in rows.items():
        growth.report(title, by_size)


if __name__ == "__main__":
    main()

"""Freeze a session with 300 MB in 30 variables: tfmagic against ``convert_variables_to_constants`` and writing.

Against stock, files go to memory where the system has a place for that: a disk that takes a second for 300 MB takes it
from both. Against a plain write they go to the disk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.benchmarks.jobs import compare, plain_write, report, report_beside_plain

#: What issue 3 asks for, and issue 20: times as long as a plain write.
GOAL, PLAIN_GOAL = 8, 1.3
ROUNDS = 5

PREPARE = """
import tensorflow as tf, tfmagic
tfmagic.freeze  # imports the verb
v1 = tf.compat.v1
session = v1.Session(graph=tf.Graph())
with session.graph.as_default():
    x = y = v1.placeholder(tf.float32, [None, 1600], name="x")
    for number in range(30):
        y = tf.matmul(y, v1.get_variable(f"w{number}", [1600, 1600]))
    tf.identity(y, name="y")
    session.run(v1.global_variables_initializer())
"""
OURS = 'tfmagic.freeze(session, outputs=["y"], output=sys.argv[1], overwrite=True, verify=False)'
#: To let go of what the round before wrote takes time, too.
AFRESH = """
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
"""
THEIRS = """
frozen = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["y"])
with open(sys.argv[1], "wb") as file:
    file.write(frozen.SerializeToString())
"""


def main() -> None:
    """Print seconds, memory and their ratio."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108 - Linux's own place
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        jobs = compare(ROUNDS, PREPARE, str(Path(directory) / "{label}.pb"), ours=OURS, stock=THEIRS)
        report("freeze a session of 300 MB, into memory", jobs, "ours", "stock", GOAL)
    with tempfile.TemporaryDirectory() as directory:
        places = [str(Path(directory) / name) for name in ("{label}.pb", "ours.pb")]
        plain = plain_write("sys.argv[2]", "sys.argv[1]")
        jobs = compare(ROUNDS, PREPARE + AFRESH, *places, ours=OURS, plain=plain)
        print("the same, to the disk:")
        report_beside_plain("ours", jobs, PLAIN_GOAL)


if __name__ == "__main__":
    main()

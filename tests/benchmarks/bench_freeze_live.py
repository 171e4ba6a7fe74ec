"""Freeze a live EfficientNetB7: tfmagic against ``convert_variables_to_constants_v2`` and writing, tracing apart."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks.jobs import compare, plain_write, report, report_beside_plain

MODEL = "EfficientNetB7"
#: What issue 20 asks for: times faster, and times as long as a plain write; and added peak in bytes of the weights.
GOAL, PLAIN_GOAL, PEAK_GOAL = 16, 1.5, 0.3
#: Stock takes more than ten seconds.
ROUNDS = 3

PREPARE = """
import keras, tensorflow as tf, tfmagic
tfmagic.freeze  # imports the verb
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
model = getattr(keras.applications, sys.argv[1])(weights=None)
spec = tf.TensorSpec([None, *model.input_shape[1:]], name="image")
call = tf.function(lambda image: {"scores": model(image, training=False)}, input_signature=[spec])
concrete = call.get_concrete_function()
"""
OURS = "tfmagic.freeze(concrete, output=sys.argv[2], overwrite=True, verify=False)"
#: To let go of what the round before wrote takes time, too.
AFRESH = """
if os.path.exists(sys.argv[2]):
    os.unlink(sys.argv[2])
"""
THEIRS = """
frozen = convert_variables_to_constants_v2(concrete)
with open(sys.argv[2], "wb") as file:
    file.write(frozen.graph.as_graph_def().SerializeToString())
"""


def main(name: str = MODEL) -> None:
    """Print seconds, memory, their ratio, and the peak as a part of the file."""
    with tempfile.TemporaryDirectory() as directory:
        places = [str(Path(directory) / name) for name in ("{label}.pb", "ours.pb")]
        plain = plain_write("sys.argv[3]", "sys.argv[2]")
        jobs = compare(ROUNDS, PREPARE + AFRESH, name, *places, ours=OURS, plain=plain, stock=THEIRS)
        size = (Path(directory) / "ours.pb").stat().st_size
        report(f"freeze a live {name}, tracing apart", jobs, "ours", "stock", GOAL)
        report_beside_plain("ours", jobs, PLAIN_GOAL)
    print(f"  added peak of ours {jobs['ours'].added / size:.2f} of the file (goal: at most {PEAK_GOAL})")


if __name__ == "__main__":
    main(*sys.argv[1:2])

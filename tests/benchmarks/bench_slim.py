"""Slim a checkpoint of a gigabyte, half of it slots, against copying it, and a Keras 3 export against its weights.

Each side is a whole fresh process; values are compared byte by byte where slim checks. Of the export, which holds every
weight twice, the bytes count.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.processes import in_turns, measure, report

ROUNDS = 3
VARIABLES = 64
#: Bytes of one of them: with a slot for each, a gigabyte.
SIZE = 8 << 20
#: A copy of half of the bytes that looks at all of them, and compares what it wrote, may take as long as three.
GOAL = 1 / 3
#: What issue 16 asks for: index and shards, as times the bytes of the weights.
BYTES_GOAL = 1.01

_WRITE = """
import sys
from pathlib import Path
import numpy as np
from tfmagic.files.checkpoints import tensor_writing
count, size = int(sys.argv[2]), int(sys.argv[3]) // 4
def tensors():
    for number in range(count):
        for slot in ("", "/Adam"):
            values = np.random.default_rng(number).random(size, np.float32)
            yield tensor_writing.Tensor(f"layer_{number:03}/kernel{slot}", "float32", values)
tensor_writing.write(Path(sys.argv[1]), tensors())
"""
_SLIM = """
import sys, tfmagic
check = None if sys.argv[2] == "verify" else False
result = tfmagic.slim(sys.argv[1], sys.argv[1] + ".slim", overwrite=True, verify=check)
print(result.bytes_before, result.bytes_after)
"""
_COPY = """
import os, sys, shutil
for suffix in (".index", ".data-00000-of-00001"):
    shutil.copyfile(sys.argv[1] + suffix, sys.argv[1] + ".copy" + suffix)
    with open(sys.argv[1] + ".copy" + suffix) as file:
        os.fsync(file.fileno())
"""
_EXPORT = """
import sys
from pathlib import Path
import keras, numpy as np, tfmagic
place = sys.argv[1] + "/export"
model = keras.applications.MobileNetV2(weights=None)
# Of norms as they are before training most hold the same, which a copy has once.
rng = np.random.default_rng(0)
model.set_weights([rng.random(each.shape, np.float32) for each in model.get_weights()])
model.export(place)
tfmagic.slim(place, place + ".slim", verify=False)
weights = sum(each.nbytes for each in model.get_weights())
sides = [sum(file.stat().st_size for file in Path(each, "variables").iterdir()) for each in (place, place + ".slim")]
print(weights, *sides, Path(place, "saved_model.pb").stat().st_size)
"""


def main() -> None:
    """Print the seconds of each and their ratios, and the bytes of an export before and after."""
    with tempfile.TemporaryDirectory() as directory:
        source = str(Path(directory) / "trained")
        measure(_WRITE, source, str(VARIABLES), str(SIZE))
        runs = in_turns(ROUNDS, slim=(_SLIM, source, "verify"), unverified=(_SLIM, source, "no"), copy=(_COPY, source))
        exported = measure(_EXPORT, directory).output.splitlines()[-1]
    title = "slim of a checkpoint of a gigabyte, half of it slots, fresh process"
    report(f"{title}, compared byte by byte", runs, "slim", "copy", GOAL)
    report(f"{title}, not compared", runs, "unverified", "copy", GOAL)
    weights, before, after, message = map(int, exported.split())
    print("slim of a Keras 3 export of MobileNetV2, index and shards against the bytes of its weights:")
    print(f"  {before / weights:.3f} before, {after / weights:.3f} after (goal: at most {BYTES_GOAL:g})")
    print(f"  saved_model.pb beside them stays as it is, {message / weights:.3f} times the weights")


if __name__ == "__main__":
    main()

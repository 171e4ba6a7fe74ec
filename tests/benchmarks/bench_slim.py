"""Slim a checkpoint of a gigabyte, half of it slots, against copying it, and a Keras export against a plain copy of it.

Each side is a whole fresh process; values are compared byte by byte where slim checks.
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


def main() -> None:
    """Print the seconds of each and their ratios."""
    with tempfile.TemporaryDirectory() as directory:
        source = str(Path(directory) / "trained")
        measure(_WRITE, source, str(VARIABLES), str(SIZE))
        runs = in_turns(ROUNDS, slim=(_SLIM, source, "verify"), unverified=(_SLIM, source, "no"), copy=(_COPY, source))
    title = "slim of a checkpoint of a gigabyte, half of it slots, fresh process"
    report(f"{title}, compared byte by byte", runs, "slim", "copy", GOAL)
    report(f"{title}, not compared", runs, "unverified", "copy", GOAL)


if __name__ == "__main__":
    main()

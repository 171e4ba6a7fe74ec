"""List the variables of a checkpoint with 10,000 entries: tfmagic against ``tf.train.list_variables``.

Each side is a whole fresh process, as a person who wants to know starts one; the data shard is taken away from ours.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENTRIES = 10_000
ROUNDS = 3
#: What issue 2 asks for.
GOAL = 10

WRITE = """
import sys
import tensorflow as tf
count = int(sys.argv[2])
names = [f"block_{i // 10}/layer_{i % 10}/kernel" for i in range(count)]
tf.raw_ops.SaveV2(prefix=sys.argv[1], tensor_names=names, shape_and_slices=[""] * count,
                  tensors=[tf.fill([2, 3], float(i)) for i in range(count)])
"""
OURS = """
import sys
from pathlib import Path
from tfmagic.readers.checkpoint import CheckpointReader
from tfmagic.registry import Candidate
candidate = Candidate(sys.argv[1], Path(sys.argv[1]))
assert CheckpointReader().claims(candidate)
model = CheckpointReader().read(candidate, None)
rows = next(iter(model.loaders.values()))()
print(len(rows), rows[0].name, rows[0].shape)
"""
THEIRS = """
import sys
import tensorflow as tf
rows = tf.train.list_variables(sys.argv[1])
print(len(rows), rows[0][0], tuple(rows[0][1]))
"""


def main() -> None:
    """Print the seconds of both and their ratio, medians of a few rounds taken in turns."""
    with tempfile.TemporaryDirectory() as directory:
        prefix = Path(directory) / "many"
        _run(WRITE, prefix, str(ENTRIES))
        shard = prefix.with_name("many.data-00000-of-00001")
        away = shard.with_name("away")
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(_seconds(THEIRS, prefix))
            shard.rename(away)
            ours.append(_seconds(OURS, prefix))
            away.rename(shard)
    _report(statistics.median(ours), statistics.median(theirs))


def _report(ours: float, theirs: float) -> None:
    print(f"variables of a checkpoint with {ENTRIES:,} entries, fresh process, medians of {ROUNDS}:")
    print(f"  tfmagic {ours:.2f} s (no data shard)   tf.train.list_variables {theirs:.2f} s")
    print(f"  ratio {theirs / ours:.1f} (goal: at least {GOAL})")


def _seconds(code: str, prefix: Path) -> float:
    start = time.perf_counter()
    _run(code, prefix)
    return time.perf_counter() - start


def _run(code: str, prefix: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", code, str(prefix), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()

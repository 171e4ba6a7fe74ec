"""List the variables of a checkpoint with 10,000 entries: tfmagic against ``tf.train.list_variables``.

Each side is a whole fresh process, as a person who wants to know starts one; the data shard is taken away from ours.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.processes import in_turns, measure, report

ENTRIES = 10_000
ROUNDS = 5
#: What issues 2 and 20 ask for: as rows, and as a DataFrame.
GOAL, FRAME_GOAL = 10, 8

WRITE = """
import sys
import tensorflow as tf
count = int(sys.argv[2])
names = [f"block_{i // 10}/layer_{i % 10}/kernel" for i in range(count)]
tf.raw_ops.SaveV2(prefix=sys.argv[1], tensor_names=names, shape_and_slices=[""] * count,
                  tensors=[tf.fill([2, 3], float(i)) for i in range(count)])
"""
ROWS = """
import sys, tfmagic
from tfmagic.models.model import Part
rows = tfmagic.inspect(sys.argv[1]).part(Part.VARIABLES)
print(len(rows), rows[0].name, rows[0].shape)
"""
FRAME = """
import sys, tfmagic
frame = tfmagic.inspect(sys.argv[1]).variables
print(len(frame), frame["name"][0], frame["shape"][0])
"""
THEIRS = """
import sys
import tensorflow as tf
rows = tf.train.list_variables(sys.argv[1])
print(len(rows), rows[0][0], tuple(rows[0][1]))
"""


def main() -> None:
    """Print the seconds of both and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = Path(directory) / "ours", Path(directory) / "theirs"
        for prefix in (ours, theirs):
            measure(WRITE, str(prefix), str(ENTRIES))
        ours.with_name("ours.data-00000-of-00001").unlink()
        runs = in_turns(
            ROUNDS,
            rows=(ROWS, str(ours)),
            frame=(FRAME, str(ours)),
            list_variables=(THEIRS, str(theirs)),
        )
    title = f"variables of a checkpoint with {ENTRIES:,} entries, fresh process, ours without the data shard"
    report(f"{title}, as rows", runs, "rows", "list_variables", GOAL)
    report(f"{title}, as a DataFrame (importing pandas included)", runs, "frame", "list_variables", FRAME_GOAL)


if __name__ == "__main__":
    main()

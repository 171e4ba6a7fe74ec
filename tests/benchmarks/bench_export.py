"""Export a live EfficientNetB7 to a SavedModel: tfmagic against ``model.export``, tracing included on both sides.

With verification, which ``model.export`` has none of, ours loads the result and runs both on the same inputs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks.jobs import compare, report

MODEL = "EfficientNetB7"
#: What issue 20 asks for: times faster, not verified and verified, and verified times as long as not verified; and the
#: directory in bytes of the weights.
GOAL, VERIFIED_GOAL, OWN_GOAL, SIZE_GOAL = 10, 4, 2, 1.05
ROUNDS = 3
PREPARE = """
import keras, tensorflow as tf, tfmagic
tfmagic.export  # imports the verb
model = getattr(keras.applications, sys.argv[1])(weights=None)
"""
OURS = "tfmagic.export(model, sys.argv[2], overwrite=True, verify=False)"
VERIFIED = "tfmagic.export(model, sys.argv[2], overwrite=True)"
THEIRS = "model.export(sys.argv[2])"


def size_of(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def main(name: str = MODEL) -> None:
    """Print seconds, memory, their ratio, and what lies on the disk."""
    with tempfile.TemporaryDirectory() as directory:
        place = str(Path(directory) / "{label}")
        jobs = compare(ROUNDS, PREPARE, name, place, ours=OURS, verified=VERIFIED, stock=THEIRS)
        sizes = {label: size_of(Path(directory) / label) for label in jobs}
        weights = size_of(Path(directory) / "ours" / "variables")
    report(f"export a live {name} to a SavedModel", jobs, "ours", "stock", GOAL)
    verified = jobs["verified"].seconds
    print(f"  ratio, verified {jobs['stock'].seconds / verified:.1f} (goal: at least {VERIFIED_GOAL})")
    print(f"  verified {verified / jobs['ours'].seconds:.2f} times as long as not (goal: at most {OWN_GOAL})")
    print(
        f"  directory: ours {sizes['ours'] / weights:.3f} of the variables' files (goal: at most {SIZE_GOAL}), ", end=""
    )
    print(f"stock {sizes['stock'] / weights:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])

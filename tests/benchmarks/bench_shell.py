"""Whole processes of the shell: signatures of an EfficientNetB7 and of a small model, two models frozen from files.

Bytecode is compiled before, as an installed package's is. ``python -m tests.benchmarks.bench_shell ResNet50`` freezes
that one alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench_freeze_disk import BEGIN, END, THEIRS, WRITE
from tests.benchmarks.processes import Measured, in_turns, measure, report

ROUNDS = 3
#: What issue 16 asks for: times faster than stock, seconds of a small model, bytes of the largest.
SIGNATURES_GOAL, SMALL_GOAL, FREEZE_GOALS, PEAK_GOAL = 20, 0.4, {"ResNet50": 8, "ConvNeXtLarge": 15}, 400_000_000
_EXPORT = """
import sys, keras
keras.applications.EfficientNetB7(weights=None).export(sys.argv[1])
"""
_SMALL = """
import sys, tensorflow as tf
module = tf.Module()
module.f = tf.function(lambda x: {"y": x + 1}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
tf.saved_model.save(module, sys.argv[1], signatures=module.f)
"""
_OURS = """
import sys
sys.argv[0] = "tfmagic"
from tfmagic.__main__ import main
main()
"""
_CLI = """
import sys
from tensorflow.python.tools import saved_model_cli
sys.argv[1:] = ["show", "--dir", sys.argv[1], "--all"]
saved_model_cli.main()
"""


def main(*names: str) -> None:
    """Print the seconds and peaks, and the ratios."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {"PYTHONPYCACHEPREFIX": f"{directory}/bytecode", "PYTHONDONTWRITEBYTECODE": ""}
        _signatures(Path(directory))
        for name in names or FREEZE_GOALS:
            _freeze(Path(directory), name)


def _signatures(directory: Path) -> None:
    large, small = str(directory / "large"), str(directory / "small")
    measure(_EXPORT, large)
    measure(_SMALL, small)
    measure(_OURS, "inspect", small, "--signatures")
    runs = in_turns(ROUNDS, tfmagic=(_OURS, "inspect", large, "--signatures"), saved_model_cli=(_CLI, large))
    report("inspect DIR --signatures of an EfficientNetB7", _quiet(runs), "tfmagic", "saved_model_cli", SIGNATURES_GOAL)
    runs = in_turns(ROUNDS, tfmagic=(_OURS, "inspect", small, "--signatures"))
    print(f"  of a small model {runs['tfmagic'].seconds:.2f} s (goal: at most {SMALL_GOAL} s)")


def _freeze(directory: Path, name: str) -> None:
    model, ours, theirs = (str(directory / f"{name}{part}") for part in ("", "-ours.pb", "-theirs.pb"))
    measure(WRITE, name, model)
    line = ("freeze", model, "-o", ours, "--overwrite", "--no-verify")
    measure(_OURS, *line)
    runs = in_turns(ROUNDS, tfmagic=(_OURS, *line), stock=(BEGIN + THEIRS + END, model, theirs))
    report(f"freeze DIR -o FILE of a {name}", _quiet(runs), "tfmagic", "stock", FREEZE_GOALS.get(name, 1))
    print(f"  peak of ours {runs['tfmagic'].peak / 1e6:.0f} MB (goal: under {PEAK_GOAL / 1e6:.0f} MB)")


def _quiet(runs: dict[str, Measured]) -> dict[str, Measured]:
    return {label: run._replace(output="") for label, run in runs.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])

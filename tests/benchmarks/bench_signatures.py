"""Print the signatures of an EfficientNetB7 SavedModel: tfmagic against ``saved_model_cli show --all``.

Each side is a whole fresh process.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.processes import in_turns, measure, report

ROUNDS = 5
#: What issue 20 asks for.
GOAL = 20

_WRITE = """
import sys, keras
keras.applications.EfficientNetB7(weights=None).export(sys.argv[1])
"""
_OURS = """
import sys, tfmagic
frame = tfmagic.inspect(sys.argv[1]).signatures
print(frame.to_string())
"""
#: What the console script ``saved_model_cli`` runs.
_THEIRS = """
import sys
from tensorflow.python.tools import saved_model_cli
sys.argv[1:] = ["show", "--dir", sys.argv[1], "--all"]
saved_model_cli.main()
"""


def main() -> None:
    """Print the seconds of both and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        model = str(Path(directory) / "efficientnetb7")
        measure(_WRITE, model)
        runs = in_turns(ROUNDS, tfmagic=(_OURS, model), saved_model_cli=(_THEIRS, model))
    runs = {label: run._replace(output="") for label, run in runs.items()}
    report("signatures of an EfficientNetB7 SavedModel, fresh process", runs, "tfmagic", "saved_model_cli", GOAL)


if __name__ == "__main__":
    main()

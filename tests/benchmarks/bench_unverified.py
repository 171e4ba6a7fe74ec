"""What is not verified of the corpus' models when they are frozen, each with its reason.

A model that TensorFlow cannot run here, as it has no such kernel or no values for its variables, cannot be verified by
anybody and is told apart. One process freezes model after model, and the next goes on where it ended.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What issue 20 asks for: the share of what TensorFlow can run.
GOAL = 0.02
#: Seconds for one model, from which on its process is ended.
_LIMIT = 60.0
_ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TFMAGIC_CORPUS") or _ROOT.parent / "shared" / "corpus")
#: What TensorFlow says of what it cannot run on this machine, whatever the inputs.
_CANNOT_RUN = re.compile(
    r"No OpKernel|no kernel|Op type not registered|not registered|is neither a type of a primitive operation|has no "
    r"value|not initialized|uninitialized|No gradient defined|only supports NHWC|NCHW|not supported on CPU|GPU|cannot "
    r"be loaded to be run|takes no inputs that could be others"
)
#: Ops that it names as the reason, of which it may know nothing.
_NAMED = re.compile(r"node '[^']*'(?: in function '[^']*')?: (\w+)")
#: Freezes the models whose paths come by lines, and says of each what was not verified, or None where it is an error.
_WORKER = """
import json, os, sys
os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
import tfmagic
for line in sys.stdin:
    try:
        notes = [note for note in tfmagic.freeze(line.strip()).notes if note.startswith("not verified")]
    except (tfmagic.TfMagicError, OSError):
        notes = None
    print(json.dumps(notes), flush=True)
"""


def main() -> None:
    """Print the list, and the share of what could have been verified."""
    if not CORPUS.is_dir():
        print(f"no corpus at {CORPUS}; TFMAGIC_CORPUS names one")
        return
    with (CORPUS / "MANIFEST.tsv").open(encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    notes = dict(_frozen(paths))
    frozen = {path: told for path, told in notes.items() if told is not None}
    unverified = {path: "; ".join(told) for path, told in frozen.items() if told}
    hopeless = {path: reason for path, reason in unverified.items() if _cannot_run(reason)}
    print(f"{len(frozen)} of {len(paths)} models are frozen; not verified, as TensorFlow cannot run them here:")
    for path, reason in hopeless.items():
        print(f"  {path}: {reason}")
    left = {path: reason for path, reason in unverified.items() if path not in hopeless}
    print("not verified for other reasons:")
    for path, reason in left.items():
        print(f"  {path}: {reason}")
    share = len(left) / max(1, len(frozen) - len(hopeless))
    print(f"  {len(left)} of {len(frozen) - len(hopeless)}: {share:.1%} (goal: at most {GOAL:.0%})")


def _cannot_run(reason: str) -> bool:
    """Say whether nothing makes TensorFlow run it: it refuses, or has no kernel of an op that is named."""
    from tensorflow.python.framework import kernels  # noqa: PLC0415 - no public name lists kernels

    ops = _NAMED.findall(reason)
    return bool(_CANNOT_RUN.search(reason)) or any(
        not any(kernel.device_type == "CPU" for kernel in kernels.get_registered_kernels_for_op(op).kernel)
        for op in ops
    )


def _frozen(paths: list[str]) -> Iterator[tuple[str, list[str] | None]]:
    """Yield what was not verified of each model; one that ends its process, or takes too long, says so."""
    left = list(paths)
    while left:
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=_ROOT,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        with worker:
            while left:
                path = left.pop(0)
                timer = threading.Timer(_LIMIT, worker.kill)
                timer.start()
                worker.stdin.write(f"{CORPUS / path}\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
                timer.cancel()
                if not line:
                    yield path, [f"not verified: its process ended, or was ended after {_LIMIT:g} s"]
                    break
                yield path, json.loads(line)
            worker.kill()


if __name__ == "__main__":
    main()

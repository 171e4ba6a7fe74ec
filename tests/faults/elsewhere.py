"""A process beside a trial, in which TensorFlow may be loaded: it makes what a subject reads, and tells what is there.

``python -m tests.faults.elsewhere``, which answers a line of JSON with another. Not for: what is tried, which must find
no TensorFlow in its process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


@cache
def _process(sources: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-B", "-m", "tests.faults.elsewhere", str(sources)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=_ROOT,
        # What libraries lay there is nothing of the trial's.
        env={**os.environ, "TMPDIR": str(sources), "PYTHONPATH": str(_ROOT)},
    )


def write(sources: Path, name: str, place: Path, version: int) -> None:
    """Have a subject write a version to a new place."""
    if (problem := _answer(sources, name, place, version)) is not None:
        raise RuntimeError(problem)


def version(sources: Path, name: str, place: Path) -> float | None:
    """Return which version is there by a subject's own account, None for anything else."""
    result: float | None = _answer(sources, name, place, None)
    return result


def _answer(sources: Path, *question: Any) -> Any:
    process = _process(sources)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process beside the trial has no pipes")
    process.stdin.write(json.dumps(question, default=str) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main(sources: Path) -> None:
    """Answer until there is nobody who asks."""
    from tests.faults.subjects import SUBJECTS  # noqa: PLC0415 - who asks is imported by it

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, place, number = json.loads(line)
        subject = SUBJECTS[name]
        subject.sources = sources
        answer: float | str | None = None
        try:
            if number is None:
                answer = subject.version(Path(place))
            else:
                subject.write(Path(place), number, overwrite=False)
        except Exception as error:  # noqa: BLE001 - whatever a library makes of half a model
            answer = None if number is None else f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

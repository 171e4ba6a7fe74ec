"""Try faults on what writes: ``python -m tests.faults [--subjects NAME ...] [--kinds calls kills interrupts full]``.

A line for each thing that is wrong, then the counts; the exit status is 1 if there was any. What stands in parentheses
is as it must be for things of several files, which cannot change in one step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults import interposer
from tests.faults.subjects import KINDS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
#: Seconds without an answer that count as a hang.
TIMEOUT = 300


def tried(  # noqa: PLR0913 - what is tried
    name: str,
    mode: str,
    kind: str,
    library: Path,
    *,
    codes: tuple[str, ...] = ("ENOSPC",),
    points: int = 1_000_000,
    every: int = 1,
    python: Sequence[str] = (sys.executable, "-B"),
) -> Iterator[tuple[str, list[str]]]:
    """Yield each point, in words, and what is wrong there.

    Parameters
    ----------
    name, mode, kind : str
        The subject, ``"new"`` or ``"overwrite"``, and the kind of fault.
    library : Path
        The interposer.
    codes : tuple of str
        The errors of calls.
    points : int
        At most about so many points, evenly spread.
    every : int
        Every so-many-th point is tried.
    python : sequence of str
        What a command of Python begins with.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        top = Path(folder).resolve()
        options = codes if kind in ("calls", "full") else ()
        (top / "box" / "tmp").mkdir(parents=True)
        environment = {
            **os.environ, "LD_PRELOAD": str(library), "TMPDIR": str(top / "box" / "tmp"), "PYTHONPATH": str(ROOT),
            "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "TFMAGIC_FAULTS_POINTS": str(points),
            "TFMAGIC_FAULTS_EVERY": str(every),
        }  # fmt: skip
        first, code = 0, None
        while code != 0:
            arguments = [name, mode, kind, str(first), str(top), *options]
            with subprocess.Popen(
                [*python, "-m", "tests.faults.trial", *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
            ) as process:  # fmt: skip
                last, words, wrong = first - 1, "before the first point", None
                while answer := _answer(process):
                    last, words, wrong = answer
                    if wrong is not None:
                        yield words, wrong
                code = process.wait()
                said = process.stderr.read()[-300:] if process.stderr and code else ""
            if code:
                yield words, [f"crash: the process ended with status {code}. {' '.join(said.split())}"]
                if last < first:
                    return
            first = last + 1


def _answer(process: subprocess.Popen[str]) -> tuple[int, str, list[str] | None] | None:
    """Read one line of a process, which is killed if none comes."""
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        timer.cancel()
    return json.loads(line) if line else None


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--modes", nargs="+", choices=("new", "overwrite"), default=("new", "overwrite"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--errors", nargs="+", default=("ENOSPC", "EIO", "EACCES"), metavar="ERRNO")
    parser.add_argument("--points", type=int, default=1_000_000, help="at most so many of each, evenly spread")
    options = parser.parse_args()
    if reason := interposer.why_not():
        print(f"faults cannot be tried here: {reason}")
        return 0
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        library = interposer.compiled(Path(folder))
        for name in options.subjects:
            for mode in SUBJECTS[name].modes(options.modes):
                for kind in (kind for kind in options.kinds if kind in SUBJECTS[name].kinds):
                    counts: Counter[str] = Counter()
                    for words, wrong in tried(
                        name, mode, kind, library, codes=tuple(options.errors), points=options.points
                    ):
                        counts["points"] += 1
                        for finding in wrong:
                            counts[finding.partition(":")[0]] += 1
                            print(f"{name}, {mode}, {words}: {finding}", flush=True)
                    print(f"{name}, {mode}, {kind}: {_counted(counts)}", flush=True)
                    total += counts
    print(f"all: {_counted(total)}")
    return int(any(not kind.startswith("(") for kind in total.keys() - {"points"}))


def _counted(counts: Counter[str]) -> str:
    found = ", ".join(f"{number} {kind.strip('(')}" for kind, number in sorted(counts.items()) if kind != "points")
    return f"{counts['points']} points, {found or 'nothing wrong'}"


if __name__ == "__main__":
    sys.exit(main())

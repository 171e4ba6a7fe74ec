"""Time whole fresh processes, in turns, and report a ratio of medians.

A person who opens a notebook or runs a tool pays for the process, not for the call. Bytecode is compiled before, as an
installed package's is. Not for: timing within one process (:mod:`tests.benchmarks.jobs`).
"""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Of this checkout.
_ROOT = Path(__file__).resolve().parents[2]

#: Comes before measured code: as the process ends, however it ends, its peak goes to standard error.
_PEAK = """
import atexit, resource, sys
atexit.register(lambda: sys.stderr.write(f"PEAK {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}"))
"""


class Measured(NamedTuple):
    """What a process took: wall-clock seconds, peak resident memory in bytes, and what it printed."""

    seconds: float
    peak: int
    output: str


def measure(code: str, *arguments: str) -> Measured:
    """Run code in a fresh interpreter."""
    _compile()
    command = [sys.executable, "-c", _PEAK + code, *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return Measured(seconds, int(done.stderr.rpartition("PEAK ")[2]) * 1024, done.stdout.strip())


@cache
def _compile() -> None:
    """Compile this package's bytecode, which a checkout may be without."""
    compileall.compile_dir(_ROOT / "tfmagic", quiet=2)


def in_turns(rounds: int, **codes: tuple[str, ...]) -> dict[str, Measured]:
    """Measure several pieces of code in turns; return the run of the median time of each; see :func:`runs_in_turns`."""
    runs = runs_in_turns(rounds, **codes)
    return {label: sorted(measured)[statistics.median_low(range(rounds))] for label, measured in runs.items()}


def runs_in_turns(rounds: int, **codes: tuple[str, ...]) -> dict[str, list[Measured]]:
    """Measure several pieces of code in turns; return all runs of each.

    Parameters
    ----------
    rounds : int
        How often each runs.
    **codes : tuple of str
        Code and its arguments, by label.
    """
    runs: dict[str, list[Measured]] = {label: [] for label in codes}
    for _ in range(rounds):
        for label, (code, *arguments) in codes.items():
            runs[label].append(measure(code, *arguments))
    return runs


def report(title: str, measured: dict[str, Measured], ours: str, theirs: str, goal: float) -> None:
    """Print the times and how many times faster ours is."""
    print(f"{title}:")
    for label, run in measured.items():
        print(f"  {label:<28} {run.seconds:7.2f} s   peak {run.peak / 1e6:7.0f} MB   {run.output[:60]}")
    print(f"  ratio {measured[theirs].seconds / measured[ours].seconds:.1f} (goal: at least {goal:g})")

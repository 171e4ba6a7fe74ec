"""Time one job within a fresh process: its preparation, and ``import tensorflow``, are outside of the clock.

Not for: whole processes (:mod:`tests.benchmarks.processes`).
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

from tests.benchmarks.processes import runs_in_turns

#: A plain write goes to the disk in pieces of so many bytes.
_PIECE = 1 << 20

_BEGIN = """
import json, os, resource, sys, time
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
"""
_CLOCK = """
_before, _begun = _peak(), time.perf_counter()
"""
_END = """
_seconds = time.perf_counter() - _begun
print(json.dumps([_seconds, _peak() - _before]))
"""


class Job(NamedTuple):
    """What a job took: seconds, and bytes of memory beyond what its preparation had taken."""

    seconds: float
    added: int


def compare(rounds: int, prepare: str, *arguments: str, **jobs: str) -> dict[str, Job]:
    """Run jobs in turns, each after the same preparation in a process of its own; return those of median time.

    Parameters
    ----------
    rounds : int
        How often each runs.
    prepare : str
        Python that comes before each.
    *arguments : str
        ``sys.argv`` from its second element on; ``{label}`` in one stands for the job's label.
    **jobs : str
        Python by label.
    """
    codes = {
        label: (_BEGIN + prepare + _CLOCK + code + _END, *(each.replace("{label}", label) for each in arguments))
        for label, code in jobs.items()
    }
    runs = {
        label: sorted(Job(*_numbers(run.output)) for run in measured)
        for label, measured in runs_in_turns(rounds, **codes).items()
    }
    return {label: taken[statistics.median_low(range(rounds))] for label, taken in runs.items()}


def _numbers(output: str) -> tuple[float, int]:
    seconds, added = output.splitlines()[-1].strip("[]").split(",")
    return float(seconds), int(added)


def report(title: str, jobs: dict[str, Job], ours: str, theirs: str, goal: float) -> None:
    """Print what each took, and the ratio."""
    print(f"{title}:")
    for label, job in jobs.items():
        print(f"  {label:<28} {job.seconds:7.2f} s   added peak {job.added / 1e6:7.0f} MB")
    print(f"  ratio {jobs[theirs].seconds / jobs[ours].seconds:.1f} (goal: at least {goal:g})")


def report_beside_plain(name: str, jobs: dict[str, Job], goal: float) -> None:
    """Print how many times as long as the plain write of its bytes, the job ``plain``, a job took."""
    job, plain = jobs[name].seconds, jobs["plain"].seconds
    print(f"  {name} {job:.2f} s, {job / plain:.2f} times a plain write of {plain:.2f} s (goal: at most {goal:g})")


def plain_write(of: str, to: str) -> str:
    """Return Python that writes as many bytes as a file has in pieces of 1 MiB, and flushes file and directory.

    It is a job like others, in turns with them: after each other, both may take four times as long as before, as where
    the system gets its memory from differs. Both paths are expressions.
    """
    return f"""
piece, size, to = bytes(range(256)) * {_PIECE // 256}, os.path.getsize({of}), {to}
with open(to, "wb", buffering=0) as file:
    for start in range(0, size, len(piece)):
        file.write(piece[: size - start])
    os.fsync(file.fileno())
directory = os.open(os.path.dirname(to), os.O_RDONLY)
os.fsync(directory)
os.close(directory)
"""

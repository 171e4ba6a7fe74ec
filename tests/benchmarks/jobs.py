"""Time one job within a fresh process: its preparation, and ``import tensorflow``, are outside of the clock.

Not for: whole processes (:mod:`tests.benchmarks.processes`).
"""

from __future__ import annotations

from typing import NamedTuple

from tests.benchmarks.processes import in_turns

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
    found = in_turns(rounds, **codes)
    return {label: Job(*_numbers(run.output)) for label, run in found.items()}


def _numbers(output: str) -> tuple[float, int]:
    seconds, added = output.splitlines()[-1].strip("[]").split(",")
    return float(seconds), int(added)


def report(title: str, jobs: dict[str, Job], ours: str, theirs: str, goal: float) -> None:
    """Print what each took, and the ratio."""
    print(f"{title}:")
    for label, job in jobs.items():
        print(f"  {label:<28} {job.seconds:7.2f} s   added peak {job.added / 1e6:7.0f} MB")
    print(f"  ratio {jobs[theirs].seconds / jobs[ours].seconds:.1f} (goal: at least {goal:g})")

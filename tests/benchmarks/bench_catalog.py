"""Catalogue 2,000 small models of three forms on one and on two worker processes; another number is an argument.

Each side is a whole fresh process with its workers. ``python -m tests.benchmarks.bench_catalog 100000`` is the large
run, on two workers alone, its rows streamed; ``KEEP=DIR`` keeps the models between runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.processes import in_turns, measure, report
from tests.verbs.cataloguing import trees

ROUNDS = 3
COUNT = 2_000
#: From here on one run is enough.
_MANY = 20_000
#: Two processes on two cores, less what the walk and the rows take.
GOAL = 1.5
#: So many models differ; the others are copies of them, as in most buckets.
_KINDS = 40

_CATALOG = """
import sys, resource, tfmagic
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
place, workers, output = sys.argv[1:]
with ProcessPoolExecutor(int(workers), mp_context=get_context("spawn")) as pool:
    frame = tfmagic.catalog(place, executor=pool, output=output, overwrite=True)
assert frame["error"].isna().all()
times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
own, workers = ((each.ru_utime + each.ru_stime) for each in times)
print(f"{len(frame):,} rows, {frame['weights'].nunique()} weights; CPU {own:.1f} s here, {workers:.1f} s in workers, "
      f"worker peak {times[1].ru_maxrss / 1e3:.0f} MB")
"""


def write_models(place: Path, count: int) -> None:
    """Write models as SavedModels, checkpoints and frozen graphs, 100 in a folder."""
    with tempfile.TemporaryDirectory() as samples:
        files = [_sample(Path(samples) / str(kind), kind) for kind in range(_KINDS)]
    for number in range(count):
        folder = place / f"{number // 100:05d}" / f"{number:06d}"
        for name, data in files[number % _KINDS].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _sample(directory: Path, kind: int) -> dict[str, bytes]:
    """Return the files of a model by their paths."""
    if kind % 4 < 2:
        trees.saved_model(directory, seed=kind)
    elif kind % 4 == 2:
        trees.checkpoint(directory / "ckpt-1", seed=kind)
    else:
        trees.frozen(directory / "frozen.pb")
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def main(count: int) -> None:
    """Print seconds and models a second, and how much two workers save."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(os.environ.get("KEEP") or Path(scratch) / "models")
        if not place.exists():
            write_models(place, count)
        output = str(Path(scratch) / "models.csv")
        if count >= _MANY:
            runs = {"two": measure(_CATALOG, str(place), "2", output)}
        else:
            runs = in_turns(ROUNDS, one=(_CATALOG, str(place), "1", output), two=(_CATALOG, str(place), "2", output))
        for label, run in runs.items():
            print(f"{label}: {count / run.seconds:,.0f} models a second; {run.output}")
        if len(runs) > 1:
            report(f"catalogue of {count:,} models, on one and two workers", runs, "two", "one", GOAL)
        else:
            print(f"catalogue of {count:,} models: {runs['two'].seconds:,.0f} s, peak {runs['two'].peak / 1e6:,.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)

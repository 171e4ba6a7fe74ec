"""Call verbs in turn on small models, and see whether memory, files, threads and TensorFlow's functions level off.

    python -m tests.soak [--calls N]

The first third warms everything up; what grows from the second third to the last is what leaks. The exit status is 1 if
anything does.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import tfmagic
from tests.faults.subjects import doubled
from tests.samples import Built
from tfmagic.files import hidden_places

if TYPE_CHECKING:
    from collections.abc import Callable

#: What may be grown by from one third to the next, of the medians: memory in MiB, the rest in pieces.
ALLOWED = {"memory": 48.0, "files": 2.0, "threads": 2.0, "functions": 40.0, "hidden": 0.0}
_X = np.ones((2, 4), np.float32)


class Measure(NamedTuple):
    """What a process holds: memory in MiB, open files, threads, functions in TensorFlow's context, hidden places."""

    memory: float
    files: float
    threads: float
    functions: float
    hidden: float


def measured(directory: Path) -> Measure:
    """Measure this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    hidden = [path for path in directory.rglob("*") if hidden_places.is_hidden(path.name)]
    size = os.sysconf("SC_PAGE_SIZE")
    return Measure(pages * size / 2**20, files, threading.active_count(), _functions(), len(hidden))


def _functions() -> int:
    """Return how many functions TensorFlow has registered; 0 where it does not tell."""
    context: Any = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    names = getattr(context, "list_function_names", None)
    return len(names()) if names is not None else 0


def verbs(built: Built, place: Path) -> list[Callable[[], object]]:
    """Return the calls that are made in turn."""
    model, session = built["keras_model"], built["session"]
    served, archive, graph = (built.path(name) for name in ("saved_model_tf2", "keras_archive", "graph_def"))
    checkpoint = built.path("checkpoint_v2")
    return [
        lambda: tfmagic.inspect(served).ops,
        lambda: tfmagic.inspect(archive).variables,
        lambda: repr(tfmagic.inspect(graph)),
        lambda: tfmagic.inspect(checkpoint).variables,
        lambda: tfmagic.freeze(model),
        lambda: tfmagic.freeze(served, output=place / "frozen.pb", overwrite=True),
        lambda: tfmagic.export(model, place / "served", overwrite=True),
        lambda: tfmagic.export(session, place / "model.ckpt", overwrite=True),
        lambda: tfmagic.export(model, place / "model.h5", overwrite=True),
        lambda: tfmagic.sign(served, place / "signed", rename={"serving_default": "predict"}, overwrite=True),
        lambda: tfmagic.run(served, {"x": _X}),
        lambda: tfmagic.verify(served, model),
        lambda: tfmagic.restore(session, place / "model.ckpt"),
        lambda: repr(tfmagic.scan(served)),
        lambda: tfmagic.merge(doubled(), model, connect={"twice": "x"}),
    ]


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    count = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "results"
        place.mkdir()
        built = Built(Path(folder) / "samples")
        built.directory.mkdir()
        calls = verbs(built, place)
        begun, measures = time.monotonic(), []
        for number, call in zip(range(count), itertools.cycle(calls), strict=False):
            call()
            if number % len(calls) == 0:  # after each round of verbs
                measures.append(measured(place))
        print(f"{count} calls in {time.monotonic() - begun:.0f} s")
        return _judged(measures)


def _judged(measures: list[Measure]) -> int:
    """Print what grew, and return the exit status."""
    third = max(1, len(measures) // 3)
    grown = 0
    for name, allowed in ALLOWED.items():
        first, middle, last = (
            statistics.median(getattr(measure, name) for measure in measures[begin : begin + third])
            for begin in (0, third, len(measures) - third)
        )
        grows = last - middle > allowed
        grown += grows
        print(f"{name}: {first:,.0f}, {middle:,.0f}, {last:,.0f}{' GROWS' if grows else ''}")
    return int(grown > 0)


if __name__ == "__main__":
    sys.exit(main())

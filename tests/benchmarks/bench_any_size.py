"""The summary of models of any size, and how it grows: with nodes, functions, inputs of a node, layers, and so on.

Each size is a process of its own. A ratio of two sizes is that of their seconds of the processor. The reading, which
goes before, parses what the file holds: of a graph that is its table of ops, of a Keras model its config, of a
SavedModel with many signatures their messages. The tables of layers and of signatures are part of what is shown.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests import size_samples
from tests.benchmarks.processes import Measured, measure

#: The sizes that issue 17 names; the others grow by ten to a hundred thousand.
LARGEST = {"nodes": 1_000_000, "functions": 1_000_000, "inputs": 1_000_000, "metagraphs": 1_000}
SMALLER = 10
#: What has parsed the file once it is there.
READ = {"layers": "parts", "signatures": "has_no_signature"}
#: What text, and what HTML, may take, parsing apart.
SECONDS = 2
GOALS = "goals: summary 2 s, parsing apart; ten times the size, ten times as long; memory 50 times the input + 100 MB"

_SHOW = """
import resource, sys, time
import pandas
import tfmagic
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.process_time()
model = tfmagic.inspect(sys.argv[1])
getattr(model, sys.argv[2])
read = time.process_time()
repr(model)
text = time.process_time()
model._repr_html_()
shown = time.process_time()
added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(read - begun, text - read, shown - text, added * 1024)
"""


def numbers(run: Measured) -> list[float]:
    """Return the seconds of reading, of text and of HTML, and the bytes that were added."""
    return list(map(float, run.output.split()))


def content(kind: str, path: Path, count: int) -> int:
    """Return the bytes of a model, those of a Keras config unpacked."""
    if kind == "layers":
        return len(size_samples.layers(count))
    return sum(each.stat().st_size for each in (path.iterdir() if path.is_dir() else [path]))


def main() -> None:
    """Print a row for each kind and size."""
    print("the summary of models of any size (seconds of the processor):")
    print("           kind      count     input   reading      text      HTML   memory / bound   times the smaller")
    for kind in size_samples.KINDS:
        before = 0.0
        for count in (LARGEST.get(kind, 100_000) // SMALLER, LARGEST.get(kind, 100_000)):
            with tempfile.TemporaryDirectory() as directory:
                path = size_samples.written(kind, count, Path(directory))
                read, text, html, added = numbers(measure(_SHOW, str(path), READ.get(kind, "ops")))
                size = content(kind, path, count)
            bound = 50 * size + 100e6
            missed = " MISSED" if max(text, html) > SECONDS or added > bound else ""
            growth = f"{(text + html) / before:5.1f}" if before else ""
            before = text + html
            print(
                f"  {kind:>13} {count:10,} {size / 1e6:6.1f} MB {read:7.2f} s {text:7.2f} s {html:7.2f} s"
                f" {added / 1e6:6.0f} MB {added / bound:5.2f}   {growth}{missed}",
                flush=True,
            )
    print(f"  {GOALS}")


if __name__ == "__main__":
    main()

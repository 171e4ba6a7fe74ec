"""Compare two frozen graphs of many nodes, which differ from the first tenth on, against parsing both with protobuf.

Each side is a whole fresh process; what parsing takes is the least that anything does that looks at each node.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.processes import in_turns, measure, report

ROUNDS = 1
#: Of each of the two graphs, which may take 10 s to compare, reading included.
NODES = 1_000_000
#: Comparing may take as many times as long as parsing both, which took 2 s of a processor that others were busy on.
GOAL = 1 / 5

_WRITE = """
import sys
from tfmagic.files import protos
count = int(sys.argv[2])
for side in ("a", "b"):
    graph = protos.message("GraphDef")()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    last = "x"
    for number in range(count):
        op = "Exp" if side == "b" and number == count // 10 else ("Relu", "Tanh", "AddV2", "Neg")[number % 4]
        node = graph.node.add(name=f"net_{side}/block_{number // 1000}/op_{number}", op=op, input=[last])
        node.input.extend([last] if op == "AddV2" else [])
        node.attr["T"].type = 1
        last = node.name
    with open(f"{sys.argv[1]}/{side}.pb", "wb") as file:
        file.write(graph.SerializeToString())
"""
_DIFF = """
import sys, tfmagic
found = tfmagic.diff(f"{sys.argv[1]}/a.pb", f"{sys.argv[1]}/b.pb")
assert sorted(found.table["what"]) == ["op", "op", "renamed"], found.table
"""
_PARSE = """
import sys
from tfmagic.files import protos
for side in ("a", "b"):
    graph = protos.message("GraphDef")()
    with open(f"{sys.argv[1]}/{side}.pb", "rb") as file:
        graph.ParseFromString(file.read())
    print(sum(len(node.name) + len(node.op) + sum(map(len, node.input)) for node in graph.node))
"""


def main() -> None:
    """Print the seconds of both and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        source = str(Path(directory))
        measure(_WRITE, source, str(NODES))
        runs = in_turns(ROUNDS, diff=(_DIFF, source), parse=(_PARSE, source))
    report(f"diff of two graphs of {NODES:,} nodes each, fresh process", runs, "diff", "parse", GOAL)


if __name__ == "__main__":
    main()

"""How much TensorFlow has to put in the place of calls before it runs them: what a file states in a few functions.

Functions that call one another, each twice, are as many nodes as no memory holds once they are unrolled, and one that
calls itself has no end: unrolling it takes the stack, and with it the process. Not for: how large results are
(:mod:`tfmagic.findings.claimed_sizes`), or how often a loop goes round.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from tfmagic.findings.walked_graphs import functions_of
from tfmagic.graphs import ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.findings.walked_graphs import Graph

#: Nodes above which no memory holds what was unrolled: TensorFlow takes about a kilobyte for each.
MOST_NODES: Final = 10_000_000
#: What the names of other ops that run functions have in common.
_DATASET = "Dataset"


class Unrolled(NamedTuple):
    """A function that cannot be unrolled; ``nodes`` is 0 where it calls itself."""

    function: str
    nodes: int

    @property
    def what(self) -> str:
        """Say it in a few words."""
        return f"runs {self.nodes:,} nodes, its calls unrolled" if self.nodes else "calls itself"


def above(graph: Graph, most: int = MOST_NODES) -> Iterator[Unrolled]:
    """Yield the functions that call themselves, by whatever way, and those that become so many nodes themselves."""
    calls = _calls(graph)
    nodes: dict[str, int] = {}
    for first in calls:
        # Calls may be nested deeper than Python's stack. What is on the way is open.
        way, is_open = ([(first, iter(calls[first]))], {first}) if first not in nodes else ([], set())
        while way:
            function, rest = way[-1]
            called = next((name for name in rest if name not in nodes), None)
            if called in is_open:
                yield Unrolled(str(called), 0)
                nodes[str(called)] = 0
            elif called is not None:
                way.append((called, iter(calls.get(called, ()))))
                is_open.add(called)
            else:
                way.pop()
                is_open.discard(function)
                inner = [nodes.get(name, 0) for name in calls.get(function, ())]
                own = nodes.setdefault(function, len(graph.body(function)) + sum(inner))
                if own > most and max(inner, default=0) <= most:
                    yield Unrolled(function, own)
                nodes[function] = min(own, most + 1)


def _calls(graph: Graph) -> Mapping[str, list[str]]:
    """Return what each function that calls others calls, as often as it does."""
    calls: dict[str, list[str]] = defaultdict(list)
    running = ops.of_effect(ops.Effect.CALL)
    callers = {op for op in graph.present if op in running or op in graph.library or _DATASET in op}
    for function, node in graph.of_ops(callers) if graph.library else ():
        if function:
            calls[function] += [name for name in (node.op, *functions_of(node)) if name in graph.library]
    return calls

"""Where a resource goes in a graph: the ops that take a variable, a table, a queue, through calls, branches and loops.

What an op does with it tells whether a run changes the resource (:mod:`tfmagic.graphs.ops`). Not for: exchanging a
variable for its value on the same way (``transforms/variable_reads``).
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs import ops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_CALLERS = _CALLS | _BRANCHES | _LOOPS
#: Ops that hand on what they get, and to which of their outputs.
_PASSING: Mapping[str, tuple[str, ...]] = {
    "Switch": ("output_false", "output_true"),
    **dict.fromkeys(("Identity", "Enter", "Exit", "NextIteration", "Merge", "StopGradient"), ("output",)),
}
#: Ops that take a resource and leave it as it is.
READS = ops.of_kind("variable read", "variable query", "table use", "table export", "query") | {
    "QueueSizeV2", "QueueIsClosedV2", "IteratorGetDevice", "TensorArraySizeV3",
}  # fmt: skip


class Use(NamedTuple):
    """An op that takes a resource: the function that it is in (``""`` is the main graph), and its node."""

    function: str
    node: protos.Message

    @property
    def changes(self) -> bool:
        """Whether the resource may be another afterwards."""
        return self.node.op not in READS


class ResourceUses:
    """Finds the uses of resources in one GraphDef, of any descriptor pool.

    Parameters
    ----------
    graph_def : GraphDef
        Read, and not changed.
    """

    def __init__(self, graph_def: protos.Message) -> None:
        self._graph_def = graph_def
        self._consumers: dict[str, Mapping[str, Sequence[tuple[protos.Message, int]]]] = {}

    @cached_property
    def _library(self) -> dict[str, protos.Message]:
        return {function.signature.name: function for function in self._graph_def.library.function}

    @cached_property
    def _calls(self) -> Mapping[str, Sequence[Use]]:
        """Where each function is called."""
        calls = defaultdict(list)
        for body in ("", *self._library):
            for node in self._nodes(body):
                for callee in self._callees(node):
                    calls[callee].append(Use(body, node))
        return calls

    def of(self, node: str, function: str = "") -> list[Use]:
        """Return what takes the first output of a node of the main graph, or an argument of a function."""
        return self._from([(function, node if function else f"{node}:0")])

    def of_node(self, node: str, function: str = "") -> list[Use]:
        """Return what takes an output of a node, of a function's too."""
        starts = [tensor for tensor in self._consumers_of(function) if tensor.startswith(f"{node}:")]
        return self._from([(function, tensor) for tensor in starts])

    def _from(self, waiting: list[tuple[str, str]]) -> list[Use]:
        uses: list[Use] = []
        seen = set()
        while waiting:
            place = waiting.pop()
            if place not in seen:
                seen.add(place)
                waiting.extend(self._returned(*place))
                for consumer, index in self._consumers_of(place[0]).get(place[1], ()):
                    following = self._following(place[0], consumer, index)
                    if following is None:
                        uses.append(Use(place[0], consumer))
                    else:
                        waiting.extend(following)
        return uses

    def _nodes(self, body: str) -> Iterable[protos.Message]:
        nodes: Iterable[protos.Message] = self._library[body].node_def if body else self._graph_def.node
        return nodes

    def _consumers_of(self, body: str) -> Mapping[str, Sequence[tuple[protos.Message, int]]]:
        """Return the consumers of each tensor of a body, and as which input each takes it."""
        if body not in self._consumers:
            consumers = defaultdict(list)
            for node in self._nodes(body):
                for index, text in enumerate(node.input):
                    consumers[text if body or ":" in text else f"{text}:0"].append((node, index))
            self._consumers[body] = consumers
        return self._consumers[body]

    def _following(self, body: str, node: protos.Message, index: int) -> list[tuple[str, str]] | None:
        """Return where a node hands its input on to, None if it does something with it."""
        if node.op in _PASSING:
            return [(body, _output(body, node.name, name, place)) for place, name in enumerate(_PASSING[node.op])]
        if node.op == "IdentityN":
            return [(body, _output(body, node.name, "output", index))]
        callees = list(self._callees(node))
        argument = index - 1 if node.op in _BRANCHES else index
        return [(callee, self._library[callee].signature.input_arg[argument].name) for callee in callees] or None

    def _callees(self, node: protos.Message) -> Iterator[str]:
        """Yield the functions that a call, a branch or a loop hands its inputs to."""
        if node.op in self._library:
            yield node.op
        if node.op in _CALLERS:
            for value in node.attr.values():
                functions = [value.func] if value.HasField("func") else value.list.func
                yield from (function.name for function in functions if function.name in self._library)

    def _returned(self, function: str, tensor: str) -> Iterator[tuple[str, str]]:
        """Yield what a tensor is called where its function is called that returns it."""
        if not function:
            return
        called = self._library[function]
        for place, result in enumerate(called.signature.output_arg):
            if called.ret[result.name] == tensor:
                for body, node in self._calls[function]:
                    name = "output" if node.op in _CALLERS else result.name
                    yield body, _output(body, node.name, name, place)


def _output(body: str, node: str, name: str, place: int) -> str:
    """Write a reference to an output: in functions, the output's name is part of it."""
    if not body:
        return f"{node}:{place}"
    return f"{node}:{name}:{place if name == 'output' else 0}"

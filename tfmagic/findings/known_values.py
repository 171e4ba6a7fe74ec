"""What is known of tensors without running anything: constants, what is put together of them, and names of own files.

Not for: what a node does with a value (:mod:`tfmagic.graphs.op_effects`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.resources import resource
from tfmagic.graphs.tensor_names import full, node_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tfmagic.findings.walked_graphs import Nodes


class _Own(Enum):
    """The name of a file of the model's own, which whoever loads the model puts in."""

    FILE = "own file"


OWN_FILE: Final = _Own.FILE
#: What is known of a tensor: its elements, that it names a file of the model's own, or nothing.
Value: TypeAlias = tuple[bytes | float, ...] | _Own | None
#: Ops that give on the value of their first input.
_HANDING_ON = frozenset({"Identity", "StopGradient", "Snapshot", "GuaranteeConst", "EnsureShape"})
#: Ops that put names of files together, and how many inputs the name that they begin with has beside it.
_JOINING = frozenset({"StringJoin", "ShardedFilename"})
#: Ops that gather several values, or choose one of them by their first input.
_GATHERING = frozenset({"Pack", "ConcatV2"})
_CHOOSING = frozenset({"Select", "SelectV2"})
#: A value, or a graph in a string, is followed so far.
DEEPEST = 50
#: Elements of a constant that are looked at: names of files are few.
_MOST_ELEMENTS = 10_000


@dataclass(frozen=True)
class Body:
    """The nodes of the main graph or of a function, what its arguments are, and what its tensors name."""

    function: str
    nodes: Nodes
    arguments: Mapping[str, Value]
    #: How many nodes of the graph are one and the same variable, by what identifies it.
    aliases: Mapping[tuple[bytes, bytes], int]
    #: What is known of tensors where a variable is assigned: as the model is loaded.
    at_start: Mapping[str, Value] = field(default_factory=dict)
    #: Tensors that whoever runs the graph gives, whatever the graph says of them.
    fed: Collection[str] = frozenset()

    def value(self, tensor: str, depth: int = 0) -> Value:
        """Return what is known of a tensor."""
        if (known := self.arguments.get(full(tensor))) is not None or full(tensor) in self.fed:
            return known
        node = self.nodes.get(node_of(tensor))
        if node is None or depth > DEEPEST:
            return None
        if node.op in ops.of_kind("constant") and "value" in node.attr:
            return elements(node.attr["value"].tensor)
        if node.op in _HANDING_ON and node.input:
            return self.value(node.input[0], depth + 1)
        if node.op in _JOINING or node.op in _GATHERING or node.op in _CHOOSING:
            return self._assembled(node, depth + 1)
        is_read = node.op == "ReadVariableOp" and node.input
        return self._assigned(node_of(node.input[0]), depth + 1) if is_read else None

    def _assembled(self, node: protos.Message, depth: int) -> Value:
        """Return what is known of a name that is put together: a saver makes those of its shards so."""
        edges = [edge for edge in node.input if not edge.startswith("^")]
        if node.op in _JOINING:
            first, *rest = (self.value(edge, depth) for edge in edges) if edges else (None,)
            if node.op == "ShardedFilename":
                return first if first is OWN_FILE else None
            separator = op_effects.text(node, "separator")
            rest.append(None if separator is None else (separator,))
            return OWN_FILE if first is OWN_FILE and all(map(_stays, rest)) else None
        values = [self.value(edge, depth) for edge in (edges[1:] if node.op in _CHOOSING else edges)]
        if all(value is OWN_FILE for value in values):
            return OWN_FILE if values else None
        known = [value for value in values if isinstance(value, tuple)]
        return tuple(item for value in known for item in value) if len(known) == len(values) else None

    @cached_property
    def _consumers(self) -> Mapping[str, list[protos.Message]]:
        consumers = defaultdict(list)
        for node in self.nodes.node_defs:
            for edge in node.input:
                consumers[node_of(edge)].append(node)
        return consumers

    def _assigned(self, handle: str, depth: int) -> Value:
        """Return what one node assigns to a variable and nobody else can: so a SavedModel keeps the names of assets."""
        users = self._consumers.get(handle, [])
        writers = [node for node in users if node.op == "AssignVariableOp"]
        if handle not in self.nodes or self.aliases[resource(self.nodes[handle])] != 1:
            return None
        reading = ops.of_kind("variable read", "variable query")
        if len(writers) != 1 or any(node.op not in reading for node in users if node not in writers):
            return None
        return replace(self, arguments={**self.arguments, **self.at_start}).value(writers[0].input[1], depth)


def _stays(value: Value) -> bool:
    """Say whether what is put behind a file's name leads nowhere else."""
    return isinstance(value, tuple) and all(
        isinstance(item, bytes) and b".." not in item.replace(b"\\", b"/").split(b"/") for item in value
    )


@dataclass(frozen=True)
class Inputs:
    """What is known of the inputs of a node."""

    body: Body
    inputs: Sequence[str]

    def known(self, number: int) -> Value:
        """Return what is known of an input."""
        return self.body.value(self.inputs[number]) if number < len(self.inputs) else None

    def __call__(self, number: int) -> Sequence[bytes | float] | None:
        """Return the elements of an input that is constant."""
        value = self.known(number)
        return value if isinstance(value, tuple) else None


def elements(tensor: protos.Message) -> tuple[bytes | float, ...] | None:
    """Return the elements of a small constant, None where it is none of text or whole numbers."""
    dtype = protos.dtype_name(tensor.dtype)
    if dtype == "string":
        # TensorFlow reads strings from the packed content, too, which no writer of files makes.
        return None if tensor.tensor_content or len(tensor.string_val) > _MOST_ELEMENTS else tuple(tensor.string_val)
    if dtype not in {"int32", "int64"}:
        return None
    if tensor.tensor_content:
        content = tensor.tensor_content
        aligned = len(content) % np.dtype(dtype).itemsize == 0
        return tuple(np.frombuffer(content, dtype)[:_MOST_ELEMENTS].tolist()) if aligned else None
    return tuple(tensor.int_val if dtype == "int32" else tensor.int64_val)[:_MOST_ELEMENTS] or (0,)

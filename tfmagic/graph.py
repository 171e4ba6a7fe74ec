"""Walk a GraphDef and its function library: nodes, their columns, edges, what calls what, where it begins and ends.

A graph is taken as it lies in a file, serialised: :mod:`tfmagic.wire` finds the nodes of a million-node graph in the
time that parsing every attribute of them would take ten times over. Not for: shapes of live graphs, running anything.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import frames, protos, span_contents, wire
from tfmagic.node_attributes import Objects, first_outputs, wire_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from tfmagic.frames import Shape
    from tfmagic.wire import Buffer, Fields, Integers

#: Nodes scanned at a time: bounds the memory of the arrays in between.
_BLOCK = 1 << 14
# Field numbers of tensorflow/core/framework/{graph,function,node_def,attr_value,tensor}.proto.
_GRAPH_NODE, _GRAPH_LIBRARY, _GRAPH_VERSIONS = 1, 2, 4
_LIBRARY_FUNCTION = 1
_FUNCTION_SIGNATURE, _FUNCTION_NODE, _FUNCTION_RET = 1, 3, 4
_NODE_NAME, _NODE_OP, _NODE_INPUT, _NODE_DEVICE, _NODE_ATTR = 1, 2, 3, 4, 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_LIST, _VALUE_FUNC = 1, 10
_LIST_FUNC = 9
_CARET = ord("^")

Span = tuple[int, int]


@dataclass(frozen=True)
class SerializedGraph:
    """A GraphDef as it lies in a buffer.

    Attributes
    ----------
    buffer : Buffer
        Holds the message, and perhaps others.
    pieces : tuple of (start, end)
        Where the GraphDef lies; more than one if its field appeared twice, which protobuf merges.
    """

    buffer: Buffer
    pieces: tuple[Span, ...]

    @classmethod
    def of(cls, data: bytes) -> SerializedGraph:
        """Take a serialised GraphDef."""
        return cls(wire.Buffer(data), ((0, len(data)),))

    @cached_property
    def _contents(self) -> list[tuple[Integers, Integers]]:
        """Places of the nodes of the main graph, of the function libraries and of the versions."""
        return self._spans(self.pieces, _GRAPH_NODE, _GRAPH_LIBRARY, _GRAPH_VERSIONS)

    @property
    def nodes(self) -> tuple[Integers, Integers]:
        """Starts and ends of the NodeDefs of the main graph."""
        return self._contents[0]

    @cached_property
    def producer(self) -> int:
        """The version of the graph's dialect, 0 where it is not recorded."""
        versions = [wire_message(self.buffer, "VersionDef", start, end) for start, end in _pairs(*self._contents[2])]
        return next((each.producer for each in reversed(versions) if each.producer), 0)

    @cached_property
    def functions(self) -> tuple[Integers, Integers]:
        """Starts and ends of the FunctionDefs."""
        return self._spans(_pairs(*self._contents[1]), _LIBRARY_FUNCTION)[0]

    def _spans(self, pieces: Iterable[Span], *numbers: int) -> list[tuple[Integers, Integers]]:
        """Join the places of some fields over all pieces."""
        empty = np.zeros(0, np.int64)
        found = [[(empty, empty)] * len(numbers)]
        found += [wire.spans(self.buffer, start, end, *numbers) for start, end in pieces]
        return [
            (np.concatenate([starts for starts, _ in places]), np.concatenate([ends for _, ends in places]))
            for places in zip(*found, strict=True)
        ]

    @cached_property
    def _function_fields(self) -> Fields:
        return wire.scan(self.buffer, *self.functions)

    @cached_property
    def function_signatures(self) -> list[protos.Message]:
        """The OpDef of each FunctionDef: its name, arguments and results."""
        starts, ends = self._function_fields.select(_FUNCTION_SIGNATURE).last(len(self.functions[0]))
        return [wire_message(self.buffer, "OpDef", start, end) for start, end in _pairs(starts, ends)]

    @property
    def function_nodes(self) -> Fields:
        """The NodeDefs of all functions, their owner the index of the function."""
        return self._function_fields.select(_FUNCTION_NODE)

    def function_results(self, index: int) -> dict[str, str]:
        """Return the tensor behind each result of a FunctionDef, by the result's name."""
        entries = self._function_fields.select(_FUNCTION_RET)
        entries = entries.take(entries.owner == index)
        found = {}
        for start, end in _pairs(entries.start, entries.end):
            inner = {number: (begin, stop) for number, _, begin, stop in wire.fields(self.buffer, start, end)}
            key, value = (inner.get(number, (start, start)) for number in (_ENTRY_KEY, _ENTRY_VALUE))
            found[self.buffer.text(*key)] = self.buffer.text(*value)
        return found

    def node_def(self, row: int) -> protos.Message:
        """Parse one node, counted as the rows of the table of ops: the main graph first, then function by function."""
        main, inner = self.nodes, self.function_nodes
        place = row - len(main[0])
        start, end = (main[0][row], main[1][row]) if place < 0 else (inner.start[place], inner.end[place])
        return wire_message(self.buffer, "NodeDef", int(start), int(end))

    def graph_def(self) -> protos.Message:
        """Parse the whole GraphDef."""
        data = b"".join(bytes(self.buffer.data[start:end]) for start, end in self.pieces)
        try:
            return protos.parse("GraphDef", data)
        except protos.ParseError as error:
            raise wire.WireError(self.pieces[0][0], "a GraphDef does not parse") from error


class NodeColumns(NamedTuple):
    """The columns of the table of ops, one entry a node: those of the main graph first, then function by function."""

    function: pd.Categorical[str]
    name: Objects
    op: pd.Categorical[str]
    inputs: Objects
    control_inputs: Objects
    device: pd.Categorical[str]
    dtype: pd.Categorical[str]
    shape: Objects
    bytes: Integers


def node_columns(graph: SerializedGraph, shapes: Mapping[str, Shape]) -> NodeColumns:
    """Read the columns of all nodes.

    Parameters
    ----------
    graph : SerializedGraph
        What to read; its function library is included.
    shapes : mapping of str to shape
        Shapes known from elsewhere (SignatureDefs), by the name of a node of the main graph; they serve where the
        graph itself says nothing.

    Raises
    ------
    WireError
        Where the graph is not well-formed protobuf.
    """
    scanner = _NodeScanner(graph.buffer, graph.producer)
    inner = graph.function_nodes
    starts = np.concatenate([graph.nodes[0], inner.start])
    ends = np.concatenate([graph.nodes[1], inner.end])
    for first in range(0, len(starts), _BLOCK):
        scanner.add(starts[first : first + _BLOCK], ends[first : first + _BLOCK])
    names = ["", *(signature.name for signature in graph.function_signatures)]
    codes = np.concatenate([np.zeros(len(graph.nodes[0]), np.int64), inner.owner + 1])
    columns = scanner.columns(_categorical(codes, names))
    return columns._replace(shape=_with_known(columns, len(graph.nodes[0]), shapes))


def _with_known(columns: NodeColumns, main: int, known: Mapping[str, Shape]) -> Objects:
    """Fill in the shapes of the main graph's nodes that are known from elsewhere."""
    for index in [place for place, name in enumerate(columns.name[:main]) if name in known] if known else ():
        if columns.shape[index] is None:
            columns.shape[index] = known[columns.name[index]]
    return columns.shape


def _joined(blocks: Sequence[Objects]) -> Objects:
    """Join the blocks of a column."""
    return np.concatenate(blocks) if blocks else np.zeros(0, object)


def _categorical(codes: Integers, labels: Sequence[str]) -> pd.Categorical[str]:
    """Make a categorical of codes whose labels may repeat: two functions of one name are one category."""
    unique = list(dict.fromkeys(labels))
    place = {label: index for index, label in enumerate(unique)}
    translation = np.array([place[label] for label in labels], np.int64)
    return frames.categorical(translation[codes] if len(codes) else codes, unique)


def _pairs(starts: Integers, ends: Integers) -> Iterator[Span]:
    return zip(starts.tolist(), ends.tolist(), strict=True)


@dataclass
class _Labels:
    """Numbers given to labels in the order in which they appear."""

    numbers: dict[str, int] = field(default_factory=dict)
    codes: list[Integers] = field(default_factory=list)

    def add(self, labels: Sequence[str], codes: Integers) -> Integers:
        """Take over codes that count labels of one block; return them as counted over all blocks."""
        numbers = np.array([self.numbers.setdefault(label, len(self.numbers)) for label in labels], np.int64)
        translated = numbers[codes] if len(codes) else codes
        self.codes.append(translated.astype(np.int32))
        return translated

    def categorical(self) -> pd.Categorical[str]:
        codes = np.concatenate(self.codes) if self.codes else np.zeros(0, np.int32)
        return frames.categorical(codes, list(self.numbers))


@dataclass
class _NodeScanner:
    """Collects the columns of nodes, block by block."""

    buffer: Buffer
    producer: int
    names: list[Objects] = field(default_factory=list)
    inputs: list[Objects] = field(default_factory=list)
    controls: list[Objects] = field(default_factory=list)
    ops: _Labels = field(default_factory=_Labels)
    devices: _Labels = field(default_factory=_Labels)
    dtypes: _Labels = field(default_factory=_Labels)
    shapes: list[Objects] = field(default_factory=list)
    sizes: list[Integers] = field(default_factory=list)

    def add(self, starts: Integers, ends: Integers) -> None:
        """Read one block of nodes.

        Attributes come last in a node and are mostly those of others before it: such a tail is decoded once.
        """
        found, rests = wire.scan_until(self.buffer, starts, ends, _NODE_ATTR)
        tails, examples = span_contents.kinds(self.buffer, rests, ends)
        inner = wire.scan(self.buffer, rests[examples], ends[examples])
        if (inner.number < _NODE_ATTR).any():
            # Something comes after an attribute that nobody writes there: read everything.
            found = wire.scan(self.buffer, starts, ends)
            tails = examples = np.arange(len(starts))
            inner = found
        ops = self._add_head(found, len(starts))
        self._add_outputs(inner.select(_NODE_ATTR), ops, tails)

    def _add_head(self, found: Fields, count: int) -> Integers:
        """Add the columns before the attributes; return the ops."""
        self._add_names(found.select(_NODE_NAME).last(count), found.select(_NODE_INPUT), count)
        self._add_labels(self.devices, found.select(_NODE_DEVICE), count)
        return self._add_labels(self.ops, found.select(_NODE_OP), count)

    def _add_outputs(self, entries: Fields, ops: Integers, tails: Integers) -> None:
        """Add dtype, shape and size; what a tail means depends on the op before it."""
        names = list(self.ops.numbers)
        pairs, nodes, place = np.unique(tails * len(names) + ops, return_index=True, return_inverse=True)
        del pairs
        # The entries are those of one example of each tail; each op with that tail has them.
        outputs = first_outputs(self.buffer, _repeated(entries, tails[nodes]), names, ops[nodes], self.producer).of(
            place
        )
        self.dtypes.add(outputs.dtypes, outputs.dtype)
        self.shapes.append(outputs.shape)
        self.sizes.append(outputs.bytes)

    def columns(self, function: pd.Categorical[str]) -> NodeColumns:
        """Return all columns read so far."""
        return NodeColumns(
            function,
            _joined(self.names),
            self.ops.categorical(),
            _joined(self.inputs),
            _joined(self.controls),
            self.devices.categorical(),
            self.dtypes.categorical(),
            _joined(self.shapes),
            np.concatenate(self.sizes) if self.sizes else np.zeros(0, np.int64),
        )

    def _add_labels(self, labels: _Labels, found: Fields, count: int) -> Integers:
        """Add a column of text that repeats."""
        starts, ends = found.last(count)
        codes, examples = span_contents.distinct(self.buffer, starts, ends)
        return labels.add(span_contents.strings(self.buffer, starts[examples], ends[examples]), codes)

    def _add_names(self, names: tuple[Integers, Integers], inputs: Fields, count: int) -> None:
        """Add the names, the data inputs and the control inputs; the latter begin with a caret."""
        starts, ends = (np.concatenate([a, b]) for a, b in zip(names, (inputs.start, inputs.end), strict=True))
        # One string object for a name and the inputs that mention it, within a block: inputs are near their nodes.
        codes, examples = span_contents.distinct(self.buffer, starts, ends)
        texts = np.array(span_contents.strings(self.buffer, starts[examples], ends[examples]), dtype=object)[codes]
        self.names.append(texts[:count])
        mentioned = texts[count:]
        control = (inputs.end > inputs.start) & (self.buffer.octets[inputs.start] == _CARET)
        self.inputs.append(_tuples(mentioned[~control], inputs.owner[~control], count))
        self.controls.append(_tuples(mentioned[control], inputs.owner[control], count))


def _tuples(texts: Objects, owner: Integers, count: int) -> Objects:
    """Gather the texts of each owner into a tuple, all owners with as many texts at once."""
    tuples = np.full(count, None, dtype=object)
    arity = np.bincount(owner, minlength=count)
    offsets = np.cumsum(arity) - arity
    for number in np.unique(arity).tolist():
        owners = np.flatnonzero(arity == number)
        columns = [texts[offsets[owners] + place].tolist() for place in range(number)]
        values = zip(*columns, strict=True) if number else itertools.repeat((), len(owners))
        tuples[owners] = np.fromiter(values, dtype=object, count=len(owners))
    return tuples


def _repeated(entries: Fields, tails: Integers) -> Fields:
    """Return the entries of each of some tails, their owner the place of the tail among these."""
    counts = np.bincount(entries.owner, minlength=int(tails.max(initial=-1)) + 1)
    firsts = np.cumsum(counts) - counts
    repeats = counts[tails]
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    chosen = entries.take(np.repeat(firsts[tails], repeats) + within)
    return dataclasses.replace(chosen, owner=np.repeat(np.arange(len(tails)), repeats))


class FunctionUse(NamedTuple):
    """A FunctionDef of the library, seen from outside."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: int
    called_by: tuple[str, ...]


def functions(graph: SerializedGraph) -> list[FunctionUse]:
    """List the functions of the library: arguments, results, number of nodes, and who calls them.

    A caller is a function, or the node's name for a call from the main graph.
    """
    signatures = graph.function_signatures
    inner = graph.function_nodes
    counts = np.bincount(inner.owner, minlength=len(signatures)).tolist()
    callers = _callers(graph, [signature.name for signature in signatures])
    return [
        FunctionUse(
            signature.name,
            tuple(arg.name for arg in signature.input_arg),
            tuple(arg.name for arg in signature.output_arg),
            count,
            tuple(dict.fromkeys(callers.get(signature.name, ()))),
        )
        for signature, count in zip(signatures, counts, strict=True)
    ]


def _callers(graph: SerializedGraph, names: list[str]) -> dict[str, list[str]]:
    """Return, for each function, the functions and the nodes of the main graph that call it."""
    found: dict[str, list[str]] = {}
    if not names:
        return found
    inner = graph.function_nodes
    starts, ends = (np.concatenate([a, b]) for a, b in zip(graph.nodes, (inner.start, inner.end), strict=True))
    where = ["", *names]
    functions_of = np.concatenate([np.zeros(len(graph.nodes[0]), np.int64), inner.owner + 1])
    for first in range(0, len(starts), _BLOCK):
        block = slice(first, first + _BLOCK)
        for index, callee in sorted(_calls(graph.buffer, starts[block], ends[block], frozenset(names))):
            function = where[functions_of[first + index]]
            caller = function or _node_name(graph.buffer, int(starts[first + index]), int(ends[first + index]))
            found.setdefault(callee, []).append(caller)
    return found


def _node_name(buffer: Buffer, start: int, end: int) -> str:
    """Read the name of one node."""
    names = [(a, b) for number, _, a, b in wire.fields(buffer, start, end) if number == _NODE_NAME]
    return buffer.text(*names[-1]) if names else ""


def _calls(buffer: Buffer, starts: Integers, ends: Integers, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield the index of each node that calls a function, and the function.

    A function is called by an attribute that names it, or by being the op itself.
    """
    found = wire.scan(buffer, starts, ends)
    count = len(starts)
    op_starts, op_ends = found.select(_NODE_OP).last(count)
    codes, examples = span_contents.distinct(buffer, op_starts, op_ends)
    ops = span_contents.strings(buffer, op_starts[examples], op_ends[examples])
    for code in [place for place, op in enumerate(ops) if op in names]:
        yield from ((index, ops[code]) for index in np.flatnonzero(codes == code).tolist())
    entries = found.select(_NODE_ATTR)
    inner = wire.scan(buffer, entries.start, entries.end).select(_ENTRY_VALUE)
    values = wire.scan(buffer, inner.start, inner.end)
    nested = values.select(_VALUE_LIST)
    lists = wire.scan(buffer, nested.start, nested.end).select(_LIST_FUNC)
    owner = entries.owner[inner.owner]
    called = values.select(_VALUE_FUNC)
    for place, start, end in (
        *zip(owner[called.owner].tolist(), called.start.tolist(), called.end.tolist(), strict=True),
        *zip(owner[nested.owner[lists.owner]].tolist(), lists.start.tolist(), lists.end.tolist(), strict=True),
    ):
        yield place, wire_message(buffer, "NameAttrList", start, end).name

"""Walk a GraphDef and its function library: nodes, their columns, edges, what calls what, where it begins and ends.

A graph is taken as it lies in a file, serialised: :mod:`tfmagic.wire` finds the nodes of a million-node graph in the
time that parsing every attribute of them would take ten times over. Not for: shapes of live graphs, running anything.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic import frames, opdefs, protos, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from tfmagic.frames import Shape
    from tfmagic.wire import Buffer, Fields, Integers

#: Nodes scanned at a time: bounds the memory of the arrays in between.
_BLOCK = 1 << 14
# Field numbers of tensorflow/core/framework/{graph,function,node_def,attr_value,tensor}.proto.
_GRAPH_NODE, _GRAPH_LIBRARY = 1, 2
_LIBRARY_FUNCTION = 1
_FUNCTION_SIGNATURE, _FUNCTION_NODE = 1, 3
_NODE_NAME, _NODE_OP, _NODE_INPUT, _NODE_DEVICE, _NODE_ATTR = 1, 2, 3, 4, 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_LIST, _VALUE_TENSOR, _VALUE_FUNC = 1, 8, 10
_LIST_FUNC = 9
_TENSOR_SHAPE, _TENSOR_FIRST_CONTENT = 2, 4
_CARET = ord("^")

Span = tuple[int, int]
#: An array of Python objects: tuples of names, shapes.
Objects: TypeAlias = "npt.NDArray[np.object_]"


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
        """Places of the nodes of the main graph, and of the function libraries."""
        return self._spans(self.pieces, _GRAPH_NODE, _GRAPH_LIBRARY)

    @property
    def nodes(self) -> tuple[Integers, Integers]:
        """Starts and ends of the NodeDefs of the main graph."""
        return self._contents[0]

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
        return [_parse(self.buffer, "OpDef", start, end) for start, end in _pairs(starts, ends)]

    @property
    def function_nodes(self) -> Fields:
        """The NodeDefs of all functions, their owner the index of the function."""
        return self._function_fields.select(_FUNCTION_NODE)

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
    name: list[str]
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
    scanner = _NodeScanner(graph.buffer)
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


def _parse(buffer: Buffer, name: str, start: int, end: int) -> protos.Message:
    """Parse a small message in place."""
    try:
        return protos.parse(name, buffer.data[start:end])
    except protos.ParseError as error:
        raise wire.WireError(start, f"a {name} does not parse") from error


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
class _Attributes:
    """The attributes of a block's nodes: whose they are, their keys, and where their values lie."""

    owner: Integers
    key: Integers
    labels: list[str]
    start: Integers
    end: Integers

    def of(self, key: str, among: wire.Mask | None = None) -> Integers:
        """Return the indices of the attributes with this key, of the chosen nodes only."""
        if key not in self.labels:
            return np.zeros(0, np.int64)
        chosen = self.key == self.labels.index(key)
        return np.flatnonzero(chosen if among is None else chosen & among[self.owner])


@dataclass
class _NodeScanner:
    """Collects the columns of nodes, block by block."""

    buffer: Buffer
    names: list[str] = field(default_factory=list)
    inputs: list[Objects] = field(default_factory=list)
    controls: list[Objects] = field(default_factory=list)
    ops: _Labels = field(default_factory=_Labels)
    devices: _Labels = field(default_factory=_Labels)
    dtypes: _Labels = field(default_factory=_Labels)
    shapes: list[Objects] = field(default_factory=list)
    sizes: list[Integers] = field(default_factory=list)
    # One string object for a name and the inputs that mention it, within a block: inputs are near their nodes.
    pool: dict[str, str] = field(default_factory=dict)

    def add(self, starts: Integers, ends: Integers) -> None:
        """Read one block of nodes."""
        count = len(starts)
        self.pool = {}
        found = wire.scan(self.buffer, starts, ends)
        self.names += self._intern(wire.strings(self.buffer, *found.select(_NODE_NAME).last(count)))
        self._add_inputs(found.select(_NODE_INPUT), count)
        self._add_labels(self.devices, found.select(_NODE_DEVICE), count)
        ops = self._add_labels(self.ops, found.select(_NODE_OP), count)
        attributes = self._attributes(found.select(_NODE_ATTR))
        self._add_dtypes(attributes, ops)
        self._add_shapes_and_sizes(attributes, ops)

    def columns(self, function: pd.Categorical[str]) -> NodeColumns:
        """Return all columns read so far."""
        return NodeColumns(
            function,
            self.names,
            self.ops.categorical(),
            _joined(self.inputs),
            _joined(self.controls),
            self.devices.categorical(),
            self.dtypes.categorical(),
            _joined(self.shapes),
            np.concatenate(self.sizes) if self.sizes else np.zeros(0, np.int64),
        )

    def _intern(self, texts: list[str]) -> list[str]:
        return list(map(self.pool.setdefault, texts, texts))

    def _add_labels(self, labels: _Labels, found: Fields, count: int) -> Integers:
        """Add a column of text that repeats."""
        starts, ends = found.last(count)
        codes, examples = wire.distinct(self.buffer, starts, ends)
        return labels.add(wire.strings(self.buffer, starts[examples], ends[examples]), codes)

    def _add_inputs(self, found: Fields, count: int) -> None:
        """Add data and control inputs; the latter begin with a caret."""
        control = (found.end > found.start) & (self.buffer.octets[found.start] == _CARET)
        self.inputs.append(self._tuples(found.take(~control), count))
        self.controls.append(self._tuples(found.take(control), count))

    def _tuples(self, found: Fields, count: int) -> Objects:
        """Gather the strings of each node into a tuple, all nodes with as many strings at once."""
        tuples = np.full(count, None, dtype=object)
        arity = np.bincount(found.owner, minlength=count)
        offsets = np.cumsum(arity) - arity
        texts = np.array(self._intern(wire.strings(self.buffer, found.start, found.end)), dtype=object)
        for number in np.unique(arity).tolist():
            nodes = np.flatnonzero(arity == number)
            columns = [texts[offsets[nodes] + place].tolist() for place in range(number)]
            values = zip(*columns, strict=True) if number else itertools.repeat((), len(nodes))
            tuples[nodes] = np.fromiter(values, dtype=object, count=len(nodes))
        return tuples

    def _attributes(self, entries: Fields) -> _Attributes:
        """Find key and value of each attribute: a map is wired as entries with the fields 1 and 2."""
        count = len(entries.owner)
        inner = wire.scan(self.buffer, entries.start, entries.end)
        key_starts, key_ends = inner.select(_ENTRY_KEY).last(count)
        codes, examples = wire.distinct(self.buffer, key_starts, key_ends)
        labels = wire.strings(self.buffer, key_starts[examples], key_ends[examples])
        return _Attributes(entries.owner, codes, labels, *inner.select(_ENTRY_VALUE).last(count))

    def _decoded(
        self, name: str, starts: Integers, ends: Integers, decode: Callable[[protos.Message], object]
    ) -> tuple[list[object], Integers]:
        """Decode messages, each different content once: the values, and which of them each message has."""
        codes, examples = wire.distinct(self.buffer, starts, ends)
        places = _pairs(starts[examples], ends[examples])
        return [decode(_parse(self.buffer, name, start, end)) for start, end in places], codes

    def _add_dtypes(self, attributes: _Attributes, ops: Integers) -> None:
        """Add the dtype of each node's first output, from the attribute that its op's definition names."""
        rules = [opdefs.output_dtype(op) for op in self.ops.numbers]
        ranks = np.array([[_rank(rule.attrs, key) for key in attributes.labels] for rule in rules], np.int64)
        chosen = np.full(len(ops), -1, np.int64)
        if len(attributes.owner):
            rank = ranks[ops[attributes.owner], attributes.key]
            useful = np.flatnonzero(rank >= 0)
            # The attribute of the best rank comes last, and the last assignment stays.
            useful = useful[np.argsort(-rank[useful], kind="stable")]
            chosen[attributes.owner[useful]] = useful
        have = np.flatnonzero(chosen >= 0)
        values, codes = self._decoded(
            "AttrValue", attributes.start[chosen[have]], attributes.end[chosen[have]], _first_dtype
        )
        labels = [rule.default for rule in rules] + [str(value) for value in values]
        place = ops.copy()
        place[have] = codes + len(rules)
        self.dtypes.add(labels, place)

    def _add_shapes_and_sizes(self, attributes: _Attributes, ops: Integers) -> None:
        """Add the shape of each node's first output, and the bytes of the tensor that a Const holds."""
        shapes = np.full(len(ops), None, dtype=object)
        sizes = np.zeros(len(ops), np.int64)
        shaped = attributes.of("shape", self._is_any(ops, opdefs.SHAPED_OPS))
        self._fill(shapes, "AttrValue", attributes, shaped, lambda value: protos.shape_of(value.shape))
        self._read_tensors(attributes, attributes.of("value", self._is_any(ops, {"Const"})), shapes, sizes)
        recorded = attributes.of("_output_shapes")
        self._fill(shapes, "AttrValue", attributes, recorded, _first_shape)
        self.shapes.append(shapes)
        self.sizes.append(sizes)

    def _is_any(self, ops: Integers, names: Iterable[str]) -> wire.Mask:
        """Say of each node whether its op is one of these."""
        wanted = np.zeros(len(self.ops.numbers), bool)
        wanted[[self.ops.numbers[name] for name in names if name in self.ops.numbers]] = True
        return wanted[ops]

    def _fill(
        self,
        shapes: Objects,
        name: str,
        places: _Attributes | Fields,
        chosen: Integers,
        decode: Callable[[protos.Message], object],
    ) -> None:
        """Put the shapes that some messages say into the column."""
        values, codes = self._decoded(name, places.start[chosen], places.end[chosen], decode)
        table = np.empty(len(values), dtype=object)
        table[:] = values
        if len(chosen):
            shapes[places.owner[chosen]] = table[codes]

    def _read_tensors(
        self,
        attributes: _Attributes,
        chosen: Integers,
        shapes: Objects,
        sizes: Integers,
    ) -> None:
        """Read the shapes and the content sizes of Const nodes."""
        owner = attributes.owner[chosen]
        values = wire.scan(self.buffer, attributes.start[chosen], attributes.end[chosen])
        starts, ends = values.select(_VALUE_TENSOR).last(len(chosen))
        inner = wire.scan(self.buffer, starts, ends)
        shape_starts, shape_ends = inner.select(_TENSOR_SHAPE).last(len(chosen))
        places = _Attributes(owner, owner, [], shape_starts, shape_ends)
        self._fill(shapes, "TensorShapeProto", places, np.arange(len(chosen)), protos.shape_of)
        content = inner.take(inner.number >= _TENSOR_FIRST_CONTENT)
        lengths = np.bincount(content.owner, content.end - content.start, minlength=len(chosen))
        sizes[owner] = lengths.astype(np.int64)


def _rank(attrs: tuple[str, ...], key: str) -> int:
    """Return the place of a key among the attributes that name a dtype, -1 if it is not one of them."""
    return attrs.index(key) if key in attrs else -1


def _first_dtype(value: protos.Message) -> str:
    """Read the dtype that an attribute names, the first of a list."""
    number = value.type or next(iter(value.list.type), 0)
    return protos.dtype_name(number) if number else ""


def _first_shape(value: protos.Message) -> Shape:
    """Read the first shape of a list of output shapes."""
    return protos.shape_of(value.list.shape[0]) if value.list.shape else None


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
        for index, callee in _calls(graph.buffer, starts[block], ends[block], frozenset(names)):
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
    codes, examples = wire.distinct(buffer, op_starts, op_ends)
    ops = wire.strings(buffer, op_starts[examples], op_ends[examples])
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
        yield place, _parse(buffer, "NameAttrList", start, end).name

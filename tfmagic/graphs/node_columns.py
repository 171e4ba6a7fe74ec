"""The columns of the table of ops, read from all nodes of a serialised graph and its function library.

What repeats is decoded once: text that many nodes share, and the attributes of nodes that are alike. Not for: what the
attributes mean (:mod:`tfmagic.graphs.node_attributes`), or shapes of live graphs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic import frames
from tfmagic.files import wire, wire_spans
from tfmagic.graphs.node_attributes import Objects, first_outputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from tfmagic.files.wire import Buffer, Fields, Integers, Mask
    from tfmagic.frames import Shape
    from tfmagic.graphs.serialized import SerializedGraph

# Field numbers of tensorflow/core/framework/node_def.proto.
_NODE_NAME, _NODE_OP, _NODE_INPUT, _NODE_DEVICE, _NODE_ATTR = 1, 2, 3, 4, 5
_CARET = ord("^")
#: An array of one empty tuple, as an assignment would take a tuple for values.
_EMPTY = np.fromiter([()], dtype=object, count=1)


class NodeKinds(NamedTuple):
    """Which nodes have the same op and the same attributes: a number for each node, and by number a row with it.

    Nodes with very long attributes are of kinds of their own.
    """

    of_nodes: Integers
    examples: list[int]


class NodeTexts(NamedTuple):
    """Texts of nodes, node by node, and how many each node has."""

    texts: Objects
    counts: Integers

    def tuples(self) -> Objects:
        """Gather the texts of each node into a tuple, all nodes with as many texts at once."""
        texts, counts = self
        tuples = np.full(len(counts), _EMPTY, dtype=object)
        offsets = np.cumsum(counts) - counts
        for number in np.unique(counts[counts > 0]).tolist():
            owners = np.flatnonzero(counts == number)
            if number > len(owners):
                for index in owners.tolist():
                    tuples[index] = tuple(texts[offsets[index] : offsets[index] + number].tolist())
                continue
            columns = [texts[offsets[owners] + place].tolist() for place in range(number)]
            tuples[owners] = np.fromiter(zip(*columns, strict=True), dtype=object, count=len(owners))
        return tuples


@dataclass(frozen=True)
class RepeatedTexts:
    """A text for each node where many have the same: its number among the labels, none of which is there twice.

    What pandas calls a categorical, for who needs no table: pandas takes longer to import than most graphs to read.
    """

    codes: Integers
    labels: Sequence[str]

    @classmethod
    def of(cls, codes: npt.NDArray[np.signedinteger[Any]], labels: Sequence[str]) -> RepeatedTexts:
        """Keep the codes as small as their labels let them be: a million nodes have a few hundred ops."""
        return cls(codes.astype(np.min_scalar_type(-max(len(labels), 1))), labels)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        return map(self.labels.__getitem__, self.codes.tolist())

    def __getitem__(self, node: int) -> str:
        return self.labels[int(self.codes[node])]

    def take(self, nodes: Any) -> RepeatedTexts:  # noqa: ANN401 - whatever picks out of an array
        """Return those of some nodes."""
        return RepeatedTexts(self.codes[nodes], self.labels)

    def among(self, wanted: Collection[str]) -> Mask:
        """Say of each node whether its text is one of those."""
        return np.array([label in wanted for label in self.labels] or [False], bool)[self.codes]

    def categorical(self) -> pd.Categorical[str]:
        """Return them as a column of a table."""
        return frames.categorical(self.codes, self.labels)


@dataclass(frozen=True)
class NodeColumns:
    """The columns of the table of ops, one entry a node: those of the main graph first, then function by function."""

    function: RepeatedTexts
    name: Objects
    op: RepeatedTexts
    data_inputs: NodeTexts
    waited_for: NodeTexts
    device: RepeatedTexts
    dtype: RepeatedTexts
    shape: Objects
    bytes: Integers

    @cached_property
    def inputs(self) -> Objects:
        """What each node consumes, as a tuple; a million tuples are made for whoever shows them."""
        return self.data_inputs.tuples()

    @cached_property
    def control_inputs(self) -> Objects:
        """What each node waits for, as a tuple of names with their carets."""
        return self.waited_for.tuples()

    def table(self) -> dict[str, Any]:
        """Return the columns by name, as the table of ops has them."""
        columns = {name: getattr(self, name) for name in frames.OpRow._fields}
        return {
            name: column.categorical() if isinstance(column, RepeatedTexts) else column
            for name, column in columns.items()
        }


def read(graph: SerializedGraph, shapes: Mapping[str, Shape]) -> NodeColumns:
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
    columns = _read(graph)[0]
    return replace(columns, shape=_with_known(columns, len(graph.nodes[0]), shapes)) if shapes else columns


def kinds(graph: SerializedGraph) -> NodeKinds:
    """Tell apart all nodes by op and attributes; raises what :func:`read` does."""
    if "kinds" not in graph.kept:
        graph.kept["kinds"] = _read(graph)[1].kinds(graph.buffer)
    known: NodeKinds = graph.kept["kinds"]
    return known


def _read(graph: SerializedGraph) -> tuple[NodeColumns, _Alike]:
    if "columns" not in graph.kept:
        scanner = _NodeScanner(graph.buffer, graph.producer)
        for _, starts, ends in graph.node_blocks():
            scanner.add(starts, ends)
        names = ["", *graph.function_names]
        columns = scanner.columns(_repeating(graph.functions_of_nodes, names))
        graph.kept["columns"] = columns, scanner.alike
    both: tuple[NodeColumns, _Alike] = graph.kept["columns"]
    return both


def _with_known(columns: NodeColumns, main: int, known: Mapping[str, Shape]) -> Objects:
    """Fill in the shapes of the main graph's nodes that are known from elsewhere."""
    shapes = columns.shape.copy()
    for index in [place for place, name in enumerate(columns.name[:main]) if name in known]:
        if shapes[index] is None:
            shapes[index] = known[columns.name[index]]
    return shapes


def _joined(blocks: Sequence[Objects]) -> Objects:
    """Join the blocks of a column."""
    return np.concatenate(blocks) if blocks else np.zeros(0, object)


def _joined_texts(blocks: Sequence[NodeTexts]) -> NodeTexts:
    return NodeTexts(_joined([each.texts for each in blocks]), _joined_integers([each.counts for each in blocks]))


def _joined_integers(blocks: Sequence[Integers]) -> Integers:
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)


def _repeating(codes: Integers, labels: Sequence[str]) -> RepeatedTexts:
    """Take codes whose labels may repeat: two functions of one name are one label."""
    unique = list(dict.fromkeys(labels))
    place = {label: index for index, label in enumerate(unique)}
    translation = np.array([place[label] for label in labels], np.int64)
    return RepeatedTexts.of(translation[codes] if len(codes) else codes, unique)


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

    def column(self) -> RepeatedTexts:
        codes = np.concatenate(self.codes) if self.codes else np.zeros(0, np.int32)
        return RepeatedTexts.of(codes, list(self.numbers))


@dataclass
class _Alike:
    """Of each block, examples of nodes that are alike in op and attributes, and which of them each node is like.

    Those of several blocks are compared when somebody asks: the table of ops does not.
    """

    #: Op, start and end of the attributes, and row of each example; then the example of each node.
    blocks: list[tuple[Integers, Integers, Integers, Integers, Integers]] = field(default_factory=list)
    rows: int = 0

    def add(self, ops: Integers, spans: tuple[Integers, Integers], nodes: Integers, place: Integers) -> None:
        """Add those of the next block."""
        self.blocks.append((ops, *spans, nodes + self.rows, place))
        self.rows += len(place)

    def kinds(self, buffer: Buffer) -> NodeKinds:
        """Return the kinds, numbered in the order in which they appear."""
        examples: list[int] = []
        by_content: dict[tuple[int, bytes], int] = {}
        of_nodes = []
        for *columns, place in self.blocks:
            numbers = []
            for op, start, end, row in zip(*(column.tolist() for column in columns), strict=True):
                number = len(examples)
                if end - start <= wire_spans.LONG:
                    number = by_content.setdefault((op, bytes(buffer.view[start:end])), number)
                if number == len(examples):
                    examples.append(row)
                numbers.append(number)
            of_nodes.append(np.array(numbers, np.int64)[place])
        return NodeKinds(_joined_integers(of_nodes), examples)


@dataclass
class _NodeScanner:
    """Collects the columns of nodes, block by block."""

    buffer: Buffer
    producer: int
    names: list[Objects] = field(default_factory=list)
    inputs: list[NodeTexts] = field(default_factory=list)
    controls: list[NodeTexts] = field(default_factory=list)
    ops: _Labels = field(default_factory=_Labels)
    devices: _Labels = field(default_factory=_Labels)
    dtypes: _Labels = field(default_factory=_Labels)
    shapes: list[Objects] = field(default_factory=list)
    sizes: list[Integers] = field(default_factory=list)
    alike: _Alike = field(default_factory=_Alike)

    def add(self, starts: Integers, ends: Integers) -> None:
        """Read one block of nodes.

        Attributes come last in a node and are mostly those of others before it: such a tail is decoded once.
        """
        fields, rests = wire.scan_until(self.buffer, starts, ends, _NODE_ATTR)
        tails, examples = wire_spans.kinds(self.buffer, rests, ends)
        inner = wire.scan(self.buffer, rests[examples], ends[examples])
        if (inner.number < _NODE_ATTR).any():
            # Something comes after an attribute that nobody writes there: read everything.
            fields = wire.scan(self.buffer, starts, ends)
            tails = examples = np.arange(len(starts))
            inner = fields
        ops = self._add_head(fields, len(starts))
        spans = rests[examples], ends[examples]
        self._add_outputs(inner.select(_NODE_ATTR), ops, tails, spans)

    def _add_head(self, fields: Fields, count: int) -> Integers:
        """Add the columns before the attributes; return the ops."""
        self._add_names(fields.select(_NODE_NAME).last(count), fields.select(_NODE_INPUT), count)
        self._add_labels(self.devices, fields.select(_NODE_DEVICE), count)
        return self._add_labels(self.ops, fields.select(_NODE_OP), count)

    def _add_outputs(self, entries: Fields, ops: Integers, tails: Integers, spans: tuple[Integers, Integers]) -> None:
        """Add dtype, shape, size and kind; what a tail, which lies in one of the spans, means depends on the op."""
        names = list(self.ops.numbers)
        pairs, nodes, place = np.unique(tails * len(names) + ops, return_index=True, return_inverse=True)
        del pairs
        self.alike.add(ops[nodes], (spans[0][tails[nodes]], spans[1][tails[nodes]]), nodes, place)
        # The entries are those of one example of each tail; each op with that tail has them.
        outputs = first_outputs(self.buffer, _repeated(entries, tails[nodes]), names, ops[nodes], self.producer).of(
            place
        )
        self.dtypes.add(outputs.dtypes, outputs.dtype)
        self.shapes.append(outputs.shape)
        self.sizes.append(outputs.bytes)

    def columns(self, function: RepeatedTexts) -> NodeColumns:
        """Return all columns read so far."""
        return NodeColumns(
            function,
            _joined(self.names),
            self.ops.column(),
            _joined_texts(self.inputs),
            _joined_texts(self.controls),
            self.devices.column(),
            self.dtypes.column(),
            _joined(self.shapes),
            _joined_integers(self.sizes),
        )

    def _add_labels(self, labels: _Labels, fields: Fields, count: int) -> Integers:
        """Add a column of text that repeats."""
        starts, ends = fields.last(count)
        codes, examples = wire_spans.distinct(self.buffer, starts, ends)
        return labels.add(wire_spans.strings(self.buffer, starts[examples], ends[examples]), codes)

    def _add_names(self, names: tuple[Integers, Integers], inputs: Fields, count: int) -> None:
        """Add the names, the data inputs and the control inputs; the latter begin with a caret."""
        starts, ends = (np.concatenate([a, b]) for a, b in zip(names, (inputs.start, inputs.end), strict=True))
        # One string object for a name and the inputs that mention it, within a block: inputs are near their nodes.
        codes, examples = wire_spans.distinct(self.buffer, starts, ends)
        texts = np.array(wire_spans.strings(self.buffer, starts[examples], ends[examples]), dtype=object)[codes]
        self.names.append(texts[:count])
        mentioned = texts[count:]
        control = (inputs.end > inputs.start) & (self.buffer.octets[inputs.start] == _CARET)
        for blocks, chosen in ((self.inputs, ~control), (self.controls, control)):
            blocks.append(NodeTexts(mentioned[chosen], np.bincount(inputs.owner[chosen], minlength=count)))


def _repeated(entries: Fields, tails: Integers) -> Fields:
    """Return the entries of each of some tails, their owner the place of the tail among these."""
    counts = np.bincount(entries.owner, minlength=int(tails.max(initial=-1)) + 1)
    firsts = np.cumsum(counts) - counts
    repeats = counts[tails]
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    chosen = entries.take(np.repeat(firsts[tails], repeats) + within)
    return replace(chosen, owner=np.repeat(np.arange(len(tails)), repeats))

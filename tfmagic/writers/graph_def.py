"""The formats ``graph_def`` (``.pb``) and ``graph_text`` (``.pbtxt``): one frozen graph in one file.

Not for: freezing (:mod:`tfmagic.transforms.freeze`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import numpy as np

from tfmagic import errors, functions, progress
from tfmagic.files import early_writing, protos, reading, wire
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.graphs.signature_keys import name_notes
from tfmagic.graphs.tensor_names import FreeNames, node_of, plain
from tfmagic.models.model import Part
from tfmagic.models.writer import ENDS, Size, Variables, Writer
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.grappler import PASSES
from tfmagic.transforms.end_names import node_names
from tfmagic.transforms.freeze import freeze
from tfmagic.transforms.frozen_graph import content_start, serialised
from tfmagic.transforms.optimize import optimize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfmagic.functions import NamedFunction
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions
    from tfmagic.transforms.frozen_graph import Chunk, FrozenGraph

#: Text is at most so much larger: a byte of content takes up to four characters, a small field its name besides.
_TEXT_GROWTH = 6
#: The field of a GraphDef that holds its nodes.
_GRAPH_NODE = 1
#: From so many bytes on a constant stands beside the graph that is run to check it; and constants that a message names.
_LARGE, _MOST_NAMED = 256 << 10, 5
#: Bytes that are compared at a time.
_COMPARED = 16 << 20
_LOST = "the signature's key and method: a graph file has no place for them"
FREEZING = "from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2"


@dataclass(frozen=True)
class GraphDefDraft:
    """A frozen graph on its way to a binary file."""

    frozen: FrozenGraph

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self.frozen.size

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the graph."""
        return (*self.frozen.notes, *self.frozen.name_notes)

    def write(self, path: Path) -> None:
        """Write the graph, one tensor at a time."""
        with early_writing.opened(path) as file, self.frozen.reading():
            for chunk in self.frozen.chunks():
                progress.check()
                file.write(chunk)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the file back and wrap it as a function; raises ConversionError if it is another."""
        with reading.opened(path) as file:
            return read_back(self.frozen, file, key)


@dataclass(frozen=True)
class GraphTextDraft(GraphDefDraft):
    """A frozen graph on its way to a text file."""

    @property
    def size(self) -> int:
        """At most this many bytes."""
        return self.frozen.size * _TEXT_GROWTH

    def write(self, path: Path) -> None:
        """Write the graph as text; the whole of it is in memory meanwhile."""
        path.write_text(protos.to_text(self.frozen.filled()), "utf-8")

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the file back and wrap it as a function; raises ConversionError if it holds other constants."""
        graph_def = protos.parse_text("GraphDef", path.read_text("utf-8"))
        return read_back(self.frozen, io.BytesIO(serialised(graph_def)), key, text=True)


def wrapped(
    frozen: FrozenGraph, graph_def: protos.Message, key: str, held: Mapping[str, runtime.Live] | None = None
) -> NamedFunction:
    """Make a frozen graph that was read back a function under the keys of its signature."""
    inputs, outputs = ({end.key: end.tensor for end in ends} for ends in (frozen.inputs, frozen.outputs))
    return functions.wrap_graph_def(
        graph_def, inputs, outputs, values=frozen.kept, held=held, key=key, method=frozen.method
    )


def _is_same(content: Chunk, expected: Chunk) -> bool:
    """Say whether some bytes are others, without a third of their size in memory."""
    read, meant = (np.frombuffer(each, np.uint8) for each in (content, expected))
    pieces = (slice(start, start + _COMPARED) for start in range(0, len(read), _COMPARED))
    return len(read) == len(meant) and all(np.array_equal(read[piece], meant[piece]) for piece in pieces)


def _parted(data: bytes, known: protos.Message | None, start: int) -> tuple[protos.Message, Chunk]:
    """Part a node from the content that its tensor has, of a large one that is known without a copy of that."""
    if known is not None and len(data) >= _LARGE and start == content_start(memoryview(data)):
        return known, memoryview(data)[start:]
    node = protos.parse("NodeDef", data)
    is_constant = node.op == "Const" and "value" in node.attr
    return node, node.attr["value"].tensor.tensor_content if is_constant else b""


def read_back(frozen: FrozenGraph, file: BinaryIO, key: str, *, text: bool = False) -> NamedFunction:
    """Make a function of a graph that was read back, its large constants beside it, and look at each byte of it.

    A run alone would not tell a weight that is off by its last bits, nor what stands at a placeholder.

    Parameters
    ----------
    frozen : FrozenGraph
        What was written.
    file : file object
        The graph as it was written, of which one node is in memory at a time.
    key : str
        The signature's key.
    text : bool
        Whether it was text, where there is more than one way to write the same.

    Raises
    ------
    ConversionError
        If a node is not there, or is anything else than it should be.
    """
    graph_def, others = protos.message("GraphDef")(), b""
    left, wrong, held = dict(frozen.values), [], {}
    ends = {node_of(end.tensor) for end in (*frozen.inputs, *frozen.outputs)}
    pieces = iter(frozen.pieces())
    meant = zip(frozen.graph_def.node, pieces, strict=False)
    with runtime.eager():
        for number, tag, data in wire.read_fields(file):
            beginning = tag + wire.written(len(data))
            if number != _GRAPH_NODE:
                others += beginning + data
                continue
            known, (head, expected) = next(meant, (None, (b"", None)))
            start = len(head) - len(beginning)
            is_meant = beginning + data[:start] == head
            node, content = _parted(data, known if is_meant and expected is not None else None, start)
            # Each of these, and what is read of them, holds the content once more.
            del data
            name = node.name
            value = left.pop(name, None)
            is_meant = (is_meant or text) and (value is None or node.op == "Const")
            if not is_meant or (value is not None and not _is_same(content, value.read())):
                wrong.append(name)
            elif value is not None and value.size >= _LARGE and name not in ends:
                node.attr["value"].tensor.ClearField("tensor_content")
                dtype = runtime.tensorflow().as_dtype(value.dtype).as_numpy_dtype
                held[name] = runtime.tensorflow().constant(np.frombuffer(content, dtype).reshape(value.shape))
            graph_def.node.add().CopyFrom(node)
            del content, node
    if others != next(pieces, (b"", None))[0] and not text:
        wrong.append("library")
    if wrong or left:
        raise errors.ConversionError(
            f"{errors.listed([*wrong, *left][:_MOST_NAMED])} of the graph were not written as they are, so nothing "
            "was left; look at the disk, and whether something else changes the model meanwhile"
        )
    graph_def.MergeFromString(others)
    return wrapped(frozen, graph_def, key, held)


def _traced_notes(inputs: Iterable[str], outputs: Iterable[str]) -> tuple[str, ...]:
    """Say by which nodes a graph that is made has keys."""
    keys = [*inputs, *outputs]
    return name_notes("a graph", zip(keys, node_names(keys), strict=True))


def _edited_notes(source: Model, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, ...]:
    """Say by which of its nodes a graph that is edited has keys; an output gets one where none bears its key."""
    ends = list(zip(outputs.items(), node_names(outputs), strict=True))
    wanted = tuple(name for (key, tensor), name in ends if plain(tensor) not in (name, plain(key)))
    frame = source.table("ops", all=True) if wanted else None
    nodes: Iterable[str] = () if frame is None else frame["name"][frame["function"] == ""]
    free = FreeNames(name for name in nodes if name.startswith(wanted))
    names = [plain(tensor) for tensor in inputs.values()]
    names += [free.of_node(name) if name in wanted else plain(tensor) for (_, tensor), name in ends]
    return name_notes("a graph", zip([*inputs, *outputs], names, strict=True))


class GraphDefWriter(Writer):
    """Writes a frozen graph in binary form."""

    format: ClassVar[str] = "graph_def"
    suffixes: ClassVar[tuple[str, ...]] = (".pb",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    label: ClassVar[str] = "frozen graph (.pb)"
    options: ClassVar[frozenset[str]] = ENDS | {"optimize"}
    variables: ClassVar[Variables] = Variables.CONSTANTS
    takes_unsigned: ClassVar[bool] = True
    loses_of_signature: ClassVar[str] = _LOST

    def key_notes(self, source: Model, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, ...]:
        """Say by which nodes the graph has keys: what is a graph keeps its own."""
        is_graph = source.state is not None and source.state() is not None
        return _edited_notes(source, inputs, outputs) if is_graph else _traced_notes(inputs, outputs)

    def prepare(self, source: Model, options: WriteOptions) -> GraphDefDraft:
        """Freeze the function.

        Raises
        ------
        ConversionError
            If it cannot be frozen, or more than one signature is asked for.
        """
        frozen = _frozen(source, options)
        return self.frozen_draft(optimize(frozen) if options.optimize else frozen)

    def frozen_draft(self, frozen: FrozenGraph) -> GraphDefDraft:
        """Take a graph that is frozen already."""
        return GraphDefDraft(frozen)

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that freezes and writes."""
        return frozen_code(source, place)


class GraphTextWriter(GraphDefWriter):
    """Writes a frozen graph in text form."""

    format: ClassVar[str] = "graph_text"
    suffixes: ClassVar[tuple[str, ...]] = (".pbtxt",)
    label: ClassVar[str] = "frozen graph as text (.pbtxt)"

    def frozen_draft(self, frozen: FrozenGraph) -> GraphTextDraft:
        """Take a graph that is frozen already; raises TooLargeError."""
        draft = GraphTextDraft(frozen)
        if draft.size > PROTOBUF_LIMIT:
            message = (
                f"as text the graph may take {draft.size / 2**30:.1f} GiB, which nothing reads; write '.pb' instead"
            )
            raise errors.TooLargeError(message)
        return draft

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size: at most six characters a byte."""
        binary = super().size(source, measures)
        return None if binary is None else Size(binary.bytes * _TEXT_GROWTH, at_most=True, rest=binary.rest)


def _frozen(source: Model, options: WriteOptions) -> FrozenGraph:
    """Freeze the one signature that a graph can hold."""
    if len(options.signatures) != 1:
        raise errors.ConversionError(
            f"a graph file holds one signature, and there are {errors.listed(options.signatures)}; "
            "name one with signature='…' (--signature in a magic or shell)"
        )
    return freeze(source.part(Part.FUNCTION)(options.signatures[0]))


def frozen_code(source: CodeSource, place: str | None) -> list[str]:
    """Return the code that freezes a function or a session, and writes the graph if there is a place for it."""
    if source.is_session:
        nodes = [name.partition(":")[0] for name in source.tensors("outputs").values()]
        lines = [
            "frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
            f"    session, session.graph.as_graph_def(), {nodes!r}",
            ")",
        ]
        tensors = [name for side in ("inputs", "outputs") for name in source.tensors(side).values()]
        return [*lines, *_finished(source, "frozen", repr(tensors), place)]
    keys = sorted(end.key for end in source.function.outputs)
    names = ", ".join(f"{key!r} is Identity{f'_{number}' if number else ''}" for number, key in enumerate(keys))
    lines = [
        FREEZING,
        "",
        "# Lookup tables are not in the result, and the keys of the signature are lost:",
        f"# {names}.",
        "frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)",
    ]
    ends = "[tensor.name for tensor in frozen.inputs + frozen.outputs]"
    return [*lines, *_finished(source, "frozen.graph", ends, place)]


def _finished(source: CodeSource, graph: str, ends: str, place: str | None) -> list[str]:
    """Return the code that optimises a graph, if that is asked for, and writes it, if there is a place for it."""
    if not source.options.get("optimize"):
        return _written(graph, place) if place else []
    graph_def = graph if source.is_session else f"{graph}.as_graph_def()"
    lines = [
        "",
        "# The optimizer is TensorFlow's own; no public call reaches it.",
        "from tensorflow.python.grappler import tf_optimizer",
        "",
        f"meta_graph = tf.compat.v1.MetaGraphDef(graph_def={graph_def})",
        f'meta_graph.collection_def["train_op"].node_list.value.extend({ends})',
        "config = tf.compat.v1.ConfigProto()",
        "config.graph_options.rewrite_options.min_graph_nodes = -1",
        f"config.graph_options.rewrite_options.optimizers.extend({list(PASSES)!r})",
        "optimised = tf_optimizer.OptimizeGraph(config, meta_graph)",
    ]
    return [*lines, *(_written("optimised", place) if place else [])]


def _written(graph: str, place: str) -> list[str]:
    path = Path(place)
    return [
        f"tf.io.write_graph({graph}, {str(path.parent)!r}, {path.name!r}, as_text={path.suffix == '.pbtxt'})",
    ]

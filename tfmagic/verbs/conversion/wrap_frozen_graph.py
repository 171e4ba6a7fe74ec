"""Wrap a large frozen graph as a SavedModel: the file's bytes between a header and its signatures, unread.

The graph stays what it is, byte for byte, so it is compared and not run. Not for: small graphs, which become functions
(:mod:`tfmagic.functions.graph_defs`), or graphs with variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from tfmagic import errors, progress
from tfmagic.files import early_writing, message_files, protos, reading, wire
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.functions import unsigned_graphs
from tfmagic.graphs import metagraphs, signatures, tensor_names
from tfmagic.graphs.resources import own_state, python_calls
from tfmagic.graphs.signatures import Endpoint
from tfmagic.graphs.tensors import GraphTensors
from tfmagic.models.model import Part
from tfmagic.readers import graph_def
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.frozen_graph import serialised
from tfmagic.verbs.conversion import options as conversion_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.models.model import Model
    from tfmagic.verbs.conversion.options import Ends, Wish

#: From this size on, loading a graph to save it again is what takes time and memory.
LARGE = 64 << 20
_FILE = "saved_model.pb"
_CHUNK = 8 << 20
# Tags of tensorflow/core/protobuf/{saved_model,meta_graph}.proto.
_VERSION_1, _META_GRAPH, _GRAPH = b"\x08\x01", b"\x12", b"\x12"


@dataclass(frozen=True)
class WrappedDraft:
    """A graph file on its way to a SavedModel.

    Attributes
    ----------
    source : Path
        The file with the GraphDef.
    header, trailer : bytes
        What comes before and after it.
    notes : tuple of str
        What a person should know.
    lean : Model
        The source with a graph whose large constants have no content: whoever tells of it needs none.
    """

    source: Path
    header: bytes
    trailer: bytes
    notes: tuple[str, ...]
    lean: Model

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.header) + self.source.stat().st_size + len(self.trailer)

    def write(self, path: Path) -> None:
        """Write the directory, a piece of the graph at a time."""
        path.mkdir()
        with reading.opened(self.source) as source, early_writing.opened(path / _FILE) as file:
            file.write(self.header)
            progress.copy(source, file)
            file.write(self.trailer)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield how many pieces of the graph differ between the file and the SavedModel, and what should differ."""
        end = (path / _FILE).stat().st_size - len(self.trailer)
        with reading.opened(self.source) as source, (path / _FILE).open("rb") as file:
            header = file.read(len(self.header))
            theirs = iter(lambda: file.read(min(_CHUNK, end - file.tell())), b"")
            ours = iter(lambda: source.read(_CHUNK), b"")
            differing = sum(one != other for one, other in zip_longest(ours, theirs))
            yield "graph", 0, differing + (header != self.header) + (file.read() != self.trailer)


def draft(model: Model, wish: Wish, tags: tuple[str, ...]) -> WrappedDraft | None:
    """Wrap a graph file, None if it is small, or not as it would have to be.

    Raises
    ------
    UnknownNameError
        If there is no tensor of a name.
    TooLargeError
        If the result would pass protobuf's 2 GiB.
    """
    if not _is_large_file(model) or wish.batch is not None:
        return None
    assert model.path is not None  # noqa: S101 - it is a file
    skeleton = skeleton_of(model.path)
    if own_state(skeleton) or python_calls(skeleton):
        return None
    signed = _signatures(model, wish, skeleton)
    return None if signed is None else _wrapped(model.path, signed, tags, _lean(model, skeleton))


def _lean(model: Model, skeleton: protos.Message) -> Model:
    """Return a model whose graph is this one."""
    graphs = (metagraphs.of_graph_def(wire.Buffer(serialised(skeleton))),)
    loaders = {**model.loaders, Part.GRAPH: lambda: graphs, Part.VARIABLES: lambda: graph_def.rows(graphs)}
    return replace(model, loaders=loaders)


def _is_large_file(model: Model) -> bool:
    path = model.path
    if model.reader.message != "GraphDef" or path is None or not path.is_file() or path.stat().st_size < LARGE:
        return False
    with reading.opened(path) as file:
        head = file.read(message_files.HEAD_BYTES)
    return head[:2] != reading.GZIP_MAGIC and message_files.message_in_text(head) is None


def _signatures(model: Model, wish: Wish, skeleton: protos.Message) -> dict[str, protos.Message] | None:
    """Return the SignatureDefs that are meant, None where one cannot be told from the graph."""
    graph = _imported(skeleton) if runtime.is_installed() else None
    meta_graph = metagraphs.of_graph_def(wire.Buffer(serialised(skeleton)))
    if wish.signatures is not None:
        asked = {
            key: (fields.get("inputs"), fields.get("outputs"), fields.get("method", wish.method))
            for key, fields in conversion_options.checked(wish).items()
        }
    else:
        asked = {wish.signature or _own_key(model): (wish.inputs, wish.outputs, wish.method)}
    signature_defs = {}
    for key, (inputs, outputs, method) in asked.items():
        sides = _ends(model, meta_graph, inputs, outputs)
        if not sides[1]:
            return None
        described = GraphTensors(meta_graph).info if graph is None else partial(_info, graph)
        taken, wanted = ([_endpoint(key, described(name)) for key, name in side.items()] for side in sides)
        uri = signatures.PREDICT if method is None else signatures.method_uri(method)
        signature_defs[key] = signatures.signature_def(taken, wanted, uri)
    return signature_defs


def _own(model: Model) -> Mapping[str, protos.Message]:
    """Return the signature of a graph that was frozen here."""
    if Part.SIGNATURES not in model.loaders:
        return {}
    own: Mapping[str, protos.Message] = model.part(Part.SIGNATURES)[0][1]
    return own


def _own_key(model: Model) -> str:
    return next(iter(_own(model)), signatures.DEFAULT_KEY)


def _ends(model: Model, meta_graph: metagraphs.MetaGraph, inputs: Ends, outputs: Ends) -> list[dict[str, str]]:
    """Return tensor names by key: those named, those of the signature, else those proposed."""
    wanted = [conversion_options.named(inputs), conversion_options.named(outputs)]
    own = next(iter(_own(model).values()), None)
    if own is not None:
        sides = (signatures.endpoints(own.inputs), signatures.endpoints(own.outputs))
        return [unsigned_graphs.by_key(each, side) for each, side in zip(wanted, sides, strict=True)]
    proposed = unsigned_graphs.propose(meta_graph, wanted[1])
    return [
        unsigned_graphs.by_key(each if each is not None else side)
        for each, side in zip(wanted, (proposed.inputs, proposed.outputs), strict=True)
    ]


def _imported(skeleton: protos.Message) -> runtime.Live:
    """Import the graph, to see that TensorFlow takes it, and to learn dtypes and shapes.

    Raises
    ------
    ConversionError
        If TensorFlow does not take it; its error is the cause.
    """
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        try:
            tf.graph_util.import_graph_def(protos.native(skeleton), name="")
        except (ValueError, TypeError, tf.errors.OpError) as error:
            said = f"TensorFlow cannot import the graph: {error_texts.gist(error)}"
            raise errors.ConversionError(f"{said}; check that this TensorFlow has its ops") from error
    return graph


def _endpoint(key: str, info: protos.Message) -> Endpoint:
    return Endpoint(key, str(info.name), protos.dtype_name(info.dtype), protos.shape_of(info.tensor_shape))


def _info(graph: runtime.Live, name: str) -> protos.Message:
    """Return the TensorInfo of a tensor as TensorFlow infers it."""
    full = tensor_names.full(name)
    try:
        tensor = graph.get_tensor_by_name(full)
    except (KeyError, ValueError) as error:
        known = [operation.name for operation in graph.get_operations()]
        raise errors.UnknownNameError(name, "tensor", known) from error
    info = protos.message("TensorInfo")(name=full, dtype=protos.dtype_number(tensor.dtype.name))
    info.tensor_shape.CopyFrom(protos.adopt(tensor.shape.as_proto()))
    return info


def _wrapped(path: Path, signed: Mapping[str, protos.Message], tags: tuple[str, ...], lean: Model) -> WrappedDraft:
    before, after = (protos.message("MetaGraphDef")() for _ in range(2))
    before.meta_info_def.tags.extend(tags)
    before.meta_info_def.tensorflow_version = runtime.version()
    for key, signature in signed.items():
        after.signature_def[key].CopyFrom(signature)
    size = path.stat().st_size
    head, trailer = serialised(before) + _GRAPH + wire.written(size), serialised(after)
    header = _VERSION_1 + _META_GRAPH + wire.written(len(head) + size + len(trailer)) + head
    total = len(header) + size + len(trailer)
    if total > PROTOBUF_LIMIT:
        raise errors.TooLargeError(
            f"the SavedModel's message would take {total / 2**30:.2f} GiB, and protobuf takes no more than 2: export "
            "the model that the graph was frozen from, whose weights then lie outside of the message"
        )
    note = f"the graph is the file's own, byte for byte: it was compared and not run ({size / 2**20:,.0f} MiB)"
    return WrappedDraft(path, header, trailer, (note, *signatures.tag_notes(tags)), lean)


#: The way to a tensor: GraphDef.node, NodeDef.attr, its value, AttrValue.tensor.
_PATH = (1, 5, 2, 8)
#: What is smaller stays: shapes and axes, of which other shapes follow.
_LARGE = 16 << 10
#: A tag and a length.
_HEAD = 20


def skeleton_of(path: Path) -> protos.Message:
    """Return the GraphDef of a binary file; constants of more than 16 kB have dtype and shape, and no content.

    Raises
    ------
    CorruptSourceError
        If the file is damaged, or changes meanwhile.
    """
    with reading.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return protos.parse("GraphDef", _copied(file, 0, size, 0))
        except (wire.WireError, protos.ParseError) as error:
            raise errors.CorruptSourceError(f"{str(path)!r} is damaged: {error}; fetch or save it again") from error


def _copied(file: BufferedReader, begin: int, end: int, depth: int) -> bytes:
    """Copy a message but for what is large at the end of the path."""
    result = bytearray()
    for number, kind, tag, start, stop in _fields(file, begin, end):
        if kind == wire.BYTES and stop - start > _LARGE:
            if depth == len(_PATH):
                continue
            if number == _PATH[depth]:
                inner = _copied(file, start, stop, depth + 1)
                result += bytes([number << 3 | kind]) + wire.written(len(inner)) + inner
                continue
        file.seek(tag)
        result += file.read(stop - tag)
    return bytes(result)


def _fields(file: BufferedReader, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield number, wire type, and where tag, payload and end of each field lie, from the heads alone."""
    while position < end:
        file.seek(position)
        head = memoryview(file.read(min(_HEAD, end - position)))
        tag, after = wire.varint(head, 0, len(head))
        kind = tag & 7
        if kind == wire.BYTES:
            size, after = wire.varint(head, after, len(head))
            start, stop = position + after, position + after + size
        else:
            start, stop = (position + each for each in wire.payload(head, after, len(head), kind))
        if stop > end or not tag >> 3:
            raise wire.WireError(position, "a field reaches past its message")
        yield tag >> 3, kind, position, start, stop
        position = stop

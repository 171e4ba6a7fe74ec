"""Files that hold one message of TensorFlow: which one, and the message, whether it is binary, text or gzipped.

A protobuf file carries no mark of its type, so the first bytes decide by structure, whatever the suffix: which fields
come first and whether what they hold is plausible. Not for: directories, what the message means, or forms that do carry
a mark (HDF5, zip, TFLite).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from tfmagic import errors
from tfmagic.files import foreign_files, places, protos, reading, wire
from tfmagic.files.addresses import sparse_messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SAVED_MODEL, META_GRAPH, GRAPH, CHECKPOINT_STATE = "SavedModel", "MetaGraphDef", "GraphDef", "CheckpointState"

_V, _B = wire.VARINT, wire.BYTES
#: Field numbers and wire types of the messages that are told apart.
_GRAPH_FIELDS = {1: _B, 2: _B, 3: _V, 4: _B, 5: _B}
_META_GRAPH_FIELDS = dict.fromkeys(range(1, 8), _B)
_SAVED_MODEL_FIELDS = {1: _V, 2: _B}
_NODE_FIELDS = dict.fromkeys(range(1, 8), _B)
_META_INFO_FIELDS = {1: _B, 2: _B, 3: _B, 4: _B, 5: _B, 6: _B, 7: _V, 8: _B}
_NODE, _OP = 1, 2
_META_GRAPH_VERSION, _OP_LIST, _META_INFO_TEXTS = 1, 2, frozenset({1, 4, 5, 6})
_PRINTABLE = re.compile(rb"[\x20-\x7e]+\Z")
_OP_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.>/-]*\Z")
_FIRST_FIELD = re.compile(r"([A-Za-z_]\w*)\s*[:{<]")
_TEXT_FIELDS = {
    "node": GRAPH,
    "library": GRAPH,
    "versions": GRAPH,
    "version": GRAPH,
    "saved_model_schema_version": SAVED_MODEL,
    "meta_graphs": SAVED_MODEL,
    "meta_info_def": META_GRAPH,
    "graph_def": META_GRAPH,
    "saver_def": META_GRAPH,
    "collection_def": META_GRAPH,
    "signature_def": META_GRAPH,
    "model_checkpoint_path": CHECKPOINT_STATE,
    "all_model_checkpoint_paths": CHECKPOINT_STATE,
}
#: By which fields a constant's content is reached: node, attr, value, tensor, tensor_content.
_CONTENT = (1, 5, 2, 8, 4)
_WAYS = {GRAPH: _CONTENT, META_GRAPH: (2, *_CONTENT), SAVED_MODEL: (2, 2, *_CONTENT)}
#: Fields looked at before a decision: the first few settle it.
_ENOUGH = 16


def message_in_text(head: bytes) -> str | None:
    """Return the name of the message that text format begins here, None if none does."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end within a character; anything earlier is no text.
        if error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8")
    field = _FIRST_FIELD.match(foreign_files.uncommented(text).lstrip())
    return _TEXT_FIELDS.get(field[1]) if field else None


def message_in_binary(head: bytes) -> str | None:
    """Return the name of the message that begins here in wire format, None if none does."""
    fields = list(_fields(head))
    if not fields:
        return None
    for name, known, plausible in (
        (SAVED_MODEL, _SAVED_MODEL_FIELDS, _is_saved_model),
        (GRAPH, _GRAPH_FIELDS, _is_graph),
        (META_GRAPH, _META_GRAPH_FIELDS, _is_meta_graph),
    ):
        if _fits(fields, known) and plausible(fields):
            return name
    return None


#: A field as found: its number, its wire type, and as much of its payload as the head holds.
_Found = tuple[int, int, bytes]


class _Cut(bytes):
    """A payload of which the head holds no more than the beginning."""

    __slots__ = ()


def _fields(head: bytes) -> Iterator[_Found]:
    """Yield the first fields of a message; of the last one perhaps only a beginning."""
    buffer, position = wire.Buffer(head), 0
    for _ in range(_ENOUGH):
        try:
            # Lengths may reach past the head: the end given here is that of the largest message there is.
            number, kind, begin, position = _field(buffer, position)
        except wire.WireError:
            return
        yield number, kind, head[begin:position] if position <= len(head) else _Cut(head[begin:])
        if position >= len(head):
            return


def _field(buffer: wire.Buffer, position: int) -> tuple[int, int, int, int]:
    """Read one field whose payload may reach past the buffer."""
    if position >= buffer.size:
        raise wire.WireError(position, "the head ends")
    tag, after = wire.varint(buffer.view, position, buffer.size)
    if tag & 7 != _B:
        begin, stop = wire.payload(buffer.view, after, buffer.size, tag & 7)
        return tag >> 3, tag & 7, begin, stop
    size, begin = wire.varint(buffer.view, after, buffer.size)
    return tag >> 3, _B, begin, begin + size


def _fits(fields: list[_Found], known: Mapping[int, int]) -> bool:
    """Say whether all fields are of the message with these field numbers and wire types."""
    return all(known.get(number) == kind for number, kind, _ in fields)


def _is_saved_model(fields: list[_Found]) -> bool:
    """Say whether there is a schema version or MetaGraphDefs, as a SavedModel has."""
    inner = [list(_fields(payload)) for number, _, payload in fields if number == 2]  # noqa: PLR2004 - meta_graphs
    if fields[0][0] == 1:
        return all(_fits(found, _META_GRAPH_FIELDS) for found in inner)
    # Without a version, a MetaGraphDef that holds nothing but its graph looks the same one level higher.
    return bool(inner) and all(
        found and _fits(found, _META_GRAPH_FIELDS) and _is_meta_graph(found) and not _is_graph(found) for found in inner
    )


def _is_graph(fields: list[_Found]) -> bool:
    """Say whether there are nodes, or else a library or versions, as in a GraphDef."""
    nodes = [payload for number, _, payload in fields if number == _NODE]
    if nodes:
        return all(_is_node(payload) for payload in nodes)
    return all(_is_versions(payload) if number == 4 else _is_library(payload) for number, _, payload in fields)  # noqa: PLR2004


def _is_node(payload: bytes) -> bool:
    """Say whether there are a name and an op, and both are names, as in a NodeDef."""
    fields = list(_fields(payload))
    ops = [value for number, _, value in fields if number == _OP]
    if isinstance(payload, _Cut) and not any(ops):
        return _fits(fields, _NODE_FIELDS) and all(
            _PRINTABLE.match(value) for number, _, value in fields if number == 1
        )
    return _fits(fields, _NODE_FIELDS) and len(ops) == 1 and _OP_NAME.match(ops[0]) is not None


def _is_versions(payload: bytes) -> bool:
    fields = list(_fields(payload))
    return _fits(fields, {1: _V, 2: _V, 3: _B}) and bool(fields or not payload)


def _is_library(payload: bytes) -> bool:
    """Say whether there are FunctionDefs, whose first field is an OpDef that has a name."""
    for number, _, function in _fields(payload):
        signature = next((value for field, _, value in _fields(function) if field == 1), b"") if number == 1 else b""
        name = next((value for field, _, value in _fields(signature) if field == 1), b"")
        if not _PRINTABLE.match(name):
            return False
    return bool(payload)


def _is_meta_graph(fields: list[_Found]) -> bool:
    """Say whether there is a graph, or what wrote it, as in a MetaGraphDef."""
    graphs = [payload for number, _, payload in fields if number == 2]  # noqa: PLR2004 - graph_def
    infos = [payload for number, _, payload in fields if number == 1]
    inner = [list(_fields(payload)) for payload in graphs]
    return all(not found or (_fits(found, _GRAPH_FIELDS) and _is_graph(found)) for found in inner) and (
        all(_is_meta_info(payload) for payload in infos) if infos else bool(graphs)
    )


def _is_meta_info(payload: bytes) -> bool:
    """Say whether there are tags, versions or a list of ops, as in a MetaInfoDef; nothing at all is one too."""
    fields = list(_fields(payload))
    texts = [value for number, _, value in fields if number in _META_INFO_TEXTS]
    lists = [value for number, _, value in fields if number == _OP_LIST]
    says = not payload or any(number != _META_GRAPH_VERSION for number, _, _ in fields)
    return says and _fits(fields, _META_INFO_FIELDS) and all(map(_is_text, texts)) and all(map(_is_op_list, lists))


def _is_text(value: bytes) -> bool:
    return value.isascii() and value.decode("ascii").isprintable()


def _is_op_list(payload: bytes) -> bool:
    """Say whether the first OpDef has a name, its first field."""
    first = next((op for number, _, op in _fields(payload) if number == 1), b"")
    name = next((value for number, _, value in _fields(first) if number == 1), b"")
    return not payload or _OP_NAME.match(name) is not None


MESSAGES = frozenset({SAVED_MODEL, META_GRAPH, GRAPH, CHECKPOINT_STATE})
#: As much of a file as is looked at.
HEAD_BYTES = 64 * 1024
#: Fields of ONNX's ModelProto (onnx.proto): its version, who made it, then the graph and the sets of operators.
_ONNX_FIELDS = {1: _V, 2: _B, 3: _B, 4: _B, 5: _V, 6: _B, 7: _B, 8: _B, 14: _B, 20: _B, 25: _B, 26: _B}
_ONNX_VERSION, _ONNX_TEXTS, _ONNX_GRAPH, _ONNX_OPERATORS = 1, frozenset({2, 3, 4}), 7, 8


def guess(head: bytes) -> str:
    """Say what a file may be that no form claims, and what to do."""
    if _is_onnx(list(_fields(head))):
        return "an ONNX model; give the TensorFlow model that it was made from"
    return foreign_files.guess(head)


def _is_onnx(fields: list[_Found]) -> bool:
    """Say whether there are a version and a graph or its sets of operators, as in a ModelProto."""
    numbers = {number for number, _, _ in fields}
    texts = [value for number, _, value in fields if number in _ONNX_TEXTS]
    return (
        _fits(fields, _ONNX_FIELDS)
        and _ONNX_VERSION in numbers
        and bool(numbers & {_ONNX_GRAPH, _ONNX_OPERATORS})
        and all(map(_is_text, texts))
    )


class Begun(Protocol):
    """A source whose first bytes were read, if it is a file."""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""

    @property
    def head(self) -> bytes:
        """The first bytes of the file."""


def kind(candidate: Begun) -> str | None:
    """Return the name of the message that a candidate's file holds, None if it is no file or holds none."""
    return _kind(reading.head_of(candidate.head, HEAD_BYTES)) if candidate.is_file else None


def _kind(head: bytes) -> str | None:
    return message_in_text(head) or message_in_binary(head)


def read_message(path: Path, name: str) -> wire.Buffer:
    """Read a file as a serialised message.

    Raises
    ------
    CorruptSourceError
        If the file does not hold that message; it says what it holds instead, if that can be told.
    ReadError
        If the file may not be read.
    """
    buffer = sparse_messages.read(path, _WAYS[name]) if _may_have_holes(path, name) else reading.read_buffer(path)
    head = bytes(buffer.view[: min(buffer.size, HEAD_BYTES)])
    held = _kind(head)
    if held != name:
        raise errors.CorruptSourceError(_holds_other(path, name, held or guess(head)))
    return _parsed_text(path, buffer, name) if message_in_text(head) else buffer


def _may_have_holes(path: Path, name: str) -> bool:
    """Whether a file lies at an address and may hold large constants that nobody has to fetch yet."""
    if places.is_here(path) or name not in _WAYS or places.size(path) <= sparse_messages.SMALL:
        return False
    head = places.head(path, HEAD_BYTES)
    return not head.startswith(reading.GZIP_MAGIC) and message_in_text(head) is None


def _parsed_text(path: Path, buffer: wire.Buffer, name: str) -> wire.Buffer:
    """Parse text format into a serialised message."""
    try:
        message = protos.parse_text(name, buffer.text(0, buffer.size))
        return wire.Buffer(message.SerializeToString())
    except (protos.TextParseError, protos.SerializeError, wire.WireError, RecursionError) as error:
        problem = f"{str(path)!r} does not parse as a {name} in text format: {str(error).rstrip('.')}"
        raise errors.CorruptSourceError(f"{problem}. It may be cut off: save or copy it again") from error


def _holds_other(path: Path, name: str, held: str) -> str:
    """Word that a file is not what its name or place says."""
    if held in MESSAGES:
        return f"{str(path)!r} should hold a {name} but holds a {held}; give that file itself to read it as what it is"
    return f"{str(path)!r} should hold a {name} but holds {held}. Save, copy or download it again"

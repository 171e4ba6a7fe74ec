"""TensorFlow's messages in a descriptor pool of our own: parse, edit and write them back without TensorFlow.

The declarations lie in ``schema.txt``. Unknown fields survive a round trip byte for byte, as protobuf's upb keeps them.
Not for: walking a graph (:mod:`tfmagic.graphs.serialized`) or finding messages in large files
(:mod:`tfmagic.files.wire`).
"""

from __future__ import annotations

import pkgutil
import re
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError
from google.protobuf.message import EncodeError as _EncodeError

from tfmagic.files import text_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.frames import Shape

_BUILDING = threading.Lock()
#: A message of the pool; its fields are known at run time only.
Message: TypeAlias = Any
ParseError = DecodeError
SerializeError = _EncodeError
TextParseError = text_format.ParseError

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in (
        "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32",
        "sint64",
    )
}  # fmt: skip
_DECLARATION = re.compile(
    r"\s+(?P<repeated>repeated )?(?:map<(?P<key>\w+), (?P<value>[\w.]+)>|(?P<type>[\w.]+))"
    r" (?P<name>\w+) = (?P<number>\d+)(?: \[(?P<oneof>\w+)\])?$"
)
_PACKAGE = "tensorflow"
_WELL_KNOWN = "google.protobuf."
#: TensorFlow's own lower-case names; the others are the enum's name without DT_ in lower case.
_DTYPE_NAMES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
#: The name of DT_INVALID, which stands where no dtype is known.
NO_DTYPE = "invalid"
_REF = 100
#: Bytes an element takes in memory; packed 4-bit types round up to one, strings and handles have no fixed size.
_ITEM_SIZES = {
    "float32": 4, "float64": 8, "int32": 4, "uint8": 1, "int16": 2, "int8": 1, "complex64": 8, "int64": 8, "bool": 1,
    "qint8": 1, "quint8": 1, "qint32": 4, "bfloat16": 2, "qint16": 2, "quint16": 2, "uint16": 2, "complex128": 16,
    "float16": 2, "uint32": 4, "uint64": 8, "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1,
    "float8_e4m3b11fnuz": 1, "float8_e5m2fnuz": 1, "int4": 1, "uint4": 1, "int2": 1, "uint2": 1, "float4_e2m1fn": 1,
}  # fmt: skip


@cache
def message(name: str) -> type[Message]:
    """Return the class of a message, such as ``"GraphDef"`` or ``"MetaGraphDef.MetaInfoDef"``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def parse(name: str, data: bytes | memoryview) -> Message:
    """Parse a binary message; raises :data:`ParseError` if it is not one."""
    return message(name).FromString(bytes(data))


def parse_json(name: str, text: str) -> Message:
    """Parse a message in protobuf's JSON; raises ValueError if it is none."""
    # Few files hold any.
    from google.protobuf import json_format  # noqa: PLC0415

    try:
        return json_format.Parse(text, message(name)(), descriptor_pool=_pool())
    # Protobuf before 6 stumbles over a null where a map belongs.
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def parse_text(name: str, text: str, *, lossless: bool = False) -> Message:
    """Parse a message in text format; raises :data:`TextParseError`.

    Fields that this schema does not know are skipped only if the text does not parse without that: a newer
    TensorFlow may have added them. Where nothing may be lost, they are an error.
    """
    if (data := text_messages.serialized(message(name), text, _pool())) is not None:
        return message(name).FromString(data)
    try:
        return text_format.Parse(text, message(name)(), descriptor_pool=_pool())
    except TextParseError as error:
        if lossless or "has no field named" not in str(error):
            raise
        return text_format.Parse(text, message(name)(), allow_unknown_field=True, descriptor_pool=_pool())


def to_text(value: Message) -> str:
    """Write a message in text format, as ``saved_model.pbtxt`` holds it."""
    return text_format.MessageToString(value, descriptor_pool=_pool())


def native(value: Message) -> Message:
    """Return the message in TensorFlow's own class if TensorFlow is loaded, else as it is.

    ``tf.import_graph_def`` and its like accept no other class. TensorFlow's modules register their messages in
    protobuf's default pool, so that is asked, and TensorFlow is not imported.
    """
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(value.DESCRIPTOR.full_name)
    except KeyError:
        return value
    return message_factory.GetMessageClass(descriptor).FromString(value.SerializeToString())


def adopt(value: Message) -> Message:
    """Return a message of any pool as one of ours."""
    name = value.DESCRIPTOR.full_name.removeprefix(f"{_PACKAGE}.")
    return message(name).FromString(value.SerializeToString())


@cache
def _dtype_names() -> dict[int, str]:
    values = _pool().FindEnumTypeByName(f"{_PACKAGE}.DataType").values
    plain = {value.number: value.name for value in values if value.number < _REF}
    return {number: _DTYPE_NAMES.get(name, name[3:].lower()) for number, name in plain.items()}


def dtype_name(number: int) -> str:
    """Return TensorFlow's lower-case name of a DataType, ``"float32_ref"`` for a reference to one.

    A number that no release of TensorFlow gave out comes back as ``"dtype_<number>"``.
    """
    names = _dtype_names()
    if number in names:
        return names[number]
    if number - _REF in names:
        return names[number - _REF] + "_ref"
    return f"dtype_{number}"


@cache
def dtype_number(name: str) -> int:
    """Return the DataType of a lower-case name; raises KeyError for an unknown one."""
    return {name: number for number, name in _dtype_names().items()}[name]


def value_dtype(number: int) -> int:
    """Return the DataType of a value, where a reference to one may be meant."""
    return number - _REF if number > _REF else number


def item_size(dtype: str) -> int | None:
    """Return the bytes an element of this dtype takes, None where they vary (string, resource, variant)."""
    return _ITEM_SIZES.get(dtype)


def shape_of(shape: Message) -> Shape:
    """Read a TensorShapeProto: None for unknown rank, None for each unknown dimension.

    Any negative size means unknown: grappler writes symbolic dimensions as numbers below -1.
    """
    if shape.unknown_rank:
        return None
    return tuple([size if (size := dim.size) >= 0 else None for dim in shape.dim])


def shape_proto(shape: Shape) -> Message:
    """Write a shape as a TensorShapeProto."""
    result = message("TensorShapeProto")()
    if shape is None:
        result.unknown_rank = True
        return result
    for size in shape:
        result.dim.add().size = -1 if size is None else size
    return result


def _pool() -> descriptor_pool.DescriptorPool:
    """Return the pool; two threads that ask first must not get one each, whose classes would not mix."""
    with _BUILDING:
        return _built_pool()


@cache
def _built_pool() -> descriptor_pool.DescriptorPool:
    """Build the pool from the schema."""
    files = {
        package: descriptor_pb2.FileDescriptorProto(name=f"tfmagic/{package}.proto", package=package, syntax="proto3")
        for package in ("google.protobuf", _PACKAGE)
    }
    files[_PACKAGE].dependency.append(files["google.protobuf"].name)
    text = (pkgutil.get_data("tfmagic.files", "schema.txt") or b"").decode()
    _Declarations(files).read(_logical_lines(text))
    pool = descriptor_pool.DescriptorPool()
    for file in files.values():
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _logical_lines(text: str) -> Iterator[str]:
    """Yield declarations, an enum's continuation lines joined to it."""
    pending = ""
    for line in text.splitlines():
        if line.startswith("    "):
            pending += " " + line.strip()
            continue
        if pending:
            yield pending
        pending = "" if line.startswith("#") else line
    if pending:
        yield pending


class _Declarations:
    """Turns the lines of the schema into descriptors."""

    def __init__(self, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
        self.files = files
        self.messages: dict[str, descriptor_pb2.DescriptorProto] = {}
        self.enums: set[str] = set()

    def read(self, lines: Iterator[str]) -> None:
        current = ""
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "enum":
                self._enum(*rest.split(" = "))
            elif kind == "message":
                current = rest
                self._message(rest)
            elif line.strip():
                self._field(self._message(current), current, line)

    def _scope(self, name: str) -> tuple[Any, str]:
        """Return what a declaration of this full name is added to, and its own name."""
        if name.startswith(_WELL_KNOWN):
            return self.files["google.protobuf"], name.removeprefix(_WELL_KNOWN)
        outer, _, own = name.rpartition(".")
        return (self._message(outer) if outer else self.files[_PACKAGE]), own

    def _message(self, name: str) -> descriptor_pb2.DescriptorProto:
        if name not in self.messages:
            scope, own = self._scope(name)
            nested = scope.message_type if hasattr(scope, "message_type") else scope.nested_type
            self.messages[name] = nested.add(name=own)
        return self.messages[name]

    def _enum(self, name: str, values: str) -> None:
        scope, own = self._scope(name)
        enum = scope.enum_type.add(name=own)
        self.enums.add(name)
        for value in values.split():
            label, _, number = value.partition(":")
            enum.value.add(name=label, number=int(number))
        if name == "DataType":
            for value in list(enum.value)[1:]:
                enum.value.add(name=f"{value.name}_REF", number=value.number + _REF)

    def _field(self, owner: descriptor_pb2.DescriptorProto, owner_name: str, line: str) -> None:
        match = _DECLARATION.match(line)
        if match is None:
            problem = f"schema.txt does not parse at {line!r}"
            raise ValueError(problem)
        field = owner.field.add(name=match["name"], number=int(match["number"]), label=_Field.LABEL_OPTIONAL)
        if match["key"]:
            self._map_entry(owner, owner_name, field, match)
        else:
            self._type(field, match["type"])
        if match["repeated"]:
            field.label = _Field.LABEL_REPEATED
        if match["oneof"]:
            field.oneof_index = _oneof(owner, match["oneof"])

    def _type(self, field: descriptor_pb2.FieldDescriptorProto, name: str) -> None:
        if name in _SCALARS:
            field.type = _SCALARS[name]
            return
        field.type = _Field.TYPE_ENUM if name in self.enums else _Field.TYPE_MESSAGE
        field.type_name = f".{name}" if name.startswith(_WELL_KNOWN) else f".{_PACKAGE}.{name}"

    def _map_entry(
        self,
        owner: descriptor_pb2.DescriptorProto,
        owner_name: str,
        field: descriptor_pb2.FieldDescriptorProto,
        match: re.Match[str],
    ) -> None:
        """Declare a map the way protoc does: a repeated nested message with key and value."""
        name = "".join(part.capitalize() for part in match["name"].split("_")) + "Entry"
        entry = owner.nested_type.add(name=name)
        entry.options.map_entry = True
        self._type(entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL), match["key"])
        self._type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), match["value"])
        field.label = _Field.LABEL_REPEATED
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{owner_name}.{name}"


def _oneof(owner: descriptor_pb2.DescriptorProto, name: str) -> int:
    """Return the index of a oneof, declared at its first member."""
    names = [oneof.name for oneof in owner.oneof_decl]
    if name not in names:
        owner.oneof_decl.add(name=name)
        names.append(name)
    return names.index(name)

"""What an operator of a TensorFlow Lite file is told, by the names and the words of the schema.

``options.txt`` lists all tables of options. Not for: what an option means, or options of custom operators, whose bytes
only who wrote them knows (:mod:`tfmagic.files.tflite.flexbuffers` reads those that have names).
"""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tfmagic.files import flatbuffers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.files.flatbuffers import Table

#: The value of an option: an enum's by its word, a dtype by TensorFlow's name.
Value: TypeAlias = "bool | int | float | str | bytes | list[int] | list[float] | list[bool] | list[str]"
#: TensorType by number, in TensorFlow's names.
DTYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
)  # fmt: skip
#: The fields of an operator in which its options lie: the number of the union's member, and the table.
_UNIONS = {"BuiltinOptions": (3, 4), "BuiltinOptions2": (11, 12)}
_UNUSED, _STRING, _BYTES, _TENSOR_TYPE = "-", "string", "ubyte", "TensorType"


class Dtype(str):
    """The name of a dtype, as an option has it: no word of an enum."""

    __slots__ = ()


class Field(NamedTuple):
    """A field of a table of options.

    Attributes
    ----------
    number : int
        Its place in the table.
    name : str
        As the schema has it.
    kind : str
        A scalar's, as :data:`tfmagic.files.flatbuffers.SCALARS` has it, or ``"string"``.
    words : tuple of str
        Those of an enum, by number; empty where it is none.
    is_list : bool
        Whether it is a vector.
    default : int
        What an absent one means.
    """

    number: int
    name: str
    kind: str
    words: tuple[str, ...]
    is_list: bool
    default: int


class Options(NamedTuple):
    """A table of options: its name in the schema, and its fields."""

    name: str
    fields: tuple[Field, ...]


def read(operator: Table) -> dict[str, Value]:
    """Return what an operator is told, absent options with their defaults; nothing of a table that is not known."""
    values: dict[str, Value] = {}
    for union, (number, place) in _UNIONS.items():
        member = operator.scalar(number, "ubyte")
        table = operator.table(place)
        known = tables()[union]
        if table is not None and 0 < member <= len(known):
            values |= {field.name: _value(table, field) for field in known[member - 1].fields}
    return values


def _value(table: Table, field: Field) -> Value:
    if field.kind == _STRING:
        return table.text(field.number)
    if field.is_list:
        if field.kind == _BYTES:
            return table.data(field.number)
        listed = table.scalars(field.number, field.kind)
        return [_word(field.words, int(each)) for each in listed] if field.words else list(listed)
    value = table.scalar(field.number, field.kind, field.default)
    return _word(field.words, int(value)) if field.words else value


def _word(words: tuple[str, ...], number: int) -> str:
    word = words[number] if 0 <= number < len(words) else str(number)
    return Dtype(word) if words is DTYPES else word


@cache
def tables() -> Mapping[str, tuple[Options, ...]]:
    """Return the tables of options by union, in the order of their numbers from 1 on."""
    enums: dict[str, tuple[str, tuple[str, ...]]] = {_TENSOR_TYPE: ("byte", DTYPES)}
    unions: dict[str, list[Options]] = {}
    for first, *rest in _declarations():
        if first == "enum":
            name, kind, _, *words = rest
            enums[name] = (kind, tuple(words))
        elif first == "union":
            listed = unions.setdefault(rest[0], [])
        else:
            listed.append(Options(first, tuple(_fields(rest, enums))))
    return {name: tuple(members) for name, members in unions.items()}


def _declarations() -> Iterator[list[str]]:
    """Yield the words of each declaration; what is indented more than a table goes on with it."""
    text = (pkgutil.get_data("tfmagic.files.tflite", "options.txt") or b"").decode()
    words: list[str] = []
    is_enum = False
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        if words and indent > (0 if is_enum else 4):
            words += line.split()
            continue
        if words:
            yield words
        words = line.split()
        is_enum = words[0] == "enum"
    yield words


def _fields(declared: list[str], enums: Mapping[str, tuple[str, tuple[str, ...]]]) -> Iterator[Field]:
    for number, text in enumerate(declared):
        if text == _UNUSED:
            continue
        name, _, rest = text.partition(":")
        kind, _, default = rest.partition("=")
        plain = kind.strip("[]")
        scalar, words = enums.get(plain, (plain, ()))
        if scalar != _STRING and scalar not in flatbuffers.SCALARS:
            raise ValueError(f"options.txt has {text!r}")
        yield Field(number, name, scalar, words, kind != plain, int(default or 0))

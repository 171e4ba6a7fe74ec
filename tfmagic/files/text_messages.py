"""Messages in text format as protobuf itself prints them, read block by block: equal blocks are parsed once.

Protobuf's parser of text format is written in Python and takes half a minute for a graph of 77 MB, most of which is
attributes that say the same of one node after the other. Not for: text that somebody wrote by hand, which that parser
reads (:func:`tfmagic.files.protos.parse_text`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from google.protobuf import message_factory, text_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf import descriptor_pool

#: The class of a message, of whatever pool.
Class: TypeAlias = Any
#: A line of a block without what it is indented by: a field with its value, or one that begins a block.
_ENTRY = re.compile(r'([A-Za-z_]\w*)(?:: (-?[\w.+-]+|"(?:[^"\\\n]|\\.)*")| \{)\n')
_INDENT = "  "
#: Messages that there are many of and that differ, of whatever length: by their own names, in the main.
_DIFFERING = frozenset({"NodeDef", "FunctionDef"})
#: Letters of a block from which on it is taken apart as well, and blocks of fewer letters that are kept.
_LARGE, _KEPT = 10_000, 100_000
#: Blocks inside one another that are taken apart: each is copied out of the one around it.
_DEEPEST = 20
#: The wire type of what has a length.
_BYTES = 2
#: Letters of a text that an error has.
_TOLD = 80


class _OtherTextError(Exception):
    """It is not as protobuf prints it."""


def serialized(kind: Class, text: str, pool: descriptor_pool.DescriptorPool) -> bytes | None:
    """Return a message as bytes, None where its text is not, or not all, as protobuf prints it.

    Parameters
    ----------
    kind : class
        The message's.
    text : str
        The text, each field in a line of its own, blocks indented by two blanks.
    pool : DescriptorPool
        Where the class comes from.
    """
    end = "" if text.endswith("\n") else "\n"
    try:
        return _Reading(pool).message(kind, text + end, 0)
    except (_OtherTextError, text_format.ParseError):
        return None


class _Field(NamedTuple):
    """A field of a message: what begins it on the wire, the class of its message if it is one, what there is one of."""

    tag: bytes
    inner: Class | None
    is_text: bool
    only: str

    @classmethod
    def of(cls, own: Any) -> _Field:  # noqa: ANN401 - a FieldDescriptor
        """Take a field from its descriptor."""
        is_repeated = getattr(own, "is_repeated", None)
        if own.label == own.LABEL_REPEATED if is_repeated is None else is_repeated:
            only = ""
        else:
            only = str(own.name) if own.containing_oneof is None else f"one of {own.containing_oneof.name}"
        inner = None if own.message_type is None else message_factory.GetMessageClass(own.message_type)
        return cls(_varint(own.number << 3 | _BYTES), inner, own.type == own.TYPE_STRING, only)


@dataclass
class _Reading:
    """The reading of one text."""

    pool: descriptor_pool.DescriptorPool
    _blocks: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _fields: dict[str, dict[str, _Field]] = field(default_factory=dict)

    def message(self, kind: Class, text: str, depth: int) -> bytes:
        """Return the message whose fields stand in a text, in so many blocks."""
        if depth > _DEEPEST:
            raise _OtherTextError(f"{depth} blocks inside one another")
        pieces: list[bytes] = []
        others: list[str] = []
        seen: set[str] = set()
        fields = self._fields_of(kind)
        for name, value, block in _entries(text, _INDENT * depth):
            own = fields.get(name)
            if own is None or own.only in seen:
                raise _OtherTextError(name)
            if own.only:
                seen.add(own.only)
            if block is not None:
                payload = self._block(own.inner, block, depth + 1)
                pieces += (own.tag, _varint(len(payload)), payload)
            elif not own.is_text:
                others.append(f"{name}: {value}\n")
            elif value.startswith('"') and "\\" not in value:
                payload = value[1:-1].encode()
                pieces += (own.tag, _varint(len(payload)), payload)
            else:
                pieces.append(self._parsed(kind, f"{name}: {value}"))
        # What comes in another order says the same, as long as the values of one field keep theirs.
        return b"".join([self._parsed(kind, "".join(others)), *pieces])

    def _fields_of(self, kind: Class) -> dict[str, _Field]:
        name = kind.DESCRIPTOR.full_name
        if name not in self._fields:
            self._fields[name] = {own.name: _Field.of(own) for own in kind.DESCRIPTOR.fields}
        return self._fields[name]

    def _block(self, kind: Class | None, text: str, depth: int) -> bytes:
        if kind is None:
            raise _OtherTextError(text[:_TOLD])
        name = kind.DESCRIPTOR.full_name
        if len(text) > _LARGE or kind.DESCRIPTOR.name in _DIFFERING:
            return self.message(kind, text, depth)
        if (name, text) not in self._blocks:
            if len(self._blocks) >= _KEPT:
                self._blocks.clear()
            self._blocks[name, text] = self._parsed(kind, text)
        return self._blocks[name, text]

    def _parsed(self, kind: Class, text: str) -> bytes:
        if not text:
            return b""
        return bytes(text_format.Parse(text, kind(), descriptor_pool=self.pool).SerializeToString())


def _entries(text: str, indent: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield the name of each field, its value if it stands in the line, else the text of its block."""
    position, size, closing = 0, len(text), f"{indent}}}\n"
    while position < size:
        entry = _ENTRY.match(text, position + len(indent)) if text.startswith(indent, position) else None
        if entry is None:
            raise _OtherTextError(text[position : position + _TOLD])
        position = entry.end()
        if entry[2] is not None:
            yield entry[1], entry[2], None
            continue
        # The line itself ends where the block begins. A text in quotes has no line of its own, so that the first line
        # with the brace alone closes the block, or one inside it that is not indented as it should be: what is taken
        # for the block then has more braces that open than that close, and does not parse.
        end = text.find(f"\n{closing}", position - 1)
        if end < 0:
            raise _OtherTextError(entry[1])
        yield entry[1], "", text[position : end + 1]
        position = end + 1 + len(closing)


def _varint(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)

"""Protobuf's wire format written by hand, for what no writer would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files.wire import BYTES, FIXED32, FIXED64, VARINT

if TYPE_CHECKING:
    import random


def varint(number: int, *, length: int = 1) -> bytes:
    """Write a varint, in more bytes than it needs if a length is given."""
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127)
    groups += [0] * (length - len(groups))
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def field(number: int, content: bytes | str, *, tag_length: int = 1) -> bytes:
    """Write a field with a length: bytes, text or a message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | BYTES, length=tag_length) + varint(len(data)) + data


def attr(key: str, value: bytes) -> bytes:
    """Write an attribute of a NodeDef."""
    return field(5, field(1, key) + field(2, value))


def node(name: str, op: str, *inputs: str, device: str = "", attrs: bytes = b"") -> bytes:
    """Write a NodeDef."""
    return field(1, name) + field(2, op) + b"".join(field(3, each) for each in inputs) + field(4, device) + attrs


def function_def(name: str, *nodes: bytes) -> bytes:
    """Write a GraphDef's library with a FunctionDef."""
    return field(2, field(1, field(1, field(1, name)) + b"".join(field(3, each) for each in nodes)))


def random_field(rng: random.Random) -> bytes:
    """Write a field of any number and wire type, its varints sometimes longer than they need be."""
    kind = rng.choice((VARINT, FIXED64, BYTES, BYTES, FIXED32))
    number = rng.choice((1, 2, 3, 15, 16, 2000, 2**29 - 1))
    tag = varint(number << 3 | kind, length=rng.choice((1, 1, 1, 5)))
    if kind == VARINT:
        return tag + varint(rng.getrandbits(rng.choice((7, 14, 32, 64))), length=rng.choice((1, 1, 10)))
    if kind == BYTES:
        content = rng.randbytes(rng.choice((0, 1, 8, 9, 130, 20_000 if rng.random() < 0.05 else 3)))
        return tag + varint(len(content), length=rng.choice((1, 1, 5))) + content
    return tag + rng.randbytes(8 if kind == FIXED64 else 4)


def random_message(rng: random.Random, most: int = 12) -> bytes:
    """Write a message of a few such fields."""
    return b"".join(random_field(rng) for _ in range(rng.randrange(most + 1)))

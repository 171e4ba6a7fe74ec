from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import empty_pb2, unknown_fields

from tests.wire_samples import field, random_message, varint
from tfmagic.files import long_messages
from tfmagic.files.wire import BYTES, Buffer, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longer than what is walked without a guess.
LONG = 9 << 20


def contents(data: bytes, *numbers: int) -> list[list[bytes]]:
    """The fields of bytes with each of some numbers, as our spans have them."""
    spans = long_messages.spans(Buffer(data), 0, len(data), *numbers)
    return [[data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)] for starts, ends in spans]


def contents_for_protobuf(data: bytes, *numbers: int) -> list[list[bytes]]:
    """The same, as protobuf finds them: a message that knows no field keeps them all."""
    seen: Any = unknown_fields.UnknownFieldSet(empty_pb2.Empty.FromString(data))
    fields = [(each.field_number, each.data) for each in seen if each.wire_type == BYTES]
    return [[content for own, content in fields if own == number] for number in numbers]


def test_spans_judges_the_field_it_looks_for_too() -> None:
    for data in (b"\x0a" + varint(2**63), b"\x0a\x02a", b"\x0a", b"\x0a\xff", b"\x0a\xff\xff", b"\x0a\x01a\x0a\x7f"):
        with pytest.raises(WireError):
            long_messages.spans(Buffer(data), 0, len(data), 1)


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_the_fields_of_these_numbers_in_their_order(seed: int) -> None:
    data = random_message(random.Random(seed), most=200)
    assert contents(data, 1, 2, 16) == contents_for_protobuf(data, 1, 2, 16)


def test_spans_of_a_message_within_a_buffer() -> None:
    inner = field(1, "x" * 300) + field(2, "y") + field(1, "")
    data = b"\xff\xff" + inner + b"\xff"
    (ones,) = long_messages.spans(Buffer(data), 2, 2 + len(inner), 1)
    assert [int(end - start) for start, end in zip(*ones, strict=True)] == [300, 0]


def _nodes(rng: random.Random) -> bytes:
    return field(1, field(1, "n" * rng.randrange(60)) + field(2, "Relu") + field(3, "m" * rng.randrange(90)))


def _fields_in_fields(rng: random.Random) -> bytes:
    """A field whose content is fields of the same tag, of which chains go astray."""
    return field(1, b"\x0a\x02\x0a\x00" * rng.randrange(1, 3000))


def _noise(rng: random.Random) -> bytes:
    return field(1, rng.randbytes(rng.randrange(40_000)))


def _of_all_numbers(rng: random.Random) -> bytes:
    return random_message(rng, most=3) + _nodes(rng) * rng.randrange(200)


def _large(rng: random.Random) -> bytes:
    return _nodes(rng) * 5_000 + field(1, bytes(3 << 20)) + field(16, b"\x0a\x01\x0a" * 50_000)


KINDS = [_nodes, _fields_in_fields, _noise, _of_all_numbers, _large]


@pytest.mark.parametrize("kind", KINDS)
def test_spans_of_a_long_message_are_those_that_protobuf_finds(kind: Callable[[random.Random], bytes]) -> None:
    rng = random.Random(0)
    message = bytearray(_nodes(rng))
    while len(message) < LONG:
        message += kind(rng)
    data = bytes(message)
    assert contents(data, 1, 2, 16) == contents_for_protobuf(data, 1, 2, 16)
    assert contents(data, 2) == contents_for_protobuf(data, 2)


@pytest.mark.parametrize("end", [b"\x0a", b"\x0a\x7f", b"\x0b", b"\x00", b"\x0a\xff\xff\xff\x7f"])
def test_a_lie_at_the_end_of_a_long_message_is_told(end: bytes) -> None:
    data = field(1, field(1, "node") + field(2, "Relu")) * (LONG // 12) + end
    with pytest.raises(WireError) as raised:
        long_messages.spans(Buffer(data + b"\x0a\x01a" * 20), 0, len(data), 1)
    assert len(data) - len(end) <= raised.value.offset <= len(data)

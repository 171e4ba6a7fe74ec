from __future__ import annotations

import io
import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from google.protobuf import empty_pb2, unknown_fields
from google.protobuf.message import DecodeError

from tests.wire_samples import field, random_message, varint
from tfmagic.files import long_messages, wire
from tfmagic.files.wire import BYTES, FIXED32, FIXED64, VARINT, Buffer, WireError

#: A field as protobuf and as we see it: number, wire type, and a number or bytes.
Seen = list[tuple[int, int, object]]


def as_protobuf_sees(data: bytes) -> Seen:
    """Parse with protobuf: a message that knows no field keeps them all as unknown ones."""
    found: Any = unknown_fields.UnknownFieldSet(empty_pb2.Empty.FromString(data))
    return [(each.field_number, each.wire_type, each.data) for each in found]


def content(data: bytes, kind: int, start: int, end: int) -> object:
    if kind == VARINT:
        return wire.varint(memoryview(data), start, end)[0] & (2**64 - 1)
    return data[start:end] if kind == BYTES else int.from_bytes(data[start:end], "little")


def as_fields_sees(data: bytes) -> Seen:
    found = wire.fields(Buffer(data), 0, len(data))
    return [(number, kind, content(data, kind, start, end)) for number, kind, start, end in found]


def as_scan_sees(messages: list[bytes]) -> list[Seen]:
    data = b"".join(messages)
    ends = np.cumsum([len(message) for message in messages], dtype=np.int64)
    starts = ends - np.array([len(message) for message in messages], np.int64)
    found = wire.scan(Buffer(data), starts, ends)
    seen: list[Seen] = [[] for _ in messages]
    for owner, number, kind, start, end in zip(
        *(array.tolist() for array in (found.owner, found.number, found.kind, found.start, found.end)), strict=True
    ):
        seen[owner].append((number, kind, content(data, kind, start, end)))
    return seen


@pytest.mark.parametrize("seed", range(20))
def test_fields_are_those_that_protobuf_finds(seed: int) -> None:
    data = random_message(random.Random(seed), most=60)
    assert as_fields_sees(data) == as_protobuf_sees(data)


@pytest.mark.parametrize("count", [0, 1, 24, 25, 400])
def test_many_messages_scanned_at_once_are_those_that_protobuf_finds(count: int) -> None:
    rng = random.Random(count)
    messages = [random_message(rng) for _ in range(count)]
    assert as_scan_sees(messages) == [as_protobuf_sees(message) for message in messages]


def test_one_long_message_among_many_short_ones() -> None:
    rng = random.Random(1)
    messages = [random_message(rng, most=2) for _ in range(100)]
    messages[50] = random_message(rng, most=3000)
    assert as_scan_sees(messages) == [as_protobuf_sees(message) for message in messages]


def outcome(data: bytes) -> Seen | None:
    try:
        return as_fields_sees(data)
    except WireError:
        return None


def accepted(data: bytes) -> Seen | None:
    """Parse with protobuf, less what its Python library lets pass: groups, and the number 0, which C++ refuses."""
    try:
        found = as_protobuf_sees(data)
    except DecodeError:
        return None
    return found if all(number and kind in (VARINT, FIXED64, BYTES, FIXED32) for number, kind, _ in found) else None


def damaged(rng: random.Random) -> bytes:
    data = bytearray(random_message(rng) or b"\x08\x01")
    if rng.random() < 0.5:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_damage_is_what_protobuf_makes_of_it_or_a_wire_error(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        data = damaged(rng)
        ours = outcome(data)
        assert ours == accepted(data), data


@pytest.mark.parametrize("seed", range(10))
def test_scanning_at_once_judges_as_scanning_one_by_one_does(seed: int) -> None:
    rng = random.Random(seed)
    # More than a handful of good messages beside the damaged one, so that it is read in bulk.
    good = [random_message(rng, most=30) for _ in range(60)]
    for _ in range(100):
        data = damaged(rng)
        expected = outcome(data)
        if expected is None:
            with pytest.raises(WireError):
                as_scan_sees([*good, data])
        else:
            assert as_scan_sees([*good, data])[-1] == expected


LIES = {
    "a length of 2**63": b"\x0a" + varint(2**63),
    "a length of 2**64 - 1": b"\x0a" + varint(2**64 - 1),
    "a length that wraps around to the field itself": b"\x0a" + varint(2**64 - 11),
    "a length one too long": b"\x0a\x02a",
    "a varint of eleven bytes": b"\x08" + b"\xff" * 10 + b"\x01",
    "a varint that does not end": b"\x08\xff",
    "a tag that does not end": b"\xff",
    "a tag of ten bytes": varint(2**69 | VARINT) + b"\x00",
    "no length": b"\x0a",
    "half a fixed64": b"\x09\x00\x00",
    "half a fixed32": b"\x0d\x00",
    "a group": b"\x0b\x0c",
    "wire type 7": b"\x0f",
    "zeros": bytes(2),
    "zeros behind a field": b"\x0a\x01a" + bytes(20),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_lies_are_wire_errors(data: bytes) -> None:
    # Bytes behind the message, which a reader that trusts its lengths would take for its own.
    behind = b"\x0a\x01a" * 20
    buffer = Buffer(data + behind)
    for function in (
        lambda: list(wire.fields(buffer, 0, len(data))),
        lambda: long_messages.spans(buffer, 0, len(data), 7),
        lambda: wire.scan(buffer, np.zeros(1, np.int64), np.full(1, len(data))),
        lambda: wire.scan(buffer, np.zeros(40, np.int64), np.full(40, len(data))),
        lambda: list(wire.read_fields(io.BytesIO(data))),
    ):
        with pytest.raises(WireError) as raised:
            function()
        assert 0 <= raised.value.offset <= len(data)


def test_fields_are_read_from_a_file_one_by_one() -> None:
    data = field(1, b"abc") + field(300, b"") + field(1, bytes(70_000))
    read = list(wire.read_fields(io.BytesIO(data)))
    assert [(number, len(content)) for number, _, content in read] == [(1, 3), (300, 0), (1, 70_000)]
    assert b"".join(tag + varint(len(content)) + content for _, tag, content in read) == data


def test_nothing_is_allocated_by_a_claimed_length() -> None:
    data = b"\x0a" + varint(2**40) + b"abc"
    tracemalloc.start()
    try:
        for count in (1, 40):
            with pytest.raises(WireError):
                wire.scan(Buffer(data), np.zeros(count, np.int64), np.full(count, len(data)))
        with pytest.raises(WireError):
            long_messages.spans(Buffer(data), 0, len(data), 1)
        with pytest.raises(WireError):
            list(wire.read_fields(io.BytesIO(data)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_select_orders_by_owner_and_leaves_other_wire_types_out() -> None:
    messages = [field(1, "a") + field(1, "b"), b"\x08\x05" + field(1, "c"), field(2, "d")]
    data = b"".join(messages)
    ends = np.cumsum([len(message) for message in messages])
    chosen = wire.scan(Buffer(data), ends - [len(message) for message in messages], ends).select(1)
    assert chosen.owner.tolist() == [0, 0, 1]
    assert [data[a:b] for a, b in zip(chosen.start.tolist(), chosen.end.tolist(), strict=True)] == [b"a", b"b", b"c"]


def test_the_last_of_a_repeated_field_counts_as_in_protobuf() -> None:
    messages = [field(1, f"{index} first") + field(1, f"{index} last") for index in range(50)] + [b""]
    data = b"".join(messages)
    ends = np.cumsum([len(message) for message in messages])
    found = wire.scan(Buffer(data), ends - [len(message) for message in messages], ends).select(1)
    starts, stops = found.last(51)
    last = [data[start:stop].decode() for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    assert last == [*(f"{index} last" for index in range(50)), ""]


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("length", [1, 10])
def test_varints(number: int, length: int) -> None:
    data = varint(number, length=length)
    assert wire.varint(memoryview(data), 0, len(data)) == (number, len(data))
    values, after = wire.varints(Buffer(data), np.zeros(3, np.int64))
    assert values.astype(np.uint64).tolist() == [number] * 3
    assert after.tolist() == [len(data)] * 3

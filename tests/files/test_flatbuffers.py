from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest

from tfmagic import errors
from tfmagic.files.flatbuffers import Buffer, Table

if TYPE_CHECKING:
    from pathlib import Path


def buffer(data: bytes) -> Buffer:
    return Buffer(io.BytesIO(data), "sample")


def sample() -> bytes:
    """A root table with an int, a string, a vector of ints and a vector of two tables; field 4 is absent."""
    vtable = struct.pack("<7H", 14, 20, 4, 8, 12, 16, 0)
    root = 4 + 4 + len(vtable) + 2
    strings = root + 20
    head = struct.pack("<I4s", root, b"SMPL") + vtable + b"\0\0"
    table = struct.pack("<i", root - 8) + struct.pack("<i", -7)
    text = struct.pack("<I", 5) + b"hello\0\0\0"
    ints = struct.pack("<I3i", 3, 1, -2, 3)
    vector = struct.pack("<I", 2)
    text_at, ints_at = strings, strings + len(text)
    vector_at = ints_at + len(ints)
    inner_at = vector_at + 12
    offsets = struct.pack("<III", text_at - (root + 8), ints_at - (root + 12), vector_at - (root + 16))
    vector += struct.pack("<II", inner_at - (vector_at + 4), inner_at - (vector_at + 8))
    return head + table + offsets + text + ints + vector + struct.pack("<ii", inner_at - 8, 11)


def root() -> Table:
    return buffer(sample()).root()


def test_reads_each_kind_of_field() -> None:
    table = root()
    assert table.scalar(0, "int") == -7
    assert table.text(1) == "hello"
    assert table.scalars(2, "int") == (1, -2, 3)
    assert [inner.scalar(0, "int") for inner in table.tables(3)] == [11, 11]
    assert table.count(3) == 2


def test_gives_defaults_for_what_is_absent() -> None:
    table = root()
    assert not table.has(4)
    assert not table.has(99)
    assert table.scalar(4, "int", 5) == 5
    assert table.text(4) == ""
    assert table.scalars(4, "int") == ()
    assert list(table.tables(4)) == []


def test_identifier() -> None:
    assert buffer(sample()).identifier() == b"SMPL"


@pytest.mark.parametrize("length", range(len(sample())))
def test_a_truncated_buffer_is_corrupt(length: int) -> None:
    def read_all() -> None:
        table = buffer(sample()[:length]).root()
        table.scalar(0, "int")
        table.text(1)
        table.scalars(2, "int")
        for inner in table.tables(3):
            inner.scalar(0, "int")

    with pytest.raises(errors.CorruptSourceError, match="sample"):
        read_all()


def test_claimed_lengths_are_not_allocated() -> None:
    data = bytearray(sample())
    at = data.index(struct.pack("<I", 5) + b"hello")
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    with pytest.raises(errors.CorruptSourceError, match="4,294,967,295 elements"):
        buffer(bytes(data)).root().text(1)


def test_repeated_references_are_limited() -> None:
    # A vector of as many tables could name one long string a million times.
    repeating = buffer(bytes(1 << 20))

    def read_again_and_again() -> None:
        for _ in range(1000):
            repeating.read(0, 1 << 20)

    with pytest.raises(errors.CorruptSourceError, match="over and over"):
        read_again_and_again()


def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(1 << 20))
    with path.open("r+b") as file:
        shrinking = Buffer(file, "shrinking")
        file.truncate(1000)
        with pytest.raises(errors.CorruptSourceError, match="shorter"):
            shrinking.read(900_000, 100)


def test_reads_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(range(256)) * 4096)
    with path.open("rb") as file:
        assert Buffer(file, "long").read(65_530, 12) == bytes([250, 251, 252, 253, 254, 255, 0, 1, 2, 3, 4, 5])

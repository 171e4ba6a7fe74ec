from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.checkpoint_samples import LFS_POINTER, block, snappy_literals, table
from tfmagic import errors
from tfmagic.files.checkpoints import sorted_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENTRIES = {f"key/{number:04}".encode(): str(number).encode() * 9 for number in range(300)}


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return written(tmp_path / "plain.index", table(ENTRIES, per_block=40))


@pytest.mark.parametrize("per_block", [1, 40, 1000])
@pytest.mark.parametrize("compressed", [False, True])
def test_all_entries_in_order(tmp_path: Path, per_block: int, *, compressed: bool) -> None:
    data = table(ENTRIES, per_block=per_block, compress=snappy_literals if compressed else None)
    opened = sorted_tables.Table.open(written(tmp_path / "t", data))
    assert dict(opened) == ENTRIES
    assert [key for key, _ in opened] == sorted(ENTRIES)
    assert opened.first() == next(iter(ENTRIES.items()))
    assert len(opened.blocks) == -(-len(ENTRIES) // per_block)


def test_get_finds_each_key_and_no_other(plain: Path) -> None:
    opened = sorted_tables.Table.open(plain)
    assert all(opened.get(key) == value for key, value in ENTRIES.items())
    assert [opened.get(key) for key in (b"", b"key/0000x", b"key/9999")] == [None, None, None]


@pytest.mark.parametrize("compress", [None, snappy_literals])
def test_first_of_a_large_block_reads_its_beginning(
    tmp_path: Path, compress: Callable[[bytes], bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {b"": b"\x0a" + bytes(100_000), b"values": random.Random(0).randbytes(3_000_000)}
    opened = sorted_tables.Table.open(written(tmp_path / "v1", table(entries, compress=compress)))
    spans = []
    read = sorted_tables._bytes

    def spying(path: Path, offset: int, size: int) -> bytes:
        spans.append(size)
        return read(path, offset, size)

    monkeypatch.setattr(sorted_tables, "_bytes", spying)
    assert opened.first() == (b"", entries[b""])
    assert sum(spans) < 1_000_000


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"short", "footer"),
        (LFS_POINTER, "Git LFS"),
        (bytes(100), "footer"),
        (sorted_tables.MAGIC, "footer"),
        (b"\xff" * 40 + sorted_tables.MAGIC, "footer"),
    ],
)
def test_what_is_no_table(tmp_path: Path, data: bytes, says: str) -> None:
    path = written(tmp_path / "no.index", data)
    with pytest.raises(errors.CorruptSourceError, match=says) as raised:
        sorted_tables.Table.open(path)
    assert repr(str(path)) in str(raised.value)
    assert "at byte" in str(raised.value)


def test_a_truncated_table_says_so(plain: Path) -> None:
    data = table({b"": b"\x08\x01", **ENTRIES})
    with pytest.raises(errors.CorruptSourceError, match="truncated to 1,000 bytes"):
        sorted_tables.Table.open(written(plain, data[:1000]))


def test_a_flipped_bit_is_noticed_by_its_block(plain: Path) -> None:
    data = bytearray(plain.read_bytes())
    handle = sorted_tables.Table.open(plain).blocks[2][1]
    data[handle.offset + 100] ^= 4
    with pytest.raises(errors.CorruptSourceError, match=rf"checksum \(at byte {handle.offset:,}\)"):
        list(sorted_tables.Table.open(written(plain, bytes(data))))


def test_keys_must_ascend(tmp_path: Path) -> None:
    with pytest.raises(errors.CorruptSourceError, match="do not ascend at b'a'"):
        list(sorted_tables.Table.open(written(tmp_path / "t", table({b"b": b"1", b"a": b"2"}))))


def test_an_entry_must_fit_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_tables, "_block", unchecked_block)
    data = bytearray(table({b"a": b"1" * 100, b"b": b"2"}))
    data[2] = 0x7F  # a longer value than the block
    with pytest.raises(errors.CorruptSourceError, match="does not fit its block"):
        list(sorted_tables.Table.open(written(tmp_path / "t", bytes(data))))


def test_keys_cannot_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each entry shares a megabyte with the one before: 8 bytes of file a megabyte of keys.
    key = bytes(1 << 20)
    body = b"\x00\x80\x80\x40\x00" + key + b"\x80\x80\x40\x01\x00\x01" * 100_000
    path = written(tmp_path / "t", table({b"": b""}))
    opened = sorted_tables.Table.open(path)
    monkeypatch.setattr(sorted_tables, "_block", lambda *_: body + block({})[-8:])
    start = time.process_time()
    with pytest.raises(errors.CorruptSourceError, match=r"does not fit|do not ascend"):
        list(opened)
    assert time.process_time() - start < 5


def test_blocks_must_not_overlap(tmp_path: Path) -> None:
    data = table({b"a": b"1", b"b": b"2"}, per_block=1)
    twice = block({b"a": b"\x00\x0d", b"b": b"\x00\x0d"})
    path = written(tmp_path / "t", data)
    with pytest.raises(errors.CorruptSourceError, match="names a block"):
        list(sorted_tables._data_handles(path, len(data), twice, len(data)))


def test_a_directory_is_a_read_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ReadError, match="cannot be read"):
        sorted_tables.Table.open(tmp_path)


def test_a_missing_file_stays_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sorted_tables.Table.open(tmp_path / "none.index")


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_damage_gives_our_errors_only_and_soon(
    plain: Path, seed: int, monkeypatch: pytest.MonkeyPatch, *, checked: bool
) -> None:
    if not checked:
        monkeypatch.setattr(sorted_tables, "_block", unchecked_block)
    rng = random.Random(seed)
    whole = plain.read_bytes()
    start = time.process_time()
    for _ in range(150):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        with contextlib.suppress(errors.CorruptSourceError):
            list(sorted_tables.Table.open(written(plain, bytes(data))))
    assert time.process_time() - start < 20


def unchecked_block(path: Path, size: int, handle: sorted_tables._Handle) -> bytes:
    """Stand in for a file whose checksums are right but whose writer was wrong, or wicked."""
    stored = sorted_tables._bytes(path, handle.offset, handle.size + 5)
    if len(stored) < handle.size + 5 or handle.offset + handle.size > size:
        problem = "past the end"
        raise sorted_tables._corrupt(path, handle.offset, problem)
    return sorted_tables._decompressed(path, handle, stored[: handle.size], stored[handle.size])

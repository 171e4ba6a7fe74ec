from __future__ import annotations

import errno
import gzip
import os
import random
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfmagic import errors
from tfmagic.files import reading

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = [0, 1, 7, 8, 4096, 100_001]


@pytest.fixture(params=SIZES)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bytes]:
    """A file and what is in it."""
    data = b"\x0a" * 2 + random.Random(request.param).randbytes(request.param)
    (tmp_path / "file").write_bytes(data)
    return tmp_path / "file", data


def test_a_file_is_read_whole_with_room_to_scan(written: tuple[Path, bytes]) -> None:
    path, data = written
    assert reading.read_bytes(path) == data
    buffer = reading.read_buffer(path)
    assert (buffer.size, bytes(buffer.data[: buffer.size])) == (len(data), data)
    assert len(buffer.octets) >= buffer.size + 8
    assert int(buffer.words[buffer.size - 1]) & 255 == data[-1]


def test_a_packed_file_is_unpacked(written: tuple[Path, bytes]) -> None:
    path, data = written
    path.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    buffer = reading.read_buffer(path)
    assert bytes(buffer.data[: buffer.size]) == data


def test_the_head_of_a_packed_file_is_unpacked_as_far_as_it_goes() -> None:
    data = random.Random(0).randbytes(50_000)
    packed = gzip.compress(data)
    assert reading.head_of(packed, 1000) == data[:1000]
    assert data.startswith(reading.head_of(packed[:20_000], 50_000))
    assert len(reading.head_of(packed[:20_000], 50_000)) > 10_000
    assert reading.head_of(b"plain", 1000) == b"plain"
    assert reading.head_of(b"\x1f\x8bnot gzip", 1000) == b""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "ends early"),
        (gzip.compress(bytes(1000), mtime=0)[:12] + b"\xff" * 20, "does not unpack|ends early"),
        (b"\x1f\x8b\xff", "does not unpack|ends early"),
    ],
)
def test_what_does_not_unpack(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(errors.CorruptSourceError, match=says):
        reading.read_buffer(tmp_path / "file")


def test_a_bomb_is_refused_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ALWAYS_ALLOWED", 1 << 20)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(200 << 20), 1))
    size = (tmp_path / "bomb").stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(errors.CorruptSourceError, match="unpacks to more than"):
            reading.read_buffer(tmp_path / "bomb")
        assert tracemalloc.get_traced_memory()[1] < 3 * 200 * size
    finally:
        tracemalloc.stop()


def test_text_may_grow_further_than_what_is_binary(tmp_path: Path) -> None:
    """A graph as text whose weights are zeros: 65 MiB of it are 200 kB packed."""
    line = (
        b'node { name: "weights" attr { key: "value" value { tensor { tensor_content: "'
        + b"\\000" * 1000
        + b'" } } } }\n'
    )
    text = line * (65 * 1024 * 1024 // len(line) + 1)
    packed = gzip.compress(text)
    assert len(text) > max(200 * len(packed), 64 << 20)
    (tmp_path / "graph.pbtxt").write_bytes(packed)
    assert reading.read_buffer(tmp_path / "graph.pbtxt").size == len(text)
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\0" + text))
    with pytest.raises(errors.CorruptSourceError, match="unpacks to more than 64 MiB"):
        reading.read_buffer(tmp_path / "bomb")


def test_more_than_a_message_can_be_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(reading.PROTOBUF_LIMIT + 1)
    with pytest.raises(errors.CorruptSourceError, match=r"2 GiB.*SavedModel"):
        reading.read_buffer(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 5))


@pytest.mark.parametrize("change", [grow, replace, touch, Path.unlink])
def test_a_file_that_changes_while_it_is_open_is_noticed(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    def read_while_it_changes() -> None:
        with reading.opened(path) as file:
            file.read()
            change(path)

    with pytest.raises(errors.CorruptSourceError, match="changed while it was read"):
        read_while_it_changes()


def test_what_the_system_refuses(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name in ("loop", "pipe", "."):
        with pytest.raises(errors.ReadError, match=r"cannot be read|no regular file"):
            reading.read_bytes(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        reading.read_bytes(tmp_path / "missing")


def test_an_error_inside_is_not_reworded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.WriteError, match="mine"), reading.opened(tmp_path / "file"):
        raise errors.WriteError("mine")
    # A full disk elsewhere is nothing that was read.
    with pytest.raises(OSError, match="full") as caught, reading.opened(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "full", "/elsewhere")
    assert not isinstance(caught.value, errors.TfMagicError)


def test_a_file_that_cannot_be_read_on_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with reading.opened(tmp_path / "file") as file:
        # Its descriptor is that of a directory now, which no system reads.
        directory = os.open(tmp_path, os.O_RDONLY)
        os.dup2(directory, file.fileno())
        os.close(directory)
        with pytest.raises(errors.ReadError, match=r"file' cannot be read"):
            file.read(3)

"""Files that are written, and begin to go to the disk, while the rest of them is made."""

from __future__ import annotations

import errno
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pytest

from tfmagic.files import early_writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MEGABYTE = 1 << 20
#: Small pieces and large ones, as a graph has them.
PIECES = [b"head", os.urandom(9 * _MEGABYTE), b"", b"between" * 10, *map(os.urandom, (3 * _MEGABYTE, 2 * _MEGABYTE))]
CONTENT = b"".join(PIECES)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert not [each for each in threading.enumerate() if each.name == "tfmagic write"]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """What the system is asked to begin with: where, how many bytes, and how long the file is by then."""
    asked = []

    def begin(descriptor: int, start: int, size: int, _flags: int) -> int:
        asked.append((start, size, os.fstat(descriptor).st_size))
        return -1

    monkeypatch.setattr(early_writing, "_beginning", lambda: begin)
    return asked


def test_the_bytes_begin_to_go_to_the_disk_before_the_rest_is_there(
    tmp_path: Path, begun: list[tuple[int, int, int]]
) -> None:
    with early_writing.opened(tmp_path / "file") as file:
        file.writelines(PIECES)
        assert file.tell() == len(CONTENT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    ends = [0, *(start + size for start, size, _ in begun)]
    assert [start for start, _, _ in begun] == ends[:-1]
    assert all(size <= 8 * _MEGABYTE and start + size == written for start, size, written in begun)
    assert len(CONTENT) - ends[-1] < 4 * _MEGABYTE


def test_a_small_file_is_written_without_a_thread(tmp_path: Path, begun: list[tuple[int, int, int]]) -> None:
    with early_writing.opened(tmp_path / "file") as file:
        file.write(bytes(_MEGABYTE))
        file.write(b"end")
        assert not [each for each in threading.enumerate() if each.name == "tfmagic write"]
    assert (tmp_path / "file").read_bytes() == bytes(_MEGABYTE) + b"end"
    assert begun == []


def test_many_small_pieces_keep_their_order(tmp_path: Path) -> None:
    pieces = [number.to_bytes(4, "big") * (number % 40_000) for number in range(0, 200_000, 997)]
    with early_writing.opened(tmp_path / "file") as file:
        file.writelines(pieces)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_what_was_there_is_gone_and_the_bytes_are_there_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for platform in (sys.platform, "darwin", "win32"):
        early_writing._beginning.cache_clear()
        monkeypatch.setattr(sys, "platform", platform)
        (tmp_path / "file").write_bytes(bytes(len(CONTENT) + 1))
        with early_writing.opened(tmp_path / "file") as file:
            file.writelines(PIECES)
        assert (tmp_path / "file").read_bytes() == CONTENT
    early_writing._beginning.cache_clear()


def _handed_over(file: BinaryIO, size: int) -> weakref.ref[Any]:
    """Write a piece of so many bytes that nobody else holds."""
    piece = np.zeros(size, np.uint8)
    file.write(piece.data)
    return weakref.ref(piece)


def test_pieces_that_wait_take_little(tmp_path: Path) -> None:
    with early_writing.opened(tmp_path / "file") as file:
        pieces = []
        for _ in range(20):
            pieces.append(_handed_over(file, 4 * _MEGABYTE))
            # One more is being let go of.
            assert sum(each() is not None for each in pieces) <= 8 + 1


def test_a_large_piece_is_alone_in_memory(tmp_path: Path) -> None:
    with early_writing.opened(tmp_path / "file") as file:
        for _ in range(3):
            assert _handed_over(file, 40 * _MEGABYTE)() is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
@pytest.mark.parametrize("sizes", [(9,), (1,), (9, 9, 40, 1)])
def test_what_the_disk_refuses_is_an_error(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), early_writing.opened(tmp_path / "full") as file:
        file.writelines(bytes(size * _MEGABYTE) for size in sizes)
    assert file.closed


def test_after_an_error_what_is_left_is_not_written(tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield bytes(_MEGABYTE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), early_writing.opened(tmp_path / "file") as file:
        file.writelines(interrupted())
    assert file.closed
    assert (tmp_path / "file").stat().st_size == 0

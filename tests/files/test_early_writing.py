"""Files that begin to go to the disk while they are written."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tfmagic.files import early_writing

if TYPE_CHECKING:
    from pathlib import Path

_MEGABYTE = 1 << 20
#: Small pieces and large ones, as a graph has them.
PIECES = [b"head", os.urandom(9 * _MEGABYTE), b"", b"between" * 10, *map(os.urandom, (3 * _MEGABYTE, 2 * _MEGABYTE))]
CONTENT = b"".join(PIECES)


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
    assert (tmp_path / "file").read_bytes() == CONTENT
    ends = [0, *(start + size for start, size, _ in begun)]
    assert [start for start, _, _ in begun] == ends[:-1]
    assert all(size <= 8 * _MEGABYTE and start + size == written for start, size, written in begun)
    assert len(CONTENT) - ends[-1] < 4 * _MEGABYTE


def test_of_a_small_file_nothing_is_asked(tmp_path: Path, begun: list[tuple[int, int, int]]) -> None:
    with early_writing.opened(tmp_path / "file") as file:
        file.write(bytes(_MEGABYTE))
    assert begun == []


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
def test_what_the_disk_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), early_writing.opened(tmp_path / "full") as file:
        file.write(bytes(9 * _MEGABYTE))

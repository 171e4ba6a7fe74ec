from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from tfmagic import errors, progress
from tfmagic.files import copies, reading

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_copied_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "deep" / "file").write_bytes(b"content")
    (tmp_path / "source" / "empty").mkdir()
    copies.copy(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy" / "deep" / "file").read_bytes() == b"content"
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["deep", "empty"]


@pytest.mark.skipif(os.name != "posix", reason="links and permissions are those of Unix")
def test_what_is_behind_links_comes_along_and_permissions_do(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"content")
    (tmp_path / "elsewhere").chmod(0o600)
    (tmp_path / "source" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source").chmod(0o555)
    copies.copy(tmp_path / "source", tmp_path / "copy")
    (tmp_path / "source").chmod(0o755)
    copy = tmp_path / "copy" / "link"
    assert not copy.is_symlink()
    assert copy.read_bytes() == b"content"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o755


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    os.mkfifo(tmp_path / "source" / "pipe")
    with pytest.raises(errors.ReadError, match="no regular file"):
        copies.copy(tmp_path / "source", tmp_path / "copy")


@pytest.mark.skipif(sys.platform != "linux", reason="a file that fails to be read is of Linux's /proc")
def test_what_the_system_refuses_to_read_is_told_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "source").symlink_to("/proc/self/mem")
    with pytest.raises(errors.ReadError, match="source' cannot be read"):
        copies.copy(tmp_path / "source", tmp_path / "copy")


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"old")
    copy = progress.copy

    def changing(*files: object) -> None:
        source.write_bytes(b"newer")
        copy(*files)  # type: ignore[arg-type]

    monkeypatch.setattr(progress, "copy", changing)
    with pytest.raises(errors.CorruptSourceError, match="changed while it was read"):
        copies.copy(source, tmp_path / "copy")
    assert reading.read_bytes(source) == b"newer"


def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    watch = progress.Watch(lambda _stage: None)
    watch.cancel()
    with progress.watched(watch), pytest.raises(progress.CancelledError):
        copies.copy(tmp_path / "source", tmp_path / "copy")

"""Copy what was read to where a result is written, with the words of the side that refuses.

A library that copies tells of both in one error, and would wait for a pipe. Not for: where results come to stand
(:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tfmagic import progress
from tfmagic.files import early_writing, places, reading

if TYPE_CHECKING:
    from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a directory with all that is in it; what is behind links comes along.

    Parameters
    ----------
    source : Path
        A regular file, or a directory of such.
    target : Path
        Where there is no directory yet; a file is written over. It gets the permissions of the source, as with
        ``cp``; directories can be changed by their owner.

    Raises
    ------
    ReadError
        If the source may not be read, or cannot, or is neither.
    CorruptSourceError
        If a file changed while it was read.
    CancelledError
        If who watches has asked to stop.
    """
    if source.is_dir():
        target.mkdir()
        with reading.refusals(source):
            names = sorted(places.names(source))
        for name in names:
            copy(source / name, target / name)
    else:
        with reading.opened(source) as file, early_writing.opened(target) as copied:
            progress.copy(file, copied)
    # Not every file system has them.
    with suppress(OSError):
        mode = stat.S_IMODE(source.stat().st_mode)
        target.chmod(mode | stat.S_IRWXU if target.is_dir() else mode)

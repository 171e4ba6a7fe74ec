"""What lies in a folder: names, sizes, and by what a change of each file is told. No link out of a place is followed.

A walk over many models looks at a place through this alone. Not for: which files are one model
(:mod:`tfmagic.files.bundles`), or reading any.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A name in a folder.

    Attributes
    ----------
    name : str
        The name.
    is_folder : bool
        Whether it is a folder; a link to one is none.
    size : int
        The bytes of a file, 0 of a folder.
    version : str
        What is another text once the file was written again.
    modified : float
        When it was last written, in seconds since 1970; 0 where that is not known.
    elsewhere : str
        Where a link leads that leads out of the place, or to nothing; empty for everything else.
    """

    name: str
    is_folder: bool = False
    size: int = 0
    version: str = ""
    modified: float = 0.0
    elsewhere: str = ""


def entries(folder: Path, place: Path) -> list[Entry]:
    """Return what a folder shows, by name; links to folders and what is neither file nor folder are left out.

    Parameters
    ----------
    folder : Path
        The folder.
    place : Path
        What links must not lead out of, itself without links.

    Raises
    ------
    OSError
        If it cannot be listed.
    """
    with os.scandir(folder) as listed:
        known = [entry for item in listed if (entry := _entry(item, place)) is not None]
    return sorted(known)


def _entry(item: os.DirEntry[str], place: Path) -> Entry | None:
    """Take note of a name; None for what went away meanwhile, and for pipes and the like."""
    try:
        if item.is_symlink():
            return _linked(item, place)
        if item.is_dir(follow_symlinks=False):
            return Entry(item.name, is_folder=True)
        return _file(item.name, item.stat(follow_symlinks=False)) if item.is_file(follow_symlinks=False) else None
    except OSError:
        return None


def _linked(item: os.DirEntry[str], place: Path) -> Entry | None:
    """Take a link to a file of the same place for that file; a folder inside is met by its own name."""
    try:
        target = Path(item.path).resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError):
        return Entry(item.name, elsewhere=_target(item))
    if not target.is_relative_to(place):
        return Entry(item.name, is_folder=target.is_dir(), elsewhere=str(target))
    return _file(item.name, status) if target.is_file() else None


def _target(item: os.DirEntry[str]) -> str:
    try:
        return os.readlink(item.path)  # noqa: PTH115 - as it is written
    except OSError:
        return "nowhere"


def _file(name: str, status: os.stat_result) -> Entry:
    version = f"{status.st_size}-{status.st_mtime_ns}"
    return Entry(name, size=status.st_size, version=version, modified=status.st_mtime)

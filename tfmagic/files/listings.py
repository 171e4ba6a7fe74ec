"""Walk a place, a directory here or at an address: names, sizes, and what differs once a file was written again.

Not for: one directory's names (:mod:`tfmagic.files.places`), or what a file is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.addresses.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Listed(NamedTuple):
    """A file of a place.

    Attributes
    ----------
    path : Path
        The file; :class:`Address` at an address.
    size : int
        Its bytes, negative where a server's list does not tell.
    stamp : str
        What differs once it was written again: its version where the store has such, else its time; empty if unknown.
    """

    path: Path
    size: int
    stamp: str


def walk(place: Path) -> Iterator[Listed]:
    """Yield each file below a directory: a directory's own before those of the directories in it, both by name.

    Links to directories are not followed, so that no walk leads out or in a circle; links to files are left out where
    they lead nowhere. A directory that may not be listed is passed over.

    Parameters
    ----------
    place : Path
        A directory, or a file, which is yielded alone. An address is asked once for each directory.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ReadError
        If an address may not be read, or its server does not answer.
    """
    if isinstance(place, Address):
        yield from _at_address(place)
    elif place.is_dir():
        yield from _here(place)
    else:
        status = place.stat()
        yield Listed(place, status.st_size, f"{status.st_mtime_ns}")


def beside(path: Address) -> Iterator[Listed]:
    """Yield the files at an address whose names begin as one does: those of a checkpoint, or the file alone."""
    stem = path.name.partition(".")[0]
    siblings = sorted(each for each in path.parent.iterdir() if each.name.startswith(stem))
    yield from (_listed(each) for each in siblings or [path] if each.is_file())


def _here(directory: Path) -> Iterator[Listed]:
    try:
        with os.scandir(directory) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except PermissionError:
        return
    inner = []
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            elif entry.is_file():
                status = entry.stat()
                yield Listed(directory / entry.name, status.st_size, f"{status.st_mtime_ns}")
        except OSError:
            # It went away meanwhile, or its links lead in a circle.
            continue
    for name in inner:
        yield from _here(directory / name)


def _at_address(place: Address) -> Iterator[Listed]:
    if place.is_dir():
        for path in place.walked():
            yield _listed(path)
    else:
        # One that is not there says so.
        place.stat()
        yield _listed(place)


def _listed(path: Address) -> Listed:
    entry = path.entry()
    return Listed(path, -1 if entry is None else entry.size, "" if entry is None else entry.tag)

"""What lies in a folder: names, sizes, and by what a change of each file is told. No link out of a place is followed.

A walk over many models looks at a place through this alone, be it here or at an address. Not for: which files are one
model (:mod:`tfmagic.files.folder_models`), or reading any.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tfmagic.files.addresses import entries as entries_at_addresses
from tfmagic.files.addresses import remote_place
from tfmagic.files.addresses.address import Address


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
        What is another text once the file was written again; empty where that is not known.
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

    What was listed is not kept: a place may hold more than fits into memory, and be others the next time.

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
    ReadError
        If an address may not be listed, or its server does not answer.
    """
    if isinstance(folder, Address):
        fresh = folder.anew()
        return sorted(_remote(name, entry) for name, entry in fresh.place.listing(fresh.inside).items())
    with os.scandir(folder) as listed:
        known = [entry for item in listed if (entry := _entry(item, place)) is not None]
    return sorted(known)


def unkept(place: Path) -> Path:
    """Return a place whose listings no library keeps; one of this machine as it is."""
    if not isinstance(place, Address):
        return place
    files = place.place.store.files
    try:
        own = type(files)(*files.storage_args, **{**files.storage_options, "use_listings_cache": False})
        store = remote_place.store_of(own)
    except Exception:  # noqa: BLE001 - of many libraries; what keeps listings works as well
        return place
    return Address(remote_place.RemotePlace(place.place.url, store), place.inside)


def named(path: Path) -> Path:
    """Return an address as if its user had named it, whom it tells that it is refused; another path as it is."""
    if not isinstance(path, Address):
        return path
    place = path.place
    url = place.url._replace(path=path.inside)
    return Address(remote_place.RemotePlace(url, remote_place.store_of(place.store.files)), path.inside)


def looked_up(path: Path, entry: Entry) -> Entry:
    """Return what is known of a file, asked for where a list does not tell its version."""
    if entry.version or not isinstance(path, Address):
        return entry
    known = path.anew().entry()
    return entry if known is None else _remote(entry.name, known)


def _remote(name: str, entry: entries_at_addresses.Entry) -> Entry:
    version = f"{entry.size}-{entry.tag}" if entry.tag else ""
    return Entry(name, entry.is_directory, max(entry.size, 0), version, entry.modified / 1e9)


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

"""Copy what lies at an address to a temporary directory, for who can read files of this machine alone.

Each answer is checked as for one who reads. Not for: which files make a model
(:mod:`tfmagic.models.local_models`).
"""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfmagic import errors, progress
from tfmagic.files import temporary_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfmagic.files.addresses.address import Address

#: Room left on the disk.
_SPARE = 256 << 20


class LocalCopy:
    """A temporary directory that is there as long as somebody holds this; one of a killed process is swept.

    Raises
    ------
    WriteError
        If there is no room for it, or no permission.
    """

    def __init__(self) -> None:
        scratch = temporary_files.Scratch()
        with scratch as place:
            # Beside the lock.
            self.path: Path = place / "copy"
            self.path.mkdir()
            self._end = scratch.belongs_to(self)

    def remove(self) -> None:
        """Remove it now."""
        self._end()


def fetched(files: Iterable[Address], base: Address) -> tuple[LocalCopy, int]:
    """Copy files; return where they are, under their names below the base, and their bytes.

    Raises
    ------
    ReadError
        If one cannot be fetched, has a name that leads elsewhere, or there is no room for all.
    CorruptSourceError
        If one changed meanwhile.
    """
    named = {file: _name(file, base) for file in files}
    copy = LocalCopy()
    try:
        _require_room(base, sum(file.stat().st_size for file in named), copy.path)
        for file, name in named.items():
            progress.check()
            target = copy.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(file, target)
        return copy, sum((copy.path / name).stat().st_size for name in named.values())
    except BaseException:
        copy.remove()
        raise


def _require_room(base: Address, needed: int, place: Path) -> None:
    if needed + _SPARE > shutil.disk_usage(place).free:
        message = (
            f"{str(base)!r} takes {needed:,} bytes in the temporary directory, which has no room for them; make "
            "room, or point TMPDIR to another disk"
        )
        raise errors.ReadError(message)


def _copy(file: Address, target: Path) -> None:
    entry = file.entry()
    if entry is None:
        raise FileNotFoundError(str(file))
    with target.open("wb") as copied:
        file.place.copy(file.inside, entry, copied)


def _name(file: Address, base: Address) -> PurePosixPath:
    """Return a file's name below the base: an object's may be any text."""
    name = PurePosixPath(file.relative_to(base).as_posix())
    if ".." in name.parts or name.is_absolute() or "\\" in str(name) or "\0" in str(name):
        message = f"{str(file)!r} has a name that leads elsewhere on this machine; copy it here by hand"
        raise errors.ReadError(message)
    return name

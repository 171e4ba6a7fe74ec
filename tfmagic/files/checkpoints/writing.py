"""Write several files that begin alike, a checkpoint's, so that at every moment the old or the new one is whole.

They are written in a hidden directory beside their place and moved there one by one. New shards have names that the
old ones have not, and the index, by which readers find the others, comes last: renaming it makes the old one the new
one. Where a graph (``.meta``) is replaced with it, that is two renames, and what loads between them would be neither;
the old index and graph are set aside first then, beside links to their shards, and come back if it ends there. Not for:
single files and directories (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import filecmp
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import hidden_places, places, protos, refusals, renames, write_checks, writing
from tfmagic.files.addresses.address import Address
from tfmagic.files.checkpoints import sorted_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The file by which readers find the others.
INDEX = ".index"
META = ".meta"
_PART = re.compile(r"(?P<stem>.*)(?P<suffix>\.index|\.meta|\.data-\d{5}-of-\d{5})", re.DOTALL)
_DATA = re.compile(r"\.data-(?P<number>\d{5})-of-(?P<count>\d{5})\Z")
#: Room for what is added to a name, in bytes.
_LONGEST = ".data-00000-of-00001"


def require_replaceable(prefix: Path, *, overwrite: bool, swept: bool = False) -> None:
    """Refuse a prefix that may not be replaced.

    Parameters
    ----------
    prefix : Path
        As :func:`write_checks.resolved` returns it.
    overwrite : bool
        Whether the user allowed to replace a checkpoint.
    swept : bool
        Whether the directory was swept: whatever is there then, is somebody's.

    Raises
    ------
    WriteError
        If there is a checkpoint of that name and ``overwrite`` is not given, or the name is a directory's, or none
        by which TensorFlow would find it.
    """
    write_checks.require_findable(prefix, by_pattern=True)
    if os.path.isdir(prefix):  # noqa: PTH112 - a name that is too long is none
        raise errors.WriteError(
            f"{str(prefix)!r} is a directory, and a checkpoint's files would begin with that name; add a name for them"
        )
    there = files(prefix) if swept else standing(prefix)
    if there and not overwrite:
        raise errors.WriteError(
            f"{str(prefix)!r} exists: {errors.listed(file.name for file in there)}; replace it with overwrite=True "
            "(--overwrite in a magic or shell), or name another place"
        )


def files(prefix: Path) -> list[Path]:
    """Return the files of a checkpoint that are there."""
    if not os.path.isdir(prefix.parent):  # noqa: PTH112 - as above
        return []
    try:
        names = os.listdir(prefix.parent)  # noqa: PTH208 - names are enough
        suffixes = {part["suffix"] for part in map(_PART.fullmatch, names) if part and _is_like(part["stem"], prefix)}
        # A file system may not mind the case of letters, nor how they are composed: it is asked by the name itself.
        paths = (prefix.with_name(prefix.name + suffix) for suffix in suffixes)
        return sorted(path for path in paths if path.is_file())
    except OSError as error:
        raise refusals.refusal(error, prefix) from error


def standing(prefix: Path) -> list[Path]:
    """Return the files of a checkpoint that are there, without what a killed write to a new place left of itself."""
    there = files(prefix)
    left = hidden_places.left_over(prefix.parent) if there else set()
    return [file for file in there if file.name not in left]


def is_left_over(prefix: Path) -> bool:
    """Say whether all that is there of a checkpoint is what a killed write to a new place left of itself."""
    return not isinstance(prefix, Address) and bool(files(prefix)) and not standing(prefix)


def _is_like(stem: str, prefix: Path) -> bool:
    return stem == prefix.name or places.folded(stem) == places.folded(prefix.name)


def size_of(prefix: Path) -> int:
    """Return the bytes of all files of a checkpoint."""
    return sum(file.stat().st_size for file in files(prefix))


def remove(prefix: Path) -> None:
    """Remove a checkpoint, its index first: what is left of a removal that is interrupted is no checkpoint."""
    for file in sorted(files(prefix), key=lambda path: path.suffix != INDEX):
        file.unlink(missing_ok=True)


def set_aside(prefix: Path) -> Path | None:
    """Return where a checkpoint lies whole that a killed write has set aside, None if there is none."""
    if isinstance(prefix, Address):
        return None
    try:
        names = [name for name in os.listdir(prefix.parent) if hidden_places.is_hidden(name)]  # noqa: PTH208
    except OSError:
        return None
    places = (renames.where_aside(prefix.parent / name) / prefix.name for name in names)
    return next((place for place in places if os.path.lexists(f"{place}{INDEX}")), None)


class Staging(writing.Aside):
    """A prefix to write to, as a context manager; without an exception, its files become those of the other.

    Parameters
    ----------
    prefix : Path
        As :func:`write_checks.resolved` returns it.
    overwrite : bool
        Whether an existing checkpoint is replaced.
    size : int
        The predicted size in bytes.

    Raises
    ------
    WriteError
        If the place is refused, not permitted, or has no room; the old checkpoint is then untouched.
    """

    def __init__(self, prefix: Path, *, overwrite: bool, size: int) -> None:
        require_replaceable(prefix, overwrite=overwrite)
        super().__init__(prefix, size=size)
        self._overwrite = overwrite

    @property
    def staged(self) -> Path:
        """The prefix to write to, in a directory of its own."""
        return self.place.path / "new" / "checkpoint"

    def __enter__(self) -> Path:
        """Make the directory."""
        staged = super().__enter__()
        try:
            staged.parent.mkdir()
        except OSError as error:
            self.place.close()
            raise refusals.refusal(error, self.destination, self._stands()) from error
        return staged

    def exists(self) -> bool:
        """Say whether there is a checkpoint of that name."""
        return bool(standing(self.destination))

    def _require_name(self) -> None:
        super()._require_name()
        with suppress(FileNotFoundError):
            (self.base / (self.destination.name + _LONGEST)).lstat()

    def commit(self) -> None:
        """Move the files to their place, and remove what they replace."""
        renames.flush(self.staged.parent)
        self.place.hold_parent()
        # Others may have written there meanwhile, or died in the middle of it.
        self._tell_back(hidden_places.sweep(self.base))
        require_replaceable(self.destination, overwrite=self._overwrite, swept=True)
        distinguish(self.staged, self.destination)
        new = {_suffix(file, self.staged): file for file in files(self.staged)}
        if writing.arrive(self.place, {file: self._target(suffix) for suffix, file in new.items()}):
            return
        self.destination.parent.mkdir(parents=True, exist_ok=True)
        self._moves(new, {_suffix(file, self.destination) for file in files(self.destination)}).carry_out()

    def _target(self, suffix: str) -> Path:
        return self.destination.with_name(self.destination.name + suffix)

    def _moves(self, new: Mapping[str, Path], old: set[str]) -> renames.Moves:
        """Plan the renames: the shards, then what cannot be there together with what it replaces."""
        parent = self.destination.parent
        if parent != self.base:
            raise FileExistsError
        pairs = {suffix: (f"new/{file.name}", self._target(suffix).name) for suffix, file in new.items()}
        last = [suffix for suffix in (META, INDEX) if suffix in new]
        if META in new and META in old and filecmp.cmp(new[META], self._target(META), shallow=False):
            last.remove(META)
        graph_changes = META in last or (META in old and META not in new)
        aside = [suffix for suffix in (INDEX, META) if graph_changes and suffix in old]
        return renames.Moves(
            self.place.path,
            tuple(pairs[suffix] for suffix in new if suffix not in (META, INDEX)),
            tuple(self._target(suffix).name for suffix in aside),
            tuple(pairs[suffix] for suffix in last),
            tuple(self._target(suffix).name for suffix in sorted(old - new.keys()) if suffix not in aside),
        )


def _suffix(file: Path, prefix: Path) -> str:
    return file.name.removeprefix(prefix.name)


def _shard_counts(prefix: Path) -> set[int]:
    """Return the numbers of shards that the names of data files speak of."""
    return {int(name["count"]) for name in (_DATA.search(file.name) for file in files(prefix)) if name}


def distinguish(staged: Path, prefix: Path) -> None:
    """Give the shards of a checkpoint other names than those at its place, which stays whole until it is replaced.

    A shard's name says how many there are, so the index is told of more, of which the last are empty. No value is
    moved.
    """
    there = _shard_counts(prefix)
    if not there & _shard_counts(staged):
        return
    count = max(there | _shard_counts(staged)) + 1
    index = staged.with_name(staged.name + INDEX)
    entries = dict(sorted_tables.Table.open(index))
    header = protos.parse("BundleHeaderProto", entries[b""])
    header.num_shards = count
    entries[b""] = header.SerializeToString()
    index.write_bytes(sorted_tables.table(entries))
    for file in files(staged):
        if name := _DATA.search(file.name):
            file.rename(_shard(staged, int(name["number"]), count))
    for number in range(count):
        if not _shard(staged, number, count).exists():
            _shard(staged, number, count).touch()
    renames.flush(staged.parent)


def _shard(prefix: Path, number: int, count: int) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{number:05}-of-{count:05}")

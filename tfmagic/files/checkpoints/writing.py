"""Write several files that begin alike, a checkpoint's, so that a kill in between leaves the old ones whole.

They are written in a hidden directory beside their place and moved there one by one, last the one by which readers
find the others. What the old one needs is not touched before: new shards have names of their own. Not for: single
files and directories (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The file by which readers find the others.
INDEX = ".index"
META = ".meta"
_DATA = re.compile(r"\.data-\d{5}-of-(?P<count>\d{5})\Z")


def check(prefix: Path, *, overwrite: bool) -> None:
    """Refuse a prefix that may not be replaced.

    Raises
    ------
    WriteError
        If there is a checkpoint of that name and ``overwrite`` is not given, or the name is a directory's.
    """
    if prefix.is_dir():
        raise errors.WriteError(
            f"{str(prefix)!r} is a directory, and a checkpoint's files would begin with that name; add a name for them"
        )
    files_now = files(prefix)
    if files_now and not overwrite:
        raise errors.WriteError(
            f"{str(prefix)!r} exists: {errors.listed(each.name for each in files_now)}; replace it with overwrite=True "
            "(--overwrite on a magic's line), or name another place"
        )


def files(prefix: Path) -> list[Path]:
    """Return the files of a checkpoint that are there."""
    if not prefix.parent.is_dir():
        return []
    named = (each for each in prefix.parent.iterdir() if each.name.startswith(prefix.name) and each.is_file())
    return sorted(each for each in named if _is_part(each.name.removeprefix(prefix.name)))


def _is_part(suffix: str) -> bool:
    return suffix in (INDEX, META) or _DATA.match(suffix) is not None


def shard_counts(prefix: Path) -> set[int]:
    """Return the numbers of shards that the names of data files speak of."""
    shards = (_DATA.search(each.name) for each in files(prefix))
    return {int(each["count"]) for each in shards if each}


def size_of(prefix: Path) -> int:
    """Return the bytes of all files of a checkpoint."""
    return sum(each.stat().st_size for each in files(prefix))


def remove(prefix: Path) -> None:
    """Remove a checkpoint, its index first: what is left of a removal that is interrupted is no checkpoint."""
    for leftover in sorted(files(prefix), key=lambda file: file.suffix != INDEX):
        leftover.unlink(missing_ok=True)


@contextmanager
def staging(prefix: Path, *, overwrite: bool, size: int) -> Iterator[Path]:
    """Give a prefix to write to; when the block ends without an exception, its files become those of the other.

    Parameters
    ----------
    prefix : Path
        As :func:`tfmagic.files.writing.resolved` returns it.
    overwrite : bool
        Whether an existing checkpoint is replaced.
    size : int
        The predicted size in bytes.

    Raises
    ------
    WriteError
        If the place is refused, not permitted, or has no room; the old checkpoint is then untouched.
    """
    check(prefix, overwrite=overwrite)
    with writing.aside(prefix, size=size) as directory:
        directory.mkdir()
        yield directory / prefix.name
        writing.flush(directory)
        # Somebody may have written there meanwhile.
        check(prefix, overwrite=overwrite)
        _move(directory, prefix)


def _move(directory: Path, prefix: Path) -> None:
    """Move the files to their place, the index last but for the graph, and remove what it replaces."""
    old = set(files(prefix))
    order = {INDEX: 1, META: 2}
    moved = set()
    for file in sorted(directory.iterdir(), key=lambda each: order.get(each.suffix, 0)):
        target = prefix.with_name(file.name)
        file.replace(target)
        moved.add(target)
    for stale in old - moved:
        stale.unlink(missing_ok=True)

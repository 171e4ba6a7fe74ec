"""Has this file changed: what differs once somebody has written it again.

Not for: noticing a change while a file is read (:mod:`tfmagic.files.reading`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tfmagic import errors
from tfmagic.files.addresses.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

#: The file's number, its size in bytes, and the nanoseconds of its last change.
Mark: TypeAlias = tuple[int, int, int]
#: As many files of a model are looked at: more are assets.
_MOST = 1000


def of(path: Path, *, now: bool = False) -> Mark | None:
    """Return the mark of a file, None if it cannot be looked at; ``now`` asks an address once more."""
    try:
        # What is at an address is asked for once, unless somebody wants to know what changed.
        status = path.stat_now() if now and isinstance(path, Address) else path.stat()
    except (OSError, ValueError, errors.ReadError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def of_model(path: Path, file: Path | None = None, beside: Iterable[Path] = ()) -> dict[Path, Mark]:
    """Return the marks of the files that a model is read from.

    Parameters
    ----------
    path : Path
        A file, a directory, or the prefix of a checkpoint.
    file : Path, optional
        The file with the graph, in a directory: all that lies beside it is of the model.
    beside : iterable of Path
        Further files, which only its content names.
    """
    marks = ((found, of(found)) for found in (*_files(path, file), *beside))
    return {found: mark for found, mark in marks if mark is not None}


def _files(path: Path, file: Path | None) -> Iterator[Path]:
    if isinstance(path, Address):
        # What nobody has looked at yet is not asked for: each look costs a request.
        yield from path.seen()
        return
    try:
        if file is not None and path.is_dir():
            inside = (found for found in file.parent.rglob("*") if found.is_file())
            yield from (found for found, _ in zip(inside, range(_MOST), strict=False))
        elif path.is_file():
            yield path
            # A graph beside its values.
            yield from _checkpoint_files(path.with_suffix("")) if path.suffix in (".meta", ".index") else ()
        elif not path.is_dir():
            yield from _checkpoint_files(path)
    except OSError:
        return


def _checkpoint_files(prefix: Path) -> list[Path]:
    # What writes is not loaded to read anything but a checkpoint.
    from tfmagic.files.checkpoints import writing as checkpoint_writing  # noqa: PLC0415

    return list(checkpoint_writing.files(prefix))


def changed(marks: Mapping[Path, Mark]) -> list[Path]:
    """Return the files that are others than they were; those that are gone do not count."""
    return [path for path, mark in marks.items() if of(path, now=True) not in (None, mark)]


def gone(marks: Mapping[Path, Mark]) -> list[Path]:
    """Return the files that are no longer there, or can no longer be looked at."""
    return [path for path in marks if of(path, now=True) is None]

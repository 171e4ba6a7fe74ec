"""What lies at a path: whether it is a file or a directory, its names, its first bytes, and what is near a missing one.

Models and readers look at paths through this module alone. Not for: reading a file whole
(:mod:`tfmagic.files.reading`) or writing (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import unicodedata
import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files.addresses import urls
from tfmagic.files.addresses.address import Address
from tfmagic.files.addresses.entries import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names of a directory that are looked at: for one like a missing name, for links.
_COMPARED = 10_000
#: Names that are offered for a missing one.
_OFFERED = 3
#: What is said where a blank may have ended a path too early.
IN_QUOTES = "a path with a blank in it goes into quotes"
#: What TensorFlow takes for more than itself where it looks for files as a shell does (``GetMatchingPaths``).
_OF_PATTERNS = frozenset("*?[\\")
#: What a path may lead to that is neither file nor directory; reading some of these would wait for ever.
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_visible(path: Path) -> None:
    """Refuse a path that cannot be looked at; nothing may be there, as a checkpoint's prefix is no file.

    Raises
    ------
    ReadError
        If it is not permitted, or the links lead in a circle.
    """
    if isinstance(path, Address):
        path.exists()
        return
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists() answers "no" to a loop of links
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        message = f"{str(path)!r} cannot be looked at: {getattr(error, 'strerror', None) or error}"
        raise errors.ReadError(f"{message}; check the path, its links and its permissions") from error


def require_existence(path: Path) -> None:
    """Refuse a path that leads nowhere.

    Raises
    ------
    FileNotFoundError
        With the nearest names that do lead somewhere.
    """
    if path.exists():
        return
    if path.is_symlink():
        message = f"{str(path)!r} is a link to {str(path.readlink())!r}, which is not there; give the file itself"
        raise FileNotFoundError(message)
    if isinstance(path, Address):
        if path.place.refusal is not None:
            raise path.place.refusal
        raise FileNotFoundError(urls.nothing_at(str(path)))
    parent = path.parent
    advice = f"; {what_is_near(path) or 'check the path'}"
    where = "" if parent.is_dir() else f", nor a directory {str(parent)!r}"
    message = f"there is no file, directory or checkpoint {str(path)!r}{where}{advice}"
    raise FileNotFoundError(message)


def what_is_near(path: Path) -> str:
    """Word which paths are near a missing one, or begin with it and a blank, which quotes keep; empty if none is."""
    names = _listable_names(path.parent)
    cut_off = sorted(name for name in names if name.startswith(f"{path.name} "))[:_OFFERED]
    same = sorted(name for name in names if folded(name) == folded(path.name))[:_OFFERED]
    near = cut_off or same or difflib.get_close_matches(path.name, names, n=_OFFERED)
    if not near:
        return ""
    offered = f"did you mean {errors.listed(str(path.parent / name) for name in near)}?"
    return f"{offered} {IN_QUOTES.capitalize()}" if cut_off else offered


def _listable_names(directory: Path) -> list[str]:
    if isinstance(directory, Address) or not directory.is_dir() or not os.access(directory, os.R_OK):
        return []
    return list(islice(os.listdir(directory), _COMPARED))  # noqa: PTH208 - names are enough


def as_address(path: Path | None) -> Address:
    """Return a path that is known to be an address; raises TypeError for one of this machine."""
    if not isinstance(path, Address):
        message = f"{str(path)!r} is no address"
        raise TypeError(message)
    return path


def is_address(source: str | os.PathLike[str]) -> bool:
    """Whether what a user gave for a path is an address."""
    return isinstance(source, Address) or urls.is_address(os.fsdecode(source))


def is_here(path: Path | None) -> bool:
    """Whether a path is one of this machine."""
    return not isinstance(path, Address)


def fetch_whole(path: Path, why: str) -> None:
    """Fetch a file at an address whole, where reading it piece by piece would take longer; it is told why."""
    if isinstance(path, Address):
        path.place.fetched_whole(path.inside, why=why)


def notes(path: Path) -> tuple[str, ...]:
    """Return what a person should know of how a path's files were fetched, nothing for what lies here."""
    return tuple(path.place.notes) if isinstance(path, Address) else ()


def fetched(path: Path | None) -> Fetched:
    """Return what the files of a model have cost so far, nothing for what lies here."""
    return path.fetched if isinstance(path, Address) else Fetched()


def is_pattern(path: Path) -> bool:
    """Whether TensorFlow may take the path for a pattern, where it looks for the files of a checkpoint by one."""
    return not _OF_PATTERNS.isdisjoint(str(path))


def exists(path: Path) -> bool:
    """Whether anything is there."""
    return path.exists()


def is_file(path: Path) -> bool:
    """Whether it is a regular file."""
    return path.is_file()


def is_link(path: Path) -> bool:
    """Whether it is a link, wherever that leads."""
    return path.is_symlink()


def is_directory(path: Path) -> bool:
    """Whether it is a directory."""
    return path.is_dir()


def names(directory: Path) -> frozenset[str]:
    """Return the names in a directory."""
    if isinstance(directory, Address):
        return frozenset(path.name for path in directory.iterdir())
    return frozenset(entry.name for entry in os.scandir(directory))


def directories(directory: Path) -> list[Path]:
    """Return the directories in a directory."""
    if isinstance(directory, Address):
        return [path for path in directory.iterdir() if path.is_dir()]
    return [directory / entry.name for entry in os.scandir(directory) if entry.is_dir()]


def head(file: Path, count: int) -> bytes:
    """Return the first bytes of a file.

    One without a size is not opened: some of ``/proc`` and of ``/sys`` wait until there is something to read.
    """
    if is_here(file) and not size(file):
        return b""
    with file.open("rb") as opened:
        return opened.read(count)


def is_archive(file: Path) -> bool:
    """Whether a file is a zip archive, perhaps among other things."""
    with file.open("rb") as opened:
        return zipfile.is_zipfile(opened)


def size(file: Path) -> int:
    """Return a file's size in bytes."""
    return file.stat().st_size


def modified(file: Path) -> int:
    """Return when a file was last written, in nanoseconds."""
    return file.stat().st_mtime_ns


def special(path: Path) -> str:
    """Say what is there that is neither file nor directory."""
    return _SPECIAL.get(stat.S_IFMT(path.stat().st_mode), "no regular file")


def specials(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield what below a directory is neither file nor directory, relative to it, and what it is; of so many names."""
    if isinstance(directory, Address):
        return
    for path in islice(directory.rglob("*"), _COMPARED):
        with suppress(OSError):
            if stat.S_IFMT(path.stat().st_mode) in _SPECIAL:
                yield path.relative_to(directory).as_posix(), special(path)


def require_no_specials(directory: Path) -> None:
    """Refuse a directory with what is no file: a library that opens all by name would wait there, or never end.

    Raises
    ------
    ReadError
        With the first of its kind.
    """
    for name, what in specials(directory):
        message = f"{str(directory / name)!r} is {what}, which would keep whoever loads the model waiting"
        raise errors.ReadError(f"{message}; put a file there, or take it away")


def links_out(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield each link below a directory that leads out of it, relative to it, and where to; of so many names."""
    if isinstance(directory, Address):
        # There are no links at an address, and each look costs a request.
        return
    home = directory.resolve()
    for path in islice(directory.rglob("*"), _COMPARED):
        if path.is_symlink():
            with suppress(OSError, RuntimeError):
                target = path.resolve()
                if not target.is_relative_to(home):
                    yield path.relative_to(directory).as_posix(), str(target)


def folded(name: str) -> str:
    """Return what two names have in common that macOS or Windows may take for one: letters without case, composed."""
    return unicodedata.normalize("NFC", name.casefold())


def is_within(path: Path, directory: Path) -> bool:
    """Whether a path is a directory or a file, or lies in it; the file system says which names are one.

    Parameters
    ----------
    path, directory : Path
        Absolute, without links.
    """
    if path.is_relative_to(directory):
        return True
    if len(path.parts) < len(directory.parts):
        return False
    near = Path(*path.parts[: len(directory.parts)])
    if folded(str(near)) != folded(str(directory)):
        return False
    with suppress(OSError, ValueError):
        return near.samefile(directory)
    return False


def stays_inside(name: str) -> bool:
    r"""Whether a file's name that a model states stays in the directory that it is put behind, on whichever system.

    Windows separates by ``\``, too, takes ``C:x`` for a file of another drive, ``x:y`` for a stream beside ``x``, and
    ``.. `` for ``..``.
    """
    parts = name.replace("\\", "/").split("/")
    climbs = any(part not in ("", ".") and not part.strip(". ") for part in parts)
    return parts[0] != "" and not climbs and set(":\0").isdisjoint(name)


def leads_elsewhere(name: str, directory: Path) -> bool:
    """Whether a file's name that a directory's file holds leads out of the directory: upwards, or to what is there."""
    if ".." in re.split(r"[/\\]", name):
        return True
    path = Path(name)
    if path.anchor and not path.is_absolute():
        # Of Windows: `C:name` and `\name` are of another drive, or of the root of this one.
        return True
    try:
        return path.is_absolute() and path.parent.is_dir() and path.parent.resolve() != directory.resolve()
    except (OSError, ValueError, RuntimeError):
        return False


def size_within(directory: Path, name: str) -> int | None:
    """Return the size of a file by its name within a directory; one that leads out of it is not followed."""
    try:
        folder = directory.resolve()
        path = (folder / name).resolve()
        return path.stat().st_size if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        # No name for a file: too long, with a NUL in it, or a loop of links.
        return None

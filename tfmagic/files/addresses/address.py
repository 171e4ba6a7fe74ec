"""An address as a path: whoever reads opens it, lists it and looks at it as at any other.

What would give it to somebody who knows this machine alone (``os.fspath``) is refused, so that no name of it is taken
for a file here. Not for: asking (:mod:`tfmagic.files.addresses.stores`), or writing.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Self

from tfmagic import errors
from tfmagic.files.addresses import urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.addresses.entries import Entry, Fetched
    from tfmagic.files.addresses.remote_place import RemotePlace


class Address(Path):
    """A path at an address. ``str()`` is the address without credentials.

    Attributes
    ----------
    place : RemotePlace
        Who is asked.
    inside : str
        The path in it.
    """

    place: RemotePlace
    inside: str

    def __new__(cls, place: RemotePlace, inside: str) -> Self:  # noqa: D102 - pathlib makes another class of it
        self = object.__new__(cls)
        self.place, self.inside = place, inside
        return self

    def __init__(self, *arguments: object) -> None:
        """Keep what ``__new__`` has set; a path of this machine would be taken apart here."""

    @classmethod
    def of(cls, text: str) -> Address:
        """Return what a text means; raises as :func:`remote_place.place_at`."""
        # With it comes what asks.
        from tfmagic.files.addresses import remote_place  # noqa: PLC0415

        return cls(*remote_place.place_at(text))

    def anew(self) -> Address:
        """Return the address as somebody sees it who has asked nothing yet."""
        return Address(self.place.anew(), self.inside)

    @property
    def fetched(self) -> Fetched:
        """What was fetched of the model so far."""
        return self.place.store.fetched

    def seen(self) -> list[Address]:
        """Return the files of the model that were looked at so far."""
        return [self._beside(inside) for inside in self.place.seen()]

    def _beside(self, inside: str) -> Address:
        return Address(self.place, inside)

    # What it is called

    def __str__(self) -> str:
        return self.place.url.shown(self.inside)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __fspath__(self) -> str:
        message = f"{str(self)!r} does not lie on this machine; copy it here, and give that path"
        raise errors.ReadError(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.place.url, self.inside, self.place.store.files)

    def _key(self) -> tuple[str, str]:
        return self.place.url.asked(self.inside), self.place.url.head

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self._key() == other._key()

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other)

    def __truediv__(self, name: str | os.PathLike[str]) -> Address:
        text = name if isinstance(name, str) else str(name)
        return self._beside(text if text.startswith("/") else f"{self.inside.rstrip('/')}/{text}".lstrip(self._lead()))

    def _lead(self) -> str:
        # A bucket's name begins with no slash, nor does what lies at the root of an archive.
        return "" if self.inside.startswith("/") else "/"

    def joinpath(self, *names: str | os.PathLike[str]) -> Address:  # noqa: D102 - as Path has it
        result = self
        for name in names:
            result = result / name
        return result

    @property
    def parts(self) -> tuple[str, ...]:  # noqa: D102 - as Path has it
        return (self.place.url.head, *filter(None, self.inside.split("/")))

    @property
    def name(self) -> str:  # noqa: D102 - as Path has it
        return self.inside.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:  # noqa: D102 - as Path has it
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:  # noqa: D102 - as Path has it
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> Address:  # noqa: D102 - as Path has it
        before, mark, _ = self.inside.rstrip("/").rpartition("/")
        return self._beside(before or (mark if self.inside.startswith("/") else ""))

    @property
    def parents(self) -> tuple[Address, ...]:  # noqa: D102 - as Path has it
        count = len([part for part in self.inside.split("/") if part])
        result = [self]
        for _ in range(count):
            result.append(result[-1].parent)
        return tuple(result[1:])

    def with_name(self, name: str) -> Address:  # noqa: D102 - as Path has it
        return self.parent / name

    def with_suffix(self, suffix: str) -> Address:  # noqa: D102 - as Path has it
        return self.with_name(self.stem + suffix)

    def as_posix(self) -> str:  # noqa: D102 - as Path has it
        return str(self)

    def is_absolute(self) -> bool:  # noqa: D102 - as Path has it
        return True

    def expanduser(self) -> Address:  # noqa: D102 - as Path has it
        return self

    def resolve(self, strict: bool = False) -> Address:  # noqa: ARG002, D102, FBT001, FBT002 - as Path has it
        kept = "/" if self.inside.startswith("/") else ""
        return self._beside(kept + posixpath.normpath("/" + self.inside).lstrip("/"))

    def is_relative_to(self, other: Any, *_: Any) -> bool:  # noqa: ANN401, D102 - as Path has it
        if not isinstance(other, Address) or other.place.url.root != self.place.url.root:
            return False
        return self.inside == other.inside or self.inside.startswith(other.inside.rstrip("/") + "/")

    def relative_to(self, other: Any, *_: Any, **__: Any) -> Path:  # type: ignore[override]  # noqa: ANN401, D102
        if not self.is_relative_to(other):
            message = f"{str(self)!r} does not lie in {str(other)!r}"
            raise ValueError(message)
        return Path(self.inside[len(other.inside.rstrip("/")) :].lstrip("/"))

    # What is there

    def entry(self, *, fresh: bool = False) -> Entry | None:
        """Return what is there, None if nothing is."""
        return self.place.entry(self.inside, fresh=fresh)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size, time, and a number that another version does not have, as they were when first asked for.

        Raises
        ------
        FileNotFoundError
            If nothing is there.
        """
        del follow_symlinks
        return self._status(self.entry())

    def stat_now(self) -> os.stat_result:
        """Return what :meth:`stat` does, as it is now."""
        return self._status(self.entry(fresh=True))

    def _status(self, entry: Entry | None) -> os.stat_result:
        if entry is None:
            raise FileNotFoundError(urls.nothing_at(str(self)))
        kind = stat.S_IFDIR | 0o755 if entry.is_directory else stat.S_IFREG | 0o644
        seconds = entry.modified // 10**9
        times = {"st_mtime_ns": entry.modified, "st_atime_ns": entry.modified, "st_ctime_ns": entry.modified}
        return os.stat_result((kind, entry.number, 0, 1, 0, 0, max(entry.size, 0), seconds, seconds, seconds), times)

    lstat = stat

    def exists(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002, D102 - as Path has it
        return self.entry() is not None or self.is_dir()

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002, D102 - as Path has it
        entry = self.entry()
        return entry is not None and not entry.is_directory

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002, D102 - as Path has it
        return self.place.is_directory(self.inside)

    def is_symlink(self) -> bool:  # noqa: D102 - as Path has it
        return False

    def iterdir(self) -> Iterator[Address]:  # type: ignore[override]  # noqa: D102 - as Path has it
        return (self / name for name in self.place.listing(self.inside))

    def walked(self) -> Iterator[Address]:
        """Yield each file below, a directory's before those of the directories in it, by name."""
        inner = []
        for name, entry in sorted(self.place.listing(self.inside).items()):
            if entry.is_directory:
                inner.append(self / name)
            else:
                yield self / name
        for directory in inner:
            yield from directory.walked()

    def rglob(self, pattern: str, **_: Any) -> Iterator[Address]:  # type: ignore[override]  # noqa: ANN401
        """Yield each file below; directories are no things of their own here."""
        return (path for path in self.walked() if pattern == "*" or PurePosixPath(path.name).match(pattern))

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:  # type: ignore[override]  # noqa: ANN401
        """Open a file for reading bytes.

        Raises
        ------
        FileNotFoundError, IsADirectoryError
            If there is none.
        WriteError
            If it is to be written.
        """
        if mode != "rb":
            message = f"{str(self)!r} is not written where it lies; write a file here, and upload that"
            raise errors.WriteError(message)
        return self.opened()

    def opened(self) -> io.BufferedReader:
        """Open a file for reading bytes; raises as :meth:`open`."""
        return io.BufferedReader(self.place.opened(self.inside))

    def read_bytes(self) -> bytes:  # noqa: D102 - as Path has it
        with self.open("rb") as file:
            data: bytes = file.read()
        return data

    def read_text(self, encoding: str | None = None, *_: Any, **__: Any) -> str:  # noqa: ANN401, D102 - as Path has it
        return self.read_bytes().decode(encoding or "utf-8")


def _again(url: urls.Url, inside: str, files: Any) -> Address:  # noqa: ANN401 - of an optional library
    """Make an address once more, in another process; what was fetched stays in the first."""
    from tfmagic.files.addresses import remote_place  # noqa: PLC0415 - as above

    return Address(remote_place.RemotePlace(url, remote_place.store_of(files)), inside)


def path_of(source: str | os.PathLike[str]) -> Path:
    """Return the path that a source means: an address, or a path on this machine, where ``~`` is the user's home.

    Raises
    ------
    MissingDependencyError, ReadError
        If nothing is installed, or known, that speaks an address' protocol.
    """
    if isinstance(source, Address):
        return source.anew()
    text = os.fsdecode(source)
    if urls.is_address(text):
        return Address.of(text)
    # Unlike Path.expanduser, this leaves a file named "~x" alone where there is no user x.
    return Path(os.path.expanduser(urls.here(text)))  # noqa: PTH111

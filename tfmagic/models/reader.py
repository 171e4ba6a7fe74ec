"""How a form is recognised and read, and how a format is written: the protocols, and the search.

A :class:`Candidate` is what readers look at: a live object, or a path with its first and last bytes, read once
for all of them. Exactly one reader claims a candidate. Not for: the readers and writers themselves, nor the
lists of them (``readers/__init__.py``, ``writers/__init__.py``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from tfmagic.models.model import Model, Part

_Entry = TypeVar("_Entry")
#: Enough for the first messages of any form; recognition never reads more of a file than this and the tail.
HEAD_BYTES = 64 * 1024
#: LevelDB's table footer, the longest mark that a form has at its end.
TAIL_BYTES = 48


@dataclass(frozen=True)
class Candidate:
    """A source on its way to a reader.

    Attributes
    ----------
    value : object
        What the user gave: a live object, a message, or the path as given.
    path : Path or None
        The file, directory or checkpoint prefix, if the source is a path. A prefix need not exist as a file.
    trust : bool
        Whether the user allows code in the source to run, once a part that needs it is asked for.
    """

    value: object
    path: Path | None = None
    trust: bool = False

    @cached_property
    def is_file(self) -> bool:
        """Whether the path is a regular file."""
        return self.path is not None and self.path.is_file()

    @cached_property
    def is_directory(self) -> bool:
        """Whether the path is a directory."""
        return self.path is not None and self.path.is_dir()

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the file, empty for anything else."""
        if not self.is_file or self.path is None:
            return b""
        with self.path.open("rb") as file:
            return file.read(HEAD_BYTES)

    @cached_property
    def tail(self) -> bytes:
        """The last bytes of the file, empty for anything else."""
        if not self.is_file or self.path is None:
            return b""
        with self.path.open("rb") as file:
            file.seek(max(0, self.size - TAIL_BYTES))
            return file.read(TAIL_BYTES)

    @cached_property
    def size(self) -> int:
        """The file's size in bytes."""
        return self.path.stat().st_size if self.is_file and self.path is not None else 0

    @cached_property
    def entries(self) -> frozenset[str]:
        """The names in the directory, empty for anything else."""
        if not self.is_directory or self.path is None:
            return frozenset()
        return frozenset(entry.name for entry in os.scandir(self.path))


class Reader(Protocol):
    """One form of source.

    ``claims`` is cheap, certain, executes nothing and never imports TensorFlow; no two readers claim the same
    candidate. ``read`` returns a Model whose parts are still unread.
    """

    form: ClassVar[str]
    #: What sources of this form have at most; a single source may have less.
    parts: ClassVar[frozenset[Part]]
    #: How a source of this form looks, in a few words, for messages and the table of forms.
    looks_like: ClassVar[str]
    #: Whether it takes live objects only: a path cannot be read as this form whatever the user says.
    is_live: ClassVar[bool]

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the candidate is of this form, by its content."""

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model, restricted to the MetaGraphDef with these tags if any are given."""


@dataclass(frozen=True)
class WriteOptions:
    """What a writer is told beside the source.

    Attributes
    ----------
    signatures : tuple of str
        The keys of the signatures to write, in order. Their functions have been selected, renamed and given their
        method already: the source's FUNCTION part answers to exactly these keys.
    tags : tuple of str
        The tag-set, where the format has one.
    given : tuple of str
        The options of :func:`tfmagic.export` that the user named, for formats in which one means nothing.
    text : bool
        Whether text is wanted where the format has two forms.
    """

    signatures: tuple[str, ...]
    tags: tuple[str, ...]
    given: tuple[str, ...] = ()
    text: bool = False


class Draft(Protocol):
    """A result that is ready to be written: everything that can be refused has been.

    One of a format that runs has ``load`` as well (:class:`Runnable`), one of values ``read_back`` (:class:`Compared`).
    """

    @property
    def size(self) -> int:
        """The predicted size in bytes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the result."""

    def write(self, path: Path) -> None:
        """Write the file or the directory; nothing exists there yet."""


@runtime_checkable
class Runnable(Protocol):
    """A draft of what can run: it is run on the same inputs as its source."""

    def load(self, path: Path, key: str) -> Callable[[Mapping[str, npt.ArrayLike]], Mapping[str, np.ndarray]]:
        """Read back what was written, and return its signature of this key as a function of arrays by key."""


class Writer(Protocol):
    """One format of result."""

    format: ClassVar[str]
    #: The suffixes of paths that ask for this format; ``""`` is a path without one.
    suffixes: ClassVar[tuple[str, ...]]
    #: The parts that a source must have.
    needs: ClassVar[frozenset[Part]]
    #: Whether the result is a directory, else a file.
    directory: ClassVar[bool]

    def prepare(self, source: Model, options: WriteOptions) -> Draft:
        """Do all of the conversion that comes before the first byte.

        Raises
        ------
        ConversionError
            If this source cannot be written in this format.
        """


@runtime_checkable
class Placing(Protocol):
    """A writer that puts its result into what the user names, where others put it in its place."""

    def place(self, destination: Path) -> Path:
        """Return the file or directory that is made, for a destination with all links resolved."""


@runtime_checkable
class Grouped(Protocol):
    """A writer whose result is several files that begin alike, of which the destination is the beginning."""

    def settle(self, staged: Path, place: Path) -> None:
        """Give what was written names that collide with nothing at its place, other than those replaced last."""

    def finish(self, place: Path, keep: int | None) -> tuple[str, ...]:
        """Do what is left once the files are at their place; return what is to be noted."""


@runtime_checkable
class Compared(Protocol):
    """A draft of what cannot run: values are compared instead."""

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield the name of each value, the value as it was to be written, and as it is read from what was written."""


class Conversions(NamedTuple):
    """A row of the table of forms by formats: whether sources of a form may be written in each format."""

    form: str
    formats: dict[str, bool]


def conversion_table(readers: Iterable[Reader], writers: Iterable[Writer]) -> list[Conversions]:
    """Compute what can become what: a format is possible where the form has the parts that its writer needs."""
    listed = list(writers)
    return [
        Conversions(reader.form, {writer.format: writer.needs <= reader.parts for writer in listed})
        for reader in readers
    ]


def check(entry: object, kind: str, own: Collection[str], members: Iterable[str]) -> None:
    """Refuse what is no reader or writer of a user's own.

    Parameters
    ----------
    entry : object
        The reader or the writer.
    kind : str
        What it has a name of: ``"form"`` or ``"format"``.
    own : collection of str
        The names that are tfmagic's own.
    members : iterable of str
        What its protocol asks for.

    Raises
    ------
    TfMagicError
        If something of the protocol is missing, or the name is tfmagic's own.
    """
    if isinstance(entry, type):
        raise errors.TfMagicError(f"{entry!r} is a class; register an instance of it: {entry.__name__}()")
    missing = [member for member in members if not hasattr(entry, member)]
    if missing:
        raise errors.TfMagicError(f"{entry!r} has no {errors.listed(missing)}, which tfmagic.models.reader asks for")
    name = getattr(entry, kind)
    if name in own:
        raise errors.TfMagicError(f"the {kind} {name!r} is one of tfmagic's own; give yours another name")


def without(contents: Iterable[_Entry], kind: str, name: str) -> list[_Entry]:
    """Return a table of contents without what has this name."""
    return [each for each in contents if getattr(each, kind) != name]

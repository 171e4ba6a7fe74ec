"""How a format is written: the base class of the writers, what they are told, and what they return.

Not for: the writers themselves, nor the list of them (``writers/__init__.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from tfmagic.models.model import Model, Part
    from tfmagic.models.reader import Reader


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


class Writer(ABC):
    """One format of result.

    What it is able to do stands here as class attributes; a writer states what differs from the defaults.
    """

    format: ClassVar[str]
    #: The suffixes of paths that ask for this format; ``""`` is a path without one.
    suffixes: ClassVar[tuple[str, ...]]
    #: The parts that a source must have.
    needs: ClassVar[frozenset[Part]]
    #: Whether the result is a directory, else a file.
    directory: ClassVar[bool] = False

    @abstractmethod
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

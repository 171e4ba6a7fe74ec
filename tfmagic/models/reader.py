"""A source on its way to a reader, and what every reader is: the base class of the forms.

A :class:`Candidate` is what readers look at: a live object, or a path with its first bytes, read once for all of
them. Exactly one reader claims a candidate. Not for: the readers themselves, nor the list of them
(``readers/__init__.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tfmagic.files import places
from tfmagic.models.form import Form

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tfmagic.models.model import Model

#: Enough for the first messages of any form; recognition never reads more of a file than this.
HEAD_BYTES = 64 * 1024


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
        return self.path is not None and places.is_file(self.path)

    @cached_property
    def is_directory(self) -> bool:
        """Whether the path is a directory."""
        return self.path is not None and places.is_directory(self.path)

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the file, empty for anything else."""
        return places.head(self.path, HEAD_BYTES) if self.is_file and self.path is not None else b""

    @cached_property
    def size(self) -> int:
        """The file's size in bytes."""
        return places.size(self.path) if self.is_file and self.path is not None else 0

    @cached_property
    def entries(self) -> frozenset[str]:
        """The names in the directory, empty for anything else."""
        return places.names(self.path) if self.is_directory and self.path is not None else frozenset()


class Reader(Form, ABC):
    """One form of source: how it is told, how it is read, and with :class:`Form` what it is able to do.

    ``claims`` is cheap, certain, executes nothing and never imports TensorFlow; no two readers claim the same
    candidate. ``read`` returns a Model whose parts are still unread.
    """

    #: How a source of this form looks, in a few words, for messages and the table of forms.
    looks_like: ClassVar[str]
    #: Whether it takes live objects only: a path cannot be read as this form whatever the user says.
    is_live: ClassVar[bool] = False

    @abstractmethod
    def claims(self, candidate: Candidate) -> bool:
        """Say whether the candidate is of this form, by its content."""

    def can_be_named(self, candidate: Candidate) -> bool:
        """Say whether a user may have the candidate taken for this form, whatever its content tells."""
        is_there = candidate.path is not None and places.exists(candidate.path)
        return self.claims(candidate) or (is_there and not self.is_live)

    @abstractmethod
    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model, restricted to the MetaGraphDef with these tags if any are given."""

"""How a format is written: the base class of the writers, what they are told, and what they return.

Not for: the writers themselves, nor the list of them (``writers/__init__.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tfmagic.display import render
from tfmagic.models.form import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from tfmagic.files import protos
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Reader

#: Values for the inputs of one call, by key.
Call: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
#: Of small results most is what the format itself takes.
_SMALL, _LARGEST_SMALL = 30_000, 100_000


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
    stated : tuple of str
        The options of :func:`tfmagic.export` that the user named, for formats in which one means nothing.
    text : bool
        Whether text is wanted where the format has two forms.
    optimize : bool
        Whether the graph is frozen and optimised.
    select_tf_ops : bool
        Whether a TFLite file may have TensorFlow's own ops.
    quantize : str
        One of :data:`tfmagic.models.quantisation.QUANTISED`, or empty.
    samples : mapping of str to sequence of calls
        Inputs to quantise for and to compare on, by the signatures' keys.
    notes : tuple of str
        What is to be said of the options.
    """

    signatures: tuple[str, ...]
    tags: tuple[str, ...]
    stated: tuple[str, ...] = ()
    text: bool = False
    optimize: bool = False
    select_tf_ops: bool = False
    quantize: str = ""
    samples: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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


@runtime_checkable
class Loadable(Protocol):
    """A draft whose result others load in another way than the check does, which is tried where no numbers speak."""

    def require_loaders(self, path: Path) -> None:
        """Load what was written in the other ways; raises ConversionError where that cannot be, or shows other ends."""


@runtime_checkable
class Approximate(Protocol):
    """A draft of what gives other numbers than its source, on purpose: how far off is reported, not judged."""

    @property
    def samples(self) -> Mapping[str, Sequence[Call]]:
        """Inputs of the user's own to try it on, by the signatures' keys; nothing where there are none."""


class Signatures(Enum):
    """How many of a source's signatures a result holds."""

    NONE = "none"
    ONE = "one"
    MANY = "many"


class Variables(Enum):
    """What becomes of a source's variables in a result."""

    NONE = "left out"
    VALUES = "values"
    CONSTANTS = "constants"
    VARIABLES = "variables"


class Library(NamedTuple):
    """What a format is made with: the module that must be there, and the line that installs it."""

    module: str
    line: str


class Size(NamedTuple):
    """A predicted size in bytes; ``at_most`` says that it may be less, ``rest`` what is not counted."""

    bytes: int
    at_most: bool = False
    rest: str = ""

    def __str__(self) -> str:
        if self.bytes < _SMALL and not self.rest:
            return f"less than {render.size_text(_LARGEST_SMALL)}"
        return f"{'up to about' if self.at_most else 'about'} {render.size_text(self.bytes)}{self.rest}"


class Measures(NamedTuple):
    """What a source's parts take in bytes, None where that is not known, and how many signatures are written."""

    weights: int | None
    graph: int | None
    optimizer: int = 0
    signatures: int = 1
    #: Whether not all of it may be needed.
    holds_more: bool = False

    @property
    def rest(self) -> str:
        """What is not counted, in words."""
        return " and the graph" if self.graph is None else ""


#: The options that say where a function begins and ends.
ENDS = frozenset({"signature", "inputs", "outputs", "bind", "batch"})
#: The options of an export that mean something in one format and nothing in another.
OPTIONS = ENDS | {"tags", "method", "text", "keep"}
#: Those that a writer has to say, as what they ask for is its work.
OWN_OPTIONS = frozenset({"optimize", "quantize", "samples", "select_tf_ops"})


class Writer(ABC):
    """One format of result.

    What it is able to do stands here with its default; a writer states what differs.
    """

    format: ClassVar[str]
    #: The suffixes of paths that ask for this format; ``""`` is a path without one.
    suffixes: ClassVar[tuple[str, ...]]
    #: The parts that a source must have.
    needs: ClassVar[frozenset[Part]]
    #: Whether the result is a directory, else a file.
    directory: ClassVar[bool] = False
    #: What a person calls it; empty: by its name.
    label: ClassVar[str] = ""
    #: Those of :data:`OPTIONS` and :data:`OWN_OPTIONS` that mean something in it.
    options: ClassVar[frozenset[str]] = OPTIONS
    #: What becomes of the source's variables.
    variables: ClassVar[Variables] = Variables.VALUES
    #: Whether the result has tag-sets of its own; else tags say which part of the source is meant.
    has_tag_sets: ClassVar[bool] = False
    #: Whether its weights may be others than the source has: their moving averages.
    takes_averages: ClassVar[bool] = True
    #: Whether a graph that nobody signed can be written between tensors that are named.
    takes_unsigned: ClassVar[bool] = False
    #: What of a signature it has no place for, in words.
    loses_of_signature: ClassVar[str] = ""
    #: What must be installed for it.
    library: ClassVar[Library | None] = None

    @abstractmethod
    def prepare(self, source: Model, options: WriteOptions) -> Draft:
        """Do all of the conversion that comes before the first byte.

        Raises
        ------
        ConversionError
            If this source cannot be written in this format.
        """

    @property
    def signatures(self) -> Signatures:
        """How many signatures a result holds."""
        if Part.FUNCTION not in self.needs or isinstance(self, Grouped):
            return Signatures.NONE
        return Signatures.MANY if self.directory else Signatures.ONE

    @property
    def runs(self) -> bool:
        """Whether a result is a graph that runs by itself, not a model for a library."""
        return self.variables in (Variables.CONSTANTS, Variables.VARIABLES)

    def why_not(self, source: Model) -> str:
        """Say why this source, which has all parts that are needed, cannot be written; nothing if that may be tried."""
        del source
        return ""

    def is_copy(self, source: Model) -> bool:
        """Say whether the result is what the source has on disk, byte for byte."""
        del source
        return False

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size of the result, None where nothing sure can be said."""
        del source
        if measures.weights is None:
            return None
        return Size(measures.weights + (measures.graph or 0), at_most=measures.holds_more, rest=measures.rest)

    def key_notes(self, source: Model, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, ...]:
        """Say which keys of a signature the result cannot hold as they are, and by which names it has them.

        Parameters
        ----------
        source : Model
            What is converted.
        inputs, outputs : mapping of str to str
            The tensors by key.

        Raises
        ------
        ConversionError
            If it can have one of them by no name.
        """
        del source, inputs, outputs
        return ()

    def kept(self, source: Model) -> Iterator[str]:
        """Yield what the result has of the source beyond what the abilities say, a line each."""
        del source
        yield from ()

    def lost(self, source: Model) -> Iterator[str]:
        """Yield what the source has and the result has not, beyond what the abilities say."""
        del source
        yield from ()

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the lines of stock TensorFlow that write what ``source`` was brought to; None if it has no way."""
        del source, place
        return None


@runtime_checkable
class Placing(Protocol):
    """A writer that puts its result into what the user names, where others put it in its place."""

    def place(self, destination: Path) -> Path:
        """Return the file or directory that is made, for a destination with all links resolved."""


@runtime_checkable
class Freezing(Protocol):
    """A writer of a frozen graph, which may be frozen already, with no function of it made."""

    def frozen_draft(self, frozen: Any) -> Draft:  # noqa: ANN401 - a FrozenGraph, of a later room
        """Take a graph that is frozen already."""


@runtime_checkable
class Editing(Protocol):
    """A writer that takes what is a graph by an edit of its messages, with no function of it made."""

    def edited_draft(
        self, store: Store, signatures: Mapping[str, protos.Message], tags: Sequence[str], *, text: bool
    ) -> Draft:
        """Take a graph with its values and the SignatureDefs that it is to have."""


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
        Conversions(
            reader.form, {writer.format: writer.needs <= reader.written_parts(reader.parts) for writer in listed}
        )
        for reader in readers
    ]

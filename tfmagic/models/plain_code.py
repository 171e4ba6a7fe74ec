"""What a reader and a writer need to write the plain code of TensorFlow that does the same.

Not for: the code that several forms share (``verbs/snippets/``), which is behind this protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint


class CodeSource(Protocol):
    """A source in plain code, to be brought to a ConcreteFunction ``function`` or to a TensorFlow 1 ``session``."""

    @property
    def name(self) -> str:
        """What a live source is called in the code."""

    @property
    def place(self) -> str:
        """The path, in quotes."""

    @property
    def where(self) -> str:
        """The path as the code names it: of what lies at an address, that of the copy which the code makes."""

    @property
    def path(self) -> Path | None:
        """The path."""

    @property
    def live(self) -> Any:  # noqa: ANN401 - any live object
        """What the user gave, if that is a live object."""

    @property
    def form(self) -> str:
        """The source's form."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The verb's options."""

    @property
    def computed(self) -> Collection[str]:
        """The parts that the source does not hold, and a library makes."""

    @property
    def is_session(self) -> bool:
        """Whether the code works with a session of TensorFlow 1."""

    @property
    def is_keras(self) -> bool:
        """Whether it is a Keras model, live or in a file."""

    @property
    def is_whole(self) -> bool:
        """Whether its own inputs and outputs are meant."""

    @property
    def holder(self) -> str:
        """What holds the variables and tables of the function, in code."""

    @property
    def whole(self) -> NamedFunction:
        """The function as it is, whichever of its ends are meant."""

    @property
    def function(self) -> NamedFunction:
        """The function that is meant."""

    @property
    def key(self) -> str:
        """The key of the signature that is called."""

    @property
    def tags(self) -> list[str]:
        """The tag-set of that signature."""

    def tensors(self, side: str) -> dict[str, str]:
        """Return the names of the graph's own tensors by key; side is ``inputs`` or ``outputs``."""

    def specs(self, ends: Iterable[Endpoint]) -> str:
        """Return the code of TensorSpecs, joined by commas."""

    def traced(self, ends: Iterable[Endpoint], call: str, arguments: str | None = None) -> list[str]:
        """Return the code that traces a call on these ends, one after the other unless its arguments are told."""

    def chosen_ends(self) -> list[str]:
        """Return the code that gives ``function`` the ends that are meant, none if they are its own."""

    def serving(self, name: str) -> list[str]:
        """Return the code that traces a Keras model of this name under the user's keys."""

    def fed(self) -> list[tuple[str, str]]:
        """Return the inputs of the signature that is called by key, each with an example value."""

    def keywords(self, *, constants: bool = True) -> list[str]:
        """Return a line an argument of a call on example values, as constants."""

    def session_run(self) -> list[str]:
        """Return the code that runs ``session`` on example values."""

"""What a tab may ask of the panel around it, and what the panel asks of a tab.

Not for: the panel itself (:mod:`tfmagic.notebook.panel.widgets.panel`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tfmagic.display.graph.shades import Colour
    from tfmagic.verbs.compared_graphs import ComparedColour


class Place(Protocol):
    """The panel around a tab.

    Attributes
    ----------
    namespace : mutable mapping of str to object
        The notebook's variables: expressions are evaluated over them, results are put there.
    source : str
        What a magic line would call the model: a variable's name or a path.
    trust : bool
        Whether the model may act outside itself.
    """

    namespace: MutableMapping[str, object]
    source: str
    trust: bool

    @property
    def colour(self) -> Colour | None:
        """What the graph is coloured by, None for the kinds of its ops."""

    @property
    def compared(self) -> ComparedColour | None:
        """What differs from another model, None where there is none."""

    def go_to(self, title: str, **what: object) -> None:
        """Show another tab, and in it what is named."""


@runtime_checkable
class Destination(Protocol):
    """A tab that other tabs lead to."""

    def arrive(self, **what: object) -> None:
        """Show what is named."""

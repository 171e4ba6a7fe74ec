"""The first screen of a model, drawn by a script from a tree of elements.

Not for: what is said on it (:mod:`tfmagic.display.card`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from tfmagic.display import elements
from tfmagic.notebook.panel.widgets import assets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.display.elements import Element
    from tfmagic.display.graph.svg import Picture


class Card(anywidget.AnyWidget):
    """What is said of a model, and the picture of its folded graph.

    Parameters
    ----------
    words : Element
        What is said.
    picture : Picture or None
        What is drawn beside it.
    caption, note : Element
        What stands above and below the picture.
    follow : callable
        Called with a tab's title and keywords when something is clicked that leads there.
    """

    _esm = assets.script("card.js")
    _css = assets.tokens() + assets.shown("card.css")
    words: traitlets.List[Any] = traitlets.List().tag(sync=True)
    picture = traitlets.Unicode("").tag(sync=True)
    caption: traitlets.List[Any] = traitlets.List().tag(sync=True)
    note: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(
        self, words: Element, picture: Picture | None, caption: Element, note: Element, follow: Callable[..., None]
    ) -> None:
        self._links = [link for each in (words, caption, note) for link in elements.links(each)]
        self._follow = follow
        drawing = picture.svg if picture is not None else ""
        super().__init__(
            words=elements.data(words), picture=drawing, caption=elements.data(caption), note=elements.data(note)
        )
        self.on_msg(self._handle)

    def say(self, words: Element) -> None:
        """Say something else; the links are those that were given."""
        self.words = list(elements.data(words))

    def _handle(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Follow a link, if it is one of those that were given."""
        link = content.get("follow")
        if link in self._links:
            self._follow(link["tab"], **link.get("what", {}))

"""Sections of facts, tables, texts to copy and links to other tabs, drawn by a script from plain data.

The kernel says what is there, the browser draws it as text. Not for: tables with more rows than a page
(:mod:`tfmagic.notebook.panel.widgets.table`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias, TypedDict

import anywidget
import traitlets

from tfmagic.notebook.panel.widgets import assets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Link(TypedDict):
    """Where a click leads: a tab, and what is named there."""

    tab: str
    what: NotRequired[Mapping[str, object]]


class Cell(TypedDict):
    """One value; ``share`` of the largest in its column is drawn as a bar."""

    text: str
    link: NotRequired[Link]
    share: NotRequired[float]


class Copy(TypedDict):
    """A text to take away."""

    label: str
    text: str


class SectionData(TypedDict):
    """One section as the browser gets it.

    ``kind`` is ``"warnings"`` for facts that are said aloud; ``level`` is that of its heading, 3 or 4.
    """

    title: str
    kind: NotRequired[str]
    level: NotRequired[int]
    note: NotRequired[str]
    link: NotRequired[Link]
    facts: NotRequired[Sequence[tuple[str, Cell]]]
    columns: NotRequired[Sequence[str]]
    rows: NotRequired[Sequence[Sequence[Cell]]]
    more: NotRequired[str]
    copies: NotRequired[Sequence[Copy]]


Follow: TypeAlias = "Callable[..., None]"


class Sections(anywidget.AnyWidget):
    """Sections one below the other.

    Parameters
    ----------
    sections : sequence of SectionData
        What is shown; every text in it is drawn as text.
    follow : callable
        Called with a tab's title and keywords when a link is clicked that the sections hold.
    folded : str
        What stands on the line that unfolds them all; empty where they are open.
    """

    _esm = assets.script("sections.js")
    _css = assets.style("sections.css")
    sections: traitlets.List[Any] = traitlets.List().tag(sync=True)

    folded = traitlets.Unicode("").tag(sync=True)

    def __init__(self, sections: Sequence[SectionData], follow: Follow | None = None, *, folded: str = "") -> None:
        super().__init__(sections=list(sections), folded=folded)
        self._follow = follow
        self.on_msg(self._handle)

    def _handle(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Follow a link, if it is one of those that were given."""
        link = content.get("follow")
        if self._follow is not None and link in self._links():
            self._follow(link["tab"], **link.get("what", {}))

    def _links(self) -> list[Link]:
        links = []
        for section in self.sections:
            cells = [cell for _, cell in section.get("facts", ())] + [
                cell for row in section.get("rows", ()) for cell in row
            ]
            links += [each["link"] for each in (section, *cells) if "link" in each]
        return links

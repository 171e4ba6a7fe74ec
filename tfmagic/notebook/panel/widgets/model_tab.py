"""The tab Model: the card, and what else is known of a model folded below it.

It says what the static form says (:mod:`tfmagic.display.card`, :mod:`tfmagic.display.summary`), with links. Not for:
deciding what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import ipywidgets

from tfmagic.display import card as model_card
from tfmagic.display import summary
from tfmagic.display.elements import element
from tfmagic.display.render import cell_text
from tfmagic.notebook.panel.widgets import threads
from tfmagic.notebook.panel.widgets.card import Card
from tfmagic.notebook.panel.widgets.panel import tabs_of
from tfmagic.notebook.panel.widgets.sections import Cell, Link, SectionData, Sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.display.elements import Element
    from tfmagic.display.render import Section
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

#: What has a tab of its own, and says more there.
_ELSEWHERE = frozenset({"Layers"})
#: Rows of a table; all of them stand in the other tabs.
_MOST_ROWS = 10
#: The column whose values are drawn as bars.
_BARS = ("count", "bytes")
#: The tabs that a person goes to next, and what the buttons say.
_NEXT = {"Graph": "Explore the graph", "Run": "Run it", "Convert": "Convert it", "Variables": "See the variables"}
_MOST_NEXT = 3
_CONVERT = "Convert"
_MORE = "All that was read of it"
#: What stands where the verdict of a scan will be.
_SCANNING = "under way …"


def build(model: Model, panel: Place) -> ipywidgets.VBox:
    """Build the tab."""
    return ModelTab(model, panel)


class ModelTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The card and the sections.

    Attributes
    ----------
    card : Card
        What stands first.
    more : Sections
        What else is known.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model = model
        is_scanned = model.is_scanned
        words = self._words(summary.scan_line(model) if is_scanned else _SCANNING)
        opened = element("button", "Open", leads_to={"tab": "Graph"}, class_="tfm-link")
        caption = element("figcaption", element("span", model_card.PICTURED), opened)
        colour = panel.colour or panel.compared
        drawing = model_card.picture(model, colour)
        self.card = Card(words, drawing, caption, model_card.note(drawing, colour), panel.go_to)
        self.more = Sections(sections(model, scanned=is_scanned), panel.go_to, folded=_MORE)
        super().__init__(children=(self.card, self.more))
        if not is_scanned:
            threads.begin(self._scan, "scan")

    def _words(self, scan: str) -> Element:
        """Return what the card says, with the verdict of a scan and the buttons below."""
        words = model_card.card(self._model, scan)
        return words._replace(children=(*words.children, _next(self._model)))

    def _scan(self) -> None:
        """Say what the model could do once that is known: the card stood without it."""
        verdict = summary.scan_line(self._model)
        self.card.say(self._words(verdict))
        self.more.sections = sections(self._model)


def _next(model: Model) -> Element:
    """Return the buttons of what a person does next."""
    steps = [title for title in _NEXT if title in tabs_of(model) and (title != _CONVERT or _converts(model))]
    buttons = [
        element(
            "button", _NEXT[title], leads_to={"tab": title}, class_="tfm-button" + ("" if place else " tfm-primary")
        )
        for place, title in enumerate(steps[:_MOST_NEXT])
    ]
    return element("div", *buttons, class_="tfm-next")


def _converts(model: Model) -> bool:
    """Say whether there is a format for it, as the plan says that takes a quarter of a second to import."""
    return bool({"function", "graph", "keras"}.intersection(model.parts)) and not model.has_own_ops


def sections(model: Model, *, scanned: bool = True) -> list[SectionData]:
    """Return the sections of a model's display, with links; without the verdict of its scan if none was made yet."""
    listed = summary.sections(model, scanned=scanned)
    return [_section(each) for each in listed if each.title not in _ELSEWHERE]


def _section(section: Section) -> SectionData:
    data = SectionData(title=section.title)
    if section.facts:
        data["facts"] = [(name, _fact(name, value)) for name, value in section.facts]
    if section.table is not None:
        frame = section.table.head(_MOST_ROWS)
        total = section.total if section.total is not None else len(section.table)
        data["columns"] = [str(name) for name in frame.columns]
        data["rows"] = list(_rows(section))
        if total > len(frame):
            data["more"] = f"… and {total - len(frame):,} more."
        tab = section.rows_at.tab if section.rows_at else _own_tab(section.title)
        if tab:
            data["link"] = Link(tab=tab)
    return data


def _own_tab(title: str) -> str:
    return "Signatures" if title == "Signatures" or title.startswith("Proposed") else ""


def _fact(name: str, value: object) -> Cell:
    cell = Cell(text=cell_text(value))
    if name in summary.FACT_TABS:
        cell["link"] = Link(tab=summary.FACT_TABS[name])
    return cell


def _rows(section: Section) -> Iterator[list[Cell]]:
    assert section.table is not None  # noqa: S101 - for mypy
    frame = section.table.head(_MOST_ROWS)
    largest = {name: frame[name].max() for name in frame.columns if name in _BARS and len(frame)}
    for values in frame.itertuples(index=False, name=None):
        row = []
        for name, value in zip(frame.columns, values, strict=True):
            cell = Cell(text=f"{value:,}" if _is_count(value) else cell_text(value))
            if section.rows_at and name == section.rows_at.column:
                cell["link"] = Link(tab=section.rows_at.tab, what={section.rows_at.key: str(value)})
            if name in largest and _is_count(value) and largest[name] > 0:
                cell["share"] = value / int(largest[name])
            row.append(cell)
        yield row


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

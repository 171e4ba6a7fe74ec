"""The tab Summary: what a model is, its sizes and warnings, each leading to its rows.

It says what the static form says (:mod:`tfmagic.display.summary`), with links. Not for: deciding what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tfmagic.display import summary
from tfmagic.display.render import cell_text
from tfmagic.findings import cautions
from tfmagic.notebook.panel.widgets.sections import Cell, Link, SectionData, Sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.display.render import Section
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

#: What has a tab of its own and is no summary.
_ELSEWHERE = frozenset({"Graph"})
_WARNINGS = "Warnings"
_FIRST = frozenset({"Summary", _WARNINGS})
#: What comes last: a long model has hundreds of layers, and its ops tell more.
_LAST = frozenset({"Layers"})
#: Rows of a table; all of them stand in the other tabs.
_MOST_ROWS = 10
#: The column whose values are drawn as bars.
_BARS = ("count", "bytes")


def build(model: Model, panel: Place) -> Sections:
    """Build the tab."""
    return Sections(sections(model), panel.go_to)


def sections(model: Model) -> list[SectionData]:
    """Return the sections of a model's display, with links."""
    shown = [each for each in summary.sections(model) if each.title not in _ELSEWHERE]
    shown.sort(key=lambda each: (each.title in _LAST, each.title not in _FIRST))
    return [_warnings(model, each) if each.title == _WARNINGS else _section(each) for each in shown]


def _warnings(model: Model, section: Section) -> SectionData:
    try:
        warnings = cautions.cautions(model)
    except Exception:  # noqa: BLE001 - then the section says why, as the static form does
        return _section(section)
    # One type is what the table can be filtered by; of several, the first shows the way.
    facts = [("warning", Cell(text=each.text, link=Link(tab="Ops", what={"op": each.ops[0]}))) for each in warnings]
    return SectionData(title=section.title, kind="warnings", facts=facts)


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

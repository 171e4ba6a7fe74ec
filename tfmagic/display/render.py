"""One list of sections into text for a terminal and into static HTML that survives nbconvert and GitHub.

Everything that comes from a model is escaped, nothing is styled by more than inline attributes, and the size is
bounded: a table shows its first rows and says how many it has. Not for: deciding what a display says.
"""

from __future__ import annotations

import html
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from tfmagic.display import text_tables
from tfmagic.escaping import UNTYPESET, visible
from tfmagic.frames import is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

#: Rows shown of a table, and characters of one cell.
MAX_ROWS, MAX_CELL = 12, 120
#: Before what stands below a title.
_INDENT = "  "
#: Said of facts and of the first column of a table. Jupyter's style sheet aligns all others to the right, as those of
#: a DataFrame; a style in each of hundreds of cells would be a third of the page.
_CELL = "text-align:left"


#: How results are displayed: ``auto`` (the best that the front end has), ``html`` (static) or ``text``.
MODES = ("auto", "html", "text")
_MODE_VARIABLE = "TFMAGIC_DISPLAY"


class Display:
    """The user's choice of display, ``%config TfMagic.display``; pipelines set it by an environment variable."""

    def __init__(self) -> None:
        #: Shows a result live, set by the front that knows widgets: takes the result, or a widget that was made of it,
        #: and returns the id of the element by which the live form finds the static one; None if there is no live form.
        self.live: Callable[[Any], str | None] | None = None
        self._mode = ""

    @property
    def mode(self) -> str:
        """One of :data:`MODES`: until somebody chooses, what the environment names, and the first if it names none."""
        if not self._mode:
            wanted = os.environ.get(_MODE_VARIABLE)
            # A name that is none must not keep the extension from loading.
            self._mode = wanted if wanted in MODES else MODES[0]
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode


display = Display()


class Displayed(Protocol):
    """A result with a text and an HTML form."""

    def _repr_html_(self) -> str: ...


def bundle(result: Displayed, shown: object = None) -> dict[str, object]:
    """Return the static forms of a result by MIME type, after showing its live form if the front end has widgets.

    Parameters
    ----------
    result : Displayed
        What the forms are of.
    shown : object, optional
        A widget that was made of it already.
    """
    forms = static_bundle(result)
    if display.mode == MODES[0] and display.live is not None:
        try:
            mark = display.live(result if shown is None else shown)
        except Exception as error:  # noqa: BLE001 - a display must not raise; what is static is shown
            warnings.warn(f"the live panel cannot be shown: {type(error).__name__}: {error}", stacklevel=2)
            mark = None
        if mark:
            forms["text/html"] = stand_in(str(forms["text/html"]), mark)
    return forms


#: JupyterLab says "model not found" where a notebook with a live form is opened again: an error that is none, since the
#: static form stands below it. It is the only text of a widget's output that holds no element.
_HUSHED = (
    "<style>.jp-OutputArea-child:has(> .jupyter-widgets):not(:has(> .jupyter-widgets > *))"
    ":has(+ .jp-OutputArea-child .tfm-static){display:none}</style>"
)


def stand_in(page: str, mark: str) -> str:
    """Wrap a static form so that a live one finds it, and takes its place as long as it lives."""
    return f'<div class="tfm-static" id="{html.escape(mark, quote=True)}">{_HUSHED}{page}</div>'


def static_bundle(result: Displayed) -> dict[str, object]:
    """Return the forms of a result that need no kernel."""
    forms: dict[str, object] = {"text/plain": repr(result)}
    if display.mode != "text":
        forms["text/html"] = result._repr_html_()
    return forms


class Pictured(Protocol):
    """A picture that HTML can hold without a file beside it."""

    @property
    def address(self) -> str:
        """A ``data:`` address: in an ``<img>`` no script of it ever runs, and nothing is loaded for it."""

    @property
    def width(self) -> int:
        """In pixels."""


class RowsAt(NamedTuple):
    """Where the rows of a table lead in the live panel: a tab, the column that names the row, what the tab calls it."""

    tab: str
    column: str
    key: str


class Shortened(str):
    """A text that stands for a longer one, which a page tells where the pointer rests."""

    __slots__ = ("whole",)
    whole: str

    def __new__(cls, text: str, whole: str) -> Self:
        """Word what is shown, and what it stands for."""
        shown = super().__new__(cls, text)
        shown.whole = whole
        return shown


@dataclass(frozen=True)
class Section:
    """One part of a display: a title, then facts, a table, or both.

    Attributes
    ----------
    title : str
        A few words.
    facts : sequence of (str, object)
        Shown as ``name: value``.
    table : DataFrame or None
        Its first rows are shown.
    total : int or None
        How many rows there are, where the table was cut before.
    picture : Pictured or None
        Shown in HTML alone; the facts say what is on it.
    sound : str
        A ``data:`` address of a sound, shown in HTML alone, to be played.
    rows_at : RowsAt or None
        For the panel; static forms have no links.
    is_open : bool
        Whether it is open below what comes first and says less.
    """

    title: str
    facts: Sequence[tuple[str, object]] = ()
    table: pd.DataFrame | None = None
    total: int | None = None
    picture: Pictured | None = None
    sound: str = ""
    rows_at: RowsAt | None = None
    is_open: bool = False


class Sectioned:
    """A result that is shown as sections, as text and as static HTML; a dataclass inherits it with ``repr=False``."""

    def shown_sections(self) -> tuple[str, list[Section]]:
        """Return the heading, and the sections below it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Show it as text."""
        return text(*self.shown_sections())

    def _repr_html_(self) -> str:
        """Show it as static HTML."""
        return wanted_markup(*self.shown_sections())


def size_text(size: float) -> str:
    """Word a number of bytes: ``"14.3 MB"`` with decimal units, as file managers and TensorFlow's tools do."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:  # noqa: PLR2004 - the base of the units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def counted(count: int, noun: str) -> str:
    """Word a number of things: ``"1 op"``, ``"1,234 ops"``."""
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"


def cell_text(value: object) -> str:
    """Word one value: a shape as ``(None, 3)``, names joined by commas, control characters made visible, cut."""
    if isinstance(value, tuple):
        text = ", ".join(map(str, value)) if value and isinstance(value[0], str) else str(value)
    else:
        # A count that is missing is pandas' own NA.
        text = "" if value is None or type(value).__name__ == "NAType" else str(value)
    shown = visible(text[: MAX_CELL + 1])
    return shown if len(shown) <= MAX_CELL else shown[: MAX_CELL - 1] + "…"


def cut(text: str, most: int = MAX_CELL) -> str:
    """Cut the middle out of a long name, as names differ at their ends; what cannot be seen is written out."""
    if len(text) > 2 * most:
        # It is cut in any case: the rest of it, which may be megabytes, need not be looked at.
        text = text[:most] + text[-most:]
    shown = visible(text)
    if len(shown) <= most:
        return shown
    tail = most // 2
    return f"{shown[: most - tail - 1]}…{shown[-tail:]}"


def text(heading: str, sections: Iterable[Section], first: Sequence[str] = ()) -> str:
    """Write the sections as plain text, below lines that come first."""
    blocks = [cell_text(heading)]
    if first:
        blocks.append("\n".join(first))
    for section in sections:
        lines = [cell_text(section.title)]
        lines += [f"{_INDENT}{cell_text(name)}: {cell_text(value)}" for name, value in section.facts]
        if section.table is not None:
            lines += [f"{_INDENT}{line}" for line in _text_table(section.table)]
            lines += [f"{_INDENT}{rest}" for rest in _rest(section)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _text_table(table: pd.DataFrame) -> list[str]:
    """Lay out the first rows in columns."""
    rows = [[cell_text(name) for name in table.columns]]
    rows += [[_short(value) for value in row] for row in table.head(MAX_ROWS).itertuples(index=False, name=None)]
    width = text_tables.room.get()
    return text_tables.laid_out(rows, None if width is None else width - len(_INDENT))


def _short(value: object) -> str:
    """Word a cell of text: no number has more digits than say something, and one that is missing none."""
    if is_missing(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else cell_text(value)


def _rest(section: Section) -> list[str]:
    """Say how many rows are not shown."""
    shown = 0 if section.table is None else min(len(section.table), MAX_ROWS)
    total = section.total if section.total is not None else (0 if section.table is None else len(section.table))
    return [f"… and {total - shown:,} more"] if total > shown else []


def markup(heading: str, sections: Iterable[Section], first: str = "") -> str:
    """Write the sections as static HTML, folded below HTML that comes first in place of the heading."""
    parts = [f'<div class="{UNTYPESET}">{first or f"<p><strong>{escaped(heading)}</strong></p>"}']
    for index, section in enumerate(sections):
        # Facts, signatures and pictures are open: <details> needs no script and survives where it is stripped.
        is_told = index < 2 or section.picture or section.table is None  # noqa: PLR2004 - as said
        is_open = " open" if (section.is_open if first else is_told) else ""
        parts.append(f"<details{is_open}><summary>{escaped(section.title)}</summary>")
        if section.facts:
            parts.append(_facts(section.facts))
        if section.picture is not None:
            parts.append(_picture(section.picture))
        if section.sound:
            label = ", ".join((section.title, *(f"{name}: {value}" for name, value in section.facts)))
            # The whole address: a cell's text is cut.
            parts.append(f'<audio controls src="{html.escape(section.sound)}" aria-label="{escaped(label)}"></audio>')
        if section.table is not None:
            parts.append(_table(section.table))
            parts += [f"<p>{escaped(rest)}</p>" for rest in _rest(section)]
        parts.append("</details>")
    return "".join([*parts, "</div>"])


def wanted_markup(heading: str, sections: Iterable[Section], first: str = "") -> str:
    """Write the sections as static HTML, unless the user wants nothing but text.

    Raises
    ------
    NotImplementedError
        In that case: IPython takes it from ``_repr_html_`` for "there is no such form".
    """
    if display.mode == "text":
        raise NotImplementedError("%config TfMagic.display is 'text'")
    return markup(heading, sections, first)


def escaped(value: object) -> str:
    """Word a value for HTML; nothing in it is markup."""
    return html.escape(cell_text(value), quote=True)


def _facts(facts: Iterable[tuple[str, object]]) -> str:
    rows = (
        f'<tr><th scope="row" style="{_CELL}">{escaped(name)}</th><td style="{_CELL}"{_title(value)}>{escaped(value)}'
        "</td></tr>"
        for name, value in facts
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _title(value: object) -> str:
    if not isinstance(value, Shortened) or value.whole == value:
        return ""
    return f' title="{html.escape(value.whole, quote=True)}"'


def _picture(picture: Pictured) -> str:
    # Single quotes, of which a picture has hundreds, mean nothing between double ones.
    address = html.escape(picture.address, quote=False).replace('"', "&quot;")
    return f'<img src="{address}" alt="" width="{picture.width:d}" style="max-width:100%;height:auto">'


def _table(table: pd.DataFrame) -> str:
    styles = [f' style="{_CELL}"', *[""] * (len(table.columns) - 1)]
    head = "".join(
        f'<th scope="col"{style}>{escaped(name)}</th>' for name, style in zip(table.columns, styles, strict=True)
    )
    rows = (
        "<tr>"
        + "".join(
            f"<td{style}>{'' if is_missing(value) else escaped(value)}</td>"
            for value, style in zip(row, styles, strict=True)
        )
        + "</tr>"
        for row in table.head(MAX_ROWS).itertuples(index=False, name=None)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"

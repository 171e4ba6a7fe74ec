"""The tab Variables: names, shapes and sizes; of a variable that is opened, statistics and a histogram of its values.

Values are read when a row is opened, in a thread where they are many. Not for: how they are read
(:mod:`tfmagic.models.variable_values`) or counted (:mod:`tfmagic.models.variable_statistics`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors
from tfmagic.display.render import counted
from tfmagic.frames import VariableRow, is_missing
from tfmagic.models import variable_statistics
from tfmagic.models.variable_statistics import CancelledError
from tfmagic.models.variable_values import VariableValues
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.row_details import Act, Chart, Details
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.models.model import Model
    from tfmagic.models.variable_statistics import Statistics
    from tfmagic.notebook.panel.widgets.protocols import Place

COLUMNS = ("name", "dtype", "shape", "size", "bytes", "trainable")
FACETS = {"dtype": "(none)", "trainable": "not recorded"}
#: Up to so many values are read before the handler answers, which is sooner than a thread would be seen to work.
_AT_ONCE = 1 << 18
#: Of the work, the part after which progress is told again.
_STEP = 0.1
_CANCEL = "cancel"


def build(model: Model, panel: Place) -> ipywidgets.Widget:
    """Build the tab; no value is read for it.

    Parameters
    ----------
    model : Model
        Whatever it has.
    panel : Place
        Where the filtered rows can be put.
    """
    if "variables" not in model.parts:
        return forms.without(model, "variables")
    return VariablesTab(model, panel)


class VariablesTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The table of variables.

    Attributes
    ----------
    table : Table
        Its rows.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._values = VariableValues(model)
        self._lock = threading.RLock()
        self._work: Reading | None = None
        self.table = Table(
            model.table("variables", all=True),
            label="Variables",
            columns=COLUMNS,
            search=("name",),
            facets=FACETS,
            bars=("bytes",),
            largest="bytes",
            on_row=self._open,
            on_act=lambda _act, _row: self._cancel("cancelled"),
            namespace=panel.namespace,
            variable="variables",
        )
        super().__init__(children=(self.table,))

    def arrive(
        self, row: int | None = None, name: str | None = None, dtype: str | None = None, **_others: object
    ) -> None:
        """Show a row, by its number or its name, or the rows of a dtype; a part of a name filters by it."""
        names = self.table.frame["name"].tolist()
        if row is None and name in names:
            row = names.index(name)
        if row is not None:
            self.table.show(row)
        else:
            self.table.filter(name or "", **({"dtype": dtype} if dtype else {}))

    def _open(self, row: int) -> None:
        """Tell what is known of a variable, and find out the rest; what was being found out is not wanted any more."""
        self._cancel("")
        if row < 0:
            return
        work = Reading(self, self._values, row)
        with self._lock:
            self._work = work
        if (work.variable.size or 0) <= _AT_ONCE:
            self.tell(work, work.finished())
            return
        self.tell(work, work.waiting(f"Reading {counted(work.variable.size or 0, 'value')} …"))
        threads.begin(lambda: self.tell(work, work.finished()), "statistics")

    def tell(self, work: Reading, details: Details) -> None:
        """Show what was found out, if it is still wanted."""
        with self._lock:
            if self._work is work:
                self.table.tell(details)

    def _cancel(self, word: str) -> None:
        with self._lock:
            work, self._work = self._work, None
            if work is not None:
                work.stop.set()
            if work is not None and word:
                self.table.tell(work.details(f"Reading was {word}."))


class Reading:
    """The statistics of one variable, being found out.

    Parameters
    ----------
    tab : VariablesTab
        Told how far it is.
    values : VariableValues
        Where values are.
    row : int
        The variable's row of the table.
    """

    def __init__(self, tab: VariablesTab, values: VariableValues, row: int) -> None:
        self.stop = threading.Event()
        self._tab, self._values, self._row = tab, values, row
        shown = (tab.table.frame[name].iloc[row] for name in COLUMNS)
        known: list[Any] = [None if is_missing(value) else value for value in shown]
        self.variable = VariableRow(*known)
        self._next = _STEP

    def finished(self) -> Details:
        """Read all values; what cannot be read says why."""
        try:
            statistics = variable_statistics.of(self._values.of(self.variable).blocks, self._check)
        except CancelledError:
            return self.details("Reading was cancelled.")
        except (errors.TfMagicError, OSError) as error:
            return self.details(f"No statistics: {cell_text.long_text(str(error).partition(chr(10))[0])}")
        except Exception as error:  # noqa: BLE001 - a live model's session or device raises whatever it likes
            problem = cell_text.long_text(str(error).partition("\n")[0])
            return self.details(f"No statistics: {type(error).__name__}: {problem}")
        data = self.details("", list(facts(statistics)))
        if statistics.bars:
            data["chart"] = chart(statistics)
        return data

    def _check(self, seen: int) -> None:
        """Stop if nobody wants it any more; say how far it is."""
        if self.stop.is_set():
            raise CancelledError
        part = seen / max(1, 2 * (self.variable.size or 1))
        if part >= self._next and (self.variable.size or 0) > _AT_ONCE:
            self._next = part + _STEP
            note = f"Reading {counted(self.variable.size or 0, 'value')}, {part:.0%} done …"
            self._tab.tell(self, self.waiting(note))

    def waiting(self, note: str) -> Details:
        """Return what is known while values are read, with a button that stops it."""
        data = self.details(note)
        data["acts"] = [Act(name=_CANCEL, text="Cancel")]
        return data

    def details(self, note: str, more: list[tuple[str, str]] | None = None) -> Details:
        """Return what the table says of the variable, and more."""
        known = [(name, cell_text.long_text(value)) for name, value in zip(COLUMNS[1:], self.variable[1:], strict=True)]
        shown = [(name, text) for name, text in known if text] + (more or [])
        title = cell_text.long_text(self.variable.name)
        return Details(row=self._row, title=title, note=note, facts=shown)


def facts(statistics: Statistics) -> Iterator[tuple[str, str]]:
    """Word statistics."""
    for name, value in (
        ("mean", statistics.mean),
        ("std", statistics.std),
        ("min", statistics.low),
        ("max", statistics.high),
    ):
        if value is not None:
            yield name, number(value)
    if not statistics.count:
        yield "values", "none"
        return
    share = statistics.zeros / statistics.count
    yield "zeros", f"{statistics.zeros:,} ({share:.1%})" if statistics.zeros else "0"
    yield "NaN", f"{statistics.nans:,}"
    yield "Inf", f"{statistics.infinities:,}"


def chart(statistics: Statistics) -> Chart:
    """Draw a histogram, and say it in words."""
    highest, total = max(statistics.bars), sum(statistics.bars)
    low, high = statistics.low or 0.0, statistics.high or 0.0
    width = (high - low) / len(statistics.bars)
    begin = low + statistics.bars.index(highest) * width
    text = f"Histogram of {counted(total, 'value')} from {number(low)} to {number(high)}"
    text += f"; the highest bar, {counted(highest, 'value')}, lies between {number(begin)} and {number(begin + width)}"
    return Chart(
        bars=[round(each / highest, 4) for each in statistics.bars], low=number(low), high=number(high), text=text
    )


def number(value: float) -> str:
    """Word a number with the digits that tell weights apart."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"  # noqa: PLR2004 - exact

"""The panel of a catalogue: its rows to filter and sort, one to open, two to compare.

Not for: making a catalogue (:mod:`tfmagic.verbs.catalog`), or the panel of one model
(:mod:`tfmagic.notebook.panel.widgets.panel`).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import frames, readers
from tfmagic.display import render
from tfmagic.display.render import Section
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import forms
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.heading import Heading
from tfmagic.notebook.panel.widgets.panel import Panel, notebook_variables
from tfmagic.notebook.panel.widgets.row_details import Act, Details
from tfmagic.notebook.panel.widgets.table import Table
from tfmagic.runtime import keras as keras_runtime
from tfmagic.verbs.diff import diff

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import pandas as pd

    from tfmagic.verbs.diff import Diff

_SEARCH = ("address", "error", "signatures", "families", "formats")
_FACETS = dict.fromkeys(frames.CATALOG_FACETS, "(not known)")
_OPEN, _FIRST, _COMPARE = "open", "first", "compare"


def is_catalog(value: object) -> bool:
    """Say whether a value is a catalogue's DataFrame, or rows of one."""
    columns = getattr(value, "columns", ())
    return hasattr(value, "iloc") and set(frames.CatalogRow._fields) <= set(columns)


class CatalogPanel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The models of a catalogue.

    Parameters
    ----------
    frame : DataFrame
        A catalogue, or rows of one.
    variables : mutable mapping of str to object, optional
        The notebook's variables: filtered rows and results are put there.
    trust : bool
        Whether code in a model that is opened may run.

    Attributes
    ----------
    table : Table
        The rows.
    first : int
        The row that others are compared with, -1 if none was chosen.
    result : Panel, Diff or None
        What was opened or compared last.
    """

    def __init__(
        self, frame: pd.DataFrame, variables: MutableMapping[str, object] | None = None, *, trust: bool = False
    ) -> None:
        self._frame = frame.reset_index(drop=True)
        self.namespace = notebook_variables() if variables is None else variables
        self.settings = keras_runtime.thread_settings()
        self._trust = trust
        self._lock = threading.RLock()
        self.first = -1
        self.result: Panel | Diff | None = None
        self.table = Table(
            self._frame,
            label="Models",
            columns=frames.CATALOG_SHOWN,
            search=_SEARCH,
            facets=_FACETS,
            bars=("bytes",),
            on_row=self._show,
            on_act=self._act,
            namespace=self.namespace,
            variable="models",
        )
        self.work = Work("Read", self)
        for control in (self.work.start, self.work.stop):
            forms.show(control, shown=False)
        self.below = ipywidgets.VBox()
        self.heading = Heading(text=_title(self._frame), detail="")
        super().__init__(children=(self.heading, self.table, *self.work.controls, self.below))
        self.add_class("tfm-panel")

    def go_to(self, title: str, **what: object) -> None:
        """Show another part; a catalogue has one."""

    # One row

    def _show(self, row: int) -> None:
        if row >= 0:
            self.table.tell(self.details(row))

    def details(self, row: int) -> Details:
        """Return all that a row says, and what can be done with it."""
        values = self._frame.iloc[row]
        facts = [(name, cell_text.long_text(values[name])) for name in frames.CATALOG_SHOWN[1:]]
        facts = [(name, text) for name, text in facts if text]
        acts = [Act(name=_OPEN, text="Open"), Act(name=_FIRST, text="Compare with another")]
        if self.first not in (-1, row):
            acts.append(Act(name=_COMPARE, text=f"Compare with {cell_text.cell_text(self.address(self.first))}"))
        return Details(row=row, title=cell_text.long_text(self.address(row)), facts=facts, acts=acts)

    def address(self, row: int) -> str:
        """Return where the model of a row lies."""
        return str(self._frame["address"].iloc[row])

    def _act(self, name: str, row: int) -> None:
        if name == _FIRST:
            self.first = row
            self.work.tell(f"{self.address(row)} is one of two: open the row of the other, and compare.")
        elif name == _COMPARE:
            self.compare(self.first, row)
        else:
            self.show_model(row)

    def show_model(self, row: int) -> bool:
        """Open the model of a row below the table; False where something is being done already."""
        address = self.address(row)

        def read() -> Panel:
            return Panel(readers.read(Path(address), trust=self._trust), self.namespace)

        return self._begin(read, f"{address} is shown below.")

    def compare(self, first: int, second: int) -> bool:
        """Compare the models of two rows; False where something is being done already."""
        a, b = Path(self.address(first)), Path(self.address(second))
        return self._begin(lambda: diff(a, b, trust=self._trust), f"{a} and {b} are compared below.")

    def _begin(self, call: Any, said: str) -> bool:  # noqa: ANN401 - what makes a panel or a comparison
        def done(result: Panel | Diff) -> str:
            self._put(result)
            return said

        forms.show(self.work.stop, shown=True)
        return self.work.begin(call, done)

    def _put(self, result: Panel | Diff) -> None:
        """Show what was opened or compared, in the place of what was shown before."""
        shown = result if isinstance(result, Panel) else ipywidgets.HTML(forms.result(result))
        with self._lock:
            before = self.result
            self.result = result
            self.below.children = (shown,)
        if isinstance(before, Panel):
            before.dispose()

    # Display

    def _sections(self) -> list[Section]:
        shown = [name for name in frames.CATALOG_SHOWN if self._frame[name].notna().any()]
        return [Section("Models", table=self._frame[shown].head(render.MAX_ROWS), total=len(self._frame))]

    def __repr__(self) -> str:
        """Show the rows as text."""
        return render.text(_title(self._frame), self._sections())

    def _repr_html_(self) -> str:
        """Show them as static HTML."""
        return render.wanted_markup(_title(self._frame), self._sections())

    def _repr_mimebundle_(self, **_options: object) -> dict[str, object]:
        """Show them live, and below what stands where no kernel lives."""
        return render.bundle(self, self)


def _title(frame: pd.DataFrame) -> str:
    broken = int(frame["error"].notna().sum())
    models = f"{len(frame):,} model{'' if len(frame) == 1 else 's'}"
    return f"{models}, {broken:,} of them with an error" if broken else models

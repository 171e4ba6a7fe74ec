"""The panel of a catalogue: its rows to filter and sort, one to open, two to compare.

Not for: making a catalogue (:mod:`tfmagic.verbs.catalog`), or the panel of one model
(:mod:`tfmagic.notebook.panel.widgets.panel`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import ipywidgets

from tfmagic import frames, readers
from tfmagic.display import render
from tfmagic.display.render import Section
from tfmagic.files.addresses.address import path_of
from tfmagic.notebook.panel import catalog_words, cell_text
from tfmagic.notebook.panel.widgets import diff_tab, forms
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.heading import Heading
from tfmagic.notebook.panel.widgets.panel import Panel, notebook_variables
from tfmagic.notebook.panel.widgets.row_details import Act, Details
from tfmagic.notebook.panel.widgets.table import Table
from tfmagic.runtime import keras as keras_runtime
from tfmagic.verbs.diff import diff

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    import pandas as pd

    from tfmagic.verbs.diff import Diff

_SEARCH = ("address", "error", "signatures", "families", "formats")
_FACETS = dict.fromkeys(frames.CATALOG_FACETS, "(not known)")
#: Lower than other tables: what is opened comes below.
_HEIGHT = 300
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
            catalog_words.worded(self._frame),
            label="Models",
            columns=frames.CATALOG_SHOWN,
            search=_SEARCH,
            facets=_FACETS,
            bars=("bytes",),
            on_row=self._show,
            on_act=self._act,
            namespace=self.namespace,
            variable="models",
            kept=self._frame,
            height=_HEIGHT,
        )
        self.work = Work("Read", self)
        self.work.vouch.on_click(lambda _: self._go_on())
        forms.show(self.work.start, shown=False)
        buttons, _, status = self.work.controls
        self._doing = ipywidgets.VBox((buttons, status))
        self._doing.add_class("tfm-form")
        self._doing.add_class("tfm-reading")
        forms.show(self._doing, shown=False)
        #: What was refused for want of trust, to be done with it.
        self._refused: Callable[[], object] = bool
        self.below = ipywidgets.VBox()
        self.heading = Heading(text=_title(self._frame), detail="")
        super().__init__(children=(self.heading, self.table, self._doing, self.below))
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
        facts = [(name, _fact(name, values[name])) for name in frames.CATALOG_SHOWN[1:]]
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
            forms.show(self._doing, shown=True)
            self.work.tell(f"{self.address(row)} is one of two: open the row of the other, and compare.")
        elif name == _COMPARE:
            self.compare(self.first, row)
        else:
            self.show_model(row)

    def show_model(self, row: int) -> bool:
        """Open the model of a row below the table; False where something is being done already."""
        address = self.address(row)

        return self._begin(
            lambda trust: Panel(readers.read(path_of(address), trust=trust), self.namespace),
            f"{address} is shown below.",
        )

    def compare(self, first: int, second: int) -> bool:
        """Compare the models of two rows; False where something is being done already."""
        a, b = self.address(first), self.address(second)
        return self._begin(lambda trust: diff(path_of(a), path_of(b), trust=trust), f"{a} and {b} are compared below.")

    def _begin(self, call: Callable[[bool], Panel | Diff], words: str, *, trust: bool | None = None) -> bool:
        def done(result: Panel | Diff) -> str:
            self._put(result)
            return words

        self._refused = lambda: self._begin(call, words, trust=True)
        forms.show(self._doing, shown=True)
        return self.work.begin(lambda: call(self._trust if trust is None else trust), done)

    def _go_on(self) -> None:
        """Do once more what asked for trust, with it."""
        self._refused()

    def _put(self, result: Panel | Diff) -> None:
        """Show what was opened or compared, in the place of what was shown before."""
        shown = result if isinstance(result, Panel) else _compared(result, self)
        heading = shown.children[0]
        with self._lock:
            before = self.result
            self.result = result
            self.below.children = (shown,)
        heading.come_into_view()
        if isinstance(before, Panel):
            before.dispose()

    # Display

    def _sections(self) -> list[Section]:
        shown = [name for name in frames.CATALOG_SHOWN if self._frame[name].notna().any()]
        return [
            Section(
                "Models", table=catalog_words.worded(self._frame[shown].head(render.MAX_ROWS)), total=len(self._frame)
            )
        ]

    def __repr__(self) -> str:
        """Show the rows as text."""
        return render.text(_title(self._frame), self._sections())

    def _repr_html_(self) -> str:
        """Show them as static HTML."""
        return render.wanted_markup(_title(self._frame), self._sections())

    def _repr_mimebundle_(self, **_options: object) -> dict[str, object]:
        """Show them live, and below what stands where no kernel lives."""
        return render.bundle(self, self)


def _fact(name: str, value: object) -> str:
    """Word a cell at length; what is listed on lines of its own."""
    words = catalog_words.in_words(name, value, lines=True)
    if not isinstance(words, str):
        return cell_text.cell_text(words)
    return "\n".join(map(cell_text.long_text, words.splitlines()))


def _compared(result: Diff, panel: CatalogPanel) -> ipywidgets.VBox:
    """Show a comparison below a heading of its own."""
    table = diff_tab.rows(result, panel, lambda row: table.tell(diff_tab.details(table, row)) if row >= 0 else None)
    forms.show(table, shown=len(result.table) > 0)
    said = ipywidgets.HTML(diff_tab.verdict(result))
    said.add_class("tfm-form")
    shown = ipywidgets.VBox((Heading(text="Comparison"), said, table))
    shown.add_class("tfm-panel")
    return shown


def _title(frame: pd.DataFrame) -> str:
    broken = int(frame["error"].notna().sum())
    models = f"{len(frame):,} model{'' if len(frame) == 1 else 's'}"
    return f"{models}, {broken:,} of them with an error" if broken else models

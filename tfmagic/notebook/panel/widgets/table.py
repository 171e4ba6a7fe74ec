"""A table of up to a million rows: the kernel filters, sorts and counts, the browser draws the rows that are in view.

Handlers may run in another thread while a cell runs (ipykernel's subshells): what they share is locked. Not for: what
the rows mean, which the tabs around it know.
"""

from __future__ import annotations

import threading
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import anywidget
import numpy as np
import pandas as pd
import traitlets

from tfmagic.display import render
from tfmagic.notebook.panel import cell_text, table_layouts, table_pages
from tfmagic.notebook.panel.variable_names import checked_name
from tfmagic.notebook.panel.widgets import assets, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from tfmagic.notebook.panel.letter_index import Mask
    from tfmagic.notebook.panel.table_pages import Query
    from tfmagic.notebook.panel.widgets.row_details import Details

Data: TypeAlias = "dict[str, Any]"

#: Widths in pixels: of a cell's margins, a character, and the bounds of a column of text that repeats.
_PADDING, _CHARACTER, _NARROWEST, _WIDEST = 18, 7.5, 64, 170
#: Likewise of a column of text that differs from row to row, and the rows that are looked at for it.
_USUAL_WIDTH, _LONGEST, _SAMPLED = 104, 260, 200
#: Of a column of numbers, and of a heading's margins with the arrow that says how it is sorted.
_USUAL_NUMBER, _HEADING = 76, 34
#: How columns of numbers of bytes end, and what their unit is called in the browser.
_BYTES = "bytes"
#: Types of values that show nothing where they are no more than that.
_EMPTY = {type(None), str, tuple}


class Table(anywidget.AnyWidget):
    """A table to filter, sort and page through.

    Parameters
    ----------
    frame : DataFrame
        The table; it must not be changed while it is shown.
    label : str
        What it is called.
    columns : sequence of str, optional
        The columns shown, in this order; those without any content are left out. All of them if not given.
    search : sequence of str
        The columns that text is sought in.
    facets : mapping of str to str
        The columns whose values can be chosen, and what no value is called there; those with one value are left out.
    bars : sequence of str
        Columns of sizes, which are drawn as bars behind the number.
    largest : str
        The column that the rows are sorted by at first, the largest first; ``""`` leaves them in the table's order.
    aside : (str, array of bool), optional
        What a switch is called that shows more rows, and which rows those are.
    on_row : callable, optional
        Called with the number of the row that a person opens, to tell its details; with -1 when they are closed.
    on_act : callable, optional
        Called with the name of a button of the details, and the row.
    namespace : mutable mapping, optional
        Where the filtered rows can be put as a DataFrame.
    variable : str
        The name that is proposed for it.
    kept : DataFrame, optional
        The rows that are put there, where those that are shown say the same in other words.
    height : int
        Of the rows that are in view, in pixels, at most.
    """

    _esm = assets.script("table.js")
    _css = assets.style("table.css")
    label = traitlets.Unicode("").tag(sync=True)
    columns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    sought = traitlets.Unicode("").tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)
    facets: traitlets.List[Any] = traitlets.List().tag(sync=True)
    switch = traitlets.Unicode("").tag(sync=True)
    variable = traitlets.Unicode("").tag(sync=True)
    #: The column and the direction that rows are sorted by at first, if there is one.
    sorted: traitlets.List[Any] = traitlets.List().tag(sync=True)
    #: What a person made of the columns: their order, those that are hidden, widths.
    layout_of_columns = traitlets.Dict().tag(sync=True)
    details = traitlets.Dict().tag(sync=True)
    wanted = traitlets.Dict().tag(sync=True)

    def __init__(  # noqa: PLR0913 - what a table can do
        self,
        frame: pd.DataFrame,
        *,
        label: str = "Table",
        columns: Sequence[str] | None = None,
        search: Sequence[str] = ("name", "op"),
        facets: Mapping[str, str] | None = None,
        bars: Sequence[str] = (),
        largest: str = "",
        aside: tuple[str, Mask] | None = None,
        on_row: Callable[[int], None] | None = None,
        on_act: Callable[[str, int], None] | None = None,
        namespace: MutableMapping[str, object] | None = None,
        variable: str = "",
        kept: pd.DataFrame | None = None,
        height: int = 420,
    ) -> None:
        self._lock = threading.RLock()
        facets = {name: none for name, none in (facets or {}).items() if _varies(frame[name])}
        self._pages = table_pages.Pages(frame, search, tuple(facets), aside[1] if aside else None)
        self._shown = [name for name in (columns or map(str, frame.columns)) if _has_content(frame[name])]
        self._bars = tuple(name for name in bars if name in self._shown)
        self._on_row, self._on_act, self._namespace = on_row, on_act, namespace
        self._originals = frame if kept is None else kept
        self._asked = 0
        #: What was kept last, and a variable of the user's that would be replaced, until the person says so once more.
        self._kept: weakref.ref[pd.DataFrame] | None = None
        self._in_the_way = ""
        super().__init__(
            label=label,
            columns=[self._column(name) for name in self._shown],
            sought=" or ".join(self._pages.search),
            total=len(frame) - (int(aside[1].sum()) if aside else 0),
            facets=[list(each) for each in facets.items()],
            sorted=[{"column": largest, "descending": True}] if largest in self._shown else [],
            switch=aside[0] if aside and aside[1].any() else "",
            variable=variable if namespace is not None else "",
            height=height,
        )
        self.on_msg(self._handle)

    @property
    def frame(self) -> pd.DataFrame:
        """The whole table."""
        return self._pages.frame

    def _column(self, name: str) -> Data:
        """Say how a column is drawn; of one whose values repeat, how many pixels most of them need."""
        column: Data = {"name": name, "kind": self._kind(name)}
        if name.endswith(_BYTES):
            column["unit"] = _BYTES
        values = self.frame[name]
        heading = _HEADING + _CHARACTER * len(name)
        if column["kind"] == "number":
            shown = [values.min(), values.max()] if len(values) else []
            longest = max((len(cell_text.cell_text(each)) for each in shown), default=0)
            _widen(column, max(_PADDING + _CHARACTER * longest, heading), _USUAL_NUMBER)
        elif column["kind"] == "text" and isinstance(values.dtype, pd.CategoricalDtype):
            used = _used(values) if len(values) else values.cat.categories
            longest = max((len(str(each)) for each in used), default=0)
            column["least"] = min(max(_PADDING + _CHARACTER * max(longest, len(name)), _NARROWEST), _WIDEST)
        elif column["kind"] == "text":
            sample = values.head(_SAMPLED).tolist()
            longest = max((len(cell_text.cell_text(each)) for each in sample if _is_whole(each)), default=0)
            _widen(column, max(min(_PADDING + _CHARACTER * longest, _LONGEST), heading), _USUAL_WIDTH)
        return column

    def _kind(self, name: str) -> str:
        if name in self._bars:
            return "bar"
        if name == self._shown[0]:
            return "name"
        return "number" if pd.api.types.is_numeric_dtype(self.frame[name].dtype) else "text"

    # For Python

    def show(self, row: int) -> None:
        """Bring a row into view and open it; filters that hide it are taken away.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        if not 0 <= row < len(self.frame):
            message = f"there is no row {row} in a table of {len(self.frame):,}"
            raise IndexError(message)
        self._want(row=row)

    def filter(self, text: str = "", **values: object) -> bool:
        """Show the rows with a text and with values of facets, and no others; say whether all values exist."""
        codes = {name: self._pages.code(name, value) for name, value in values.items()}
        chosen = {name: [code] for name, code in codes.items() if code is not None}
        self._want(query={"text": text, "chosen": chosen, "regex": False})
        return len(chosen) == len(values)

    def _want(self, **what: object) -> None:
        """Ask the browser for something; the number tells it from what was asked before."""
        self._asked += 1
        self.wanted = {"n": self._asked, **what}

    def tell(self, details: Details | None) -> None:
        """Show details of a row, or none."""
        self.details = dict(details) if details else {}

    # For the browser

    def _handle(self, _widget: object, content: Data, _buffers: object) -> None:
        """Answer one message; what it asks for is checked, whoever sent it."""
        act = self._actions.get(str(content.get("do")))
        if act is None:
            return
        try:
            act(content)
        except Exception as error:  # noqa: BLE001 - a model raises whatever its code does; a person gets one line
            message: Data = {"error": cell_text.cell_text(str(error).partition("\n")[0] or type(error).__name__)}
            # Then the browser waits no longer for the rows that it asked for.
            self.send(message | ({"id": content["id"]} if "id" in content else {}))

    @cached_property
    def _actions(self) -> dict[str, Callable[[Data], None]]:
        return {
            "window": self._send_window,
            "place": self._send_place,
            "open": lambda asked: self._open(int(asked["row"])),
            "close": lambda _: self._open(-1),
            "act": lambda asked: self._act(str(asked["name"])),
            "name": lambda asked: self.send({"naming": self._naming(str(asked["text"]))}),
            "keep": self._keep,
            "columns": self._arrange,
            "ping": self._ping,
        }

    def _send_window(self, asked: Data) -> None:
        query = _query(asked.get("query", {}))
        with self._lock:
            matches = self._pages.find(query)
            start, rows = table_pages.window(matches.rows, int(asked["start"]), int(asked["count"]))
            answer: Data = {
                "window": int(asked["id"]),
                "start": start,
                "total": len(matches.rows),
                "of": len(self.frame) if query.is_whole else self.total,
                "numbers": rows,
                "rows": self._pages.cells(rows, self._shown),
                "shares": {name: self._pages.shares(rows, name) for name in self._bars},
                "problem": matches.problem,
            }
            if asked.get("facets"):
                answer["facets"] = [_facet_data(each) for each in self._pages.facets(query)]
        self.send(answer)

    def _send_place(self, asked: Data) -> None:
        with self._lock:
            place = self._pages.place(_query(asked.get("query", {})), int(asked["row"]))
        self.send({"place": place, "row": int(asked["row"])})

    def _open(self, row: int) -> None:
        is_row = 0 <= row < len(self.frame)
        if not is_row:
            self.tell(None)
        if self._on_row is not None:
            self._on_row(row if is_row else -1)

    def _act(self, name: str) -> None:
        known = {act["name"] for act in self.details.get("acts", ())}
        if self._on_act is not None and name in known:
            self._on_act(name, int(self.details["row"]))

    def _arrange(self, asked: Data) -> None:
        """Keep what a person made of the columns, for every view of this table."""
        self.layout_of_columns = table_layouts.checked(asked["layout"], self._shown)

    def _naming(self, text: str) -> Data:
        if self._namespace is None:
            return {"text": text, "problem": "there is nowhere to put it", "note": ""}
        return {"text": text, **checked_name(text, self._namespace)._asdict()}

    def _keep(self, asked: Data) -> None:
        """Put the rows of a query into a variable."""
        name = str(asked["text"]).strip()
        naming = self._naming(name)
        if not naming["problem"] and self._namespace is not None:
            present = self._namespace.get(name)
            if name in self._namespace and not self._is_own(present) and self._in_the_way != name:
                self._in_the_way = name
                kind = type(present).__name__
                naming["note"] = f"{name} is there already ({kind}): press again to replace it, or choose another name"
                self.send({"naming": naming})
                return
            self._in_the_way = ""
            with self._lock:
                rows = self._pages.find(_query(asked.get("query", {}))).rows
                kept = self._originals.iloc[rows].reset_index(drop=True)
            self._namespace[name] = kept
            self._kept = weakref.ref(kept)
            naming["kept"] = f"{name} is now a DataFrame of {render.counted(len(kept), 'row')}"
        self.send({"naming": naming})

    def _is_own(self, value: object) -> bool:
        """Say whether a value is what was put there last: the next rows may take its place."""
        return self._kept is not None and value is not None and self._kept() is value

    def _ping(self, _asked: Data) -> None:
        """Answer from a subshell, to which ipykernel then sends all that follows; find out what typing will need.

        That takes a thread of its own: what is asked meanwhile comes to the same subshell.
        """
        self.send({"pong": True})
        threads.begin(self._pages.warm, "search")

    # Display

    def _repr_mimebundle_(self, **options: Any) -> Any:  # noqa: ANN401 - as anywidget's
        """Show the table live, its first rows for where no kernel lives."""
        section = render.Section(self.label, table=self.frame[self._shown].head(render.MAX_ROWS), total=len(self.frame))
        static = {"text/plain": render.text(self.label, [section]), "text/html": render.markup(self.label, [section])}
        bundle = super()._repr_mimebundle_(**options)
        live, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**(live or {}), **static}, metadata


def _is_whole(value: object) -> bool:
    """Say whether a value tells nothing once it is cut: a text, a shape, but no list of names."""
    return isinstance(value, str) or (isinstance(value, tuple) and not any(isinstance(each, str) for each in value))


def _widen(column: Data, width: float, usual: int) -> None:
    """Say how many pixels a column needs, where these are more than the usual ones."""
    if width > usual:
        column["least"] = width


def _query(asked: Mapping[str, Any]) -> Query:
    """Read a query as a browser sends it."""
    chosen = {str(name): tuple(sorted(map(int, codes))) for name, codes in dict(asked.get("chosen") or {}).items()}
    return table_pages.Query(
        str(asked.get("text", "")),
        bool(asked.get("regex")),
        tuple(sorted((name, codes) for name, codes in chosen.items() if codes)),
        str(asked.get("sort", "")),
        bool(asked.get("descending")),
        bool(asked.get("all")),
    )


def _facet_data(facet: table_pages.Facet) -> Data:
    return {"column": facet.column, "values": [list(value) for value in facet.listed], "more": facet.more}


def _varies(values: pd.Series[Any]) -> bool:
    """Say whether a column has more than one value."""
    codes = values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values.map(cell_text.cell_text)
    return len(codes) > 0 and bool((codes != codes.iloc[0]).any())


def _used(values: pd.Series[Any]) -> pd.Index[Any]:
    """Return the categories that some row has."""
    codes = values.cat.codes.to_numpy()
    # The code of what is missing is -1.
    return values.cat.categories[np.flatnonzero(np.bincount(codes + 1, minlength=1)[1:])]


def _has_content(values: pd.Series[Any]) -> bool:
    """Say whether a column shows anything in any row; where there is no row, the columns say what there could be."""
    if not len(values):
        return True
    if isinstance(values.dtype, pd.CategoricalDtype):
        return any(str(each) for each in _used(values))
    if values.dtype != object:
        return True
    # In C: a column of a million empty tuples is looked at to its end.
    listed = values.tolist()
    return any(map(bool, listed)) or not set(map(type, listed)) <= _EMPTY

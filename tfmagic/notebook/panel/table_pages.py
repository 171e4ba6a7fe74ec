"""The rows of a table that a person asked for, a window of them at a time: filtered, counted, sorted.

Made for a million rows: columns that repeat are compared by code, what was found out about a column is kept. Not for:
drawing (:mod:`tfmagic.notebook.panel.widgets.table`), nor for what the columns mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.notebook.panel.cell_text import cell_text
from tfmagic.notebook.panel.table_columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tfmagic.notebook.panel.letter_index import Mask
    from tfmagic.notebook.panel.table_columns import Integers

#: Values that a facet lists, and rows of one window.
MOST_VALUES, MOST_ROWS = 200, 400
#: One row in so many is few.
_FEW = 4
#: Runs of letters that a pattern is tried by.
_MOST_RUNS = 3


class Query(NamedTuple):
    """What rows are wanted.

    Attributes
    ----------
    text : str
        What one of the searched columns holds, whatever its case; everything matches ``""``.
    is_regex : bool
        Whether the text is a regular expression, to be found anywhere.
    chosen : tuple of (str, tuple of int)
        Of some facets the values of which a row must have one, by their codes.
    sort : str
        The column to sort by, ``""`` for the table's own order.
    descending : bool
        Whether the largest come first.
    is_whole : bool
        Whether the rows that are set aside are wanted too.
    """

    text: str = ""
    is_regex: bool = False
    chosen: tuple[tuple[str, tuple[int, ...]], ...] = ()
    sort: str = ""
    descending: bool = False
    is_whole: bool = False


class Value(NamedTuple):
    """A value of a facet, and how many rows have it."""

    code: int
    text: str
    rows: int


class Facet(NamedTuple):
    """The values of a column, the most frequent first; ``more`` are not listed."""

    column: str
    listed: tuple[Value, ...]
    more: int


class Found(NamedTuple):
    """What answers a query: the rows by number, and in one line what is wrong with the query."""

    rows: Integers
    problem: str = ""


class Pages:
    """A table to page through.

    Parameters
    ----------
    frame : DataFrame
        The table. It is not changed, and must not be.
    search : sequence of str
        The columns that text is sought in.
    facets : sequence of str
        The columns whose values can be chosen.
    aside : array of bool, optional
        The rows that are shown on request only.
    """

    def __init__(
        self, frame: pd.DataFrame, search: Sequence[str], facets: Sequence[str] = (), aside: Mask | None = None
    ) -> None:
        self.frame = frame
        self.search = tuple(name for name in search if name in frame.columns)
        self.facet_names = tuple(name for name in facets if name in frame.columns)
        self._aside = aside if aside is not None and aside.any() else None
        self._columns = {name: Column(frame[name]) for name in frame.columns}
        self._matching: tuple[str, bool, Mask | None, str] = ("", False, None, "")
        self._latest: tuple[Query, Found] | None = None

    # What is there

    def find(self, query: Query) -> Found:
        """Return the rows that a query asks for, in its order."""
        if self._latest is None or self._latest[0] != query:
            self._latest = (query, self._find(query))
        return self._latest[1]

    def _find(self, query: Query) -> Found:
        matching, problem = self._match(query.text.strip(), is_regex=query.is_regex)
        mask = _all_of([matching, self._shown(query), *self._choices(query).values()])
        if query.sort not in self._columns:
            rows = np.arange(len(self.frame)) if mask is None else np.flatnonzero(mask)
            return Found(rows, problem)
        order = self._columns[query.sort].order(descending=query.descending)
        return Found(order if mask is None else order[mask[order]], problem)

    def facets(self, query: Query) -> list[Facet]:
        """Count the values of each facet, of the rows that all other filters leave."""
        matching, _ = self._match(query.text.strip(), is_regex=query.is_regex)
        choices = self._choices(query)
        facets = []
        for name in self.facet_names:
            others = [mask for other, mask in choices.items() if other != name]
            mask = _all_of([matching, self._shown(query), *others])
            facets.append(self._count(name, mask, dict(query.chosen).get(name, ())))
        return facets

    def _count(self, name: str, mask: Mask | None, chosen: Sequence[int]) -> Facet:
        """Count the values of one column; what is chosen is listed, be it nowhere."""
        codes, values = self._columns[name].coded
        counts = np.bincount(codes if mask is None else codes[mask], minlength=len(values))
        listed = sorted({*np.flatnonzero(counts).tolist(), *(code for code in chosen if 0 <= code < len(values))})
        listed.sort(key=lambda code: -int(counts[code]))
        shown = listed[:MOST_VALUES] + [code for code in listed[MOST_VALUES:] if code in chosen]
        return Facet(
            name,
            tuple(Value(code, cell_text(values[code]), int(counts[code])) for code in shown),
            len(listed) - len(shown),
        )

    def code(self, name: str, value: object) -> int | None:
        """Return the code of a value of a facet, None if no row has it."""
        values = self._columns[name].coded[1] if name in self._columns else []
        return next((code for code, each in enumerate(values) if each == value), None)

    def place(self, query: Query, row: int) -> int:
        """Return where a row stands among those that a query asks for, -1 if it does not."""
        places = np.flatnonzero(self.find(query).rows == row)
        return int(places[0]) if places.size else -1

    def cells(self, rows: Sequence[int], columns: Sequence[str]) -> list[list[str]]:
        """Word some rows, at most :data:`MOST_ROWS` of them."""
        taken = list(rows[:MOST_ROWS])
        worded = [self._columns[name].worded(taken) for name in columns]
        return [list(row) for row in zip(*worded, strict=True)] if worded else [[] for _ in taken]

    def shares(self, rows: Sequence[int], column: str) -> list[float]:
        """Return what part of the column's largest value some rows have."""
        numbers, largest = self._columns[column].numbers, self._columns[column].largest
        taken = numbers[np.array(rows[:MOST_ROWS], np.int64)]
        return [round(max(each, 0.0) / largest, 4) if largest > 0 and each == each else 0.0 for each in taken.tolist()]  # noqa: PLR0124 - NaN alone differs

    def warm(self) -> None:
        """Find out now what each letter that is typed would wait for; questions may come meanwhile."""
        for name in self.search:
            self._columns[name].make_ready()

    # How it is found

    def _shown(self, query: Query) -> Mask | None:
        return None if query.is_whole or self._aside is None else ~self._aside

    def _choices(self, query: Query) -> dict[str, Mask]:
        """Return which rows have one of the values chosen, for each facet of which some are."""
        return {
            name: self._columns[name].is_one_of(codes)
            for name, codes in query.chosen
            if codes and name in self._columns
        }

    def _match(self, text: str, *, is_regex: bool) -> tuple[Mask | None, str]:
        """Return which rows match a text, and what is wrong with it; what was sought last is kept."""
        if not text:
            return None, ""
        text = text if is_regex else text.casefold()
        last, was_regex, mask, problem = self._matching
        if (last, was_regex) == (text, is_regex):
            return mask, problem
        # Who types on seeks among what was found, where that is less.
        is_longer = last and not was_regex and not is_regex and last in text
        among = mask if is_longer and mask is not None and mask.sum() * _FEW < len(mask) else None
        mask, problem = self._sought(text, among, is_regex=is_regex)
        self._matching = (text, is_regex, mask, problem)
        return mask, problem

    def _sought(self, text: str, among: Mask | None, *, is_regex: bool) -> tuple[Mask | None, str]:
        columns = [self._columns[name] for name in self.search]
        if not is_regex:
            return _any_of([column.holding(text, among) for column in columns]), ""
        try:
            pattern = re.compile(text, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError, FutureWarning) as error:
            return None, cell_text(f"not a regular expression yet: {error}")
        return _any_of([column.matching(pattern, literals(text)) for column in columns]), ""


def window(rows: Integers, start: int, count: int) -> tuple[int, list[int]]:
    """Cut a window out of rows: where it begins, and what is in it; one that reaches beyond the end is moved."""
    count = min(max(count, 0), MOST_ROWS)
    start = max(0, min(start, len(rows) - count))
    return start, rows[start : start + count].tolist()


def literals(pattern: str) -> list[str]:
    """Return runs of letters that every ASCII text has in which a regular expression is found, without their case.

    The longest come first. There are none where none is certain: what stands in a group or beside a ``|`` may be
    missing.
    """
    if any(sign in pattern for sign in "|(\\"):
        return []
    # What is repeated may be missing too: its last letter goes with the sign.
    plain = re.sub(r"\[\^?\]?[^]]*\]|.\{[^}]*\}|.[*?+{]|[.^$]", "\n", pattern)
    runs = {run.casefold() for run in re.split(r"[^A-Za-z0-9_/-]", plain) if len(run) > 1}
    return sorted(runs, key=lambda run: (-len(run), run))[:_MOST_RUNS]


def _all_of(masks: Sequence[Mask | None]) -> Mask | None:
    every: Mask | None = None
    for mask in masks:
        if mask is not None:
            every = mask if every is None else every & mask
    return every


def _any_of(masks: Sequence[Mask]) -> Mask | None:
    either: Mask | None = None
    for mask in masks:
        either = mask if either is None else either | mask
    return either

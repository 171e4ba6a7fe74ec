"""What is found out about a column to filter, count and sort by it, each of it once.

Columns that repeat are compared by code. Not for: putting columns together (:mod:`tfmagic.notebook.panel.table_pages`).
"""

from __future__ import annotations

from functools import cached_property
from itertools import compress, repeat
from operator import contains, ne
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from tfmagic.frames import is_missing
from tfmagic.notebook.panel.cell_text import cell_text
from tfmagic.notebook.panel.letter_index import LetterIndex, Mask

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    import numpy.typing as npt

Integers: TypeAlias = "npt.NDArray[np.integer[Any]]"

#: Kinds of values in the order in which a column of several is sorted.
_UNKNOWN, _NUMBER, _TEXT, _TUPLE = range(4)
#: To look up one row in so many takes no longer than to pass by all.
_LOOKED_UP = 16


class Column:
    """What is known of a column, each of it found out when it is first asked for."""

    def __init__(self, values: pd.Series[Any]) -> None:
        self.values = values
        self.index: LetterIndex | None = None
        self._orders: dict[bool, Integers] = {}

    @cached_property
    def coded(self) -> tuple[Integers, list[Any]]:
        """The values as codes, and what each code means."""
        if isinstance(self.values.dtype, pd.CategoricalDtype):
            codes, meanings = self.values.cat.codes.to_numpy(), list(self.values.cat.categories)
        else:
            numbers: dict[Any, int] = {}
            listed = [None if is_missing(value) else value for value in self.values.tolist()]
            codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in listed), np.int32, len(listed))
            return codes, list(numbers)
        if codes.size and codes.min() < 0:
            codes = np.where(codes < 0, len(meanings), codes)
            meanings.append(None)
        return codes, meanings

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The values as numbers, NaN where they are none."""
        numbers: npt.NDArray[np.float64] = pd.to_numeric(self.values, errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        return numbers

    @cached_property
    def largest(self) -> float:
        """The largest of the numbers, 0 where there is none."""
        return float(np.nanmax(self.numbers)) if np.isfinite(self.numbers).any() else 0.0

    def worded(self, rows: Sequence[int]) -> list[str]:
        """Word the values of some rows; where values are names, none of them is nothing."""
        values = self.values.iloc[list(rows)].tolist()
        return ["" if value == () and self._has_names else cell_text(value) for value in values]

    @cached_property
    def _has_names(self) -> bool:
        """Whether the column has tuples of names, not of numbers."""
        first = next((value for value in self.values.tolist() if isinstance(value, tuple) and value), None)
        return first is None or isinstance(first[0], str)

    @cached_property
    def _is_repeating(self) -> bool:
        return isinstance(self.values.dtype, pd.CategoricalDtype)

    # Filters

    @cached_property
    def folded(self) -> list[str]:
        """The texts without their case, of a column that repeats each once."""
        texts = self.coded[1] if self._is_repeating else self.values.tolist()
        return [_text(text).casefold() for text in texts]

    def holding(self, text: str, among: Mask | None) -> Mask:
        """Return which rows hold a text without case, of those among which it is sought."""
        folded = self.folded
        if self._is_repeating:
            return self._of_codes([text in each for each in folded])
        if self.index is not None and text:
            candidates, is_certain = self.index.candidates(text)
            among = candidates if among is None else among & candidates
            if is_certain:
                return among
        if among is None:
            return np.fromiter(map(contains, folded, repeat(text)), bool, len(folded))
        kept, rows = among.copy(), np.flatnonzero(among)
        # A row that is looked up costs more than one that comes in its turn.
        is_few = len(rows) * _LOOKED_UP < len(folded)
        some = map(folded.__getitem__, rows.tolist()) if is_few else compress(folded, among.tobytes())
        kept[rows] = np.fromiter(map(contains, some, repeat(text)), bool, len(rows))
        return kept

    def make_ready(self) -> None:
        """Find out what a search will need; until then it looks at each row."""
        if not self._is_repeating and self.index is None:
            self.index = LetterIndex(self.folded)

    def matching(self, pattern: re.Pattern[str], needed: Sequence[str]) -> Mask:
        """Return which rows a pattern is found in; in an ASCII text it is sought only if that holds what it needs."""
        if self._is_repeating:
            return self._of_codes([pattern.search(text) is not None for text in map(_text, self.coded[1])])
        candidates = np.ones(len(self.folded), bool)
        for text in needed:
            candidates &= (
                self.holding(text, candidates if candidates.sum() * 2 < len(candidates) else None) | self._beyond_ascii
            )
        values = self.values.tolist()
        rows = np.flatnonzero(candidates)
        candidates[rows] = [pattern.search(_text(values[row])) is not None for row in rows.tolist()]
        return candidates

    @cached_property
    def _beyond_ascii(self) -> Mask:
        return np.array([not text.isascii() for text in self.folded], bool)

    def is_one_of(self, codes: Sequence[int]) -> Mask:
        """Return which rows have one of some values."""
        wanted = set(codes)
        return self._of_codes([code in wanted for code in range(len(self.coded[1]))])

    def _of_codes(self, hits: Sequence[bool]) -> Mask:
        mask: Mask = np.array([*hits, False], bool)[self.coded[0]]
        return mask

    # Order

    def order(self, *, descending: bool) -> Integers:
        """Return all rows sorted by this column: what is missing last, what is equal in the table's order."""
        if descending not in self._orders:
            ranks, missing = self._ranks
            last = int(ranks.max(initial=0)) + 1
            keys = np.where(missing, last, last - 1 - ranks if descending else ranks)
            self._orders[descending] = np.argsort(keys, kind="stable").astype(np.int32)
        return self._orders[descending]

    @cached_property
    def _ranks(self) -> tuple[Integers, Mask]:
        """Each row's place among the distinct values, and where there is no value."""
        if not self._is_repeating and set(map(type, listed := self.values.tolist())) == {str}:
            # Without codes, which take as long as half of the sorting.
            return _text_ranks(listed), np.zeros(len(listed), bool)
        codes, values = self.coded
        missing = np.array([is_missing(value) for value in values] or [False], bool)
        ranks = np.zeros(max(len(values), 1), np.int32)
        ranks[_sorted(values)] = np.arange(len(values), dtype=np.int32)
        return ranks[codes], missing[codes]


def _text_ranks(texts: Sequence[str]) -> Integers:
    """Return each text's place among the distinct ones."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[row] for row in order]
    ranks = np.zeros(len(texts), np.int32)
    ranks[order] = np.cumsum([False, *map(ne, ordered[1:], ordered)], dtype=np.int32)[: len(texts)]
    return ranks


def _text(value: object) -> str:
    """Return what a value is sought in."""
    return value if isinstance(value, str) else cell_text(value)


def _sorted(values: Sequence[Any]) -> list[int]:
    """Return the places of distinct values in their order."""
    if all(type(value) is str for value in values):
        return sorted(range(len(values)), key=values.__getitem__)
    keys = [_sort_key(value) for value in values]
    return sorted(range(len(values)), key=keys.__getitem__)


def _sort_key(value: object) -> tuple[Any, ...]:
    """Return what any two values can be compared by; an unknown dimension comes before all others."""
    if is_missing(value):
        return (_UNKNOWN,)
    if isinstance(value, tuple):
        return (_TUPLE, *(_sort_key(each) for each in value))
    if isinstance(value, (int, float, np.number, np.bool_)):
        return (_NUMBER, value)
    return (_TEXT, str(value))

"""What a catalogue holds as JSON text, in words for people.

Not for: the columns themselves, which programs read (:class:`tfmagic.frames.CatalogRow`).
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tfmagic.display.card_ends import shape_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

#: The dtype of what nobody knows before it is traced, also as earlier versions wrote it.
_UNKNOWN = (None, "invalid")
#: Between those of a list in a line of a table, and one below the other in details.
_BESIDE, _BELOW = "; ", "\n"


def worded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with words in the place of JSON, a line for each cell; all else is as it was."""
    columns = {name: _mapped(frame[name], partial(in_words, name)) for name in WORDS if name in frame}
    return frame.assign(**columns)


def _mapped(values: pd.Series[Any], words: Callable[[Any], object]) -> pd.Series[Any]:
    # Models of one kind have the same text.
    known = {value: words(value) for value in values.unique() if isinstance(value, str)}
    return values.map(lambda value: known.get(value, value) if isinstance(value, str) else value).astype(object)


def in_words(name: str, value: object, *, lines: bool = False) -> object:
    """Word one cell; what is no JSON of that kind, as a file that was edited may hold, stays as it is.

    Parameters
    ----------
    name : str
        The column.
    value : object
        What stands there.
    lines : bool
        Whether what is listed stands on lines of its own.
    """
    if name not in WORDS or not isinstance(value, str):
        return value
    try:
        return (_BELOW if lines else _BESIDE).join(WORDS[name](json.loads(value)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return value


def _signatures(listed: list[dict[str, Any]]) -> list[str]:
    return [f"{each['signature']}: {_ends(each['inputs'])} → {_ends(each['outputs'])}" for each in listed]


def _ends(ends: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{key} {_shape(each['shape'], each['dtype'])}" for key, each in ends.items()) or "nothing"


def _shape(shape: list[int | None] | None, dtype: str | None) -> str:
    if dtype is None or dtype in _UNKNOWN:
        return "(not known)"
    sizes, kind = shape_words(None if shape is None else tuple(shape), dtype)
    return f"{sizes} {kind.partition(',')[0]}"


def _families(counts: Mapping[str, int]) -> list[str]:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return [", ".join(f"{count:,} {name}" for name, count in ranked)]


def _formats(names: list[str]) -> list[str]:
    return [", ".join(map(str, names))]


def _tags(sets: list[list[str]]) -> list[str]:
    return [", ".join(tags) or "(no tags)" for tags in sets]


WORDS: Mapping[str, Callable[[Any], list[str]]] = {
    "signatures": _signatures,
    "families": _families,
    "formats": _formats,
    "tags": _tags,
}

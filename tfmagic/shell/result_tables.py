"""The table that a verb's result is, or holds: what the shell prints of it in rows and columns.

Not for: how it is printed (:mod:`tfmagic.shell.printing`).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from tfmagic import frames
from tfmagic.display import render


class Table(NamedTuple):
    """A table, of pandas or not: its columns and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Written(render.Sectioned):
    """A model that was written, shown by what is known without reading it again.

    Parameters
    ----------
    model : Model
        As the verb returned it.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - a Model
        self._model = model

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return where it lies, its size, its signatures and its notes."""
        from tfmagic.files import writing  # noqa: PLC0415 - numpy comes with it, for which no completion should wait

        model = self._model
        size = writing.size_of(model.path)
        facts = [("size", render.size_text(size)), *(("note", note) for note in model.notes)]
        return f"{model.form}: {model.origin}", [render.Section("Written", facts)]

    @property
    def signatures(self) -> frames.Rows | None:
        """Its signatures, as rows."""
        rows: frames.Rows | None = self._model.rows("signatures")
        return rows


def table_of(result: object) -> Table | None:
    """Return a result that is a table, or the one table that it is about; None if it has none or several."""
    if isinstance(result, frames.Rows):
        return Table(result.columns, list(map(tuple, result.rows)))
    if is_frame(result):
        frame: Any = result
        if frame.index.name is not None:
            frame = frame.reset_index()
        return Table(list(map(str, frame.columns)), list(frame.itertuples(index=False, name=None)))
    fields = fields_of(result)
    for name in ("table", "verification"):
        if is_frame(fields.get(name)):
            return table_of(fields[name])
    return None


def is_frame(value: object) -> bool:
    """Say whether a value is a DataFrame, without importing pandas for it."""
    return type(value).__module__ != "builtins" and hasattr(value, "itertuples")


def fields_of(result: object) -> dict[str, Any]:
    """Return the public fields of a result that is a frozen dataclass."""
    if not dataclasses.is_dataclass(result):
        return {}
    return {
        each.name: getattr(result, each.name) for each in dataclasses.fields(result) if not each.name.startswith("_")
    }

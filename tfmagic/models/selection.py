"""Choose rows of a model's tables: by op, by name, by signature.

Not for: making the tables (:mod:`tfmagic.models.public_tables`).
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.graphs import function_uses, plumbing, signatures
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from tfmagic import frames
    from tfmagic.models.model import Model

#: The column that ``name`` filters, where it is not called so.
_NAME_COLUMNS = {
    "functions": "function",
    "signatures": "key",
    "metagraphs": "tags",
    "assets": "filename",
    "costs": "scope",
}


def select(  # noqa: PLR0913 - the filters of the contract, by name
    model: Model,
    table: str,
    *,
    op: str | None = None,
    name: str | None = None,
    signature: str | None = None,
    all: bool = False,  # noqa: A002 - the contract's name
    depth: int | None = None,
) -> pd.DataFrame:
    """Return the rows of one of a model's tables that match all filters.

    Parameters
    ----------
    model : Model
        Whose table.
    table : str
        ``"ops"``, ``"variables"`` and so on.
    op, name : str, optional
        Regular expressions searched for in the op's type and in the row's name.
    signature : str, optional
        Of ``signatures`` the rows of this key, of ``ops`` and ``functions`` what its outputs need.
    all : bool
        Whether bookkeeping is included.
    depth : int, optional
        Of ``costs``: how many parts of a name make its scope.

    Raises
    ------
    UnknownNameError
        If there is no such signature, or ``op`` is given for a table without ops.
    """
    frame = model.table(table, all=_with_hidden(signature, all=all), depth=depth)
    chosen = _chosen(model, table, _Table(list(frame.columns), frame.__getitem__), _Wanted(op, name, signature))
    return frame.reset_index(drop=True) if chosen is None else frame[chosen].reset_index(drop=True)


def select_rows(  # noqa: PLR0913 - as above
    model: Model,
    table: str,
    *,
    op: str | None = None,
    name: str | None = None,
    signature: str | None = None,
    all: bool = False,  # noqa: A002 - the contract's name
    depth: int | None = None,
) -> frames.Rows | None:
    """Return what :func:`select` does as rows, without pandas; None of a table that is made of columns."""
    rows = model.rows(table, all=_with_hidden(signature, all=all), depth=depth)
    if rows is None:
        return None
    chosen = _chosen(model, table, _Table(rows.columns, rows.column), _Wanted(op, name, signature))
    return rows if chosen is None else rows._replace(rows=list(itertools.compress(rows.rows, chosen)))


class _Table(NamedTuple):
    """A table, whatever it is made of: its columns, and what returns the values of one."""

    columns: list[str]
    column: Callable[[str], Iterable[object]]


class _Wanted(NamedTuple):
    """The filters, None where all rows are wanted."""

    op: str | None
    name: str | None
    signature: str | None


def _with_hidden(signature: str | None, *, all: bool) -> bool:  # noqa: A002 - the contract's name
    """Say whether rows that are hidden else are looked at: a signature of theirs may be named."""
    return all or (signature is not None and signatures.is_hidden(signature))


def _chosen(model: Model, table: str, content: _Table, wanted: _Wanted) -> list[bool] | None:
    """Say of each row whether it matches all filters; None if there is no filter."""
    op, name, signature = wanted
    filters = []
    if op is not None:
        filters.append(_matches(content.column(_column(table, "op", content.columns)), op))
    if name is not None:
        filters.append(_matches(content.column(_NAME_COLUMNS.get(table, "name")), name))
    if signature is not None:
        filters.append(_of_signature(model, table, content, signature))
    return [all(row) for row in zip(*filters, strict=True)] if filters else None


def _column(table: str, column: str, columns: list[str]) -> str:
    """Return the column; raises if the table has none of that name."""
    if column in columns:
        return column
    raise errors.UnknownNameError(column, f"column of the table {table!r}", columns)


def _matches(values: Iterable[object], pattern: str) -> list[bool]:
    """Say of each value whether the pattern is found in it."""
    try:
        search = re.compile(pattern).search
    except re.error as error:
        message = f"{pattern!r} is not a regular expression: {error}; write \\. for a dot, .* for anything"
        raise errors.TfMagicError(message) from error
    is_match = cache(lambda value: search(value) is not None)
    return [is_match(value) for value in values]


def _of_signature(model: Model, table: str, content: _Table, key: str) -> list[bool]:
    """Say of each row whether it belongs to a signature."""
    if table == "signatures":
        keys = list(content.column("signature"))
        signatures.choose(dict.fromkeys(map(str, keys)), key)
        return [each == key for each in keys]
    needed, called = _needed(model, key)
    if table == "functions":
        return [function in called for function in content.column("function")]
    if table != "ops":
        raise errors.UnknownNameError(table, "table with rows of signatures", ("signatures", "ops", "functions"))
    pairs = zip(content.column("function"), content.column("name"), strict=True)
    return [(function in called) if function else (name in needed) for function, name in pairs]


def _needed(model: Model, key: str) -> tuple[set[str], set[str]]:
    """Return the nodes of the main graph and the functions that a signature's outputs need."""
    uses = function_uses.read(model.meta_graph.graph)
    return plumbing.needed(plumbing.main_graph(model.table("ops", all=True)), uses, _outputs(model, key))


def _outputs(model: Model, key: str) -> list[str]:
    """Return the tensors that are a signature's outputs, be it a proposed one."""
    if model.has_no_signature and key == signatures.PROPOSED:
        return list(model.ends.outputs)
    definitions = model.meta_graph.signature_def if Part.SIGNATURES in model.loaders else {}
    return [end.tensor for end in signatures.endpoints(definitions[signatures.choose(definitions, key)].outputs)]

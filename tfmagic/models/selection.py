"""Choose rows of a model's tables: by op, by name, by signature.

Not for: making the tables (:mod:`tfmagic.models.tables`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.graphs import function_uses, plumbing, signatures
from tfmagic.models.model import Part

if TYPE_CHECKING:
    import pandas as pd

    from tfmagic.models.model import Model

#: The column that ``name`` filters, where it is not called so.
_NAME_COLUMNS = {"functions": "function", "signatures": "key", "metagraphs": "tags", "assets": "filename"}


def select(  # noqa: PLR0913 - the filters of the contract, by name
    model: Model,
    table: str,
    *,
    op: str | None = None,
    name: str | None = None,
    signature: str | None = None,
    all: bool = False,  # noqa: A002 - the contract's name
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

    Raises
    ------
    UnknownNameError
        If there is no such signature, or ``op`` is given for a table without ops.
    """
    frame = model.table(table, all=all or (signature is not None and signatures.is_hidden(signature)))
    if op is not None:
        frame = _matching(frame, _column(table, "op", frame), op)
    if name is not None:
        frame = _matching(frame, _NAME_COLUMNS.get(table, "name"), name)
    if signature is not None:
        frame = frame[_of_signature(model, table, frame, signature)]
    return frame.reset_index(drop=True)


def _column(table: str, column: str, frame: pd.DataFrame) -> str:
    """Return the column; raises if the table has none of that name."""
    if column in frame.columns:
        return column
    raise errors.UnknownNameError(column, f"column of the table {table!r}", list(frame.columns))


def _matching(frame: pd.DataFrame, column: str, pattern: str) -> pd.DataFrame:
    """Return the rows in which the pattern is found."""
    try:
        search = re.compile(pattern).search
    except re.error as error:
        message = f"{pattern!r} is not a regular expression: {error}; write \\. for a dot, .* for anything"
        raise errors.TfMagicError(message) from error
    matches = {value: search(value) is not None for value in frame[column].unique()}
    return frame[[matches[value] for value in frame[column]]]


def _of_signature(model: Model, table: str, frame: pd.DataFrame, key: str) -> list[bool]:
    """Say of each row whether it belongs to a signature."""
    if table == "signatures":
        signatures.choose(dict.fromkeys(frame["signature"]), key)
        return [each == key for each in frame["signature"]]
    needed, called = _needed(model, key)
    if table == "functions":
        return [function in called for function in frame["function"]]
    if table != "ops":
        raise errors.UnknownNameError(table, "table with rows of signatures", ("signatures", "ops", "functions"))
    pairs = zip(frame["function"], frame["name"], strict=True)
    return [(function in called) if function else (name in needed) for function, name in pairs]


def _needed(model: Model, key: str) -> tuple[set[str], set[str]]:
    """Return the nodes of the main graph and the functions that a signature's outputs need."""
    uses = function_uses.read(model.meta_graph.graph)
    return plumbing.needed(model.table("ops", all=True), uses, _outputs(model, key))


def _outputs(model: Model, key: str) -> list[str]:
    """Return the tensors that are a signature's outputs, be it a proposed one."""
    if model.has_no_signature and key == signatures.PROPOSED:
        return list(model.ends.outputs)
    definitions = model.meta_graph.signature_def if Part.SIGNATURES in model.loaders else {}
    return [end.tensor for end in signatures.endpoints(definitions[signatures.choose(definitions, key)].outputs)]

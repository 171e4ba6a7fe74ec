"""What a lookup table of this process holds, read through its handle.

Not for: tables of files (:mod:`tfmagic.functions.state.saved_models`) or of sessions
(:mod:`tfmagic.functions.sessions`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np

#: Attributes by which ops name the dtypes of a table's keys and values.
_DTYPE_ATTRS = {
    "LookupTableFindV2": ("Tin", "Tout"),
    "LookupTableInsertV2": ("Tin", "Tout"),
    "LookupTableImportV2": ("Tin", "Tout"),
    "LookupTableExportV2": ("Tkeys", "Tvalues"),
    "InitializeTableV2": ("Tkey", "Tval"),
}
_KEYS, _VALUES = ("string", "int64", "int32"), ("int64", "string", "float32", "int32", "float64", "bool")


class TableContent(NamedTuple):
    """Keys and values of a table, of equal length, text as bytes objects; those of a dense table are its buckets."""

    keys: np.ndarray
    values: np.ndarray


def content(handle: runtime.Live, ops: Iterable[protos.Message]) -> TableContent | None:
    """Return what a table holds now, None if the handle is no table's.

    Parameters
    ----------
    handle : tensor
        Eager, of dtype resource.
    ops : iterable of NodeDef
        Ops that may name its dtypes: those of the graph, or those that take it.
    """
    tf = runtime.tensorflow()
    with runtime.eager():
        for keys, values in dict.fromkeys(_candidate_dtypes(ops)):
            if _holds(handle, keys, values):
                exported = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=keys, Tvalues=values)
                return TableContent(*(each.numpy() for each in exported))
    return None


def _holds(handle: runtime.Live, keys: str, values: str) -> bool:
    """Say whether a handle is that of a table of these dtypes, which the handle itself does not tell.

    A lookup of nothing checks them; an export of the wrong ones ends the whole process.
    """
    tf = runtime.tensorflow()
    try:
        tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=tf.zeros([0], keys), default_value=tf.zeros([], values))
    except (tf.errors.OpError, TypeError, ValueError) as error:
        # Shapes are checked after the dtypes: a default of a table of vectors is one, the key of a dense table may be.
        return any(words in str(error) for words in ("for default value", "key shape"))
    return True


def _candidate_dtypes(ops: Iterable[protos.Message]) -> Iterator[tuple[str, str]]:
    """Yield the dtypes of keys and values that ops name, then all others that tables have."""
    for node in ops:
        if node.op in _DTYPE_ATTRS:
            keys, values = (protos.dtype_name(node.attr[attr].type) for attr in _DTYPE_ATTRS[node.op])
            yield keys, values
    yield from itertools.product(_KEYS, _VALUES)

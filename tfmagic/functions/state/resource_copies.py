"""Copies of the variables and tables that a run changes.

A copy has the value that the original has at this moment, and nothing of it reaches the original. Not for: finding out
what a run changes (:mod:`tfmagic.functions.state.trial_copies`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos, wire
from tfmagic.functions.state import live_tables
from tfmagic.graphs.resource_uses import READS
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a handle says it is the handle of, as compilers write C++'s names of types.
_VARIABLE = re.compile(r"(3|::)Var(E|$)")
_TABLE = "LookupInterface"
_FILLS_ONCE = re.compile("InitializeTable")


class UncopyableError(Exception):
    """A resource that nobody can copy; the message says what it is, and goes on after 'it changes'."""


class ResourceCopy(NamedTuple):
    """A copy of a resource: its handle, and what keeps it alive."""

    handle: runtime.Live
    owner: object


def copied(handle: runtime.Live, ops: Iterable[protos.Message], fill: int | None = None) -> ResourceCopy:
    """Copy what is behind a handle.

    Parameters
    ----------
    handle : tensor
        Eager, of dtype resource.
    ops : iterable of NodeDef
        The ops that take it: they name a table's dtypes.
    fill : int, optional
        What the elements of a variable's copy are, instead of its present value.

    Raises
    ------
    UncopyableError
        If it is neither a variable nor a table that can be copied.
    """
    described = described_handle(handle)
    if _VARIABLE.search(described.maybe_type_name):
        return _variable(handle, described, fill)
    if _TABLE in described.maybe_type_name:
        return _table(handle, list(ops))
    raise UncopyableError(f"{described.name!r}, which is neither a variable nor a table and belongs to the live model")


def described_handle(handle: runtime.Live) -> protos.Message:
    """Return what a handle tells of its resource: name, type, and of a variable dtype and shape."""
    with runtime.eager():
        data = runtime.tensorflow().io.serialize_tensor(handle).numpy()
    # The content of a tensor of handles: the length of each, then the messages themselves.
    content = memoryview(protos.parse("TensorProto", data).tensor_content)
    _, start = wire.varint(content, 0, len(content))
    return protos.parse("ResourceHandleProto", content[start:])


def _variable(handle: runtime.Live, described: protos.Message, fill: int | None) -> ResourceCopy:
    tf = runtime.tensorflow()
    (held,) = described.dtypes_and_shapes or [None]
    if held is None:
        raise UncopyableError(f"the variable {described.name!r}, whose handle does not tell its dtype")
    with runtime.eager():
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=held.dtype)
        if fill is not None:
            value = tf.cast(tf.fill(tf.shape(value), fill), value.dtype)
        shape = tf.TensorShape(protos.shape_of(held.shape))
        copy = tf.Variable(value, trainable=False, dtype=held.dtype, shape=shape)
    return ResourceCopy(copy.handle, copy)


def _table(handle: runtime.Live, ops: list[protos.Message]) -> ResourceCopy:
    tf = runtime.tensorflow()
    content = live_tables.content(handle, ops)
    if content is None or len(content.keys.shape) != 1:
        raise UncopyableError("a dense table, which does not tell its empty key")
    with runtime.eager():
        keys, values = (tf.constant(each, tf.string if each.dtype == object else each.dtype) for each in content)
        if all(_FILLS_ONCE.match(op.op) or op.op in READS for op in ops):
            copy = tf.raw_ops.AnonymousHashTable(key_dtype=keys.dtype, value_dtype=values.dtype)
            if len(keys):
                tf.raw_ops.InitializeTableV2(table_handle=copy, keys=keys, values=values)
            return ResourceCopy(copy, copy)
        dtypes = {"key_dtype": keys.dtype, "value_dtype": values.dtype}
        if len(values.shape) == 1:
            copy = tf.raw_ops.AnonymousMutableHashTable(**dtypes)
        else:
            copy = tf.raw_ops.AnonymousMutableHashTableOfTensors(**dtypes, value_shape=values.shape[1:])
        tf.raw_ops.LookupTableImportV2(table_handle=copy, keys=keys, values=values)
    return ResourceCopy(copy, copy)

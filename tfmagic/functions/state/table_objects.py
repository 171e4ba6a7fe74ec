"""Make a lookup table of this process that holds what one in a graph holds.

Not for: finding its content in files (:mod:`tfmagic.functions.state.saved_models`) or in a session
(:mod:`tfmagic.functions.sessions`), nor reading one through its handle (:mod:`tfmagic.functions.state.live_tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    import numpy as np

    from tfmagic.files import protos

#: Ops that fill a table with the lines of a text file, whose name is their second input.
TEXT_FILLERS = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")


def of_content(node: protos.Message, keys: np.ndarray, values: np.ndarray) -> runtime.Live:
    """Make a table of keys and values.

    Parameters
    ----------
    node : NodeDef
        The table's: one that is filled once stays as it is, the others can be written.
    keys, values : array
        Of equal length; a value may be a vector.
    """
    lookup = runtime.tensorflow().lookup
    tensors = _tensor(keys), _tensor(values)
    if node.op == "HashTableV2":
        return lookup.StaticHashTable(lookup.KeyValueTensorInitializer(*tensors), _default(node, ()))
    default = _default(node, tuple(values.shape[1:]))
    table = lookup.experimental.MutableHashTable(*(tensor.dtype for tensor in tensors), default)
    table.insert(*tensors)
    return table


def of_text_file(node: protos.Message, fill: protos.Message, path: str) -> runtime.Live:
    """Make a table that is filled from a text file as the graph's own op does.

    Parameters
    ----------
    node, fill : NodeDef
        The table's, and that of the op that fills it.
    path : str
        The text file.
    """
    lookup = runtime.tensorflow().lookup
    size = fill.attr["vocab_size"].i if "vocab_size" in fill.attr else -1
    initializer = lookup.TextFileInitializer(
        path,
        node.attr["key_dtype"].type,
        fill.attr["key_index"].i,
        node.attr["value_dtype"].type,
        fill.attr["value_index"].i,
        None if size < 0 else size,
        fill.attr["delimiter"].s.decode() if "delimiter" in fill.attr else "\t",
        value_index_offset=fill.attr["offset"].i if "offset" in fill.attr else 0,
    )
    return lookup.StaticHashTable(initializer, _default(node, ()))


def _tensor(values: np.ndarray) -> runtime.Live:
    return runtime.tensorflow().constant(values.tolist() if values.dtype == object else values)


def _default(node: protos.Message, shape: tuple[int, ...]) -> runtime.Live:
    """Return any default of the right dtype: each lookup in the graph brings its own."""
    tf = runtime.tensorflow()
    dtype = tf.as_dtype(node.attr["value_dtype"].type)
    return tf.fill(shape, tf.constant("" if dtype == tf.string else 0, dtype))

"""Sparse and ragged tensors: taken apart into plain ones under the keys that TensorFlow's loader gives their parts.

    feature: SparseTensor ── feature_indices, feature_values, feature_dense_shape

A graph, a signature's function and every format hold plain tensors alone. Not for: how a SignatureDef describes them
(:mod:`tfmagic.graphs.signatures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfmagic.graphs.signatures import tensors_of
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.files import protos

#: The parts by the beginning of a class's name, in TensorFlow's order (``load_v1_in_v2.py``).
_PARTS = {
    "Sparse": ("indices", "values", "dense_shape"),
    "IndexedSlices": ("values", "indices", "dense_shape"),
}
_RAGGED = "Ragged"
#: What a session of TensorFlow 1 is fed, and gives.
_VALUES = frozenset({"SparseTensorValue", "RaggedTensorValue"})


def is_composite(value: object) -> bool:
    """Say whether a value is made of several tensors, or describes such a one; needs no TensorFlow."""
    bases = {base.__name__ for base in type(value).__mro__}
    name = type(value).__name__
    return name in _VALUES or (bool(bases & {"CompositeTensor", "TypeSpec"}) and name.startswith((*_PARTS, _RAGGED)))


def part_keys(key: str, value: runtime.Live) -> list[str]:
    """Return the keys of the parts of a composite tensor, or of what its spec describes."""
    count = len(_flat(value))
    return _keys(key, type(value).__name__, count)


def _flat(value: runtime.Live) -> list[runtime.Live]:
    """Return the parts in TensorFlow's order; of what a session gives, whose parts may be lists, it knows none."""
    if type(value).__name__ == "RaggedTensorValue":
        return [value.flat_values, *value.nested_row_splits]
    if type(value).__name__ == "SparseTensorValue":
        return [value.indices, value.values, value.dense_shape]
    parts: list[runtime.Live] = runtime.tensorflow().nest.flatten(value, expand_composites=True)
    return parts


def _keys(key: str, kind: str, count: int) -> list[str]:
    names: tuple[str, ...] = next((parts for begin, parts in _PARTS.items() if kind.startswith(begin)), ())
    if kind.startswith(_RAGGED):
        splits = count - 1
        names = ("values", *(["row_splits"] if splits == 1 else [f"row_splits_{place}" for place in range(splits)]))
    return [f"{key}_{name}" for name in names[:count]]


def tensors_by_key(key: str, info: protos.Message, *, is_input: bool) -> dict[str, str]:
    """Return the tensors that a TensorInfo names, those of a composite one under the keys of its parts.

    TensorFlow 2 numbers the parts of an input that a graph of TensorFlow 1 describes as anything but sparse; an output
    it puts together again, so that the parts have the keys of any other.
    """
    names = tensors_of(info)
    encoding = info.WhichOneof("encoding")
    if encoding not in ("coo_sparse", "composite_tensor"):
        return {key: names[0]}
    if encoding == "composite_tensor" and is_input:
        return dict(zip(_components(key, len(names)), names, strict=True))
    kind = "Sparse" if encoding == "coo_sparse" else _RAGGED
    return dict(zip(_keys(key, kind, len(names)), names, strict=True))


def _components(key: str, count: int) -> list[str]:
    """Return what ``load_v1_in_v2.py`` calls the parts of an input."""
    return [f"{key}_component_{number}" for number in range(count)]


def fed_by_part(values: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Return values by the names of symbolic tensors where composite ones are given for composite ones."""
    if not isinstance(values, Mapping) or not any(map(is_composite, values)):
        return values
    result: dict[str, object] = {}
    for key, value in values.items():
        if is_composite(key) and is_composite(value):
            tensors, parts = map(_flat, (key, value))
            result.update(zip((tensor.name for tensor in tensors), parts, strict=True))
        else:
            result[key] = value
    return result


def taken_apart(tensors: Mapping[str, object], known: Collection[str] = ()) -> dict[str, object]:
    """Return plain tensors in the place of composite ones.

    Parameters
    ----------
    tensors : mapping of str to object
        Values or tensors by key.
    known : collection of str
        The keys that there are: TensorFlow 2 saves the parts of an argument ``x`` as ``x``, ``x_1``, ``x_2``, and loads
        those of a ragged input of TensorFlow 1 as ``x_component_0``, ``x_component_1``.
    """
    result: dict[str, object] = {}
    for key, value in tensors.items():
        if not is_composite(value):
            result[key] = value
            continue
        parts = _flat(value)
        keys = part_keys(key, value)
        numbered = [key, *(f"{key}_{number}" for number in range(1, len(parts)))]
        ways = (keys, numbered, _components(key, len(parts)))
        keys = next((way for way in ways if set(way) <= set(known)), keys)
        result.update(zip(keys, parts, strict=True))
    return result

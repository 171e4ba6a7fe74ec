"""Values that belong together: those of the parts of a sparse or a ragged tensor.

Every format holds such a tensor as plain inputs (:mod:`tfmagic.functions.composites`), and a model takes only indices
that lie in its shape, and rows that lie in its values. Not for: values of inputs that stand for themselves
(:mod:`tfmagic.verbs.verification.trial_inputs`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.graphs.signatures import Endpoint

#: What parts are called behind the name of their tensor, by TensorFlow's loader or by a placeholder of TensorFlow 1.
_PART = re.compile(r"(.*?[_/]?)(indices|values|dense_shape|shape|row_splits(?:_\d+)?)\Z", re.DOTALL)
#: What TensorFlow 2 calls the parts of a ragged input of TensorFlow 1: its values, then its splits.
_COMPONENT = re.compile(r"(.*)_component_(\d+)\Z", re.DOTALL)
_SPLITS = "row_splits"
_INTEGERS = ("int32", "int64")
#: Elements of a sparse tensor, and those of a ragged one in a row of rows: few tell as much as many.
_MOST_ELEMENTS, _MOST_VALUES = 64, 1000
_RANK = 2


class Sparse(NamedTuple):
    """The parts of a sparse tensor."""

    indices: Endpoint
    values: Endpoint
    dense_shape: Endpoint

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all parts."""
        return self.indices.key, self.values.key, self.dense_shape.key

    def batch(self, arrays: Mapping[str, npt.ArrayLike]) -> int | None:
        """Return how many rows it has where its shape is among some values."""
        sizes = np.ravel(arrays.get(self.dense_shape.key, ()))
        return int(sizes[0]) if len(sizes) else None

    def arrays(self, first: int, other: int) -> tuple[dict[str, npt.NDArray[Any]], int]:
        """Return indices in TensorFlow's order and the shape that they lie in, and how many values belong to them.

        Elements are spread evenly, so that no row is empty.
        """
        rank = next((size for size in (_sizes(self.indices, 2)[1], _sizes(self.dense_shape, 1)[0]) if size), _RANK)
        shape = [first, *[other] * (rank - 1)]
        stated = next(
            (size for size in (_sizes(self.values, 1)[0], _sizes(self.indices, 2)[0]) if size is not None), -1
        )
        count = stated if stated >= 0 else max(first, min(math.prod(shape) // 2, _MOST_ELEMENTS))
        shape[-1] *= max(1, -(-count // math.prod(shape)))
        places = np.arange(count) * math.prod(shape) // max(count, 1)
        indices = np.stack(np.unravel_index(places, shape), axis=1).astype(np.int64)
        return {self.indices.key: indices, self.dense_shape.key: np.array(shape, np.int64)}, count


class Ragged(NamedTuple):
    """The parts of a ragged tensor, the splits of the outermost rows first."""

    values: Endpoint
    row_splits: tuple[Endpoint, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all parts."""
        return self.values.key, *(end.key for end in self.row_splits)

    def batch(self, arrays: Mapping[str, npt.ArrayLike]) -> int | None:
        """Return how many rows it has where its outermost splits are among some values."""
        key = self.row_splits[0].key
        return len(np.ravel(arrays[key])) - 1 if key in arrays else None

    def arrays(self, first: int, other: int) -> tuple[dict[str, npt.NDArray[Any]], int]:
        """Return splits that ascend from 0 to what they split, and how many values the innermost do."""
        result = {}
        stated = [None if size is None else size - 1 for size in (_sizes(each, 1)[0] for each in self.row_splits)]
        rows = first if stated[0] is None else stated[0]
        for end, size in zip(self.row_splits, [*stated[1:], _sizes(self.values, 1)[0]], strict=True):
            count = max(rows, min(rows * other - 1, _MOST_VALUES)) if size is None else size
            result[end.key] = np.arange(rows + 1) * count // max(rows, 1)
            rows = count
        return result, rows


Composite: TypeAlias = Sparse | Ragged


def composites_of(ends: Sequence[Endpoint]) -> list[Composite]:
    """Return the sparse and ragged tensors whose parts are all there.

    They are known by their keys, or, as TensorFlow 2 saves an argument ``x`` as ``x``, ``x_1``, ``x_2``, by shapes and
    dtypes that nothing but a sparse tensor has; what it loads of TensorFlow 1 as ``x_component_0`` is ragged.
    """
    return [*_by_part(ends), *_numbered(ends), *_components(ends)]


def _by_part(ends: Sequence[Endpoint]) -> Iterator[Composite]:
    groups: dict[str, dict[str, Endpoint]] = {}
    for end in ends:
        named = _PART.match(end.key)
        if named:
            groups.setdefault(named[1], {})[named[2]] = end
    for parts in groups.values():
        splits = tuple(parts[part] for part in sorted(parts, key=_place) if part.startswith(_SPLITS))
        if "values" in parts and splits and _are_ragged(parts["values"], splits):
            yield Ragged(parts["values"], splits)
        elif {"indices", "values"} <= parts.keys() and parts.keys() & {"dense_shape", "shape"}:
            tensor = Sparse(parts["indices"], parts["values"], parts.get("dense_shape") or parts["shape"])
            if _is_sparse(tensor):
                yield tensor


def _numbered(ends: Sequence[Endpoint]) -> Iterator[Sparse]:
    by_key = {end.key: end for end in ends}
    for end in ends:
        keys = (end.key, f"{end.key}_1", f"{end.key}_2")
        if all(key in by_key and by_key[key].shape is not None for key in keys):
            tensor = Sparse(*(by_key[key] for key in keys))
            if _is_sparse(tensor) and _sizes(tensor.indices, 2)[1] == _sizes(tensor.dense_shape, 1)[0] is not None:
                yield tensor


def _components(ends: Sequence[Endpoint]) -> Iterator[Ragged]:
    groups: dict[str, dict[int, Endpoint]] = {}
    for end in ends:
        named = _COMPONENT.match(end.key)
        if named:
            groups.setdefault(named[1], {})[int(named[2])] = end
    for parts in groups.values():
        values, *splits = (parts[number] for number in sorted(parts))
        if splits and _are_ragged(values, splits):
            yield Ragged(values, tuple(splits))


def _is_sparse(parts: Sparse) -> bool:
    ranks = (
        _may_have_rank(parts.indices, 2) and _may_have_rank(parts.values, 1) and _may_have_rank(parts.dense_shape, 1)
    )
    return ranks and parts.indices.dtype == parts.dense_shape.dtype == "int64"


def _are_ragged(values: Endpoint, splits: Sequence[Endpoint]) -> bool:
    return values.shape != () and all(end.dtype in _INTEGERS and _may_have_rank(end, 1) for end in splits)


def _place(part: str) -> int:
    """Order splits by their number, which may have two digits."""
    return int(part.rpartition("_")[2]) if part[-1].isdecimal() else 0


def _may_have_rank(end: Endpoint, rank: int) -> bool:
    return end.shape is None or len(end.shape) == rank


def _sizes(end: Endpoint, rank: int) -> tuple[int | None, ...]:
    """Return the sizes that are known; of an unknown rank, so many unknown ones."""
    return (None,) * rank if end.shape is None else end.shape

"""The values of a Keras file's weights: the file, or the archive's member, is opened once for all.

A weight's dataset is found by its full path. Values in one piece, which is how Keras writes them, are read where they
lie; h5py decodes the others (chunks, filters, other byte orders): a damaged file can crash its library. Not for: names,
dtypes and shapes (:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import io
import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import weights as keras_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py
    import numpy.typing as npt

    from tfmagic.files.bounded_file import Blocks
    from tfmagic.files.hdf5 import Node, Stretch
    from tfmagic.files.keras.weight_names import Weight

#: Bytes that are held twice at a time while a whole weight is read.
_PIECE = 1 << 20


@dataclass(frozen=True)
class StoredWeights:
    """The weights of an open Keras file.

    Attributes
    ----------
    path : Path
        The file.
    weights : tuple of Weight
        What it stores, in its order.
    lists_layers : bool
        Whether the file lists layers and their weights in order, as Keras 1 and 2 do and Keras 3 does for ``.h5``.
    root : Node
        The root of the open HDF5 file, or of that in the archive.
    """

    path: Path
    weights: tuple[Weight, ...]
    lists_layers: bool
    root: Node
    _closing: ExitStack = field(repr=False)

    def named(self, name: str) -> Weight:
        """Return the weight that the table of variables lists under a name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        weight = next((weight for weight in self.weights if weight.name == name), None)
        if weight is None:
            raise errors.UnknownNameError(name, "variable", [weight.name for weight in self.weights], "keras_file")
        return weight

    def value(self, weight: Weight) -> npt.NDArray[Any]:
        """Read a whole weight.

        Raises
        ------
        CorruptSourceError
            If its values are not in the file, or do not parse.
        """
        with _reading(self.path):
            stretch = self._stretch(weight)
            if stretch is None:
                return _typed(np.asarray(self._dataset(weight)[()]), weight.array.dtype)
            values = np.empty(stretch.bytes // np.dtype(stretch.dtype).itemsize, stretch.dtype)
            place = 0
            for part in _pieces(self.root.file, stretch, _PIECE):
                values[place : place + len(part)] = part
                place += len(part)
            return _typed(values, weight.array.dtype).reshape([size or 0 for size in weight.array.shape or ()])

    def blocks(self, weight: Weight, size: int) -> Iterator[npt.NDArray[Any]]:
        """Read a weight in one dimension, ``size`` bytes at a time; raises as :meth:`value` does."""
        with _reading(self.path):
            stretch = self._stretch(weight)
            if stretch is not None:
                yield from (_typed(part, weight.array.dtype) for part in _pieces(self.root.file, stretch, size))
                return
            dataset = self._dataset(weight)
            for part in slabs(dataset.shape, max(1, size // dataset.dtype.itemsize)):
                yield _typed(np.asarray(dataset[part]).reshape(-1), weight.array.dtype)

    def _stretch(self, weight: Weight) -> Stretch | None:
        """Return where a weight's values lie in one piece; those that would come from another file are refused."""
        node = self.root.member(weight.dataset)
        if node is None or not node.is_dataset:
            message = f"{str(self.path)!r} has no dataset {weight.dataset!r} for {weight.name!r}; save the model again"
            raise errors.CorruptSourceError(message)
        if node.leads_outside:
            problem = f"the values of {weight.name!r} are not in {str(self.path)!r}, but in another file"
            raise errors.CorruptSourceError(problem)
        return node.stretch

    def _dataset(self, weight: Weight) -> h5py.Dataset:
        """Return the dataset of a weight as h5py has it."""
        return self._decoded[weight.dataset]

    @cached_property
    def _decoded(self) -> h5py.File:
        """The file as h5py has it."""
        import h5py  # noqa: PLC0415 - ordinary files do not need it

        return self._closing.enter_context(h5py.File(_Stream(self.root.file), "r"))


@contextmanager
def opened(path: Path, weights: tuple[Weight, ...] | None = None) -> Iterator[StoredWeights]:
    """Open a Keras file for its values.

    Parameters
    ----------
    path : Path
        The file.
    weights : tuple of Weight, optional
        What it stores, where that was listed already: listing takes longer than reading a small weight.

    Raises
    ------
    CorruptSourceError
        If the container, its config or the headers are damaged.
    """
    config = keras_archive.contents(path).config if weights is None else None
    with keras_archive.weights(path) as root:
        weights = keras_weights.read(root, config) if weights is None else weights
        with ExitStack() as closing:
            yield StoredWeights(path, weights, keras_weights.lists_layers(root), root, closing)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of which file it is that h5py cannot read something."""
    try:
        yield
    except errors.TfMagicError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        problem = str(error).partition("\n")[0]
        raise errors.CorruptSourceError(
            f"the values in {str(path)!r} cannot be read: {problem}; save or copy it again"
        ) from error


def blocks(path: Path, name: str, size: int, weights: tuple[Weight, ...] | None = None) -> Iterator[npt.NDArray[Any]]:
    """Read the values of one weight in one dimension, ``size`` bytes at a time; raises as :class:`StoredWeights`."""
    with opened(path, weights) as stored:
        yield from stored.blocks(stored.named(name), size)


def _pieces(file: Blocks, stretch: Stretch, size: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the values of a stretch, ``size`` bytes at a time."""
    dtype = np.dtype(stretch.dtype)
    step = max(1, size // dtype.itemsize) * dtype.itemsize
    for first in range(0, stretch.bytes, step):
        yield np.frombuffer(file.read(stretch.begin + first, min(step, stretch.bytes - first)), dtype)


def _typed(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    # Keras writes a bfloat16 as opaque bytes.
    return values.view(tensor_values.numpy_dtype(dtype)) if values.dtype.kind == "V" else values


def slabs(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Cut an array into parts of at most so many elements, in the order in which they lie."""
    if math.prod(shape) == 0:
        return
    axis = next((axis for axis in range(len(shape)) if math.prod(shape[axis + 1 :]) <= most), None)
    if axis is None:
        yield ()
        return
    step = max(1, most // math.prod(shape[axis + 1 :]))
    for before in np.ndindex(shape[:axis]):
        for first in range(0, shape[axis], step):
            yield (*before, slice(first, first + step))


class _Stream(io.RawIOBase):
    """A stretch of a file as a file: the weights lie within the archive."""

    def __init__(self, content: Blocks) -> None:
        self._content = content
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._content.size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, target: Any) -> int:  # noqa: ANN401 - any writable buffer
        view = memoryview(target).cast("B")
        count = max(0, min(len(view), self._content.size - self._place))
        view[:count] = self._content.read(self._place, count)
        self._place += count
        return count

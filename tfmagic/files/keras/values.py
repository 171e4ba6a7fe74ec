"""The values of a Keras file's weights, read by h5py: the file, or the archive's member, is opened once for all.

A weight's dataset is found by its full path. Not for: names, dtypes and shapes, which the headers tell without h5py
(:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from tfmagic import errors
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import weights as keras_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.files.bounded_file import Blocks
    from tfmagic.files.keras.weight_names import Weight


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
    file : h5py.File
        The open HDF5 file, or that in the archive.
    """

    path: Path
    weights: tuple[Weight, ...]
    lists_layers: bool
    file: h5py.File

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
            return _typed(np.asarray(self._dataset(weight)[()]), weight.array.dtype)

    def blocks(self, weight: Weight, size: int) -> Iterator[npt.NDArray[Any]]:
        """Read a weight in one dimension, ``size`` bytes at a time; raises as :meth:`value` does."""
        with _reading(self.path):
            dataset = self._dataset(weight)
            for part in slabs(dataset.shape, max(1, size // dataset.dtype.itemsize)):
                yield _typed(np.asarray(dataset[part]).reshape(-1), weight.array.dtype)

    def _dataset(self, weight: Weight) -> h5py.Dataset:
        """Return a weight's dataset; one whose values would come from another file is refused."""
        dataset = self.file.get(weight.dataset)
        if not isinstance(dataset, h5py.Dataset):
            message = f"{str(self.path)!r} has no dataset {weight.dataset!r} for {weight.name!r}; save the model again"
            raise errors.CorruptSourceError(message)
        if dataset.external or dataset.is_virtual:
            problem = f"the values of {weight.name!r} are not in {str(self.path)!r}, but in another file"
            raise errors.CorruptSourceError(problem)
        return dataset


@contextmanager
def opened(path: Path) -> Iterator[StoredWeights]:
    """Open a Keras file for its values.

    Raises
    ------
    CorruptSourceError
        If the container, its config or the headers are damaged.
    """
    config = keras_archive.contents(path).config
    with keras_archive.weights(path) as root:
        weights = keras_weights.read(root, config)
        with _reading(path):
            file = h5py.File(_Stream(root.file), "r")
        with file:
            yield StoredWeights(path, weights, keras_weights.lists_layers(root), file)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of which file it is that h5py cannot read something."""
    try:
        yield
    except errors.TfMagicError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        problem = str(error).partition("\n")[0]
        raise errors.CorruptSourceError(f"the values in {str(path)!r} cannot be read: {problem}") from error


def blocks(path: Path, name: str, size: int) -> Iterator[npt.NDArray[Any]]:
    """Read the values of one weight in one dimension, ``size`` bytes at a time; raises as :class:`StoredWeights`."""
    with opened(path) as stored:
        yield from stored.blocks(stored.named(name), size)


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

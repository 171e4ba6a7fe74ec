"""The values of a Keras file's weights, read by h5py a block at a time.

Not for: names, dtypes and shapes, which the headers tell without h5py (:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import io
import math
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


def blocks(path: Path, name: str, dtype: str, size: int) -> Iterator[npt.NDArray[Any]]:
    """Read the values of one weight in one dimension, ``size`` bytes at a time.

    Raises
    ------
    UnknownNameError
        If there is no such weight.
    CorruptSourceError
        If its values are not in the file, or do not parse.
    """
    config = keras_archive.contents(path).config
    with keras_archive.weights(path) as root:
        weight = _named(keras_weights.read(root, config), name)
        try:
            with h5py.File(_Stream(root.file), "r") as opened:
                dataset = _dataset(opened, weight, path)
                for part in slabs(dataset.shape, max(1, size // dataset.dtype.itemsize)):
                    values = np.asarray(dataset[part]).reshape(-1)
                    # Keras writes a bfloat16 as opaque bytes.
                    is_opaque = values.dtype.kind == "V"
                    yield values.view(tensor_values.numpy_dtype(dtype)) if is_opaque else values
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            problem = str(error).partition("\n")[0]
            raise errors.CorruptSourceError(
                f"the values of {name!r} in {str(path)!r} cannot be read: {problem}"
            ) from error


def _named(weights: tuple[Weight, ...], name: str) -> Weight:
    found = next((weight for weight in weights if weight.name == name), None)
    if found is None:
        raise errors.UnknownNameError(name, "variable", [weight.name for weight in weights], "keras_file")
    return found


def _dataset(opened: h5py.File, weight: Weight, path: Path) -> h5py.Dataset:
    """Find a weight's dataset; one whose values would come from another file is refused."""
    names: list[str] = []
    opened.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    found = [name for name in names if f"/{name}".endswith(f"/{weight.array.path}")]
    if len(found) != 1:
        message = f"{str(path)!r} has {len(found)} datasets {weight.array.path!r}; save the model again"
        raise errors.CorruptSourceError(message)
    dataset = opened[found[0]]
    if dataset.external or dataset.is_virtual:
        raise errors.CorruptSourceError(f"the values of {weight.name!r} are not in {str(path)!r}, but in another file")
    return dataset


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

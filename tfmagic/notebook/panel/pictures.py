"""Pictures: arrays as PNG files.

Not for: deciding which numbers a model wants in a pixel (:mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.files.png import COLOURS, encoded

if TYPE_CHECKING:
    import numpy.typing as npt

_RANKS = (3, 4)
#: Smaller ones are rather tables, larger ones are shown with pixels left out.
_SMALLEST, _LARGEST = 8, 512


def is_picture(array: npt.NDArray[Any]) -> bool:
    """Say whether an array may be a picture, or a batch of some: rank 3 or 4, with 1, 3 or 4 channels last."""
    if array.ndim not in _RANKS or array.dtype.kind not in "buif" or not array.size:
        return False
    return array.shape[-1] in COLOURS and min(array.shape[-3:-1]) >= _SMALLEST


def pictures(array: npt.NDArray[Any], count: int) -> list[npt.NDArray[Any]]:
    """Return the first pictures of a batch, or the one that there is."""
    return [array] if array.ndim == _RANKS[0] else list(array[:count])


def png(picture: npt.NDArray[Any]) -> bytes:
    """Return a picture of shape (height, width, channels) as a PNG of eight bits a channel.

    Floats from 0 to 1, or from -1 to 1, are taken for the whole range of brightness; of others, the lowest becomes
    black and the highest white.
    """
    step = max(1, -(-max(picture.shape[:2]) // _LARGEST))
    pixels = _bytes(picture[::step, ::step])
    height, width, channels = pixels.shape
    return encoded((row.tobytes() for row in pixels), width, height, channels)


def _bytes(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return values from 0 to 255."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    values: npt.NDArray[np.float64] = np.nan_to_num(picture.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if picture.dtype.kind in "iu" and low >= 0 and high <= np.iinfo(np.uint8).max:
        return values.astype(np.uint8)
    if low >= -1 and high <= 1:
        low, high = (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    scaled = (values - low) / ((high - low) or 1.0)
    pixels: npt.NDArray[np.uint8] = np.rint(scaled * 255).astype(np.uint8)
    return pixels

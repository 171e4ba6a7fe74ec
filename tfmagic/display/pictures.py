"""Pictures: arrays as PNG files.

Not for: deciding which numbers a model wants in a pixel (:mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic.files.png import COLOURS, encoded

if TYPE_CHECKING:
    import numpy.typing as npt

_RANKS = (3, 4)
#: Smaller ones are rather tables, larger ones are shown with pixels left out.
_SMALLEST, _LARGEST = 8, 512
#: Pixels of a strip's pictures at most, and between them.
_SEEN, _GAP = 160, 2
_ROUNDING = 1e-4


def is_picture(array: npt.NDArray[Any]) -> bool:
    """Say whether an array may be a picture, or a batch of some: rank 3 or 4, with 1, 3 or 4 channels last."""
    if array.ndim not in _RANKS or array.dtype.kind not in "buif" or not array.size:
        return False
    return array.shape[-1] in COLOURS and min(array.shape[-3:-1]) >= _SMALLEST


def pictures(array: npt.NDArray[Any], count: int) -> list[npt.NDArray[Any]]:
    """Return the first pictures of a batch, or the one that there is."""
    return [array] if array.ndim == _RANKS[0] else list(array[:count])


class Strip(NamedTuple):
    """Some pictures beside each other, to be shown on a page.

    Attributes
    ----------
    address : str
        A ``data:`` address.
    width : int
        In pixels.
    """

    address: str
    width: int


def strip(array: npt.NDArray[Any], count: int = 4) -> Strip:
    """Return the first pictures of a batch beside each other, each as high as the first, two pixels between them.

    Parameters
    ----------
    array : array
        What :func:`is_picture` takes.
    count : int
        How many at most.
    """
    shown = [_colours(_bytes(each[:: _step(each), :: _step(each)])) for each in pictures(array, count)]
    gap = np.full((shown[0].shape[0], _GAP, 4), 0, np.uint8)
    parts = [part for picture in shown for part in (picture, gap)][:-1]
    joined = np.concatenate(parts, axis=1)
    height, width = joined.shape[:2]
    content = encoded((row.tobytes() for row in joined), width, height, 4)
    times = max(1, _SEEN // shown[0].shape[0])
    return Strip(f"data:image/png;base64,{base64.b64encode(content).decode()}", width * times)


def _step(picture: npt.NDArray[Any]) -> int:
    return max(1, -(-int(max(picture.shape[:2])) // _SEEN))


def _colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pixels of four channels: red, green, blue, and how much they cover."""
    channels = pixels.shape[-1]
    whole = pixels if channels > 1 else np.repeat(pixels, 3, axis=-1)
    return whole if channels == 4 else np.concatenate([whole, np.full_like(whole[..., :1], 255)], axis=-1)  # noqa: PLR2004


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
    # Bringing a picture to another size leaves a little more than 1.
    if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
        low, high = (0.0, 1.0) if low >= -_ROUNDING else (-1.0, 1.0)
        values = np.clip(values, low, high)
    scaled = (values - low) / ((high - low) or 1.0)
    pixels: npt.NDArray[np.uint8] = np.rint(scaled * 255).astype(np.uint8)
    return pixels

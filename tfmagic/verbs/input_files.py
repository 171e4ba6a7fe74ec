"""Values for inputs that lie in a file: arrays, JSON, text, sound, pictures; and pictures in a folder.

Nothing in a file is executed: no pickled object is loaded. Not for: whether a value fits its input
(:mod:`tfmagic.verbs.run_inputs`).
"""

from __future__ import annotations

import base64
import io
import json
import re
import wave
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.frames import Shape
    from tfmagic.graphs.signatures import Endpoint

#: What a pixel of a picture becomes, by what a person calls it: a factor and what is added.
PIXELS: Mapping[str, tuple[float, float]] = {
    "0 to 1": (1 / 255, 0.0),
    "-1 to 1": (2 / 255, -1.0),
    "0 to 255": (1.0, 0.0),
}
USUAL_PIXELS = "0 to 1"
#: What holds a value as it is; any other file is taken for a picture.
SUFFIXES = (".npy", ".npz", ".json", ".txt", ".wav")
#: What is a picture in a folder.
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
#: Pictures of a folder that are taken at most.
_MOST_PICTURES = 1000
_CHANNELS = (1, 3, 4)
_PICTURE_RANKS = (3, 4)


class File(NamedTuple):
    """A file whose content is the value of an input."""

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        """Its suffix, in lower case, of those that hold a value as it is; empty for a picture."""
        return next((each for each in SUFFIXES if self.name.lower().endswith(each)), "")


def content(file: File) -> object:
    """Return what a file holds where no input is known: an array, arrays by name, JSON, text, or a picture's bytes.

    Raises
    ------
    ConversionError
        If it does not hold what its suffix says.
    """
    try:
        return _READERS[file.suffix](file.content)
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise errors.ConversionError(
            f"{file.name!r} cannot be read: {said}; check the file, or give its values as .npy"
        ) from error


def _arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


_READERS: Mapping[str, Callable[[bytes], object]] = {
    ".npy": lambda content: np.load(io.BytesIO(content), allow_pickle=False),
    ".npz": _arrays,
    ".json": lambda content: json.loads(content, object_hook=_binary),
    ".txt": lambda content: content.decode().removesuffix("\n"),
    ".wav": lambda content: _sound(content),  # noqa: PLW0108 - defined below
    "": lambda content: content,
}


def at(path: Path) -> list[File]:
    """Read a file, or the pictures in a folder, in the natural order of their names.

    Raises
    ------
    ConversionError
        If there is no such path, or no picture in the folder.
    """
    try:
        if not path.is_dir():
            return [File(str(path), path.read_bytes())]
        names = sorted((each for each in path.iterdir() if each.suffix.lower() in PICTURES), key=_natural)
        if len(names) > _MOST_PICTURES:
            raise errors.ConversionError(
                f"{str(path)!r} holds {len(names):,} pictures, and {_MOST_PICTURES:,} are taken at most: give a list"
            )
        pictures = [File(str(each), each.read_bytes()) for each in names]
    except OSError as error:
        reason = error.strerror or error
        raise errors.ConversionError(f"{str(path)!r} cannot be read: {reason}; check the path") from error
    if not pictures:
        raise errors.ConversionError(
            f"the folder {str(path)!r} holds no picture; give one with files {errors.listed(PICTURES)}"
        )
    return pictures


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def require_pixels(pixels: str | Mapping[str, str], keys: Collection[str] | None = None) -> None:
    """Refuse ranges of pixels that there are not, or, where the inputs are known, those of other inputs.

    Raises
    ------
    ConversionError
        If a range is none of :data:`PIXELS`.
    UnknownNameError
        If one is of no input.
    """
    for value in [pixels] if isinstance(pixels, str) else pixels.values():
        if value not in PIXELS:
            raise errors.ConversionError(f"pixels are {errors.listed(PIXELS)}, not {value!r}")
    if keys is None or isinstance(pixels, str):
        return
    for key in pixels:
        if key not in keys:
            raise errors.UnknownNameError(key, "input", keys)


def pixels_of(pixels: str | Mapping[str, str], key: str) -> str:
    """Return what the pixels of a picture become that an input gets."""
    return pixels if isinstance(pixels, str) else pixels.get(key, USUAL_PIXELS)


def of_files(files: Sequence[File], end: Endpoint, pixels: str = "0 to 1") -> npt.NDArray[Any]:
    """Return the value that one file has for an input, or the batch that several pictures are.

    Raises
    ------
    ConversionError
        As :func:`of_file`; and if the pictures are of several sizes and the input states none.
    """
    if len(files) == 1:
        return of_file(files[0], end, pixels)
    arrays = [of_file(each, end, pixels) for each in files]
    other = next((place for place, array in enumerate(arrays) if array.shape[1:] != arrays[0].shape[1:]), 0)
    if other:
        raise errors.ConversionError(
            f"{end.key!r} states no size, and {files[0].name!r} and {files[other].name!r} have different ones: bring "
            "them to one size"
        )
    rank = len(end.shape) if end.shape is not None else arrays[0].ndim
    if arrays[0].ndim < max(rank, 1) or rank in (0, _PICTURE_RANKS[0]):
        raise errors.ConversionError(f"{end.key!r} takes {end.shape}, one picture and no batch: give one file")
    return np.concatenate(arrays)


def _sound(content: bytes) -> npt.NDArray[np.float32]:
    """Return the samples of a WAV file of whole numbers, from -1 to 1, channels mixed to one."""
    with wave.open(io.BytesIO(content)) as file:
        width, channels = file.getsampwidth(), file.getnchannels()
        frames = file.readframes(file.getnframes())
    if width not in _SAMPLES:
        message = f"samples of {width} bytes; 1, 2 and 4 are read"
        raise ValueError(message)
    samples = np.frombuffer(frames, _SAMPLES[width]).astype(np.float32)
    # Of one byte each, silence is 128 (RIFF WAVE, section "Data Format of the Samples").
    centred = (samples - 128) / 128 if width == 1 else samples / float(1 << (8 * width - 1))
    return np.asarray(centred.reshape(-1, channels).mean(axis=1), np.float32)


def sample_rate(file: File) -> int:
    """Return how many samples a second a file of sound has, 0 for any other file."""
    if file.suffix != ".wav":
        return 0
    with wave.open(io.BytesIO(file.content)) as sound:
        return int(sound.getframerate())


#: By bytes of a sample.
_SAMPLES = {1: "u1", 2: "<i2", 4: "<i4"}


def of_file(file: File, end: Endpoint, pixels: str = "0 to 1") -> npt.NDArray[Any]:
    """Return the value that an file has for an input.

    Parameters
    ----------
    file : File
        ``.npy`` or ``.npz`` without pickled objects, ``.json``, ``.txt``, ``.wav``, or a picture.
    end : Endpoint
        The input. One of text gets the bytes of a picture's file.
    pixels : str
        A key of :data:`PIXELS`: what the pixels of a picture become for an input of floats.

    Raises
    ------
    ConversionError
        If the file holds no such value.
    """
    if not file.suffix:
        return _picture(file, end, pixels)
    value = content(file)
    if file.suffix == ".npz":
        return _of_arrays(file, value, end)
    if file.suffix == ".json":
        try:
            return _of_json(file, value, end)
        except ValueError as error:
            raise errors.ConversionError(f"{file.name!r} cannot be read: {error}".splitlines()[0]) from error
    rank = len(end.shape or ())
    if file.suffix == ".wav":
        # Samples come last; all before them are batches of one.
        return np.asarray(value).reshape((*(1,) * (rank - 1), -1)) if rank else np.asarray(value)
    return np.array(value, dtype=object).reshape((1,) * rank) if file.suffix == ".txt" else np.asarray(value)


def _of_arrays(file: File, arrays: Any, end: Endpoint) -> npt.NDArray[Any]:  # noqa: ANN401 - arrays by name
    """Return the array under an input's key, or the only one."""
    if end.key not in arrays and len(arrays) != 1:
        raise errors.ConversionError(
            f"{file.name!r} holds {errors.listed(arrays)}, and none of them is {end.key!r}; give a file with that one, "
            "or .npy"
        )
    array: npt.NDArray[Any] = arrays[end.key] if end.key in arrays else next(iter(arrays.values()))
    return array


def _of_json(file: File, values: Any, end: Endpoint) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever JSON holds
    """Take nested lists, or a request to TensorFlow Serving."""
    for key in (end.key, "inputs", "instances", end.key):
        if isinstance(values, dict) and key in values:
            values = values[key]
    if isinstance(values, list) and values and all(isinstance(each, dict) and end.key in each for each in values):
        values = [each[end.key] for each in values]
    if isinstance(values, dict):
        raise errors.ConversionError(f"{file.name!r} holds an object without {end.key!r}; give nested lists")
    array = np.asarray(values)
    # Of bytes, numpy's own strings lose zeros at their end.
    return np.array(values, dtype=object) if array.dtype.kind in "SU" else array


def _binary(mapping: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read bytes as requests to TensorFlow Serving have them."""
    return base64.b64decode(mapping["b64"]) if set(mapping) == {"b64"} else mapping


def _picture(file: File, end: Endpoint, pixels: str) -> npt.NDArray[Any]:
    if end.dtype.removesuffix("_ref") == "string":
        return np.array([file.content], dtype=object).reshape((1,) * len(end.shape or ()))
    shape: Shape = end.shape
    if shape is not None and len(shape) not in _PICTURE_RANKS:
        raise errors.ConversionError(
            f"{file.name!r} is taken for a picture, and {end.key!r} takes {shape}, which is none; give .npy or .json"
        )
    sizes: tuple[int | None, ...] = shape[-3:] if shape is not None else (None, None, None)
    is_first = sizes[-1] not in (*_CHANNELS, None) and sizes[0] in _CHANNELS
    channels, height, width = (sizes[0], *sizes[1:]) if is_first else (sizes[2], *sizes[:2])
    try:
        picture = _decoded(file.content, channels if channels in _CHANNELS else 0)
    except errors.ConversionError as error:
        raise errors.ConversionError(f"{file.name!r}: {error}; .npy, .npz, .json and .txt are taken as well") from error
    values = _scaled(_sized(picture, height, width), end, pixels)
    values = np.moveaxis(values, -1, 0) if is_first else values
    return values if shape is not None and len(shape) == _PICTURE_RANKS[0] else values[None]


def _sized(picture: npt.NDArray[np.uint8], height: int | None, width: int | None) -> npt.NDArray[Any]:
    wanted = (height or picture.shape[0], width or picture.shape[1])
    return picture if wanted == picture.shape[:2] else _resized(picture, *wanted)


def _scaled(picture: npt.NDArray[Any], end: Endpoint, pixels: str) -> npt.NDArray[Any]:
    """Give pixels the range that the model wants; integers stay from 0 to 255."""
    if "float" not in end.dtype and end.dtype not in ("half", "double"):
        return np.asarray(np.rint(picture).astype(np.uint8))
    factor, offset = PIXELS[pixels]
    return np.asarray(picture.astype(np.float32) * np.float32(factor) + np.float32(offset))


def _decoded(content: bytes, channels: int) -> npt.NDArray[np.uint8]:
    """Return a PNG, JPEG, BMP or GIF file as an array of shape (height, width, channels).

    Parameters
    ----------
    content : bytes
        The file.
    channels : int
        1, 3, 4, or 0 for what the file has.

    Raises
    ------
    ConversionError
        If TensorFlow, which reads it, does not know the format.
    """
    tf = runtime.tensorflow()
    with runtime.eager():
        try:
            pixels: npt.NDArray[np.uint8] = tf.io.decode_image(content, channels, expand_animations=False).numpy()
        except (ValueError, tf.errors.OpError) as error:
            raise errors.ConversionError("this is no PNG, JPEG, BMP or GIF that TensorFlow can read") from error
    return pixels


def _resized(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.float32]:
    """Return a picture in another size, from 0 to 255 as it was."""
    tf = runtime.tensorflow()
    with runtime.eager():
        resized: npt.NDArray[np.float32] = tf.image.resize(picture, (height, width), antialias=True).numpy()
    return resized

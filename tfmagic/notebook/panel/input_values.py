"""Values for inputs as a form gives them: an expression that is typed, a file that is uploaded.

Not for: whether a value fits its input (:mod:`tfmagic.verbs.run_inputs`).
"""

from __future__ import annotations

import ast
import base64
import builtins
import difflib
import io
import json
import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.notebook.panel import pictures as picture_files
from tfmagic.verbs import run_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    import numpy.typing as npt

    from tfmagic.frames import Shape
    from tfmagic.graphs.signatures import Endpoint

#: What a pixel of an uploaded picture becomes, by what a person calls it: a factor and what is added.
PIXELS: Mapping[str, tuple[float, float]] = {
    "0 to 1": (1 / 255, 0.0),
    "-1 to 1": (2 / 255, -1.0),
    "0 to 255": (1.0, 0.0),
}
_SUFFIXES = (".npy", ".json")
_CHANNELS = (1, 3, 4)
_PICTURE_RANKS = (3, 4)
#: More elements than this are looked at when the model is run, not while a name is typed.
_QUICK = 1_000_000
#: Larger files are read when the model is run.
_QUICK_BYTES = 10_000_000


class File(NamedTuple):
    """An uploaded file."""

    name: str
    content: bytes


# Expressions


def problem(text: str, end: Endpoint, variables: Mapping[str, object]) -> str:
    """Say what can be told of an expression without evaluating it, nothing if nothing is wrong."""
    if not text.strip():
        return "give an expression, or have a value generated"
    names = _names(text)
    if names is None:
        return "this is no Python expression"
    unknown = [name for name in names if name not in variables and not hasattr(builtins, name)]
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(variables), n=3)
        advice = f"; did you mean {errors.listed(near)}?" if near else ""
        return f"there is no variable {unknown[0]!r}{advice}"
    sketch = _sketch(variables.get(text.strip()))
    return "" if sketch is None else _misfit(sketch, end)


def _sketch(value: Any) -> npt.NDArray[Any] | None:  # noqa: ANN401 - whatever a variable holds
    """Return an array like a value that has a dtype and a shape, without its content if that is large or elsewhere."""
    if isinstance(value, np.ndarray) and value.size <= _QUICK:
        return value
    try:
        shape, dtype = tuple(value.shape), value.dtype
        # TensorFlow's dtypes say what they are in numpy.
        scalar = np.zeros((), getattr(dtype, "as_numpy_dtype", dtype))
        return np.broadcast_to(scalar, shape) if math.prod(shape) <= _QUICK * 100 else None
    except Exception:  # noqa: BLE001 - an object of any kind; what is not understood is looked at when it is used
        return None


def _misfit(value: object, end: Endpoint) -> str:
    try:
        run_inputs.fitting(end, value)
    except errors.ConversionError as error:
        return str(error)
    return ""


def _names(text: str) -> list[str] | None:
    """Return the variables that an expression reads before it makes any itself, None if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return [node.id for node in names if node.id not in bound]


def evaluated(text: str, key: str, variables: MutableMapping[str, object]) -> object:
    """Evaluate an expression over the notebook's variables.

    Raises
    ------
    ConversionError
        If it raises anything; says what.
    """
    try:
        # A copy: evaluating adds builtins to the variables.
        return eval(compile(text.strip(), "<tfmagic>", "eval"), dict(variables))  # noqa: S307 - the user's own
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise errors.ConversionError(f"the value {text!r} for {key!r} raises {said}") from error


# Files


def file_problem(file: File, end: Endpoint) -> str:
    """Say why a file holds no value for an input, nothing if it does, or if that is not quickly told."""
    if not file.name.lower().endswith(_SUFFIXES) or len(file.content) > _QUICK_BYTES:
        return ""
    try:
        return _misfit(of_file(file, end), end)
    except errors.ConversionError as error:
        return str(error)


def of_file(file: File, end: Endpoint, pixels: str = "0 to 1") -> npt.NDArray[Any]:
    """Return the value that an uploaded file has for an input.

    Parameters
    ----------
    file : File
        ``.npy`` without pickled objects, ``.json``, or a picture.
    end : Endpoint
        The input. One of text gets the bytes of a picture's file.
    pixels : str
        A key of :data:`PIXELS`: what the pixels of a picture become for an input of floats.

    Raises
    ------
    ConversionError
        If the file holds no such value.
    """
    name = file.name.lower()
    if not name.endswith(_SUFFIXES):
        return _picture(file, end, pixels)
    try:
        return _array(file) if name.endswith(".npy") else _of_json(file, end)
    except errors.ConversionError:
        raise
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise errors.ConversionError(f"{file.name!r} cannot be read: {said}") from error


def _array(file: File) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(io.BytesIO(file.content), allow_pickle=False)
    return array


def _of_json(file: File, end: Endpoint) -> npt.NDArray[Any]:
    """Read nested lists, or a request to TensorFlow Serving."""
    values = json.loads(file.content, object_hook=_binary)
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
        picture = picture_files.decoded(file.content, channels if channels in _CHANNELS else 0)
    except errors.ConversionError as error:
        raise errors.ConversionError(f"{file.name!r}: {error}; .npy and .json are taken as well") from error
    values = _scaled(_sized(picture, height, width), end, pixels)
    values = np.moveaxis(values, -1, 0) if is_first else values
    return values if shape is not None and len(shape) == _PICTURE_RANKS[0] else values[None]


def _sized(picture: npt.NDArray[np.uint8], height: int | None, width: int | None) -> npt.NDArray[Any]:
    wanted = (height or picture.shape[0], width or picture.shape[1])
    return picture if wanted == picture.shape[:2] else picture_files.resized(picture, *wanted)


def _scaled(picture: npt.NDArray[Any], end: Endpoint, pixels: str) -> npt.NDArray[Any]:
    """Give pixels the range that the model wants; integers stay from 0 to 255."""
    if "float" not in end.dtype and end.dtype not in ("half", "double"):
        return np.asarray(np.rint(picture).astype(np.uint8))
    factor, offset = PIXELS[pixels]
    return np.asarray(picture.astype(np.float32) * np.float32(factor) + np.float32(offset))

"""The values that a user gives for inputs: whose they are, and whether they fit.

Not for: making values (:mod:`tfmagic.verbs.verification.trial_inputs`) or running anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.functions import composites
from tfmagic.functions.named_function import as_array
from tfmagic.graphs import signatures
from tfmagic.verbs import input_files
from tfmagic.verbs.input_files import File
from tfmagic.verbs.verification import example_messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint, TaggedSignatures
    from tfmagic.runtime import tensorflow as runtime

Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"

#: Kinds of dtypes, each of which takes those before it.
_KINDS = ("bool", "integer", "float", "complex")
_NUMPY_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex"}
_TEXT_KINDS = "SUO"


class InputValues(NamedTuple):
    """What inputs get, by their keys.

    Attributes
    ----------
    arrays : dict of str to array
        The values.
    file_names : dict of str to tuple of str
        What the files are called that held them, of inputs whose values lie in such.
    sample_rates : dict of str to int
        How many samples a second sound has, of inputs whose value is a file of it.
    """

    arrays: Arrays
    file_names: dict[str, tuple[str, ...]]
    sample_rates: dict[str, int]


def matched(
    function: NamedFunction,
    values: Mapping[str, object] | None,
    signed: TaggedSignatures = (),
    pixels: str | Mapping[str, str] = input_files.USUAL_PIXELS,
) -> InputValues:
    """Return the values as arrays by the keys of the inputs that they are for; each file is read once.

    Parameters
    ----------
    function : NamedFunction
        What takes them.
    values : mapping of str to array-like, or None
        By key, by a tensor's name, with or without ``:0``, or by the tensor itself.
    signed : tagged signatures
        For the names that the source's own SignatureDefs give the tensors.
    pixels : str or mapping of str to str
        What the pixels of a picture's file become for an input of floats: a key of
        :data:`tfmagic.verbs.input_files.PIXELS`, or one by input.

    Raises
    ------
    UnknownNameError
        If a name is no input's; names the nearest.
    ConversionError
        If a value's dtype or shape does not fit; shows both sides.
    """
    if values is not None and not isinstance(values, Mapping):
        raise errors.ConversionError(
            f"values are given by the names of inputs, as in {{'x': value}}, not as {type(values).__name__!r}; "
            f"the model takes {signatures.described(function.inputs)}"
        )
    taken = InputValues({}, {}, {})
    keys = [end.key for end in function.inputs]
    for key, value in composites.taken_apart(values or {}, keys).items():
        name = str(getattr(key, "name", key))
        end = _meant(key, function, signed)
        if end is None:
            raise errors.UnknownNameError(name, "input", [end.key for end in function.inputs])
        if end.key in taken.arrays:
            raise errors.ConversionError(f"the input {end.key!r} is given twice, the second time as {name!r}")
        files = _files(end, value)
        taken.arrays[end.key] = fitting(end, files or value, input_files.pixels_of(pixels, end.key))
        if files:
            taken.file_names[end.key] = tuple(each.name.replace("\\", "/").rpartition("/")[2] for each in files)
        rate = input_files.sample_rate(files[0]) if len(files) == 1 else 0
        if rate:
            taken.sample_rates[end.key] = rate
    return taken


def _files(end: Endpoint, value: object) -> list[File]:
    """Return the files that a value stands for: a path, a folder of pictures, several paths; none if it is a value."""
    if isinstance(value, File):
        return [value]
    is_text = end.dtype.removesuffix("_ref") == "string"
    if isinstance(value, os.PathLike) or (isinstance(value, str) and not is_text and os.path.lexists(value)):
        return input_files.at(Path(value))
    if isinstance(value, list | tuple) and value and all(isinstance(each, File | os.PathLike) for each in value):
        return [file for each in value for file in ([each] if isinstance(each, File) else input_files.at(Path(each)))]
    return []


def _meant(name: object, function: NamedFunction, signed: TaggedSignatures) -> Endpoint | None:
    """Return the input that is meant, by its key, its tensor in the function, or that in the source's own graph."""
    declared = [
        end._replace(tensor=str(found[function.key].inputs[end.key].name))
        for _, found in signed
        if function.key in found
        for end in function.inputs
        if end.key in found[function.key].inputs
    ]
    end = signatures.find([*declared, *function.inputs], name)
    return end and next(each for each in function.inputs if each.key == end.key)


def fitting(end: Endpoint, value: runtime.Live, pixels: str = "0 to 1") -> npt.NDArray[Any]:
    """Return a value, or what files hold for the input, as an array.

    Raises
    ------
    ConversionError
        If its dtype or shape cannot be the input's; shows both sides.
    """
    try:
        files, examples = _files(end, value), _examples(end, value)
        array = input_files.of_files(files, end, pixels) if files else as_array(examples or value)
    except ValueError as error:
        raise errors.ConversionError(
            f"the input {_wanted(end)}, and the value given is no array: {str(error).rstrip('.')}; give a number, "
            "nested lists of them with as many elements each, or an array"
        ) from error
    problem = _dtype_problem(end.dtype.removesuffix("_ref"), array) or _shape_problem(end, array)
    if problem:
        raise errors.ConversionError(f"the input {_wanted(end)}, and the value given is {_text(array)}: {problem}")
    return array


def _examples(end: Endpoint, value: object) -> list[bytes]:
    """Return the messages that a value stands for, features by key for each; none if it is no such value."""
    listed = value if isinstance(value, list | tuple) and end.dtype.removesuffix("_ref") == "string" else ()
    if not all(isinstance(each, Mapping) for each in listed):
        return []
    return [example_messages.of_features(each) for each in listed]


def _wanted(end: Endpoint) -> str:
    return f"{end.key!r} takes {end.dtype} {signatures.shape_text(end.shape)}"


def _text(array: npt.NDArray[Any]) -> str:
    dtype = "string" if array.dtype.kind in _TEXT_KINDS else array.dtype.name
    return f"{dtype} {array.shape}"


def _dtype_problem(dtype: str, array: npt.NDArray[Any]) -> str:
    """Say what keeps an array from becoming a tensor of this dtype, nothing if it can."""
    if (dtype == "string") != (array.dtype.kind in _TEXT_KINDS):
        return "text is no number" if dtype != "string" else "give text, as str or bytes"
    kind, wanted = _NUMPY_KINDS.get(array.dtype.kind), _kind_of(dtype)
    if dtype == "string" or kind is None or wanted is None:
        return ""
    if _KINDS.index(kind) > _KINDS.index(wanted) and array.size:
        return f"convert it yourself, astype({dtype!r}), if that is meant"
    if wanted == "integer" and kind == "integer" and array.size:
        return _range_problem(dtype, array)
    return ""


def _kind_of(dtype: str) -> str | None:
    if dtype in ("bool", "bfloat16"):
        return {"bool": "bool", "bfloat16": "float"}[dtype]
    kinds = (("int", "integer"), ("uint", "integer"), ("float", "float"), ("complex", "complex"))
    return next((kind for prefix, kind in kinds if dtype.startswith(prefix)), None)


def _range_problem(dtype: str, array: npt.NDArray[Any]) -> str:
    """Say which integers the dtype cannot hold."""
    try:
        limits = np.iinfo(dtype)
    except (TypeError, ValueError):
        return ""
    lowest, highest = array.min(), array.max()
    if lowest >= limits.min and highest <= limits.max:
        return ""
    return f"its values go from {lowest} to {highest}, and {dtype} from {limits.min} to {limits.max}"


def _shape_problem(end: Endpoint, array: npt.NDArray[Any]) -> str:
    if end.shape is None:
        return ""
    if len(end.shape) != array.ndim:
        advice = "; give it a batch dimension: value[None]" if _lacks_batch(end, array) else ""
        return f"its rank is {array.ndim}, not {len(end.shape)}{advice}"
    wrong = [place for place, size in enumerate(end.shape) if size is not None and size != array.shape[place]]
    return f"dimension {wrong[0]} is {array.shape[wrong[0]]}, not {end.shape[wrong[0]]}" if wrong else ""


def _lacks_batch(end: Endpoint, array: npt.NDArray[Any]) -> bool:
    sizes: Iterable[tuple[int | None, int]] = zip((end.shape or ())[1:], array.shape, strict=False)
    return len(end.shape or ()) == array.ndim + 1 and all(size in (None, found) for size, found in sizes)

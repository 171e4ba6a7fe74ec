"""Values for inputs as a form gives them: an expression that is typed, a file that is uploaded.

Not for: what a file holds (:mod:`tfmagic.verbs.input_files`), or whether a value fits its input
(:mod:`tfmagic.verbs.run_inputs`).
"""

from __future__ import annotations

import builtins
import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.commands import words as command_words
from tfmagic.verbs import input_files, run_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    import numpy.typing as npt

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.verbs.input_files import File

#: More elements than this are looked at when the model is run, not while a name is typed.
_QUICK = 1_000_000
#: Larger files are read when the model is run.
_QUICK_BYTES = 10_000_000


# Expressions


def problem(text: str, end: Endpoint, variables: Mapping[str, object]) -> str:
    """Say what can be told of an expression without evaluating it, nothing if nothing is wrong."""
    if not text.strip():
        return "give an expression, or have a value generated"
    names = command_words.names_in(text.strip())
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
        raise errors.ConversionError(f"the value {text!r} for {key!r} raises {said}; mend the expression") from error


# Files


def file_problem(file: File, end: Endpoint) -> str:
    """Say why a file holds no value for an input, nothing if it does, or if that is not quickly told."""
    if not file.name.lower().endswith(input_files.SUFFIXES) or len(file.content) > _QUICK_BYTES:
        return ""
    try:
        return _misfit(input_files.of_file(file, end), end)
    except errors.ConversionError as error:
        return str(error)

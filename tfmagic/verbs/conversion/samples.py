"""Typical inputs of a model, which a user gives for a quantised result to be made and compared on.

An array, a dict of arrays, a list, a generator (or a function that makes one), a ``tf.data.Dataset``: all become a list
of calls, each an array for each input. Not for: values of one call (:mod:`tfmagic.verbs.run_inputs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs import run_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint

    #: An array for each input, by its key.
    Call: TypeAlias = dict[str, npt.NDArray[Any]]

#: What of the samples is taken: calls, and bytes of what is held of them.
MOST_CALLS = 500
_MOST_BYTES = 512 << 20
_GIVE = (
    "give an array or a dict of arrays with an example a row, or a list, a generator or a tf.data.Dataset of examples"
)


class Samples(NamedTuple):
    """Calls for one signature; ``notes`` say what of the samples was left out."""

    calls: tuple[Call, ...]
    notes: tuple[str, ...] = ()


class _Listed(NamedTuple):
    """Examples one after the other, as far as they were taken."""

    examples: list[Any]
    is_whole: bool


def of_signatures(functions: Mapping[str, NamedFunction], samples: object) -> dict[str, Samples]:
    """Return the calls for each of some signatures.

    Parameters
    ----------
    functions : mapping of str to NamedFunction
        The functions by the signatures' keys.
    samples : object
        The same for all of them, or a mapping by the signatures' keys.

    Raises
    ------
    ConversionError
        If there are none, or one does not fit the inputs; says which, and what is taken.
    UnknownNameError
        If one is for an input that there is not.
    """
    if isinstance(samples, Mapping) and samples and _is_by_signature(functions, samples):
        return {key: _of(function, _held(samples[key])) for key, function in functions.items()}
    held = _held(samples)
    return {key: _of(function, held) for key, function in functions.items()}


def _is_by_signature(functions: Mapping[str, NamedFunction], samples: Mapping[Any, object]) -> bool:
    keys = {end.key for function in functions.values() for end in function.inputs}
    return set(samples) == set(functions) and not set(samples) <= keys


def _of(function: NamedFunction, held: Any) -> Samples:  # noqa: ANN401 - an array, arrays by key, or examples
    if not function.inputs:
        raise errors.ConversionError(f"{function.key!r} takes no inputs, so that samples= has nothing to give it")
    try:
        if isinstance(held, _Listed):
            result = _of_examples(function, held)
        else:
            result = _of_rows(function, held if isinstance(held, Mapping) else {_only(function).key: held})
    except errors.UnknownNameError:
        raise
    except errors.ConversionError as error:
        raise errors.ConversionError(f"samples do not fit {function.key!r}: {error}") from error
    if not result.calls:
        raise errors.ConversionError(f"samples hold no example: {_GIVE}")
    return result


def _only(function: NamedFunction) -> Endpoint:
    """Return the input of a function that has one."""
    if len(function.inputs) > 1:
        keys = errors.listed(end.key for end in function.inputs)
        raise errors.ConversionError(f"it takes {keys}; give a dict of arrays, or of examples, by these keys")
    return function.inputs[0]


# What is given


def _held(samples: Any) -> Any:  # noqa: ANN401 - what a user gives
    """Return an array, arrays by key, or a list of examples; a generator is run once."""
    if samples is None or isinstance(samples, str | bytes):
        raise errors.ConversionError(f"samples are no {type(samples).__name__}: {_GIVE}")
    if isinstance(samples, Mapping):
        return {str(key): _array(value) for key, value in samples.items()}
    if hasattr(samples, "as_numpy_iterator"):
        with runtime.eager():
            return _listed(samples.as_numpy_iterator())
    if hasattr(samples, "__array__"):
        return _array(samples)
    if callable(samples):
        samples = samples()
    if isinstance(samples, list | tuple) and samples and _is_numbers(samples[0]):
        return _array(samples)
    if not isinstance(samples, Iterable):
        raise errors.ConversionError(f"samples are no {type(samples).__name__}: {_GIVE}")
    return _listed(samples)


def _is_numbers(value: object) -> bool:
    """Say whether an example is numbers in plain lists, as a literal has them."""
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, int | float | str | bytes)


def _array(value: object) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise errors.ConversionError(f"samples are no array: {error}; give one, or examples by input") from error
    return array.astype(object) if array.dtype.kind in "US" else array


def _listed(examples: Iterable[Any]) -> _Listed:
    taken: list[Any] = []
    size = 0
    for example in _raised(examples):
        if len(taken) == MOST_CALLS or size > _MOST_BYTES:
            return _Listed(taken, is_whole=False)
        plain = _plain(example)
        size += sum(each.nbytes for each in _arrays(plain))
        taken.append(plain)
    return _Listed(taken, is_whole=True)


def _raised(examples: Iterable[Any]) -> Iterator[Any]:
    """Yield examples; what the user's own generator raises is told as that."""
    iterator, number = iter(examples), 0
    while True:
        try:
            example = next(iterator)
        except StopIteration:
            return
        except errors.TfMagicError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            raise errors.ConversionError(f"samples cannot be read: example {number} raises {said}") from error
        yield example
        number += 1


def _plain(example: Any) -> Any:  # noqa: ANN401 - what a user gives
    """Return an example with arrays in the place of tensors and numbers."""
    if isinstance(example, Mapping):
        return {str(key): _array(value) for key, value in example.items()}
    if isinstance(example, tuple):
        return tuple(map(_plain, example))
    if isinstance(example, list) and not _is_numbers(example):
        return tuple(map(_plain, example))
    return _array(example)


def _arrays(example: Any) -> Iterator[npt.NDArray[Any]]:  # noqa: ANN401 - as above
    if isinstance(example, np.ndarray):
        yield example
    else:
        for part in example.values() if isinstance(example, Mapping) else example:
            yield from _arrays(part)


# An example a row


def _of_rows(function: NamedFunction, arrays: Mapping[str, npt.NDArray[Any]]) -> Samples:
    ends = _ends(function, arrays)
    rows = {end.key: _rows(end, _with_batch(end, arrays[end.key])) for end in ends}
    counts = {key: len(values) for key, values in rows.items()}
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{key!r} has {count:,}" for key, count in counts.items())
        raise errors.ConversionError(f"each input wants as many examples as the others, and {lengths}")
    count = next(iter(counts.values()))
    calls = tuple(
        {end.key: _fitting(end, rows[end.key][number], number) for end in ends}
        for number in range(min(count, MOST_CALLS))
    )
    return Samples(calls, _left_out(count))


def _rows(end: Endpoint, array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Cut an array into what single calls take: a batch of one, or of the size that the input has."""
    if end.shape is None:
        return [array[number : number + 1] for number in range(len(array))] if array.ndim else [array]
    rank = len(end.shape)
    if array.ndim == rank + 1:
        return list(array)
    if array.ndim != rank or not rank:
        return [array]
    size = end.shape[0] or 1
    if 0 < len(array) < size:
        return [array]  # not what it takes: told as such
    return [array[begin : begin + size] for begin in range(0, len(array) - size + 1, size)]


def _left_out(count: int) -> tuple[str, ...]:
    if count <= MOST_CALLS:
        return ()
    return (f"of {count:,} samples the first {MOST_CALLS} were used",)


# Examples one after the other


def _of_examples(function: NamedFunction, listed: _Listed) -> Samples:
    notes: tuple[str, ...] = (
        () if listed.is_whole else (f"the first {len(listed.examples):,} of the samples were used",)
    )
    calls, has_labels = [], False
    for number, example in enumerate(listed.examples):
        values, left = _by_key(function, example)
        has_labels = has_labels or left
        ends = _ends(function, values)
        calls.append({end.key: _fitting(end, _with_batch(end, values[end.key]), number) for end in ends})
    if has_labels:
        notes += ("of each sample the first part was used, as (features, label) has it",)
    return Samples(tuple(calls), notes)


def _by_key(function: NamedFunction, example: Any) -> tuple[Mapping[str, npt.NDArray[Any]], bool]:  # noqa: ANN401
    """Return an example's values by the keys of the inputs, and whether a label was left out."""
    ends = function.inputs
    if isinstance(example, Mapping):
        return example, False
    if not isinstance(example, tuple):
        return {_only(function).key: example}, False
    if len(example) == len(ends) and all(isinstance(each, np.ndarray) for each in example):
        return {end.key: each for end, each in zip(ends, example, strict=True)}, False
    if len(example) > 1 and (len(ends) == 1 or not isinstance(example[0], np.ndarray)):
        return _by_key(function, example[0])[0], True
    raise errors.ConversionError(
        f"an example is {len(example)} values, and the inputs are {errors.listed(end.key for end in ends)}: "
        "give a value for each"
    )


def _with_batch(end: Endpoint, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give a single example a batch of one."""
    shape = end.shape
    return array[None] if shape and array.ndim == len(shape) - 1 and shape[0] in (None, 1) else array


# Both


def _ends(function: NamedFunction, values: Mapping[str, object]) -> tuple[Endpoint, ...]:
    """Return the inputs, each of which has a value."""
    keys = [end.key for end in function.inputs]
    for key in values:
        if key not in keys:
            raise errors.UnknownNameError(key, "input", keys)
    missing = [key for key in keys if key not in values]
    if missing:
        raise errors.ConversionError(
            f"they lack {errors.listed(missing)}; it takes {signatures.described(function.inputs)}"
        )
    return function.inputs


def _fitting(end: Endpoint, value: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
    """Return a value in the dtype of its input."""
    try:
        array = run_inputs.fitting(end, value)
    except errors.ConversionError as error:
        raise errors.ConversionError(f"example {number}: {error}; change it, or leave it out") from error
    dtype = runtime.tensorflow().as_dtype(end.dtype.removesuffix("_ref")).as_numpy_dtype
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise errors.ConversionError(f"example {number}: the value for {end.key!r} holds NaN or infinity; leave it out")
    return array if array.dtype == object else array.astype(dtype)

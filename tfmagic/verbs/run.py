"""The verb that runs a model, to see what it gives and how long it takes.

Not for: what it gives back (:mod:`tfmagic.verbs.run_results`), making inputs
(:mod:`tfmagic.verbs.verification.trial_inputs`), comparing two models (:mod:`tfmagic.verbs.verify`), nor keeping models
(:mod:`tfmagic.verbs.model_cache`).
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.functions import composites
from tfmagic.functions.named_function import as_array
from tfmagic.functions.state.resource_copies import UncopyableError
from tfmagic.functions.state.trial_copies import TrialCopies
from tfmagic.graphs import signatures
from tfmagic.models.model import Model
from tfmagic.runtime import alarms, cancellation, error_texts
from tfmagic.transforms.captures import captures, value_of
from tfmagic.verbs import class_labels, input_files, model_cache, run_inputs, session_steps
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.model_cache import Loaded
from tfmagic.verbs.run_results import Run, is_of_classes
from tfmagic.verbs.undisturbed import undisturbed
from tfmagic.verbs.verification import trial_functions, trial_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.verbs.conversion.options import Ends
    from tfmagic.verbs.run_inputs import InputValues


@undisturbed
def run(  # noqa: PLR0913 - the contract's options
    source: object,
    inputs: Mapping[str, object] | None = None,
    *,
    signature: str | None = None,
    outputs: Ends = None,
    repeat: int = 1,
    timeout: float | None = None,
    labels: object = None,
    pixels: str | Mapping[str, str] = input_files.USUAL_PIXELS,
    trust: bool = False,
) -> Run:
    """Run a model, and say how long loading, the first call and a warm one take.

    A model from a path, or a Keras model, stays loaded for the next run until it changes; the four used last do.
    What a run changes, such as a count or a table, is copied first, and the run changes the copy.

    Parameters
    ----------
    source : object
        Whatever :func:`tfmagic.inspect` takes and can run.
    inputs : mapping of str to array-like, optional
        Values by the signature's keys or by tensor names (``"x"``, ``"x:0"``). Those left out are generated from the
        signature, which the notes say. In a graph without a signature any tensor may be given; it then takes the
        place of what would compute it. A path stands for what the file holds: a picture (brought to the input's size),
        a sound (``.wav``), an array or JSON; a folder, or a list of paths, for a batch of pictures. Where text is
        taken, a list of dicts stands for serialised ``tf.train.Example`` messages with these features.
    signature : str, optional
        May be left out where there is a default one or only one.
    outputs : sequence or mapping of str to tensor, optional
        Other outputs than the signature's: some of its keys, or any tensors of the graph by name. Of a session also
        ops, such as a training op, which changes copies of the variables.
    repeat : int
        How many warm calls are timed after the first.
    timeout : float, optional
        Seconds after which the run is given up, its warm calls and all trials of generated inputs together; loading and
        tracing, less what is imported for it, have as many for themselves. Without, it is given up at the stop button
        alone.
    labels : sequence of str, or path, optional
        What the classes are called; by default what lies with the model says it: an asset, a file in it or beside it
        (``labels.txt``) with as many lines as an output has values.
    pixels : str or mapping of str to str
        What the pixels of a picture's file become for an input of floats: ``"0 to 1"``, ``"-1 to 1"`` or
        ``"0 to 255"``, whichever the model was trained on; of several pictures by the inputs that they are for.
    trust : bool
        Whether code in the source, such as a Lambda layer's in a Keras file, may run.

    Returns
    -------
    Run
        Outputs by key, of the first call; times; the inputs.

    Raises
    ------
    MissingPartError
        If the source cannot run.
    UnknownNameError
        If there is no such signature, input or tensor; names the nearest.
    ConversionError
        If a value's dtype or shape does not fit, the model does not run on the values or not in time, or inputs would
        have to be made up for what acts outside the model.
    """
    if timeout is not None and not (_is_number(timeout) and timeout > 0):
        raise errors.ConversionError(f"timeout is a number of seconds above 0, not {timeout!r}; leave it out for none")
    input_files.require_pixels(pixels)
    if not (_is_number(repeat) and repeat == int(repeat) and repeat >= 0):
        raise errors.ConversionError(f"repeat is the number of warm calls, 0 or more, not {repeat!r}")
    named = None if labels is None else class_labels.of(labels)
    try:
        with cancellation.limited(timeout), alarms.alarm(timeout):
            loaded, fed = _fed(source, Wish(signature, outputs=outputs), inputs, pixels, trust=trust)
    except alarms.TimeIsUpError as error:
        raise errors.ConversionError(
            f"loading or tracing {_shown(source)} {error}; give it more time with timeout= (--timeout)"
        ) from error
    function, values = loaded.function, fed.arrays
    input_files.require_pixels(pixels, [end.key for end in function.inputs])
    is_complete = len(values) == len(function.inputs)
    if not is_complete:
        _require_trial(function)
    # A person who gives all values wants to see what the model prints.
    copies = TrialCopies(function, silent=not is_complete, sharing=is_complete)
    _require_values(function, copies)
    limit = _Limit(function, timeout)
    runnable, used, results, first = _first_call(copies, values, limit)
    times = [_timed(runnable, used, limit)[1] for _ in range(int(repeat))]
    warm = statistics.median(times) if times else float("nan")
    notes = (*_load_notes(loaded), *_generated_notes(function, values), *_copy_notes(copies), *function.notes)
    arrays = {key: _array(value) for key, value in results.items()}
    labelled, said = _labelled(loaded.model, arrays, named)
    notes = (*notes, *_pixel_notes(function, fed.file_names, pixels), *said)
    return Run(arrays, loaded.seconds, first, warm, used, notes, labelled, fed.file_names, fed.sample_rates)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _shown(source: object) -> str:
    """Name a source for a message."""
    if isinstance(source, (str, os.PathLike)):
        return repr(str(source))
    return repr(source.origin) if isinstance(source, Model) else f"the {type(source).__name__}"


def _labelled(
    model: Model, outputs: Mapping[str, npt.NDArray[Any]], labels: tuple[str, ...] | None
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return what the classes of each output are called, and what is to be said of it.

    Raises
    ------
    ConversionError
        If labels are given, and no output has as many values.
    """
    counts = {key: int(array.shape[-1]) for key, array in outputs.items() if is_of_classes(array) or labels}
    if labels is not None:
        fitting = {key: labels for key, count in counts.items() if count == len(labels)}
        if not fitting:
            sizes = errors.listed(f"{key}: {count:,}" for key, count in counts.items())
            raise errors.ConversionError(
                f"there are {len(labels):,} labels, and the outputs have other counts ({sizes}): give one a value"
            )
        return fitting, []
    read = {key: class_labels.own(model, count) for key, count in counts.items()}
    notes = [f"the classes of {key!r} are called as {name!r} has it" for key, (_, name) in read.items() if name]
    return {key: own for key, (own, _) in read.items() if own}, notes


def _pixel_notes(
    function: NamedFunction, files: Mapping[str, tuple[str, ...]], pixels: str | Mapping[str, str]
) -> Iterator[str]:
    """Say what became of pictures on their way into the model."""
    floats = {end.key for end in function.inputs if "float" in end.dtype}
    for key, names in files.items():
        if key in floats and not any(name.lower().endswith(input_files.SUFFIXES) for name in names):
            become = input_files.pixels_of(pixels, key)
            yield f"pixels of {key!r} become {become}; a picture of another size is stretched to the model's"


def _require_trial(function: NamedFunction) -> None:
    """Refuse to make up inputs of what acts outside the model."""
    reason = trial_functions.outside(function)
    if reason:
        values = " ".join(f"{end.key}=EXPR" for end in function.inputs)
        raise errors.ConversionError(
            f"no inputs are made up for {function.key!r}: {reason}; give all of them: {values}"
        )


def _require_values(function: NamedFunction, copies: TrialCopies) -> None:
    """Refuse a function that would read a variable without a value, which TensorFlow takes for an empty one."""
    graph = function.concrete.graph
    for placeholder, variable in captures(function).variables.items():
        # TensorFlow captures all variables of a graph of version 1, also those that a signature does not read.
        is_used = bool(graph.get_operation_by_name(placeholder).outputs[0].consumers())
        if is_used and not copies.changes(placeholder):
            value_of(variable)


def _copy_notes(copies: TrialCopies) -> Iterator[str]:
    """Say what the run changed, and did not."""
    if copies.changed:
        yield f"ran on copies of what a run changes ({errors.listed(copies.changed)}): the model itself is as it was"
    yield from (f"the run changed {what}" for what in copies.shared)


def _fed(
    source: object, wish: Wish, inputs: Mapping[str, object] | None, pixels: str | Mapping[str, str], *, trust: bool
) -> tuple[Loaded, InputValues]:
    """Load the function that takes these inputs, and return them by its keys."""
    inputs = composites.fed_by_part(inputs)
    step = _step(source, wish, inputs, trust=trust)
    if step is not None:
        return step, run_inputs.matched(step.function, inputs, (), pixels)
    loaded = model_cache.load(source, wish, trust=trust)
    try:
        return loaded, run_inputs.matched(loaded.function, inputs, loaded.signed, pixels)
    except errors.UnknownNameError:
        if not loaded.model.reader.is_open or not inputs or wish.signature is not None:
            raise
    inner = model_cache.load(source, replace(wish, inputs=list(inputs)), trust=trust)
    return inner, run_inputs.matched(inner.function, inputs, inner.signed, pixels)


def _step(source: object, wish: Wish, inputs: Mapping[str, object] | None, *, trust: bool) -> Loaded | None:
    """Load what a session's op does that writes, if one is asked for; nothing of a session stays loaded."""
    if wish.outputs is None or wish.signature is not None:
        return None
    begun = time.perf_counter()
    model = conversion_sources.read_source(source, None, must_exist=False, trust=trust)
    function = session_steps.step(model, wish.outputs, inputs or ())
    return None if function is None else Loaded(function, model, time.perf_counter() - begun, again=False)


def _array(value: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - numpy's scalars are of many types
    """Return a result as an array; of text, numpy would cut zeros at its end."""
    return np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)


def _load_notes(loaded: Loaded) -> tuple[str, ...]:
    return ("the model was loaded already",) if loaded.again else ()


def _generated_notes(function: NamedFunction, values: Mapping[str, object]) -> tuple[str, ...]:
    generated = [end.key for end in function.inputs if end.key not in values]
    return (
        (f"generated from the signature, because no value was given: {errors.listed(generated)}",) if generated else ()
    )


def _first_call(
    copies: TrialCopies, own: dict[str, npt.NDArray[Any]], limit: _Limit
) -> tuple[NamedFunction, dict[str, npt.NDArray[Any]], Mapping[str, npt.NDArray[Any]], float]:
    """Call a copy of the function on the first inputs that it accepts; return it, them, the results and the time."""
    function = copies.function
    first: Exception | None = None
    hints = trial_functions.examples(function), trial_functions.weight_sizes(function)
    for tried in trial_inputs.completed(function.inputs, own, *hints):
        values = {key: as_array(value) for key, value in tried.arrays.items()}
        try:
            trial_functions.require_shapes(function, values)
            runnable = copies.fresh()
            results, seconds = _timed(runnable, values, limit)
        except errors.TfMagicError:
            raise
        except UncopyableError as error:
            raise errors.ConversionError(
                f"{function.key!r} cannot be run without a trace: {error}; give all inputs, and it is run as it is"
            ) from error
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything
            first = first or error
        else:
            return runnable, values, results, seconds
    generated = len(own) < len(function.inputs)
    advice = f"; give inputs of your own: {', '.join(end.key for end in function.inputs)}" if generated else ""
    what = "any inputs generated for it" if generated else "these inputs"
    raise errors.ConversionError(
        f"the model does not run on {what}: {error_texts.first_line(first)}; "
        f"it takes {signatures.described(function.inputs)}{advice}"
    ) from first


class _Limit:
    """What is left of the time that a person gives to a run."""

    def __init__(self, function: NamedFunction, seconds: float | None) -> None:
        self.function = function
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """The seconds that are left, None where there is no limit."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.0)


def _timed(
    function: NamedFunction, values: dict[str, npt.NDArray[Any]], limit: _Limit
) -> tuple[Mapping[str, npt.NDArray[Any]], float]:
    def call() -> tuple[Mapping[str, npt.NDArray[Any]], float]:
        begun = time.perf_counter()
        results = function(values)
        return results, time.perf_counter() - begun

    try:
        return cancellation.bounded(call, limit.left)
    except cancellation.EndlessError as error:
        whole = cancellation.EndlessError(limit.seconds or 0.0, goes_on=error.goes_on)
        raise errors.ConversionError(
            f"the run of {function.key!r} {whole}{trial_functions.suspected(limit.function)}; give it more time with "
            "timeout= (--timeout), or other inputs"
        ) from error

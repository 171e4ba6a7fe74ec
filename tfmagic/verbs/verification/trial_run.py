"""Run the source of a conversion and its result on the same inputs.

A conversion is finished when its result was read back and run (DESIGN section 2). The first inputs that the *source*
accepts count. Not for: making inputs (:mod:`tfmagic.verbs.verification.trial_inputs`), saying what is equal
(:mod:`tfmagic.verbs.verification.comparison`), or reading the result back, which each writer knows how to do.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors, progress
from tfmagic.files import protos
from tfmagic.graphs import function_library
from tfmagic.runtime import cancellation
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import inlining
from tfmagic.verbs.verification import comparison as comparisons
from tfmagic.verbs.verification import trial_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from tfmagic.functions import NamedFunction

    #: A signature that can be run: arrays by key to arrays by key.
    Runner: TypeAlias = Callable[[Mapping[str, npt.ArrayLike]], Mapping[str, npt.NDArray[Any]]]

_RANDOM = "two runs of the source on the same inputs differ: it draws at random, or keeps state inside its graph"
_MORE_RUNS = 8
#: Seconds after which a run is stopped.
_LIMIT = 30.0
#: A result gets so many times as long as the source: the first call of a frozen graph of half a gigabyte, of which
#: TensorFlow makes copies to optimise it, took 35 s on two busy cores.
_PATIENCE = 10


class Verification(NamedTuple):
    """What a comparison found.

    Attributes
    ----------
    frame : DataFrame
        A row an output: :data:`tfmagic.verbs.verification.comparison.COLUMNS`. ``equal`` is None where nothing could be
        compared.
    unchecked : str
        Why it could not be checked, empty if it was.
    """

    frame: pd.DataFrame
    unchecked: str = ""

    @property
    def differs(self) -> bool:
        """Whether an output that was compared is not equal."""
        return not self.unchecked and not all(self.frame["equal"])


def verify(source: NamedFunction, result: Runner, inputs: Mapping[str, npt.ArrayLike] | None = None) -> Verification:
    """Run a function and what it was converted to on the same inputs.

    Parameters
    ----------
    source : NamedFunction
        Its variables are as before afterwards, even if a call assigns them.
    result : callable
        Takes and returns arrays by the same keys.
    inputs : mapping of str to array-like, optional
        Values of the user's own instead of generated ones.

    Raises
    ------
    ConversionError
        If the result does not run on what the source accepts; its own error is the cause.
    """
    with preserved(source) as restore:

        def run(given: Mapping[str, npt.ArrayLike]) -> Mapping[str, npt.NDArray[Any]]:
            restore()
            return _limited(source, given)

        try:
            tried = trial_inputs.candidates(source.inputs) if inputs is None else [inputs]
            given, expected = _accepted(source, run, tried)
        except _EndlessError as error:
            return Verification(_uncompared(source), str(error))
        except _RefusedError as error:
            if inputs is not None:
                raise errors.ConversionError(f"the source does not run on the inputs given: {error}") from error
            return Verification(_uncompared(source), _refused(source, error))
        if _draws_at_random(run, given, expected, runs=1):
            return Verification(_uncompared(source), _RANDOM)
        restore()
        try:
            comparison = comparisons.compare(expected, _result_of(result, given))
        except _EndlessError as error:
            return Verification(_uncompared(source), f"the result was not compared: {error}")
        # Two runs of a small dropout may agree by chance; before the result is called wrong, more are asked.
        if not comparison.equals_all and _draws_at_random(run, given, expected, runs=_MORE_RUNS):
            return Verification(_uncompared(source), _RANDOM)
    return Verification(comparison.frame)


def _draws_at_random(
    run: Runner,
    given: Mapping[str, npt.ArrayLike],
    expected: Mapping[str, npt.NDArray[Any]],
    *,
    runs: int,
) -> bool:
    """Say whether some of several more runs of the source on the same inputs give something else."""
    return any(not comparisons.compare(expected, run(given)).equals_all for _ in range(runs))


def _result_of(result: Runner, given: Mapping[str, npt.ArrayLike]) -> Mapping[str, npt.NDArray[Any]]:
    """Run the result on inputs that the source takes."""
    try:
        return _limited(result, given, _LIMIT * _PATIENCE)
    except _EndlessError:
        raise
    except Exception as error:
        shapes = {key: np.shape(value) for key, value in given.items()}
        raise errors.ConversionError(
            f"the result does not run on inputs of shapes {shapes}, which the source takes: {first_line(error)}"
        ) from error


def unchecked(source: NamedFunction, reason: str) -> Verification:
    """Return the answer for a result that nobody ran."""
    return Verification(_uncompared(source), reason)


def of_values(values: Iterable[tuple[str, npt.ArrayLike, npt.ArrayLike]], unchecked: str = "") -> Verification:
    """Compare values that nothing has to run for: each has a name, what it should be, and what it is."""
    rows = []
    for name, one, other in values:
        progress.check()
        rows.append((name, *comparisons.difference(np.asarray(one), np.asarray(other))))
    return Verification(comparisons.frame(rows), unchecked)


def _uncompared(source: NamedFunction) -> pd.DataFrame:
    return comparisons.frame([(end.key, np.nan, np.nan, None) for end in source.outputs])


class _EndlessError(Exception):
    """A call did not come to its end."""

    def __init__(self, limit: float) -> None:
        super().__init__(
            f"a run took longer than {limit:.0f} s and was stopped (perhaps a loop that ends on other inputs only); "
            "give inputs of your own to verify"
        )


def _limited(
    run: Runner, given: Mapping[str, npt.ArrayLike], limit: float | None = None
) -> Mapping[str, npt.NDArray[Any]]:
    """Run a function, but not for ever, nor longer than who watches wants."""
    limit = _LIMIT if limit is None else limit
    cancelled = runtime.tensorflow().errors.CancelledError
    begun = time.monotonic()
    try:
        with cancellation.time_limit(limit) as cancel, progress.stopping(cancel):
            return run(given)
    except cancelled as error:
        if time.monotonic() - begun < limit:
            raise
        raise _EndlessError(limit) from error


class _RefusedError(Exception):
    """The source does not run on any of the inputs."""


def _accepted(
    source: NamedFunction, run: Runner, candidates: Iterable[Mapping[str, npt.ArrayLike]]
) -> tuple[Mapping[str, npt.ArrayLike], Mapping[str, npt.NDArray[Any]]]:
    """Return the first inputs that the source takes, and what it makes of them."""
    first: Exception | None = None
    for given in candidates:
        try:
            require_shapes(source, given)
            return given, run(given)
        except (errors.TfMagicError, _EndlessError):
            raise
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything
            first = first or error
    raise _RefusedError(first_line(first)) from first


def require_shapes(source: NamedFunction, given: Mapping[str, npt.ArrayLike]) -> None:
    """Let TensorFlow infer all shapes first where a rank is unknown; raises its ValueError.

    Tracing has checked ranks that are known. Some kernels do not check at all: a matrix given to a convolution ends
    the whole process.
    """
    if all(end.shape is not None for end in source.inputs):
        return
    tf = runtime.tensorflow()
    keep = [end.tensor for end in (*source.inputs, *source.outputs)]
    graph_def = protos.native(inlining.inlined(source.concrete.graph.as_graph_def(), keep))
    with tf.Graph().as_default():
        fed = {end.tensor: tf.compat.v1.placeholder(end.dtype, np.shape(given[end.key])) for end in source.inputs}
        tf.graph_util.import_graph_def(graph_def, input_map=fed, name="")


def _refused(source: NamedFunction, error: Exception) -> str:
    values = " ".join(f"{end.key}=EXPR" for end in source.inputs)
    return f"the source refused all generated inputs ({error}); give inputs of your own to verify: {values}"


#: How lines of TensorFlow's errors begin that say where in the graph, not what.
_TELLS_NOTHING = ("Graph execution error", "Detected at", "File ", "<stack traces", "[[{{node")


def first_line(error: Exception | None) -> str:
    """Return what an error says first; TensorFlow's go on with the whole traceback of the graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_TELLS_NOTHING)]
    return f"{type(error).__name__}: {(telling or lines or [''])[0][:300]}"


@contextmanager
def preserved(source: NamedFunction) -> Iterator[Callable[[], None]]:
    """Put variables back that a call of the source assigns: a running count, moving statistics, a seed.

    What it yields does so in between: each run of a model with state begins where the user's model stands.
    """
    before = [(variable, variable.numpy()) for variable in _assigned(source)]

    def restore() -> None:
        with runtime.eager():
            for variable, value in before:
                variable.assign(value)

    try:
        yield restore
    finally:
        restore()


def _assigned(source: NamedFunction) -> list[Any]:
    """Return all variables of the source if one of its ops assigns any."""
    graph = source.concrete.graph
    ops = {node.op for node in function_library.all_nodes(graph.as_graph_def())}
    if not any(op.startswith(("Assign", "ResourceApply", "ResourceScatter")) for op in ops):
        return []
    return list({id(each): each for each in (*source.variables.values(), *graph.variables)}.values())

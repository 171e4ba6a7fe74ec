"""Make inputs from a signature, run the source and the result on them, compare.

A conversion is finished when its result was read back and run (DESIGN section 2). Inputs are made in several sizes,
because a signature does not say what its function really takes; the first that the *source* accepts count. Not for:
reading the result back, which each writer knows how to do.

What counts as equal: integers, booleans and strings exactly; floats when ``|a - b| <= tolerance * (|a| + scale)``
with the largest finite ``|a|`` of that output as ``scale`` and the dtype's tolerance of :data:`TOLERANCES`; NaN equals
NaN, an infinity itself.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic import _tf, errors, pictures, progress, protos
from tfmagic.transforms import inlining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from tfmagic.functions import NamedFunction
    from tfmagic.signatures import Endpoint

    #: A signature that can be run: arrays by key to arrays by key.
    Runner: TypeAlias = Callable[[Mapping[str, npt.ArrayLike]], Mapping[str, npt.NDArray[Any]]]
    Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

COLUMNS = ("output", "max_abs", "max_rel", "equal")
#: Relative tolerance by dtype: some hundred times its precision, as a thousand additions in another order need.
TOLERANCES: Mapping[str, float] = {
    "float64": 1e-8, "complex128": 1e-8, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 5e-2,
}  # fmt: skip
_COARSE = 0.25
#: A relative difference is taken to at least this.
_SMALLEST = 1e-9
_RANDOM = "two runs of the source on the same inputs differ: it draws at random"
_MORE_RUNS = 8
#: Seconds after which a run is stopped.
_LIMIT = 30.0
#: A result gets so many times as long as the source: the first call of a frozen graph of half a gigabyte, of which
#: TensorFlow makes copies to optimise it, took 35 s on two busy cores.
_PATIENCE = 10
_SEED = 20240229
#: What signatures that look alike may stand for: images in bytes, then indices into a table of at least two rows.
_BYTE_LIMITS = (256, 2)
_INDEX_LIMIT = 2
#: Words, numbers as text, and the empty message, which any protobuf parser takes.
_TEXTS = ("w{}", "{}", "")
_RANKS = (2, 4, 1, 3, 0)
#: A picture of MNIST's size, as a file and as text.
_PICTURE = pictures.png(28)
_PICTURES = (_PICTURE, pictures.text(_PICTURE))


class Attempt(NamedTuple):
    """One way to fill in what a signature leaves open.

    ``first`` and ``other`` are the sizes of unknown dimensions, ``rank`` that of a tensor of unknown rank.
    """

    first: int
    other: int
    rank: int = 2
    byte_limit: int = _BYTE_LIMITS[0]
    text: str | bytes = _TEXTS[0]

    def words(self, count: int) -> list[bytes]:
        """Return so many texts: numbered words, or the same file each time."""
        text = self.text
        return [text if isinstance(text, bytes) else text.format(number).encode() for number in range(count)]


#: In the order in which they are tried.
ATTEMPTS = (
    Attempt(2, 8),
    Attempt(2, 8, byte_limit=_BYTE_LIMITS[1], text=_TEXTS[1]),
    Attempt(2, 8, text=_TEXTS[2]),
    *(Attempt(2, 8, rank) for rank in _RANKS[1:]),
    *(Attempt(first, other) for first, other in ((1, 8), (2, 32), (4, 4), (3, 3), (2, 2), (1, 1), (2, 128), (1, 300))),
    *(Attempt(2, 8, rank, text=picture) for picture in _PICTURES for rank in (1, 0)),
)


class Verification(NamedTuple):
    """What a comparison found.

    Attributes
    ----------
    frame : DataFrame
        A row an output: :data:`COLUMNS`. ``equal`` is None where nothing could be compared.
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
    with preserved(source):
        try:
            given, expected = _accepted(source, all_inputs(source.inputs) if inputs is None else [inputs])
        except _EndlessError as error:
            return Verification(_uncompared(source), str(error))
        except _RefusedError as error:
            if inputs is not None:
                raise errors.ConversionError(f"the source does not run on the inputs given: {error}") from error
            return Verification(_uncompared(source), _refused(source, error))
        if _draws_at_random(source, given, expected, runs=1):
            return Verification(_uncompared(source), _RANDOM)
        try:
            comparison = compare(expected, _result_of(result, given))
        except _EndlessError as error:
            return Verification(_uncompared(source), f"the result was not compared: {error}")
        # Two runs of a small dropout may agree by chance; before the result is called wrong, more are asked.
        if not comparison.equals_all and _draws_at_random(source, given, expected, runs=_MORE_RUNS):
            return Verification(_uncompared(source), _RANDOM)
    return Verification(comparison.frame)


def _draws_at_random(
    source: NamedFunction,
    given: Mapping[str, npt.ArrayLike],
    expected: Mapping[str, npt.NDArray[Any]],
    *,
    runs: int,
) -> bool:
    """Say whether some of several more runs of the source on the same inputs give something else."""
    return any(not compare(expected, _limited(source, given)).equals_all for _ in range(runs))


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


def _uncompared(source: NamedFunction) -> pd.DataFrame:
    return _frame([(end.key, np.nan, np.nan, None) for end in source.outputs])


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
    cancelled = _tf.tensorflow().errors.CancelledError
    begun = time.monotonic()
    try:
        with _tf.time_limit(limit) as cancel, progress.stopping(cancel):
            return run(given)
    except cancelled as error:
        if time.monotonic() - begun < limit:
            raise
        raise _EndlessError(limit) from error


class _RefusedError(Exception):
    """The source does not run on any of the inputs."""


def _accepted(
    source: NamedFunction, candidates: Iterable[Mapping[str, npt.ArrayLike]]
) -> tuple[Mapping[str, npt.ArrayLike], Mapping[str, npt.NDArray[Any]]]:
    """Return the first inputs that the source takes, and what it makes of them."""
    first: Exception | None = None
    for given in candidates:
        try:
            require_shapes(source, given)
            return given, _limited(source, given)
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
    tf = _tf.tensorflow()
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
def preserved(source: NamedFunction) -> Iterator[None]:
    """Put variables back that a call of the source assigns: a running count, moving statistics, a seed."""
    assigned = _assigned(source)
    before = [(variable, variable.numpy()) for variable in assigned]
    try:
        yield
    finally:
        with _tf.eager():
            for variable, value in before:
                variable.assign(value)


def _assigned(source: NamedFunction) -> list[Any]:
    """Return all variables of the source if one of its ops assigns any."""
    graph = source.concrete.graph
    nodes = graph.as_graph_def()
    ops = {node.op for node in nodes.node} | {node.op for each in nodes.library.function for node in each.node_def}
    if not any(op.startswith(("Assign", "ResourceApply", "ResourceScatter")) for op in ops):
        return []
    return list({id(each): each for each in (*source.variables.values(), *graph.variables)}.values())


# Inputs


def all_inputs(ends: Sequence[Endpoint]) -> Iterator[Arrays]:
    """Yield inputs of different sizes, none twice."""
    seen = set()
    for attempt in ATTEMPTS:
        given = make_inputs(ends, attempt)
        mark = tuple((key, value.tobytes(), value.shape) for key, value in given.items())
        if mark not in seen:
            seen.add(mark)
            yield given


def make_inputs(ends: Sequence[Endpoint], attempt: Attempt = ATTEMPTS[0]) -> Arrays:
    """Make values for the inputs of a signature, the same at every call.

    Floats lie in [0, 1), integers are 0 or 1 so that they are valid indices, bytes are those of an image.
    """
    generator = np.random.default_rng(_SEED)
    return {end.key: _value(end, attempt, generator) for end in ends}


def _value(end: Endpoint, attempt: Attempt, generator: np.random.Generator) -> npt.NDArray[Any]:
    shape = _shape(end, attempt)
    kind = end.dtype.removesuffix("_ref")
    if kind == "string":
        return np.array(attempt.words(int(np.prod(shape))), dtype=object).reshape(shape)
    if kind == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if kind == "uint8":
        return generator.integers(0, attempt.byte_limit, shape).astype(np.uint8)
    if kind.startswith(("int", "uint", "qint", "quint")):
        return generator.integers(0, _INDEX_LIMIT, shape)
    if kind.startswith("complex"):
        return np.asarray(generator.random(shape) + 1j * generator.random(shape))
    return np.asarray(generator.random(shape), dtype=np.float64 if kind == "float64" else np.float32)


def _shape(end: Endpoint, attempt: Attempt) -> tuple[int, ...]:
    shape = (None,) * attempt.rank if end.shape is None else end.shape
    defaults = (attempt.first, *[attempt.other] * len(shape))
    return tuple(default if size is None else size for size, default in zip(shape, defaults, strict=False))


# Comparison


class Comparison(NamedTuple):
    """The table, and whether every row of it is equal."""

    frame: pd.DataFrame

    @property
    def equals_all(self) -> bool:
        """Whether all outputs are equal."""
        return bool(all(self.frame["equal"]))


def compare(expected: Mapping[str, npt.ArrayLike], found: Mapping[str, npt.ArrayLike]) -> Comparison:
    """Compare outputs by key, in the order of those expected; an output that is missing is not equal."""
    rows = [
        (key, *(_difference(np.asarray(value), np.asarray(found[key])) if key in found else _UNLIKE))
        for key, value in expected.items()
    ]
    rows += [(key, *_UNLIKE) for key in found if key not in expected]
    return Comparison(_frame(rows))


def of_values(values: Iterable[tuple[str, npt.ArrayLike, npt.ArrayLike]], unchecked: str = "") -> Verification:
    """Compare values that nothing has to run for: each has a name, what it should be, and what it is."""
    rows = []
    for name, one, other in values:
        progress.check()
        rows.append((name, *_difference(np.asarray(one), np.asarray(other))))
    return Verification(_frame(rows), unchecked)


def _frame(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype({"max_abs": float, "max_rel": float})


#: Nothing to measure: other shapes, other dtypes, or text that is not the same.
_UNLIKE = (np.nan, np.nan, False)


def _difference(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> tuple[float, float, bool]:
    """Return the largest absolute and relative difference of two arrays, and whether they count as equal."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return _UNLIKE
    if expected.dtype.kind in "OSU":
        same = bool((expected == found).all())
        return (0.0, 0.0, True) if same else _UNLIKE
    if expected.size == 0:
        return 0.0, 0.0, True
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    if expected.dtype.kind in "biu":
        return _measured(expected.astype(np.float64), found.astype(np.float64), equal=bool((expected == found).all()))
    one, other = expected.astype(wide), found.astype(wide)
    return _measured(one, other, equal=_close(one, other, TOLERANCES.get(expected.dtype.name, _COARSE)))


def _measured(one: npt.NDArray[Any], other: npt.NDArray[Any], *, equal: bool) -> tuple[float, float, bool]:
    """Return the largest differences of the elements that are finite in both."""
    finite = np.isfinite(one) & np.isfinite(other)
    if not finite.any():
        return (0.0, 0.0, True) if equal else _UNLIKE
    size = np.abs(one[finite])
    distance = np.abs(one[finite] - other[finite])
    return float(distance.max()), float((distance / np.maximum(size, _SMALLEST)).max()), equal


def _close(one: npt.NDArray[Any], other: npt.NDArray[Any], tolerance: float) -> bool:
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return False
    size = np.abs(one[finite])
    allowed = tolerance * (size + size.max(initial=0.0))
    return bool((np.abs(one[finite] - other[finite]) <= allowed).all())

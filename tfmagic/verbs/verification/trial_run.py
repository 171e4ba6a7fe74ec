"""Run the source of a conversion and its result on the same inputs.

A conversion is finished when its result was read back and run (DESIGN section 2). The first inputs that the *source*
accepts, and on which every output tells something, count. Both are run as copies
(:mod:`tfmagic.functions.state.trial_copies`): a trial leaves no trace. Not for: making inputs
(:mod:`tfmagic.verbs.verification.trial_inputs`), saying what is equal (:mod:`tfmagic.verbs.verification.comparison`),
or reading the result back, which each writer knows how to do.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.functions import NamedFunction
from tfmagic.functions.state import stored_variables
from tfmagic.functions.state.resource_copies import UncopyableError
from tfmagic.functions.state.trial_copies import TrialCopies
from tfmagic.runtime import alarms, cancellation, concrete_functions, error_texts
from tfmagic.verbs.verification import comparison, trial_functions, trial_inputs
from tfmagic.verbs.verification.outcome import Verification, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.verbs.verification.trial_functions import Outputs, Runner
    from tfmagic.verbs.verification.trial_inputs import TrialInputs

_RANDOM = "it draws at random, and no seed makes source and result draw the same"
#: Seconds after which a run is stopped, or what a loader runs.
LIMIT = 30.0
#: A result gets so many times as long as the source took, and that on top: the first call of a frozen graph of half a
#: gigabyte, of which TensorFlow makes copies to optimise it, took 35 s on two busy cores.
_PATIENCE = 10
#: Seconds after which no other inputs are tried than the best so far.
_SEARCH = 20.0


def verify(
    source: NamedFunction,
    result: Runner,
    inputs: Mapping[str, npt.ArrayLike] | None = None,
    names: tuple[str, str] = ("the source", "the result"),
    *,
    quickly: bool = False,
) -> Verification:
    """Run a function and what it was converted to on the same inputs.

    Parameters
    ----------
    source : NamedFunction
        It is not run itself, but copies of it.
    result : callable
        Takes and returns arrays by the same keys. Of a NamedFunction copies are run.
    inputs : mapping of str to array-like, optional
        Values of the user's own instead of generated ones; those that are missing are generated.
    names : (str, str)
        What a person calls the two.
    quickly : bool
        Whether images may be smaller than the source states, as long as both take them and give the same: of one that
        was made of the other, that settles it. TensorFlow does not optimise them for it.

    Raises
    ------
    ConversionError
        If the result does not run on what the source accepts; its own error is the cause.
    """
    values = dict(inputs or {})
    trial = partial(_Trial, source, lambda: result, names, quickly=quickly)
    return _answer((source, result), names, lambda: trial().verified(values), is_complete=_is_complete(source, values))


def verify_in_turn(source: NamedFunction, load: Callable[[], Runner]) -> Verification:
    """Run a function, let go of its weights, and run what it was converted to, which is loaded only then.

    Parameters
    ----------
    source : NamedFunction
        As :func:`verify` takes it; its variables have their values again when somebody runs it.
    load : callable
        Returns the result, the same one each time.

    Raises
    ------
    ConversionError
        As :func:`verify` does, or if the result does not load.
    """
    names = ("the source", "the result")

    def loaded() -> Runner:
        stored_variables.let_go(source.variables.values())
        result = load()
        reason = _outside(result)
        if reason:
            raise _OutsideError(reason)
        return result

    trial = partial(_Trial, source, loaded, names, quickly=True)
    return _answer((source,), names, lambda: trial().verified({}), is_complete=False)


def approximated(
    source: NamedFunction,
    result: Runner,
    calls: Sequence[Mapping[str, npt.ArrayLike]],
    measure: Callable[[Iterator[tuple[str, Outputs, Outputs]]], Verification],
    names: tuple[str, str] = ("the source", "the result"),
) -> Verification:
    """Run a function and an approximation of it on the same inputs, to be measured.

    Parameters
    ----------
    source, result, names
        As :func:`verify` takes them.
    calls : sequence of mapping of str to array-like
        Values of the user's own for all inputs; where there are none, they are generated.
    measure : callable
        Makes the answer of what kind of inputs these are, what the source gives, and what the result gives.

    Raises
    ------
    ConversionError
        If one of both does not run on them.
    """
    trial = partial(_Trial, source, lambda: result, names)
    return _answer((source, result), names, lambda: measure(trial().pairs(calls)), is_complete=bool(calls))


def _answer(
    runners: tuple[NamedFunction, *tuple[Runner, ...]],
    names: tuple[str, str],
    compared: Callable[[], Verification],
    *,
    is_complete: bool,
) -> Verification:
    """Return a comparison, or why there is none; on what is the user's, it is an error that the source does not run."""
    source = runners[0]
    try:
        reason = "" if is_complete else _outside(*runners)
        return unchecked(source, reason) if reason else compared()
    except (_EndlessError, _OutsideError, UncopyableError) as error:
        return unchecked(source, str(error))
    except _RefusedError as error:
        if source.inputs and is_complete:
            raise errors.ConversionError(f"{names[0]} does not run on the inputs given: {error}") from error
        return unchecked(source, _refused(source, names[0], error))


def _is_complete(source: NamedFunction, values: Mapping[str, npt.ArrayLike]) -> bool:
    """Say whether nothing has to be made up."""
    return bool(source.inputs) and all(end.key in values for end in source.inputs)


def _outside(*runners: Runner) -> str:
    """Say why one of some is not run on made-up inputs."""
    return next(
        filter(None, (trial_functions.outside(each) for each in runners if isinstance(each, NamedFunction))), ""
    )


class _Trial:
    """A source and a result on their way through the same inputs."""

    def __init__(
        self, source: NamedFunction, load: Callable[[], Runner], names: tuple[str, str], *, quickly: bool = False
    ) -> None:
        self._source = source
        self._quickly = quickly
        self._names = names
        self._copies = TrialCopies(source, repeatable=True)
        self._load = load
        #: The longest run of the source so far, in seconds.
        self._longest = 0.0

    @cached_property
    def _result(self) -> Runner:
        """What the source was converted to."""
        return self._load()

    @cached_property
    def _result_copies(self) -> TrialCopies | None:
        result = self._result
        return TrialCopies(result, repeatable=True) if isinstance(result, NamedFunction) else None

    def verified(self, values: Mapping[str, npt.ArrayLike]) -> Verification:
        """Run both; raises the reasons for which that cannot be."""
        settled = None if values or not self._quickly else self._verified_smaller()
        if settled is not None:
            return settled
        tried, expected = self._accepted(values)
        try:
            result = self._result_of(tried.arrays)
            compared = comparison.compare(
                trial_functions.placeless(self._source, expected),
                trial_functions.placeless(self._result, result),
                settled=trial_functions.settled(self._source),
            )
        except _EndlessError as error:
            return unchecked(self._source, f"{self._names[1]} was not compared: {error}")
        if compared.differs and self._is_random(tried.arrays, expected):
            return unchecked(self._source, _RANDOM)
        return Verification(replace(compared, inputs=tried.kind))

    def _verified_smaller(self) -> Verification | None:
        """Run both on smaller images than the source states; None where that does not show that they are equal."""
        tried = trial_inputs.smaller(self._source.inputs)
        if tried is None:
            return None
        try:
            expected = self._run(tried.arrays)
            copies = self._result_copies
            result = self._limited(copies.fresh(), tried.arrays, LIMIT, self._result) if copies else None
        except (errors.TfMagicError, _EndlessError, _OutsideError):
            raise
        except Exception:  # noqa: BLE001 - as in _accepted
            return None
        if result is None:
            return None
        compared = comparison.compare(
            trial_functions.placeless(self._source, expected), trial_functions.placeless(self._result, result)
        )
        if compared.differs or compared.untelling:
            return None
        return Verification(replace(compared, inputs=tried.kind))

    def _limited(self, run: Runner, values: Mapping[str, npt.ArrayLike], limit: float, original: Runner) -> Outputs:
        """Run a function, or a copy of it, but not for ever, nor longer than who watches wants."""

        def call() -> Outputs:
            with concrete_functions.unoptimized() if self._quickly else nullcontext():
                return run(values)

        try:
            return cancellation.bounded(call, limit)
        except cancellation.EndlessError as error:
            raise _EndlessError(original, error) from error

    def pairs(self, calls: Sequence[Mapping[str, npt.ArrayLike]]) -> Iterator[tuple[str, Outputs, Outputs]]:
        """Yield the kind of inputs, what the source gives and what the result gives; raises as :meth:`verified`."""
        if not calls:
            tried, expected = self._accepted({})
            yield tried.kind, expected, self._result_of(tried.arrays)
        for number, call in enumerate(calls):
            try:
                expected = self._run(call)
            except (_EndlessError, UncopyableError):
                raise
            except Exception as error:
                raise _RefusedError(f"sample {number}: {error_texts.first_line(error)}") from error
            yield "samples", expected, self._result_of(call)

    def _accepted(self, values: Mapping[str, npt.ArrayLike]) -> tuple[TrialInputs, Outputs]:
        """Return inputs that the source takes, and what it makes of them: the first on which all outputs tell."""
        wanted = len(self._source.outputs) - len(trial_functions.settled(self._source))
        first: Exception | None = None
        best: tuple[int, TrialInputs, Outputs] | None = None
        begun = time.monotonic()
        hints = trial_functions.examples(self._source), trial_functions.weight_sizes(self._source)
        for tried in trial_inputs.completed(self._source.inputs, values, *hints):
            try:
                trial_functions.require_shapes(self._source, tried.arrays)
                outputs = self._run(tried.arrays)
            except (errors.TfMagicError, UncopyableError):
                raise
            except _EndlessError:
                if best is None:
                    raise
                break
            except Exception as error:  # noqa: BLE001 - a model's code may raise anything
                first = first or error
                continue
            telling = sum(comparison.tells(np.asarray(values)) for values in outputs.values())
            if best is None or telling > best[0]:
                best = telling, tried, outputs
            if telling >= wanted or time.monotonic() - begun > _SEARCH:
                break
        if best is None:
            raise _RefusedError(error_texts.first_line(first)) from first
        return best[1:]

    def _run(self, values: Mapping[str, npt.ArrayLike]) -> Outputs:
        """Run a copy of the source that begins where the user's model stands."""
        self._source.restore()
        run = self._copies.fresh()
        begun = time.monotonic()
        outputs = self._limited(run, values, LIMIT, self._source)
        self._longest = max(self._longest, time.monotonic() - begun)
        return outputs

    def _result_of(self, values: Mapping[str, npt.ArrayLike]) -> Outputs:
        """Run the result on inputs that the source takes."""
        result, copies = self._result, self._result_copies
        try:
            run = result if copies is None else copies.fresh()
            return self._limited(run, values, LIMIT + _PATIENCE * self._longest, result)
        except (_EndlessError, UncopyableError):
            raise
        except Exception as error:
            self._require_running(values)
            shapes = {key: np.shape(value) for key, value in values.items()}
            raise errors.ConversionError(
                f"{self._names[1]} does not run on inputs of shapes {shapes}, which {self._names[0]} takes: "
                f"{error_texts.first_line(error)}; choose other inputs and outputs, or compare on inputs that both take"
            ) from error

    def _require_running(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Blame nobody for what the source does not do a second time either."""
        try:
            self._run(values)
        except (_EndlessError, UncopyableError):
            raise
        except Exception as error:
            raise _RefusedError(f"the second time: {error_texts.first_line(error)}") from error

    def _is_random(self, values: Mapping[str, npt.ArrayLike], expected: Outputs) -> bool:
        """Say whether outputs differ because of what one of both draws, which no seed makes the same."""
        drawn = self._copies.draws
        if drawn and (self._result_copies is None or drawn != self._result_copies.draws):
            return True
        again = self._result_of(values)
        return any(
            comparison.compare(one, other).differs
            for one, other in ((expected, self._run(values)), (again, self._result_of(values)))
        )


@contextmanager
def loading(shown: str) -> Iterator[None]:
    """Give what is loaded to be run as long as a run has, its Python code too, which may wait for anything.

    Code that computes has more time: to trace a large model takes a minute on a busy machine. Python's signals reach
    the main thread alone; in another one, as in a panel, whoever watches ends it.

    Parameters
    ----------
    shown : str
        What a person calls it.

    Raises
    ------
    ConversionError
        If Python code takes longer.
    """
    try:
        with cancellation.limited(LIMIT), alarms.alarm(LIMIT, _PATIENCE):
            yield
    except alarms.TimeIsUpError as error:
        raise errors.ConversionError(
            f"loading or tracing {shown} {error}; look at what its code waits for, such as a server without an answer"
        ) from error


class _EndlessError(Exception):
    """A call did not come to its end."""

    def __init__(self, run: Runner, error: cancellation.EndlessError) -> None:
        super().__init__(f"a run {error}{trial_functions.suspected(run)}; give inputs of your own to verify")


class _OutsideError(Exception):
    """A result would act outside the model, which its source does not."""


class _RefusedError(Exception):
    """The source does not run on any of the inputs."""


def _refused(source: NamedFunction, name: str, error: Exception) -> str:
    if not source.inputs:
        return f"{name} does not run either, and takes no inputs that could be others: {error}"
    values = " ".join(f"{end.key}=EXPR" for end in source.inputs)
    return f"{name} refused all generated inputs ({error}); give inputs of your own to verify: {values}"

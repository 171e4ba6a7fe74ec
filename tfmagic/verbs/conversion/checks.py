"""A result held against its source: read back, run on the same inputs, and what follows from the numbers.

Not for: the inputs and the comparison of arrays (:mod:`tfmagic.verbs.verification.trial_run`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol, cast

from tfmagic import errors
from tfmagic.display import render
from tfmagic.files import wire
from tfmagic.findings import hazards
from tfmagic.frames import is_missing
from tfmagic.functions import tflite
from tfmagic.functions.state import stored_variables
from tfmagic.models.writer import Approximate, Compared, Loadable, Runnable
from tfmagic.runtime import cancellation, error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.verification import approximation, outcome, tolerances, trial_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.models.writer import Call, Draft
    from tfmagic.verbs.conversion.options import Wish
    from tfmagic.verbs.verification.outcome import Verification
    from tfmagic.verbs.verification.trial_functions import Runner

#: How a reason begins that says what a run would do outside the model.
_WOULD_ACT = "running it would "
#: What messages call what was made.
_RESULT = "the result"
#: A draft of ours is always one of both; one of a user's own may be neither.
_NO_WAY_BACK = "its writer does not say how to run the result, nor how to read its values back"


class Ends(Protocol):
    """Inputs and outputs: of a function, a frozen graph, a signature of a graph."""

    @property
    def inputs(self) -> tuple[Endpoint, ...]:
        """The inputs by key."""

    @property
    def outputs(self) -> tuple[Endpoint, ...]:
        """The outputs by key."""


@dataclass(frozen=True)
class Source:
    """What a result is compared with.

    Attributes
    ----------
    model : Model
        The source.
    wish : Wish
        What the user said.
    signatures : mapping of str to Ends
        What was converted, by the signatures' keys.
    functions : mapping of str to NamedFunction
        What was traced for it; what was edited is loaded to be compared.
    """

    model: Model
    wish: Wish
    signatures: Mapping[str, Ends]
    functions: Mapping[str, NamedFunction]

    def unchecked(self, reason: str) -> dict[str, Verification]:
        """Return the answer for a result that nobody ran."""
        return {key: outcome.unchecked(cast("NamedFunction", each), reason) for key, each in self.signatures.items()}

    def compared(
        self,
        load: Callable[[str], Runner],
        require_loaders: Callable[[], None] | None = None,
        samples: Mapping[str, Sequence[Call]] | None = None,
    ) -> dict[str, Verification]:
        """Run source and result on the same inputs.

        Each result is loaded, whether or not its source can be, unless nobody vouched for what that would do; where it
        was not compared, in the other ways, too, in which it will be. ``samples`` are there for an approximation, which
        is measured on them and not judged.
        """
        functions = self.functions
        if not functions:
            try:
                with trial_run.loading(repr(self.model.origin)):
                    loaded = conversion_options.functions(self.model, self.wish, every=len(self.signatures) > 1)
                only = next(iter(loaded.values()))
                functions = {key: loaded.get(key, only) for key in self.signatures}
            except errors.UntrustedCodeError as error:
                return self.unchecked(
                    f"running it would {error.doing}; if you trust who made it, %tf_verify SOURCE RESULT NAME=EXPR "
                    "--trust runs both on inputs of yours"
                )
            except errors.TfMagicError as error:
                if not cancellation.is_endless(error):
                    self._require_loading(load, error)
                return self.unchecked(f"the source cannot be loaded to be run: {str(error).splitlines()[0]}")
        # What TensorFlow lets go of after a comparison is entered into the default graph, which may be the user's.
        with runtime.eager():
            verifications = {
                key: _verified(each, partial(load, key), None if samples is None else samples.get(key, ()))
                for key, each in functions.items()
            }
            if require_loaders is not None and any(each.unchecked for each in verifications.values()):
                _require(require_loaders, self.model.origin)
            return verifications

    def _require_loading(self, load: Callable[[str], Runner], reason: errors.TfMagicError) -> None:
        """Load the result of a source that does not load, which may be the one to blame."""
        if not self._acts_inside():
            return
        try:
            _ = {key: load(key) for key in self.signatures}
        except errors.ConversionError as error:
            raise errors.ConversionError(
                f"neither the source nor what is made of it can be loaded and run; of the source: {reason}. Mend that, "
                "or convert all the same, unchecked, with verify=False (--no-verify)"
            ) from error

    def _acts_inside(self) -> bool:
        """Whether the graph does nothing outside the model, or the user vouched for it."""
        if self.model.is_trusted:
            return True
        messages = [meta_graph.meta_graph_def() for meta_graph in self.model.meta_graphs]
        return not any(hazards.of_saved_model(each, each.signature_def) for each in messages)


@contextmanager
def _reading_back(converted: str) -> Iterator[None]:
    """Let it be an error of the conversion that what was written cannot be read, whatever a library makes of it."""
    try:
        yield
    except Exception as error:
        is_told = isinstance(error, (errors.TfMagicError, OSError)) and not isinstance(error, wire.WireError)
        if is_told:
            raise
        raise errors.ConversionError(
            f"what was written for {converted!r} cannot be read back: {error_texts.gist(error)}; nothing was left: "
            "look at the disk, and whether something else changes the file meanwhile"
        ) from error


def _require(loaders: Callable[[], None], converted: str) -> None:
    """Load in the other ways; that loading does not come to its end is how the source is, and was said."""
    try:
        with _reading_back(converted), trial_run.loading(_RESULT):
            loaders()
    except errors.ConversionError as error:
        if not cancellation.is_endless(error):
            raise


def _verified(source: NamedFunction, load: Callable[[], Runner], samples: Sequence[Call] | None) -> Verification:
    if samples is None and stored_variables.large(source.variables.values()):
        return _verified_in_turn(source, load)
    try:
        with _reading_back(source.key), trial_run.loading(_RESULT):
            result = load()
    except errors.ConversionError as error:
        if not cancellation.is_endless(error):
            raise
        return outcome.unchecked(source, str(error))
    try:
        if samples is not None:
            return trial_run.approximated(source, result, samples, approximation.measure)
        return trial_run.verify(source, result, quickly=True)
    finally:
        # TFLite's interpreter holds the file open until the garbage is collected.
        tflite.let_go(result)


def _verified_in_turn(source: NamedFunction, load: Callable[[], Runner]) -> Verification:
    """Run the source before the result is loaded: it lets go of its weights, so that they are not there twice."""

    @cache
    def result() -> Runner:
        with _reading_back(source.key), trial_run.loading(_RESULT):
            return load()

    try:
        verification = trial_run.verify_in_turn(source, result)
        # Where nothing was compared, too, the result has to load.
        result()
    except errors.ConversionError as error:
        if not cancellation.is_endless(error):
            raise
        return outcome.unchecked(source, str(error))
    return verification


def unverified(draft: Draft, source: Source, reason: str) -> dict[str, Verification]:
    """Return the answer for a result that was not read back."""
    by_output = {} if isinstance(draft, Compared) else source.unchecked(reason)
    return by_output or {"": outcome.of_values((), reason)}


def verified(draft: Draft, staged: Path, source: Source, *, must: bool) -> dict[str, Verification]:
    """Read back what was written, and compare it with the source; ``must`` makes it an error that this cannot be."""
    if isinstance(draft, Compared):
        with _reading_back(source.model.origin):
            return {"": outcome.of_values(draft.read_back(staged))}
    if not isinstance(draft, Runnable):
        return unverified(draft, source, _NO_WAY_BACK)
    try:
        others = partial(draft.require_loaders, staged) if isinstance(draft, Loadable) else None
        samples = draft.samples if isinstance(draft, Approximate) else None
        verifications = source.compared(partial(draft.load, staged), others, samples)
    except errors.MissingDependencyError as error:
        if must:
            raise
        return source.unchecked(str(error))
    if must:
        require_checked(each.unchecked for each in verifications.values())
    return verifications


def require_checked(reasons: Iterable[str]) -> None:
    """Raise UntrustedCodeError where a check was left out because it would act outside the model."""
    for reason in reasons:
        if reason.startswith(_WOULD_ACT):
            raise errors.UntrustedCodeError(
                f"not verified, as verify=True (--verify) wants: {reason}. Without it the result is made, and says so; "
                "trust=True (--trust) lets it be loaded, and run on inputs of yours",
                reason.removeprefix(_WOULD_ACT),
            )


def require_equal(verifications: Mapping[str, Verification], consequence: str) -> None:
    """Raise VerificationError where outputs differ, or an approximation is none; says by how much, and what follows."""
    useless = "; ".join(each.wrong for each in verifications.values() if each.wrong)
    if useless:
        raise errors.VerificationError(
            f"the quantised result is of no use: {useless}; {consequence}. error.verification has the numbers; "
            "samples=… that are like what it will be used on help, or quantize='float16'; verify=False (--no-verify) "
            "converts all the same",
            frame(verifications),
        )
    if any(each.differs for each in verifications.values()):
        compared = frame(verifications)
        wrong = compared[[equal is False for equal in compared["equal"].astype(object)]]
        worst = ", ".join(f"{row.output!r} ({_by(cast('float', row.max_abs))})" for row in wrong.itertuples())
        raise errors.VerificationError(
            f"the result differs from the source on the same inputs in {worst}; {consequence}. "
            "error.verification has the numbers; verify=False (--no-verify) converts all the same",
            compared,
        )


def frame(verifications: Mapping[str, Verification]) -> pd.DataFrame:
    """Join the comparisons of several signatures; of one, outputs go by their own keys."""
    if len(verifications) == 1:
        return next(iter(verifications.values())).frame
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    named = [
        each.frame.assign(output=[f"{key}/{name}" for name in each.frame["output"]])
        for key, each in verifications.items()
    ]
    joined = pd.concat(named, ignore_index=True)
    kinds = dict.fromkeys(
        str(each.frame.attrs["inputs"]) for each in verifications.values() if "inputs" in each.frame.attrs
    )
    meanings = dict.fromkeys(each.frame.attrs.get("equal", tolerances.MEANING) for each in verifications.values())
    joined.attrs.update({"equal": next(iter(meanings)), "inputs": "; ".join(kinds)})
    return joined


def notes(verifications: Mapping[str, Verification]) -> tuple[str, ...]:
    """Say what was not verified and why, and how far off an approximation is."""
    measured = (
        f"{f'signature {key!r}: ' if len(verifications) > 1 else ''}{each.note}"
        for key, each in verifications.items()
        if each.note
    )
    return (*unchecked_notes(verifications), *measured)


def unchecked_notes(verifications: Mapping[str, Verification]) -> tuple[str, ...]:
    """Say what was not verified, and why."""
    return tuple(
        f"not verified: {f'signature {key!r}: ' if key else ''}{each.reservation}"
        for key, each in verifications.items()
        if each.reservation
    )


def _by(max_abs: float) -> str:
    """Word how far apart outputs are; only numbers that are finite in both are measured."""
    measured = max_abs > 0  # not NaN either
    return f"by up to {max_abs:.3g}" if measured else "by infinities or NaN, by its shape, dtype or text"


def in_words(table: pd.DataFrame) -> str:
    """Say in a line how a result compares with its source."""
    equal = [bool(each) for each in table["equal"].tolist() if not is_missing(each)]
    differences = table["max_abs"].dropna()
    count = max(len(equal), len(differences))
    if not count:
        return "not checked"
    total = len(table)
    which = f"{count} of {total} outputs" if count < total else "its output" if total == 1 else f"all {total} outputs"
    largest = float(differences.max()) if len(differences) else 0.0
    number = f"largest difference {largest:.2g}" if len(differences) else "equal"
    return f"checked: read back and compared with the source in {which}, {number}"


def is_equal(table: pd.DataFrame) -> bool:
    """Say whether something was compared, and all of that is equal."""
    equal = [bool(each) for each in table["equal"].tolist() if not is_missing(each)]
    return bool(equal) and all(equal)


def verification_section(table: pd.DataFrame) -> render.Section:
    """Show a comparison, with what it was made on and what its words mean."""
    kinds = str(table.attrs.get("inputs", ""))
    facts = [("inputs", kinds), ("equal means", table.attrs.get("equal", tolerances.MEANING))] if kinds else []
    return render.Section("Verification", facts, table)

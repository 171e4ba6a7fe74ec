"""Run the signatures of an edited SavedModel as both of TensorFlow's loaders see them, against those before the edit.

``tf.saved_model.load`` goes by the object graph, TensorFlow 1's loader and servers by the SignatureDefs. Not for: the
edit (:mod:`tfmagic.transforms.signature_edit`), or the comparing itself (:mod:`tfmagic.verbs.verification.trial_run`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfmagic import errors, functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back
from tfmagic.verbs.verification import trial_run
from tfmagic.verbs.verification.comparison import Comparison
from tfmagic.verbs.verification.outcome import Verification

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.transforms.signature_edit import Signed
    from tfmagic.transforms.signature_plans import Planned
    from tfmagic.verbs.verification.trial_functions import Runner


def compared(before: Path, after: Path, signed: Signed) -> Iterator[tuple[str, Verification]]:
    """Run each changed signature of a MetaGraphDef on the same inputs, before and after, through both loaders.

    Parameters
    ----------
    before, after : Path
        The directories of the SavedModel as it was, and as it is to be.
    signed : Signed
        The MetaGraphDef that was edited.

    Yields
    ------
    (str, Verification)
        The signature's key, and what a loader makes of it; one that cannot be checked says why.

    Raises
    ------
    ConversionError
        If the result does not load, or does not run on what the original takes.
    """
    for key in signed.changed:
        planned = signed.plan[key]
        try:
            with trial_run.loading(repr(str(before))):
                old = _before(before, signed, planned)
        except errors.ConversionError as error:
            yield key, Verification(Comparison(), f"the original cannot be run either ({error})")
            continue
        with trial_run.loading("the result"):
            new = functions.load_saved_model(after, signed.tags, key)
        if old is not None:
            yield key, trial_run.verify(old, new, quickly=True)
        if all(end.WhichOneof("encoding") == "name" for end in _ends(planned)):
            yield key, trial_run.verify(new, _by_signature_def(after, signed.tags, key), quickly=True)


def _ends(planned: Planned) -> Iterator[Any]:
    yield from planned.signature.inputs.values()
    yield from planned.signature.outputs.values()


def _before(directory: Path, signed: Signed, planned: Planned) -> NamedFunction | None:
    """Load what a signature is made from, under the new keys; None if it is made from other tensors of the graph."""
    if not planned.base or None in (*planned.inputs.values(), *planned.outputs.values()):
        return None
    base = functions.load_saved_model(directory, signed.old_tags, planned.base)
    arguments = {end.key: end for end in base.inputs}
    results = {end.key: (end, place) for end, place in zip(base.outputs, base.places, strict=True)}
    if set(arguments) != set(planned.inputs.values()):
        return None
    chosen = [(results[str(old)][0]._replace(key=key), results[str(old)][1]) for key, old in planned.outputs.items()]
    return replace(
        base,
        inputs=tuple(arguments[str(old)]._replace(key=key) for key, old in planned.inputs.items()),
        outputs=tuple(end for end, _ in chosen),
        places=tuple(place for _, place in chosen),
    )


def _by_signature_def(directory: Path, tags: tuple[str, ...], key: str) -> Runner:
    """Return a signature as TensorFlow 1 and servers run it."""

    def run(inputs: Mapping[str, npt.ArrayLike]) -> Mapping[str, npt.NDArray[Any]]:
        tf = runtime.tensorflow()
        v1 = tf.compat.v1
        # TensorFlow advises against its old loader, and says that it restores: this is a check, not a use.
        quiet = held_back(tf.get_logger(), "saved_model", "Restoring parameters")
        with tf.Graph().as_default(), v1.Session() as session, quiet:
            signature = v1.saved_model.load(session, list(tags), str(directory)).signature_def[key]
            fetches = {name: info.name for name, info in signature.outputs.items()}
            results: Mapping[str, npt.NDArray[Any]] = session.run(
                fetches, {signature.inputs[name].name: value for name, value in inputs.items()}
            )
        return results

    return run

"""The verb that runs two models on the same inputs, and compares what they give.

Not for: making inputs, or what counts as equal (:mod:`tfmagic.verbs.verification`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.verbs import model_cache, run_inputs
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.undisturbed import undisturbed
from tfmagic.verbs.verification import trial_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tfmagic.functions import NamedFunction
    from tfmagic.verbs.model_cache import Loaded


@undisturbed
def verify(
    a: object,
    b: object,
    inputs: Mapping[str, object] | None = None,
    *,
    signature: str | None = None,
    trust: bool = False,
) -> pd.DataFrame:
    """Run two models on the same inputs and compare what they give.

    Parameters
    ----------
    a, b : object
        Whatever :func:`tfmagic.inspect` takes and can run. Inputs and outputs are matched by key; where each has only
        one, those go together whatever they are called.
    inputs : mapping of str to array-like, optional
        Values by the keys of ``a``, or by its tensors' names. Without, they are generated from its signature.
    signature : str, optional
        The signature of both; of one that has it not, the default or only one.
    trust : bool
        Whether code in the sources may run.

    Returns
    -------
    DataFrame
        A row an output: ``output``, ``max_abs``, ``max_rel``, ``equal``, which is None where the output tells nothing;
        ``attrs["inputs"]`` says on which kind of inputs, ``attrs["equal"]`` what counts as equal.

    Raises
    ------
    UnknownNameError
        If neither has such a signature, or a name is no input's.
    MissingPartError
        If the two do not take the same inputs: lists both sides'.
    ConversionError
        If they do not run on them, or cannot be compared: says why.
    """
    with trial_run.loading("one of the two models"):
        first, second = (_side(source, signature, trust=trust) for source in (a, b))
    if signature is not None and signature not in (first.function.key, second.function.key):
        raise errors.UnknownNameError(signature, "signature", (first.function.key, second.function.key))
    values = run_inputs.matched(first.function, inputs, first.signed).arrays
    names = ("the first model", "the second model")
    verification = trial_run.verify(first.function, _under_keys_of(first.function, second), values, names)
    if verification.unchecked:
        raise errors.ConversionError(f"the two cannot be compared: {verification.unchecked}")
    return verification.frame


def _side(source: object, signature: str | None, *, trust: bool) -> Loaded:
    """Load the signature that is meant, the default one of what has no such signature."""
    try:
        return model_cache.load(source, Wish(signature), trust=trust)
    except errors.UnknownNameError as error:
        if signature is None or error.kind != "signature":
            raise
        return model_cache.load(source, Wish(), trust=trust)


def _under_keys_of(first: NamedFunction, loaded: Loaded) -> NamedFunction:
    """Return the other function under the keys of the one.

    Raises
    ------
    MissingPartError
        If inputs do not go together; shows both sides.
    """
    second = loaded.function
    inputs = _paired(first.inputs, second.inputs)
    outputs = _paired(first.outputs, second.outputs) or {end.key: end.key for end in second.outputs}
    if inputs is None:
        theirs = [end.key for end in second.inputs]
        sides = [signatures.described(each.inputs) or "nothing" for each in (first, second)]
        raise errors.MissingPartError(
            next((end.key for end in first.inputs if end.key not in theirs), "input"),
            loaded.model.form,
            theirs,
            f"The two take different inputs: the first {sides[0]}, the second {sides[1]}; export one of them with the "
            "other's names first",
        )
    back = [{theirs: ours for ours, theirs in pairs.items()} for pairs in (inputs, outputs)]
    return replace(
        second,
        inputs=tuple(end._replace(key=back[0][end.key]) for end in second.inputs),
        outputs=tuple(end._replace(key=back[1][end.key]) for end in second.outputs),
    )


def _paired(ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, str] | None:
    """Return which end of the other each one goes with, None if they do not."""
    keys, others = [end.key for end in ours], [end.key for end in theirs]
    if set(keys) == set(others):
        return dict(zip(keys, keys, strict=True))
    return {keys[0]: others[0]} if len(keys) == len(others) == 1 else None

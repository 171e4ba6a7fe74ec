"""Put the values of a file into a live model, module or session: each where it belongs, all of them or none.

What identifies a value is in :mod:`tfmagic.verbs.restoration.identity`; here is what is refused, and what is told.
Not for: reading files.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors, readers
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.restoration import automatic_names
from tfmagic.verbs.restoration.assignment import Content, Load, assign
from tfmagic.verbs.restoration.identity import by_given_name, paired
from tfmagic.verbs.restoration.live_variables import KERAS, live_variables
from tfmagic.verbs.restoration.stored_values import OBJECTS, stored_values
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from tfmagic.models.model import Model
    from tfmagic.verbs.restoration.live_variables import LiveVariables, Target
    from tfmagic.verbs.restoration.pairing import Loading, Pairing

COLUMNS = ("variable", "checkpoint_key", "status", "dtype", "shape")
MATCHED, BY_STRUCTURE, MISSING, LEFT_OVER = "matched", "by structure", "missing", "left over"

_ADVICE = (
    "Give the model that it was saved from, say by rename={'name in the file': 'name in the model'} (--rename) what is "
    "what, or take what fits by name and shape with partial=True (--partial)"
)


@undisturbed
def restore(
    source: object,
    checkpoint: str | os.PathLike[str] | Model,
    *,
    partial: bool = False,
    rename: Mapping[str, str] | None = None,
    trust: bool = False,
) -> pd.DataFrame:
    """Put the values of a checkpoint or a file of weights into a live model, module or session.

    A value is identified as TensorFlow and Keras identify it: in a session and in a checkpoint of TensorFlow 1 by its
    name, in a checkpoint of objects by the attributes that lead to it, in ``.weights.h5`` and ``.keras`` by the path
    of classes and counters, in ``.h5`` by the order of layers, in a SavedModel by attributes or else by the order of
    its variables. Names that a library made up (``dense_3``) decide nothing. A name that somebody gave and that
    stands elsewhere in the file than in the model is refused.

    Parameters
    ----------
    source : object
        A Keras model, a ``tf.Module``, a loaded SavedModel, a ``tf.train.Checkpoint`` or a session, or the Model of
        one. A session's graph gains no op.
    checkpoint : path-like or Model
        A checkpoint of TensorFlow 1 or 2, a ``.weights.h5``, ``.h5`` or ``.keras`` file, or a SavedModel.
    partial : bool
        Whether to take what fits by name and shape and to list the rest, instead of refusing.
    rename : mapping of str to str, optional
        Names in the file and the names that they have in the model, of variables or of layers; one ``*`` on each side
        stands for the same.
    trust : bool
        Nothing of the file is run, with or without it.

    Returns
    -------
    DataFrame
        A row a variable: variable, checkpoint_key, status (``matched``; ``by structure`` where the file has another
        name; ``missing`` from the file; ``left over`` in it), dtype, shape.

    Raises
    ------
    ConversionError
        If nothing matches, a weight lacks a value, has another shape or dtype than its value, or a given name stands
        at another place; ``table`` has both sides. Nothing is assigned then.
    UnknownNameError
        If ``rename`` speaks of a name that there is not.
    """
    live = live_variables(source)
    file = readers.read(checkpoint, trust=trust).here()
    where = str(file.path or file.origin)
    stored = stored_values(file)
    pairing = _checked(paired(live, stored, rename or {}), where, partial=partial)
    if _builds_optimizer(pairing):
        pairing = _checked(paired(live_variables(live.source), stored, rename or {}), where, partial=partial)
    _put(pairing, file)
    return _table(pairing)


# What is refused


def _checked(pairing: Pairing, where: str, *, partial: bool) -> Pairing:
    """Return what can be assigned.

    Raises
    ------
    ConversionError
        Naming all that does not fit.
    """
    if partial:
        _take_what_fits(pairing)
    _leave_out_states(pairing)
    weights = [target for target in pairing.live.targets if not target.is_state]
    if not pairing.problem and not pairing.tables and len(pairing.required()) == len(weights):
        raise errors.ConversionError(
            f"nothing in {where!r} matches: the model has {errors.listed(target.name for target in weights)}, "
            f"the file {errors.listed(value.name for value in pairing.stored.saved)}. {_ADVICE}"
        )
    problems = [] if partial else list(_problems(pairing))
    if problems:
        raise _refusal(pairing, where, problems)
    return pairing


def _take_what_fits(pairing: Pairing) -> None:
    """Keep what fits by name and shape, and look among the rest for names that somebody gave."""
    if not list(_problems(pairing)):
        return
    targets = pairing.live.targets
    pairing.without({
        target
        for target, other in pairing.pairs.items()
        if not pairing.fits(target, other)
        or (target not in pairing.explicit and not targets[target].is_state and pairing.place(target).is_renamed)
    })  # fmt: skip
    by_given_name(pairing, fitting=True)
    pairing.problem = ""


def _leave_out_states(pairing: Pairing) -> None:
    """Take back the values of an optimizer that does not fit, as a whole, and other states that do not."""
    targets = pairing.live.targets
    optimizer = {id(variable) for variable in _optimizer_variables(pairing.live)}
    states = {target: other for target, other in pairing.pairs.items() if targets[target].is_state}
    misfits = {target for target, other in states.items() if not pairing.fits(target, other)}
    if any(id(targets[target].variable) in optimizer for target in misfits):
        misfits |= {target for target in pairing.pairs if id(targets[target].variable) in optimizer}
    pairing.without(misfits)


def _optimizer_variables(live: LiveVariables) -> list[runtime.Live]:
    listed = getattr(getattr(live.source, "optimizer", None), "variables", ())
    return list(listed() if callable(listed) else listed)


def _problems(pairing: Pairing) -> Iterator[str]:
    """Say why a pairing is refused."""
    targets, saved = pairing.live.targets, pairing.stored.saved
    if pairing.problem:
        yield pairing.problem
        return
    wrong = [
        f"{targets[place].name!r} is {targets[place].dtype} {targets[place].shape}, its value "
        f"{saved[other].dtype} {saved[other].shape}"
        for place, other in pairing.pairs.items()
        if not pairing.fits(place, other)
    ]
    if wrong:
        rest = f" and {len(wrong) - errors.LISTED_NAMES} more" if len(wrong) > errors.LISTED_NAMES else ""
        yield f"{'; '.join(wrong[: errors.LISTED_NAMES])}{rest}"
    required = pairing.required()
    if required:
        yield f"the file has no value for {errors.listed(targets[place].name for place in required)}"
        return
    elsewhere = automatic_names.contradictions(pairing.places())
    if elsewhere:
        names = errors.listed(name for name, _, _ in elsewhere)
        yield f"{names} stands at one place in the file and at another in the model:\n{_elsewhere(elsewhere)}\n"


def _elsewhere(elsewhere: Sequence[automatic_names.Contradiction]) -> str:
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    return str(pd.DataFrame(elsewhere, columns=["name", "in the file", "in the model"]).to_string(index=False))


def _refusal(pairing: Pairing, where: str, problems: Sequence[str]) -> errors.ConversionError:
    error = errors.ConversionError(
        f"{where!r} does not fit, and nothing was restored: {'; '.join(problems)}. {_ADVICE}"
    )
    error.table = _table(pairing)
    return error


# What is done


def _builds_optimizer(pairing: Pairing) -> bool:
    """Let an optimizer that was not used yet make its variables, if a checkpoint of objects has their values.

    TensorFlow keeps such values until the first training step makes the variables.
    """
    optimizer: runtime.Live = getattr(pairing.live.source, "optimizer", None)
    is_used = optimizer is None or getattr(optimizer, "built", True)
    if pairing.live.form != KERAS or is_used or pairing.stored.layout != OBJECTS:
        return False
    own = {id(variable) for variable in _optimizer_variables(pairing.live)}
    if not any(id(pairing.live.targets[target].variable) in own for target in pairing.pairs):
        return False
    strategy = getattr(pairing.live.source, "distribute_strategy", None)
    with runtime.eager(), contextlib.nullcontext() if strategy is None else strategy.scope():
        optimizer.build(pairing.live.source.trainable_variables)
    return True


def _put(pairing: Pairing, file: Model) -> None:
    """Read all values, then assign them: a file that is damaged, or written again meanwhile, changes nothing."""
    targets = pairing.live.targets
    keys = {value.key: place for place, value in enumerate(pairing.stored.saved)}
    loaded = {target for loading in pairing.loading for target in _targets_of(pairing, loading)}
    with file.well_formed(), pairing.stored.opened() as read:
        values = [
            (targets[target], _piece(targets[target], read(other)))
            for target, other in pairing.pairs.items()
            if target not in loaded
        ]
        loads = [
            Load(loading.owner.saved, {name: read(place) for name, place in loading.places.items()}, loading.owner.own)
            for loading in pairing.loading
        ]
        contents = [
            Content(edge.table, read(keys[f"{edge.key}-keys"]), read(keys[f"{edge.key}-values"]))
            for edge in pairing.tables
        ]
    file.require_unchanged()
    assign(pairing.live, values, loads, contents)


def _targets_of(pairing: Pairing, loading: Loading) -> list[int]:
    places = pairing.live.places
    return [places[id(variable)] for variable in loading.owner.variables.values() if id(variable) in places]


def _piece(target: Target, value: np.ndarray) -> np.ndarray:
    return value if target.piece is None else np.ascontiguousarray(value[target.piece])


def _table(pairing: Pairing) -> pd.DataFrame:
    """Return what was matched and what was not."""
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    targets, saved, covered = pairing.live.targets, pairing.stored.saved, pairing.covered
    rows: list[tuple[object, ...]] = []
    for place, target in enumerate(targets):
        key: str | None = covered.get(place)
        status = MISSING if key is None else MATCHED
        if place in pairing.pairs:
            key = saved[pairing.pairs[place]].key
            is_renamed = place not in pairing.explicit and not target.is_state and pairing.place(place).is_renamed
            status = BY_STRUCTURE if is_renamed else MATCHED
        rows.append((target.name, key, status, target.dtype, target.shape))
    contents = {value.key: value for value in saved}
    for edge in pairing.tables:
        content = contents[f"{edge.key}-values"]
        rows.append((edge.name, edge.key, MATCHED, content.dtype, content.shape))
    left_over = (saved[place] for place in pairing.left_over)
    rows += [(None, value.key, LEFT_OVER, value.dtype, value.shape) for value in left_over]
    return pd.DataFrame(rows, columns=list(COLUMNS))

"""The variables of a live model, module or session: listed under names, and assigned all or not at all.

Not for: what a file stores (:mod:`tfmagic.verbs.restore`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors, readers
from tfmagic.functions import sessions, tf_functions
from tfmagic.models.model import Model
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.frames import Shape

_KERAS_FORM, _SESSION_FORM = "keras_model", "session"


class Target(NamedTuple):
    """A live variable; ``piece`` is what it is of the stored tensor, where it is one of several partitions."""

    name: str
    dtype: str
    shape: Shape
    live: runtime.Live
    stored_name: str
    piece: tuple[slice, ...] | None = None


def live(source: object) -> object:
    """Return the live object that a Model was read from; anything else is what it is."""
    return source.live if isinstance(source, Model) and source.live is not None else source


def targets(source: object) -> list[Target]:
    """List the variables of a live object."""
    model = readers.read(source)
    if model.form == _SESSION_FORM and not tf_functions.is_a(source, "Graph"):
        return [_of_session(each) for each in _session_variables(sessions.raw(source).graph)]
    if model.form == _KERAS_FORM:
        return [_target(each) for each in _keras_variables(source)]
    if model.form == "function" and model.live is not None:
        return [_target(each, name) for name, each in tf_functions.variables(source, ()).items()]
    raise errors.ConversionError(
        f"values are put into a live Keras model, tf.Module or session, and {model.origin} is of the form "
        f"{model.form!r}; load it first, or convert the checkpoint with its .meta instead"
    )


def _keras_variables(model: runtime.Live) -> list[runtime.Live]:
    optimizer = getattr(getattr(model, "optimizer", None), "variables", ())
    found = [*model.variables, *(optimizer() if callable(optimizer) else optimizer)]
    if not found:
        raise errors.ConversionError(
            f"the model {model.name!r} has no variables yet: build it, or call it once on data, then restore"
        )
    return list({id(each): each for each in found}.values())


def _target(variable: runtime.Live, name: str = "") -> Target:
    name = name or getattr(variable, "path", "") or variable.name.partition(":")[0]
    dtype = getattr(variable.dtype, "name", variable.dtype)
    return Target(name, str(dtype), tuple(variable.shape), variable, name)


def _session_variables(graph: runtime.Live) -> list[runtime.Live]:
    found = [each for name in ("variables", "local_variables") for each in graph.get_collection(name)]
    return list({id(each): each for each in found}.values())


def _of_session(variable: runtime.Live) -> Target:
    plain = _target(variable)._replace(dtype=variable.dtype.base_dtype.name)
    whole = getattr(variable, "_save_slice_info", None)
    if whole is None:
        return plain
    spans = zip(whole.var_offset, whole.var_shape, strict=True)
    return plain._replace(stored_name=whole.full_name, piece=tuple(slice(a, a + size) for a, size in spans))


def assign(source: object, values: Sequence[tuple[Target, np.ndarray]]) -> None:
    """Assign all values, or none: where one cannot be, those before it get back what they had.

    A session's variables are assigned by the ops that initialise them, fed with the values.
    """
    put = _put if readers.read(source).form != _SESSION_FORM else partial(_put_in_session, sessions.raw(source))
    read = _value if readers.read(source).form != _SESSION_FORM else partial(_value_in_session, sessions.raw(source))
    old: list[tuple[Target, np.ndarray]] = []
    try:
        for target, value in values:
            old.append((target, read(target)))
            put(target, value)
    except BaseException:
        for target, value in reversed(old):
            put(target, value)
        raise


def _put(target: Target, value: np.ndarray) -> None:
    with runtime.eager():
        target.live.assign(value.tolist() if value.dtype == object else value)


def _value(target: Target) -> np.ndarray:
    with runtime.eager():
        return np.asarray(target.live.numpy())


def _put_in_session(session: runtime.Live, target: Target, value: np.ndarray) -> None:
    session.run(target.live.initializer, {target.live.initializer.inputs[1]: value})


def _value_in_session(session: runtime.Live, target: Target) -> np.ndarray:
    """Return the value that a variable has; of one that is not initialised, what it would be initialised with."""
    tf = runtime.tensorflow()
    try:
        return np.asarray(session.run(target.live))
    except tf.errors.FailedPreconditionError:
        return np.asarray(session.run(target.live.initializer.inputs[1]))

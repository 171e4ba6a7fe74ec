"""Put values into live variables, all of them or none: a failure in the middle gives back what there was.

Not for: which value belongs to which variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.restoration.live_variables import SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.verbs.restoration.live_variables import LiveVariables, Target

    Array = np.ndarray[Any, Any]


class Load(NamedTuple):
    """What an object of Keras loads by its own method: its values by name, and the variables that this may change."""

    saved: runtime.Live
    values: Mapping[str, Array]
    variables: Sequence[runtime.Live]


class Content(NamedTuple):
    """What a table is to hold, keys and values; a session's table is a SessionTable."""

    table: runtime.Live
    keys: Array
    values: Array


def assign(
    live: LiveVariables,
    values: Sequence[tuple[Target, Array]],
    loads: Sequence[Load] = (),
    contents: Sequence[Content] = (),
) -> None:
    """Assign all values, or none.

    A session's variables are assigned by the ops that initialise them, fed with the values: its graph gains none.

    Raises
    ------
    ConversionError
        If a variable refuses its value, or a layer's own method of loading raises.
    """
    tf = runtime.tensorflow()
    try:
        if live.form == SESSION:
            _assign_in_session(live.source, values, contents)
        else:
            with runtime.eager():
                _assign(live, values, loads, contents)
    except (ValueError, TypeError, KeyError, AttributeError, tf.errors.OpError) as error:
        problem = f"a value cannot be assigned, and nothing was restored: {error_texts.gist(error)}; compare both sides"
        raise errors.ConversionError(problem) from error


def _assign(
    live: LiveVariables, values: Sequence[tuple[Target, Array]], loads: Sequence[Load], contents: Sequence[Content]
) -> None:
    changed = [target.variable for target, _ in values]
    changed += [variable for load in loads for variable in load.variables]
    before = [(variable, read(variable)) for variable in {id(each): each for each in changed}.values()]
    held = [content._replace(keys=keys, values=held) for content in contents for keys, held in [_held(content.table)]]
    try:
        for target, value in values:
            put(target.variable, value)
        for load in loads:
            load.saved.load_own_variables(dict(load.values))
        for content in contents:
            _fill(content)
        _settle(live, changed)
    except BaseException:
        for variable, value in reversed(before):
            put(variable, value)
        for content in held:
            _fill(content)
        _settle(live, changed)
        raise


def put(variable: runtime.Live, value: Array) -> None:
    """Assign one value."""
    variable.assign(value.tolist() if value.dtype == object else value)


def read(variable: runtime.Live) -> Array:
    """Return the value that a variable has; one that is partitioned is put together."""
    if not hasattr(variable, "numpy"):
        variable = runtime.tensorflow().convert_to_tensor(variable)
    return np.asarray(variable.numpy())


def _settle(live: LiveVariables, changed: Sequence[runtime.Live]) -> None:
    """Let layers that compute something from their variables do it again, as Keras does on loading."""
    numbers = {id(variable) for variable in changed}
    for layer in live.settling:
        if any(id(variable) in numbers for variable in layer.variables):
            layer.finalize_state()


def _held(table: runtime.Live) -> tuple[Array, Array]:
    keys, values = table.export()
    return keys.numpy(), values.numpy()


def _fill(content: Content) -> None:
    """Let a table hold these keys and values, and no other."""
    tf = runtime.tensorflow()
    table = content.table
    keys = tf.constant(content.keys, table.key_dtype)
    values = tf.constant(content.values, table.value_dtype)
    tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=keys, values=values)


def _assign_in_session(
    session: runtime.Live, values: Sequence[tuple[Target, Array]], contents: Sequence[Content]
) -> None:
    before: list[tuple[Target, Array]] = []
    held: list[Content] = []
    try:
        for target, value in values:
            before.append((target, _read_in_session(session, target)))
            put_in_session(session, target, value)
        for content in contents:
            reading = content.table.content
            held += [] if reading is None else [Content(content.table, *session.run(list(reading.outputs)))]
            fill_in_session(session, content)
    except BaseException:
        for content in reversed(held):
            fill_in_session(session, content)
        for target, value in reversed(before):
            put_in_session(session, target, value)
        raise


def put_in_session(session: runtime.Live, target: Target, value: Array) -> None:
    """Assign one value by the op that initialises the variable."""
    initializer = target.variable.initializer
    session.run(initializer, {initializer.inputs[1]: value})


def fill_in_session(session: runtime.Live, content: Content) -> None:
    """Fill a table by the op that one of the session's Savers has for it."""
    fill = content.table.fill
    session.run(fill, {fill.inputs[1]: content.keys, fill.inputs[2]: content.values})


def _read_in_session(session: runtime.Live, target: Target) -> Array:
    """Return the value that a variable has; of one that is not initialised, what it would be initialised with."""
    try:
        return np.asarray(session.run(target.variable))
    except runtime.tensorflow().errors.FailedPreconditionError:
        return np.asarray(session.run(target.variable.initializer.inputs[1]))

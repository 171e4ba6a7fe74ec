from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import traceback
import warnings
from typing import Any

import pytest

from tfmagic.files import hidden_places
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime import thread_state
from tfmagic.verbs.undisturbed import undisturbed

pytestmark = pytest.mark.tensorflow


def enter(context: Any) -> None:
    """Enter what is never left, not even when nobody holds it any more: that would be later, and in any order."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))
    context.__enter__()


def state(tf: Any) -> tuple[object, ...]:
    return tf.executing_eagerly(), tf.compat.v1.get_default_graph(), tf.constant(1).device


def test_tensorflow_still_keeps_its_state_where_it_is_looked_for() -> None:
    runtime.tensorflow().constant(1)
    assert thread_state._settings() is not None
    assert len(thread_state._stacks()) == 2


def test_what_was_entered_and_not_left_is_left() -> None:
    tf = runtime.tensorflow()
    before = state(tf)
    put_back = thread_state.remembered()
    for context in (tf.device("CPU:0"), tf.Graph().as_default(), tf.init_scope(), tf.Graph().as_default()):
        enter(context)
    assert not tf.executing_eagerly()
    put_back()
    assert state(tf) == before
    variable = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        square = variable * variable
    assert tape.gradient(square, variable).numpy() == 6, "init_scope had stopped the tapes"


def test_a_graph_of_the_users_stays_entered() -> None:
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        put_back = thread_state.remembered()
        enter(tf.Graph().as_default())
        put_back()
        assert tf.compat.v1.get_default_graph() is graph
        assert not tf.executing_eagerly()
    assert tf.executing_eagerly()


def test_a_verb_that_is_interrupted_leaves_nothing(tmp_path: Any) -> None:
    tf = runtime.tensorflow()
    before = state(tf)

    @undisturbed
    def verb() -> None:
        enter(tf.Graph().as_default())
        hidden_places.HiddenPlace(tmp_path).make()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verb()
    assert state(tf) == before
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_was_kept_from_its_end_does_not_end_later() -> None:
    """A traceback holds it; when that is forgotten, its end would bring back the graph mode that it had found."""
    tf = runtime.tensorflow()
    before = state(tf)

    @undisturbed
    def verb() -> None:
        with runtime.eager():
            tf.constant(1)

    def interrupted(turn: int) -> BaseException | None:
        """Interrupt the verb at a line that a block's end runs, and return what it raises."""
        count = 0

        def watch(_frame: Any, event: str, _argument: object) -> Any:
            nonlocal count
            count += event == "line"
            if event == "line" and count == turn:
                raise KeyboardInterrupt
            return watch

        outer = sys.gettrace()
        sys.settrace(lambda frame, *_: watch if frame.f_code.co_filename == contextlib.__file__ else None)
        try:
            verb()
        except KeyboardInterrupt as error:
            return error
        finally:
            sys.settrace(outer)
        return None

    turn, is_interrupted = 0, True
    while is_interrupted:
        turn += 1
        with tf.Graph().as_default():
            error = interrupted(turn)
        is_interrupted = error is not None
        assert state(tf) == before
        del error
        gc.collect()
        assert state(tf) == before, f"once the interrupt of line {turn} is forgotten"
    assert turn > 20


def test_an_interrupt_stays_one_and_filters_of_warnings_come_back() -> None:
    """TensorFlow answers blocks that were not left with an AssertionError, which hides the interrupt."""

    @undisturbed
    def verb() -> None:
        warnings.catch_warnings().__enter__()
        try:
            raise KeyboardInterrupt
        finally:
            raise AssertionError("Nesting violated")

    filters = warnings.filters
    with pytest.raises(KeyboardInterrupt):
        verb()
    assert warnings.filters is filters


def test_an_error_after_an_interrupt_that_is_being_handled_is_an_error() -> None:
    @undisturbed
    def verb() -> None:
        raise ValueError("mine")

    def stopped() -> None:
        kept = "a local variable"  # noqa: F841 - looked for below
        raise KeyboardInterrupt

    try:
        stopped()
    except KeyboardInterrupt as interrupt:
        with pytest.raises(ValueError, match="mine"):
            verb()
        *_, (frame, _) = traceback.walk_tb(interrupt.__traceback__)
        assert frame.f_locals == {"kept": "a local variable"}

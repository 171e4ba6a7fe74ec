from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tfmagic import errors, progress
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.runtime import keras as keras_runtime

_LONG = 10.0


def work() -> Work:
    return Work("Convert", SimpleNamespace(namespace={}, source="model"))


def in_stages(reached: threading.Event, go_on: threading.Event) -> str:
    with progress.stages("m", 2) as begin:
        begin("tracing")
        reached.set()
        assert go_on.wait(_LONG)
        begin("writing")
    return "the result"


def shown(made: Work) -> str:
    return str(made.status.value)


def test_work_is_shown_while_it_is_done_and_said_at_its_end() -> None:
    made, reached, go_on, results = work(), threading.Event(), threading.Event(), []

    def done(result: str) -> str:
        results.append(result)
        return f"Done: {result}"

    assert made.begin(lambda: in_stages(reached, go_on), done)
    assert reached.wait(_LONG)
    assert (made.start.is_off, made.stop.is_off, made.bar.layout.display) == (True, False, None)
    assert "Tracing … (step 1 of 2)" in shown(made)
    go_on.set()
    made.wait(_LONG)
    assert results == ["the result"]
    assert (made.start.is_off, made.stop.is_off, made.is_running) == (False, True, False)
    assert (made.bar.value, made.bar.bar_style) == (1, "success")
    assert "Done: the result" in shown(made)


def test_the_button_stops_it_at_the_next_stage() -> None:
    made, reached, go_on = work(), threading.Event(), threading.Event()
    made.begin(
        lambda: in_stages(reached, go_on), lambda _: pytest.fail("it was stopped"), "Cancelled, nothing written."
    )
    assert reached.wait(_LONG)
    made.stop.click()
    assert "Cancelling" in shown(made)
    assert made.stop.is_off
    go_on.set()
    made.wait(_LONG)
    assert "Cancelled, nothing written." in shown(made)
    assert made.bar.bar_style == "warning"
    assert not made.start.is_off


def test_work_that_is_over_as_soon_as_it_is_asked_has_the_last_word() -> None:
    made, reached, asked = work(), threading.Event(), threading.Event()

    def stop() -> None:
        # What TensorFlow does at once: the work ends before who asked goes on.
        asked.set()
        made.wait(1.0)

    def call() -> None:
        with progress.stopping(stop):
            reached.set()
            assert asked.wait(_LONG)

    made.begin(call, lambda _: pytest.fail("it was stopped"), "Cancelled, nothing written.")
    assert reached.wait(_LONG)
    made.stop.click()
    assert not made.is_running
    assert "Cancelled, nothing written." in shown(made)
    assert (made.start.is_off, made.stop.is_off) == (False, True)


def test_one_piece_at_a_time() -> None:
    made, reached, go_on = work(), threading.Event(), threading.Event()
    begun = [made.begin(lambda: in_stages(reached, go_on), str)]
    assert reached.wait(_LONG)
    begun.append(made.begin(lambda: pytest.fail("the first is still being done"), str))
    made.tell("not now")
    assert "not now" not in shown(made)
    go_on.set()
    made.wait(_LONG)
    assert begun == [True, False]
    assert made.begin(lambda: "again", str)
    made.wait(_LONG)
    assert "again" in shown(made)


def test_of_many_that_begin_at_once_one_does() -> None:
    made, go_on, together = work(), threading.Event(), threading.Barrier(8)
    begun: list[bool] = []

    def begin() -> None:
        together.wait(_LONG)
        begun.append(made.begin(lambda: go_on.wait(_LONG), str))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    go_on.set()
    made.wait(_LONG)
    assert sorted(begun) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (errors.WriteError("'m.pb' exists; name another place"), "&#x27;m.pb&#x27; exists; name another place"),
        (ZeroDivisionError("<b>0</b>\nand more"), "ZeroDivisionError: &lt;b&gt;0&lt;/b&gt;"),
        (SystemExit("bye"), "SystemExit: bye"),
    ],
)
def test_what_is_raised_is_one_line(raised: BaseException, said: str) -> None:
    made = work()

    def fail() -> None:
        raise raised

    made.begin(fail, str)
    made.wait(_LONG)
    assert f'<span role="status">{said}</span>' == shown(made)
    assert made.bar.bar_style == "danger"
    assert (made.start.is_off, made.stop.is_off) == (False, True)


def test_an_error_of_what_shows_the_result_is_said_too() -> None:
    made = work()
    made.begin(lambda: 0, lambda found: str(1 / found))
    made.wait(_LONG)
    assert "ZeroDivisionError" in shown(made)
    assert not made.start.is_off


def test_two_panels_do_not_stop_each_other() -> None:
    one, other = work(), work()
    events: list[Any] = [threading.Event() for _ in range(3)]
    one.begin(lambda: in_stages(events[0], events[2]), str)
    other.begin(lambda: in_stages(events[1], events[2]), str)
    assert events[0].wait(_LONG)
    assert events[1].wait(_LONG)
    one.stop.click()
    events[2].set()
    one.wait(_LONG)
    other.wait(_LONG)
    assert "Cancelled" in shown(one)
    assert "the result" in shown(other)


@pytest.mark.tensorflow
def test_the_thread_has_the_default_dtypes_of_the_user() -> None:
    keras = pytest.importorskip("keras")
    before, found = keras.config.dtype_policy(), []
    made = work()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made.begin(lambda: found.append(keras.config.dtype_policy().name), str)
        made.wait(_LONG)
    finally:
        keras.config.set_dtype_policy(before)
    assert found == ["mixed_bfloat16"]


@pytest.mark.tensorflow
def test_in_a_thread_of_the_front_end_those_count_that_the_panel_was_made_with() -> None:
    keras = pytest.importorskip("keras")
    before, found = keras.config.dtype_policy(), []
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        settings = keras_runtime.thread_settings()
    finally:
        keras.config.set_dtype_policy(before)
    made = Work("Run", SimpleNamespace(namespace={}, source="model", settings=settings))

    def click() -> None:
        made.begin(lambda: found.append(keras.config.dtype_policy().name), str)

    thread = threading.Thread(target=click)
    thread.start()
    thread.join()
    made.wait(_LONG)
    assert found == ["mixed_bfloat16"]

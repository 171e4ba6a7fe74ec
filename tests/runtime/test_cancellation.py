"""Calls that whoever waits for them can leave: in time, at a watch's word, at the stop button."""

from __future__ import annotations

import contextvars
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tfmagic import progress
from tfmagic.runtime import cancellation

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def waiting() -> Iterator[threading.Event]:
    """What a call waits for that nobody can tell to end; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_gives_what_it_returns_and_raises_what_it_raises() -> None:
    kept = contextvars.ContextVar("kept", default=0)
    kept.set(3)
    assert cancellation.bounded(kept.get) == 3
    assert cancellation.bounded(lambda: None, 5) is None

    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        cancellation.bounded(fail, 5)


def test_what_cannot_be_ended_is_left_to_itself(waiting: threading.Event) -> None:
    begun = time.monotonic()
    with pytest.raises(cancellation.EndlessError, match="goes on in the background") as caught:
        cancellation.bounded(waiting.wait, 0.2)
    assert time.monotonic() - begun < 10
    assert (caught.value.seconds, caught.value.goes_on) == (0.2, True)


def test_the_stop_button_is_answered_whatever_the_call_waits_for(waiting: threading.Event) -> None:
    def press() -> None:
        signal.raise_signal(signal.SIGINT)
        waiting.wait()

    with pytest.raises(KeyboardInterrupt):
        cancellation.bounded(press)
    assert not waiting.is_set()


def test_who_watches_is_answered_whatever_the_call_waits_for(waiting: threading.Event) -> None:
    watch = progress.Watch(lambda _: None)

    def ask() -> None:
        watch.cancel()
        waiting.wait()

    with progress.watched(watch), pytest.raises(progress.CancelledError):
        cancellation.bounded(ask)
    assert not waiting.is_set()


def test_a_call_that_ends_at_once_when_it_is_asked_to_is_cancelled_all_the_same() -> None:
    watch = progress.Watch(lambda _: None)
    with progress.watched(watch), pytest.raises(progress.CancelledError):
        cancellation.bounded(watch.cancel)

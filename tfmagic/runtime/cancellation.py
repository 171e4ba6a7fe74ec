"""Ending what TensorFlow executes: at the stop button, from another thread, or after some time.

TensorFlow ends loops, queues and iterators when it is told to. A kernel that waits for an answer from the network, and
Python code in a graph, are never told: what may do so runs in a thread of its own, which is left to itself then. Not
for: asking for it (:mod:`tfmagic.progress`).
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from tfmagic import progress
from tfmagic.runtime import alarms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Result = TypeVar("_Result")
#: Seconds that a call has to come to its end once it is told to; a stop button is answered within two.
_GRACE = 1.0
#: Seconds that a call gets for which nobody says so.
_limit: ContextVar[float | None] = ContextVar("tfmagic_limit", default=None)


class EndlessError(Exception):
    """A call did not come to its end in time.

    Attributes
    ----------
    seconds : float
        The time that it had.
    goes_on : bool
        Whether it could not be ended, and goes on by itself.
    """

    def __init__(self, seconds: float, *, goes_on: bool) -> None:
        self.seconds = seconds
        self.goes_on = goes_on
        alone = "goes on in the background, as TensorFlow cannot stop what it waits for; restarting the kernel ends it"
        ended = alone if goes_on else "was stopped"
        super().__init__(f"took longer than {seconds:.3g} s and {ended}")


def is_endless(error: BaseException) -> bool:
    """Say whether an error tells of a call, or of Python code, that did not come to its end in time."""
    return isinstance(error.__cause__, (EndlessError, alarms.TimeIsUpError))


@contextlib.contextmanager
def cancellable() -> Iterator[Callable[[], None]]:
    """Give a function that cancels what TensorFlow executes inside, from any thread; no signal does that.

    The code inside then gets TensorFlow's CancelledError. The fallback is a function that does nothing.
    """
    try:
        cancellation = importlib.import_module("tensorflow.python.eager.cancellation")
        manager = cancellation.CancellationManager()
        context = cancellation.CancellationManagerContext(manager)
    except (ImportError, AttributeError):
        yield lambda: None
        return
    with context:
        yield manager.start_cancel


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Give so many seconds to each call inside that is bounded and does not say itself how long it may take."""
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def bounded(call: Callable[[], _Result], seconds: float | None = None) -> _Result:
    """Return what a call returns, which runs in a thread of its own, so that whoever waits for it can go on.

    Parameters
    ----------
    call : callable
        Takes nothing. It runs in the context of the caller; what TensorFlow and Keras know of a thread, such as a
        default graph, is not there.
    seconds : float, optional
        How long it may take; as :func:`limited` says if left out.

    Raises
    ------
    EndlessError
        If it takes longer.
    progress.CancelledError, KeyboardInterrupt
        If whoever watches asks for an end, or the stop button is pressed: at most :data:`_GRACE` seconds later.
    """
    seconds = _limit.get() if seconds is None else seconds
    running = _Running(call)
    with alarms.held(), progress.stopping(running.stop):
        try:
            running.begin()
            is_woken = running.woken.wait(seconds)
        except BaseException:
            running.end()
            raise
        if not running.done.is_set():
            goes_on = not running.end()
            if is_woken:
                raise progress.CancelledError
            raise EndlessError(seconds or 0.0, goes_on=goes_on)
        result: _Result = running.result()
        return result


class _Running:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._context = copy_context()
        self._cancel: Callable[[], None] | None = None
        self._values: list[object] = []
        self._error: BaseException | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        #: Whether it came to its end; whether there is something to look at.
        self.done, self.woken = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Begin the call. Its thread does not keep the process from ending."""
        threading.Thread(target=self._run, daemon=True, name="tfmagic call").start()

    def _run(self) -> None:
        try:
            with cancellable() as cancel:
                with self._lock:
                    self._cancel = cancel
                    is_stopped = self._is_stopped
                if not is_stopped:
                    self._values.append(self._context.run(self._call))
        except BaseException as error:  # noqa: BLE001 - raised where the call was asked for
            self._error = error
        finally:
            self.done.set()
            self.woken.set()

    def stop(self) -> None:
        """Tell the call to end, and whoever waits for it; from any thread."""
        with self._lock:
            self._is_stopped = True
            cancel = self._cancel
        if cancel is not None:
            cancel()
        self.woken.set()

    def end(self) -> bool:
        """Tell the call to end, and say whether it did soon."""
        self.stop()
        return self.done.wait(_GRACE)

    def result(self) -> Any:  # noqa: ANN401 - the call's own
        """Return what the call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        if not self._values:
            raise progress.CancelledError
        return self._values[0]

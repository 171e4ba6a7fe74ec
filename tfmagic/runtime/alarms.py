"""Ending Python code that takes too long, where it is: a model's own, as it is loaded or traced, may wait for anything.

It cannot run in another thread, since what it is made for (scopes, devices, a default graph, connections) belongs to
this one. A signal ends it as the stop button does, whatever it waits for. Not for: what TensorFlow executes
(:mod:`tfmagic.runtime.cancellation`).
"""

from __future__ import annotations

import contextlib
import signal
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Looks at the clock while the code goes on, and the longest time between two of them.
_TICKS, _LONGEST = 10, 0.5
#: The share of a tick from which on the process computed in it; one that waits takes a hundredth.
_COMPUTING = 0.05
_IMPORTING = "importlib._bootstrap"
#: Code that is not the model's: of Python, of what is installed, and of this package.
_INSTALLED = (
    *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)
#: How many calls are going on that have a limit of their own.
_held = 0


class TimeIsUpError(Exception):
    """Python code took too long, and was left.

    Attributes
    ----------
    seconds : float
        The time that it had.
    where : str
        Where it was: ``'fetch' (models.py, line 12)``; empty where no code of the model's own was running.
    """

    def __init__(self, seconds: float, where: str) -> None:
        self.seconds = seconds
        self.where = where
        super().__init__(f"took longer than {seconds:.3g} s and was stopped{f' in {where}' if where else ''}")


class _Rung(BaseException):
    """The time is up. No Exception: what handles a model's failures must not take it for one."""


@contextlib.contextmanager
def alarm(seconds: float | None, patience: float = 1) -> Iterator[None]:
    """Have Python code inside end after some time, as a stop button ends it.

    Importing does not count, and is not cut short; nor does what is :func:`held`. In other threads than the main one,
    on systems without such signals, and where somebody has an alarm of his own, nothing is done.

    Parameters
    ----------
    seconds : float, optional
        None: there is no limit.
    patience : float
        How many times as long it may take while it computes, not waits.

    Raises
    ------
    TimeIsUpError
        If it takes longer.
    """
    if seconds is None or not _is_free():
        yield
        return
    ticking = _Ticking(seconds, patience)
    try:
        with ticking.ringing():
            yield
    except (Exception, _Rung) as error:
        # Code that handles everything, as Keras does around a Lambda, may have made another error of it.
        if ticking.left > 0:
            raise
        raise TimeIsUpError(seconds, ticking.where) from (None if isinstance(error, _Rung) else error)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Have no alarm ring inside: what goes on has a limit of its own."""
    global _held  # noqa: PLW0603 - a signal's handler has nothing else to look at
    is_main = threading.current_thread() is threading.main_thread()
    _held += is_main
    try:
        yield
    finally:
        _held -= is_main


def _is_free() -> bool:
    """Say whether a signal can be had here that nobody else waits for."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and not any(signal.getitimer(signal.ITIMER_REAL))


class _Ticking:
    """A clock that counts the time in which a model's code runs."""

    def __init__(self, seconds: float, patience: float) -> None:
        self._tick = min(seconds / _TICKS, _LONGEST)
        self._patience = patience
        self._worked = time.process_time()
        self.left = seconds
        self._is_over = False
        self.where = ""

    @contextlib.contextmanager
    def ringing(self) -> Iterator[None]:
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, self._tick, self._tick)
        try:
            yield
        finally:
            self._is_over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        """Count a tick, and raise when none is left; again at each one after that, should somebody handle it."""
        if self._is_over or _held or _is_importing(frame):
            return
        before, self._worked = self._worked, time.process_time()
        is_computing = self._worked - before > _COMPUTING * self._tick
        self.left = max(self.left - self._tick / (self._patience if is_computing else 1), 0.0)
        if self.left < self._tick / 2:
            self.left = 0.0
            self.where = self.where or _place(frame)
            raise _Rung


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_importing(frame: FrameType | None) -> bool:
    return any(each.f_globals.get("__name__") == _IMPORTING for each in _frames(frame))


def _place(frame: FrameType | None) -> str:
    """Say which code of the model's own, or of the user's, is running: the innermost."""
    for entered in _frames(frame):
        code = entered.f_code
        if entered.f_globals.get("__name__", "").partition(".")[0] in sys.stdlib_module_names:
            continue
        if not code.co_filename.startswith((*_INSTALLED, "<frozen")):
            return f"{code.co_name!r} ({Path(code.co_filename).name}, line {entered.f_lineno})"
    return ""

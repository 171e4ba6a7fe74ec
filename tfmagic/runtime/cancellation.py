"""Ending what TensorFlow executes, from another thread or after some time.

Not for: asking for it (:mod:`tfmagic.progress`).
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
def time_limit(seconds: float) -> Iterator[Callable[[], None]]:
    """Cancel what TensorFlow executes inside after some time, if not before: a loop in a graph may never end."""
    with cancellable() as cancel:
        timer = threading.Timer(seconds, cancel)
        timer.daemon = True
        timer.start()
        try:
            yield cancel
        finally:
            timer.cancel()

"""The notebook's stop button, and Ctrl-C, while code that is not Python's runs: TensorFlow does not hear them.

Python raises KeyboardInterrupt once the call is over, and a loop in a graph may never be. But it tells a file
descriptor at once (``signal.set_wakeup_fd``); a thread that listens there can end the call. Not for: panels, which have
buttons of their own (:mod:`tfmagic.progress`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ending(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function when an interrupt comes while the code inside runs, and raise KeyboardInterrupt if that ends it.

    Signals reach the main thread alone, and who has a handler of his own wants something else: elsewhere, and then,
    nothing is done. Who listened before, such as an event loop, is still told, and listens again afterwards.

    Parameters
    ----------
    stop : callable
        Called by another thread, while this one is inside.

    Raises
    ------
    KeyboardInterrupt
        In place of what the code inside raises after an interrupt: C++ makes of Python's own a RuntimeError.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    heard, told = socket.socketpair()
    with heard, told:
        told.settimeout(0)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        interrupted = threading.Event()
        listener = threading.Thread(target=_listen, args=(heard, before, interrupted, stop), daemon=True)
        listener.start()
        try:
            yield
        except Exception:
            if interrupted.is_set():
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.set_wakeup_fd(before)
            told.shutdown(socket.SHUT_WR)
            listener.join()


def _listen(heard: socket.socket, before: int, interrupted: threading.Event, stop: Callable[[], None]) -> None:
    """Pass on which signals came, and end the call at an interrupt, until the other end is shut."""
    while numbers := heard.recv(64):
        if before >= 0:
            with contextlib.suppress(OSError):
                os.write(before, numbers)
        if signal.SIGINT in numbers:
            interrupted.set()
            stop()

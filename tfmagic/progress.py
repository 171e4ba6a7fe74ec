"""The stages of a long call: a bar on a terminal or in a notebook, nothing where nobody looks, or a watch.

Who watches gets the stages instead of the bar, and may ask the call to stop. A watch belongs to the context in which
the call runs: two panels, or a panel and a cell, do not mix. The notebook's stop button and Ctrl-C end a call of
TensorFlow's too: Python raises KeyboardInterrupt only once such a call is over, and a loop in a graph may never be, but
it tells a file descriptor at once (``signal.set_wakeup_fd``), at which a thread listens. Not for: deciding what the
stages are.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from tqdm import tqdm

#: A call that is over before this many seconds shows nothing.
_DELAY = 0.2
#: Seconds between two looks at how much is written.
_INTERVAL = 0.1
#: Bytes that are copied from one check to the next.
_BLOCK = 8 << 20


class CancelledError(BaseException):
    """A call was asked to stop, and did. No Exception: what handles a model's failures must not take it for one."""


@dataclass(frozen=True)
class Stage:
    """Where a call is: the stage's name, how many came before it, how many there are, and its own share that is done.

    The share is 0 where it is not known.
    """

    name: str
    place: int
    count: int
    share: float = 0.0

    @property
    def total(self) -> float:
        """The share of the whole call that is done, if all stages took as long."""
        return min(1.0, (self.place + self.share) / max(1, self.count))


class Watch:
    """Gets the stages of the calls in its context, and may stop them.

    Parameters
    ----------
    on_stage : callable
        Called with each :class:`Stage` in the thread of the call, and with the shares of writing in another one.
    """

    def __init__(self, on_stage: Callable[[Stage], None]) -> None:
        self._on_stage = on_stage
        self._asked = threading.Event()
        self._stage = Stage("", 0, 1)
        self._lock = threading.Lock()
        #: What ends something that is going on now.
        self._stops: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask the call to stop: it does after its stage, between two blocks of writing, or in the middle of a run."""
        with self._lock:
            self._asked.set()
            stops = list(self._stops)
        for stop in stops:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have something that goes on inside ended when the call is asked to stop."""
        with self._lock:
            self._stops.append(stop)
        try:
            # Asked before that, it was not called.
            self.check()
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was asked to stop."""
        return self._asked.is_set()

    def check(self) -> None:
        """Raise CancelledError if the call was asked to stop."""
        if self.is_cancelled:
            raise CancelledError

    def begin(self, stage: Stage) -> None:
        """Take note of the next stage, unless the call was asked to stop."""
        self.check()
        self._stage = stage
        self._on_stage(stage)

    def share(self, share: float) -> None:
        """Take note of how much of the stage is done."""
        self._on_stage(replace(self._stage, share=min(1.0, share)))


#: Set by a front that has a better place than standard error: returns what shows a text in a place of its own, and
#: takes it away again for ``""``; None where there is no such place now.
place: Callable[[], Callable[[str], None] | None] | None = None

_watch: ContextVar[Watch | None] = ContextVar("tfmagic_watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have what is called inside watched, instead of shown."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def check() -> None:
    """Raise CancelledError if who watches this call has asked it to stop."""
    watch = _watch.get()
    if watch is not None:
        watch.check()


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Have something that goes on inside ended if who watches asks the call to stop, or at an interrupt.

    Parameters
    ----------
    stop : callable
        Called by another thread, while this one is inside.

    Raises
    ------
    CancelledError
        At the end, if it was called; what it made of the code inside does not matter then.
    """
    watch = _watch.get()
    if watch is None:
        with ending(stop):
            yield
        return
    try:
        with watch.stopping(stop):
            yield
    finally:
        watch.check()


@contextmanager
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
    heard, sender = socket.socketpair()
    with heard, sender:
        sender.settimeout(0)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
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
            sender.shutdown(socket.SHUT_WR)
            listener.join()


def _listen(heard: socket.socket, before: int, interrupted: threading.Event, stop: Callable[[], None]) -> None:
    """Pass on which signals came, and end the call at an interrupt, until the other end is shut."""
    while numbers := heard.recv(64):
        if before >= 0:
            with suppress(OSError):
                os.write(before, numbers)
        if signal.SIGINT in numbers:
            interrupted.set()
            stop()


@contextmanager
def stages(title: str, count: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over the stages of a call; the function that is given begins the next one, by its name.

    Raises
    ------
    CancelledError
        When a stage begins, if who watches has asked the call to stop.
    """
    watch = _watch.get()
    if watch is None:
        with _bar(title, count) as begin:
            yield begin
        return
    begun: list[str] = []

    def next_stage(name: str) -> None:
        watch.begin(Stage(name, len(begun), count))
        begun.append(name)

    yield next_stage


class _Line:
    """A line in a place of its own, with what is used here of tqdm's bars; it goes when the call is over."""

    last_print_t = 0.0

    def __init__(self, title: str, count: int, show: Callable[[str], None]) -> None:
        self._title, self._count, self._show = title, count, show
        self._place, self._name = 0, ""
        self._is_shown = self._is_over = False
        self._lock = threading.Lock()

    def set_postfix_str(self, name: str, *, refresh: bool) -> None:
        del refresh
        self._name = name

    def update(self) -> None:
        self._place += 1

    def refresh(self) -> None:
        with self._lock:
            if not self._is_over:
                self._is_shown = True
                self._show(f"{self._title}: {self._name} (step {self._place + 1} of {self._count})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_over = True
            if self._is_shown:
                self._show("")


def _new_bar(title: str, count: int) -> tqdm[NoReturn] | _Line:
    """Return a line where there is a place for one, else a bar without tqdm's thread that watches, and never ends."""
    show = None if place is None else place()
    if show is not None:
        return _Line(title, count, show)
    # Imported where somebody looks: it takes longer than reading a small model.
    from tqdm import tqdm  # noqa: PLC0415

    bar_class = type("_Bar", (tqdm,), {"monitor_interval": 0})
    bar: tqdm[NoReturn] = bar_class(total=count, desc=title, delay=_DELAY, leave=False, unit="stage")
    return bar


@contextmanager
def _bar(title: str, count: int) -> Iterator[Callable[[str], None]]:
    if not _is_watched():
        yield lambda _name: None
        return
    bar = _new_bar(title, count)
    due = time.monotonic() + _DELAY
    # A stage may be long, and the next one only then begins.
    # In this context, by which a front knows the cell that is running.
    timer = threading.Timer(_DELAY, copy_context().run, [_show, bar])
    timer.daemon = True
    begun: list[str] = []

    def begin(name: str) -> None:
        if begun:
            bar.update()
        begun.append(name)
        bar.set_postfix_str(name, refresh=False)
        if time.monotonic() >= due:
            _show(bar)

    timer.start()
    try:
        with bar:
            yield begin
    finally:
        timer.cancel()


@contextmanager
def writing(size_now: Callable[[], int], size: int) -> Iterator[None]:
    """Tell who watches what share is written of a result, whoever writes it: TensorFlow and Keras say nothing.

    Parameters
    ----------
    size_now : callable
        Returns the bytes that are there now.
    size : int
        The predicted size in bytes, 0 if not known.
    """
    watch = _watch.get()
    if watch is None or size <= 0:
        yield
        return
    done = threading.Event()

    def look() -> None:
        while not done.wait(_INTERVAL):
            watch.share(size_now() / size)

    thread = threading.Thread(target=look, daemon=True, name="tfmagic size")
    thread.start()
    try:
        yield
    finally:
        done.set()
        # A share of this stage must not come after the next stage has begun.
        thread.join()


def copy(source: BinaryIO, target: BinaryIO) -> None:
    """Copy the rest of one file to another, block by block.

    Raises
    ------
    CancelledError
        Between two blocks, if who watches has asked for that.
    """
    while block := source.read(_BLOCK):
        check()
        target.write(block)


def _show(bar: tqdm[NoReturn] | _Line) -> None:
    """Draw a bar, and have it cleared in the end."""
    bar.last_print_t = time.time()
    bar.refresh()


def _is_watched() -> bool:
    """Say whether a person sees what goes to stderr: at a terminal, or as the output of a cell."""
    return is_kernel() or sys.stderr.isatty()


def is_kernel() -> bool:
    """Say whether this process is a notebook's kernel, and not one that has imported what drives them."""
    kind = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return kind is not None and bool(kind.initialized())

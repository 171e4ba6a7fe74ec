"""What TensorFlow's libraries log beside Python, kept from standard error: lines about itself, not about the model.

They go to the file descriptor before any level can be set. What a model prints passes, and so does all that the user
asked for by an environment variable. Not for: Python's own messages, which take another way to the same place
(:mod:`tfmagic.runtime.log_filters`).
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tfmagic import errors, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A line of the log: level, date or number, time, thread, place in the source; or one of those that say so in words.
_LOGGED = re.compile(
    rb"[IWEF]\d{4} [\d:.]+ +\d+ \S+:\d+\]|\d{4}-\d\d-\d\d [\d:.]+: [IWEF] "
    rb"|WARNING: All log messages before absl|INFO: Created |fully_quantize: \d|To enable the following instructions: "
)
#: Those that may say why something failed.
_GRAVE = re.compile(rb"[WEF]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [WEF] ")
#: Where libraries write.
_DESCRIPTOR = 2
#: So many of the last lines are kept for a failure.
_MOST = 100
#: Seconds for what still comes, where a process that somebody started meanwhile holds the other end.
_PATIENCE = 0.3
#: Who sets one of these wants to see what TensorFlow logs; a level of 1 or more is no such word.
_WANTED = ("TF_CPP_VMODULE", "TF_CPP_MAX_VLOG_LEVEL")
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


class _Sieve:
    """Stands in the place of the descriptor: passes on what is no line of a log, and keeps the last of those that are.

    Raises
    ------
    OSError
        If there is no such descriptor.
    """

    def __init__(self) -> None:
        self.real = os.dup(_DESCRIPTOR)
        self.kept: deque[bytes] = deque(maxlen=_MOST)
        heard, written = os.pipe()
        os.dup2(written, _DESCRIPTOR)
        os.close(written)
        self._thread = threading.Thread(target=self._pass_on, args=(heard,), daemon=True, name="tfmagic log")
        self._thread.start()

    def end(self) -> None:
        """Put the descriptor back, and wait for what is on its way."""
        # Nobody holds the other end then, unless a library started a process that lives on.
        os.dup2(self.real, _DESCRIPTOR)
        self._thread.join(timeout=_PATIENCE)

    def _pass_on(self, heard: int) -> None:
        # Closed here: this thread may go on for as long as such a process does.
        with os.fdopen(self.real, "wb", buffering=0) as real, os.fdopen(heard, "rb", buffering=0) as lines:
            rest = b""
            while block := lines.read(1 << 16):
                *whole, rest = (rest + block).split(b"\n")
                self.kept.extend(line for line in whole if _LOGGED.match(line))
                real.write(b"".join(line + b"\n" for line in whole if not _LOGGED.match(line)))
            if rest:
                real.write(rest)


@contextmanager
def kept_back() -> Iterator[None]:
    """Pass on what is written to the descriptor of standard error inside, without the lines of a log.

    For a process that is tfmagic's own: what Python writes goes past it, and a terminal stays one.
    """
    try:
        is_real = sys.stderr.fileno() == _DESCRIPTOR
        sieve = _Sieve()
    except (AttributeError, OSError, io.UnsupportedOperation):
        # There is none, or it is captured, as by a test.
        yield
        return
    own = sys.stderr
    if is_real:
        sys.stderr = os.fdopen(os.dup(sieve.real), "w", buffering=1, errors="backslashreplace")
    try:
        yield
    finally:
        if is_real:
            sys.stderr.close()
            sys.stderr = own
        sieve.end()


# In a notebook's kernel, whose descriptor ipykernel reads to show it in red below the cell.

_lock = threading.Lock()
_users: set[object] = set()
_sieve: _Sieve | None = None


def held() -> Callable[[BaseException | None], None]:
    """Keep back what libraries log from now on, in a notebook's kernel; elsewhere it is left where it goes.

    Returns
    -------
    callable
        Ends that, once, however often it is called; takes the error that came of it, or None. Where a library
        failed, it shows what may say why. Several callers share one sieve, in any order.
    """
    global _sieve  # noqa: PLW0603 - there is one such descriptor
    if not progress.is_kernel() or _is_asked_for():
        return lambda _error: None
    with _lock, suppress(OSError):
        if _sieve is None:
            _sieve = _Sieve()
        user = object()
        _users.add(user)
        return _ending(_sieve, user)
    return lambda _error: None


def _ending(sieve: _Sieve, user: object) -> Callable[[BaseException | None], None]:
    def end(error: BaseException | None) -> None:
        global _sieve  # noqa: PLW0603 - as above
        with _lock:
            if user not in _users:
                return
            _users.remove(user)
            if not _users:
                _sieve = None
                sieve.end()
        if error is not None and _is_a_librarys(error):
            with suppress(OSError):
                os.write(_DESCRIPTOR, b"".join(line + b"\n" for line in list(sieve.kept) if _GRAVE.match(line)))

    return end


def _is_asked_for() -> bool:
    return os.environ.get(_LEVEL) == "0" or any(map(os.environ.get, _WANTED))


def _is_a_librarys(error: BaseException) -> bool:
    """Say whether something failed that is not ours: a refusal of ours has nothing to do with what was logged."""
    if not isinstance(error, Exception):
        return False
    return not isinstance(error, errors.TfMagicError) or error.__cause__ is not None

"""What TensorFlow's libraries log beside Python, kept from standard error: lines about itself, not about the model.

They go to the file descriptor before any level can be set. What a model prints passes, and so does all that the user
asked for by ``TF_CPP_MIN_LOG_LEVEL``. Not for: Python's own messages, which take another way to the same place.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A line of the log: level, date or number, time, thread, place in the source; or one of those that say so in words.
_LOGGED = re.compile(
    rb"[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\]|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    rb"|WARNING: All log messages before absl|INFO: Created |fully_quantize: \d"
)
#: Where libraries write.
_DESCRIPTOR = 2


@contextmanager
def kept_back() -> Iterator[None]:
    """Pass on what is written to the descriptor of standard error inside, without the lines of a log."""
    try:
        is_real = sys.stderr.fileno() == _DESCRIPTOR
        real = os.dup(_DESCRIPTOR)
    except (AttributeError, OSError, io.UnsupportedOperation):
        # There is none, or it is captured, as by a test.
        yield
        return
    heard, written = os.pipe()
    own = sys.stderr
    if is_real:
        sys.stderr = os.fdopen(os.dup(real), "w", buffering=1, errors="backslashreplace")
    os.dup2(written, _DESCRIPTOR)
    os.close(written)
    thread = threading.Thread(target=_pass_on, args=(heard, real), daemon=True, name="tfmagic log")
    thread.start()
    try:
        yield
    finally:
        if is_real:
            sys.stderr.close()
            sys.stderr = own
        # Nobody holds the other end then, unless a library started a process that lives on.
        os.dup2(real, _DESCRIPTOR)
        thread.join(timeout=1)
        os.close(real)


def _pass_on(heard: int, real: int) -> None:
    with os.fdopen(heard, "rb", buffering=0) as lines:
        rest = b""
        while block := lines.read(1 << 16):
            *whole, rest = (rest + block).split(b"\n")
            kept = b"".join(line + b"\n" for line in whole if not _LOGGED.match(line))
            os.write(real, kept)
        if rest:
            os.write(real, rest)

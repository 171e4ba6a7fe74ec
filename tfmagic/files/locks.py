"""The system's locks on open files and directories (``flock``), which die with their owner; Windows has its own.

Not for: what is locked (:mod:`tfmagic.files.hidden_places`).
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
else:
    try:
        import fcntl
    except ImportError:
        # Python in a browser has no locks.
        fcntl = None  # type: ignore[assignment]


def locked(descriptor: int) -> bool | None:
    """Lock an open file, unless another has; None where the file system knows no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        elif fcntl is None:
            return None
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def unlock(descriptor: int) -> None:
    """Give up a lock before the file is closed: twice does no harm, where closing twice could close another's file."""
    if sys.platform != "win32" and fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

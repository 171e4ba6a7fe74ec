"""What the system refuses to who writes: which error says so, and its words in ours, with what would work.

Not for: what a server or a library of addresses refuses (:mod:`tfmagic.files.addresses.refusals`).
"""

from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING

from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

#: What a write that the system refuses ends in; anything else is of what was read, or our own mistake.
_REFUSED = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG, errno.EIO,
    errno.ENOTDIR, errno.EBUSY, errno.EXDEV, errno.ENOTEMPTY, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE,
})  # fmt: skip
_OF_THE_PROCESS = frozenset({errno.EMFILE, errno.ENFILE})
_WORDS = {os.strerror(code): code for code in sorted(_REFUSED)}

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.ENOTDIR: "one of the directories on the way to it is a file; name another place",
    errno.EFBIG: "the file is larger than this user or file system may write; name a place elsewhere",
    errno.ENOENT: "a directory on the way to it is gone, or its path is longer than the system takes ('{said}'); try "
    "again, or name a place with a shorter path",
    errno.EIO: "the disk, or the network to it, failed to write ('{said}'); name a place elsewhere",
    errno.EROFS: "the file system is read-only; name a place elsewhere",
    errno.EBUSY: "it is in use, as a place where something is mounted is ('{said}'); name a place inside of it",
    errno.EXDEV: (
        "it cannot be moved ('{said}'), as something is mounted on the way to it, or it came with a container's image; "
        "name another place"
    ),
    errno.ENAMETOOLONG: "its name is longer than the file system takes; give a shorter one",
    errno.ENOTEMPTY: "somebody else wrote there meanwhile; look what it is, and try again",
    errno.EMFILE: "this process has too many files open; close some, or restart the kernel",
}


def refusal(error: OSError, destination: Path, stands: str = "") -> errors.WriteError:
    """Word what the system says when it refuses a write, and what stands now."""
    said = error.strerror or str(error)
    default = "the system says '{said}'; change the permissions or name a place elsewhere"
    if error.errno in _NO_SPACE:
        default = "there is no room left; make room or name a place elsewhere"
    advice = _ADVICE.get(error.errno or 0, default).format(said=said)
    return errors.WriteError(
        error.errno, f"{str(destination)!r} cannot be written: {advice}{'. ' if stands else ''}{stands}"
    )


def refusal_of_temporary(error: OSError) -> errors.WriteError:
    """Word what the system says when it refuses a write in the temporary directory."""
    advice = "make room there, or name another one in the environment variable TMPDIR"
    if error.errno in _OF_THE_PROCESS:
        advice = "close some files, or restart the kernel"
    elif error.errno == errno.EFBIG:
        advice = "allow larger files (ulimit -f)"
    try:
        directory = tempfile.gettempdir()
    except OSError:
        # Python tries several, and names the first that takes a file.
        directory = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - what it tried
    return errors.WriteError(
        error.errno,
        f"the temporary directory {directory!r} cannot be written: the system says "
        f"{error.strerror or str(error)!r}; {advice}. Nothing else was changed",
    )


def refused(error: BaseException, place: Path) -> int | None:
    """Return the number of what the system refused to a write in a hidden place, None if an error is of something else.

    Libraries put the system's words into exceptions of their own, and ours have theirs as their cause.
    """
    if not isinstance(error, Exception) or isinstance(error, errors.WriteError | errors.VerificationError):
        return None
    if isinstance(error, errors.ReadError) and place.name not in str(error):
        return None
    cause: BaseException | None = error
    while cause is not None:
        text = f"{cause} {getattr(cause, 'filename', '')}"
        is_of_system = isinstance(cause, OSError) and not isinstance(cause, errors.TfMagicError)
        # What removes a directory speaks of names in it; where the process has no more files, each name is as good.
        is_near = (
            place.name in text
            or (is_of_system and not _is_elsewhere(getattr(cause, "filename", None)))
            or getattr(cause, "errno", None) in _OF_THE_PROCESS
        )
        if is_near and is_of_system and getattr(cause, "errno", None) in _REFUSED:
            return int(getattr(cause, "errno", 0))
        if is_near and (words := [code for said, code in _WORDS.items() if said in text]):
            return words[0]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def _is_elsewhere(name: object) -> bool:
    return isinstance(name, str | bytes) and os.path.isabs(name)  # noqa: PTH117 - it may be bytes

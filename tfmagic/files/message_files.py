"""Files that hold one message of TensorFlow: which one, and the message, whether it is binary, text or gzipped.

Not for: directories, and what the message means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tfmagic import errors
from tfmagic.files import contents, protos, reading, wire

if TYPE_CHECKING:
    from pathlib import Path


class Begun(Protocol):
    """A source whose first bytes were read, if it is a file."""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""

    @property
    def head(self) -> bytes:
        """The first bytes of the file."""


def kind(candidate: Begun) -> str | None:
    """Return the name of the message that a candidate's file holds, None if it is no file or holds none."""
    return _kind(reading.head_of(candidate.head, contents.HEAD_BYTES)) if candidate.is_file else None


def _kind(head: bytes) -> str | None:
    return contents.message_in_text(head) or contents.message_in_binary(head)


def read_message(path: Path, name: str) -> wire.Buffer:
    """Read a file as a serialised message.

    Raises
    ------
    CorruptSourceError
        If the file does not hold that message; it says what it holds instead, if that can be told.
    ReadError
        If the file may not be read.
    """
    buffer = reading.read_buffer(path)
    head = bytes(buffer.data[: min(buffer.size, contents.HEAD_BYTES)])
    held = _kind(head)
    if held != name:
        raise errors.CorruptSourceError(_holds_other(path, name, held or contents.guess(head)))
    return _parsed_text(path, buffer, name) if contents.message_in_text(head) else buffer


def _parsed_text(path: Path, buffer: wire.Buffer, name: str) -> wire.Buffer:
    """Parse text format into a serialised message."""
    try:
        message = protos.parse_text(name, buffer.text(0, buffer.size))
        return wire.Buffer(message.SerializeToString())
    except (protos.TextParseError, protos.SerializeError, wire.WireError, RecursionError) as error:
        problem = f"{str(path)!r} does not parse as a {name} in text format: {str(error).rstrip('.')}"
        raise errors.CorruptSourceError(f"{problem}. It may be cut off: save or copy it again") from error


def _holds_other(path: Path, name: str, held: str) -> str:
    """Word that a file is not what its name or place says."""
    if held in contents.MESSAGES:
        return f"{str(path)!r} should hold a {name} but holds a {held}; give that file itself to read it as what it is"
    return f"{str(path)!r} should hold a {name} but holds {held}. Save, copy or download it again"

"""What is at an address, and what it costs to know: plain values, without anybody who asks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import IO, NamedTuple

from tfmagic import errors


@dataclass
class Fetched:
    """What a model cost that lies at an address; nothing for one that lies here.

    Attributes
    ----------
    bytes : int
        Of what answers carried; headers, and what a library asks of itself, do not count.
    requests : int
        Questions asked, those that failed included.
    """

    bytes: int = 0
    requests: int = 0


class Entry(NamedTuple):
    """What is at an address: its size in bytes, negative if unknown, its version, and when it was written, in ns."""

    size: int
    is_directory: bool = False
    tag: str = ""
    modified: int = 0

    @property
    def number(self) -> int:
        """What differs where the version does, as the number of a file does."""
        return zlib.crc32(self.tag.encode())


class NoRangesError(Exception):
    """The server gives whole files only: this is it, a temporary file without a name, if it was on its way anyhow."""

    def __init__(self, whole: IO[bytes] | None = None) -> None:
        super().__init__()
        self.whole = whole


class ChangedError(errors.CorruptSourceError):
    """What is at an address is another version than was read before; told with the address, further up."""

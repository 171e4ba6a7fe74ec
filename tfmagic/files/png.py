"""Eight-bit PNG files (https://www.w3.org/TR/png-3/) of pixels that are bytes already.

Not for: turning numbers into pixels (:mod:`tfmagic.display.pictures`), or reading a file.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Colour types by the number of channels: grey, RGB, RGBA (section 11.2.1, IHDR).
COLOURS = {1: 0, 3: 2, 4: 6}


def encoded(rows: Iterable[bytes], width: int, height: int, channels: int) -> bytes:
    """Return a file of these rows of pixels, each ``width * channels`` bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    # Each row begins with its filter, 0 for none.
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return _SIGNATURE + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, data, b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

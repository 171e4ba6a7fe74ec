"""Pictures one after the other in one PNG, as browsers show it (APNG, which PNG's third edition has).

Not for: taking them (``test_screenshot.py``).
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CLOCK = 1000


def animated(frames: Sequence[bytes], seconds: Sequence[float]) -> bytes:
    """Join PNGs of one size and kind into one that shows them again and again.

    Parameters
    ----------
    frames : sequence of bytes
        The files. What shows no animation shows the first one.
    seconds : sequence of float
        How long each of them stands.
    """
    header = next(content for kind, content in chunks(frames[0]) if kind == b"IHDR")
    width, height = struct.unpack(">II", header[:8])
    numbers = itertools.count()
    parts = [SIGNATURE, _chunk(b"IHDR", header), _chunk(b"acTL", struct.pack(">II", len(frames), 0))]
    for place, (frame, wait) in enumerate(zip(frames, seconds, strict=True)):
        if next(content for kind, content in chunks(frame) if kind == b"IHDR") != header:
            message = f"frame {place} is of another size or kind than the first"
            raise ValueError(message)
        shown = (next(numbers), width, height, 0, 0, round(wait * _CLOCK), _CLOCK, 0, 0)
        parts.append(_chunk(b"fcTL", struct.pack(">IIIIIHHBB", *shown)))
        drawn = (content for kind, content in chunks(frame) if kind == b"IDAT")
        if place == 0:
            parts += [_chunk(b"IDAT", content) for content in drawn]
        else:
            parts += [_chunk(b"fdAT", struct.pack(">I", next(numbers)) + content) for content in drawn]
    return b"".join([*parts, _chunk(b"IEND", b"")])


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of each chunk of a PNG."""
    place = len(SIGNATURE)
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

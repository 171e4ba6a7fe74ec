"""The CRC-32C of TensorFlow's tables, bundles and records, fast enough to be checked always.

A CRC is linear over bits, so the data is cut into lanes that numpy advances together, a word of each lane a step, and
the lanes are joined in a tree. Not for: other checksums, and not for hiding what a checksum does not match.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint32]

#: Castagnoli's polynomial, bits reversed (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_ONES = 0xFFFFFFFF
#: 64 words a lane: few steps, and enough lanes in a block of a table to fill numpy's loops.
_LANE_WORDS_LOG = 6
_LANE_BYTES = 4 << _LANE_WORDS_LOG
#: What is advanced at once stays in the processor's cache.
_CHUNK_BYTES = 1 << 20


def checksum(data: bytes | memoryview, crc: int = 0) -> int:
    """Return the CRC-32C of the data, going on from the CRC of what came before it."""
    state = crc ^ _ONES
    view = memoryview(data).cast("B")
    whole = len(view) - len(view) % _LANE_BYTES
    for start in range(0, whole, _CHUNK_BYTES):
        state = _advance(view[start : min(start + _CHUNK_BYTES, whole)], state)
    table = _bytewise()
    for byte in view[whole:]:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ _ONES


def masked(crc: int) -> int:
    """Return the form in which TensorFlow stores a CRC (tsl/lib/hash/crc32c.h, ``Mask``)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _ONES


def _advance(view: memoryview, state: int) -> int:
    """Advance the state over a whole number of lanes."""
    words = np.frombuffer(view, dtype="<u4").astype(np.uint32)
    # Whatever came before acts like bits added to the first word.
    words[0] ^= np.uint32(state)
    lanes = words.reshape(-1, 1 << _LANE_WORDS_LOG)
    states = np.zeros(len(lanes), dtype=np.uint32)
    word = _zeros(0)
    for column in lanes.T:
        states = _apply(word, states ^ column)
    return _joined(states)


def _joined(states: Words) -> int:
    """Join the states of neighbouring lanes, in a tree."""
    log = _LANE_WORDS_LOG
    while len(states) > 1:
        if len(states) % 2:
            # Zeros in front of everything leave a state of zero as it is.
            states = np.concatenate([np.zeros(1, dtype=np.uint32), states])
        states = _apply(_zeros(log), states[0::2]) ^ states[1::2]
        log += 1
    return int(states[0])


def _apply(operator: Words, states: Words) -> Words:
    """Apply a linear operator, given as four tables by byte, to many states."""
    result: Words = operator[0][states & 0xFF]
    result ^= operator[1][(states >> 8) & 0xFF]
    result ^= operator[2][(states >> 16) & 0xFF]
    result ^= operator[3][states >> 24]
    return result


@cache
def _zeros(log: int) -> Words:
    """Return the operator that passes ``2 ** log`` words of zeros."""
    if log:
        half = _zeros(log - 1)
        return _apply(half, half)
    tables = [np.array(_bytewise(), dtype=np.uint32)]
    for _ in range(3):
        tables.append(tables[0][tables[-1] & 0xFF] ^ (tables[-1] >> 8))
    return np.stack(tables[::-1])


@cache
def _bytewise() -> tuple[int, ...]:
    """Return the table that advances a state by one byte."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = (state >> 1) ^ (_POLYNOMIAL if state & 1 else 0)  # noqa: PLW2901 - the loop's own seed
        table.append(state)
    return tuple(table)

"""The CRC-32C of TensorFlow's tables, bundles and records, fast enough to be checked always.

A CRC is the remainder of the data, taken as a polynomial, so anything may be added that the CRC's polynomial divides.
A multiple of it with four terms takes data away at its front by three exclusive-ors of long slices, which numpy does
at the speed of memory. A few kilobytes are left, whose bits each have a remainder that is known. Not for: other
checksums, and not for hiding what a checksum does not match.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint32]

#: Bytes or words of eight bytes.
Unit = TypeVar("Unit", np.uint8, np.uint64)

#: Castagnoli's polynomial, bits reversed (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_ONES = 0xFFFFFFFF
#: The polynomial divides ``x**5685 + x**1362 + x**426 + 1``: of those with four terms and a degree below 6,000 the one
#: that begins with the longest gap. It divides the same in ``x**8`` and ``x**64``, as squaring doubles exponents modulo
#: 2: bytes and words of eight bytes are taken away as if they were bits.
_DEGREE = 5685
_OFFSETS = (_DEGREE - 1362, _DEGREE - 426, _DEGREE)
_WORD_BYTES = 8
#: What is worked on at once stays in the processor's cache.
_CHUNK_WORDS = 1 << 15
#: Fewer bytes are told faster one by one than by numpy.
_FEW_BYTES = 48


def checksum(data: bytes | memoryview, crc: int = 0) -> int:
    """Return the CRC-32C of the data, going on from the CRC of what came before it."""
    state = crc ^ _ONES
    view = memoryview(data).cast("B")
    if len(view) < _FEW_BYTES:
        table = _bytewise()
        for byte in view:
            state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
        return state ^ _ONES
    return _remainder(_shortened(np.frombuffer(view, dtype=np.uint8), state)) ^ _ONES


def masked(crc: int) -> int:
    """Return the form in which TensorFlow stores a CRC (tsl/lib/hash/crc32c.h, ``Mask``)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _ONES


def _shortened(data: NDArray[np.uint8], state: int) -> NDArray[np.uint8]:
    """Return at most ``_DEGREE`` bytes with the remainder that the data has behind what made the state."""
    # Whatever came before acts like bits added to the first four bytes.
    before = np.frombuffer(state.to_bytes(4, "little"), dtype=np.uint8)
    if len(data) <= _DEGREE * _WORD_BYTES:
        rest = data.copy()
        rest[:4] ^= before
    else:
        words, odd = np.split(data, [len(data) - len(data) % _WORD_BYTES])
        rest = np.concatenate([_shortened_words(words.view(np.uint64), before), odd])
    return _taken_away(rest)


def _shortened_words(words: NDArray[np.uint64], before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the bytes of ``_DEGREE`` words with the remainder of many, a chunk of them at a time."""
    work = np.zeros(_DEGREE + _CHUNK_WORDS, dtype=np.uint64)
    start = 0
    while start < len(words):
        chunk = words[start : start + _CHUNK_WORDS]
        used = work[: _DEGREE + len(chunk)]
        used[_DEGREE:] = chunk
        if not start:
            used[_DEGREE : _DEGREE + 1].view(np.uint8)[:4] ^= before
        work[:_DEGREE] = _taken_away(used)
        start += len(chunk)
    return work[:_DEGREE].view(np.uint8)


def _taken_away(units: NDArray[Unit]) -> NDArray[Unit]:
    """Take all but ``_DEGREE`` units away at the front, in place, and return what is left."""
    start, end = 0, len(units) - _DEGREE
    while start < end:
        stop = min(start + _OFFSETS[0], end)
        for offset in _OFFSETS:
            later = units[start + offset : stop + offset]
            np.bitwise_xor(later, units[start:stop], out=later)
        start = stop
    return units[start:]


def _remainder(data: NDArray[np.uint8]) -> int:
    """Return the state that a state of zero is in after at most ``_DEGREE`` bytes."""
    bits = np.unpackbits(data, bitorder="little")
    return int(np.bitwise_xor.reduce(_powers()[-len(bits) :][bits.view(np.bool_)], initial=0))


@cache
def _powers() -> Words:
    """Return the state that each bit of the last ``_DEGREE`` bytes brings about, the last bit last."""
    first = [_POLYNOMIAL]
    for _ in range(_DEGREE - 1):
        first.append(_next(first[-1]))
    powers = np.zeros(8 * _DEGREE, dtype=np.uint32)
    powers[:_DEGREE] = first
    # The others by what the polynomial divides: a power of x is the sum of three before it.
    for start in range(_DEGREE, len(powers), _OFFSETS[0]):
        stop = min(start + _OFFSETS[0], len(powers))
        for offset in _OFFSETS:
            powers[start:stop] ^= powers[start - offset : stop - offset]
    return powers[::-1].copy()


@cache
def _bytewise() -> tuple[int, ...]:
    """Return the table that advances a state by one byte."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = _next(state)  # noqa: PLW2901 - the loop's own seed
        table.append(state)
    return tuple(table)


def _next(state: int) -> int:
    """Return what a state is a bit of zero later."""
    return (state >> 1) ^ (_POLYNOMIAL if state & 1 else 0)

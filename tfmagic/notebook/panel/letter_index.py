"""Which of many texts may hold another one, by the letters and pairs of letters in them, as bits of integers.

A text that is typed is then sought in those alone. Made for a million names; texts are taken without their case, by the
bytes of UTF-8, of which a text that is held by another one has no others. Not for: whether it is held
(:mod:`tfmagic.notebook.panel.table_columns`).
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Bits: TypeAlias = "npt.NDArray[np.uint64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

#: What has a bit of its own: what names are written in. The other bytes share what is left of 64.
_OWN = string.ascii_lowercase + string.digits + "_/-.:"
_BITS, _BYTES = 64, 256
#: No byte of UTF-8: it stands between texts.
_BETWEEN = 0xFF
#: Texts that are looked at together; more would need memory for nothing.
_TOGETHER = 1 << 15


class LetterIndex:
    """What letters texts have.

    Parameters
    ----------
    texts : sequence of str
        Without their case.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._letters = np.zeros(len(texts), np.uint64)
        self._pairs = np.zeros(len(texts), np.uint64)
        for first in range(0, len(texts), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            self._letters[some], self._pairs[some] = _bits(texts[some])

    def candidates(self, text: str) -> tuple[Mask, bool]:
        """Return which texts have all letters and pairs of one, and whether that settles that they hold it."""
        (letters,), (pairs,) = _bits([text])
        mask: Mask = (self._letters & letters) == letters
        if pairs:
            mask &= (self._pairs & pairs) == pairs
        return mask, len(text) == 1 and text in _OWN


def _bits(texts: Sequence[str]) -> tuple[Bits, Bits]:
    """Return the letters and the pairs of letters of some texts."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    end = bytes([_BETWEEN])
    letters = np.frombuffer(end.join([*encoded, b""]), np.uint8)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    starts = np.cumsum(lengths) - lengths
    pairs = np.zeros(len(letters), np.uint64)
    pairs[:-1] = _PAIRS[letters[:-1].astype(np.int32) * _BYTES + letters[1:]]
    return np.bitwise_or.reduceat(_LETTERS[letters], starts), np.bitwise_or.reduceat(pairs, starts)


def _letter_bits() -> Bits:
    """Return the bit of each byte, none for what stands between texts."""
    shared = _BITS - len(_OWN)
    places = [len(_OWN) + byte % shared for byte in range(_BYTES)]
    for place, letter in enumerate(_OWN):
        places[ord(letter)] = place
    bits: Bits = np.left_shift(np.uint64(1), np.array(places, np.uint64))
    bits[_BETWEEN] = 0
    return bits


def _pair_bits() -> Bits:
    """Return the bit of each pair of bytes, none where one of them stands between texts."""
    byte = np.arange(_BYTES, dtype=np.uint64)
    # Neighbours among letters and among digits go to bits far from each other's.
    bits: Bits = np.left_shift(np.uint64(1), (byte[:, None] * 37 + byte * 11) % _BITS)
    bits[_BETWEEN, :] = bits[:, _BETWEEN] = 0
    return bits.ravel()


_LETTERS, _PAIRS = _letter_bits(), _pair_bits()

"""The contents of many spans of a buffer at once: decoded, and told apart without decoding each.

Not for: finding the spans (:mod:`tfmagic.files.wire`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files.wire import PADDING, WORD

if TYPE_CHECKING:
    import numpy.typing as npt

    from tfmagic.files.wire import Buffer, Integers

#: Longer contents are told apart one by one: an op's name, a dtype or a shape is shorter.
LONG = PADDING
#: Strings lie close together while their region is at most this many times their length and a little more.
_SPARSE, _DENSE = 16, 4096
#: Spans are hashed in groups of like length, so that a short one costs no more than it is.
_WIDTHS = (16, 48, 112, LONG)
#: So many spans are hashed at a time: memory that is asked for in larger pieces comes anew, page by page.
_ROWS = 1 << 12
#: A factor for each word of a span, odd and otherwise arbitrary, and one for its size.
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, place, 1 << 64) for place in range(1, LONG // WORD + 2)], np.uint64)
_FOLD = np.uint64(29)
#: So many values are numbered by hashing: sorted, as fewer are, they take ten times as long.
_MANY = 10_000
#: By size: keeps so many of a span's bytes.
_MASKS = (np.arange(LONG) < np.arange(LONG + 1)[:, None]).astype(np.uint8) * np.uint8(255)


def strings(buffer: Buffer, starts: Integers, ends: Integers) -> list[str]:
    """Decode many strings; raises WireError if one is not UTF-8.

    Where they lie close together, the whole region is taken for Latin-1, which never fails and keeps positions, and
    sliced: several times the speed of decoding each. A string with a byte past ASCII is then decoded by itself.
    """
    if not len(starts):
        return []
    first, last = int(starts.min()), int(ends.max())
    if last - first > _SPARSE * (int((ends - starts).sum()) + _DENSE):
        return [buffer.text(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    region = str(buffer.view[first:last], "latin-1")
    pieces = [region[a:b] for a, b in zip((starts - first).tolist(), (ends - first).tolist(), strict=True)]
    if not all(map(str.isascii, pieces)):
        for index in [place for place, text in enumerate(pieces) if not text.isascii()]:
            pieces[index] = buffer.text(int(starts[index]), int(ends[index]))
    return pieces


def distinct(buffer: Buffer, starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Tell apart the contents of many spans.

    Returns
    -------
    codes : int array
        For each span, the number of its content.
    examples : int array
        For each content, the index of the first span that has it.

    Notes
    -----
    Contents are compared, not only hashed: a hand-made collision cannot pass one content off as another.
    """
    codes, examples = kinds(buffer, starts, ends)
    # Long contents came back as all different; a dictionary tells the equal ones.
    long = np.flatnonzero((ends - starts)[examples] > LONG)
    if not len(long):
        return codes, examples
    seen: dict[bytes, int] = {}
    merged = np.arange(len(examples))
    for code in long.tolist():
        content = bytes(buffer.piece(int(starts[examples[code]]), int(ends[examples[code]])))
        merged[code] = seen.setdefault(content, code)
    kept, places = np.unique(merged, return_inverse=True)
    return places[codes], examples[kept]


def kinds(buffer: Buffer, starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Tell apart the contents of many spans, like :func:`distinct`, but take long ones for different unread."""
    sizes = ends - starts
    codes = np.zeros(len(starts), np.int64)
    short, long = np.flatnonzero(sizes <= LONG), np.flatnonzero(sizes > LONG)
    codes[short], examples = _distinct_short(buffer, starts[short], sizes[short])
    codes[long] = np.arange(len(long)) + len(examples)
    return codes, np.concatenate([short[examples], long])


def _distinct_short(buffer: Buffer, starts: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Tell apart the contents of short spans, those of like length at a time."""
    codes = np.zeros(len(starts), np.int64)
    examples = np.zeros(0, np.int64)
    if len(starts) and not sizes.any():
        return codes, np.zeros(1, np.int64)
    group = np.searchsorted(_WIDTHS, sizes)
    for number, width in enumerate(_WIDTHS):
        place = np.flatnonzero(group == number)
        if len(place):
            inner, first = _distinct_of_width(buffer, starts[place], sizes[place], width)
            codes[place] = inner + len(examples)
            examples = np.concatenate([examples, place[first]])
    return codes, examples


def _distinct_of_width(buffer: Buffer, starts: Integers, sizes: Integers, width: int) -> tuple[Integers, Integers]:
    """Tell apart spans of at most so many bytes by a hash, then compare each with the first of its hash."""
    hashes = np.empty(len(starts), np.uint64)
    for first in range(0, len(starts), _ROWS):
        rows = slice(first, first + _ROWS)
        words = _words(buffer, starts[rows], sizes[rows], width)
        mixed = words >> _FOLD
        mixed ^= words
        # A product of matrices, as it is many times the speed of a sum over so short an axis.
        hashes[rows] = mixed @ _FACTORS[: words.shape[1]]
    hashes += sizes.astype(np.uint64) * _FACTORS[-1]
    codes = _numbered(hashes)
    examples = _first(codes)
    twin = examples[codes]
    again = np.flatnonzero(twin != np.arange(len(twin)))
    if not _are_equal(buffer, (starts[again], sizes[again]), (starts[twin[again]], sizes[twin[again]]), width):
        words = _words(buffer, starts, sizes, width)
        contents = [row.tobytes() for row in np.column_stack([words, sizes.astype(np.uint64)])]
        numbers: dict[bytes, int] = {}
        codes = np.array([numbers.setdefault(content, len(numbers)) for content in contents], np.int64)
        examples = _first(codes)
    return codes, examples


def _numbered(hashes: npt.NDArray[np.uint64]) -> Integers:
    """Return a number for each value, counted up as values appear."""
    if len(hashes) >= _MANY:
        import pandas as pd  # noqa: PLC0415 - with the first large graph, as importing it takes longer than to sort few

        return pd.factorize(hashes)[0].astype(np.int64)
    _, firsts, places = np.unique(hashes, return_index=True, return_inverse=True)
    numbers = np.empty(len(firsts), np.int64)
    numbers[np.argsort(firsts)] = np.arange(len(firsts))
    return numbers[places]


def _are_equal(buffer: Buffer, left: tuple[Integers, Integers], right: tuple[Integers, Integers], width: int) -> bool:
    """Say whether spans, by starts and sizes, are equal pair by pair."""
    if not np.array_equal(left[1], right[1]):
        return False
    for first in range(0, len(left[0]), _ROWS):
        rows = slice(first, first + _ROWS)
        mine, theirs = (_words(buffer, starts[rows], sizes[rows], width) for starts, sizes in (left, right))
        if not np.array_equal(mine, theirs):
            return False
    return True


def _words(buffer: Buffer, starts: Integers, sizes: Integers, width: int) -> npt.NDArray[np.uint64]:
    """Return the bytes of spans as rows of words, zero past a span's end."""
    # Every position begins a row: taking rows copies whole spans, where taking words would copy word by word.
    shape = (buffer.size + 1, width)
    rows = np.lib.stride_tricks.as_strided(buffer.octets, shape, (1, 1), writeable=False)[starts]
    rows &= np.ascontiguousarray(_MASKS[:, :width])[sizes]
    return rows.view(np.uint64)


def _first(codes: npt.NDArray[np.intp]) -> Integers:
    """Return the index of the first appearance of each code; codes count up from 0 in order of appearance."""
    if not len(codes):
        return np.zeros(0, np.int64)
    first = np.zeros(int(codes.max()) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first

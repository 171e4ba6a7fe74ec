"""The fields of one message that may hold millions of them, as a graph holds its nodes.

Where a field begins is known of the first alone: each says where the next one lies. Elsewhere it is guessed, many
places at once, and a chain that begins at a guess counts only where the walk from the first field arrives at its very
head: a wrong guess costs time, nothing else. Not for: the fields of many messages (:func:`tfmagic.files.wire.scan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.files import wire
from tfmagic.files.wire import BYTES, CONTINUED, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files.wire import Buffer, Integers, Mask

#: A shorter message is walked sooner than guessed about.
_LONG = 1 << 23
#: Guesses are at most so many, as sixteen bits number them, and at least so many bytes apart.
_MOST, _APART = 1 << 12, 1 << 14
#: Bytes in which a head is looked for: most nodes of a graph are shorter.
_WINDOW = 1 << 9
#: A head is believed if so many fields after it have its tag, too.
_LINKS = 3
#: Below this many chains that go on, the walk beats another round of array operations.
_FEW = 24
#: The bit of a field's second byte that says that another byte of its length follows.
_LONGER = 0x8000


class _Chain(NamedTuple):
    """Fields of one tag, each beginning where the one before ends: their places, and where the last one ends."""

    places: Integers
    end: int


def spans(buffer: Buffer, start: int, end: int, *numbers: int) -> list[tuple[Integers, Integers]]:
    """Find all fields of some numbers in one message, which may hold millions of them.

    Returns
    -------
    list of (starts, ends)
        For each of ``numbers``, where the payloads lie, in the order of the message.

    Raises
    ------
    WireError
        Where the bytes stop being protobuf.
    """
    places: dict[int, list[Integers]] = {number << 3 | BYTES: [] for number in numbers}
    position, tag = start, buffer.raw[start] if start < end else 0
    if end - start > _LONG and tag < CONTINUED and tag & 7 == BYTES:
        # The first field is mostly of the number that nearly all have, wanted or not.
        for chain in _chains(buffer, start, end, tag):
            if position < chain.places[0]:
                position = _walk(buffer, position, int(chain.places[0]), end, places)
            if position == chain.places[0]:
                position = chain.end
                if tag in places:
                    places[tag].append(chain.places)
    position = _walk(buffer, position, end, end, places)
    if position > end:
        raise WireError(end, "a field reaches past its message")
    return [_payloads(buffer, np.concatenate([np.zeros(0, np.int64), *parts])) for parts in places.values()]


def _walk(buffer: Buffer, position: int, stop: int, end: int, places: Mapping[int, list[Integers]]) -> int:
    """Go from field to field until one begins at a stop or behind it; note the places of those that are wanted."""
    noted: dict[int, list[int]] = {tag: [] for tag in places}
    # By the tags of one byte, which are those of most fields.
    note = {tag: fields.append for tag, fields in noted.items() if tag < CONTINUED}
    raw, last, known = buffer.raw, -1, None
    while position < stop:
        # Nearly all fields have the tag of the one before, and a length of one or two bytes: no call for those.
        tag = raw[position]
        if tag != last:
            last, known = tag, note.get(tag)
        if known is None:
            tag, after = wire.tag_of(buffer.view, position, end)
            if tag in noted:
                noted[tag].append(position)
            _, position = wire.payload(buffer.view, after, end, tag & 7)
            continue
        known(position)
        size = raw[position + 1]
        if size < CONTINUED:
            position += 2 + size
            continue
        more = raw[position + 2]
        if more < CONTINUED:
            position += 3 + (size & 127 | more << 7)
        else:
            _, position = wire.payload(buffer.view, position + 1, end, BYTES)
    for tag, fields in noted.items():
        if fields:
            places[tag].append(np.array(fields, np.int64))
    return position


def _payloads(buffer: Buffer, position: Integers) -> tuple[Integers, Integers]:
    """Return the starts and ends of the payloads of fields of bytes, from where their tags begin."""
    sizes, starts = wire.varints(buffer, wire.varints(buffer, position)[1])
    return starts, starts + sizes


def _chains(buffer: Buffer, start: int, end: int, tag: int) -> list[_Chain]:
    """Guess chains of fields with a tag of one byte, in the order of their heads."""
    heads = _heads(buffer, start, end, tag)
    if len(heads) <= _FEW:
        return []
    limits = np.append(heads[1:], end)
    ends, rounds = heads.copy(), []
    chain, place = np.arange(len(heads)), heads
    while len(chain) > _FEW:
        after, is_followed = _after(buffer, place, end)
        chain, place, after = chain[is_followed], place[is_followed], after[is_followed]
        rounds.append((chain.astype(np.uint16), place))
        ends[chain] = after
        goes_on = (after < limits[chain]) & (buffer.octets[after] == tag)
        chain, place = chain[goes_on], after[goes_on]
    owners, places = (np.concatenate(parts) for parts in zip(*rounds, strict=True))
    # Of sixteen bits, which numpy sorts by their digits.
    by_chain = np.split(places[np.argsort(owners, kind="stable")], np.cumsum(np.bincount(owners))[:-1])
    return [_Chain(*pair) for pair in zip(by_chain, ends.tolist(), strict=True)]


def _heads(buffer: Buffer, start: int, end: int, tag: int) -> Integers:
    """Guess places where a field begins: the first in each of many windows whose next fields have the tag, too."""
    windows = np.arange(start, end - _WINDOW, max(_APART, (end - start) // _MOST + 1))
    shape = (buffer.size, _WINDOW)
    octets = np.lib.stride_tricks.as_strided(buffer.octets, shape, (1, 1), writeable=False)[windows]
    window, offset = np.nonzero(octets == tag)
    heads = place = windows[window] + offset
    believed = np.arange(len(heads))
    for _ in range(_LINKS):
        after, goes_on = _after(buffer, place, end)
        goes_on &= buffer.octets[after] == tag
        believed, place = believed[goes_on], after[goes_on]
    _, first = np.unique(window[believed], return_index=True)
    return heads[believed[first]]


def _after(buffer: Buffer, place: Integers, end: int) -> tuple[Integers, Mask]:
    """Return where the fields at some places end, and whether they do: within the message, with a short length."""
    words = buffer.words[place].view(np.int64)
    sizes, after, is_followed = words >> 8 & 127, place + 2, np.ones(len(place), bool)
    longer = np.flatnonzero(words & _LONGER)
    if len(longer):
        word = words[longer] >> 16
        is_longest = word & 128 != 0
        sizes[longer] |= (word & 127) << 7 | np.where(is_longest, word >> 8 & 127, 0) << 14
        after[longer] += 1 + is_longest
        is_followed[longer] = ~is_longest | (word >> 8 & 128 == 0)
    after += sizes
    is_followed &= after <= end
    return np.minimum(after, end), is_followed

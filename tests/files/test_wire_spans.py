from __future__ import annotations

import random
import time

import numpy as np
import pytest

from tfmagic.files import wire, wire_spans
from tfmagic.files.wire import Buffer, WireError


def places(texts: list[bytes], gap: int = 0) -> tuple[Buffer, wire.Integers, wire.Integers]:
    """Lay contents into a buffer, with a gap before each."""
    sizes = np.array([len(text) for text in texts], np.int64)
    ends = np.cumsum(sizes + gap)
    return Buffer(b"".join(b"\xff" * gap + text for text in texts)), ends - sizes, ends


TEXTS = ["", "plain", "with\0nul", "größer", "日本語", "🐍" * 40, "\x7f", "\u202e"]


@pytest.mark.parametrize("gap", [0, 100_000], ids=["close together", "far apart"])
def test_strings_are_utf8(gap: int) -> None:
    assert wire_spans.strings(*places([text.encode() for text in TEXTS], gap)) == TEXTS


@pytest.mark.parametrize("gap", [0, 100_000], ids=["close together", "far apart"])
@pytest.mark.parametrize("bad", [b"\xff", b"ab\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_strings_that_are_not_utf8_say_where(bad: bytes, gap: int) -> None:
    buffer, starts, ends = places([b"fine", bad], gap)
    with pytest.raises(WireError, match="not UTF-8") as raised:
        wire_spans.strings(buffer, starts, ends)
    assert starts[1] <= raised.value.offset <= ends[1]


def test_no_strings() -> None:
    nowhere = np.zeros(0, np.int64)
    assert wire_spans.strings(Buffer(b""), nowhere, nowhere) == []
    assert wire_spans.strings(Buffer(b""), np.zeros(2, np.int64), np.zeros(2, np.int64)) == ["", ""]


@pytest.mark.parametrize("lengths", [(0, 3), (0, 9), (7, 9), (250, 262), (0, 400)])
def test_contents_told_apart_as_a_dict_does(lengths: tuple[int, int]) -> None:
    rng = random.Random(sum(lengths))
    pool = [rng.randbytes(rng.randint(*lengths)) for _ in range(40)]
    # Contents that differ in length only, or in the last byte only.
    pool += [b"\0" * lengths[1], b"\0" * (lengths[1] - 1), pool[0][:-1] + b"!", pool[0] + b"\0"]
    texts = [rng.choice(pool) for _ in range(500)]
    codes, examples = wire_spans.distinct(*places(texts, gap=3))
    assert [texts[example] for example in examples[codes].tolist()] == texts
    assert len(examples) == len(set(texts))
    assert examples.tolist() == [texts.index(texts[example]) for example in examples.tolist()]


def test_a_collision_of_hashes_is_no_equality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_spans, "_FACTORS", np.zeros_like(wire_spans._FACTORS))
    texts = [bytes([65 + index % 7]) * 20 for index in range(100)]
    codes, examples = wire_spans.distinct(*places(texts))
    assert [texts[example] for example in examples[codes].tolist()] == texts


def test_many_long_contents_take_linear_time() -> None:
    texts = [index.to_bytes(4, "little") * 80 for index in range(60_000)]
    buffer, starts, ends = places(texts)
    began = time.process_time()
    codes, _ = wire_spans.distinct(buffer, starts, ends)
    assert codes.tolist() == list(range(60_000))
    assert time.process_time() - began < 10


def test_words_can_be_read_up_to_the_last_byte() -> None:
    data = b"\x0a\x03abc"
    padded = Buffer(bytearray(data + bytes(wire.PADDING)), len(data))
    assert (padded.size, Buffer(data).size) == (5, 5)
    for buffer in (padded, Buffer(data)):
        assert wire_spans.distinct(buffer, np.array([2, 4]), np.array([5, 5]))[0].tolist() == [0, 1]

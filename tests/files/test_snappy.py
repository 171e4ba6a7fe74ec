from __future__ import annotations

import random

import pytest

from tests.checkpoint_samples import snappy_literals
from tfmagic.files import snappy


@pytest.mark.parametrize("size", [0, 1, 60, 61, 65_536, 200_000])
def test_literals(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert snappy.decompress(snappy_literals(data)) == data


@pytest.mark.parametrize(
    ("compressed", "expected"),
    [
        (b"\x08\x0cabcd\x01\x04", b"abcdabcd"),  # a copy with an offset of one byte and three bits
        (b"\x08\x0cabcd\x0e\x04\x00", b"abcdabcd"),  # of two bytes
        (b"\x08\x0cabcd\x0f\x04\x00\x00\x00", b"abcdabcd"),  # of four bytes
        (b"\x0b\x04ab\x22\x02\x00", b"ab" + b"abababab" + b"a"),  # reaching into itself
        (b"\x03\xf0\x02abc", b"abc"),  # a literal's length in a byte of its own
    ],
)
def test_elements(compressed: bytes, expected: bytes) -> None:
    assert snappy.decompress(compressed) == expected


@pytest.mark.parametrize(
    "compressed",
    [
        b"",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x05",
        b"\x05\x10ab",
        b"\x05\x01\x04",
        b"\x08\x0cabcd\x01\x05",
        b"\x08\x0cabcd\x01\x00",
        b"\x02\x0cabcd",
        b"\x04\x0cabcdTRAILING",
        b"\x08\x0cabcd\x0e\x04",
    ],
)
def test_damage_is_a_value_error(compressed: bytes) -> None:
    with pytest.raises(ValueError, match="compressed"):
        snappy.decompress(compressed)


def test_no_allocation_by_the_claimed_length() -> None:
    with pytest.raises(ValueError, match="4294967295 bytes"):
        snappy.decompress(b"\xff\xff\xff\xff\x0f\x0cabcd")


def test_a_beginning_gives_what_it_has() -> None:
    data = random.Random(3).randbytes(100_000)
    beginning = snappy_literals(data)[:70_000]
    result = snappy.decompress(beginning, partial=True)
    assert data.startswith(result)
    assert len(result) > 69_000


def test_random_bytes_end() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        data = rng.randbytes(rng.randrange(60))
        try:
            result = snappy.decompress(data)
        except ValueError:
            continue
        assert len(result) <= 64 * len(data)

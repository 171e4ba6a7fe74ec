from __future__ import annotations

import random

import pytest

from tfmagic.files import crc32c


def slowly(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_known_value() -> None:
    assert crc32c.checksum(b"123456789") == 0xE3069283


@pytest.mark.parametrize("size", [0, 1, 4, 47, 48, 255, 5685, 5686, 45_480, 45_481, 45_489, 307_624, 307_625])
def test_every_length_agrees_with_the_definition(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c.checksum(data) == slowly(data)


def test_polynomial_divides_what_is_added() -> None:
    remainder, polynomial = 1 << 5685 | 1 << 1362 | 1 << 426 | 1, 0x1_1EDC6F41
    while remainder.bit_length() >= polynomial.bit_length():
        remainder ^= polynomial << remainder.bit_length() - polynomial.bit_length()
    assert remainder == 0


@pytest.mark.parametrize("offset", range(1, 9))
def test_data_may_begin_anywhere_in_memory(offset: int) -> None:
    data = random.Random(offset).randbytes(100_003)
    assert crc32c.checksum(memoryview(data)[offset:]) == crc32c.checksum(data[offset:])


def test_goes_on_from_what_came_before() -> None:
    data = random.Random(1).randbytes(3_000_001)
    assert crc32c.checksum(data[777:], crc32c.checksum(data[:777])) == crc32c.checksum(data)


def test_masked_as_tensorflow_masks() -> None:
    # tsl/lib/hash/crc32c.h: rotate right by 15 bits, add a constant.
    assert crc32c.masked(0) == 0xA282EAD8
    assert crc32c.masked(0x8000) == 0xA282EAD9

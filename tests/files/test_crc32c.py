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


@pytest.mark.parametrize("size", [0, 1, 4, 255, 256, 257, 512, 768, 5000, 70_001])
def test_every_length_agrees_with_the_definition(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c.checksum(data) == slowly(data)


def test_goes_on_from_what_came_before() -> None:
    data = random.Random(1).randbytes(3_000_001)
    assert crc32c.checksum(data[777:], crc32c.checksum(data[:777])) == crc32c.checksum(data)


def test_masked_as_tensorflow_masks() -> None:
    # tsl/lib/hash/crc32c.h: rotate right by 15 bits, add a constant.
    assert crc32c.masked(0) == 0xA282EAD8
    assert crc32c.masked(0x8000) == 0xA282EAD9

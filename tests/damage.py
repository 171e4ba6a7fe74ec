"""Ways in which a file comes to harm, for tests that readers answer with errors of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


def flip(data: bytearray, chance: random.Random) -> None:
    """Turn one bit over."""
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def overwrite(data: bytearray, chance: random.Random) -> None:
    """Write anything to a few places."""
    for _ in range(chance.randrange(2, 40)):
        data[chance.randrange(len(data))] = chance.randrange(256)


def truncate(data: bytearray, chance: random.Random) -> None:
    """Cut the end off."""
    del data[chance.randrange(len(data)) :]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, overwrite, truncate)

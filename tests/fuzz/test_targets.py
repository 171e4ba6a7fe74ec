"""What was found by fuzzing, read again; and each target with its seeds, whole and a little damaged."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.damage import DAMAGES
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS

#: A folder for each target, a file for each find.
FINDS = Path(__file__).with_name("finds")


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    counts = seeds.gather(folder, None)
    assert min(counts[name] for name in TARGETS if name not in ("wire", "text")) > 0
    return folder


def test_what_was_found_is_answered() -> None:
    for find in FINDS.glob("*/*"):
        TARGETS[find.parent.name](find.read_bytes())


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_answered_whole_and_damaged(name: str, gathered: Path) -> None:
    chance = random.Random(name)
    for seed in sorted((gathered / name).glob("*"))[:2]:
        whole = seed.read_bytes()
        TARGETS[name](whole)
        for damage in DAMAGES:
            data = bytearray(whole)
            damage(data, chance)
            TARGETS[name](bytes(data))

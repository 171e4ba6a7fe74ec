"""What is shown of a model takes as much longer as the model is larger, whatever there is much of.

A ratio of two sizes, in seconds of the processor: how busy a machine is does not count. The figures of really large
models are in ``tests/benchmarks/bench_any_size.py``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests import size_samples
from tfmagic import frames
from tfmagic.display import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

SMALL, TIMES = 800, 5
#: What goes with the square of the size takes 25 times as long; what is sorted, collected and cached a bit more than 5.
MOST = 11
#: What there is to do at any size.
LEAST = 0.03


def seconds(path: Path) -> float:
    """Return what it takes to read a model and to show it as text and as HTML."""
    begun = time.process_time()
    model = tfmagic.inspect(path)
    assert repr(model)
    assert model._repr_html_()
    return time.process_time() - begun


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what showing imports."""
    for kind in size_samples.KINDS:
        seconds(size_samples.written(kind, 10, tmp_path_factory.mktemp(kind)))


@pytest.mark.parametrize("kind", ["layers", "signatures", "variables"])
def test_a_text_makes_no_dataframe_of_rows_that_it_does_not_show(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    whole = frames.from_columns

    def noted(table: str, values: Mapping[str, Sequence[object]]) -> pd.DataFrame:
        frame = whole(table, values)
        counts.append(len(frame) if table == kind else 0)
        return frame

    monkeypatch.setattr(frames, "from_columns", noted)
    model = tfmagic.inspect(size_samples.written(kind, 50, tmp_path))
    assert repr(model)
    assert 0 < max(counts) <= render.MAX_ROWS
    assert len(model.table(kind)) >= 50


@pytest.mark.parametrize("kind", size_samples.KINDS)
def test_a_model_that_is_larger_takes_no_more_than_its_size_longer(kind: str, tmp_path: Path) -> None:
    paths = [size_samples.written(kind, count, tmp_path) for count in (SMALL, TIMES * SMALL)]
    small, large = map(seconds, paths)
    if large >= MOST * max(small, LEAST):
        # Something came between.
        large = min(large, seconds(paths[1]))
    assert large < MOST * max(small, LEAST), f"{kind}: {small:.3f} s of {SMALL:,}, {large:.3f} s of {TIMES * SMALL:,}"

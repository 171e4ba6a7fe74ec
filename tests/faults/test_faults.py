"""The short form of ``make faults``: what puts files in their place, at every call, and a few calls of some writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import ready_python, shared_folders
from tests.faults import interposer
from tests.faults.__main__ import tried
from tests.faults.subjects import PLAIN
from tests.faults.trial import PACKAGE, STAGING

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(interposer.why_not()), reason=interposer.why_not() or "it can be had")


@pytest.fixture(scope="session")
def library(run_folder: Path) -> Path:
    return shared_folders.filled(run_folder / "interposer", interposer.compiled) / interposer.LIBRARY


@pytest.fixture(scope="session")
def ready(library: Path, run_folder: Path) -> list[str]:
    """What stands for ``python``: TensorFlow is imported there, the interposer preloaded."""
    return ready_python.command(run_folder, ready_python.TENSORFLOW, {"LD_PRELOAD": str(library)})


def wrong(name: str, mode: str, kind: str, library: Path, **options: Any) -> tuple[int, list[str]]:
    """Return how many points were tried, and what was wrong; what is in parentheses is as it must be."""
    codes = ("ENOSPC", "EIO", "EACCES")
    answers = list(tried(name, mode, kind, library, codes=codes, **options))
    found = [f"{words}: {text}" for words, texts in answers for text in texts if not text.startswith("(")]
    return len(answers), found


@pytest.mark.parametrize("mode", ["new", "overwrite"])
@pytest.mark.parametrize("name", PLAIN)
def test_what_puts_files_in_their_place_loses_nothing(name: str, mode: str, library: Path) -> None:
    """At every call, with one of the errors in turn."""
    for kind, every in (("calls", 3), ("kills", 1)):
        count, found = wrong(name, mode, kind, library, every=every)
        assert count > 5
        assert found == []


def test_the_code_that_is_interrupted_is_where_it_is_looked_for() -> None:
    assert [file for file in STAGING if not (PACKAGE / file).is_file()] == []


@pytest.mark.parametrize("name", ["file", "checkpoint-files"])
def test_an_interrupt_at_any_line_leaves_nothing_behind(name: str, library: Path) -> None:
    count, found = wrong(name, "overwrite", "interrupts", library, points=80)
    assert count > 30
    assert found == []


@pytest.mark.parametrize("kind", ["kills", "interrupts"])
def test_a_catalogue_is_complete_or_what_it_was(kind: str, library: Path) -> None:
    for mode in ("new", "overwrite"):
        count, found = wrong("catalogue", mode, kind, library, points=40)
        assert count > 3
        assert found == []


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_killed_checkpoint_is_the_old_one_with_files_beside_or_aside(library: Path, ready: list[str]) -> None:
    """What is beside goes with the next call, and no reader takes the old values and the new graph for one thing."""
    between = [text for _, texts in tried("checkpoint", "overwrite", "kills", library, python=ready) for text in texts]
    assert {text.partition(":")[0] for text in between} == {"(between", "(aside"}


@pytest.mark.tensorflow
@pytest.mark.slow
def test_an_upload_at_some_of_its_lines(library: Path, ready: list[str]) -> None:
    pytest.importorskip("fsspec")
    count, found = wrong("uploaded-graph", "overwrite", "interrupts", library, points=20, python=ready)
    assert count > 10
    assert found == []


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved-model", "checkpoint", "h5"])
def test_a_writer_at_some_of_its_calls(name: str, library: Path, ready: list[str]) -> None:
    count, found = wrong(name, "overwrite", "calls", library, points=12, python=ready)
    assert count > 5
    assert found == []


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_writer_without_tensorflow_at_some_of_its_calls(library: Path) -> None:
    count, found = wrong("stored-saved-model", "overwrite", "calls", library, points=12)
    assert count > 5
    assert found == []


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_disk_that_is_full_does_not_end_the_process(library: Path, ready: list[str]) -> None:
    count, found = wrong("weights", "new", "full", library, points=12, python=ready)
    assert count > 5
    assert found == []

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING

from tfmagic import progress

if TYPE_CHECKING:
    import pytest


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal that a person looks at; of a fixture's, pytest would take the place before the test begins."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_short_call_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with progress.stages("m.pb", 3) as begin:
        for name in ("tracing", "converting", "writing"):
            begin(name)
    assert not terminal.getvalue()


def test_a_long_stage_is_shown_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "_DELAY", 0.05)
    with progress.stages("m.pb", 2) as begin:
        begin("tracing")
        deadline = time.monotonic() + 5
        while "tracing" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "tracing" in terminal.getvalue()
        begin("writing")
        assert "writing" in terminal.getvalue()
    # The line is empty in the end.
    assert not terminal.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip()


def test_nothing_is_shown_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "_DELAY", 0.02)
    with progress.stages("m.pb", 1) as begin:
        begin("tracing")
    time.sleep(0.06)
    assert not terminal.getvalue()

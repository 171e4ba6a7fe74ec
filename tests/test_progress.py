from __future__ import annotations

import io
import os
import sys
import threading
import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tfmagic import progress
from tfmagic.runtime import native_log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

_STAGES = ["tracing", "converting", "writing", "verifying"]


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


def test_who_drives_kernels_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel.kernelapp")
    assert not progress.is_kernel()
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    monkeypatch.setattr(progress, "_DELAY", 0.01)
    with progress.stages("m.pb", 2) as begin:
        begin("tracing")
        time.sleep(0.1)
        begin("writing")
    assert not terminal.getvalue()
    before = os.fstat(2)
    native_log.held()(None)
    end = native_log.held()
    assert os.fstat(2) == before
    end(None)


def test_nothing_is_shown_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "_DELAY", 60)
    before = set(threading.enumerate())
    with progress.stages("m.pb", 1) as begin:
        begin("tracing")
        begun = set(threading.enumerate()) - before
        assert begun
    for thread in begun:
        thread.join()
    assert not terminal.getvalue()


def test_a_front_with_a_better_place_shows_a_line_there_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    lines: list[str] = []
    is_shown = threading.Event()

    def put(text: str) -> None:
        lines.append(text)
        is_shown.set()

    monkeypatch.setattr(progress, "place", lambda: put)
    with progress.stages("m.pb", 1) as begin:
        begin("tracing")
    assert lines == []
    monkeypatch.setattr(progress, "_DELAY", 0.05)
    with progress.stages("m.pb", 2) as begin:
        begin("tracing")
        assert is_shown.wait(5)
        begin("writing")
    assert lines == ["m.pb: tracing (step 1 of 2)", "m.pb: writing (step 2 of 2)", ""]
    assert not terminal.getvalue()


class Stopping(progress.Watch):
    """A watch that stops a call at one of its checks, and counts them."""

    def __init__(self, at: int = -1) -> None:
        self.stages: list[progress.Stage] = []
        self.checks = 0
        self.at = at
        super().__init__(self.stages.append)

    def check(self) -> None:
        if self.checks == self.at:
            self.cancel()
        self.checks += 1
        super().check()


def module() -> Any:
    tf = pytest.importorskip("tensorflow")
    made = tf.Module()
    made.weights = [tf.Variable(tf.fill([3, 3], float(number))) for number in range(3)]

    def call(x: Any) -> dict[str, Any]:
        for each in made.weights:
            x = tf.matmul(x, each)
        return {"y": x}

    made.call = tf.function(call, input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    return made


def contents_of(directory: Path) -> dict[str, bytes]:
    """All files below a directory, hidden ones too."""
    return {str(each.relative_to(directory)): each.read_bytes() for each in directory.rglob("*") if each.is_file()}


def test_who_watches_gets_the_stages_and_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "_DELAY", 0)
    watch = Stopping()
    with progress.watched(watch), progress.stages("m.pb", 2) as begin:
        begin("tracing")
        begin("writing")
        with progress.writing(lambda: 30, 40):
            deadline = time.monotonic() + 5
            while len(watch.stages) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
    assert not terminal.getvalue()
    seen = [(each.name, each.place, each.count, each.share) for each in watch.stages[:3]]
    assert seen == [("tracing", 0, 2, 0), ("writing", 1, 2, 0), ("writing", 1, 2, 0.75)]
    assert watch.stages[2].total == pytest.approx(1.75 / 2)


def test_a_watch_is_that_of_its_own_context_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "_DELAY", 0)
    watches = [Stopping(), Stopping()]
    both = threading.Barrier(2)

    def call(number: int) -> None:
        with progress.watched(watches[number]), progress.stages("m", 1) as begin:
            both.wait(5)
            begin(f"stage {number}")
            both.wait(5)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    with progress.stages("m", 1) as begin:
        begin("shown")
    for thread in threads:
        thread.join()
    assert [[stage.name for stage in each.stages] for each in watches] == [["stage 0"], ["stage 1"]]
    assert "shown" in terminal.getvalue()


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "place",
    ["m", "m.pb", "m.pbtxt", "m.ckpt", "m.tflite", "m.keras", "m.h5", "m.weights.h5", "events.tfevents.1", "m.onnx"],
)
def test_a_call_cancelled_anywhere_leaves_what_was_there(samples: Built, tmp_path: Path, place: str) -> None:
    if place.endswith(".onnx"):
        pytest.importorskip("tf2onnx")
    format = "tensorboard" if "tfevents" in place else None
    source = samples["keras_model"] if place.endswith((".keras", ".h5")) else module()
    export = partial(tfmagic.export, source, format=format)
    export(tmp_path / place)
    before = contents_of(tmp_path)
    counting = Stopping()
    with progress.watched(counting):
        export(tmp_path / "elsewhere" / place)
    # A stage that takes long is told of more than once, on a slow disk before its first byte too.
    assert [name for name, _ in groupby(each.name for each in counting.stages)] == _STAGES
    # Stages, blocks, runs, and the last moment.
    assert counting.checks > len(_STAGES)
    # TFLite's own conversion takes a second each time: every fourth place, and the last.
    step = 4 if place == "m.tflite" else 1
    for at in sorted({*range(0, counting.checks, step), counting.checks - 1}):
        with pytest.raises(progress.CancelledError), progress.watched(Stopping(at)):
            export(tmp_path / place, overwrite=True)
        assert {name: each for name, each in contents_of(tmp_path).items() if "elsewhere" not in name} == before
    with pytest.raises(progress.CancelledError), progress.watched(Stopping(counting.checks - 1)):
        export(tmp_path / "new" / place)
    assert not (tmp_path / "new").exists()
    marks = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*") if each.is_file()}
    with progress.watched(Stopping(counting.checks)):
        export(tmp_path / place, overwrite=True)
    # What is left alone at each check is replaced once there is none.
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*") if each.is_file()} != marks


def test_copies_stop_between_two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_BLOCK", 4)
    (tmp_path / "one").write_bytes(b"0123456789")
    written = io.BytesIO()
    with pytest.raises(progress.CancelledError), progress.watched(Stopping(2)), (tmp_path / "one").open("rb") as file:
        progress.copy(file, written)
    assert written.getvalue() == b"01234567"
    with progress.watched(Stopping()), (tmp_path / "one").open("rb") as file:
        progress.copy(file, written)
    assert written.getvalue() == b"012345670123456789"


def test_what_goes_on_is_ended_and_nothing_after_it() -> None:
    watch, ended = progress.Watch(lambda _: None), []

    def work(number: int) -> None:
        with progress.watched(watch), progress.stopping(lambda: ended.append(number)):
            watch.cancel()
            assert ended == [1]
            raise ValueError("what the end makes of it")

    with pytest.raises(progress.CancelledError):
        work(1)
    # Now it was asked to stop before.
    with pytest.raises(progress.CancelledError):
        work(2)
    assert ended == [1]
    with progress.stopping(lambda: pytest.fail("nobody watches")):
        pass

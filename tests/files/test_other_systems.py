"""What other systems do another way, by stand-ins: no fcntl, no links, no names that differ in letters' case alone."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest

import tfmagic
from tests.conftest import ROOT
from tests.faults.subjects import CheckpointWithoutGraph, PlainCheckpoint
from tests.files import other_systems
from tfmagic import errors
from tfmagic.files import places, protos, renames, writing
from tfmagic.files.checkpoints import state_file
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.writers.saved_model import assets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux stands in for the others")

GRAPH = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "w" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "value" value { tensor {
  dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 1 float_val: 2 } } } }
node { name: "y" op: "Mul" input: "x" input: "w" attr { key: "T" value { type: DT_FLOAT } } }
"""
#: What comes before all else in a process of its own.
WINDOWS = "import pandas; from tests.files import other_systems; other_systems.become_windows()\n"
NO_LOCKS = "import sys; sys.modules['fcntl'] = None\n"
#: Writes each kind of thing, and again over it; what was left by a process that died is cleared up.
WRITES = """
import os, sys
from pathlib import Path
from tests.faults.subjects import CheckpointWithoutGraph, DeepFile, PlainCheckpoint, PlainDirectory, PlainFile
from tfmagic import errors
from tfmagic.files import hidden_places, temporary_files

place = Path(sys.argv[1])
for subject in (PlainFile(), DeepFile(), PlainDirectory(), PlainCheckpoint(), CheckpointWithoutGraph()):
    destination = place / type(subject).__name__ / subject.destination
    (place / type(subject).__name__).mkdir(exist_ok=True)
    subject.write(destination, 1, overwrite=False)
    assert subject.version(destination) == 1
    try:
        subject.write(destination, 2, overwrite=False)
    except errors.WriteError:
        pass
    else:
        raise AssertionError(f"{subject} was replaced without a word")
    for version in (2, 3):
        subject.write(destination, version, overwrite=True)
        assert subject.version(destination) == version, subject
with temporary_files.Scratch() as scratch:
    (scratch / "file").write_text("x")
assert not scratch.exists()
assert not [path for path in place.rglob("*") if hidden_places.is_hidden(path.name)]
left = place / ".tfmagic-00000000-000000000000"
left.mkdir()
hidden_places.sweep(place)
assert not left.exists()
"""
#: What a person does with files where there is no TensorFlow.
VERBS = """
import sys
sys.modules["tensorflow"] = None
from pathlib import Path
import tfmagic

place = Path(sys.argv[1])
ends = dict(inputs={"x": "x"}, outputs={"y": "y"})
for _ in range(2):
    tfmagic.export(place / "small.pbtxt", place / "served", **ends, overwrite=True)
    tfmagic.freeze(place / "served", output=place / "frozen.pb", overwrite=True)
    tfmagic.export(place / "small.pbtxt", place / "logs", format="tensorboard")
tfmagic.sign(place / "served", rename={"serving_default": "other"})
tfmagic.sign(place / "served", place / "copy", rename={"other": "third"})
assert list(tfmagic.inspect(place / "copy").signatures["signature"].unique()) == ["third"]
assert list(tfmagic.inspect(place / "served").signatures["signature"].unique()) == ["other"]
assert len(tfmagic.inspect(place / "frozen.pb").ops) == 3
assert not [path for path in place.rglob("*") if path.name.startswith(".tfmagic")]
"""


def run(script: str, place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, str(place)], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "TMPDIR": str(place)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("system", [WINDOWS, NO_LOCKS], ids=["windows", "no locks"])
def test_every_kind_of_thing_is_written_and_replaced(system: str, tmp_path: Path) -> None:
    run(system + WRITES, tmp_path)


@pytest.mark.parametrize("system", [WINDOWS, NO_LOCKS], ids=["windows", "no locks"])
def test_files_are_converted(system: str, tmp_path: Path) -> None:
    (tmp_path / "small.pbtxt").write_text(GRAPH.replace("\n", "\r\n"), newline="")
    run(system + VERBS, tmp_path)


@pytest.fixture
def insensitive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not mind the case of letters."""
    other_systems.ignore_case(monkeypatch)
    # It would go past Python's calls.
    monkeypatch.setattr(renames, "_renamed", lambda *_names, **_options: errno.ENOSYS)


@pytest.mark.usefixtures("insensitive")
@pytest.mark.parametrize("subject", [PlainCheckpoint(), CheckpointWithoutGraph()], ids=["graph", "none"])
def test_a_checkpoint_by_its_name_in_other_letters_is_the_same(subject: PlainCheckpoint, tmp_path: Path) -> None:
    subject.write(tmp_path / "Model.ckpt", 1, overwrite=False)
    with pytest.raises(errors.WriteError, match="exists"):
        subject.write(tmp_path / "model.ckpt", 2, overwrite=False)
    assert subject.version(tmp_path / "Model.ckpt") == 1
    subject.write(tmp_path / "model.ckpt", 2, overwrite=True)
    assert subject.version(tmp_path / "model.ckpt") == 2
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".index"]) == 1
    # Of the old one no shard is left.
    assert len(checkpoint_writing.files(tmp_path / "model.ckpt")) == len(list(tmp_path.iterdir()))
    assert state_file.numbered(tmp_path / "model.ckpt").name == "model.ckpt-1"
    (tmp_path / "Model.ckpt-7.index").touch()
    assert state_file.numbered(tmp_path / "model.ckpt").name == "model.ckpt-8"


@pytest.mark.usefixtures("insensitive")
def test_a_source_by_its_name_in_other_letters_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "Small.pbtxt").write_text(GRAPH)
    tfmagic.export(tmp_path / "Small.pbtxt", tmp_path / "Served", inputs={"x": "x"}, outputs={"y": "y"}, verify=False)
    with pytest.raises(errors.WriteError, match="what is read"):
        tfmagic.freeze(
            tmp_path / "Small.pbtxt", inputs=["x"], outputs=["y"], output=tmp_path / "small.PBTXT", overwrite=True
        )
    with pytest.raises(errors.WriteError, match="lies inside of what is read"):
        tfmagic.sign(tmp_path / "Served", tmp_path / "served" / "again", rename={"serving_default": "other"})
    with pytest.raises(errors.WriteError, match="what is read"):
        tfmagic.export(tmp_path / "Served", tmp_path / "SERVED", overwrite=True, verify=False)


def test_where_case_counts_two_names_are_two(tmp_path: Path) -> None:
    for name in ("model", "Model"):
        (tmp_path / name).mkdir()
    assert places.is_within(tmp_path / "model" / "file", tmp_path / "model")
    assert not places.is_within(tmp_path / "Model" / "file", tmp_path / "model")
    PlainCheckpoint().write(tmp_path / "A.ckpt", 1, overwrite=False)
    PlainCheckpoint().write(tmp_path / "a.ckpt", 2, overwrite=False)
    assert PlainCheckpoint().version(tmp_path / "A.ckpt") == 1
    assert len(checkpoint_writing.files(tmp_path / "a.ckpt")) == 3
    (tmp_path / "A.ckpt-7.index").touch()
    assert state_file.numbered(tmp_path / "a.ckpt").name == "a.ckpt-1"


def test_files_that_come_along_have_names_that_differ_everywhere() -> None:
    """Windows drops dots and blanks at the end, macOS keeps an accent beside its letter: each is one with another."""
    names = ["Words.txt", "words.txt", "more.txt", "more.txt.", "more.txt. ", "caf\u00e9", "cafe\u0301"]
    nodes = {f"file{place}": protos.message("NodeDef")(name=f"file{place}", op="Const") for place in range(len(names))}
    files = {f"file{place}": Path(f"{place}/{name}") for place, name in enumerate(names)}
    meta_graph = SimpleNamespace(header=protos.message("MetaGraphDef")())
    store: Any = SimpleNamespace(asset_paths=files, meta_graph=meta_graph)
    assert [asset.name for asset in assets.assets_of(nodes, store)] == [
        "Words.txt", "words.txt_1", "more.txt", "more.txt._1", "more.txt. _1", "caf\u00e9", "cafe\u0301_1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["", "/x", "\\x", "../x", "a/../x", "a\\..\\x", "a/.. /x", "...", "C:x", "a/b:c", "a\0"]
)
def test_a_name_that_leads_out_of_its_directory_on_any_system(name: str) -> None:
    assert not places.stays_inside(name)


@pytest.mark.parametrize("name", ["words.txt", "..words", "a/b/", "./a", "a//b", "a\\b", "a b. ", "caf\u00e9"])
def test_a_name_that_stays_in_its_directory_on_any_system(name: str) -> None:
    assert places.stays_inside(name)


def test_names_of_windows_that_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "Path", PureWindowsPath)
    assert places.leads_elsewhere("C:words.txt", tmp_path)
    assert places.leads_elsewhere(r"\words.txt", tmp_path)
    assert not places.leads_elsewhere(r"sub\words.txt", tmp_path)


def test_a_copy_that_may_not_be_written_to_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, synced, flushed = Path.open, os.fsync, []

    def opening(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "+" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, mode, *arguments, **options)

    def syncing(number: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{number}").readlink().name)
        synced(number)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "open", opening)
    with writing.Staging(tmp_path / "served", directory=True) as staged:
        staged.mkdir()
        (staged / "words.txt").write_text("dear")
        (staged / "words.txt").chmod(0o444)
    assert "words.txt" in flushed
    assert (tmp_path / "served" / "words.txt").read_text() == "dear"


def test_a_path_that_is_longer_than_the_system_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows says of such a path that there is no such file."""
    made = os.mkdir

    def making(path: str, *arguments: int) -> None:
        if len(os.fspath(path)) > 259:
            raise FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", path)
        made(path, *arguments)

    folder = tmp_path / ("d" * (250 - len(str(tmp_path))))
    folder.mkdir()
    monkeypatch.setattr(os, "mkdir", making)
    with (
        pytest.raises(errors.WriteError, match=r"longer than the system takes.*shorter"),
        writing.Staging(folder / "m.pb"),
    ):
        pytest.fail("the block must not begin")
    assert list(folder.iterdir()) == []

"""Every writer at every kind of odd place: it writes the whole thing there, or says why not and leaves what was there.

The writers are the subjects of the fault tests, which other libraries read. Not for: staging by itself
(``tests/files/test_writing.py``), sources that change (``tests/verbs/test_places.py``).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.conftest import ROOT
from tests.faults.subjects import SUBJECTS, Subject, doubled
from tests.faults.trial import is_hidden, tree
from tests.samples import SAMPLES
from tests.verbs import limited_processes
from tests.versions import needs_quiet_threads
from tfmagic import errors, progress
from tfmagic.files import copies, hidden_places, write_checks
from tfmagic.verbs import restore as restore_verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.samples import Built

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(os.name != "posix", reason="links, users and mounts are those of Unix"),
]
_MOUNT, _UMOUNT = (shutil.which(name) or "" for name in ("mount", "umount"))
_FILES = ("graph", "graph-text", "keras", "h5", "weights", "tflite", "onnx", "events", "outputs")
_WRITERS = (
    *_FILES,
    "saved-model",
    "sign",
    "merge",
    "slim",
    "slim-checkpoint",
    "checkpoint",
    "checkpoint-copied",
    "object-checkpoint",
    "events-directory",
)
#: A user who may nothing.
_NOBODY = 65534


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is signed, or copied, which everybody may read."""
    result = tmp_path_factory.mktemp("sources")
    result.chmod(0o755)
    return result


@pytest.fixture(params=_WRITERS)
def subject(request: pytest.FixtureRequest, sources: Path) -> Subject:
    """What writes."""
    if request.param == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    result = SUBJECTS[request.param]
    result.sources = sources / request.param
    result.sources.mkdir(exist_ok=True)
    return result


def _mounted(*arguments: str) -> None:
    """Mount something, or skip the test with the reason."""
    if not _MOUNT or os.geteuid():
        pytest.skip("only root mounts file systems")
    if subprocess.run([_MOUNT, *arguments], check=False, capture_output=True).returncode:
        pytest.skip("the container lets nobody mount file systems")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "mounted"
    place.mkdir()
    _mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run([_UMOUNT, "-l", str(place)], check=True)


@contextmanager
def _without_rights(tmp_path: Path) -> Iterator[None]:
    """Be a user without rights in the block; who is none of root is one already."""
    if os.geteuid():
        yield
        return
    # The directories of pytest are its user's alone.
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith(("pytest-", "popen-")) or parent == tmp_path:
            parent.chmod(0o755)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _is_added(subject: Subject) -> bool:
    """Say whether a subject adds to a directory, and replaces nothing."""
    return subject is SUBJECTS["events-directory"]


def _takes_directories(subject: Subject) -> bool:
    """Say whether a directory of any content is a place for it: event files are added to one."""
    return subject in (SUBJECTS["events"], SUBJECTS["events-directory"])


def _refused(subject: Subject, place: Path, version: int = 1) -> str:
    """Write a first version to a new place, or another over it; return why that is refused, nothing if it is done."""
    try:
        subject.write(place, version, overwrite=version > 1)
    except errors.WriteError as error:
        return str(error)
    return ""


def _whole_name(subject: Subject, length: int) -> str:
    """Return a name of so many bytes that ends as the subject's own."""
    return subject.destination.rjust(length, "n")


def test_links_are_followed_to_where_they_lead(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    real, link = tmp_path / "real" / subject.destination, tmp_path / subject.destination
    subject.write(tmp_path / "linked" / subject.destination, 1, overwrite=False)
    assert subject.version(real) == 1
    link.symlink_to(real)
    subject.write(link, 2, overwrite=True)
    assert link.is_symlink()
    assert subject.version(real) == 2
    shutil.rmtree(tmp_path / "real")
    (tmp_path / "real").mkdir()
    subject.write(link, 1, overwrite=True)
    assert link.is_symlink()
    assert subject.version(real) == 1


def test_the_other_name_of_a_file_keeps_its_content(subject: Subject, tmp_path: Path) -> None:
    place = tmp_path / "in" / subject.destination
    subject.write(place, 1, overwrite=False)
    (tmp_path / "other").mkdir()
    for file in [path for path in (tmp_path / "in").rglob("*") if path.is_file()]:
        other = tmp_path / "other" / file.relative_to(tmp_path / "in")
        other.parent.mkdir(exist_ok=True)
        os.link(file, other)
    before = tree(tmp_path / "other")
    subject.write(place, 2, overwrite=True)
    assert subject.version(place) == 2
    assert tree(tmp_path / "other") == before


def test_names_at_the_limit_of_the_file_system(subject: Subject, tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    room = len(".data-00000-of-00001") if subject.is_group else 0
    place = tmp_path / _whole_name(subject, longest - room)
    for version in (1, 2):
        subject.write(place, version, overwrite=True)
        assert subject.version(place) == version
    before = tree(tmp_path)
    for parent in (tmp_path, tmp_path / ("d" * (longest + 1)), tmp_path / "new" / ("d" * (longest + 1))):
        with pytest.raises(errors.WriteError, match="longer than"):
            subject.write(parent / _whole_name(subject, longest - room + 1), 1, overwrite=True)
    assert tree(tmp_path) == before


def test_something_of_another_kind_is_not_replaced(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "directory" / subject.destination).mkdir(parents=True)
    (tmp_path / "directory" / subject.destination / "of others").touch()
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / subject.destination)
    before = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    places = [tmp_path / "file" / subject.destination]
    places += [] if _takes_directories(subject) else [tmp_path / "directory" / subject.destination]
    places += [] if subject.is_group else [tmp_path / "pipe" / subject.destination]
    for place in places:
        with pytest.raises(errors.WriteError):
            subject.write(place, 1, overwrite=True)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == before


@pytest.mark.parametrize("name", ["[a]", "a*b?", "{x} $y 'z' \"ü\"", "back\\slash", os.fsdecode(b"\xff"), "new\nline"])
def test_a_name_of_any_letters_works_or_is_told(subject: Subject, tmp_path: Path, name: str) -> None:
    place = tmp_path / name / subject.destination
    refused = _refused(subject, place)
    assert "would not find it again" in refused if refused else subject.version(place) == 1
    assert bool(refused) == (not list(tmp_path.iterdir()))


def test_a_place_that_is_not_permitted(subject: Subject, tmp_path: Path) -> None:
    place = tmp_path / "private" / subject.destination
    subject.write(place, 1, overwrite=False)
    inner = place if place.is_dir() else place.parent
    subject.write(tmp_path / "beside" / subject.destination, 2, overwrite=False)
    (tmp_path / "secret" / "inner").mkdir(parents=True)
    before = tree(tmp_path)
    (tmp_path / "private").chmod(0o555)
    inner.chmod(0o555)
    (tmp_path / "secret").chmod(0)
    try:
        with _without_rights(tmp_path):
            for where in (place, tmp_path / "private" / "new" / "er" / subject.destination):
                with pytest.raises(errors.WriteError, match="permissions") as caught:
                    subject.write(where, 2, overwrite=True)
                assert caught.value.errno == errno.EACCES
            with pytest.raises(errors.WriteError, match="permissions"):
                subject.write(tmp_path / "secret" / "inner" / subject.destination, 2, overwrite=False)
    finally:
        (tmp_path / "secret").chmod(0o755)
        (tmp_path / "private").chmod(0o755)
        inner.chmod(0o755)
    assert tree(tmp_path) == before
    assert subject.version(place) == 1


@pytest.mark.parametrize("subject", ["saved-model"], indirect=True)
@pytest.mark.parametrize("protected", [["variables"], ["variables", "."]])
def test_a_directory_in_which_nothing_may_be_changed(subject: Subject, tmp_path: Path, protected: list[str]) -> None:
    """What is replaced goes, write-protected or not; what may not be replaced stays, and nothing else does."""
    place = tmp_path / "own" / subject.destination
    # By root first, as another user may not even read the modules that are imported.
    subject.write(place, 1, overwrite=False)
    for path in (place.parent, *place.parent.rglob("*")):
        if not os.geteuid():
            os.chown(path, _NOBODY, _NOBODY)
    with _without_rights(tmp_path):
        for name in protected:
            (place / name).chmod(0o555)
        try:
            if "." in protected:
                with pytest.raises(errors.WriteError, match=r"permissions.*What was there before is unchanged"):
                    subject.write(place, 2, overwrite=True)
            else:
                subject.write(place, 2, overwrite=True)
        finally:
            for name in ("variables", "."):
                (place / name).chmod(0o755)
    assert subject.version(place) == (1 if "." in protected else 2)
    assert [path.name for path in place.parent.iterdir()] == [subject.destination]


def test_a_working_directory_that_is_gone(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(errors.WriteError, match="absolute path"):
        subject.write(Path(subject.destination), 1, overwrite=False)
    subject.write(tmp_path / subject.destination, 1, overwrite=False)
    assert subject.version(tmp_path / subject.destination) == 1


def limited(python: list[str], folder: Path, trial: str, limit: int, names: Sequence[str]) -> dict[str, str | None]:
    """Return what was wrong with each writer in a process of limits; nothing is as it must be."""
    command = [*python, "-m", limited_processes.__name__, trial, str(limit), str(folder), *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500, check=False)
    wrong: dict[str, str | None] = dict(map(json.loads, done.stdout.splitlines()))
    assert set(wrong) == set(names), done.stderr[-2000:]
    assert done.returncode == 0, (wrong, done.stderr[-2000:])
    return {name: text for name, text in wrong.items() if text is not None}


@pytest.mark.parametrize("limit", [0, 100])
def test_files_that_may_be_no_larger(tmp_path: Path, ready_tensorflow: list[str], limit: int) -> None:
    """An archive of outputs takes some bytes, each other result more than the limit."""
    absent = set() if find_spec("tf2onnx") and find_spec("onnxruntime") else {"onnx"}
    names = [name for name in _WRITERS if name not in absent]
    assert limited(ready_tensorflow, tmp_path, "no larger", limit, names) == {}


@needs_quiet_threads
def test_a_process_that_may_open_no_more_files(tmp_path: Path, ready_tensorflow: list[str]) -> None:
    """Of what runs no TensorFlow: its threads end the process where they cannot open a file."""
    names = ["outputs", "slim-checkpoint", "checkpoint-copied"]
    assert limited(ready_tensorflow, tmp_path, "no more files", 6, names) == {}


def test_what_came_with_an_image_of_a_container(subject: Subject, mounted: Path) -> None:
    """The lower layer of an overlay lets no directory of it be moved."""
    for name in ("image", "changes", "work", "container"):
        (mounted / name).mkdir()
    subject.write(mounted / "image" / "of" / subject.destination, 1, overwrite=False)
    layers = f"lowerdir={mounted}/image,upperdir={mounted}/changes,workdir={mounted}/work"
    _mounted("-t", "overlay", "-o", layers, "overlay", str(mounted / "container"))
    try:
        place = mounted / "container" / "of" / subject.destination
        before = tree(place.parent)
        if refused := _refused(subject, place, 2):
            assert place.is_dir()
            assert "container's image" in refused
            assert tree(place.parent) == before
        else:
            assert subject.version(place) == 2
            assert not [path for path in place.parent.iterdir() if is_hidden(path.name)]
    finally:
        subprocess.run([_UMOUNT, "-l", str(mounted / "container")], check=True)


def test_another_file_system_and_one_that_is_read_only(
    subject: Subject, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = mounted / "way" / subject.destination
    subject.write(place, 1, overwrite=False)
    assert subject.version(place) == 1
    subject.write(place, 2, overwrite=True)
    assert subject.version(place) == 2
    before = tree(mounted)
    subprocess.run([_MOUNT, "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(errors.WriteError, match="read-only") as caught:
        subject.write(place, 1, overwrite=True)
    assert caught.value.errno == errno.EROFS
    with pytest.raises(errors.WriteError, match=r"read-only.*Nothing of it is left there"):
        subject.write(mounted / "new" / subject.destination, 1, overwrite=False)
    assert tree(mounted) == before
    # What is temporary may lie on another file system than the result, or nowhere.
    monkeypatch.setattr(tempfile, "tempdir", str(mounted))
    beside = mounted.parent / "beside" / subject.destination
    refused = _refused(subject, beside)
    assert "TMPDIR" in refused if refused else subject.version(beside) == 1
    assert bool(refused) == (not beside.parent.exists())
    subprocess.run([_MOUNT, "-o", "remount,rw", str(mounted)], check=True)
    subject.write(mounted.parent / "at last" / subject.destination, 2, overwrite=False)
    assert subject.version(mounted.parent / "at last" / subject.destination) == 2
    assert tree(mounted) == before


def test_a_full_file_system(subject: Subject, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = mounted / subject.destination
    subject.write(place, 1, overwrite=False)
    before = tree(mounted)
    # Files without content still find room.
    with suppress(OSError), (mounted / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    for check in (True, False):
        if not check:
            monkeypatch.setattr(write_checks, "require_space", lambda _destination, _size: None)
        for where, stands in ((place, "What was there before is unchanged"), (mounted / "n" / place.name, "Nothing")):
            if check or not _is_added(subject):
                with pytest.raises(errors.WriteError, match=r"make room") as caught:
                    subject.write(where, 2, overwrite=True)
                assert caught.value.errno == errno.ENOSPC
                assert check or stands in str(caught.value)
    (mounted / "filler").unlink()
    assert tree(mounted) == before


@pytest.mark.parametrize("subject", _FILES, indirect=True)
def test_a_file_that_is_a_mount_point(subject: Subject, tmp_path: Path) -> None:
    place, other = tmp_path / subject.destination, tmp_path / "other"
    subject.write(place, 1, overwrite=False)
    shutil.copyfile(place, other)
    _mounted("--bind", str(other), str(place))
    before = tree(tmp_path)
    try:
        with pytest.raises(errors.WriteError, match=r"mounted.*What was there before is unchanged"):
            subject.write(place, 2, overwrite=True)
        assert tree(tmp_path) == before
        assert subject.version(place) == 1
    finally:
        subprocess.run([_UMOUNT, str(place)], check=True)


@pytest.mark.parametrize("subject", ["checkpoint", "object-checkpoint"], indirect=True)
@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001", ".meta"])
def test_a_checkpoint_of_which_a_file_is_a_mount_point(subject: Subject, tmp_path: Path, part: str) -> None:
    place = tmp_path / "in" / subject.destination
    subject.write(place, 1, overwrite=False)
    file, other = Path(f"{place}{part}"), tmp_path / "other"
    if not file.exists():
        pytest.skip("it has no such file")
    shutil.copyfile(file, other)
    _mounted("--bind", str(other), str(file))
    before = tree(tmp_path)
    try:
        with suppress(errors.WriteError):
            subject.write(place, 2, overwrite=True)
            assert subject.version(place) == 2
            return
        assert tree(tmp_path) == before
        assert subject.version(place) == 1
    finally:
        subprocess.run([_UMOUNT, str(file)], check=True)


# Sources


#: What each format is written of here, and the name that asks for it.
_CONVERSIONS = [
    ("saved_model_tf2", "m.pb"), ("saved_model_tf1", "m"), ("graph_def", "m"), ("meta_graph", "m"),
    ("meta_graph", "m.ckpt"), ("saved_model_tf2", "m.ckpt"), ("keras_archive", "m.ckpt"), ("keras_archive", "m.h5"),
    ("keras_hdf5", "m.keras"), ("keras_hdf5", "m.weights.h5"), ("keras_archive", "m.tflite"),
    ("saved_model_tf2", "m.tflite"), ("graph_def", "m.tflite"), ("keras_hdf5", "m.onnx"), ("graph_def", "m.onnx"),
    ("keras_archive", "m.tfevents.1"), ("graph_def", "m.tfevents.1"), ("keras_archive", "m"),
]  # fmt: skip


def _export(source: Path, place: Path, *, overwrite: bool = False, verify: bool | None = None) -> object:
    if place.suffix == ".onnx":
        pytest.importorskip("tf2onnx")
    format = "tensorboard" if "tfevents" in place.name else None
    return tfmagic.export(source, place, format=format, overwrite=overwrite, verify=verify)


@pytest.mark.parametrize(("sample", "name"), _CONVERSIONS)
def test_what_is_read_is_no_place_under_any_name(samples: Built, tmp_path: Path, sample: str, name: str) -> None:
    source = samples.copy(sample, tmp_path)
    place = tmp_path / "by a link" / name
    place.parent.mkdir()
    place.symlink_to(source)
    before = tree(tmp_path)
    if not name.endswith(".ckpt"):
        # What a link leads to may be called as no result of this format is.
        told = "what is read|is a file|which no format goes by"
        with pytest.raises(errors.TfMagicError, match=told):
            _export(source, place, overwrite=True)
    if source.is_dir():
        for inside in (source / name, source / "new" / name):
            with pytest.raises(errors.WriteError, match="lies inside of what is read"):
                _export(source, inside)
    assert tree(tmp_path) == before
    if source.is_file() and "." in name and not name.endswith(".ckpt"):
        place.unlink()
        os.link(source, place)
        content = source.read_bytes()
        _export(source, place, overwrite=True)
        assert source.read_bytes() == content != place.read_bytes()


@pytest.mark.parametrize(("sample", "name"), _CONVERSIONS)
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_source_that_changes_in_the_middle(
    samples: Built, tmp_path: Path, sample: str, name: str, *, is_replaced: bool
) -> None:
    """It is done with what was read, or refused; never done with half of it, also where nothing is compared."""
    for stage in ("tracing", "converting", "writing", "verifying"):
        here = tmp_path / stage
        (here / "to").mkdir(parents=True)
        source = samples.copy(sample, here)

        def change(now: progress.Stage, stage: str = stage, source: Path = source) -> None:
            if now.name == stage and not (source.parents[1] / "changed").exists():
                (source.parents[1] / "changed").touch()
                for file in [each for each in _files_of(source) if each.is_file()]:
                    content = file.read_bytes()
                    file.unlink()
                    if is_replaced:
                        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

        try:
            with progress.watched(progress.Watch(change)):
                _export(source, here / "to" / name, verify=None if stage == "verifying" else False)
        except (errors.TfMagicError, FileNotFoundError):
            assert list((here / "to").iterdir()) == []
        else:
            assert not is_replaced
            if not name.endswith((".onnx", ".1")):
                made = tfmagic.inspect(here / "to" / name)
                assert len(
                    made.signatures if made.form == "tflite" else made.ops if "graph" in sample else made.variables
                )
        assert (here / "changed").exists()


def _files_of(source: Path) -> list[Path]:
    """Return the files of a model: of a checkpoint, all that begin alike."""
    return [*source.rglob("*")] if source.is_dir() else [*source.parent.glob(f"{source.stem}*")]


@pytest.mark.parametrize("change", ["replaced", "gone", "written"])
def test_a_source_that_changes_while_it_is_signed(
    samples: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A copy is of one version: never the message of one beside the variables of the other."""
    source = samples.copy("saved_model_tf2", tmp_path)
    index = source / "variables" / "variables.index"
    copy = copies.copy

    def changing(*args: Any) -> None:
        monkeypatch.setattr(copies, "copy", copy)
        if change == "replaced":
            copy(source, tmp_path / "other")
        if change == "written":
            index.write_bytes(index.read_bytes() + b"\0")
        else:
            shutil.rmtree(source)
        if change == "replaced":
            (tmp_path / "other").rename(source)
        copy(*args)

    (tmp_path / "to").mkdir()
    monkeypatch.setattr(copies, "copy", changing)
    with pytest.raises(errors.CorruptSourceError, match="changed while it was signed"):
        tfmagic.sign(source, tmp_path / "to" / "m", rename={"serving_default": "again"})
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("verb", ["freeze", "merge", "merge and freeze"])
def test_what_was_made_of_a_source_is_not_written_of_another(samples: Built, tmp_path: Path, verb: str) -> None:
    """Values are read as they are written."""
    source = samples.copy("meta_graph", tmp_path)
    if verb == "freeze":
        made = tfmagic.freeze(source, verify=False)
    else:
        made = tfmagic.merge(doubled(), source, connect={"twice": "x"}, freeze="freeze" in verb, verify=False)
    for file in _files_of(source):
        if file.name.endswith((".index", "-00001")):
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(content)
    with pytest.raises(errors.ReadError, match="was written again"):
        tfmagic.export(made, tmp_path / "to" / "m.pb")
    assert not (tmp_path / "to").exists()


def test_a_file_that_is_written_again_while_its_values_are_read_restores_nothing(
    samples: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = samples.copy("keras_weights", tmp_path)
    model: Any = SAMPLES["keras_model"].build(tmp_path)
    model.set_weights([value + 1 for value in model.get_weights()])
    before = model.get_weights()
    put = restore_verb._put

    def changing(*args: Any) -> None:
        for path in _files_of(file):
            os.utime(path, ns=(1, 1))
        put(*args)

    monkeypatch.setattr(restore_verb, "_put", changing)
    with pytest.raises(errors.ReadError, match="was written again"):
        tfmagic.restore(model, file)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("name", ["m.pb", "m", "m.ckpt"])
def test_a_result_that_somebody_takes_away_at_once_was_written(
    samples: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Once it stood, nothing is raised."""
    source = samples.path("meta_graph")
    expected: Any = _export(source, tmp_path / "stays" / name)
    close = hidden_places.HiddenPlace.close

    def closing(place: hidden_places.HiddenPlace) -> None:
        close(place)
        if (tmp_path / "to").exists():
            shutil.rmtree(tmp_path / "to")

    monkeypatch.setattr(hidden_places.HiddenPlace, "close", closing)
    done: Any = _export(source, tmp_path / "to" / name)
    assert not (tmp_path / "to" / name).exists()
    assert done.bytes == pytest.approx(expected.bytes, abs=100)


@pytest.mark.skipif(sys.platform != "linux", reason="a file that fails to be read is of Linux's /proc")
def test_a_source_whose_disk_fails_is_not_told_as_the_destination(samples: Built, tmp_path: Path) -> None:
    source = samples.copy("saved_model_tf2", tmp_path)
    (source / "assets").mkdir(exist_ok=True)
    (source / "assets" / "words.txt").symlink_to("/proc/self/mem")
    with pytest.raises(errors.ReadError, match=r"words\.txt' cannot be read: Input/output error"):
        tfmagic.sign(source, tmp_path / "to" / "m", rename={"serving_default": "again"})
    assert not (tmp_path / "to").exists()

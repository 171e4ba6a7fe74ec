from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfmagic import errors
from tfmagic.files import reading, renames, write_checks, writing

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
UNIX = pytest.mark.skipif(os.name != "posix", reason="signals, users and limits are those of Unix")


def make_saved_model(path: Path, content: str = "old") -> None:
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_text(content)
    (path / "variables" / "variables.index").write_text(content * 2)


def content(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path.parent)): file.read_text() for file in files}


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write_file(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture(params=["file", "directory"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[Path, str], None], bool]:
    """A destination, what writes it, and whether it is a directory."""
    if request.param == "file":
        return tmp_path / "model.pb", write_file, False
    return tmp_path / "served", make_saved_model, True


Case = tuple[Path, "Callable[[Path, str], None]", bool]


def test_what_was_staged_becomes_the_destination(case: Case) -> None:
    destination, write, directory = case
    with writing.Staging(destination, directory=directory) as staged:
        assert staged.parent.parent == destination.parent
        assert staged.suffix == destination.suffix
        write(staged, "new")
        assert not destination.exists()
    assert "new" in content(destination).values()
    assert names(destination.parent) == [destination.name]


def test_an_existing_destination_is_refused_before_the_work(case: Case) -> None:
    destination, write, directory = case
    write(destination, "old")
    with pytest.raises(errors.WriteError, match=r"exists.*overwrite=True.*--overwrite"):
        write_checks.require_replaceable(destination, overwrite=False, directory=directory)
    with pytest.raises(errors.WriteError), writing.Staging(destination, directory=directory):
        pytest.fail("the block must not begin")
    assert "old" in content(destination).values()


def test_an_existing_destination_is_replaced_when_the_new_one_is_complete(case: Case) -> None:
    destination, write, directory = case
    write(destination, "old")
    with writing.Staging(destination, overwrite=True, directory=directory) as staged:
        write(staged, "new")
        assert "old" in content(destination).values()
    assert "old" not in content(destination).values()
    assert names(destination.parent) == [destination.name]


def test_a_directory_is_replaced_where_entries_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renames, "exchange", lambda _one, _other: False)
    make_saved_model(tmp_path / "served")
    with writing.Staging(tmp_path / "served", overwrite=True, directory=True) as staged:
        make_saved_model(staged, "new")
    assert set(content(tmp_path / "served").values()) == {"new", "newnew"}
    assert names(tmp_path) == ["served"]


def test_a_failure_between_two_renames_rolls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renames, "exchange", lambda _one, _other: False)
    make_saved_model(tmp_path / "served")
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target == tmp_path / "served":
            raise OSError(errno.EIO, "gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with (
        pytest.raises(errors.WriteError),
        writing.Staging(tmp_path / "served", overwrite=True, directory=True) as staged,
    ):
        make_saved_model(staged, "new")
    assert set(content(tmp_path / "served").values()) == {"old", "oldold"}
    assert names(tmp_path) == ["served"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_leaves_the_old_one_and_no_debris(case: Case, error: type[BaseException]) -> None:
    destination, write, directory = case
    write(destination, "old")
    before = content(destination)
    with pytest.raises(error):  # noqa: PT012, SIM117 - the exception comes from the block itself
        with writing.Staging(destination, overwrite=True, directory=directory) as staged:
            write(staged, "new")
            raise error
    assert content(destination) == before
    assert names(destination.parent) == [destination.name]


def test_parents_are_made_and_removed_again(tmp_path: Path) -> None:
    destination = tmp_path / "a" / "b" / "model.pb"
    with pytest.raises(ValueError, match="no"), writing.Staging(destination):
        raise ValueError("no")
    assert names(tmp_path) == []
    with writing.Staging(destination) as staged:
        staged.write_text("new")
    assert destination.read_text() == "new"


def test_parents_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="no"), writing.Staging(tmp_path / "a" / "b" / "model.pb"):
        raise ValueError("no")
    assert names(tmp_path) == ["a"]


def test_what_users_laid_beside_a_saved_model_is_replaced_by_its_like_alone(tmp_path: Path) -> None:
    served = tmp_path / "served"
    make_saved_model(served)
    (served / "assets.extra").mkdir()
    (served / "assets.extra" / "warm_up").touch()
    options = {"overwrite": True, "directory": True, "extra": True}
    with pytest.raises(errors.WriteError, match="'warm_up'"), writing.Staging(served, **options) as staged:
        make_saved_model(staged, "new")
    assert "old" in content(served).values()
    with writing.Staging(served, **options) as staged:
        make_saved_model(staged, "new")
        (staged / "assets.extra").mkdir()
        (staged / "assets.extra" / "warm_up").touch()
    assert "old" not in content(served).values()


@UNIX
@pytest.mark.parametrize("directory", [False, True])
def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path, *, directory: bool) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    destination = tmp_path / ("m" * (longest - 3) + ".pb")
    for _ in range(2):
        with writing.Staging(destination, overwrite=True, directory=directory) as staged:
            (make_saved_model if directory else write_file)(staged, "new")
    assert names(tmp_path) == [destination.name]
    for place in (tmp_path / ("m" * (longest + 1)), tmp_path / "way" / ("m" * (longest + 1)) / "m"):
        with pytest.raises(errors.WriteError, match="longer than"), writing.Staging(write_checks.resolved(place)):
            pytest.fail("the block must not begin")
    assert names(tmp_path) == [destination.name]


def test_of_two_writes_to_one_new_place_one_is_done(case: Case) -> None:
    destination, write, directory = case
    first = writing.Staging(destination, directory=directory)
    with pytest.raises(errors.WriteError, match="exists"), first as staged:  # noqa: PT012 - the error comes at its end
        write(staged, "first")
        with writing.Staging(destination, directory=directory) as other:
            write(other, "second")
    assert "second" in content(destination).values()
    assert names(destination.parent) == [destination.name]


def test_a_rename_never_takes_a_name_that_is_taken(case: Case) -> None:
    destination, write, _ = case
    write(destination, "old")
    other = destination.with_name("other")
    write(other, "new")
    with pytest.raises(FileExistsError):
        renames.rename_new(other, destination)
    assert "old" in content(destination).values()
    assert other.exists()


def test_an_error_of_a_library_is_told_in_ours_and_says_what_stands(tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_text("old")
    with (  # noqa: PT012 - the error comes from the block itself
        pytest.raises(errors.WriteError, match=r"no room left.*What was there before is unchanged") as caught,
        writing.Staging(tmp_path / "model.pb", overwrite=True) as staged,
    ):
        message = f"{staged}.tempstate1; No space left on device"
        raise errors.ConversionError("TensorFlow cannot save") from RuntimeError(message)
    assert caught.value.errno == errno.ENOSPC
    with (
        pytest.raises(errors.WriteError, match="Nothing of it is left"),
        writing.Staging(tmp_path / "new.pb") as staged,
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(staged))
    assert names(tmp_path) == ["model.pb"]


def test_an_empty_directory_is_replaced_only_on_word(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with pytest.raises(errors.WriteError, match="exists"):
        write_checks.require_replaceable(tmp_path / "served", overwrite=False, directory=True)
    with writing.Staging(tmp_path / "served", overwrite=True, directory=True) as staged:
        make_saved_model(staged)
    assert (tmp_path / "served" / "saved_model.pb").is_file()


def test_a_file_on_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(errors.WriteError, match="on the way to it is a file"),
        writing.Staging(tmp_path / "file" / "m.pb"),
    ):
        pytest.fail("the block must not begin")


def test_links_are_followed(tmp_path: Path) -> None:
    make_saved_model(tmp_path / "v1")
    (tmp_path / "latest").symlink_to("v1")
    destination = write_checks.resolved(tmp_path / "latest")
    with writing.Staging(destination, overwrite=True, directory=True) as staged:
        make_saved_model(staged, "new")
    assert (tmp_path / "latest").is_symlink()
    assert "new" in content(tmp_path / "v1").values()


def test_the_mode_of_a_file_stays(tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_text("old")
    (tmp_path / "model.pb").chmod(0o640)
    with writing.Staging(tmp_path / "model.pb", overwrite=True) as staged:
        staged.write_text("new")
    assert (tmp_path / "model.pb").stat().st_mode & 0o777 == 0o640


def test_a_destination_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with (  # noqa: PT012 - the error comes at the end of the block
        pytest.raises(errors.WriteError, match="exists"),
        writing.Staging(tmp_path / "model.pb") as staged,
    ):
        staged.write_text("new")
        (tmp_path / "model.pb").write_text("somebody else's")
    assert (tmp_path / "model.pb").read_text() == "somebody else's"


# Room


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.pb").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(errors.WriteError, match="no room left") as caught,
        writing.Staging(tmp_path / "model.pb", overwrite=True) as staged,
    ):
        staged.write_text("new")
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "model.pb").read_text() == "old"
    assert names(tmp_path) == ["model.pb"]


@UNIX
def test_a_file_larger_than_allowed(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with (
            pytest.raises(errors.WriteError, match="larger than this user or file system may write"),
            writing.Staging(tmp_path / "model.pb") as staged,
        ):
            staged.write_bytes(bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []


def test_an_error_of_something_that_was_read_is_not_reworded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing.Staging(tmp_path / "model.pb"):
        (tmp_path / "absent").read_text()
    with pytest.raises(PermissionError) as caught, writing.Staging(tmp_path / "model.pb"):
        raise PermissionError(errno.EACCES, "no", "/etc/shadow")
    assert not isinstance(caught.value, errors.WriteError)


def test_a_disk_that_fails_to_be_read_is_that_of_the_source(tmp_path: Path) -> None:
    """What reading a file that is open raises has no name of a file."""
    with (
        pytest.raises(errors.ReadError, match="weights' cannot be read"),
        writing.Staging(tmp_path / "model.pb"),
        reading.refusals(tmp_path / "weights"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(errors.WriteError, match="failed to write"), writing.Staging(tmp_path / "model.pb"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


AS_NOBODY = """
import os, sys
from pathlib import Path
from tfmagic import errors
from tfmagic.files import writing
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    with writing.Staging(Path(sys.argv[1])) as staged:
        staged.write_text("new")
except errors.WriteError as error:
    print(error)
"""


@UNIX
def test_a_directory_that_is_not_permitted(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o555)
    # The directories of pytest are its user's alone.
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    done = run(AS_NOBODY, tmp_path / "private" / "deep" / "model.pb")
    assert "cannot be written" in done.stdout, done.stderr
    assert "permissions" in done.stdout
    assert names(tmp_path / "private") == []


UNSEEN = """
import os, sys
from pathlib import Path
from tfmagic import errors
from tfmagic.files import write_checks
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.writers.tensorboard import TensorBoardWriter
place = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for act in (
    lambda: checkpoint_writing.require_replaceable(place / "m.ckpt", overwrite=True),
    lambda: write_checks.require_replaceable(
        TensorBoardWriter().place(place / "m.tfevents.1"), overwrite=True, directory=False
    ),
):
    try:
        act()
    except errors.WriteError as error:
        print(error)
"""


@UNIX
def test_a_directory_of_which_only_the_names_are_seen() -> None:
    # Not below pytest's directories, which another user may not enter.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        place = Path(directory, "seen")
        place.mkdir()
        (place / "m.ckpt.index").touch()
        place.chmod(0o644)
        done = run(UNSEEN, place)
        place.chmod(0o755)
    assert done.stdout.count("change the permissions") == 2, done.stderr


# Killed


WRITES = """
import sys, time
from pathlib import Path
from tfmagic.files import renames, writing
destination, directory, where = Path(sys.argv[1]), sys.argv[2] == "directory", sys.argv[3]

def stop(*_arguments):
    print("now", flush=True)
    time.sleep(60)

def replaced(self, target):
    if where == "between" and target == destination:
        stop()
    return replace(self, target)

replace = Path.replace
Path.replace = replaced
if where == "between":
    renames.exchange = lambda one, other: False
if where == "flush":
    renames.flush = stop
with writing.Staging(destination, overwrite=True, directory=directory) as staged:
    if where == "before":
        stop()
    if directory:
        (staged / "variables").mkdir(parents=True)
        (staged / "saved_model.pb").write_text("new")
        if where == "middle":
            stop()
    else:
        with staged.open("w") as file:
            file.write("ne")
            file.flush()
            if where == "middle":
                stop()
            file.write("w")
"""


def killed(destination: Path, kind: str, where: str) -> None:
    """Write in a process that is killed at some moment."""
    command = [sys.executable, "-c", WRITES, str(destination), kind, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)


@UNIX
@pytest.mark.parametrize("where", ["before", "middle", "flush"])
def test_a_kill_leaves_the_old_one_and_is_cleared_up(case: Case, where: str) -> None:
    destination, write, directory = case
    write(destination, "old")
    before = content(destination)
    killed(destination, "directory" if directory else "file", where)
    assert content(destination) == before
    hidden = [name for name in names(destination.parent) if name != destination.name]
    assert all(name.startswith(".tfmagic-") for name in hidden)
    with writing.Staging(destination, overwrite=True, directory=directory) as staged:
        write(staged, "new")
    assert names(destination.parent) == [destination.name]
    assert "new" in content(destination).values()


@UNIX
def test_a_kill_between_two_renames_is_mended(tmp_path: Path) -> None:
    make_saved_model(tmp_path / "served")
    killed(tmp_path / "served", "directory", "between")
    assert not (tmp_path / "served").exists()
    with writing.Staging(tmp_path / "other.pb") as staged:
        staged.write_text("new")
    assert set(content(tmp_path / "served").values()) == {"old", "oldold"}
    assert names(tmp_path) == ["other.pb", "served"]


@UNIX
def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES, str(tmp_path / "one.pb"), "file", "middle"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with writing.Staging(tmp_path / "two.pb") as staged:
            staged.write_text("new")
        assert len(names(tmp_path)) == 2
        process.kill()


def test_two_writes_in_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    with writing.Staging(tmp_path / "one.pb") as one:
        one.write_text("1")
        with writing.Staging(tmp_path / "two.pb") as two:
            two.write_text("2")
    assert content(tmp_path) == {f"{tmp_path.name}/one.pb": "1", f"{tmp_path.name}/two.pb": "2"}


@UNIX
def test_the_stop_button(tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_text("old")
    command = [sys.executable, "-c", WRITES, str(tmp_path / "model.pb"), "file", "middle"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert content(tmp_path / "model.pb") == {"model.pb": "old"}
    assert names(tmp_path) == ["model.pb"]


def test_the_size_of_what_is_there(tmp_path: Path) -> None:
    make_saved_model(tmp_path / "served")
    assert writing.size_of(tmp_path / "served") == 9
    assert writing.size_of(tmp_path / "served" / "saved_model.pb") == 3

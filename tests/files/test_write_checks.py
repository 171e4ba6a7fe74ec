from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.files.test_writing import UNIX, make_saved_model
from tfmagic import errors
from tfmagic.files import protos, write_checks


@pytest.mark.parametrize("entries", [["thesis.txt"], ["saved_model.pb", "notes.txt"], ["variables"], [".ssh"]])
def test_a_directory_that_is_more_than_a_model_is_never_replaced(tmp_path: Path, entries: list[str]) -> None:
    (tmp_path / "home").mkdir()
    for entry in entries:
        (tmp_path / "home" / entry).write_text("dear")
    with pytest.raises(errors.WriteError, match="more than a SavedModel"):
        write_checks.require_replaceable(tmp_path / "home", overwrite=True, directory=True)


def test_files_of_others_inside_a_saved_model_are_never_removed(tmp_path: Path) -> None:
    served = tmp_path / "served"
    make_saved_model(served)
    for path in ("variables/notes.txt", "variables/deep/variables.index", "assets/mine.csv", "assets.extra/warm_up"):
        (served / path).parent.mkdir(exist_ok=True)
        (served / path).write_text("dear")
        with pytest.raises(errors.WriteError, match=f"more than a SavedModel: it holds '{path}'"):
            write_checks.require_replaceable(served, overwrite=True, directory=True)
        (served / path).unlink()
    (served / "variables" / "variables.data-00000-of-00001").touch()
    (served / ".DS_Store").touch()
    write_checks.require_replaceable(served, overwrite=True, directory=True)


def test_assets_that_the_message_names_go_with_it(tmp_path: Path) -> None:
    served = tmp_path / "served"
    make_saved_model(served)
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    saved.meta_graphs.add().asset_file_def.add(filename="words.txt")
    (served / "saved_model.pb").write_bytes(saved.SerializeToString())
    (served / "assets").mkdir()
    (served / "assets" / "words.txt").touch()
    write_checks.require_replaceable(served, overwrite=True, directory=True)


def test_a_file_does_not_replace_a_directory_nor_the_other_way(tmp_path: Path) -> None:
    make_saved_model(tmp_path / "served")
    (tmp_path / "model.pb").write_text("old")
    with pytest.raises(errors.WriteError, match="is a directory"):
        write_checks.require_replaceable(tmp_path / "served", overwrite=True, directory=False)
    with pytest.raises(errors.WriteError, match="is a file"):
        write_checks.require_replaceable(tmp_path / "model.pb", overwrite=True, directory=True)


@UNIX
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pb")
    with pytest.raises(errors.WriteError, match="no regular file"):
        write_checks.require_replaceable(tmp_path / "pipe.pb", overwrite=True, directory=False)


@pytest.mark.parametrize("given", ["", "loop"])
def test_a_path_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(errors.WriteError, match="no path that can be written to"):
        write_checks.resolved(given)


@UNIX
@pytest.mark.parametrize("name", ["[a]", "x[!b-d]", "a\\b", "\udce4"])
def test_a_place_where_tensorflow_would_not_find_it_again(tmp_path: Path, name: str) -> None:
    for place in (tmp_path / name / "m", tmp_path / name):
        with pytest.raises(errors.WriteError, match=r"would not find it again.*name another place"):
            write_checks.require_replaceable(place, overwrite=True, directory=True)
    if name != "\udce4":
        write_checks.require_replaceable(tmp_path / name / "m.pb", overwrite=False, directory=False)
    write_checks.require_replaceable(tmp_path / "a*b?c" / "a[b" / "[]", overwrite=False, directory=True)


def test_the_users_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_checks.resolved("~/model.pb") == tmp_path.resolve() / "model.pb"
    monkeypatch.chdir(tmp_path)
    assert write_checks.resolved("~no-such-user-as-this/m") == tmp_path.resolve() / "~no-such-user-as-this" / "m"


def test_too_little_room_is_said_before_the_work(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(errors.WriteError, match=r"needs .* MiB and its file system has .* MiB left") as caught:
        write_checks.require_space(tmp_path / "new" / "model.pb", free * 2)
    assert caught.value.errno == errno.ENOSPC

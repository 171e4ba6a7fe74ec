from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfmagic.files import protos
from tfmagic.files.checkpoints import state_file

if TYPE_CHECKING:
    from pathlib import Path


def checkpoint(prefix: Path) -> Path:
    for suffix in (".index", ".data-00000-of-00001"):
        prefix.with_name(prefix.name + suffix).write_bytes(b"x")
    return prefix


def listed(directory: Path) -> list[str]:
    text = (directory / "checkpoint").read_text("utf-8")
    return list(protos.parse_text("CheckpointState", text).all_model_checkpoint_paths)


def test_numbers_go_on_after_the_highest_that_is_there(tmp_path: Path) -> None:
    prefix = tmp_path / "m.ckpt"
    assert state_file.numbered(prefix).name == "m.ckpt-1"
    for name in ("m.ckpt-2", "m.ckpt-10", "other.ckpt-99"):
        checkpoint(tmp_path / name)
    assert state_file.numbered(prefix).name == "m.ckpt-11"


def test_a_directory_that_is_not_there_begins_at_one(tmp_path: Path) -> None:
    assert state_file.numbered(tmp_path / "new" / "m").name == "m-1"


def test_the_newest_is_named_and_the_others_stay_listed(tmp_path: Path) -> None:
    for number in (1, 2):
        assert state_file.add(checkpoint(tmp_path / f"m-{number}"), None) == ()
    assert listed(tmp_path) == ["m-1", "m-2"]
    assert 'model_checkpoint_path: "m-2"' in (tmp_path / "checkpoint").read_text("utf-8")


def test_what_is_not_kept_is_removed_with_its_shards(tmp_path: Path) -> None:
    for number in (1, 2):
        state_file.add(checkpoint(tmp_path / f"m-{number}"), None)
    assert state_file.add(checkpoint(tmp_path / "m-3"), 2) == ("m-1",)
    assert listed(tmp_path) == ["m-2", "m-3"]
    assert not list(tmp_path.glob("m-1.*"))
    assert len(list(tmp_path.glob("m-2.*"))) == 2


def test_what_is_gone_is_listed_no_more(tmp_path: Path) -> None:
    state_file.add(checkpoint(tmp_path / "m-1"), None)
    for path in tmp_path.glob("m-1.*"):
        path.unlink()
    state_file.add(checkpoint(tmp_path / "m-2"), None)
    assert listed(tmp_path) == ["m-2"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"no state {", b""])
def test_a_damaged_state_file_counts_as_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    state_file.add(checkpoint(tmp_path / "m-1"), None)
    assert listed(tmp_path) == ["m-1"]


def test_names_are_taken_without_the_directory_they_had(tmp_path: Path) -> None:
    checkpoint(tmp_path / "m-1")
    (tmp_path / "checkpoint").write_text('all_model_checkpoint_paths: "/gone/C:\\\\models\\\\m-1"\n', "utf-8")
    state_file.add(checkpoint(tmp_path / "m-2"), None)
    assert listed(tmp_path) == ["m-1", "m-2"]

"""Several files that are one thing: whole at every moment, under their name or aside, never a mixture that loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.faults.subjects import CheckpointWithoutGraph, PlainCheckpoint
from tests.killed import killed_at_each_moment
from tfmagic import errors
from tfmagic.files import hidden_places, protos, renames
from tfmagic.files.checkpoints import sorted_tables, tensor_bundle
from tfmagic.files.checkpoints import writing as checkpoint_writing

if TYPE_CHECKING:
    from pathlib import Path

_CALLS = "(Path, 'replace'), (Path, 'unlink'), (Path, 'rename'), (os, 'link'), (renames, 'rename_new')"
_IMPORTS = """
from pathlib import Path
from tests.faults.subjects import CheckpointWithoutGraph, PlainCheckpoint
from tfmagic.files import renames
"""


def version(subject: PlainCheckpoint, prefix: Path) -> float | None:
    """Return which version loads, None if none does."""
    try:
        return subject.version(prefix)
    except (errors.ReadError, FileNotFoundError):
        return None


@pytest.mark.parametrize("subject", [PlainCheckpoint(), CheckpointWithoutGraph()], ids=["graph", "none"])
def test_killed_at_any_moment_one_is_whole_and_the_next_write_says_so(subject: PlainCheckpoint, tmp_path: Path) -> None:
    places = [tmp_path / str(moment) / "model.ckpt" for moment in range(40)]
    for place in places:
        place.parent.mkdir()
        subject.write(place, 1, overwrite=False)
    write = f"{type(subject).__name__}().write(Path(place), 2, overwrite=True)"
    seen = set()
    for place in killed_at_each_moment(_IMPORTS, write, _CALLS, places):
        loads, aside = version(subject, place), checkpoint_writing.set_aside(place)
        seen.add(loads)
        if loads is None:
            assert aside is not None
            assert subject.version(aside) == 1
            with pytest.raises(errors.CorruptSourceError, match="was killed: the old one lies whole as"):
                tfmagic.inspect(place, form="checkpoint")
        staging = checkpoint_writing.Staging(place, overwrite=True, size=0)
        with pytest.raises(ValueError, match="mine"), staging:  # noqa: PT012 - the error comes from the block itself
            assert subject.version(place) == (loads or 1)
            raise ValueError("mine")
        told = "what it had set aside is back in its place: " in "".join(staging.notes)
        assert told == (loads is None)
        subject.write(place, 2, overwrite=True)
        assert subject.version(place) == 2
        assert not [path for path in place.parent.iterdir() if hidden_places.is_hidden(path.name)]
    assert seen == ({1, 2, None} if subject.has_graph else {1, 2})


@pytest.mark.parametrize("subject", [PlainCheckpoint(), CheckpointWithoutGraph()], ids=["graph", "none"])
def test_killed_at_a_new_place_the_same_call_may_be_made_again(subject: PlainCheckpoint, tmp_path: Path) -> None:
    """What the killed one had put there already is nobody's checkpoint, which only ``overwrite`` may replace."""
    places = [tmp_path / str(moment) / "model.ckpt" for moment in range(40)]
    for place in places:
        place.parent.mkdir()
    write = f"{type(subject).__name__}().write(Path(place), 2, overwrite=False)"
    seen = set()
    for place in killed_at_each_moment(_IMPORTS, write, _CALLS, places):
        whole = version(subject, place)
        seen.add((whole, bool(checkpoint_writing.files(place))))
        if (whole, bool(checkpoint_writing.files(place))) == (None, True):
            with pytest.raises(errors.CorruptSourceError, match="was being written when that was killed"):
                tfmagic.inspect(place, form="checkpoint")
        if whole is None:
            subject.write(place, 1, overwrite=False)
            assert subject.version(place) == 1
            assert not [path for path in place.parent.iterdir() if hidden_places.is_hidden(path.name)]
        with pytest.raises(errors.WriteError, match="exists"):
            subject.write(place, 3, overwrite=False)
        assert subject.version(place) == (whole or 1)
    assert seen == {(None, False), (None, True), (2, True)}


def test_what_a_living_write_or_another_has_put_there_is_not_taken_for_left_over(tmp_path: Path) -> None:
    prefix = tmp_path / "model.ckpt"
    with checkpoint_writing.Staging(prefix, overwrite=False, size=0) as staged:
        PlainCheckpoint().write(staged, 1, overwrite=False)
        moves = renames.Moves(
            staged.parent.parent,
            (("new/checkpoint.data-00000-of-00001", "model.ckpt.data-00000-of-00001"),),
            (),
            (("new/checkpoint.index", "model.ckpt.index"),),
        )
        moves._write_down()
        staged.with_name("checkpoint.data-00000-of-00001").rename(tmp_path / "model.ckpt.data-00000-of-00001")
        with pytest.raises(errors.WriteError, match="exists"):
            checkpoint_writing.require_replaceable(prefix, overwrite=False)
        prefix.with_name("model.ckpt.data-00000-of-00001").unlink()
        staged.with_name("checkpoint.data-00000-of-00001").write_bytes(bytes([1]))
    assert PlainCheckpoint().version(prefix) == 1


def test_of_two_writes_to_one_new_place_one_is_done(tmp_path: Path) -> None:
    subject, prefix = PlainCheckpoint(), tmp_path / "model.ckpt"
    with (  # noqa: PT012 - the error comes at the end of the block
        pytest.raises(errors.WriteError, match="exists"),
        checkpoint_writing.Staging(prefix, overwrite=False, size=0) as staged,
    ):
        subject.write(prefix, 2, overwrite=False)
        staged.with_name("checkpoint.index").write_bytes(b"mine")
    assert subject.version(prefix) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model.ckpt.data-00000-of-00001", "model.ckpt.index", "model.ckpt.meta",
    ]  # fmt: skip


def test_a_graph_that_stays_the_same_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, prefix = PlainCheckpoint(), tmp_path / "model.ckpt"
    subject.write(prefix, 2, overwrite=False)
    monkeypatch.setattr("tfmagic.files.renames.Moves._linked", lambda *_: pytest.fail("it was set aside"))
    subject.write(prefix, 2, overwrite=True)
    assert subject.version(prefix) == 2


def test_a_name_that_is_too_long_for_its_files_is_told_before_the_work(tmp_path: Path) -> None:
    prefix = tmp_path / ("m" * 240)
    with (
        pytest.raises(errors.WriteError, match="longer than"),
        checkpoint_writing.Staging(prefix, overwrite=False, size=0),
    ):
        pytest.fail("the block must not begin")
    PlainCheckpoint().write(tmp_path / ("m" * 235), 1, overwrite=False)
    with pytest.raises(errors.WriteError, match="longer than"):
        PlainCheckpoint().write(tmp_path / ("m" * 300), 1, overwrite=False)
    with pytest.raises(errors.WriteError, match="would not find it again"):
        PlainCheckpoint().write(tmp_path / "[a]" / "m", 1, overwrite=False)


def test_shards_are_told_apart_without_a_value_being_moved(tmp_path: Path) -> None:
    staged, prefix = tmp_path / "new" / "checkpoint", tmp_path / "model.ckpt"
    staged.parent.mkdir()
    for place in (staged, prefix):
        PlainCheckpoint().write(place, 3, overwrite=False)
    before = (tmp_path / "new" / "checkpoint.data-00000-of-00001").stat()
    checkpoint_writing.distinguish(staged, prefix)
    names = sorted(path.name for path in staged.parent.iterdir() if ".data-" in path.name)
    assert names == ["checkpoint.data-00000-of-00002", "checkpoint.data-00001-of-00002"]
    after = (tmp_path / "new" / names[0]).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert tensor_bundle.open_checkpoint(staged).entries.keys() == {"x"}


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 300])
def test_a_table_that_is_written_is_read_back(tmp_path: Path, count: int) -> None:
    header = protos.message("BundleHeaderProto")(num_shards=1).SerializeToString()
    entries = {b"": header} | {f"key/{number:05}".encode(): bytes([number % 251]) * number for number in range(count)}
    (tmp_path / "table").write_bytes(sorted_tables.table(entries))
    table = sorted_tables.Table.open(tmp_path / "table")
    assert dict(table) == entries
    assert table.get(f"key/{count - 1:05}".encode()) == entries[f"key/{count - 1:05}".encode()]

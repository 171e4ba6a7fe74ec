"""Places that are odd to write to, and sources that change: each has its message, and leaves what was there."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tfmagic
from tests.faults.subjects import doubled
from tests.faults.trial import tree
from tests.keras_samples import dictionary
from tfmagic import errors
from tfmagic.files import write_checks
from tfmagic.runtime import keras as keras_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
_MOUNT, _UMOUNT = (shutil.which(name) or "" for name in ("mount", "umount"))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "mounted"
    place.mkdir()
    command = [_MOUNT, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if not _MOUNT or os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root mounts file systems, where the container lets it")
    try:
        yield place
    finally:
        subprocess.run([_UMOUNT, "-l", str(place)], check=True)


def test_a_model_whose_source_was_replaced_is_not_exported(samples: Built, tmp_path: Path) -> None:
    source = samples.copy("saved_model_tf2", tmp_path)
    graph = samples.copy("graph_def", tmp_path)
    served, file = tfmagic.inspect(source), tfmagic.inspect(graph)
    (tmp_path / "beside").touch()
    assert tfmagic.export(file, tmp_path / "logs", format="tensorboard").path.exists()
    for changed in (source / "variables" / "variables.index", graph):
        content = changed.read_bytes()
        changed.unlink()
        changed.write_bytes(content)
    for model, place in ((served, "frozen.pb"), (file, "logs2")):
        format = None if place == "frozen.pb" else "tensorboard"
        with pytest.raises(errors.ReadError, match="was written again after this model was read"):
            tfmagic.export(model, tmp_path / place, format=format)
        assert not (tmp_path / place).exists()
    with pytest.raises(errors.ReadError, match="was written again"):
        tfmagic.run(served, {"x": np.ones((1, 4), np.float32)})


def test_a_source_is_not_written_over_nor_into(samples: Built, tmp_path: Path) -> None:
    served = samples.copy("saved_model_tf2", tmp_path)
    checkpoint = samples.copy("meta_graph", tmp_path)
    (tmp_path / "link").symlink_to(served)
    before = tree(tmp_path)
    for source, place in (
        (served, served),
        (served, tmp_path / "link"),
        (served / "saved_model.pb", served),
        (checkpoint, checkpoint.with_suffix("").with_suffix(".ckpt")),
    ):
        with pytest.raises(errors.WriteError, match="what is read"):
            tfmagic.export(source, place, overwrite=True)
    for place in (served, served / "again"):
        with pytest.raises(errors.WriteError, match="what is read"):
            tfmagic.merge(doubled(), served, connect={"twice": "x"}, output=place, overwrite=True)
    for place in (served / "again", served / "variables" / "frozen.pb"):
        with pytest.raises(errors.WriteError, match="lies inside of what is read"):
            tfmagic.export(served, place)
        with pytest.raises(errors.WriteError, match="lies inside of what is read"):
            tfmagic.sign(served, place, rename={"serving_default": "other"})
    assert tree(tmp_path) == before


def test_a_source_that_goes_away_is_told(samples: Built, tmp_path: Path) -> None:
    served = samples.copy("saved_model_tf2", tmp_path)
    model = tfmagic.inspect(served)
    shutil.rmtree(served / "variables")
    with pytest.raises((errors.TfMagicError, FileNotFoundError), match="variables"):
        tfmagic.export(model, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_full_disk_does_not_end_the_process(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = dictionary(keras_runtime.keras())
    # Files without content still find room.
    with suppress(OSError), (mounted / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    monkeypatch.setattr(write_checks, "require_space", lambda _destination, _size: None)
    for name in ("m.h5", "m.weights.h5", "m.keras", "served", "m.ckpt", "m.tflite"):
        with pytest.raises(errors.WriteError, match=r"no room left.*Nothing of it is left there") as caught:
            tfmagic.export(model, mounted / name)
        assert caught.value.errno == errno.ENOSPC
        assert [path.name for path in mounted.iterdir()] == ["filler"]


def test_a_mount_point_and_a_read_only_place_are_told(mounted: Path, samples: Built) -> None:
    graph = samples.path("graph_def")
    with pytest.raises(errors.WriteError, match="mounted"):
        tfmagic.sign(samples.path("saved_model_tf2"), mounted, rename={"serving_default": "other"}, overwrite=True)
    tfmagic.export(graph, mounted / "logs" / "m.tfevents.1", format="tensorboard")
    before = tree(mounted)
    subprocess.run([_MOUNT, "-o", "remount,ro", str(mounted)], check=True)
    for place in ("logs", "new/logs"):
        with pytest.raises(errors.WriteError, match="read-only"):
            tfmagic.export(graph, mounted / place, format="tensorboard")
    with pytest.raises(errors.WriteError, match=r"read-only.*What was there before is unchanged"):
        tfmagic.export(graph, mounted / "logs" / "m.tfevents.1", format="tensorboard", overwrite=True)
    assert tree(mounted) == before


@pytest.mark.parametrize("name", ["a[bc]", "a*", "a?", "a\\b", "a b"])
def test_a_place_that_tensorflow_takes_for_a_pattern_is_read_all_the_same(
    samples: Built, tmp_path: Path, name: str
) -> None:
    """Its reader of checkpoints looks for files by patterns: it finds none, or those of another model."""
    other, own = tmp_path / "ab", tmp_path / name
    values = {}
    for place, sample in ((other, "saved_model_tf1"), (own, "saved_model_tf2")):
        shutil.copytree(samples.copy(sample, tmp_path), place)
    for place in (tmp_path / "saved_model_tf2" / "model", own):
        frozen = tfmagic.freeze(place)
        values[place] = frozen.graph_def.SerializeToString(deterministic=True)
        assert not any("not verified" in note for note in frozen.notes)
    assert len(set(values.values())) == 1


def test_an_existing_destination_is_told_without_the_number_of_the_error(samples: Built, tmp_path: Path) -> None:
    (tmp_path / "m.pb").touch()
    with pytest.raises(errors.WriteError) as raised:
        tfmagic.freeze(samples.copy("saved_model_tf2", tmp_path), output=tmp_path / "m.pb")
    assert str(raised.value).startswith(repr(str(tmp_path / "m.pb")))
    assert raised.value.errno == errno.EEXIST

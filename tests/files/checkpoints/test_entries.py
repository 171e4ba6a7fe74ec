from __future__ import annotations

from pathlib import Path

import pytest

from tests import checkpoint_samples as samples
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import entries as checkpoint_entries
from tfmagic.files.checkpoints.sorted_tables import Table


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": -1}, "takes -1 bytes"),
        ({"offset": -8}, "at -8"),
        ({"offset": (1 << 63) - 1}, "bytes at"),
        ({"shard_id": 7}, "shard 7 of 1"),
        ({"shard_id": -1}, "shard -1"),
        ({"shape": (1 << 40, 1 << 40)}, "shape"),
        ({"shape": (-1, 3)}, "shape"),
    ],
)
def test_an_entry_that_lies_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    stored = samples.entry((2, 3), bytes(24))
    for field, value in change.items():
        if field == "shape":
            stored.shape.CopyFrom(protos.message("TensorShapeProto")(dim=[{"size": size} for size in value]))  # type: ignore[attr-defined]
        else:
            setattr(stored, field, value)
    prefix = samples.write_bundle(tmp_path / "lies", {b"the/entry": stored})
    with pytest.raises(errors.CorruptSourceError, match=says) as raised:
        checkpoint_entries.of_index(Table.open(Path(f"{prefix}.index")))
    assert "'the/entry'" in str(raised.value)
    assert "lies.index" in str(raised.value)


def test_a_header_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "c.index"
    path.write_bytes(samples.table({b"": b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}))
    with pytest.raises(errors.CorruptSourceError, match="BundleHeaderProto"):
        checkpoint_entries.of_index(Table.open(path))
    path.write_bytes(samples.table({b"w": b"\x08\x01"}))
    with pytest.raises(errors.CorruptSourceError, match="where the header should be"):
        checkpoint_entries.of_index(Table.open(path))

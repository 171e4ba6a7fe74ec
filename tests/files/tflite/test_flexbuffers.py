"""What custom operators are told is read as flatbuffers' own writer wrote it; other bytes are no error but ours."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tfmagic.files.tflite import flexbuffers

VALUES: list[Any] = [
    {
        "max_detections": 10,
        "nms_iou_threshold": 0.6,
        "use_regular_nms": False,
        "x_scale": 10.0,
        "name": "ä",
        "none": None,
    },
    [1, 2, 3],
    [-1, 300, 70_000, -(1 << 40)],
    [True, False],
    [0.5, 1.5],
    ["a", "b", ""],
    {"nested": {"deeper": [1, "two", 3.0, {"x": []}]}},
    b"\xff\xfe\x00",
    (1 << 63) - 1,
    -3,
    "text",
    [],
    {},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back(value: Any) -> None:
    writer = pytest.importorskip("flatbuffers.flexbuffers")
    builder = writer.Builder()
    builder.Add(value)
    found = flexbuffers.read(bytes(builder.Finish()))
    assert found == value
    assert type(found) is type(value)


def test_vectors_of_fixed_length_and_indirect_numbers() -> None:
    writer = pytest.importorskip("flatbuffers.flexbuffers")
    builder = writer.Builder()
    with builder.Map():
        builder.IndirectInt("far", 1 << 40)
        builder.TypedVectorFromElements("list", [1, 2, 3])
        builder.IndirectFloat("real", 0.25)
        builder.Blob("bytes", b"\x80")
    assert flexbuffers.read(bytes(builder.Finish())) == {
        "far": 1 << 40,
        "list": [1, 2, 3],
        "real": 0.25,
        "bytes": b"\x80",
    }


def test_other_bytes_are_no_value() -> None:
    chance = random.Random(3)
    for _ in range(3_000):
        data = chance.randbytes(chance.randrange(40))
        try:
            flexbuffers.read(data)
        except ValueError:
            continue
    for data in (b"", b"\0", b"\0\0", b"\0\x28\x01"):
        with pytest.raises(ValueError, match=r"FlexBuffer|bytes"):
            flexbuffers.read(data)


def test_what_refers_to_itself_comes_to_an_end() -> None:
    # A vector whose only element is the vector itself: its length, the way back to it, its type; then the root.
    with pytest.raises(ValueError, match="more values"):
        flexbuffers.read(bytes([1, 0, 0x28, 2, 0x28, 1]))

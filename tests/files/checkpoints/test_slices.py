from __future__ import annotations

import pytest

from tfmagic.files import protos
from tfmagic.files.checkpoints import slices as tensor_slices


def test_extents_tell_a_whole_dimension_from_an_empty_one() -> None:
    proto = protos.message("TensorSliceProto")()
    proto.extent.add()
    proto.extent.add(start=2, length=0)
    assert tensor_slices.extents(proto) == ((0, -1), (2, 0))


def test_region_and_shape() -> None:
    assert tensor_slices.region(((2, 3), (0, -1)), (5, 4)) == (slice(2, 5), slice(0, 4))
    assert tensor_slices.shape_of(((2, 3), (0, -1)), (5, 4)) == (3, 4)


@pytest.mark.parametrize("piece", [((3, 3),), ((-1, 1),), ((0, 1), (0, 1)), ((0, -2),)])
def test_a_piece_outside_the_whole_is_refused(piece: tensor_slices.Extents) -> None:
    with pytest.raises(ValueError, match="a slice"):
        tensor_slices.shape_of(piece, (5,))


@pytest.mark.parametrize(
    ("name", "piece", "key"),
    [
        (b"foo", ((0, -1), (1, 3)), b"\0foo\0\1\1\2\x80\x7f\x81\x83"),
        (b"scalar", (), b"\0scalar\0\1\0"),
        # Escapes of ordered_code.cc: the byte 0 and the byte 255.
        (b"a\0\xff\xff\0b", (), b"\0a\0\xff\xff\0\xff\0\0\xffb\0\1\0"),
        # Numbers of two and more bytes: a unary length in the first bits.
        (b"n", ((64, 8191), (8192, 1 << 40)), b"\0n\0\1\1\2\xc0\x40\xdf\xff\xe0\x20\x00\xfd\0\0\0\0\0"),
        (b"n", ((-65, (1 << 63) - 1),), b"\0n\0\1\1\1\x3f\xbf\xff\xc0\x7f" + b"\xff" * 7),
    ],
)
def test_keys_in_ordered_code(name: bytes, piece: tensor_slices.Extents, key: bytes) -> None:
    assert tensor_slices.key(name, piece) == key

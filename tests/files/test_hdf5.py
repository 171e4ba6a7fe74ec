"""HDF5 read without its library, against what the library says of the same files."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from tfmagic import errors
from tfmagic.files import hdf5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DTYPES = ["float16", "float32", "float64", "int8", "int32", "uint8", "uint64", "bool", "complex64", "complex128"]


def written(fill: Callable[[Any], object], **options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        fill(file)
    return stream.getvalue()


def root(data: bytes) -> hdf5.Node:
    return hdf5.File(io.BytesIO(data), "sample").root


def sample(file: Any) -> None:
    for dtype in DTYPES:
        file.create_dataset(f"plain/{dtype}", (2, 3), dtype=dtype)
    file["scalar"] = np.float32(1)
    file["nothing"] = h5py.Empty("f4")
    file["texts"] = ["a", "bc"]
    file["chunked"] = h5py.Empty("f4")
    del file["chunked"]
    file.create_dataset("chunked", data=np.zeros((100, 100), "f4"), chunks=True, compression="gzip")
    for number in range(60):
        file.create_dataset(f"many/{number}", (number,), dtype="f4")
    file.attrs["one"] = "größe"
    file.attrs["bytes"] = b"raw"
    file.attrs["fixed"] = np.array([b"x", b"yy"])
    file.attrs["variable"] = ["a", "", "ccc"]
    file.attrs["long"] = "x" * 100_000
    file.attrs["number"] = 7
    file.attrs["empty"] = np.array([], "f8")


@pytest.mark.parametrize("size", [512, 1024, 8192])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_what_lies_behind_a_user_block_is_read_as_the_library_reads_it(size: int, libver: str) -> None:
    values = np.arange(6, dtype="f4")

    def fill(file: Any) -> None:
        file["a/b"] = values
        file.attrs["one"] = "text"

    inside = written(fill, userblock_size=size, libver=libver)
    # What was put before a file afterwards is none of its own: its addresses count from where it begins all the same.
    before = bytes(size) + written(fill, libver=libver)
    for data in (inside, before):
        with h5py.File(io.BytesIO(data)) as file:
            assert file["a/b"][:].tolist() == values.tolist()
        read = root(data)
        assert read.text("one") == "text"
        ((path, node),) = read.datasets()
        assert (path, node.array(path).shape) == ("a/b", (6,))
        stretch = node.stretch
        assert stretch is not None
        assert node.file.read(stretch.begin, stretch.bytes) == values.tobytes()


def test_a_file_behind_a_user_block_that_was_cut_is_told() -> None:
    data = written(lambda file: file.create_dataset("a", data=np.arange(6.0)), userblock_size=512)
    with pytest.raises(errors.CorruptSourceError, match="bytes"):
        root(data[:-8])


@pytest.fixture(params=["earliest", "v108", "latest"])
def group(request: pytest.FixtureRequest) -> hdf5.Node:
    def fill(file: Any) -> None:
        sample(file)
        if request.param != "earliest":
            # More links than eight make newer layouts use a fractal heap.
            del file["many"], file["plain"]

    return root(written(fill, libver=request.param))


def test_datasets_are_those_of_h5py() -> None:
    data = written(sample)
    with h5py.File(io.BytesIO(data)) as file:
        expected = {}
        file.visititems(
            lambda name, node: expected.update({name: node.shape}) if isinstance(node, h5py.Dataset) else None
        )
    found = {path: node.array(path) for path, node in root(data).datasets()}
    assert {path: array.shape for path, array in found.items()} == expected
    assert [found[f"plain/{dtype}"].dtype for dtype in DTYPES] == DTYPES
    assert found["texts"].dtype == "string"
    assert found["plain/complex128"].bytes == 6 * 16
    assert (found["nothing"].shape, found["nothing"].size) == (None, None)
    assert [path for path in found if path.startswith("many/")] == [f"many/{number}" for number in range(60)]


def test_attributes_are_those_of_h5py(group: hdf5.Node) -> None:
    assert group.text("one") == "größe"
    assert group.text("bytes") == "raw"
    assert group.text("long") == "x" * 100_000
    assert group.texts("fixed") == ("x", "yy")
    assert group.texts("variable") == ("a", "", "ccc")
    assert group.texts("number") == ()
    assert group.texts("empty") == ()
    assert group.texts("absent") is None
    assert group.text("absent") is None


def test_attributes_cut_into_chunks_are_joined() -> None:
    def fill(file: Any) -> None:
        file.attrs["names0"], file.attrs["names1"] = [b"a", b"b"], [b"c"]

    assert root(written(fill)).texts("names") == ("a", "b", "c")


def test_members_are_found_by_path(group: hdf5.Node) -> None:
    scalar = group.member("scalar")
    assert scalar is not None
    assert scalar.is_dataset
    assert group.group("scalar") is None
    assert group.member("scalar/below") is None
    assert group.member("absent") is None


def test_links_out_of_the_file_lead_nowhere(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file["inside/data"] = np.zeros(3, "f4")
        file["soft"] = h5py.SoftLink("/inside/data")
        file["loop"] = h5py.SoftLink("/loop")
        file["external"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")
        file["inside/up"] = file["inside"]

    found = root(written(fill))
    assert [path for path, _ in found.datasets()] == ["inside/data"]
    assert found.member("soft") is None
    assert found.member("external") is None


def test_a_claimed_shape_is_no_allocation() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("huge", (1 << 20, 1 << 20, 1 << 10), dtype="f4", chunks=(1, 1, 1))

    node = root(written(fill)).member("huge")
    assert node is not None
    assert node.array("huge").size == 1 << 50


def test_a_shape_beyond_any_file_is_corrupt() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("huge", (1 << 31, 1 << 30), dtype="f8", chunks=(1, 1))

    node = root(written(fill)).member("huge")
    assert node is not None
    with pytest.raises(errors.CorruptSourceError, match="more than any file can hold"):
        node.array("huge")


def test_the_newer_layout_is_refused_with_a_way_out() -> None:
    def fill(file: Any) -> None:
        for number in range(20):
            file.create_group(str(number))

    with pytest.raises(errors.ReadError, match="libver='earliest'"):
        list(root(written(fill, libver="latest")).children())


def test_bfloat16_is_known_by_keras_attribute() -> None:
    def fill(file: Any) -> None:
        file["b"] = np.zeros(4, "V2")
        file["b"].attrs["dtype"] = "bfloat16"
        file["v"] = np.zeros(4, "V2")

    found = {path: node.array(path).dtype for path, node in root(written(fill)).datasets()}
    assert found == {"b": "bfloat16", "v": "opaque16"}


def test_every_truncation_is_corrupt() -> None:
    data = written(sample)
    for length in range(0, len(data), 97):
        with pytest.raises(errors.CorruptSourceError, match="sample"):
            root(data[:length])


def test_a_truncated_file_says_how_much_is_there() -> None:
    data = written(sample)
    with pytest.raises(errors.CorruptSourceError, match=f"it has 1,000 of {len(data):,} bytes"):
        root(data[:1000])


@pytest.mark.parametrize("kind", ["external values", "external link", "virtual dataset"])
def test_what_leads_into_another_file_is_seen(tmp_path: Path, kind: str) -> None:
    """HDF5's own library follows these without a word."""
    with h5py.File(tmp_path / "m.h5", "w", libver="earliest") as file:
        inner = file.create_group("inner")
        inner.create_dataset("plain", data=[1.0])
        if kind == "external values":
            inner.create_dataset("x", (2,), "float32", external=[(str(tmp_path / "raw"), 0, 8)])
        elif kind == "external link":
            inner["x"] = h5py.ExternalLink("other.h5", "/y")
        else:
            layout = h5py.VirtualLayout((2,), "float32")
            layout[:] = h5py.VirtualSource("other.h5", "y", (2,))
            inner.create_virtual_dataset("x", layout)
    with hdf5.opened(tmp_path / "m.h5") as root:
        assert list(root.outside()) == (["inner"] if kind == "external link" else ["inner/x"])


def test_what_lies_in_the_file_does_not_lead_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("a/b", data=[[1.0]], chunks=(1, 1), compression="gzip")
        file["a/same"] = file["a/b"]
        file["a/soft"] = h5py.SoftLink("/a/b")
    with hdf5.opened(tmp_path / "m.h5") as root:
        assert list(root.outside()) == []


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_values_in_one_piece_lie_where_the_library_says(version: str) -> None:
    plain, others = [dtype for dtype in DTYPES if dtype[0] not in "bc"], ["bool", "complex64", ">f4", ">i8", "S3"]
    for dtype in [*plain, *others]:
        values = np.random.default_rng(3).integers(0, 100, (2, 3)).astype(dtype)
        stream = io.BytesIO()
        with h5py.File(stream, "w", libver=version) as file:
            place = file.create_dataset("values", data=values).id
            file.flush()
            begin = place.get_offset()
        child = root(stream.getvalue()).member("values")
        assert child is not None
        stretch = child.stretch
        if dtype in others:
            assert stretch is None
            continue
        assert stretch is not None
        assert (stretch.begin, stretch.bytes) == (begin, values.nbytes)
        assert np.dtype(stretch.dtype) == values.dtype
        assert child.file.read(stretch.begin, stretch.bytes) == values.tobytes()


def test_values_that_need_decoding_lie_in_no_stretch() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("chunked", data=np.zeros((100, 100), "f4"), chunks=True)
        file.create_dataset("packed", data=np.zeros((100, 100), "f4"), compression="gzip")
        file.create_dataset("never written", (4,), "f4")
        file["nothing"] = h5py.Empty("f4")

    assert [child.stretch for _, child in root(written(fill)).children()] == [None] * 4


@pytest.mark.parametrize("damaged", [(1 << 40, 48), (0, 1 << 50), (0, 47)], ids=["place", "size", "less"])
def test_a_stretch_that_cannot_be_is_told(damaged: tuple[int, int]) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        place = file.create_dataset("values", data=np.zeros(12, "f4")).id
        file.flush()
        begin = place.get_offset()
    stated = struct.pack("<QQ", begin, 48)
    assert stream.getvalue().count(stated) == 1
    data = stream.getvalue().replace(stated, struct.pack("<QQ", damaged[0] or begin, damaged[1]))
    child = root(data).member("values")
    assert child is not None
    with pytest.raises(errors.CorruptSourceError, match="48 bytes lie in"):
        _ = child.stretch

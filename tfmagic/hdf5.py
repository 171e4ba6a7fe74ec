"""Walk an HDF5 file that nobody vouches for: its groups, datasets and attributes, never a dataset's values.

Only hard links inside the file are followed, so a soft or external link leads nowhere, and a group is entered
once, so a loop ends. What the file claims (shapes, sizes) is reported, never allocated. Not for: knowing what
Keras keeps where (:mod:`tfmagic.keras_weights`).
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from tfmagic.frames import Shape

#: A group or dataset of h5py, which ships no types.
Node: TypeAlias = Any

MAGIC = b"\x89HDF\r\n\x1a\n"
#: An attribute beyond this is none of Keras's: the config of the largest model of keras.applications takes 1 MB.
MAX_ATTRIBUTE = 64 << 20
#: Deeper than any model; a chain of groups longer than this is an attack on the stack.
MAX_DEPTH = 100
_MAX_ELEMENTS = 1 << 62
_DIGITS = re.compile(r"([0-9]{1,18})")
_OUTPUT_NUMBER = re.compile(r":\d+$")
#: What h5py raises for a damaged file, depending on where the damage lies.
_DAMAGE = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, SystemError,
)  # fmt: skip


class Array(NamedTuple):
    """A dataset as its header describes it: ``bytes`` is what the file stores, compressed or not."""

    path: str
    dtype: str
    shape: Shape
    size: int | None
    bytes: int


@contextmanager
def opened(source: Path | IO[bytes], origin: str) -> Iterator[Node]:
    """Open an HDF5 file for reading and hand out its root group.

    Parameters
    ----------
    source : Path or binary file
        The file, or a seekable stream of its bytes.
    origin : str
        What messages call it.

    Raises
    ------
    CorruptSourceError
        If the file, or what the caller reads of it meanwhile, is damaged.
    """
    import h5py  # noqa: PLC0415 - takes 0.1 s, and most sources are no HDF5

    try:
        with h5py.File(source, "r") as file:
            yield file
    except (errors.TfMagicError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except _DAMAGE as error:
        raise errors.CorruptSourceError(
            f"{origin!r} is an HDF5 file that cannot be read: {_reason(error)}. It is truncated or damaged: "
            "copy or download it again, and compare its size with the original's"
        ) from error


def _reason(error: BaseException) -> str:
    """Take the first line of h5py's message, without the quotes of a KeyError."""
    lines = str(error).strip("'\"").splitlines()
    return lines[0] if lines else type(error).__name__


def children(group: Node) -> Iterator[tuple[str, Node]]:
    """Yield name and object of each hard link in a group, by name."""
    import h5py  # noqa: PLC0415 - loaded already, by opened()

    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield name, group[name]


def member(group: Node, path: str) -> Node | None:
    """Return the object at a path below a group, None if there is none or a link leads there."""
    import h5py  # noqa: PLC0415 - loaded already, by opened()

    here = group
    for name in filter(None, path.split("/")):
        if not is_group(here) or not isinstance(here.get(name, getlink=True), h5py.HardLink):
            return None
        here = here[name]
    return here


def is_group(node: Node) -> bool:
    """Whether the object is a group."""
    import h5py  # noqa: PLC0415 - loaded already, by opened()

    return isinstance(node, h5py.Group)


def is_dataset(node: Node) -> bool:
    """Whether the object is a dataset."""
    import h5py  # noqa: PLC0415 - loaded already, by opened()

    return isinstance(node, h5py.Dataset)


def address(node: Node) -> int:
    """Return what tells an object from the others of its file, whatever link led to it."""
    import h5py  # noqa: PLC0415 - loaded already, by opened()

    return int(h5py.h5o.get_info(node.id).addr)


def datasets(group: Node) -> Iterator[tuple[str, Node]]:
    """Yield the path below a group and the object of each dataset, depth first, ``2`` before ``10``, groups once."""
    pending, seen = [("", group)], set()
    while pending:
        path, node = pending.pop()
        if is_dataset(node):
            yield path, node
        elif is_group(node) and address(node) not in seen:
            seen.add(address(node))
            below = sorted(children(node), key=lambda item: natural(item[0]), reverse=True)
            pending.extend((f"{path}/{name}" if path else name, child) for name, child in below)


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which numbers in names count as numbers."""
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in _DIGITS.split(name)]


def array(path: str, dataset: Node) -> Array:
    """Describe a dataset by its header.

    Raises
    ------
    CorruptSourceError
        If the claimed shape has more elements than any file can hold.
    """
    shape = None if dataset.shape is None else tuple(int(size) for size in dataset.shape)
    size = None if shape is None else math.prod(shape)
    if size is not None and size > _MAX_ELEMENTS:
        raise errors.CorruptSourceError(
            f"dataset {clean(dataset.name)!r} of {dataset.file.filename!r} claims the shape {shape!r}, more than any "
            "file can hold; the file is damaged or made up: use a copy from where it was trained"
        )
    return Array(clean(path), _dtype(dataset), shape, size, int(dataset.id.get_storage_size()))


def _dtype(dataset: Node) -> str:
    """Return TensorFlow's name of a dataset's dtype.

    Keras 3 stores a bfloat16 as two opaque bytes with the true dtype in an attribute (``saving_lib.H5IOStore``).
    """
    stated = text(dataset, "dtype") if "dtype" in dataset.attrs else None
    if dataset.dtype.kind == "V" and stated:
        return stated
    return "string" if dataset.dtype.kind in "OSU" else str(dataset.dtype.name)


def text(node: Node, name: str) -> str | None:
    """Return an attribute that holds one string, None if there is none or it holds something else."""
    value = _attribute(node, name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return clean(value) if isinstance(value, str) else None


def texts(node: Node, name: str) -> tuple[str, ...] | None:
    """Return an attribute that holds several strings, None if there is none.

    Keras cuts what passes HDF5's limit of 64 kB into ``<name>0``, ``<name>1``, ... (``hdf5_format``).
    """
    if name in node.attrs:
        return _strings(_attribute(node, name))
    chunks: list[str] = []
    count = 0
    while f"{name}{count}" in node.attrs:
        chunks.extend(_strings(_attribute(node, f"{name}{count}")))
        count += 1
    return tuple(chunks) if count else None


def _strings(value: object) -> tuple[str, ...]:
    """Read an array of byte or text strings; anything else counts as empty."""
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, (list, tuple)):
        return ()
    decoded = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]
    return tuple(clean(item) for item in decoded if isinstance(item, str))


def _attribute(node: Node, name: str) -> object:
    """Return an attribute's value, None if there is none or it claims more than any attribute of Keras takes."""
    if name not in node.attrs:
        return None
    attribute = node.attrs.get_id(name)
    if attribute.get_space().get_simple_extent_npoints() * attribute.get_type().get_size() > MAX_ATTRIBUTE:
        raise errors.CorruptSourceError(
            f"attribute {name!r} of {node.file.filename!r} claims more than {MAX_ATTRIBUTE >> 20} MiB; "
            "the file is damaged or made up: use a copy from where it was trained"
        )
    value: object = node.attrs[name]
    return value


def clean(name: str) -> str:
    """Return a name that can be encoded: h5py marks bytes that are no UTF-8 by lone surrogates."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not name.isascii() else name


def without_output(name: str) -> str:
    """Drop the ``:0`` of a TensorFlow variable's name."""
    return _OUTPUT_NUMBER.sub("", name)

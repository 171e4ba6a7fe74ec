"""Read the structure of an HDF5 file that nobody vouches for: groups, attributes, the headers of datasets.

HDF5's own library, and so h5py, crashes or never returns on files that are damaged in the right place, which would
take the user's kernel along; here every offset is checked. Only hard links inside the file are followed, so a soft or
external link leads nowhere. What the file claims (shapes, sizes) is reported, never allocated. The format is the HDF
Group's "HDF5 File Format Specification Version 3.0"; the section names in comments are its own. Not for: values of
datasets, the layout with fractal heaps, which Keras does not write, or what Keras keeps where
(:mod:`tfmagic.files.keras.weights`).
"""

# ruff: noqa: PLR2004 - numbers are those of the tables in the specification

from __future__ import annotations

import math
import os
import re
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from tfmagic import errors
from tfmagic.files import hdf5_headers
from tfmagic.files.bounded_file import Blocks
from tfmagic.files.hdf5_headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    LAYOUT,
    LINK,
    LINK_INFO,
    SHARED,
    STRING,
    SYMBOL_TABLE,
    VARIABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tfmagic.frames import Shape

MAGIC = b"\x89HDF\r\n\x1a\n"
#: More groups below one another than any model has.
MAX_DEPTH = 100
_MAX_ELEMENTS = 1 << 62
_T = TypeVar("_T")
_DIGITS = re.compile(r"([0-9]{1,18})")
_OUTPUT_NUMBER = re.compile(r":\d+$")


class Array(NamedTuple):
    """A dataset as its header describes it: ``bytes`` is what its elements take, before any compression."""

    path: str
    dtype: str
    shape: Shape
    size: int | None
    bytes: int


class Stretch(NamedTuple):
    """Where the values of a dataset lie one after the other, and numpy's name of what they are."""

    begin: int
    bytes: int
    dtype: str


@contextmanager
def opened(path: Path) -> Iterator[Node]:
    """Open an HDF5 file and hand out its root group.

    Raises
    ------
    CorruptSourceError
        If the file, or what the caller reads of it meanwhile, is damaged.
    """
    with path.open("rb") as file:
        yield File(file, str(path)).root


def place(path: Path) -> int:
    """Return where HDF5 begins in a file, -1 if nowhere.

    One without a size is not opened: those of ``/proc`` have no end to look for, and some wait.
    """
    if not path.stat().st_size:
        return -1
    with path.open("rb") as file:
        return place_in(file)


def place_in(file: IO[bytes], begin: int = 0, size: int | None = None) -> int:
    """Return where libhdf5 finds HDF5 in a stretch of a file, -1 if nowhere: other bytes may stand before it.

    It looks at 0, 512, 1024 and each double of that (H5FD_locate_signature in H5FDint.c), whatever stands before: a
    user block, which the format allows for, or another file.
    """
    size = file.seek(0, os.SEEK_END) - begin if size is None else size
    place = 0
    while place + len(MAGIC) <= size:
        file.seek(begin + place)
        if file.read(len(MAGIC)) == MAGIC:
            return place
        place = max(512, 2 * place)
    return -1


class File(Blocks):
    """The bytes of an HDF5 file, with the sizes of its offsets and lengths."""

    format: ClassVar[str] = "an HDF5 file"

    def __init__(self, file: IO[bytes], origin: str, begin: int = 0, size: int | None = None) -> None:
        before = max(0, place_in(file, begin, size))
        super().__init__(file, origin, begin + before, None if size is None else size - before)
        self._nodes: dict[int, Node] = {}
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        if self.size < len(MAGIC) + 1 or self.read(0, len(MAGIC)) != MAGIC:
            self.corrupt("it lacks the signature of HDF5")
        self.offset_size, self.length_size, place = self._sizes()
        if not {self.offset_size, self.length_size} <= {2, 4, 8}:
            self.corrupt(f"its offsets take {self.offset_size} bytes and its lengths {self.length_size}")
        base, _, end, after = (self.number(place + index * self.offset_size) for index in range(4))
        # Base, end of file and the root's header follow; version 0 and 1 put the root into an entry of a group.
        # Where addresses count from is where the signature was found, whatever stands there (H5F__super_read): only
        # the end counts from the begin of the file as it was written.
        if end - base > self.size:
            self.corrupt(f"it has {self.size:,} of {end - base:,} bytes")
        self._root = after if self._version > 1 else self.number(place + 5 * self.offset_size)

    @property
    def root(self) -> Node:
        """The root group."""
        return self.node(self._root)

    def node(self, address: int) -> Node:
        """Return the object whose header lies at an address."""
        if address not in self._nodes:
            self._nodes[address] = Node(self, address)
        return self._nodes[address]

    def number(self, offset: int, size: int | None = None) -> int:
        """Return an unsigned number; of an offset's size if none is given."""
        return int.from_bytes(self.read(offset, size or self.offset_size), "little")

    def is_defined(self, address: int) -> bool:
        """Whether an address leads anywhere: all bits set mean nowhere."""
        return address != (1 << 8 * self.offset_size) - 1

    def _sizes(self) -> tuple[int, int, int]:
        """Read the superblock up to the addresses: sizes of offsets and lengths, and where the addresses begin."""
        self._version = self.read(8, 1)[0]
        if self._version > 3:
            self.corrupt(f"its superblock has version {self._version}")
        if self._version > 1:
            return *self.read(9, 2), 12
        return *self.read(13, 2), 24 if self._version == 0 else 28

    def global_object(self, address: int, index: int) -> bytes:
        """Return an object of a global heap, where strings of variable length lie ("Global Heap")."""
        if address not in self._heaps:
            self._heaps[address] = dict(self._global_objects(address))
        if index not in self._heaps[address]:
            self.corrupt(f"it refers to object {index} of the heap at {address:,}, which is not there")
        return self.read(*self._heaps[address][index])

    def _global_objects(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield number, offset and length of each object of a global heap."""
        if self.read(address, 4) != b"GCOL":
            self.corrupt(f"there is no heap at {address:,}")
        place, end = address + 8 + self.length_size, address + self.number(address + 8, self.length_size)
        while place + 8 + self.length_size <= end:
            index, length = self.number(place, 2), self.number(place + 8, self.length_size)
            if index == 0:
                return
            place += 8 + self.length_size
            yield index, (place, length)
            place += hdf5_headers.padded(length)


class Node:
    """A group or a dataset of a file."""

    def __init__(self, file: File, address: int) -> None:
        self.file = file
        self.address = address

    @property
    def is_group(self) -> bool:
        """Whether the object is a group."""
        kinds = {message.kind for message in self._messages}
        return bool(kinds & {SYMBOL_TABLE, LINK_INFO, LINK}) and LAYOUT not in kinds

    @property
    def is_dataset(self) -> bool:
        """Whether the object is a dataset."""
        return {DATASPACE, DATATYPE, LAYOUT} <= {message.kind for message in self._messages}

    def children(self) -> Iterator[tuple[str, Node]]:
        """Yield name and object of each hard link in a group, ``2`` before ``10``."""
        for name in sorted(self._links, key=natural):
            yield name, self.file.node(self._links[name])

    def member(self, path: str) -> Node | None:
        """Return the object at a path below the group, None if there is none or a link of another kind leads there."""
        here = self
        for name in filter(None, path.split("/")):
            if name not in here._links:
                return None
            here = self.file.node(here._links[name])
        return here

    def group(self, path: str) -> Node | None:
        """Return the group at a path, None if there is no group."""
        member = self.member(path)
        return member if member is not None and member.is_group else None

    def datasets(self) -> Iterator[tuple[str, Node]]:
        """Yield path and object of each dataset below, depth first, each group once."""
        pending, seen = [("", self)], set()
        while pending:
            path, node = pending.pop()
            if node.is_dataset:
                yield path, node
            elif node.address not in seen:
                seen.add(node.address)
                below = list(node.children())
                pending.extend((f"{path}/{name}" if path else name, child) for name, child in reversed(below))

    def outside(self) -> Iterator[str]:
        """Yield the path of each group that links into another file, and of each dataset whose values lie in one."""
        pending, seen = [("", self)], set()
        while pending:
            path, node = pending.pop()
            if node.address in seen:
                continue
            seen.add(node.address)
            if node.leads_outside:
                yield path or "/"
            if not node.is_dataset:
                pending.extend((f"{path}/{name}" if path else name, child) for name, child in node.children())

    @property
    def leads_outside(self) -> bool:
        """Whether a group links into another file, or a dataset's values may lie in one."""
        return any(
            message.kind == EXTERNAL_FILES
            or (message.kind == LINK and hdf5_headers.is_external_link(message.data))
            or (message.kind == LAYOUT and hdf5_headers.is_virtual(message.data))
            for message in self._messages
        )

    def array(self, path: str) -> Array:
        """Describe a dataset, which is to be called by this path.

        Raises
        ------
        CorruptSourceError
            If the claimed shape has more elements than any file can hold.
        """
        dtype, item_size = hdf5_headers.dtype(self._data(DATATYPE))
        shape = hdf5_headers.shape(self._data(DATASPACE), self.file)
        size = None if shape is None else math.prod(shape)
        if size is not None and size * item_size > _MAX_ELEMENTS:
            self.file.corrupt(f"dataset {path!r} claims the shape {shape!r}, more than any file can hold")
        # Keras 3 stores a bfloat16 as opaque bytes, its dtype in an attribute (saving_lib.H5IOStore).
        stated = self.text("dtype") if dtype.startswith("opaque") else None
        return Array(path, stated or dtype, shape, size, (size or 0) * item_size)

    @property
    def stretch(self) -> Stretch | None:
        """Where the values lie if they need no decoding; None if they are in chunks, packed, or of another byte order.

        Raises
        ------
        CorruptSourceError
            If they lie outside of the file, or are not as many as the shape says.
        """
        dtype = hdf5_headers.plain_dtype(self._data(DATATYPE))
        place = hdf5_headers.contiguous(self.file, self._data(LAYOUT))
        array = self.array("")
        if dtype is None or place is None or array.size is None:
            return None
        begin, count = place
        claimed = array.bytes
        if not claimed:
            return Stretch(0, 0, dtype)
        if not self.file.is_defined(begin):
            return None
        if count != claimed or begin + count > self.file.size:
            self.file.corrupt(f"a dataset's {claimed:,} bytes lie in {count:,} from {begin:,} of {self.file.size:,}")
        return Stretch(begin, count, dtype)

    @cached_property
    def attributes(self) -> dict[str, bytes]:
        """The attributes' messages by name."""
        if any(message.kind == ATTRIBUTE_INFO and self._is_dense(message.data, 2) for message in self._messages):
            self._refuse_dense()
        return self._by_name(self._named_attributes, "attributes")

    @property
    def repeated(self) -> tuple[str, ...]:
        """The names that two attributes, or two links, of the object have: libhdf5 takes one, other readers another."""
        counts = Counter((kind, name) for kind, name in self._names())
        return tuple(dict.fromkeys(name for (_, name), count in counts.items() if count > 1))

    def _names(self) -> Iterator[tuple[str, str]]:
        yield from (("attribute", name) for name, _ in self._named_attributes)
        yield from (("link", name) for name, _ in self._named_links)

    @cached_property
    def _named_attributes(self) -> list[tuple[str, bytes]]:
        attributes = (message.data for message in self._messages if message.kind == ATTRIBUTE)
        return [(hdf5_headers.AttributeParts.of(data, self.file).name, data) for data in attributes]

    def _by_name(self, pairs: Iterable[tuple[str, _T]], what: str) -> dict[str, _T]:
        """Collect what has a name; no library writes two of one, and which of them counts is open."""
        known: dict[str, _T] = {}
        for name, value in pairs:
            if name in known:
                self.file.corrupt(f"it has two {what} called {name!r} in one place, and which of them counts is open")
            known[name] = value
        return known

    def text(self, name: str) -> str | None:
        """Return an attribute that holds one string, None if there is none or it holds something else."""
        strings = self._strings(name)
        return strings[0] if strings else None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return an attribute that holds several strings, None if there is none.

        Keras cuts what passes HDF5's limit of 64 kB into ``<name>0``, ``<name>1``, ... (``hdf5_format``).
        """
        if name in self.attributes:
            return self._strings(name)
        chunks: list[str] = []
        count = 0
        while f"{name}{count}" in self.attributes:
            chunks.extend(self._strings(f"{name}{count}"))
            count += 1
        return tuple(chunks) if count else None

    def _strings(self, name: str) -> tuple[str, ...]:
        """Decode an attribute's strings, of fixed or variable length; anything else counts as none."""
        if name not in self.attributes:
            return ()
        parts = hdf5_headers.AttributeParts.of(self.attributes[name], self.file)
        kind, size = parts.dtype[0] & 0x0F, int.from_bytes(parts.dtype[4:8], "little")
        shape = hdf5_headers.shape(parts.space, self.file)
        count = 0 if shape is None else math.prod(shape)
        if kind not in (STRING, VARIABLE) or count * size > len(parts.data) or not size:
            return ()
        items = (parts.data[index * size : (index + 1) * size] for index in range(count))
        if kind == VARIABLE:
            items = (self._variable(item) for item in items)
        return tuple(item.rstrip(b"\0").decode("utf-8", "replace") for item in items)

    def _variable(self, item: bytes) -> bytes:
        """Fetch a string of variable length: its length, the address of a heap, its number there."""
        address = int.from_bytes(item[4 : 4 + self.file.offset_size], "little")
        index = int.from_bytes(item[4 + self.file.offset_size :], "little")
        length = int.from_bytes(item[:4], "little")
        return self.file.global_object(address, index)[:length] if length and address else b""

    def _data(self, kind: int) -> bytes:
        """Return the content of the first message of a type."""
        data = next((message for message in self._messages if message.kind == kind), None)
        if data is None or data.flags & SHARED:
            self.file.corrupt(f"the header at {self.address:,} lacks a message {kind} of its own")
        return data.data

    @cached_property
    def _links(self) -> dict[str, int]:
        """The hard links of a group: the address of each object by name."""
        return self._by_name(self._named_links, "members")

    @cached_property
    def _named_links(self) -> list[tuple[str, int]]:
        links: list[tuple[str, int]] = []
        for message in self._messages:
            if message.kind == SYMBOL_TABLE:
                links += hdf5_headers.symbols(self.file, message.data)
            elif message.kind == LINK:
                links += hdf5_headers.link(self.file, message.data)
            elif message.kind == LINK_INFO and self._is_dense(message.data, 8):
                self._refuse_dense()
        return links

    def _is_dense(self, data: bytes, order_size: int) -> bool:
        """Whether links or attributes lie in a fractal heap ("Link Info Message", "Attribute Info Message")."""
        place = 2 + (order_size if len(data) > 1 and data[1] & 1 else 0)
        return self.file.is_defined(int.from_bytes(data[place : place + self.file.offset_size], "little"))

    def _refuse_dense(self) -> None:
        raise errors.ReadError(
            f"{self.file.origin!r} has HDF5's newer layout with fractal heaps, which Keras does not write and tfmagic "
            "does not read; load the weights with Keras and save them once more, or copy the file by h5py with "
            "`libver='earliest'`"
        )

    @cached_property
    def _messages(self) -> list[hdf5_headers.Message]:
        return list(hdf5_headers.messages(self.file, self.address))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which numbers in names count as numbers."""
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in _DIGITS.split(name)]


def without_output(name: str) -> str:
    """Drop the ``:0`` of a TensorFlow variable's name."""
    return _OUTPUT_NUMBER.sub("", name)

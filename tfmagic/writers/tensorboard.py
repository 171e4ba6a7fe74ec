"""The format ``tensorboard``: an event file with the graph, for TensorBoard's Graphs page.

The destination is a log directory, to which the file is added, or a file with ``tfevents`` in its name. Records are
written here and not by TensorFlow: a graph that lies in a file needs none. Not for: scalars, histograms or Keras's own
picture of a model.
"""

from __future__ import annotations

import itertools
import os
import platform
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfmagic import errors, progress
from tfmagic.files import crc32c, early_writing, wire
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.models.model import Part
from tfmagic.models.writer import Size, Variables, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions

#: By this part of their names TensorBoard knows its files.
_MARK = "tfevents"
#: What the first record of a file says (tensorflow/core/util/events_writer.h).
_VERSION = b"brain.Event:2"
# Tags of Event's fields (tensorflow/core/util/event.proto).
_WALL_TIME, _FILE_VERSION, _GRAPH_DEF = b"\x09", b"\x1a", b"\x22"
#: More than the first record and both frames take.
_ROOM = 256
_LENGTH, _CRC, _DOUBLE = struct.Struct("<Q"), struct.Struct("<I"), struct.Struct("<d")


@dataclass(frozen=True)
class EventDraft:
    """A graph on its way to an event file."""

    graph_def: bytes
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """At most this many bytes."""
        return len(self.graph_def) + _ROOM

    def write(self, path: Path) -> None:
        """Write the file."""
        with early_writing.opened(path) as file:
            for record in self._records():
                progress.check()
                file.write(record)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield the graph."""
        events = list(_events(path.read_bytes()))
        yield "graph", [self._graph_event()], events[1:]

    def _records(self) -> Iterator[bytes]:
        yield _record(_WALL_TIME + _DOUBLE.pack(self.seconds) + _FILE_VERSION + wire.written(len(_VERSION)) + _VERSION)
        yield _record(self._graph_event())

    def _graph_event(self) -> bytes:
        head = _WALL_TIME + _DOUBLE.pack(self.seconds) + _GRAPH_DEF + wire.written(len(self.graph_def))
        return head + self.graph_def


class TensorBoardWriter(Writer):
    """Writes event files."""

    format: ClassVar[str] = "tensorboard"
    suffixes: ClassVar[tuple[str, ...]] = ()
    takes_averages: ClassVar[bool] = False
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH})
    label: ClassVar[str] = "graph for TensorBoard (a log directory)"
    options: ClassVar[frozenset[str]] = frozenset()
    variables: ClassVar[Variables] = Variables.NONE

    def place(self, destination: Path) -> Path:
        """Return the file: a new one in the log directory, unless a file is named."""
        if _MARK in destination.name and not os.path.isdir(destination):  # noqa: PTH112 - no error where it is unseen
            return destination
        stem = f"events.out.{_MARK}.{int(time.time())}.{platform.node() or 'localhost'}.{os.getpid()}"
        names = (f"{stem}.{number}" for number in itertools.count())
        return next(place for place in map(destination.joinpath, names) if not os.path.lexists(place))

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size: that of the graph."""
        del source
        return None if measures.graph is None else Size(measures.graph, at_most=True)

    def kept(self, source: Model) -> Iterator[str]:
        """Say that nothing is changed."""
        del source
        yield "the graph as it is: nodes, attributes, functions"

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that writes the graph."""
        graph = "session.graph.as_graph_def()" if source.is_session else "function.graph.as_graph_def()"
        return [
            f"with tf.summary.create_file_writer({place!r}).as_default():",
            f"    tf.summary.graph({graph})",
        ]

    def prepare(self, source: Model, options: WriteOptions) -> EventDraft:
        """Take the graph.

        Raises
        ------
        ConversionError
            If an option is given that means nothing to a graph.
        TooLargeError
            If it passes 2 GiB.
        """
        without_meaning = [name for name in options.stated if name != "tags"]
        if without_meaning:
            raise errors.ConversionError(
                f"an event file holds the whole graph as it is, so that {errors.listed(without_meaning)} cannot be "
                f"written as {self.format!r}; leave it out, or freeze what is meant and export that"
            )
        graph_def = source.meta_graph.graph_def().SerializeToString()
        if len(graph_def) > PROTOBUF_LIMIT:
            size = f"{len(graph_def) / 2**30:.2f} GiB"
            raise errors.TooLargeError(
                f"the graph takes {size}, and TensorBoard reads none of 2 or more; freeze a part"
            )
        return EventDraft(graph_def, time.time())


def _record(data: bytes) -> bytes:
    """Frame a record with its length and both checksums (tensorflow/core/lib/io/record_writer.h)."""
    length = _LENGTH.pack(len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    return _CRC.pack(crc32c.masked(crc32c.checksum(data)))


def _events(content: bytes) -> Iterator[bytes]:
    """Yield the records of a file.

    Raises
    ------
    ConversionError
        If one is not whole.
    """
    place = 0
    while place < len(content):
        length = int.from_bytes(content[place : place + _LENGTH.size], "little")
        begin = place + _LENGTH.size + _CRC.size
        data = content[begin : begin + length]
        if content[place : begin + length + _CRC.size] != _record(data):
            raise errors.ConversionError("the event file that was written does not read back; is the disk sound?")
        yield data
        place = begin + len(data) + _CRC.size

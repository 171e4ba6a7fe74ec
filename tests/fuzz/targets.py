"""What is fuzzed: each parser of bytes, and each reader with all of its tables, messages, displays and values."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import tfmagic
from tfmagic import errors, frames
from tfmagic.files import long_messages, protos, snappy, wire
from tfmagic.files.checkpoints import sorted_tables
from tfmagic.models.model import Model, Part
from tfmagic.models.variable_values import VariableValues

if TYPE_CHECKING:
    from collections.abc import Callable

#: Variables of which the values are read, and elements of each.
_VARIABLES, _ELEMENTS = 24, 1 << 16
#: What a file of Keras shows only after Keras has built its model, which runs TensorFlow.
_TRACED = frozenset({"ops", "functions", "metagraphs", "assets", "graph_def", "meta_graph_def"})
_MESSAGES = ("graph_def", "meta_graph_def", "signature_def")
#: How a target that takes several files is cut: the length of the first, then both.
_LENGTH = 4


@cache
def _place() -> Path:
    """Return a directory in memory, where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own in it
    return Path(tempfile.mkdtemp(prefix="tfmagic-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))


def use(path: Path) -> None:
    """Read all that can be read of a source without TensorFlow, values too, and say what it could do."""
    with suppress(errors.ReadError, errors.ConversionError, FileNotFoundError):
        scan = tfmagic.scan(path)
        repr(scan)
        scan._repr_html_()
        scan.sarif()
    with suppress(errors.ReadError, errors.ConversionError, FileNotFoundError):
        slim = tfmagic.slim(path)
        repr(slim)
        slim._repr_html_()
    with suppress(errors.ReadError, FileNotFoundError):
        model = tfmagic.inspect(path)
        repr(model)
        model._repr_html_()
        for name in (*frames.ROW_TYPES, *_MESSAGES):
            if not (model.form == "keras_file" and name in _TRACED):
                with suppress(errors.MissingPartError, errors.ReadError, errors.ConversionError):
                    getattr(model, name)
        if Part.VARIABLES in model.loaders:
            _read_values(model)


def _read_values(model: Model) -> None:
    values = VariableValues(model)
    for row in model.part(Part.VARIABLES)[:_VARIABLES]:
        with suppress(errors.ReadError, errors.ConversionError, errors.MissingPartError):
            count = 0
            for block in values.of(row).blocks():
                count += np.size(block)
                if count > _ELEMENTS:
                    break


def _file(name: str, data: bytes) -> None:
    """Read one file."""
    path = _place() / name
    path.write_bytes(data)
    use(path)


def _saved_model(name: str, data: bytes) -> None:
    directory = _place() / "served"
    directory.mkdir(exist_ok=True)
    for other in directory.iterdir():
        other.unlink()
    (directory / name).write_bytes(data)
    use(directory)


def _checkpoint(data: bytes) -> None:
    """Read an index and its shard."""
    length = int.from_bytes(data[:_LENGTH], "little")
    rest = data[_LENGTH:]
    (_place() / "model.ckpt.index").write_bytes(rest[:length])
    (_place() / "model.ckpt.data-00000-of-00001").write_bytes(rest[length:])
    use(_place() / "model.ckpt")


def _state_file(data: bytes) -> None:
    directory = _place() / "checkpoints"
    directory.mkdir(exist_ok=True)
    (directory / "checkpoint").write_bytes(data)
    use(directory)


def _keras_config(data: bytes) -> None:
    """Read an archive whose parts are whole but for its config."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.0"}')
        archive.writestr("config.json", data)
    _file("model.keras", packed.getvalue())


def _table(data: bytes) -> None:
    path = _place() / "table"
    path.write_bytes(data)
    with suppress(errors.ReadError):
        dict(sorted_tables.Table.open(path))
        sorted_tables.Table.open(path).first()


def _wire(data: bytes) -> None:
    buffer = wire.Buffer(data)
    with suppress(errors.ReadError):
        list(wire.fields(buffer, 0, buffer.size))
    with suppress(errors.ReadError):
        spans = long_messages.spans(buffer, 0, buffer.size, 1, 2)
        for starts, ends in spans:
            wire.scan(buffer, starts, ends)


def _snappy(data: bytes) -> None:
    for is_partial in (False, True):
        with suppress(ValueError):
            snappy.decompress(data, partial=is_partial)


def _text(name: str, data: bytes) -> None:
    with suppress(protos.TextParseError, RecursionError):
        protos.parse_text(name, data.decode("utf-8", "replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": _wire,
    "snappy": _snappy,
    "sorted_table": _table,
    "text": partial(_text, "GraphDef"),
    "graph_def": partial(_file, "model.pb"),
    "graph_text": partial(_file, "model.pbtxt"),
    "saved_model": partial(_saved_model, "saved_model.pb"),
    "saved_model_text": partial(_saved_model, "saved_model.pbtxt"),
    "meta_graph": partial(_file, "model.meta"),
    "checkpoint": _checkpoint,
    "checkpoint_v1": partial(_file, "model.ckpt"),
    "checkpoint_state": _state_file,
    "keras_config": _keras_config,
    "keras_archive": partial(_file, "model.keras"),
    "keras_hdf5": partial(_file, "model.h5"),
    "keras_weights": partial(_file, "model.weights.h5"),
    "tflite": partial(_file, "model.tflite"),
    "any": partial(_file, "model"),
}
#: How much of all executions a target gets: bytes go through a parser a hundred times as fast as through a reader.
SHARES = dict.fromkeys(TARGETS, 1.0) | {"wire": 20.0, "snappy": 20.0, "sorted_table": 12.0, "text": 6.0}

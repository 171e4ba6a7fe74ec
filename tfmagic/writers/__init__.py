"""The formats, and which one a path asks for.

This is the table of contents. A new format is a new file with a writer, and its line here; one that is not part of
tfmagic is registered (:func:`register`).
"""

from __future__ import annotations

import difflib
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.models import registration
from tfmagic.models.writer import (
    Compared,
    Draft,
    Editing,
    Freezing,
    Grouped,
    Placing,
    Runnable,
    WriteOptions,
    Writer,
)
from tfmagic.writers.checkpoint import CheckpointWriter
from tfmagic.writers.graph_def import GraphDefWriter, GraphTextWriter
from tfmagic.writers.keras import H5Writer, KerasWriter
from tfmagic.writers.onnx import OnnxWriter
from tfmagic.writers.saved_model.writer import SavedModelWriter
from tfmagic.writers.tensorboard import TensorBoardWriter
from tfmagic.writers.tflite import TFLiteWriter
from tfmagic.writers.weights import WeightsWriter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "WRITERS",
    "Compared",
    "Draft",
    "Editing",
    "Freezing",
    "Grouped",
    "Placing",
    "Runnable",
    "WriteOptions",
    "Writer",
    "register",
    "unregister",
    "writer_for",
    "writer_named",
]

_STEP = re.compile(r"(?<=\.ckpt)-\d+\Z")

WRITERS: list[Writer] = [
    SavedModelWriter(),
    GraphDefWriter(),
    GraphTextWriter(),
    CheckpointWriter(),
    KerasWriter(),
    H5Writer(),
    WeightsWriter(),
    TFLiteWriter(),
    OnnxWriter(),
    TensorBoardWriter(),
]
_OWN = frozenset(writer.format for writer in WRITERS)
_MEMBERS = ("format", "suffixes", "needs", "prepare")


def register(writer: object) -> None:
    """Have one more format written, as long as this process lives.

    Parameters
    ----------
    writer : Writer
        One of the same format that was registered before gives way to it. Of a class that does not inherit from
        Writer, what it lacks gets Writer's defaults.

    Raises
    ------
    TfMagicError
        If it is no writer, its format is one of tfmagic's own, or another one goes by one of its suffixes.
    """
    registration.check(writer, "format", _OWN, _MEMBERS)
    whole: Writer = registration.completed(writer, Writer)
    others = {suffix: other.format for other in WRITERS for suffix in other.suffixes if other.format != whole.format}
    for suffix in whole.suffixes:
        if suffix in others:
            raise errors.TfMagicError(f"{suffix!r} is a suffix of {others[suffix]!r} already; choose another one")
    WRITERS[:] = [*registration.without(WRITERS, "format", whole.format), whole]


def unregister(format: str) -> None:
    """Forget a format that was registered; tfmagic's own stay."""
    if format not in _OWN:
        WRITERS[:] = registration.without(WRITERS, "format", format)


def writer_for(destination: Path, format: str | None = None) -> Writer:
    """Return the writer of a format, or the one that the path's suffix asks for.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    ConversionError
        If the suffix belongs to none.
    """
    if format is not None:
        return writer_named(format)
    # "served/1.5" has no suffix: it is a version. "model.ckpt-100" is step 100 of a training.
    name = _STEP.sub("", destination.name.lower())
    suffix = "" if destination.suffix[1:].isdecimal() else PurePath(name).suffix
    if not suffix:
        return next(writer for writer in WRITERS if "" in writer.suffixes)
    asked = [each for writer in WRITERS for each in writer.suffixes if each and name.endswith(each)]
    if asked:
        # ".weights.h5" before ".h5".
        return next(writer for writer in WRITERS if max(asked, key=len) in writer.suffixes)
    known = [each for writer in WRITERS for each in writer.suffixes if each]
    near = difflib.get_close_matches(suffix, known, n=2)
    said = f"; did you mean {' or '.join(map(repr, near))}? The suffixes are" if near else ":"
    raise errors.ConversionError(
        f"{str(destination)!r} ends in {suffix!r}, which no format goes by{said} {_suffixes()}; "
        "or name the format to tfmagic.export: format='saved_model' (%tf_export --format saved_model)"
    )


def writer_named(name: str) -> Writer:
    """Return the writer of a format; raises UnknownNameError if there is none."""
    for writer in WRITERS:
        if writer.format == name:
            return writer
        if f".{name.removeprefix('.')}" in writer.suffixes:
            raise errors.ConversionError(
                f"{name!r} is how files of the format {writer.format!r} end: say format={writer.format!r} "
                f"(--format {writer.format}), or name a place that ends so"
            )
    raise errors.UnknownNameError(name, "format", [writer.format for writer in WRITERS])


def _suffixes() -> str:
    """Say which suffix asks for which format."""
    pairs = [(suffix or "no suffix", writer.format) for writer in WRITERS for suffix in writer.suffixes]
    return ", ".join(f"{suffix} for {name}" for suffix, name in pairs)

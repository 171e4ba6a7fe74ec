"""What is packed along with a TensorFlow Lite file: who made it, what goes in and comes out, and files such as labels.

The description is a flatbuffer in a buffer of the file, its fields numbered as in ``metadata_schema.fbs`` of
tflite-support; the files are a zip archive behind the flatbuffer. Not for: the model itself
(:mod:`tfmagic.files.tflite.structure`).
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import archives
from tfmagic.files.flatbuffers import Buffer
from tfmagic.files.tflite import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.flatbuffers import Table
    from tfmagic.files.tflite.structure import Description

NAME, _IDENTIFIER = "TFLITE_METADATA", b"M001"
#: The kinds of associated files.
LABELS = "labels"
_KINDS = ("unknown", "description", LABELS, "labels of values", "score calibration", "vocabulary")
_CONTENTS = ("", "features", "image", "bounding boxes", "audio")
_COLOURS = ("", "RGB", "grayscale")
#: The larger of a file: a list of labels, a vocabulary.
_MOST_BYTES = 64 << 20


class _Model:
    NAME, DESCRIPTION, VERSION, SUBGRAPHS, AUTHOR, LICENSE, FILES, MIN_VERSION = range(8)


class _Subgraph:
    NAME, DESCRIPTION, INPUTS, OUTPUTS, FILES, INPUT_UNITS, OUTPUT_UNITS = range(7)


class _Tensor:
    NAME, DESCRIPTION, DIMENSIONS, CONTENT, UNITS, STATS, FILES = range(7)


class _Unit:
    """The members of the union of process units, by number, of which something is told."""

    NORMALISATION, CALIBRATION, THRESHOLD, BERT, SENTENCE_PIECE, REGEX = range(1, 7)


class AssociatedFile(NamedTuple):
    """A file that is packed along: its name, what it is, of what kind; :data:`LABELS` name the places of a tensor."""

    name: str
    description: str
    kind: str
    locale: str


class EndMetadata(NamedTuple):
    """What is said of an input or an output.

    Attributes
    ----------
    name, description : str
        In its maker's words.
    content : str
        ``"image, RGB"``, ``"bounding boxes"``, …
    units : tuple of str
        What is done before or after, in words.
    mean, std : tuple of float
        What an input is normalised by, one number or one for each channel; empty where that is not told.
    files : tuple of AssociatedFile
        Its labels and the like.
    """

    name: str
    description: str
    content: str
    units: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: tuple[AssociatedFile, ...]


class Metadata(NamedTuple):
    """What a model's maker says of it, inputs and outputs in the order of the first subgraph's."""

    name: str
    description: str
    version: str
    author: str
    license: str
    inputs: tuple[EndMetadata, ...]
    outputs: tuple[EndMetadata, ...]
    files: tuple[AssociatedFile, ...]

    @property
    def all_files(self) -> tuple[tuple[AssociatedFile, str], ...]:
        """All associated files, each with what it belongs to: the name of an input or output, or nothing."""
        ends = [*self.inputs, *self.outputs]
        return (*((file, "") for file in self.files), *((file, end.name) for end in ends for file in end.files))


def read(path: Path, description: Description) -> Metadata | None:
    """Return what a file says of its maker's; None where it says nothing.

    Raises
    ------
    CorruptSourceError
        If that does not parse.
    """
    number = dict(description.metadata).get(NAME)
    if number is None or not 0 <= number < len(description.buffers):
        return None
    data = values.content(path, description.buffers[number])
    buffer = Buffer(io.BytesIO(data), f"the metadata of {str(path)!r}")
    if buffer.size < len(_IDENTIFIER) * 2 or buffer.identifier() != _IDENTIFIER:
        return None
    table = buffer.root()
    subgraph = next(table.tables(_Model.SUBGRAPHS), None)
    sides = [
        () if subgraph is None else tuple(map(_end, subgraph.tables(side)))
        for side in (_Subgraph.INPUTS, _Subgraph.OUTPUTS)
    ]
    inner = () if subgraph is None else _files(subgraph, _Subgraph.FILES)
    return Metadata(
        table.text(_Model.NAME),
        table.text(_Model.DESCRIPTION),
        table.text(_Model.VERSION),
        table.text(_Model.AUTHOR),
        table.text(_Model.LICENSE),
        sides[0],
        sides[1],
        (*_files(table, _Model.FILES), *inner),
    )


def packed_sizes(path: Path) -> dict[str, int]:
    """Return the files that are packed along, by name with their bytes; none of a file that is no archive as well."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {each.filename: each.file_size for each in archive.infolist() if not each.is_dir()}
    except archives.DAMAGE:
        return {}


def packed_file(path: Path, name: str) -> bytes:
    """Return the content of a file that is packed along.

    Raises
    ------
    ReadError
        If there is no such file, or it does not unpack, or it is larger than a list of labels or a vocabulary is.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive, archive.open(name) as packed:
            content = packed.read(_MOST_BYTES + 1)
    except KeyError:
        raise errors.UnknownNameError(name, "packed file", sorted(packed_sizes(path))) from None
    except archives.DAMAGE as error:
        raise errors.CorruptSourceError(f"{name!r} in {str(path)!r} does not unpack: {error}") from error
    if len(content) > _MOST_BYTES:
        raise errors.ReadError(f"{name!r} in {str(path)!r} is larger than {_MOST_BYTES:,} bytes")
    return content


def labels(path: Path, metadata: Metadata | None, output: int) -> list[str]:
    """Return the labels of an output's places, a line each of the file that its metadata name; none without one."""
    if metadata is None or not 0 <= output < len(metadata.outputs):
        return []
    file = next((each for each in metadata.outputs[output].files if each.kind == LABELS), None)
    return packed_file(path, file.name).decode("utf-8", "replace").splitlines() if file is not None else []


def _end(table: Table) -> EndMetadata:
    units = [(each.scalar(0, "ubyte"), each.table(1)) for each in table.tables(_Tensor.UNITS)]
    scaling = next((unit for kind, unit in units if kind == _Unit.NORMALISATION and unit is not None), None)
    return EndMetadata(
        table.text(_Tensor.NAME),
        table.text(_Tensor.DESCRIPTION),
        _content(table.table(_Tensor.CONTENT)),
        tuple(text for kind, unit in units if unit is not None for text in _unit(kind, unit)),
        () if scaling is None else scaling.reals(0),
        () if scaling is None else scaling.reals(1),
        _files(table, _Tensor.FILES),
    )


def _content(table: Table | None) -> str:
    if table is None:
        return ""
    kind, properties = table.scalar(0, "ubyte"), table.table(1)
    word = _CONTENTS[kind] if kind < len(_CONTENTS) else ""
    colour = properties.scalar(0, "byte") if word == "image" and properties is not None else 0
    return ", ".join(filter(None, (word, _COLOURS[colour] if 0 <= colour < len(_COLOURS) else "")))


def _unit(kind: int, table: Table) -> Iterator[str]:
    """Word what is done to a tensor before or after."""
    if kind == _Unit.NORMALISATION:
        yield f"(x - {_numbers(table.reals(0))}) / {_numbers(table.reals(1))}"
    elif kind == _Unit.CALIBRATION:
        yield "scores are calibrated"
    elif kind == _Unit.THRESHOLD:
        yield f"scores from {table.real(0):.6g} on"
    elif kind == _Unit.BERT:
        yield f"tokens of BERT: {_names(_files(table, 0))}"
    elif kind == _Unit.SENTENCE_PIECE:
        yield f"pieces of sentences: {_names(_files(table, 0))}"
    elif kind == _Unit.REGEX:
        yield f"words between {table.text(0)!r}: {_names(_files(table, 1))}"


def _numbers(values_: tuple[float, ...]) -> str:
    return f"{values_[0]:.6g}" if len(values_) == 1 else str([float(f"{value:.6g}") for value in values_])


def _names(files: tuple[AssociatedFile, ...]) -> str:
    return ", ".join(file.name for file in files)


def _files(table: Table, field: int) -> tuple[AssociatedFile, ...]:
    return tuple(
        AssociatedFile(each.text(0), each.text(1), _kind(each.scalar(2, "byte")), each.text(3))
        for each in table.tables(field)
    )


def _kind(number: int) -> str:
    return _KINDS[number] if 0 <= number < len(_KINDS) else _KINDS[0]

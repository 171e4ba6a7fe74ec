"""The rows of a catalogue in a file, written one after the other, and read back: CSV, JSON lines, Parquet.

Not for: where the file lies while it is unfinished (:mod:`tfmagic.verbs.cataloguing.outputs`).
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tfmagic import errors, optional
from tfmagic.frames import CATALOG_NUMBERS, CatalogRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

_FIELDS = CatalogRow._fields
#: A cell that begins so is a formula to a program for tables; one that begins with an apostrophe before is text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
#: Letters of a cell: the signatures of a large model take more than the 128 KiB that Python's csv expects.
_LONGEST_CELL = 1 << 30
#: Rows that a group of Parquet has at most: so many are in memory.
_GROUP = 1000
_PARQUET = ("a catalogue in Parquet", "'tfmagic[parquet]'")


class RowWriter(Protocol):
    """Writes rows to an open file."""

    def write(self, row: CatalogRow) -> None:
        """Write one more."""

    def close(self) -> None:
        """Write what is left; the file itself stays open."""


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(_FIELDS)

    def write(self, row: CatalogRow) -> None:
        self._writer.writerow([_inert(value) for value in row])
        # What reads along, or goes on after a kill, finds whole lines.
        self._text.flush()

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _inert(value: object) -> object:
    """Put an apostrophe before what a program for tables would compute; :func:`_plain` takes it away."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _plain(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _read_csv(file: BinaryIO) -> Iterator[Mapping[str, Any]]:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    # The limit is the whole process's: whoever else reads may meet the larger one meanwhile, and keeps their own.
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, _LONGEST_CELL))
    try:
        for row in csv.DictReader(_whole_lines(text), strict=True):
            yield {name: _plain(value) if value else None for name, value in row.items() if isinstance(name, str)}
    except csv.Error as error:
        # Of a writer that was killed within a cell that has lines.
        if "unexpected end of data" not in str(error):
            raise
    finally:
        csv.field_size_limit(limit)


def _whole_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file, the last one only if it ends: a writer that was killed leaves half of one."""
    before = ""
    for line in text:
        if before:
            yield before
        before = line
    if before.endswith("\n"):
        yield before


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, row: CatalogRow) -> None:
        self._file.write(json.dumps(row._asdict(), ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.flush()


def _read_json_lines(file: BinaryIO) -> Iterator[Mapping[str, Any]]:
    for line in file:
        if line.endswith(b"\n"):
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError("a line is no JSON object")
            yield value


class _Parquet:
    def __init__(self, file: BinaryIO) -> None:
        self._arrow = optional.library("pyarrow", *_PARQUET)
        parquet = optional.library("pyarrow.parquet", *_PARQUET)
        text, number = self._arrow.string(), self._arrow.int64()
        kinds = [(name, number if name in CATALOG_NUMBERS else text) for name in _FIELDS]
        self._schema = self._arrow.schema(kinds)
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[CatalogRow] = []

    def write(self, row: CatalogRow) -> None:
        self._rows.append(row)
        if len(self._rows) >= _GROUP:
            self._write_group()

    def _write_group(self) -> None:
        columns = dict(zip(_FIELDS, map(list, zip(*self._rows, strict=True)), strict=True))
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))
        self._rows.clear()

    def close(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()


def _read_parquet(file: BinaryIO) -> Iterator[Mapping[str, Any]]:
    parquet = optional.library("pyarrow.parquet", *_PARQUET)
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=_GROUP):
        yield from batch.to_pylist()


class Format(NamedTuple):
    """How rows are written and read."""

    writer: Callable[[BinaryIO], RowWriter]
    read: Callable[[BinaryIO], Iterator[Mapping[str, Any]]]


_FORMATS: Mapping[str, Format] = {
    ".csv": Format(_Csv, _read_csv),
    ".jsonl": Format(_JsonLines, _read_json_lines),
    ".ndjson": Format(_JsonLines, _read_json_lines),
    ".parquet": Format(_Parquet, _read_parquet),
}
SUFFIXES = tuple(_FORMATS)


def format_of(path: Path) -> Format:
    """Return the format that a path's suffix asks for.

    Raises
    ------
    WriteError
        If it asks for none.
    MissingDependencyError
        If a library that it needs is not installed.
    """
    chosen = _FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise errors.WriteError(
            f"{str(path)!r} ends in {path.suffix!r}, and a catalogue is written as {', '.join(_FORMATS)}; name one of "
            "these"
        )
    if chosen.writer is _Parquet:
        optional.library("pyarrow", *_PARQUET)
    return chosen


def read(path: Path) -> Iterator[CatalogRow]:
    """Yield the rows of a file; a last line that is cut off is left out.

    Raises
    ------
    CorruptSourceError
        If it is no catalogue.
    """
    chosen = format_of(path)
    try:
        with path.open("rb") as file:
            yield from map(row_of, chosen.read(file))
    except (ValueError, KeyError, TypeError, csv.Error, UnicodeDecodeError) as error:
        message = f"{str(path)!r} is no catalogue that can be read: {type(error).__name__}: {error}"
        raise errors.CorruptSourceError(f"{message}; leave out previous=, or give what catalog() wrote") from error


def row_of(values: Mapping[str, Any]) -> CatalogRow:
    """Take the values of a row by name, whatever stands there for what is missing.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If what is to be a number is none.
    """
    return CatalogRow(*(_typed(name, values[name]) for name in _FIELDS))


def _typed(name: str, value: Any) -> Any:  # noqa: ANN401 - a cell
    # NaN and pandas' NA are what they are by not being equal to themselves.
    if value is None or type(value).__name__ == "NAType" or value == "" or value != value:  # noqa: PLR0124
        return None
    return int(value) if name in CATALOG_NUMBERS else str(value)

"""What a lookup table is filled with from a text file: lines, their numbers, or columns, as TensorFlow reads them.

The rules are those of tensorflow/core/kernels/lookup_util.cc. Not for: finding the file
(:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.files.checkpoints.values import numpy_dtype
from tfmagic.files.reading import read_bytes
from tfmagic.functions.state.live_tables import TableContent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Instead of a column: the whole line, or its number from zero.
_WHOLE_LINE, _LINE_NUMBER = -2, -1


def content(path: Path, table: protos.Message, fill: protos.Message) -> TableContent:
    """Read the keys and values of a table, each key once.

    Parameters
    ----------
    path : Path
        The text file.
    table, fill : NodeDef
        The table, which says the dtypes, and the op that fills it, which says what of a line is key and value.

    Raises
    ------
    ValueError
        If a line has too few columns, a text is no number, the file has fewer lines than the op asks for, or a key
        comes twice with different values.
    OSError
        If the file cannot be read.
    """
    lines = _lines(read_bytes(path), fill.attr["vocab_size"].i if "vocab_size" in fill.attr else -1)
    delimiter = fill.attr["delimiter"].s if "delimiter" in fill.attr else b"\t"
    offset = fill.attr["offset"].i if "offset" in fill.attr else 0
    keys = _column(lines, fill.attr["key_index"].i, table.attr["key_dtype"].type, delimiter, offset)
    values = _column(lines, fill.attr["value_index"].i, table.attr["value_dtype"].type, delimiter, offset)
    entries: dict[object, object] = {}
    for key, value in zip(keys, values, strict=True):
        if entries.setdefault(key, value) != value:
            raise ValueError(f"{str(path)!r} has the key {key!r} twice, with different values")
    return TableContent(
        _array(list(entries), table.attr["key_dtype"].type),
        _array(list(entries.values()), table.attr["value_dtype"].type),
    )


def _lines(text: bytes, wanted: int) -> list[bytes]:
    """Return the lines, without carriage returns, no more than are wanted."""
    lines = text.replace(b"\r", b"").split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    if wanted > len(lines):
        raise ValueError(f"its file has {len(lines)} lines, and {wanted} are asked for")
    return lines if wanted < 0 else lines[:wanted]


def _column(lines: Sequence[bytes], index: int, dtype: int, delimiter: bytes, offset: int) -> list[object]:
    """Return what a column of the lines holds, as Python values."""
    if index == _LINE_NUMBER:
        return [number + offset for number in range(len(lines))]
    texts = lines if index == _WHOLE_LINE else [_part(line, index, delimiter) for line in lines]
    name = protos.dtype_name(dtype)
    if name == "string":
        return list(texts)
    number = int if "int" in name else float
    return [number(text) for text in texts]


def _part(line: bytes, index: int, delimiter: bytes) -> bytes:
    parts = line.split(delimiter)
    if index >= len(parts):
        raise ValueError(f"the line {line!r} has no column {index}")
    return parts[index]


def _array(values: Sequence[object], dtype: int) -> np.ndarray:
    name = protos.dtype_name(dtype)
    return np.fromiter(values, dtype=object if name == "string" else numpy_dtype(name), count=len(values))

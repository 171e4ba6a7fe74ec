from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic.files import protos
from tfmagic.functions.state import text_tables

if TYPE_CHECKING:
    from pathlib import Path

WHOLE, NUMBER = -2, -1


def nodes(keys: str, values: str, fill: dict[str, Any]) -> tuple[Any, Any]:
    """Return the NodeDefs of a table and of what fills it."""
    table = protos.message("NodeDef")(name="table", op="HashTableV2")
    table.attr["key_dtype"].type = protos.dtype_number(keys)
    table.attr["value_dtype"].type = protos.dtype_number(values)
    filling = protos.message("NodeDef")(name="fill", op="InitializeTableFromTextFileV2")
    for name, value in fill.items():
        if isinstance(value, bytes):
            filling.attr[name].s = value
        else:
            filling.attr[name].i = value
    return table, filling


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("text", "keys", "values", "fill"),
    [
        (b"a\nb\nc\n", "string", "int64", {"key_index": WHOLE, "value_index": NUMBER}),
        (b"a\r\nb\r\n\nlast", "string", "int64", {"key_index": WHOLE, "value_index": NUMBER, "vocab_size": 2}),
        (b"a\nb\n", "int64", "string", {"key_index": NUMBER, "value_index": WHOLE, "offset": 7}),
        (b"a\nb\n", "string", "int64", {"key_index": WHOLE, "value_index": NUMBER, "offset": 7}),
        (b"a|1.5|x\nb|-2e3|y\n", "string", "float32", {"key_index": 0, "value_index": 1, "delimiter": b"|"}),
        (b"4\tx\n-5\ty\n4\tx\n", "int64", "string", {"key_index": 0, "value_index": 1}),
        ("ü\nß\n".encode(), "string", "int64", {"key_index": WHOLE, "value_index": NUMBER, "vocab_size": -1}),
    ],
)
def test_a_table_holds_what_tensorflow_fills_it_with(
    text: bytes, keys: str, values: str, fill: dict[str, Any], tmp_path: Path
) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who needs it should take

    path = tmp_path / "table.txt"
    path.write_bytes(text)
    size = fill.get("vocab_size", -1)
    initializer = tf.lookup.TextFileInitializer(
        str(path), keys, fill["key_index"], values, fill["value_index"], size if size > 0 else None,
        fill.get("delimiter", b"\t").decode(), value_index_offset=fill.get("offset", 0),
    )  # fmt: skip
    theirs = tf.lookup.StaticHashTable(initializer, "" if values == "string" else 0).export()
    ours = text_tables.content(path, *nodes(keys, values, fill))
    assert dict(zip(ours.keys.tolist(), ours.values.tolist(), strict=True)) == dict(
        zip(*(each.numpy().tolist() for each in theirs), strict=True)
    )
    assert ours.values.dtype == (object if values == "string" else np.dtype(values))


@pytest.mark.parametrize(
    ("text", "fill", "said"),
    [
        (b"a\nb\n", {"key_index": WHOLE, "value_index": NUMBER, "vocab_size": 5}, "has 2 lines, and 5 are asked for"),
        (b"a\n", {"key_index": 0, "value_index": 1}, "has no column 1"),
        (b"a\tx\n", {"key_index": 0, "value_index": 1}, "invalid literal"),
        (b"a\t1\na\t2\n", {"key_index": 0, "value_index": 1}, "the key b'a' twice"),
    ],
)
def test_a_file_that_does_not_fill_the_table_is_refused(
    text: bytes, fill: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=said):
        text_tables.content(path, *nodes("string", "int64", fill))

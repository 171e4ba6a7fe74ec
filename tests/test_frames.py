from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfmagic import frames

#: A row of each table, and one in which everything that may be missing is.
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "signatures": [
        ("serve", "s", "predict", "input", "x", "x:0", "float32", (None, 3)), ("", "", "", "", "", "", "", None),
    ],
    "ops": [
        ("", "n", "Relu", ("x",), ("^c",), "/CPU:0", "float32", (2, 3), 5),
        ("f", "m", "Add", ("x",), (), "", "", None, 0),
    ],
    "functions": [("f", ("x", "y"), ("z", "w"), 3, ("g",)), ("g", ("x", "y"), ("z", "w"), 0, ())],
    "variables": [("w", "float32", (2, 3), 6, 24, True), ("v", "string", None, None, None, None)],
    "metagraphs": [("serve", "2.21.0", 1, 2, 3, 4, 5), ("", "", 0, 0, 0, 0, 0)],
    "assets": [("serve", "vocab.txt", "asset:0", 17), ("serve", "gone.txt", "asset_1:0", None)],
    "layers": [
        ("d", "Dense", ("x",), ("y",), (None, 4), 20, True, 80, 36, 16),
        ("s", "Sub", (), (), None, None, None, None, None, None),
    ],
    "costs": [("d", "MatMul", 2, 20, 80, 36, 16), ("s", "FromAnExtension", 1, None, None, None, None)],
}  # fmt: skip


def values(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [
        tuple(None if value is pd.NA else value for value in row) for row in frame.itertuples(index=False, name=None)
    ]


@pytest.mark.parametrize("table", frames.ROW_TYPES)
def test_rows_come_back_as_they_were(table: str) -> None:
    assert values(frames.from_rows(table, ROWS[table])) == ROWS[table]


@pytest.mark.parametrize("table", frames.ROW_TYPES)
def test_an_empty_table_keeps_its_columns_and_their_kinds(table: str) -> None:
    empty, full = frames.from_rows(table, []), frames.from_rows(table, ROWS[table][:1])
    assert list(empty.columns) == list(full.columns) == frames.columns(table)
    assert len(empty) == 0
    for name in frames.columns(table):
        assert str(empty[name].dtype) == str(full[name].dtype), name


@pytest.mark.parametrize("table", frames.ROW_TYPES)
def test_text_that_repeats_is_categorical_and_counts_are_numbers(table: str) -> None:
    frame = frames.from_rows(table, ROWS[table])
    for name, series in frame.items():
        repeats = name in {"function", "op", "device", "dtype", "tags"} and table != "functions"
        assert isinstance(series.dtype, pd.CategoricalDtype) == repeats, name
    for name in {"size", "bytes", "parameters", "flops", "activation_bytes"}.intersection(frame.columns):
        assert pd.api.types.is_integer_dtype(frame[name].dtype), name
        given = dict(zip(frame.columns, zip(*ROWS[table], strict=True), strict=True))[name]
        assert frame[name].sum() == sum(value or 0 for value in given)


def test_a_missing_count_is_na_and_no_float() -> None:
    frame = frames.from_rows("variables", ROWS["variables"])
    assert frame["bytes"].isna().tolist() == [False, True]
    assert str(frame["bytes"].dtype) == "Int64"
    assert str(frames.from_rows("variables", ROWS["variables"][:1])["bytes"].dtype) == "int64"


def test_tuples_of_one_length_stay_tuples() -> None:
    frame = frames.from_rows("functions", ROWS["functions"])
    assert frame["inputs"].tolist() == [("x", "y"), ("x", "y")]


def test_rows_of_an_iterator_are_enough() -> None:
    assert len(frames.from_rows("ops", iter(ROWS["ops"]))) == 2


def test_whole_columns_are_taken_as_they_are() -> None:
    columns: dict[str, Any] = dict(zip(frames.columns("ops"), zip(*ROWS["ops"], strict=True), strict=True))
    columns["op"] = frames.categorical(np.array([1, 0]), ["Add", "Relu"])
    columns["bytes"] = np.array([5, 0], np.int64)
    columns["inputs"] = list(columns["inputs"])
    frame = frames.from_columns("ops", columns)
    assert values(frame) == ROWS["ops"]
    assert list(frame["op"].cat.categories) == ["Add", "Relu"]


def test_a_categorical_may_hold_labels_that_no_row_has() -> None:
    assert list(frames.categorical(np.zeros(0, np.int64), [])) == []
    assert frames.categorical(np.array([0]), ["a", "b"]).tolist() == ["a"]


@pytest.mark.parametrize("table", frames.ROW_TYPES)
def test_text_that_no_utf_8_can_hold_is_kept(table: str) -> None:
    rows = [tuple("\ud800" if isinstance(value, str) else value for value in row) for row in ROWS[table]]
    assert values(frames.from_rows(table, rows)) == rows
    assert frames.categorical(np.array([0]), ["\ud800"]).tolist() == ["\ud800"]


HOSTILE = "a\x1b[31mb\x07c\x9bd\u202ee$x^2$"


def test_a_table_shows_control_characters_and_keeps_its_values() -> None:
    frame = frames.from_rows("assets", [("serve", HOSTILE, "x:0", 3)])
    for shown in (repr(frame), str(frame["filename"]), str(frame.head(1)), repr(frame[frame["bytes"] > 0])):
        assert not any(char in shown for char in "\x1b\x07\x9b\u202e")
        assert "\\x1b" in shown
    assert frame["filename"].iloc[0] == HOSTILE
    assert frame.to_dict("list")["filename"] == [HOSTILE]


def test_a_table_on_a_page_is_typeset_by_nobody() -> None:
    frame: Any = frames.from_rows("assets", [("serve", HOSTILE, "x:0", 3)])
    page = frame._repr_html_()
    assert page.startswith('<div class="tex2jax_ignore mathjax_ignore">')
    assert "\x1b" not in page


def test_a_table_goes_through_pickle_and_copies() -> None:
    frame = frames.from_rows("assets", [("serve", HOSTILE, "x:0", 3)])
    copies = [pickle.loads(pickle.dumps(frame)), frame.copy(), frame.sort_values("bytes")]  # noqa: S301 - our own
    for copy in copies:
        pd.testing.assert_frame_equal(copy, frame)
        assert "\x1b" not in repr(copy)


def test_who_writes_into_a_table_does_not_write_into_the_columns_it_was_made_of() -> None:
    names = np.array(["a", "b"], dtype=object)
    values: dict[str, object] = {name: [None, None] for name in frames.columns("ops")}
    frame = frames.from_columns("ops", {**values, "name": names, "bytes": np.zeros(2, np.int64)})
    frame.loc[0, "name"] = "c"
    frame.loc[1, "bytes"] = 5
    assert list(frame["name"]) == ["c", "b"]
    assert names.tolist() == ["a", "b"]


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), np.float16("nan"), pd.NA, pd.NaT])
def test_what_is_missing(value: object) -> None:
    assert frames.is_missing(value) is True


@pytest.mark.parametrize(
    "value", [0, 1.5, np.float32(2), np.int64(3), True, np.bool_(0), "nan", (), np.zeros(2), [None]]
)
def test_what_is_a_value(value: object) -> None:
    assert frames.is_missing(value) is False

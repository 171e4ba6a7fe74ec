from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfmagic import frames
from tfmagic.commands.declarations import COMMANDS
from tfmagic.frames import Rows, VariableRow
from tfmagic.shell import printing
from tfmagic.verbs.conversion.job import Finished
from tfmagic.verbs.verification.comparison import COLUMNS, Comparison
from tfmagic.verbs.verification.outcome import Verification

HOSTILE = ["=1+1", "a|b", "`c`", "<script>", "@team", "\x1b[2J", "größe", "\u202egnp.exe", "back\\slash", "$x$", "#1"]
ROWS = Rows("variables", [VariableRow(name, "float32", (2, None), 2, None, None) for name in HOSTILE])


def printed(result: Any, format: str) -> str:
    return printing.printed(result, format, COMMANDS["forms"])


@pytest.mark.parametrize("format", ["text", "csv", "json", "markdown", "html"])
def test_rows_and_the_dataframe_of_them_are_printed_alike(format: str) -> None:
    assert printed(ROWS, format) == printed(frames.from_rows(ROWS.table, ROWS.rows), format)


def test_json_keeps_every_name_and_is_ascii() -> None:
    text = printed(ROWS, "json")
    assert text.isascii()
    assert [row["name"] for row in json.loads(text)] == HOSTILE
    assert json.loads(text)[0] == dict(
        zip(frames.columns("variables"), ["=1+1", "float32", [2, None], 2, None, None], strict=True)
    )


def test_csv_is_read_again_and_holds_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(printed(ROWS, "csv"))))
    assert rows[0] == frames.columns("variables")
    assert [row[0] for row in rows[1:3]] == ["'=1+1", "a|b"]
    assert rows[1][1:] == ["float32", "(2, None)", "2", "", ""]


def test_a_table_in_markdown_has_the_columns_it_has_whatever_names_hold() -> None:
    lines = printed(ROWS, "markdown").splitlines()
    assert len(lines) == len(HOSTILE) + 2
    assert {line.count("|") for line in lines} == {len(frames.columns("variables")) + 1}
    assert "`@team`" in lines[6]
    assert "<script>" not in lines[5].replace("`<script>`", "")


def test_a_page_has_no_script_and_loads_nothing() -> None:
    page = printed(ROWS, "html")
    assert "<script>" not in page
    assert "default-src 'none'" in page
    # Pictures and sounds of a result lie in the page itself.
    assert "img-src data:; media-src data:;" in page
    assert page.startswith("<!DOCTYPE html>")


def test_values_that_json_has_not_are_said_otherwise() -> None:
    frame = pd.DataFrame({"a": [np.nan, np.inf], "b": [b"text", b"\xff"], "c": [np.int64(1), pd.NA]})
    assert json.loads(printed(frame, "json")) == [
        {"a": None, "b": "text", "c": 1},
        {"a": "inf", "b": {"b64": "/w=="}, "c": None},
    ]


def test_text_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    wide = Rows("variables", [VariableRow("scope/" * 30, "float32", (2,), 2, 8, None)])
    assert max(map(len, printed(wide, "text").splitlines())) <= 60
    assert "float32" in printed(wide, "text")
    words = "note: " + "many words " * 20
    assert max(map(len, printed(type("Result", (), {"__repr__": lambda _: words})(), "text").splitlines())) <= 60


def test_a_terminal_that_shows_only_ascii_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    printing.write("größe … 3 \N{MULTIPLICATION SIGN} 4 \N{CHECK MARK} checked")
    assert raw.getvalue() == b"gr\\xf6\\xdfe ... 3 x 4 [ok] checked"


@pytest.mark.parametrize("format", ["text", "csv", "markdown", "html"])
def test_a_number_that_is_missing_is_an_empty_cell(format: str) -> None:
    frame = pd.DataFrame({"where": ["kernel", "bias"], "difference": [0.5, np.nan], "cosine": [np.float32(1), None]})
    written = printed(frame, format)
    assert "0.5" in written
    assert "nan" not in written.lower()


def test_an_export_has_its_fields_in_json_and_its_outputs_as_its_table() -> None:
    row = ("y", 0.0, 0.0, True)
    finished = Finished(Path("m.pb"), "graph_def", 3, 0.1, {"s": Verification(Comparison([row]))}, (), (), (), "m.pb")
    export = finished.export()
    said = json.loads(printed(export, "json"))
    assert list(said) == ["path", "format", "bytes", "seconds", "verification", "notes", "losses", "cautions"]
    assert said["verification"] == [dict(zip(COLUMNS, row, strict=True))]
    assert printed(export, "csv").splitlines() == [",".join(COLUMNS), "y,0.0,0.0,True"]

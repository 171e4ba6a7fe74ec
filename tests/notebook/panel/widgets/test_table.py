"""The table's Python side: what it answers a browser, and what it does for the tabs around it."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.notebook.panel.test_table_pages import FRAME
from tfmagic.display import render
from tfmagic.notebook.panel import variable_names
from tfmagic.notebook.panel.widgets.table import Table


class Asked:
    """A table, and what it answered."""

    def __init__(self, frame: pd.DataFrame = FRAME, **more: Any) -> None:
        self.table = Table(frame, **{"facets": {"op": ""}, **more})
        self.answers: list[Any] = []
        self.table.send = lambda content, buffers=None: self.answers.append(content)  # noqa: ARG005 - as the widget's

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        self.table._handle_custom_msg({"do": do, **what}, [])
        found: dict[str, Any] = json.loads(json.dumps(self.answers[-1], allow_nan=False)) if self.answers else {}
        return found

    def window(self, start: int = 0, count: int = 10, **query: Any) -> dict[str, Any]:
        return self.ask("window", id=7, start=start, count=count, query=query, facets=True)


def test_a_window_answers_the_question_that_was_asked() -> None:
    answer = Asked(bars=("bytes",)).window(2, 3, text="unit_1")
    rows = [row for row in range(60) if "unit_1" in FRAME["name"][row]]
    assert (answer["window"], answer["start"], answer["total"], answer["of"]) == (7, 2, len(rows), 60)
    assert answer["numbers"] == rows[2:5]
    assert [row[1] for row in answer["rows"]] == [FRAME["name"][row] for row in rows[2:5]]
    assert answer["shares"]["bytes"] == [round(int(FRAME["bytes"][row]) / 12, 4) for row in rows[2:5]]
    assert {value[1]: value[2] for value in answer["facets"][0]["values"]} == {
        op: sum(FRAME["op"][row] == op for row in rows) for op in {FRAME["op"][row] for row in rows}
    }


def test_facets_are_counted_only_when_they_are_asked_for() -> None:
    asked = Asked()
    answer = asked.ask("window", id=1, start=0, count=5, query={}, facets=False)
    assert "facets" not in answer


def test_what_a_person_makes_of_the_columns_is_kept_as_far_as_there_are_such() -> None:
    asked = Asked()
    names = [column["name"] for column in asked.table.columns]
    layout = {
        "order": ["op", "nothing", "op", "name"],
        "hidden": ["bytes", 7],
        "widths": {"op": 9e9, "no": 1, "name": 3},
    }
    asked.ask("columns", layout=layout)
    kept = asked.table.layout_of_columns
    assert kept == {"order": ["op", "name"], "hidden": ["bytes"], "widths": {"op": 4000, "name": 16}}
    asked.ask("columns", layout={"hidden": names})
    assert len(asked.table.layout_of_columns["hidden"]) == len(names) - 1


def test_sizes_are_sorted_at_first_where_a_tab_says_so() -> None:
    assert Table(FRAME, largest="bytes").sorted == [{"column": "bytes", "descending": True}]
    assert Table(FRAME).sorted == Table(FRAME, largest="nothing").sorted == []
    units = {column["name"]: column.get("unit") for column in Table(FRAME).columns}
    assert units["bytes"] == "bytes"
    assert units["name"] is None


@pytest.mark.parametrize(
    "message",
    [
        {"do": "columns"}, {"do": "columns", "layout": 5}, {"do": "columns", "layout": {"widths": {"op": "wide"}}},
        {}, {"do": "nothing"}, {"do": "window"}, {"do": "window", "id": "x", "start": None, "count": 1},
        {"do": "place"}, {"do": "open", "row": "x"}, {"do": "act", "name": "rm"}, {"do": "keep", "text": "x"},
        {"do": "window", "id": 1, "start": -5, "count": 10**9, "query": {"sort": "nothing", "chosen": {"no": [1]}}},
        {"do": "window", "id": 1, "start": 0, "count": 1, "query": {"chosen": {"op": [99, -1]}}},
    ],
)  # fmt: skip
def test_what_no_browser_of_ours_sends_does_not_raise(message: dict[str, Any]) -> None:
    asked = Asked()
    asked.table._handle_custom_msg(message, [])
    assert all("\n" not in answer.get("error", "") for answer in asked.answers)
    assert asked.window()["total"] == 60


def test_columns_without_content_are_left_out_and_the_order_is_the_callers() -> None:
    frame = FRAME.assign(device=pd.Categorical([""] * 60), inputs=pd.Series([()] * 60, dtype=object))
    table = Table(frame, columns=("op", "name", "device", "inputs", "bytes"), bars=("bytes",))
    assert [(column["name"], column["kind"]) for column in table.columns] == [
        ("op", "name"),
        ("name", "text"),
        ("bytes", "bar"),
    ]


def test_a_table_without_rows_still_says_what_it_is_of() -> None:
    empty = FRAME.iloc[:0].assign(device="")
    assert [column["name"] for column in Table(empty).columns] == list(empty.columns)


def test_rows_set_aside_have_a_switch_only_where_there_are_some() -> None:
    aside = np.arange(60) < 10
    assert (Table(FRAME, aside=("Plumbing", aside)).switch, Table(FRAME, aside=("Plumbing", aside)).total) == (
        "Plumbing",
        50,
    )
    assert Table(FRAME, aside=("Plumbing", ~np.ones(60, bool))).switch == ""
    asked = Asked(aside=("Plumbing", aside))
    assert asked.window()["of"] == 50
    assert asked.window(all=True)["of"] == 60


def test_opening_a_row_tells_its_details_and_closing_takes_them_away() -> None:
    opened: list[int] = []
    acts: list[tuple[str, int]] = []
    asked = Asked(on_row=opened.append, on_act=lambda name, row: acts.append((name, row)))
    asked.ask("open", row=5)
    asked.table.tell({"row": 5, "title": "five", "facts": [], "acts": [{"name": "go", "text": "Go"}]})
    asked.ask("act", name="go")
    asked.ask("act", name="other")
    asked.ask("open", row=1000)
    assert opened == [5, -1]
    assert acts == [("go", 5)]
    assert asked.table.details == {}


def test_what_a_tab_raises_is_said_in_one_line() -> None:
    def fail(_row: int) -> None:
        message = "first\nsecond"
        raise ValueError(message)

    assert Asked(on_row=fail).ask("open", row=0) == {"error": "first"}


def test_a_row_is_brought_into_view_and_one_that_is_not_there_refused() -> None:
    asked = Asked()
    asked.table.show(5)
    first = dict(asked.table.wanted)
    asked.table.show(5)
    assert first["row"] == asked.table.wanted["row"] == 5
    assert first["n"] != asked.table.wanted["n"]
    with pytest.raises(IndexError, match="no row 60"):
        asked.table.show(60)
    assert asked.ask("place", row=5, query={"text": "unit_5"}) == {"place": 0, "row": 5}
    assert asked.ask("place", row=5, query={"text": "unit_6"}) == {"place": -1, "row": 5}


def test_python_filters_by_values_that_exist_and_says_if_one_does_not() -> None:
    asked = Asked()
    assert asked.table.filter("unit", op="Relu")
    query = asked.table.wanted["query"]
    assert set(asked.window(count=60, **query)["numbers"]) == set(range(2, 60, 4))
    assert not asked.table.filter(op="Nowhere")


def test_filtered_rows_become_a_data_frame_in_the_order_shown() -> None:
    variables: dict[str, object] = {"taken": 1}
    asked = Asked(namespace=variables, variable="ops")
    query = {"text": "unit_1", "sort": "bytes", "descending": True}
    told = asked.ask("keep", text=" mine ", query=query)["naming"]
    kept = variables["mine"]
    assert isinstance(kept, pd.DataFrame)
    expected = FRAME[FRAME["name"].str.contains("unit_1")].sort_values("bytes", ascending=False, kind="stable")
    pd.testing.assert_frame_equal(kept, expected.reset_index(drop=True))
    assert told["kept"] == f"mine is now a DataFrame of {len(expected)} rows"
    kept.loc[0, "bytes"] = -1
    assert (FRAME["bytes"] >= 0).all()


def test_a_variable_of_the_users_is_replaced_only_on_the_second_word() -> None:
    variables: dict[str, object] = {"variables": 5, "other": 6}
    asked = Asked(namespace=variables, variable="variables")
    told = asked.ask("keep", text="variables", query={})["naming"]
    assert "there already (int)" in told["note"]
    assert "kept" not in told
    # The second word is for the same name.
    assert "kept" not in asked.ask("keep", text="other", query={})["naming"]
    assert "kept" not in asked.ask("keep", text="variables", query={})["naming"]
    assert variables == {"variables": 5, "other": 6}
    assert asked.ask("keep", text="variables", query={})["naming"]["kept"]
    assert isinstance(variables["variables"], pd.DataFrame)
    # What was put there is the table's own until somebody puts something else there.
    assert asked.ask("keep", text="variables", query={"text": "unit_1"})["naming"]["kept"]
    variables["variables"] = None
    assert "kept" not in asked.ask("keep", text="variables", query={})["naming"]
    assert variables["variables"] is None


@pytest.mark.parametrize("name", ["", "  ", "1a", "a b", "for", "None", "a.b", "a=1", "x;y"])
def test_what_is_no_name_is_told_while_typing_and_nothing_is_kept(name: str) -> None:
    variables: dict[str, object] = {}
    asked = Asked(namespace=variables)
    assert asked.ask("name", text=name)["naming"]["problem"]
    asked.ask("keep", text=name, query={})
    assert variables == {}


def test_a_name_that_is_taken_is_said() -> None:
    assert "int" in variable_names.checked_name("taken", {"taken": 1}).note
    assert variable_names.checked_name("list", {}).note
    assert variable_names.checked_name("mine", {"taken": 1}) == variable_names.Naming()


def test_without_a_kernel_the_first_rows_stand_there_escaped() -> None:
    frame = FRAME.assign(name=["<script>alert(1)</script>", *FRAME["name"][1:]])
    bundle = Table(frame, label="Ops")._repr_mimebundle_()[0]
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert f"unit_{render.MAX_ROWS - 1}" in bundle["text/plain"]
    assert f"unit_{render.MAX_ROWS}" not in bundle["text/plain"]
    assert f"{60 - render.MAX_ROWS} more" in bundle["text/plain"]


def test_threads_may_ask_at_once() -> None:
    table = Asked().table
    answers: list[tuple[str, list[int]]] = []
    texts = ("unit_1", "unit_2", "relu", "net", "nowhere")

    def answer(content: dict[str, Any], buffers: object = None) -> None:  # noqa: ARG001 - as ipywidgets calls it
        # By the thread's name: the system gives the identifier of one that ended to the next.
        answers.append((threading.current_thread().name, content["numbers"]))

    def ask(text: str) -> None:
        for _ in range(200):
            message = {"do": "window", "id": 1, "start": 0, "count": 99, "query": {"text": text}}
            table._handle_custom_msg(message, [])

    table.send = answer
    threads = [threading.Thread(target=ask, args=(text,), name=text) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 1000
    for text in texts:
        named = FRAME["name"].str.lower().str.contains(text) | FRAME["op"].astype(str).str.lower().str.contains(text)
        assert [rows for name, rows in answers if name == text] == [np.flatnonzero(named).tolist()] * 200

"""Paging without a browser: filters, facets, order and windows, against plain Python over the same rows."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pandas as pd
import pytest

from tfmagic.notebook.panel import table_pages
from tfmagic.notebook.panel.table_pages import Facet, Pages, Query

OPS = ("Conv2D", "BiasAdd", "Relu", "Const")
SHAPES = ((None, 3), (1, 2), None, (), (None, None, 4), (10, 2), (2, 2))


def table(count: int = 60) -> pd.DataFrame:
    """A table of ops with all kinds of columns: text that repeats and does not, tuples, numbers, what is missing."""
    shapes = [SHAPES[row % len(SHAPES)] for row in range(count)]
    return pd.DataFrame({
        "function": pd.Categorical(["" if row % 3 else "inner" for row in range(count)]),
        "name": pd.Series([f"net/Block_{row // 5}/unit_{row}" for row in range(count)], dtype=object),
        "op": pd.Categorical([OPS[row % 4] for row in range(count)], categories=[*OPS, "Unused"]),
        "shape": pd.Series(np.fromiter(shapes, dtype=object, count=count), dtype=object),
        "bytes": [row * 7 % 13 for row in range(count)],
        "size": pd.array([None if row % 4 == 1 else row % 5 for row in range(count)], dtype="Int64"),
        "share": [float("nan") if row % 5 == 2 else row % 3 / 2 for row in range(count)],
    })  # fmt: skip


FRAME = table()


def pages(frame: pd.DataFrame = FRAME, **more: object) -> Pages:
    return Pages(frame, ("name", "op"), ("function", "op", "shape"), **more)  # type: ignore[arg-type]


def found(query: Query, **more: object) -> list[int]:
    rows: list[int] = pages(**more).find(query).rows.tolist()  # type: ignore[arg-type]
    return rows


def counts(facet: Facet) -> dict[str, int]:
    return {value.text: value.rows for value in facet.listed}


@pytest.mark.parametrize("text", ["unit_1", "BLOCK_2", "relu", "unit_5 ", "nowhere", "", ".*"])
def test_a_text_is_found_in_any_searched_column_whatever_its_case(text: str) -> None:
    wanted = text.strip().lower()
    expected = [
        row
        for row, (name, op) in enumerate(zip(FRAME["name"], FRAME["op"], strict=True))
        if wanted in name.lower() or wanted in op.lower()
    ]
    assert found(Query(text)) == expected


def test_typing_on_and_back_finds_what_a_fresh_table_finds() -> None:
    one = pages()
    for text in ("u", "un", "unit_5", "unit_51", "unit_5", "conv", "C", "Conv2", "unit", ""):
        assert one.find(Query(text)).rows.tolist() == found(Query(text)), text


def test_a_regular_expression_is_found_anywhere_whatever_the_case() -> None:
    assert found(Query(r"unit_\d$", is_regex=True)) == list(range(10))
    assert found(Query("^RELU$", is_regex=True)) == list(range(2, 60, 4))


@pytest.mark.parametrize(
    "pattern",
    [
        "unit_1", "unit_1*", "unit_12?$", "UNIT_[1-3]", "unit_1{2}", "[]u]nit", "[^]]nit_5$", "b{0}nit",
        "(unit_1|conv)", "(?:block_)?relu", "conv|relu", r"unit\_1", "unit_5x*", "block.*7$", "^n", "x+|u", "u{1,}",
        "a{,2}nit", "[a]b?lock", "unit_1+", "-", "net/B[a-z]ock", "[]abcdefgh]?relu", "}?unit_7",
    ],
)  # fmt: skip
def test_letters_that_a_pattern_needs_do_not_hide_what_it_matches(pattern: str) -> None:
    assert found(Query(pattern, is_regex=True)) == [
        row
        for row, (name, op) in enumerate(zip(FRAME["name"], FRAME["op"], strict=True))
        if re.search(pattern, name, re.IGNORECASE) or re.search(pattern, op, re.IGNORECASE)
    ]


def test_letters_that_a_pattern_needs_are_its_certain_runs() -> None:
    assert table_pages.literals("^net/.*ReLU_[0-9]+$") == ["relu_", "net/"]
    assert table_pages.literals("unit_12?7") == ["unit_1"]
    assert table_pages.literals("(abc)?") == table_pages.literals("ab|cd") == table_pages.literals(r"\Babc") == []


def test_a_name_that_is_not_ascii_is_tried_all_the_same() -> None:
    frame = pd.DataFrame({"name": pd.Series(["\u0130nput", "input", "\u212aernel"], dtype=object)})
    one = Pages(frame, ("name",))
    assert one.find(Query("kernel", is_regex=True)).rows.tolist() == [2]
    assert one.find(Query("input", is_regex=True)).rows.tolist() == [
        row for row in range(3) if re.search("input", frame["name"][row], re.IGNORECASE)
    ]


@pytest.mark.parametrize("text", ["(", "[", "*", "a{2,1}", "(?P<x", "\\"])
def test_a_regular_expression_that_is_none_is_said_in_one_line(text: str) -> None:
    answer = pages().find(Query(text, is_regex=True))
    assert answer.problem
    assert "\n" not in answer.problem
    assert len(answer.rows) == len(FRAME)


def test_values_of_one_facet_add_up_and_those_of_two_narrow() -> None:
    one = pages()
    conv, relu = one.code("op", "Conv2D"), one.code("op", "Relu")
    inner = one.code("function", "inner")
    assert None not in (conv, relu, inner)
    chosen = (("op", (conv, relu)), ("function", (inner,)))
    rows = one.find(Query(chosen=chosen)).rows.tolist()  # type: ignore[arg-type]
    assert rows == [row for row in range(60) if row % 2 == 0 and row % 3 == 0]


def test_each_facet_is_counted_under_the_other_filters_but_not_its_own() -> None:
    one = pages()
    query = Query("unit_1", chosen=(("op", (one.code("op", "Conv2D"),)),))  # type: ignore[arg-type]
    with_text = [row for row in range(60) if "unit_1" in FRAME["name"][row]]
    function, op, shape = one.facets(query)
    assert counts(op) == {each: sum(row % 4 == place for row in with_text) for place, each in enumerate(OPS)}
    conv = [row for row in with_text if row % 4 == 0]
    assert counts(function) == {
        text: count
        for text, count in (("", sum(row % 3 != 0 for row in conv)), ("inner", sum(row % 3 == 0 for row in conv)))
        if count
    }
    assert sum(counts(shape).values()) == len(conv)


def test_what_is_frequent_comes_first_and_what_never_occurs_is_not_listed() -> None:
    facet = pages().facets(Query())[0]
    assert [value.text for value in facet.listed] == ["", "inner"]
    assert "Unused" not in counts(pages().facets(Query())[1])


def test_a_chosen_value_stays_listed_when_other_filters_leave_none_of_it() -> None:
    one = pages()
    query = Query("unit_0", chosen=(("op", (one.code("op", "Relu"),)),))  # type: ignore[arg-type]
    assert one.find(query).rows.tolist() == []
    assert counts(one.facets(query)[1]) == {"Conv2D": 1, "Relu": 0}


def test_more_values_than_can_be_listed_are_counted() -> None:
    count = table_pages.MOST_VALUES + 25
    frame = pd.DataFrame({"name": pd.Categorical([f"n{row}" for row in range(count)])})
    facet = Pages(frame, ("name",), ("name",)).facets(Query())[0]
    assert (len(facet.listed), facet.more) == (table_pages.MOST_VALUES, 25)
    last = Pages(frame, ("name",), ("name",)).facets(Query(chosen=(("name", (count - 1,)),)))[0]
    assert last.listed[-1].code == count - 1


def test_a_value_or_a_column_that_is_not_there_has_no_code() -> None:
    assert pages().code("op", "Nowhere") is None
    assert pages().code("nothing", "x") is None


@pytest.mark.parametrize("column", FRAME.columns)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable_and_what_is_missing_comes_last(column: str, descending: bool) -> None:  # noqa: FBT001 - a case
    rows = found(Query("unit", sort=column, descending=descending))
    values = [FRAME[column].iloc[row] for row in rows]
    missing = [value is None or value is pd.NA or value != value for value in values]  # noqa: PLR0124 - NaN
    assert missing == sorted(missing)
    assert sorted(rows) == list(range(60))
    steps = list(itertools.pairwise(zip(rows, values, missing, strict=True)))
    for (row, value, gone), (next_row, next_value, next_gone) in steps:
        if gone or next_gone or value == next_value:
            assert row < next_row or gone != next_gone
        elif column != "shape":
            assert (value > next_value) == descending
    if column == "shape":
        order = [(), (None, None, 4), (None, 3), (1, 2), (2, 2), (10, 2)]
        places = [order.index(value) for value, gone in zip(values, missing, strict=True) if not gone]
        assert places == sorted(places, reverse=descending)


def test_values_of_different_kinds_are_sorted_without_an_error() -> None:
    values = ["b", 2, None, ("x", 1), (3,), True, "a", 1.5, float("nan"), b"c", ("x",)]
    shuffled = random.Random(3).sample(values, len(values))
    frame = pd.DataFrame({"value": pd.Series(shuffled, dtype=object)})
    rows = Pages(frame, ()).find(Query(sort="value")).rows
    assert [str(frame["value"][row]) for row in rows[-2:]] == [
        str(value) for value in shuffled if value is None or value != value  # noqa: PLR0124 - NaN
    ]  # fmt: skip


def test_a_column_that_is_not_there_sorts_nothing() -> None:
    assert found(Query(sort="nothing")) == list(range(60))


def test_rows_set_aside_are_shown_and_counted_on_request_only() -> None:
    aside = np.arange(60) < 10
    assert found(Query(), aside=aside) == list(range(10, 60))
    assert found(Query(is_whole=True), aside=aside) == list(range(60))
    one = pages(aside=aside)
    assert sum(counts(one.facets(Query())[1]).values()) == 50
    assert one.place(Query(), 5) == -1
    assert one.place(Query(is_whole=True), 5) == 5
    assert one.place(Query(), 12) == 2


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (0, 5, (0, 0, 5)), (57, 5, (55, 55, 60)), (1000, 5, (55, 55, 60)), (-4, 5, (0, 0, 5)), (0, 0, (0, 0, 0)),
        (0, 99, (0, 0, 60)),
    ],
)  # fmt: skip
def test_a_window_lies_within_the_rows(start: int, count: int, expected: tuple[int, int, int]) -> None:
    first, begin, end = expected
    assert table_pages.window(np.arange(60), start, count) == (first, list(range(begin, end)))


def test_a_window_has_no_more_rows_than_one_answer_carries() -> None:
    assert len(table_pages.window(np.arange(10_000), 0, 10_000)[1]) == table_pages.MOST_ROWS
    assert table_pages.window(np.arange(0), 3, 10) == (0, [])


def test_cells_are_texts_that_cannot_do_harm() -> None:
    frame = pd.DataFrame({
        "name": pd.Series(["a\x1b[31m", "\u202eb", "<b>", "x" * 500], dtype=object),
        "shape": pd.Series(np.fromiter([(None, 3), None, (), (1,)], dtype=object, count=4), dtype=object),
        "inputs": pd.Series(np.fromiter([(), ("a", "b"), (), ("^c",)], dtype=object, count=4), dtype=object),
        "bytes": pd.array([1234567, None, 0, 5], dtype="Int64"),
        "trainable": pd.Series([True, None, False, True], dtype=object),
    })  # fmt: skip
    cells = Pages(frame, ("name",)).cells([0, 1, 2, 3], list(frame.columns))
    assert cells[0] == ["a\\x1b[31m", "(None, 3)", "", "1,234,567", "True"]
    assert cells[1] == ["\\u202eb", "", "a, b", "", ""]
    assert cells[2] == ["<b>", "()", "", "0", "False"]
    assert cells[3][2] == "^c"
    assert len(cells[3][0]) < 200


def test_shares_are_of_the_largest_value_of_the_whole_column() -> None:
    frame = pd.DataFrame({"bytes": pd.array([5, None, 10, 0, -3], dtype="Int64")})
    assert Pages(frame, ()).shares([0, 1, 2, 3, 4], "bytes") == [0.5, 0.0, 1.0, 0.0, 0.0]
    assert Pages(pd.DataFrame({"bytes": [0, 0]}), ()).shares([0, 1], "bytes") == [0.0, 0.0]
    assert Pages(pd.DataFrame({"bytes": pd.array([], dtype="Int64")}), ()).shares([], "bytes") == []


def test_an_empty_table_can_be_asked_anything() -> None:
    one = pages(table(0))
    for query in (
        Query(),
        Query("x"),
        Query("x", is_regex=True),
        Query(sort="shape", descending=True),
        Query(sort="op"),
    ):
        assert one.find(query).rows.tolist() == []
        assert [facet.listed for facet in one.facets(query)] == [(), (), ()]
    assert one.place(Query(), 0) == -1


def test_the_table_is_left_as_it_was() -> None:
    frame = table()
    before = frame.copy(deep=True)
    one = pages(frame)
    one.warm()
    for query in (Query("unit"), Query(sort="shape"), Query("x", is_regex=True, sort="bytes", descending=True)):
        one.find(query)
        one.facets(query)
    pd.testing.assert_frame_equal(frame, before)

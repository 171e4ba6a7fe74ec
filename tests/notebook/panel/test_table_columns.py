from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tfmagic.notebook.panel.table_columns import Column

TEXTS = ["conv/Relu", "Add", "ÄRGER", "add_1", "conv/relu6", ""]


def both(values: list[str]) -> list[Column]:
    """Return the same column with and without codes: what is found must not depend on it."""
    return [Column(pd.Series(values)), Column(pd.Series(values, dtype="category"))]


@pytest.mark.parametrize("text", ["relu", "add", "ärger", "", "none of them"])
def test_a_text_is_found_without_its_case(text: str) -> None:
    expected = [text.casefold() in value.casefold() for value in TEXTS]
    for column in both(TEXTS):
        assert column.holding(text, None).tolist() == expected


def test_what_is_ready_for_a_search_finds_what_looking_at_each_row_finds() -> None:
    random = np.random.default_rng(1)
    letters = [*"abcxyz/_09-é", "\ud800", "\0", " ", "ß"]
    values = ["".join(random.choice(letters, length)) for length in random.integers(0, 9, 400)]
    plain, ready = Column(pd.Series(values, dtype=object)), Column(pd.Series(values, dtype=object))
    ready.make_ready()
    texts = [*letters, *("".join(random.choice(letters, length)) for length in (2, 2, 2, 3, 3, 4)), *values[:40], ""]
    for text in {text.casefold() for text in texts}:
        assert ready.holding(text, None).tolist() == [text in value.casefold() for value in values], text
        among = random.random(400) < 0.5
        assert ready.holding(text, among).tolist() == (plain.holding(text, None) & among).tolist(), text


def test_a_text_is_sought_only_among_the_rows_that_are_left() -> None:
    column = Column(pd.Series(TEXTS))
    among = np.array([False, True, True, True, False, False])
    assert column.holding("add", among).tolist() == [False, True, False, True, False, False]


@pytest.mark.parametrize(("pattern", "needed"), [("relu", ["relu"]), ("[ÄA]", []), ("^$", []), ("ä", [])])
def test_a_pattern_finds_the_same_with_what_it_needs_and_without(pattern: str, needed: list[str]) -> None:
    compiled = re.compile(pattern, re.IGNORECASE)
    expected = [compiled.search(value) is not None for value in TEXTS]
    for column in both(TEXTS):
        assert column.matching(compiled, needed).tolist() == expected


def test_values_are_chosen_by_their_codes() -> None:
    for column in both(["a", "b", "a", "c"]):
        codes, meanings = column.coded
        assert column.is_one_of([meanings.index("a")]).tolist() == [True, False, True, False]
        assert [meanings[code] for code in codes] == ["a", "b", "a", "c"]


def test_missing_values_share_one_code() -> None:
    codes, meanings = Column(pd.Series(["a", None, "a", None], dtype="category")).coded
    assert [meanings[code] for code in codes] == ["a", None, "a", None]


@pytest.mark.parametrize("descending", [False, True])
def test_what_is_missing_comes_last_and_what_is_equal_keeps_its_order(descending: bool) -> None:  # noqa: FBT001
    order = Column(pd.Series([3.0, None, 1.0, 3.0, None, 2.0])).order(descending=descending).tolist()
    assert order[-2:] == [1, 4]
    assert order[:-2] == ([0, 3, 5, 2] if descending else [2, 5, 0, 3])


@pytest.mark.parametrize("descending", [False, True])
def test_equal_texts_keep_their_order(descending: bool) -> None:  # noqa: FBT001
    order = Column(pd.Series(["b", "a", "c", "a", "b"], dtype=object)).order(descending=descending).tolist()
    assert order == ([2, 0, 4, 1, 3] if descending else [1, 3, 0, 4, 2])


def test_shapes_are_sorted_by_size_with_unknown_dimensions_first() -> None:
    shapes = [(2, 3), (None, 3), None, (10,), (2,), ()]
    order = Column(pd.Series(shapes, dtype=object)).order(descending=False).tolist()
    assert [shapes[row] for row in order] == [(), (None, 3), (2,), (2, 3), (10,), None]


def test_no_rows_at_all() -> None:
    column = Column(pd.Series([], dtype=object))
    assert column.order(descending=True).tolist() == []
    assert column.holding("x", None).tolist() == []

from __future__ import annotations

import pytest

from tfmagic.display import text_tables

ROWS = [["name", "dtype", "bytes"], ["net/block_1/kernel", "float32", "12"], ["net/block_1/gamma", "float32", "7"]]


def test_names_that_begin_alike_are_told_apart() -> None:
    assert text_tables.laid_out(ROWS) == [
        "name                dtype    bytes",
        "net/block_1/kernel  float32  12",
        "net/block_1/gamma   float32  7",
    ]
    narrow = text_tables.laid_out(ROWS, 30)
    assert narrow[1:] == ["net/bl…/kernel  float32  12", "net/bl…1/gamma  float32  7"]


def test_words_are_cut_at_their_end() -> None:
    assert text_tables.laid_out([["why"], ["three long words"]], 12)[1] == "three long …"


def test_a_sentence_at_the_end_goes_on_below_its_beginning() -> None:
    rows = [["what", "why"], ["op", "it runs code with all your rights"], ["other", "no"]]
    assert text_tables.laid_out(rows, 24) == [
        "what   why",
        "op     it runs code with",
        "       all your rights",
        "other  no",
    ]


@pytest.mark.parametrize("width", range(22, 200, 9))
def test_no_line_is_wider_and_what_has_no_room_is_counted(width: int) -> None:
    rows = [[f"column_{place}_{'x' * place}" for place in range(16)] for _ in range(3)]
    lines = text_tables.laid_out(rows, width)
    assert max(map(len, lines)) <= width
    shown = len(lines[0].split())
    assert lines[3:] == ([f"… and {16 - shown} more column{'s' * (shown < 15)}"] if shown < 16 else [])


def test_without_columns_or_rows_there_is_little_to_say() -> None:
    assert text_tables.laid_out([[]], 10) == [""]
    assert text_tables.laid_out([["a" * 30]], 10) == ["aaaa…aaaaa"]

"""Texts of strangers on a terminal and on a page."""

from __future__ import annotations

import pytest

from tfmagic.escaping import html_text, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dense/kernel", "dense/kernel"),
        ("caf\u00e9 \u4e2d", "caf\u00e9 \u4e2d"),
        ("a\x1b[2J\n\x9b", r"a\x1b[2J\x0a\x9b"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("\udcff\U000e0001", r"\udcff\U000e0001"),
    ],
)
def test_what_moves_a_terminal_or_turns_a_text_around_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert html_text(text) == shown


def test_nothing_is_markup() -> None:
    assert html_text("<b a='\"'>&amp;") == "&lt;b a=&#x27;&quot;&#x27;&gt;&amp;amp;"
    assert html_text(None) == "None"

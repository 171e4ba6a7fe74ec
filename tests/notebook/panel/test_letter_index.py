"""What the index settles by itself, and what it leaves to be looked at; that it hides nothing is held with columns."""

from __future__ import annotations

from tfmagic.notebook.panel.letter_index import LetterIndex

TEXTS = ["net/relu_1", "net/conv2d", "", "\u00e9tage", "relu"]


def test_a_single_letter_is_settled() -> None:
    mask, is_certain = LetterIndex(TEXTS).candidates("r")
    assert (mask.tolist(), is_certain) == ([True, False, False, False, True], True)
    # Beyond ASCII letters share bits.
    assert not LetterIndex(TEXTS).candidates("\u00e9")[1]
    assert LetterIndex(TEXTS).candidates("\u00e9")[0][3]


def test_of_longer_texts_few_are_left_to_be_looked_at() -> None:
    index = LetterIndex([f"net/block_{n // 100}/unit_{n}" for n in range(10_000)])
    mask, is_certain = index.candidates("unit_99")
    assert not is_certain
    assert 0 < mask.sum() < 1500
    assert index.candidates("nowhere")[0].sum() == 0


def test_no_texts_at_all() -> None:
    assert LetterIndex([]).candidates("x")[0].tolist() == []

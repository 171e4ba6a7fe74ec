from __future__ import annotations

import pytest

from tfmagic.verbs.restoration.automatic_names import Place, contradictions, is_made_up, ranked


@pytest.mark.parametrize(
    ("name", "kinds", "expected"),
    [
        ("dense", {"dense"}, True),
        ("dense_12", {"dense"}, True),
        ("dense_12", {"conv2d"}, False),
        ("conv2d", {"conv2d"}, True),
        ("conv2d_transpose_1", {"conv2d_transpose"}, True),
        ("block_1", {"dense"}, False),
        ("forward_lstm_3", {"lstm"}, True),
        ("Variable", set(), True),
        ("Variable_4", set(), True),
        ("kernel", set(), True),
        ("0", set(), True),
        ("mean", set(), False),
        ("encoder", {"dense"}, False),
    ],
)
def test_a_name_is_made_up_of_the_class_that_bears_it(name: str, kinds: set[str], expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_made_up(name, kinds) is expected


def place(stored: str, live: str, *kinds: str) -> Place:
    names, own = (tuple(filter(None, side.split("/"))) for side in (stored, live))
    return Place(names, own, frozenset(kinds), stored, live)


@pytest.mark.parametrize(
    ("places", "names"),
    [
        ([place("a", "b"), place("b", "a")], {"a", "b"}),
        ([place("a/w", "b/w"), place("b/w", "a/w")], {"a", "b"}),
        ([place("a", "a"), place("b", "c")], set()),
        ([place("dense", "dense_1", "dense"), place("dense_1", "dense_2", "dense")], set()),
        ([place("dense", "dense_1", "conv"), place("dense_1", "dense", "conv")], {"dense", "dense_1"}),
        ([place("a", "c"), place("b", "a")], {"a"}),
        # What nothing was paired with has a place of its own.
        ([place("b", "a"), place("a", "")], {"a"}),
        # A name that stands in more places on one side is no contradiction.
        ([place("a", "a"), place("b", "a")], set()),
        ([place("", "a"), place("", "b")], set()),
    ],
)
def test_a_given_name_contradicts_where_each_side_has_it_elsewhere(places: list[Place], names: set[str]) -> None:
    assert {found.name for found in contradictions(places)} == names


def test_made_up_numbers_become_an_order() -> None:
    kinds = frozenset({"dense", "conv2d"})
    first = [("dense", "kernel"), ("conv2d", "kernel"), ("dense_1", "bias"), ("mine_3", "dense_2", "bias")]
    later = [("dense_7", "kernel"), ("conv2d_4", "kernel"), ("dense_9", "bias"), ("mine_3", "dense_11", "bias")]
    assert ranked(first, kinds) == ranked(later, kinds)
    assert ranked(first[:1], kinds) != ranked([("conv2d", "kernel")], kinds)
    # In the order of the numbers, whatever that of the list.
    assert ranked([later[2], later[0]], kinds) == ranked([first[2], first[0]], kinds)
    assert ranked([later[2], later[0]], kinds) != ranked([first[0], first[2]], kinds)

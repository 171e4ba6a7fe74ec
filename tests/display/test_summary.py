from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import tfmagic
from tests.wire_samples import attr, field, node
from tfmagic import errors
from tfmagic.display import card_ends, render, summary
from tfmagic.frames import LayerRow, VariableRow
from tfmagic.graphs import metagraphs, plumbing, signatures
from tfmagic.graphs.signatures import Endpoint
from tfmagic.models.model import Model, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.samples import Built

GRAPH = b"".join(
    field(1, each)
    for each in (
        node("x", "Placeholder"),
        node("dead", "Placeholder"),
        node("w", "Const", attrs=attr("value", field(8, field(4, b"1234")))),
        node("v", "VarHandleOp"),
        node("y", "MatMul", "x", "w"),
        node("names", "Const"),
        node("save", "SaveV2", "names"),
    )
)


def graph_loader(data: bytes = GRAPH) -> Callable[[], Any]:
    return lambda: (metagraphs.MetaGraph.of(field(2, data)),)


def tagged(*keys: str) -> Any:
    ends = [Endpoint("x", "x:0", "float32", (None, 4))]
    return (((), {key: signatures.signature_def(ends, ends) for key in keys}),)


VARIABLES = (VariableRow("small", "float32", (2,), 2, 8, None), VariableRow("big", "float32", (5, 5), 25, 100, None))
LAYERS = (LayerRow("dense", "Dense", ("x",), ("y",), (None, 4), 20, None),)


def whole(**loaders: Callable[[], Any]) -> Model:
    """Return a model that has everything, some parts with a loader of their own."""
    parts = {
        "graph": graph_loader(),
        "signatures": lambda: tagged("serve", "__saved_model_init_op"),
        "variables": lambda: VARIABLES,
        "keras": lambda: LAYERS,
    }
    return Model("made", "by hand", {Part(name): load for name, load in (parts | loaders).items()}, ("a note",))


def facts(found: Model) -> dict[str, object]:
    return dict(summary.sections(found)[0].facts)


def titles(found: Model) -> list[str]:
    return [section.title for section in summary.sections(found)]


def test_what_a_display_says() -> None:
    assert facts(whole()) == {
        "ops": "7",
        "graph": render.size_text(len(GRAPH)),
        "constants": "4 B",
        "variables": "2, 108 B",
        "hidden": "2 rows of TensorFlow's own signatures and 2 ops that only save or restore; "
        "all=True (--all) shows them",
        "note": "a note",
    }
    assert titles(whole()) == ["Summary", "Signatures", "Layers", "Op counts", "Biggest variables"]


def test_the_biggest_variables_come_first() -> None:
    table = summary.sections(whole())[-1].table
    assert table is not None
    assert table["name"].tolist() == ["big", "small"]


def test_ends_are_proposed_where_there_is_no_signature() -> None:
    found = whole(signatures=tagged)
    assert titles(found)[1:3] == [
        "Proposed inputs and outputs (there is no signature)", "Placeholders that nothing uses",
    ]  # fmt: skip
    table = summary.sections(found)[1].table
    assert table is not None
    assert table["tensor"].tolist() == ["x:0", "y:0"]
    assert set(table["method"]) == {"proposed"}


def test_a_huge_graph_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_ends, "FOLLOWED_NODES", 6)
    monkeypatch.setattr(plumbing, "ends_of", lambda _: pytest.fail("every edge was followed"))
    monkeypatch.setattr(plumbing, "is_plumbing", lambda *_: pytest.fail("every edge was followed"))
    found = whole(signatures=tagged)
    assert titles(found) == ["Summary", "Layers", "Op counts", "Biggest variables"]
    assert facts(found)["ops"] == "7"


class Odd(Exception):  # noqa: N818 - what a foreign library may raise
    """An exception with a message of several lines and markup."""

    def __str__(self) -> str:
        return "first <b>line</b>\nsecond line"


def failing(error: BaseException) -> Callable[[], Any]:
    def load() -> NoReturn:
        raise error

    return load


@pytest.mark.parametrize("part", ["graph", "signatures", "variables", "keras"])
@pytest.mark.parametrize("error", [Odd(), OSError(5, "I/O"), RecursionError(), MemoryError(), errors.ReadError("gone")])
def test_a_display_never_raises_and_says_what_it_could_not_read(part: str, error: Exception) -> None:
    found = whole(**{part: failing(error)})
    for form in (repr(found), found._repr_html_()):
        assert type(error).__name__ in form
        assert "second line" not in form
    assert "<b>" not in found._repr_html_()
    assert len(titles(found)) >= 4


def test_a_display_of_a_damaged_graph_says_so() -> None:
    found = whole(graph=graph_loader(b"\x0a\x7f"))
    assert "truncated or damaged" in repr(found)
    assert "Biggest variables" in repr(found)


def test_a_part_that_cannot_be_read_is_not_tried_again_for_each_line() -> None:
    calls: list[int] = []

    def load() -> NoReturn:
        calls.append(1)
        raise errors.CorruptSourceError("damaged")

    repr(whole(graph=load))
    assert len(calls) == 1


def test_a_model_with_nothing_in_it() -> None:
    found = Model("made", "nothing", {})
    assert repr(found) == "made: nothing\n\nNothing of it can be read.\n\nSummary"


def big(names: Callable[[int], str]) -> Model:
    """Return a model of 10,000 ops, signatures, variables and layers."""
    count = range(10_000)
    nodes = b"".join(
        field(1, node(names(index), names(index), names(index // 2), device=names(index))) for index in count
    )
    variables = tuple(VariableRow(names(index), "float32", (index,), index, index, None) for index in count)
    layers = tuple(LayerRow(names(index), "Dense", (names(index),) * 9, (), None, None, None) for index in count)
    return whole(
        graph=graph_loader(nodes),
        signatures=lambda: tagged(*map(names, count)),
        variables=lambda: variables,
        keras=lambda: layers,
    )


def test_the_display_of_a_large_graph_stays_small() -> None:
    found = big(lambda index: f"model/block_{index // 100}/layer_{index % 100}/op_{index}")
    assert len(found._repr_html_().encode()) < 100_000
    assert len(repr(found).encode()) < 50_000


def test_the_display_of_a_hostile_graph_is_bounded() -> None:
    rng = random.Random(0)
    names = [f"{index}" + "".join(rng.choices("\"<&'\u202e\x1b", k=200)) for index in range(10_000)]
    assert len(big(names.__getitem__)._repr_html_().encode()) < 500_000


@pytest.mark.tensorflow
def test_a_graph_says_whether_it_is_frozen(samples: Built) -> None:
    assert "frozen: yes: it has no variables" in repr(tfmagic.inspect(samples["graph_def"]))
    graph_def = tfmagic.inspect(samples["session"]).graph_def
    assert "frozen: no: the values of 4 variables are not in it" in repr(tfmagic.inspect(graph_def))
    assert "frozen" not in repr(tfmagic.inspect(samples["saved_model_tf2"]))

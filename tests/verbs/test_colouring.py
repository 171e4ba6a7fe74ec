"""What a graph is coloured by: what the model says itself, what is measured, what the user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import chain
from tfmagic import errors
from tfmagic.display.graph import choices, folded_svg
from tfmagic.display.graph.bodies import Library
from tfmagic.verbs import colouring, op_times

if TYPE_CHECKING:
    from tfmagic.models.model import Model

NAMES = [f"net/block_{n // 5}/unit_{n}" for n in range(60)]


def drawn(**more: Any) -> Model:
    return drawn_graphs.model(chain(["x", *NAMES]), **more)


def measure(model: Model, wanted: object) -> Any:
    library = next(each.library for each in choices.choices(model) if each.library is not None)
    return colouring.of(model, wanted)(library)._sums.measure


@pytest.mark.parametrize(
    "data",
    [
        pd.Series([1.0, 2.0], index=["x", "net"], name="values"),
        pd.DataFrame({"name": ["x", "net"], "kind": ["a", "b"], "values": [1.0, 2.0]}),
        pd.DataFrame({"scope": ["x", "net"], "values": [1, 2]}),
        pd.DataFrame({"values": [1, 2]}, index=["x", "net"]),
        {"x": 1, "net": 2},
        pd.Series([1.0, 0.5, 1.5, None], index=["x", "net", "net", "y"], name="values"),
    ],
    ids=["series", "named", "scoped", "indexed", "dict", "repeated"],
)
def test_numbers_are_taken_by_name(data: object) -> None:
    found = measure(drawn(), data)
    assert (found.title, found.of_names) == ("values", {"x": 1.0, "net": 2.0})


def test_an_index_of_two_levels_is_function_and_node() -> None:
    index = pd.MultiIndex.from_tuples([("", "x"), ("f", "a")])
    assert measure(drawn(), pd.Series([1, 2], index=index)).of_nodes == {("", "x"): 1.0, ("f", "a"): 2.0}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pd.DataFrame({"name": ["x"], "a": [1], "b": [2]}), r"2 columns of numbers .*set_index\('name'\)\['a'\]"),
        (pd.DataFrame({"name": ["x"]}), "no column of numbers"),
        (pd.Series(["much"], index=["x"]), "are to be numbers"),
        (pd.Series([], dtype=float), "no number to colour by"),
        (pd.Series([None], index=["x"], dtype=float), "no number to colour by"),
        ([1, 2], "not by list"),
        (np.zeros(3), "not by ndarray"),
        (pd.Series([1], index=pd.MultiIndex.from_tuples([("a", "b", "c")])), "3 levels"),
    ],
)  # fmt: skip
def test_what_holds_no_numbers_by_name_is_refused(data: object, said: str) -> None:
    with pytest.raises(errors.ConversionError, match=said):
        colouring.of(drawn(), data)


def test_a_word_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(errors.UnknownNameError, match="flops"):
        colouring.of(drawn(), "flop")


def test_the_folded_picture_is_filled_by_data_and_tells_its_classes() -> None:
    model = drawn()
    colour = colouring.of(model, pd.Series({"net/block_3/unit_15": 4.0, "net/block_7/unit_35": 8.0}, name="heat"))
    picture = folded_svg.picture(model, colour)
    assert picture is not None
    assert "by heat" in picture.words
    assert ">heat</text>" in picture.svg
    assert 'fill="#084594"' in picture.svg
    plain = folded_svg.picture(model)
    assert plain is not None
    assert "#084594" not in plain.svg


def test_names_of_nothing_are_told_below_the_static_picture() -> None:
    page = str(tfmagic.panel(drawn(), color={"x": 1, "<b>": 2})._repr_mimebundle_()["text/html"])
    assert "1 of 2 names are of no node or scope: &#x27;&lt;b&gt;&#x27;" in page


def test_a_hostile_title_is_escaped() -> None:
    model = drawn()
    picture = folded_svg.picture(model, colouring.of(model, pd.Series({"x": 1.0}, name='<img src=x onerror="a">')))
    assert picture is not None
    assert "<img" not in picture.svg


def test_time_is_measured_of_frozen_graphs_alone() -> None:
    model = drawn_graphs.model([("x", "Placeholder", ()), ("v", "VariableV2", ()), ("y", "Add", ("x", "v"))])
    with pytest.raises(errors.TfMagicError):
        op_times.measured(model)


@pytest.mark.tensorflow
def test_weights_and_flops_of_ops_add_up_to_the_tables(tmp_path: Any) -> None:
    import keras  # noqa: PLC0415

    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="head"),
        ]
    )
    place = str(tmp_path / "served")
    tfmagic.export(net, place)
    frozen = tfmagic.freeze(net, verify=False)
    for model in (tfmagic.inspect(place), frozen):
        library = Library(model)
        for word, column in (("parameters", "parameters"), ("bytes", "bytes"), ("flops", "flops")):
            numbers = colouring.of(model, word)(library)._sums.measure.of_nodes
            assert sum(numbers.values()) == model.costs[column].sum(), word
    assert measure(tfmagic.inspect(net), "parameters").of_names["conv"] == 8 * 27 + 8


@pytest.mark.tensorflow
def test_time_is_that_of_the_ops_that_ran() -> None:
    import tensorflow as tf  # noqa: PLC0415

    @tf.function(input_signature=[tf.TensorSpec([300, 300])])  # type: ignore[untyped-decorator]
    def work(x: Any) -> Any:
        heavy = x
        for _ in range(8):
            heavy = tf.linalg.matmul(heavy, x, name="heavy")
        return {"y": tf.nn.relu(heavy, name="light")}

    frozen = tfmagic.freeze(work, verify=False)
    timed = op_times.measured(frozen)
    heavy = sum(seconds for name, seconds in timed.seconds.items() if name.startswith("heavy"))
    light = sum(seconds for name, seconds in timed.seconds.items() if name.startswith("light"))
    assert heavy > 2 * light > 0
    sums = colouring.of(frozen, "time")(Library(frozen))._sums
    assert len(sums.unmatched) < len(timed.seconds) / 2


@pytest.mark.tensorflow
def test_what_acts_outside_is_not_timed_without_a_word() -> None:
    rows = [("x", "Placeholder", ()), ("y", "ReadFile", ("x",))]
    graph = drawn_graphs.graph(rows)
    graph.node[0].attr["dtype"].type = 7
    with pytest.raises((errors.UntrustedCodeError, errors.ConversionError)):
        op_times.measured(tfmagic.inspect(graph))

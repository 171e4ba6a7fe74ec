from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import HOSTILE, chain
from tfmagic.display.graph import folded_graph, folded_svg

if TYPE_CHECKING:
    from tfmagic.display.graph.folded_graph import FoldedGraph

SVG = "{http://www.w3.org/2000/svg}"


def folded(rows: list[drawn_graphs.Node]) -> FoldedGraph:
    drawn = folded_graph.folded(drawn_graphs.model(rows))
    assert drawn is not None
    return drawn


def said(drawn: FoldedGraph) -> list[tuple[str, str]]:
    return [(box.label, box.detail) for box in drawn.boxes]


def test_a_layer_takes_in_the_normalisation_and_the_activation_behind_it() -> None:
    rows = chain(["x"])
    rows += [("conv", "Conv2D", ("x",)), ("bn", "FusedBatchNormV3", ("conv",)), ("relu", "Relu", ("bn",))]
    rows += [("dense", "MatMul", ("relu",)), ("soft", "Softmax", ("dense",))]
    assert said(folded(rows)) == [("x", ""), ("conv", "Conv2D +BN +Relu"), ("dense", "MatMul +Softmax")]


def test_an_activation_that_another_needs_too_stays_apart() -> None:
    rows = chain(["x"])
    rows += [("conv", "Conv2D", ("x",)), ("relu", "Relu", ("conv",)), ("sum", "AddV2", ("conv", "relu"))]
    assert [box.label for box in folded(rows).boxes] == ["x", "conv", "relu", "sum"]


def test_equal_blocks_in_a_row_are_one_box_that_says_which() -> None:
    names = [f"block_{block}/{part}" for block in range(1, 13) for part in ("up", "down")]
    drawn = folded([*chain(["x", *names]), ("y", "Neg", (names[-1],))])
    assert said(drawn) == [
        ("x", ""),
        ("block_1\N{EN DASH}12", "\N{MULTIPLICATION SIGN}12"),
        ("y", "Neg"),
    ]
    assert [box.count for box in drawn.boxes] == [1, 12, 1]


def test_what_is_fed_stands_below_what_feeds_it_though_its_weights_come_first() -> None:
    rows: list[drawn_graphs.Node] = [(f"conv/weights_{number}", "Neg", ()) for number in range(9)]
    rows += [("conv/sum", "AddN", tuple(name for name, _, _ in rows)), ("image", "Pad", ())]
    rows += [("conv/conv", "Conv2D", ("image", "conv/sum")), *chain(["pool", "dense", "mean", "soft", "y"])]
    rows = [(name, op, ("conv/conv",) if name == "pool" else inputs) for name, op, inputs in rows]
    drawn = folded(rows)
    labels = [box.label for box in drawn.boxes]
    assert labels.index("image") < labels.index("conv")
    assert all(source < target for source, target in drawn.edges)


def test_many_inputs_do_not_make_up_for_parts_that_are_missing() -> None:
    inputs = [f"ids_{letter}" for letter in "abcdefg"]
    rows: list[drawn_graphs.Node] = [(name, "Placeholder", ()) for name in inputs]
    rows.append(("model/encoder/embed", "AddN", tuple(inputs)))
    for scope in ("encoder/attend", "pool", "classify"):
        for op in ("MatMul", "BiasAdd", "Tanh"):
            rows.append((f"model/{scope}/{op}", op, (rows[-1][0],)))
    labels = [box.label for box in folded([*rows, ("y", "Identity", (rows[-1][0],))]).boxes]
    assert labels == ["7 inputs", "encoder", "pool … classify", "y"]


def test_a_run_of_single_layers_says_what_is_repeated() -> None:
    rows = [*chain(["x"]), ("first", "Conv2D", ("x",))]
    for index in range(6):
        rows.append((f"block_{index}", "TransformerBlock", (rows[-1][0],)))
    assert ("block_0\N{EN DASH}5", "\N{MULTIPLICATION SIGN}6 TransformerBlock") in said(folded(rows))


def test_blocks_that_no_name_tells_lie_between_tensors_that_all_depends_on() -> None:
    rows, last = chain(["x"]), "x"
    for index in range(20):
        parts = [f"{letter}{index}" for letter in "pqrs"]
        rows += [(part, "Conv2D" if index % 2 else "MatMul", (last,)) for part in parts]
        last = f"join{index}"
        rows.append((last, "ConcatV2", tuple(parts)))
    drawn = folded(rows)
    assert len(drawn.boxes) <= folded_graph.MOST_BOXES
    assert len(set(drawn.ranks)) == len(drawn.boxes)
    assert all(target == source + 1 for source, target in drawn.edges)


def test_many_inputs_are_one_box() -> None:
    rows: list[drawn_graphs.Node] = [(f"in{index}", "Placeholder", ()) for index in range(9)]
    drawn = folded([*rows, ("sum", "AddN", tuple(row[0] for row in rows))])
    assert [box.label for box in drawn.boxes] == ["9 inputs", "sum"]
    assert drawn.boxes[0].detail.startswith("in0, in1")


def test_weights_count_for_the_box_that_they_are_tucked_into() -> None:
    graph = drawn_graphs.graph([("x", "Placeholder", ()), ("w", "Const", ()), ("y", "MatMul", ("x", "w"))])
    graph.node[1].attr["dtype"].type = 1
    tensor = graph.node[1].attr["value"].tensor
    tensor.dtype = 1
    for size in (3, 5):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.ones((3, 5), "<f4").tobytes()
    drawn = folded_graph.folded(tfmagic.inspect(graph))
    assert drawn is not None
    assert [(box.label, box.parameters) for box in drawn.boxes] == [("x", 0), ("y", 15)]


@pytest.mark.parametrize("seed", range(12))
def test_any_graph_becomes_about_a_dozen_boxes_that_hold_each_node_once(seed: int) -> None:
    draw = random.Random(seed)
    ops = ["Conv2D", "Relu", "AddV2", "Identity", "FusedBatchNormV3", "Reshape", "MatMul", "Mystery"]
    names = ["x", *(f"s{draw.randint(0, 3)}/{draw.choice('ab')}_{index}" for index in range(draw.randint(1, 150)))]
    rows: list[drawn_graphs.Node] = [("x", "Placeholder", ())]
    for index, name in enumerate(names[1:], 1):
        inputs = draw.choices(names[max(0, index - 9) : index], k=draw.randint(0, 3))
        rows.append((name, draw.choice(ops), tuple(inputs)))
    drawn = folded(rows)
    assert len(drawn.boxes) <= folded_graph.MOST_BOXES + 2
    nodes = [node for box in drawn.boxes for node in box.nodes.tolist()]
    assert len(nodes) == len(set(nodes))
    assert all(drawn.ranks.count(rank) <= folded_graph.MOST_BESIDE for rank in drawn.ranks)
    holder = {node: index for index, box in enumerate(drawn.boxes) for node in box.nodes.tolist()}
    wanted = {
        (holder[names.index(source)], holder[index])
        for index, row in enumerate(rows)
        for source in row[2]
        if index in holder and names.index(source) in holder
    }
    assert set(drawn.edges) == {edge for edge in wanted if edge[0] != edge[1]}
    ET.fromstring(folded_svg.drawn(drawn).svg)  # noqa: S314 - our own


def test_the_picture_holds_every_name_as_text_and_nothing_else_of_it() -> None:
    drawn = folded_svg.drawn(
        folded(chain(["x", *(f"{name}_{index}" for index, name in enumerate(HOSTILE))], "Mystery"))
    )
    tree = ET.fromstring(drawn.svg)  # noqa: S314 - our own
    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert tags <= {"svg", "title", "desc", "g", "rect", "path", "text"}
    assert not any(name.startswith("on") or "href" in name for element in tree.iter() for name in element.attrib)


def test_an_edge_past_other_rows_goes_around_them() -> None:
    rows = [*chain(["x"]), ("a", "Conv2D", ("x",)), ("b", "MatMul", ("a",)), ("c", "AddV2", ("b", "x"))]
    drawn = folded(rows)
    assert (0, len(drawn.boxes) - 1) in drawn.edges
    tree = ET.fromstring(folded_svg.drawn(drawn).svg)  # noqa: S314 - our own
    lefts = [float(each.get("x", "0")) for each in tree.iter(f"{SVG}rect")]
    paths = [each.get("d", "") for each in tree.iter(f"{SVG}path")]
    around = [float(path.split("H")[1].split("V")[0]) for path in paths if "H" in path and "V" in path]
    assert around
    assert all(0 < lane < min(lefts) for lane in around)


def test_a_graph_of_nothing_has_no_picture() -> None:
    model = drawn_graphs.model([])
    assert folded_svg.picture(model) is None

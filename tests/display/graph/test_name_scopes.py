from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests import drawn_graphs
from tests.drawn_graphs import LOOP, LOOPING, chain
from tfmagic.display.graph import entry_points, name_scopes, visible_edges
from tfmagic.display.graph.bodies import Library
from tfmagic.display.graph.unfolding import MAX_FIRST, Unfolding
from tfmagic.files import protos


def library(rows: list[drawn_graphs.Node], functions: dict[str, Any] | None = None) -> Library:
    return Library(drawn_graphs.model(rows, functions))


def unfolded(rows: list[drawn_graphs.Node], functions: dict[str, Any] | None = None) -> Unfolding:
    return Unfolding(library(rows, functions))


def labels(unfolding: Unfolding) -> list[str]:
    return [box.label for box in unfolding.visible()]


def number(unfolding: Unfolding, label: str) -> int:
    return next(box.number for box in unfolding.visible() if box.label == label)


def joined(unfolding: Unfolding) -> set[tuple[str, str]]:
    names = [box.label for box in unfolding.boxes]
    return {(names[edge.source], names[edge.target]) for edge in visible_edges.visible(unfolding)}


def test_a_scope_is_one_box_and_what_is_alone_in_it_is_told_in_one_breath() -> None:
    found = unfolded(chain(["x", "a/b/c/one", "a/b/c/two", "d/e/only", "y"]))
    assert labels(found) == ["x", "a/b/c", "d/e/only", "y"]
    assert joined(found) == {("x", "a/b/c"), ("a/b/c", "d/e/only"), ("d/e/only", "y")}


def test_a_node_that_is_named_as_its_scope_stands_within() -> None:
    found = unfolded(chain(["x", "dense", "dense/inner", "y"]))
    assert labels(found) == ["x", "dense", "y"]
    found.open(number(found, "dense"))
    assert labels(found) == ["x", "dense", "dense", "inner", "y"]


def test_edges_reach_into_open_boxes_and_come_back_when_they_fold() -> None:
    found = unfolded(chain(["x", "a/one", "a/two", "y"]))
    before = joined(found)
    found.open(number(found, "a"))
    assert joined(found) == {("x", "one"), ("one", "two"), ("two", "y")}
    found.fold(number(found, "a"))
    assert joined(found) == before == {("x", "a"), ("a", "y")}


def test_parallel_edges_are_one_with_a_count() -> None:
    rows = [*chain(["x", "a/p", "a/q"]), ("b/r", "Add", ("a/p", "a/q")), ("b/s", "Add", ("a/p", "^a/q"))]
    found = {(edge.merged, edge.is_control) for edge in visible_edges.visible(unfolded(rows))}
    assert found == {(1, False), (4, False)}


def test_an_edge_of_control_inputs_alone_says_so() -> None:
    rows: list[drawn_graphs.Node] = [("x", "Placeholder", ()), ("p", "Relu", ("x",)), ("q", "Neg", ("^p",))]
    found = {(edge.source, edge.target): edge.is_control for edge in visible_edges.visible(unfolded(rows))}
    assert found == {(0, 1): False, (1, 2): True}


def test_constants_and_reads_are_tucked_into_their_consumers_unless_asked_for() -> None:
    rows: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()),
        ("w", "VarHandleOp", ()),
        ("w/Read", "ReadVariableOp", ("w",)),
        ("w/read", "Identity", ("w/Read",)),
        ("w/Assign", "AssignVariableOp", ("w", "w/init")),
        ("w/init", "TruncatedNormal", ("w/shape",)),
        ("w/shape", "Const", ()),
        ("y", "MatMul", ("x", "w/read")),
    ]
    lib = library(rows)
    assert labels(Unfolding(lib)) == ["x", "y"]
    assert set(labels(Unfolding(lib, constants=True))) == {"x", "w", "y"}


def test_a_graph_of_constants_alone_shows_them() -> None:
    assert labels(unfolded([("a", "Const", ()), ("b", "Identity", ("a",))])) == ["a", "b"]


def test_a_training_step_is_no_initialiser() -> None:
    rows: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()), ("grad", "Neg", ("x",)), ("step", "ApplyGradientDescent", ("grad",)),
        ("train", "NoOp", ("^step",)),
    ]  # fmt: skip
    assert labels(unfolded(rows)) == ["x", "grad", "step"]


def test_saving_is_hidden_as_in_the_table_of_ops() -> None:
    rows = [*chain(["x", "y"]), ("save/names", "Const", ()), ("save/SaveV2", "SaveV2", ("save/names",))]
    assert labels(unfolded(rows)) == ["x", "y"]


def test_flat_names_that_count_up_fold_by_series() -> None:
    parts = ("expand", "expand_BN", "depthwise", "project")
    names = ["x", "Conv1", "bn_Conv1", *(f"block_{n}_{part}" for n in range(1, 17) for part in parts), "out"]
    found = unfolded(chain(names))
    assert labels(found) == ["x", "Conv1", "bn_Conv1", *(f"block_{n}_*" for n in range(1, 17)), "out"]
    found.open(number(found, "block_10_*"))
    assert [label for label in labels(found) if label.startswith("block_10_")] == [
        "block_10_*", *(f"block_10_{part}" for part in parts),
    ]  # fmt: skip


def test_siblings_that_count_stand_as_they_count() -> None:
    names = [f"block_{n}/{part}" for n in (10, 9, 2, 1, 11, 3) for part in ("up", "down")]
    rows: list[drawn_graphs.Node] = [(name, "Placeholder", ()) for name in names]
    assert labels(unfolded(rows)) == [f"block_{n}" for n in (1, 2, 3, 9, 10, 11)]


def test_numbers_of_any_length_are_counted() -> None:
    rows: list[drawn_graphs.Node] = [(f"n{digits}", "Placeholder", ()) for digits in ("9" * 5000, "10", "007")]
    assert labels(unfolded(rows))[:2] == ["n007", "n10"]


def test_the_reading_order_ends_one_branch_before_the_next_begins() -> None:
    #     0 feeds two branches, 1-3 and 2-4, which 5 joins; 6 is a constant for 4 alone.
    edges = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (6, 4)]
    order = name_scopes.reading_order(7, edges)
    assert sorted(order) == list(range(7))
    assert all(order.index(source) < order.index(target) for source, target in edges)
    assert abs(order.index(1) - order.index(3)) == 1
    assert order.index(4) - order.index(6) == 1


def test_a_cycle_has_a_reading_order_too() -> None:
    assert sorted(name_scopes.reading_order(3, [(0, 1), (1, 2), (2, 0)])) == [0, 1, 2]


@pytest.mark.parametrize(
    "scope", ["gradients", "gradients_1", "Adam", "train/GradientDescent", "optimizer", "GradientTape"]
)
def test_what_only_training_needs_is_not_unfolded_at_first(scope: str) -> None:
    rows = chain(["x", "net/a", "net/b", *(f"{scope}/op_{n}" for n in range(30)), "end"])
    found = unfolded(rows)
    found.start()
    assert not any(label.startswith("op_") for label in labels(found))


def test_series_of_series() -> None:
    names = [f"conv{a}_block{b}_{c}_{d}" for a in (2, 3, 4) for b in (1, 2, 3) for c in (1, 2) for d in ("conv", "bn")]
    found = unfolded(chain(["x", *names]))
    assert labels(found) == ["x", "conv2_*", "conv3_*", "conv4_*"]


def test_conv2d_does_not_count() -> None:
    names = [name for index in range(1, 15) for name in (f"conv2d_{index}", f"relu_{index}")]
    found = unfolded(chain(["x", *names]))
    assert set(names) <= set(labels(found))


@pytest.mark.parametrize("count", [61, 400, 5000])
def test_a_scope_of_hundreds_is_cut_into_chunks_in_the_order_of_the_graph(count: int) -> None:
    found = unfolded(chain(f"n{chr(97 + index % 26)}x{index}y" for index in range(count)))
    boxes = list(found.visible())
    assert len(boxes) <= name_scopes.MAX_PARTS
    members = np.concatenate([box.scope.members for box in boxes])
    assert members.tolist() == list(range(count))
    # Neighbours alone are connected: no chunk mixes what is far apart.
    assert len(visible_edges.visible(found)) == len(boxes) - 1


def test_chunks_follow_the_edges_where_the_file_does_not() -> None:
    rows = chain(f"n{chr(97 + index % 26)}x{index}y" for index in range(200))
    found = unfolded(rows[::-1])
    assert len(visible_edges.visible(found)) == len(list(found.visible())) - 1


def test_every_node_is_in_exactly_one_part_however_deep() -> None:
    found = unfolded(chain([f"net/block_{n // 7}/layer_{n % 7}/op_{n}" for n in range(900)]))
    for _ in range(40):
        folded = [box for box in found.visible() if box.can_open and not box.is_open]
        if not folded:
            break
        found.open(folded[0].number)
        leaves = [box for box in found.visible() if not box.is_open]
        members = np.sort(np.concatenate([box.scope.members for box in leaves]))
        assert members.tolist() == list(range(900))


def test_at_first_there_is_something_to_see_and_not_too_much() -> None:
    found = unfolded(chain([f"model/net/block_{n // 10}/unit_{n}" for n in range(300)]))
    found.start()
    assert 20 <= len(list(found.visible())) <= MAX_FIRST
    assert {"block_0", "block_29"} <= set(labels(found))


def test_a_loop_unfolds_into_condition_and_body_and_edges_follow() -> None:
    found = unfolded(LOOP, LOOPING)
    assert labels(found) == ["x", "loop", "y"]
    found.open(number(found, "loop"))
    assert labels(found) == [
        "x",
        "loop",
        "cond: cond",
        "less",
        "a",
        "go",
        "body: body",
        "scope/mul",
        "inner",
        "a",
        "next",
        "y",
    ]
    assert joined(found) == {
        ("x", "a"), ("a", "less"), ("less", "go"), ("a", "scope/mul"), ("scope/mul", "inner"), ("inner", "next"),
        ("next", "y"),
    }  # fmt: skip
    found.fold(number(found, "loop"))
    assert joined(found) == {("x", "loop"), ("loop", "y")}


def test_a_function_that_calls_itself_unfolds_once() -> None:
    found = unfolded(LOOP, LOOPING)
    found.open(number(found, "loop"))
    found.open(number(found, "inner"))
    again = found.boxes[number(found, "again")]
    assert not again.can_open
    found.open(again.number)
    assert not again.is_open
    assert joined(found) >= {("scope/mul", "b"), ("b", "neg"), ("neg", "again"), ("again", "out"), ("out", "next")}


def test_a_branch_gets_the_inputs_after_its_predicate() -> None:
    functions = {
        "yes": ([("p", 1)], [("n", "Neg", ("p",))], {"r": "n:y:0"}),
        "no": ([("q", 1)], [], {"r": "q"}),
    }
    rows: list[drawn_graphs.Node] = [
        ("pred", "Placeholder", ()), ("x", "Placeholder", ()),
        ("if", "If", ("pred", "x"), {"then_branch": "yes", "else_branch": "no"}), ("y", "Relu", ("if",)),
    ]  # fmt: skip
    found = unfolded(rows, functions)
    found.open(number(found, "if"))
    assert joined(found) == {("pred", "if"), ("x", "p"), ("x", "q"), ("p", "n"), ("n", "r"), ("q", "r"), ("r", "y")}


def test_what_only_calls_a_function_is_not_where_one_starts() -> None:
    functions = {
        "outer": ([("a", 1)], [("call", "PartitionedCall", ("a",), {"f": "inner"})], {"r": "call:output:0"}),
        "inner": ([("b", 1)], [("n", "Neg", ("b",)), ("m", "Abs", ("n:y:0",))], {"r": "m:y:0"}),
    }
    rows: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()),
        ("go", "StatefulPartitionedCall", ("x",), {"f": "outer"}),
    ]
    entries = entry_points.entries(library(rows, functions), None)
    assert [entry.title for entry in entries] == ["inner", "main graph", "outer"]


@pytest.mark.parametrize(
    "name",
    [
        "__inference__traced_save_123", "__inference__traced_restore_9", "__inference__creator_77",
        "__inference__destroyer_8", "__inference__initializer_1",
    ],
)  # fmt: skip
def test_functions_that_tensorflow_makes_for_itself_are_no_places_to_start(name: str) -> None:
    body: Any = ([("a", 1)], [("n", "Neg", ("a",))], {"r": "n:y:0"})
    rows: list[drawn_graphs.Node] = [("x", "Placeholder", ()), ("y", "Abs", ("x",))]
    entries = entry_points.entries(library(rows, {name: body, "mine_creator": body}), None)
    assert [entry.title for entry in entries] == ["main graph", "mine_creator"]


def test_a_signature_whose_outputs_only_pass_on_leads_to_its_function() -> None:
    functions: dict[str, Any] = {
        "__inference_work_1": ([("a", 1)], [("n", "Neg", ("a",)), ("m", "Abs", ("n:y:0",))], {"r": "m:y:0"})
    }
    rows: list[drawn_graphs.Node] = [
        ("pixels", "Placeholder", ()),
        ("go", "StatefulPartitionedCall", ("pixels",), {"f": "__inference_work_1"}),
        ("between", "Identity", ("go",)),
        ("scores", "Identity", ("between",)),
    ]
    lib = library(rows, functions)
    signature = protos.message("SignatureDef")()
    signature.inputs["Pixels"].name, signature.outputs["Scores"].name = "pixels:0", "scores:0"
    meta_graph: Any = SimpleNamespace(signature_def={"serving_default": signature})
    entry = entry_points.entries(lib, meta_graph)[0]
    assert entry == ("serving_default", "__inference_work_1")
    body = lib.body(entry.function)
    assert [body.keys.get(node) for node in (*body.arguments, *body.results)] == ["Pixels", "Scores"]


def test_a_search_lists_the_very_name_first_then_what_computes() -> None:
    names = ["model/add_bias/read", "model/readd", "add", "model/add", "model/other"]
    ops = ["ReadVariableOp", "Relu", "Placeholder", "Neg", "AddV2"]
    rows: list[drawn_graphs.Node] = [(name, op, ()) for name, op in zip(names, ops, strict=True)]
    hits, total = entry_points.Routes(library(rows), "").search("add", 10)
    assert [hit.name for hit in hits] == ["add", "model/add", "model/other", "model/readd", "model/add_bias/read"]
    assert total == len(names)


def test_a_search_finds_names_then_ops_and_leads_there() -> None:
    lib = library(LOOP, LOOPING)
    found = entry_points.Routes(lib, "")
    hits, total = found.search("MUL", 10)
    assert [(hit.name, hit.op, hit.function) for hit in hits] == [("scope/mul", "Mul", "body")]
    assert total == 1
    assert [hit.name for hit in found.search("readvar", 10)[0]] == ["read"]
    assert found.search("nothing of the kind", 10) == ([], 0)
    unfolding = Unfolding(lib)
    box = unfolding.reveal(found.by_function["body"], hits[0].node)
    assert (box.name, box in set(unfolding.visible())) == ("scope/mul", True)


def test_what_is_tucked_is_revealed_as_its_consumer() -> None:
    lib = library(LOOP, LOOPING)
    found = entry_points.Routes(lib, "")
    (hit,), _ = found.search("read", 10)
    assert Unfolding(lib).reveal(found.by_function["body"], hit.node).name == "scope/mul"


def test_where_nothing_of_a_function_is_drawn_its_call_is_revealed() -> None:
    idle: dict[str, Any] = {"idle": ([("x", drawn_graphs.FLOAT)], [("wait", "NoOp", ())], {})}
    lib = library([("x", "Placeholder", ()), ("call", "StatefulPartitionedCall", ("x",), {"f": "idle"})], idle)
    for node in range(len(lib.body("idle").names)):
        box = Unfolding(lib).reveal(entry_points.Routes(lib, "").by_function["idle"], node)
        assert box.name == "call"


def test_functions_that_are_not_called_are_not_found_from_here() -> None:
    lib = library([("x", "Placeholder", ())], LOOPING)
    assert entry_points.Routes(lib, "").search("mul", 10) == ([], 0)
    assert [entry.function for entry in entry_points.entries(lib, None)][1:] == ["cond", "body", "self"]


def test_names_that_repeat_or_lead_nowhere_do_no_harm() -> None:
    rows: list[drawn_graphs.Node] = [
        ("a", "Relu", ("gone", "a", "b:7", "^gone")), ("a", "Relu", ("a",)), ("", "Relu", ("",)), ("/", "Relu", ("a",)),
        ("a//b", "Relu", ("a:x",)), ("b", "Relu", ("a",)),
    ]  # fmt: skip
    found = unfolded(rows)
    for _ in range(6):
        for box in [box for box in found.visible() if box.can_open]:
            found.open(box.number)
    leaves = [box for box in found.visible() if not box.is_open]
    assert sorted(np.concatenate([box.scope.members for box in leaves]).tolist()) == list(range(6))
    visible_edges.visible(found)


def test_nodes_of_one_name_are_as_many_boxes() -> None:
    found = unfolded([("y", "Mul", ()), ("y", "Relu", ()), ("s/z", "Mul", ()), ("s/z", "Relu", ()), ("s", "Neg", ())])
    assert labels(found) == ["y", "y", "s"]
    found.open(number(found, "s"))
    assert labels(found) == ["y", "y", "s", "z", "z", "s"]


def test_asking_how_much_a_box_holds_opens_nothing() -> None:
    found = unfolded(chain(["x", "a/one", "a/two", "y"]))
    before = joined(found)
    assert found.growth(number(found, "a")) == 2
    assert joined(found) == before


def test_a_port_that_no_op_has_is_taken_for_the_first() -> None:
    found = unfolded([("x", "Placeholder", ()), ("y", "Relu", ("x:" + "9" * 40,))])
    assert joined(found) == {("x", "y")}


def test_arguments_that_a_loop_does_not_look_at_are_left_out_of_it() -> None:
    functions = {
        "cond": ([("i", 1), ("state", 1)], [("less", "Less", ("i",))], {"go": "less:z:0"}),
        "body": (
            [("i", 1), ("state", 1)],
            [("n", "Neg", ("i",)), ("m", "Abs", ("state",))],
            {"a": "n:y:0", "b": "m:y:0"},
        ),
    }
    rows: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()),
        ("s", "Placeholder", ()),
        ("loop", "While", ("x", "s"), {"cond": "cond", "body": "body"}),
    ]
    found = unfolded(rows, functions)
    found.open(number(found, "loop"))
    assert labels(found).count("state") == 1
    assert {("s", "state"), ("x", "i"), ("state", "m")} <= joined(found)
    # Of the graph itself every input is shown, used or not.
    assert labels(Unfolding(library(rows, functions), "cond")) == ["less", "i", "state", "go"]

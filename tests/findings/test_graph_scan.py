from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.findings.graph_defs import function, graph, node, text, writing
from tfmagic.files import protos
from tfmagic.findings import graph_scan, scan
from tfmagic.graphs.metagraphs import MetaGraph

if TYPE_CHECKING:
    from pathlib import Path

X = node("x", "Placeholder")
WRITER = function("writer", (), *writing())


def meta_graph_def(graph_def: Any, outputs: dict[str, str] | None = None, **collections: str) -> Any:
    """Return a MetaGraphDef with a signature for each output, and collections of nodes."""
    message = protos.message("MetaGraphDef")(graph_def=graph_def)
    message.meta_info_def.tags.append("serve")
    for key, tensor in (outputs or {}).items():
        message.signature_def[key].outputs["y"].name = tensor
        message.signature_def[key].inputs["x"].name = "x:0"
    for name, item in collections.items():
        message.collection_def[name].node_list.value.append(item)
    return message


def rows(message: Any, *, everything: bool = False) -> list[tuple[str, str, str]]:
    """Return severity, what and when of each row."""
    arranged = scan.arranged(graph_scan.findings([MetaGraph.of_message(message)]), everything=everything)
    return [(row.severity, row.what, row.fires) for row in arranged]


CALL = node("y", "PartitionedCall", "x", f="f0")
WRITES = "writes files: WriteFile '/tmp/mark'"


@pytest.mark.parametrize(
    ("outputs", "collections", "expected"),
    [
        ({"bad": "z:0"}, {}, ("high", WRITES, "run")),
        ({"good": "y:0"}, {"saved_model_main_op": "write"}, ("high", WRITES, "load")),
        ({"good": "y:0"}, {"legacy_init_op": "write"}, ("high", WRITES, "load")),
        ({"__saved_model_init_op": "write", "good": "y:0"}, {}, ("high", WRITES, "load")),
        ({"good": "y:0"}, {}, ("medium", WRITES, "called")),
    ],
    ids=["signature", "main op", "legacy init op", "init op", "nothing"],
)
def test_what_runs_a_node_says_how_grave_it_is(outputs: Any, collections: Any, expected: Any) -> None:
    graph_def = graph(X, node("y", "Relu", "x"), *writing(), node("z", "Relu", "y", "^write"))
    assert rows(meta_graph_def(graph_def, outputs, **collections)) == [expected]


def test_a_row_names_the_way_to_its_node() -> None:
    outer = function("outer", ["x"], node("n", "PartitionedCall", "x", f="writer"))
    graph_def = graph(X, node("y", "If", "x", "x", then_branch="outer", else_branch="outer"), functions=[outer, WRITER])
    (row,) = graph_scan.findings([MetaGraph.of_message(meta_graph_def(graph_def, {"f": "y:0"}))])
    assert row.where == "MetaGraph 'serve': signature 'f': function 'outer' → 'writer', node 'write'"


def test_a_graph_in_a_string_is_looked_into_and_said_to_be_one() -> None:
    inner = graph(*writing()).SerializeToString()
    graph_def = graph(X, text("g", inner), node("y", "DatasetFromGraph", "g"))
    (row,) = graph_scan.findings([MetaGraph.of_message(meta_graph_def(graph_def, {"f": "y:0"}))])
    assert (row.severity, row.fires) == ("high", "run")
    assert row.where.endswith("node 'y', in the graph that it holds: node 'write'")


def saver(save: tuple[Any, ...]) -> Any:
    """Return a model whose saver restores from what it is told, and saves by these nodes."""
    named = node("filename", "Placeholder")
    graph_def = graph(X, node("y", "Relu", "x"), named, node("restore", "RestoreV2", "filename"), *save)
    message = meta_graph_def(graph_def, {"f": "y:0"})
    message.saver_def.filename_tensor_name = "filename:0"
    message.saver_def.restore_op_name, message.saver_def.save_tensor_name = "restore", "save:0"
    return message


OWN_SAVE = (
    text("part", b"_temp/part"), node("joined", "StringJoin", "filename", "part"),
    node("shard", "ShardedFilename", "joined"), node("written", "SaveV2", "shard"),
    node("packed", "Pack", "shard"), node("merged", "MergeV2Checkpoints", "packed", "filename", "^written"),
    node("save", "Identity", "filename", "^merged"),
)  # fmt: skip


def test_a_models_own_saver_is_told_apart_from_the_same_ops_elsewhere() -> None:
    assert rows(saver(OWN_SAVE)) == []
    signed = saver(OWN_SAVE)
    signed.signature_def["f"].outputs["y"].name = "save:0"
    assert {(severity, fires) for severity, _, fires in rows(signed)} == {("high", "run")}
    elsewhere = saver((text("fixed", b"/etc/x"), node("written", "SaveV2", "fixed"), node("save", "No", "^written")))
    assert ("medium", "writes files: SaveV2 '/etc/x'", "called") in rows(elsewhere)
    loaded = saver(OWN_SAVE)
    loaded.saver_def.restore_op_name = "save"
    assert {(severity, fires) for severity, _, fires in rows(loaded)} == {("high", "load")}


def test_a_saver_that_leads_out_of_what_it_was_told_is_no_saver() -> None:
    out = (text("part", b"/../../x"), *OWN_SAVE[1:])
    assert ("medium", "writes files: SaveV2", "called") in rows(saver(out))


def test_state_and_random_numbers_are_told_only_with_everything() -> None:
    message = meta_graph_def(
        graph(X, node("v", "VarHandleOp"), node("w", "VarHandleOp"), node("r", "RandomUniform", "x")), {"f": "r:0"}
    )
    assert rows(message) == []
    told = rows(message, everything=True)
    assert set(told) == {("info", "state: VarHandleOp", "run"), ("info", "random: RandomUniform", "run")}


def test_printing_is_low_and_what_nobody_knows_is_medium() -> None:
    graph_def = graph(X, node("p", "PrintV2", "x"), node("y", "Unheard", "x", "^p"))
    assert rows(meta_graph_def(graph_def, {"f": "y:0"})) == [
        ("medium", "unknown: Unheard", "run"),
        ("low", "prints: PrintV2", "run"),
    ]


def test_without_a_signature_what_leads_to_an_end_is_run() -> None:
    graph_def = graph(X, node("y", "Relu", "x", "^write"), *writing())
    assert rows(protos.message("MetaGraphDef")(graph_def=graph_def)) == [("high", WRITES, "run")]


def test_names_that_traverse_indices_out_of_range_and_bombs_are_told() -> None:
    huge = node("c", "Const")
    huge.attr["value"].tensor.tensor_shape.dim.add(size=1 << 40)
    message = meta_graph_def(graph(X, node("y", "Relu", "x"), huge), {"f": "y:0"})
    message.asset_file_def.add(filename="../../etc/passwd").tensor_info.name = "a:0"
    message.object_graph_def.nodes.add().children.add(node_id=99, local_name="a")
    told = rows(message)
    assert {severity for severity, _, _ in told} == {"medium"}
    assert [what.split(" ")[0] for _, what, _ in told] == ["a", "refers", "reads"]


def test_functions_that_no_memory_holds_once_they_are_unrolled_are_told() -> None:
    def calling(number: int, times: int) -> Any:
        calls = [node(f"c{at}", "PartitionedCall", "x", f=f"f{number + 1}") for at in range(times)]
        return function(f"f{number}", ["x"], *calls)

    def told(*functions: Any) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in rows(meta_graph_def(graph(X, CALL, functions=functions), {"y": "y:0"}))]

    last = function("f30", ["x"], node("i", "Identity", "x"))
    assert told(*(calling(number, 1) for number in range(30)), last) == []
    ((severity, what),) = told(*(calling(number, 2) for number in range(30)), last)
    assert (severity, what.startswith("a bomb: a function that runs ")) == ("medium", True)
    itself = function("f0", ["x"], node("c", "If", "x", "x", then_branch="f1", else_branch="f1"))
    again = function("f1", ["x"], node("m", "MapDataset", "x", f="f0"))
    assert told(itself, again) == [("medium", "a bomb: a function that calls itself")]
    assert told(*(calling(number, 1) for number in range(5_000))) == []


def test_a_file_name_that_a_signature_has_fed_is_not_the_one_of_its_constant() -> None:
    nodes = X, text("none", b""), node("cache", "CacheDataset", "x", "none")
    message = meta_graph_def(graph(*nodes), {"plain": "cache:0", "fed": "cache:0"})
    assert rows(message) == []
    message.signature_def["fed"].inputs["file"].name = "none:0"
    assert rows(message) == [("high", "writes files: CacheDataset", "run")]


def test_a_large_graph_is_read_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfmagic.graphs import serialized  # noqa: PLC0415 - its limit is lowered here

    monkeypatch.setattr(serialized, "_WHOLE", 0)
    weight = node("w", "Const")
    weight.attr["value"].tensor.tensor_content = bytes(1 << 17)
    inner = function("f", (), weight, *writing())
    graph_def = graph(X, weight, node("y", "PartitionedCall", f="f"), functions=[inner])
    lean = MetaGraph.of_message(meta_graph_def(graph_def, {"f": "y:0"})).lean_meta_graph_def()
    assert lean.ByteSize() < 1000
    assert [each.name for each in lean.graph_def.node] == ["x", "w", "y"]
    assert rows(meta_graph_def(graph_def, {"f": "y:0"})) == [("high", WRITES, "run")]


def test_of_thousands_of_functions_the_one_that_acts_is_seen_through_all_that_call_it() -> None:
    """Functions that only call others are passed over unless something that they lead to acts."""
    names = [f"f{number}" for number in range(300)]
    chain = [function(a, ["x"], node("c", "PartitionedCall", "x", f=b)) for a, b in itertools.pairwise(names)]
    for last, expected in (
        (function(names[-1], ["x"], node("c", "Relu", "x")), []),
        (WRITER, [("high", WRITES, "run")]),
    ):
        named = [
            *chain[:-1],
            function(names[-2], ["x"], node("c", "PartitionedCall", "x", f=last.signature.name)),
            last,
        ]
        graph_def = graph(X, node("y", "PartitionedCall", "x", f="f0"), functions=named)
        assert rows(meta_graph_def(graph_def, {"f": "y:0"})) == expected


@pytest.mark.parametrize(
    "call",
    [
        node("c", "SymbolicGradient", "x", f="quiet"),
        node("c", "OneShotIterator", dataset_factory="writer"),
        node("c", "writer"),
        node("c", "MapDataset", "x", f="writer"),
        node("c", "Case", "x", branches=["quiet", "writer"]),
    ],
    ids=["gradient", "iterator", "by its name", "dataset", "branches"],
)
def test_whatever_calls_a_function_that_acts_is_walked_through(call: Any) -> None:
    quiet = function("quiet", ["x"], node("c", "Relu", "x"))
    outer = function("outer", ["x"], node("m", "PartitionedCall", "x", f="middle"))
    graph_def = graph(
        X, node("y", "PartitionedCall", "x", f="outer"), functions=[outer, function("middle", ["x"], call)]
    )
    graph_def.library.function.extend([quiet, WRITER])
    graph_def.library.gradient.add(function_name="quiet", gradient_func="writer")
    assert ("high", WRITES, "run") in rows(meta_graph_def(graph_def, {"f": "y:0"}))


def test_functions_that_stand_for_one_another_are_walked_through_together() -> None:
    named = [function("plain", ["x"], node("c", "Relu", "x"), api_implements=b"same"), WRITER]
    named.append(function("other", ["x"], node("c", "PartitionedCall", "x", f="writer"), api_implements=b"same"))
    graph_def = graph(X, node("y", "PartitionedCall", "x", f="plain"), functions=named)
    assert rows(meta_graph_def(graph_def, {"f": "y:0"})) == [("high", WRITES, "run")]


def test_what_one_signature_feeds_another_may_run() -> None:
    """What signatures share is walked through once, but for what an earlier one was fed in its place."""
    graph_def = graph(X, *writing(), node("written", "Identity", "x", "^write"), node("y", "Relu", "written"))
    message = meta_graph_def(graph_def, {"a": "y:0", "b": "y:0"})
    message.signature_def["a"].inputs["x"].name = "written:0"
    assert rows(message) == [("high", WRITES, "run")]
    message.signature_def["b"].inputs["x"].name = "written:0"
    assert rows(message) == [("medium", WRITES, "called")]


def test_a_hundred_times_as_many_signatures_functions_and_assets_take_as_much_longer() -> None:
    """What each signature, each function of an object and each asset was looked up in once took its square."""

    def seconds(count: int) -> float:
        named = [function(f"f{number}", ["x"], node("c", "Relu", "x")) for number in range(count)]
        end = node("n0", "Relu", "x")
        chain = [node(f"n{number}", "Relu", f"n{number - 1}") for number in range(1, count)]
        graph_def = graph(X, end, *chain, *writing(), functions=named)
        message = meta_graph_def(graph_def, {f"k{number}": f"n{count - 1}" for number in range(count)})
        root = message.object_graph_def.nodes.add()
        root.children.add(node_id=1, local_name="signatures")
        signed = message.object_graph_def.nodes.add()
        for number in range(count):
            message.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = f"f{number}"
            signed.children.add(node_id=number + 2, local_name=f"k{number}")
            message.object_graph_def.concrete_functions[f"f{number}"].bound_inputs.append(count + 2 + number)
            message.asset_file_def.add(filename=f"a{number}").tensor_info.name = f"t{number}:0"
        for number in range(count):
            message.object_graph_def.nodes.add().asset.asset_file_def_index = number
        begun = time.process_time()
        assert rows(message) == [("medium", WRITES, "called")]
        return time.process_time() - begun

    seconds(5)
    assert seconds(2_000) < 40 * max(seconds(200), 0.02)


def test_a_chunked_message_beside_the_one_that_is_read_is_told(tmp_path: Path) -> None:
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    message.meta_graphs.add().CopyFrom(meta_graph_def(graph(X, node("y", "Relu", "x")), {"f": "y:0"}))
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    assert tfmagic.scan(tmp_path).severity == "clean"
    (tmp_path / "saved_model.cpb").write_bytes(b"anything")
    result = tfmagic.scan(tmp_path)
    assert result.severity == "medium"
    assert "'saved_model.cpb' lies beside 'saved_model.pb'" in result.verdict

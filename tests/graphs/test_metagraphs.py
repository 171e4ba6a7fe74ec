from __future__ import annotations

from typing import Any

import pytest

from tests.wire_samples import field, node
from tfmagic.files import protos, wire
from tfmagic.graphs import metagraphs, node_columns
from tfmagic.graphs.metagraphs import MetaGraph

GRAPH = field(1, node("a", "NoOp"))


def sample() -> Any:
    """Return a MetaGraphDef with something in every field."""
    message = protos.message("MetaGraphDef")()
    message.meta_info_def.tags.extend(["serve", "gpu"])
    message.meta_info_def.tensorflow_version = "0.12.head"
    message.graph_def.node.add(name="a", op="NoOp")
    message.saver_def.filename_tensor_name = "save/Const:0"
    message.collection_def["c"].bytes_list.value.append(b"x")
    message.signature_def["b"].method_name = "m"
    message.signature_def["a"].inputs["x"].name = "x:0"
    message.asset_file_def.add(filename="vocab.txt")
    message.object_graph_def.nodes.add().user_object.identifier = "_generic_user_object"
    return message


def test_a_meta_graph_cut_at_its_fields_says_what_the_whole_says() -> None:
    message = sample()
    found = MetaGraph.of_message(message)
    assert found.meta_graph_def() == message
    assert found.graph_def() == message.graph_def
    assert found.object_graph_def == message.object_graph_def
    assert found.tags == ("serve", "gpu")
    assert found.tensorflow_version == "0.12.head"
    assert found.bytes == message.ByteSize()
    assert list(node_columns.read(found.graph, {}).name) == ["a"]


def test_the_header_is_all_but_the_graph_and_the_objects() -> None:
    message = sample()
    header = MetaGraph.of_message(message).header
    message.ClearField("graph_def")
    message.ClearField("object_graph_def")
    assert header == message


def test_signatures_are_sorted_as_a_map_has_no_order() -> None:
    found = MetaGraph.of_message(sample()).signature_def
    assert list(found) == ["a", "b"]
    assert found["a"].inputs["x"].name == "x:0"


@pytest.mark.parametrize("seed", range(3))
def test_a_message_in_two_halves_is_merged_as_protobuf_merges(seed: int) -> None:
    first, second = sample(), sample()
    second.graph_def.node[0].name = f"b{seed}"
    data = first.SerializeToString() + second.SerializeToString()
    found = MetaGraph.of(data)
    assert found.meta_graph_def() == protos.parse("MetaGraphDef", data)
    assert list(node_columns.read(found.graph, {}).name) == [
        each.name for each in found.meta_graph_def().graph_def.node
    ]
    assert found.tags == ("serve", "gpu", "serve", "gpu")


def test_an_empty_message() -> None:
    found = MetaGraph.of(b"")
    assert (found.tags, found.tensorflow_version, found.signature_def, found.object_graph_def) == ((), "", {}, None)
    assert list(node_columns.read(found.graph, {}).name) == []
    assert found.graph_def() == protos.message("GraphDef")()


def test_the_meta_graphs_of_a_saved_model() -> None:
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    for tags in (["train"], ["serve"]):
        meta_graph = saved.meta_graphs.add()
        meta_graph.CopyFrom(sample())
        meta_graph.meta_info_def.tags[:] = tags
    found = metagraphs.of_saved_model(wire.Buffer(saved.SerializeToString()))
    assert [each.tags for each in found] == [("train",), ("serve",)]
    assert [each.meta_graph_def() for each in found] == list(saved.meta_graphs)


def test_a_graph_alone_in_an_envelope() -> None:
    found = metagraphs.of_graph_def(wire.Buffer(GRAPH))
    assert (found.tags, found.signature_def, found.object_graph_def) == ((), {}, None)
    assert list(node_columns.read(found.graph, {}).name) == ["a"]
    assert found.bytes == len(GRAPH)
    assert found.graph_def() == protos.parse("GraphDef", GRAPH)
    assert found.meta_graph_def() == protos.message("MetaGraphDef")(graph_def=found.graph_def())


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"\x0a\x7f", "header"),
        (field(1, b"\x0a\x7f"), "header"),
        (field(7, b"\x0a\x7f"), "object_graph_def"),
        (field(2, b"\x0a\x7f"), "nodes"),
    ],
)
def test_damage_is_a_wire_error_of_the_part_that_has_it(data: bytes, part: str) -> None:
    found = MetaGraph.of(data)
    with pytest.raises(wire.WireError):
        _ = found.graph.nodes if part == "nodes" else getattr(found, part)

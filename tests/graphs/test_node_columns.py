from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import graph_samples as samples
from tests.wire_samples import attr, field, function_def, node, varint
from tfmagic.files import protos
from tfmagic.files.wire import WireError
from tfmagic.frames import OpRow
from tfmagic.graphs import node_columns, serialized
from tfmagic.graphs.serialized import SerializedGraph

if TYPE_CHECKING:
    from tfmagic.graphs.node_columns import NodeColumns

needs_tensorflow = pytest.mark.tensorflow


@pytest.fixture(scope="module", params=samples.KINDS)
def sample(request: pytest.FixtureRequest) -> Any:
    """A tf.Graph."""
    return samples.KINDS[request.param]()


def hand_made(*parts: bytes) -> SerializedGraph:
    return SerializedGraph.of(b"".join(parts))


def columns(graph_def: Any) -> NodeColumns:
    return node_columns.read(SerializedGraph.of(graph_def.SerializeToString()), {})


def operations(sample: Any, graph_def: Any) -> dict[tuple[str, str], Any]:
    """Return TensorFlow's own operations, by function and name."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph  # noqa: PLC0415 - seconds

    found = {("", each.name): each for each in sample.get_operations()}
    with sample.as_default():
        for function in graph_def.library.function:
            inner = function_def_to_graph(function)
            found |= {(function.signature.name, each.name): each for each in inner.get_operations()}
    return found


@needs_tensorflow
def test_text_columns_are_what_the_messages_say(sample: Any) -> None:
    graph_def = sample.as_graph_def(add_shapes=True)
    found = columns(graph_def)
    nodes = list(samples.nodes_of(graph_def))
    assert len(nodes) > 20
    assert list(found.function) == [function for function, _ in nodes]
    assert list(found.name) == [each.name for _, each in nodes]
    assert list(found.op) == [each.op for _, each in nodes]
    assert list(found.device) == [each.device for _, each in nodes]
    edges = [data + control for data, control in zip(found.inputs, found.control_inputs, strict=True)]
    # The format demands that control inputs come last.
    assert edges == [tuple(each.input) for _, each in nodes]
    assert all(edge.startswith("^") for control in found.control_inputs for edge in control)
    assert not any(edge.startswith("^") for data in found.inputs for edge in data)


@needs_tensorflow
def test_dtype_and_shape_are_those_of_the_operations(sample: Any) -> None:
    graph_def = sample.as_graph_def(add_shapes=True)
    found = columns(graph_def)
    known = operations(sample, graph_def)
    compared = 0
    for function, name, dtype, shape in zip(found.function, found.name, found.dtype, found.shape, strict=True):
        outputs = known[function, name].outputs
        assert dtype == (outputs[0].dtype.base_dtype.name if outputs else ""), (function, name)
        if outputs and (shape is not None or not function):
            expected = outputs[0].shape
            assert shape == (None if expected.rank is None else tuple(expected)), (function, name)
            compared += 1
    assert compared > 10


@needs_tensorflow
def test_without_recorded_shapes_those_that_nodes_state_are_right(sample: Any) -> None:
    graph_def = sample.as_graph_def()
    found = columns(graph_def)
    known = operations(sample, graph_def)
    stated = [
        (function, name, shape)
        for function, name, shape in zip(found.function, found.name, found.shape, strict=True)
        if shape is not None
    ]
    assert stated
    for function, name, shape in stated:
        assert shape == tuple(known[function, name].outputs[0].shape), (function, name)
    constants = {(function, each.name) for function, each in samples.nodes_of(graph_def) if each.op == "Const"}
    assert constants <= {(function, name) for function, name, _ in stated}


def content_size(tensor: Any) -> int:
    """Return the bytes of the values that a TensorProto holds."""
    size = len(tensor.tensor_content) + len(tensor.float8_val)
    size += 4 * (len(tensor.float_val) + len(tensor.scomplex_val)) + 8 * (
        len(tensor.double_val) + len(tensor.dcomplex_val)
    )
    size += sum(map(len, tensor.string_val))
    integers = (
        tensor.int_val,
        tensor.int64_val,
        tensor.bool_val,
        tensor.half_val,
        tensor.uint32_val,
        tensor.uint64_val,
    )
    return size + (protos.item_size(protos.dtype_name(tensor.dtype)) or 0) * sum(map(len, integers))


@pytest.mark.parametrize(("dtype", "number", "size"), [(3, 7, 4), (9, 10, 8), (6, 7, 1), (19, 13, 2), (10, 11, 1)])
@pytest.mark.parametrize("packed", [True, False])
def test_integers_have_the_size_of_an_element_not_of_how_they_are_written(
    dtype: int, number: int, size: int, *, packed: bool
) -> None:
    numbers = [varint(each) for each in (0, 1, 100 if size == 1 else 30_000)]
    values = field(number, b"".join(numbers)) if packed else b"".join(varint(number << 3) + each for each in numbers)
    tensor = b"\x08" + varint(dtype) + field(2, field(2, b"\x08\x03")) + values
    value = attr("value", field(8, tensor)) + attr("dtype", b"\x30" + varint(dtype))
    nodes = [field(1, node(name, "Const", attrs=value)) for name in "cd"]
    found = node_columns.read(hand_made(*nodes), {})
    assert found.bytes.tolist() == [3 * size] * 2


@needs_tensorflow
def test_bytes_are_a_constants_content(sample: Any) -> None:
    graph_def = sample.as_graph_def(add_shapes=True)
    nodes = [each for _, each in samples.nodes_of(graph_def)]
    expected = [content_size(each.attr["value"].tensor) if each.op == "Const" else 0 for each in nodes]
    assert columns(graph_def).bytes.tolist() == expected


@needs_tensorflow
def test_blocks_of_any_size_give_the_same_columns(sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph_def = sample.as_graph_def(add_shapes=True)
    whole = columns(graph_def).table()
    for size in (1, 7, len(whole["name"])):
        monkeypatch.setattr(serialized, "_BLOCK", size)
        split = columns(graph_def).table()
        assert [list(column) for column in split.values()] == [list(column) for column in whole.values()]


def test_nodes_and_functions_of_one_name_stay_apart() -> None:
    parts = (
        field(1, node("a", "First")),
        field(1, node("a", "Second")),
        function_def("f", node("a", "Third")),
        function_def("f", node("a", "Fourth")),
    )
    found = node_columns.read(hand_made(*parts), {"a": (1,)})
    assert list(zip(found.function, found.name, found.op, strict=True)) == [
        ("", "a", "First"), ("", "a", "Second"), ("f", "a", "Third"), ("f", "a", "Fourth"),
    ]  # fmt: skip
    assert list(found.shape) == [(1,), (1,), None, None]


def test_known_shapes_serve_where_the_graph_says_nothing() -> None:
    stated = attr("shape", field(7, field(2, b"\x08\x05")))
    parts = (field(1, node("x", "Placeholder", attrs=stated)), field(1, node("y", "Relu", "x")))
    assert list(node_columns.read(hand_made(*parts), {"x": (9,), "y": (None, 2)}).shape) == [(5,), (None, 2)]


@needs_tensorflow
@pytest.mark.parametrize("producer", [0, 21, 22, 1000])
def test_an_empty_shape_means_what_tensorflow_takes_it_for(producer: int) -> None:
    """Graphs of 2016 had no other way to say that a rank is unknown."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only tests of graphs should take

    graph_def = tf.compat.v1.GraphDef(versions={"producer": producer})
    # PlaceholderV2 was taken away when Placeholder had learned to do its work.
    for op in ("Placeholder", "Variable", "VariableV2", "PlaceholderV2")[: 4 if producer <= 22 else 3]:
        added = graph_def.node.add(name=op, op=op)
        added.attr["dtype"].type = 1
        added.attr["shape"].shape.SetInParent()
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph_def, name="")
    shapes = [imported.get_tensor_by_name(f"{each.name}:0").shape for each in graph_def.node]
    expected = [None if shape.rank is None else tuple(shape) for shape in shapes]
    assert list(columns(graph_def).shape) == expected


def test_fields_of_a_node_in_any_order() -> None:
    dtype, shape = attr("dtype", b"\x30\x01"), attr("shape", field(7, field(2, b"\x08\x05")))
    parts = (
        field(1, node("x", "Placeholder", attrs=dtype + shape)),
        field(1, dtype + field(4, "/CPU:0") + shape + field(3, "^z") + field(2, "Placeholder") + field(1, "y")),
        *(field(1, node(f"n{index}", "Relu", attrs=attr("T", b"\x30\x03"))) for index in range(40)),
    )
    found = node_columns.read(hand_made(*parts), {})
    assert list(found.name[:2]) == ["x", "y"]
    assert list(found.op)[:2] == ["Placeholder", "Placeholder"]
    assert list(found.dtype) == ["float32"] * 2 + ["int32"] * 40
    assert list(found.shape) == [(5,), (5,)] + [None] * 40
    assert (found.device[1], found.control_inputs[1], found.inputs[1]) == ("/CPU:0", ("^z",), ())


def test_an_empty_graph_has_empty_columns() -> None:
    found = node_columns.read(hand_made(), {})
    assert [len(column) for column in found.table().values()] == [0] * len(OpRow._fields)


def test_a_node_with_nothing_in_it() -> None:
    found = node_columns.read(hand_made(field(1, b"")), {})
    assert [column[0] for column in found.table().values()] == ["", "", "", (), (), "", "", None, 0]


def test_the_last_of_two_values_counts_as_protobuf_has_it() -> None:
    twice = node("old", "Old") + node("new", "Const", attrs=attr("dtype", b"\x30\x01") + attr("dtype", b"\x30\x03"))
    parsed = protos.parse("GraphDef", field(1, twice)).node[0]
    found = node_columns.read(hand_made(field(1, twice)), {})
    assert (found.name[0], found.op[0]) == (parsed.name, parsed.op) == ("new", "Const")
    assert protos.dtype_name(parsed.attr["dtype"].type) == found.dtype[0] == "int32"


def test_a_reference_has_the_dtype_it_refers_to_by_name() -> None:
    found = node_columns.read(hand_made(field(1, node("r", "RefIdentity", attrs=attr("T", b"\x30\x65")))), {})
    assert list(found.dtype) == ["float32_ref"]


BAD = {
    "a node that ends early": b"\x0a\x7f",
    "a name that is not UTF-8": field(1, field(1, b"\xff")),
    "an op that is not UTF-8": field(1, field(2, b"\xff")),
    "an input that is not UTF-8": field(1, field(3, b"\xff")),
    "an attribute that ends early": field(1, field(5, b"\x0a\x7f")),
    "a dtype that is not one": field(1, node("n", "Relu", attrs=attr("T", b"\x32\x7f"))),
    "a shape that is not one": field(1, node("n", "Placeholder", attrs=attr("shape", b"\x3a\x02\x12\x7f"))),
    "a constant that ends early": field(1, node("n", "Const", attrs=attr("value", b"\x42\x02\x22\x7f"))),
    "a function that ends early": field(2, b"\x0a\x7f"),
    "a signature that ends early": field(2, field(1, field(1, b"\x0a\x7f"))),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_damage_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        node_columns.read(SerializedGraph.of(data), {})


def test_a_constants_claims_are_not_believed() -> None:
    """A shape of 2**60 elements with no content is shown, and nothing is allocated for it."""
    shape = field(2, field(2, b"\x08" + varint(2**60)))
    found = node_columns.read(hand_made(field(1, node("n", "Const", attrs=attr("value", field(8, shape))))), {})
    assert (found.shape[0], found.bytes[0]) == ((2**60,), 0)

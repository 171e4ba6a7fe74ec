from __future__ import annotations

import itertools
from typing import Any

import pytest

from tfmagic.files import protos
from tfmagic.graphs import node_columns, opdefs, serialized

pytestmark = pytest.mark.tensorflow

DTYPES = ("float16", "int16", "uint8", "complex64", "bool", "string", "int64", "qint8", "bfloat16", "uint64", "int4")


@pytest.fixture(scope="module")
def registry() -> dict[str, Any]:
    """The OpDefs of all ops that the installed TensorFlow registers, by name."""
    from tensorflow.python.client import pywrap_tf_session as session  # noqa: PLC0415 - seconds for these tests only

    data = session.TF_GetBuffer(session.TF_GetAllOpList())
    return {op.name: op for op in protos.parse("OpList", data).op}


def node_of(op: Any, *, stripped: bool) -> Any:
    """Build a node of an op, a dtype of its own for each attribute that is one.

    ``stripped`` leaves out what has a default, as a SavedModel does.
    """
    node = protos.message("NodeDef")(name=op.name, op=op.name)
    dtypes = itertools.cycle(map(protos.dtype_number, DTYPES))
    for attr in op.attr:
        if stripped and attr.HasField("default_value"):
            continue
        if attr.type == "type":
            node.attr[attr.name].type = next(dtypes)
        elif attr.type == "list(type)":
            node.attr[attr.name].list.type.extend([next(dtypes), next(dtypes)])
    return node


def first_output(op: Any, node: Any) -> str:
    """Return the dtype of the first output as TensorFlow derives it from the OpDef; a reference is to that dtype."""
    if not op.output_arg:
        return ""
    output = op.output_arg[0]
    name = output.type_attr or output.type_list_attr
    if not name:
        return protos.dtype_name(output.type)
    default = next(attr.default_value for attr in op.attr if attr.name == name)
    value = node.attr.get(name, default)
    number = value.list.type[0] if output.type_list_attr and value.list.type else value.type
    return protos.dtype_name(number) if number else ""


@pytest.mark.parametrize("stripped", [False, True], ids=["written out", "defaults stripped"])
def test_the_first_outputs_dtype_is_the_registrys_for_every_op(registry: dict[str, Any], *, stripped: bool) -> None:
    assert len(registry) > 1500
    nodes = [node_of(op, stripped=stripped) for op in registry.values()]
    data = protos.message("GraphDef")(node=nodes).SerializeToString()
    found = list(node_columns.read(serialized.SerializedGraph.of(data), {}).dtype)
    wrong = {
        node.op: (dtype, first_output(registry[node.op], node))
        for node, dtype in zip(nodes, found, strict=True)
        if dtype != first_output(registry[node.op], node)
    }
    assert wrong == {}


def test_the_table_of_exceptions_holds_nothing_idle(registry: dict[str, Any]) -> None:
    """An op of the table that this TensorFlow has is one that the rule alone gets wrong."""
    idle = []
    for name in [name for name in opdefs._exceptions() if name in registry]:
        op = registry[name]
        ways = [node_of(op, stripped=stripped) for stripped in (False, True)]
        if all(by_rule(node) == first_output(op, node) for node in ways):
            idle.append(name)
    assert idle == []


def by_rule(node: Any) -> str:
    """Return what the rule says of a node of an op that is in no table."""
    unknown = protos.message("NodeDef")()
    unknown.CopyFrom(node)
    unknown.op = "SomethingNobodyRegistered"
    data = protos.message("GraphDef")(node=[unknown]).SerializeToString()
    return str(node_columns.read(serialized.SerializedGraph.of(data), {}).dtype[0])


@pytest.mark.parametrize(
    "names", [opdefs.SAVE_RESTORE_OPS, opdefs.PLACEHOLDER_OPS, opdefs.VARIABLE_OPS, opdefs.SHAPED_OPS]
)
def test_the_ops_that_are_treated_apart_exist(registry: dict[str, Any], names: frozenset[str]) -> None:
    assert names <= registry.keys()


def test_the_ops_whose_shape_attribute_is_their_outputs_have_one(registry: dict[str, Any]) -> None:
    for name in opdefs.SHAPED_OPS:
        assert any((attr.name, attr.type) == ("shape", "shape") for attr in registry[name].attr), name


def test_an_op_that_nobody_knows() -> None:
    assert opdefs.output_dtype("MyOwnOp").default == ""
    assert "T" in opdefs.output_dtype("MyOwnOp").attrs


def test_the_list_of_ops_has_all_that_tensorflow_registers(registry: dict[str, Any]) -> None:
    assert set(registry) <= opdefs.registered()


def test_what_an_extension_adds_is_not_taken_for_tensorflows_own() -> None:
    assert "Sentencepiece" not in opdefs.registered()
    assert "MatMul" in opdefs.registered()

from __future__ import annotations

from typing import Any

import pytest

from tests import graph_samples as samples
from tests.wire_samples import attr, field, function_def, node
from tfmagic.graphs import function_uses, serialized
from tfmagic.graphs.function_uses import FunctionUse
from tfmagic.graphs.serialized import SerializedGraph

needs_tensorflow = pytest.mark.tensorflow


@pytest.fixture(scope="module", params=samples.KINDS)
def sample(request: pytest.FixtureRequest) -> Any:
    """A tf.Graph."""
    return samples.KINDS[request.param]()


@needs_tensorflow
def test_functions_are_those_of_the_library(sample: Any) -> None:
    graph_def = sample.as_graph_def()
    found = function_uses.read(SerializedGraph.of(graph_def.SerializeToString()))
    callers = called_by(graph_def)
    assert found == [
        FunctionUse(
            each.signature.name,
            tuple(argument.name for argument in each.signature.input_arg),
            tuple(argument.name for argument in each.signature.output_arg),
            len(each.node_def),
            tuple(callers[each.signature.name]),
        )
        for each in graph_def.library.function
    ]


def called_by(graph_def: Any) -> dict[str, list[str]]:
    """Return who calls each function, by looping over every attribute."""
    found: dict[str, list[str]] = {function.signature.name: [] for function in graph_def.library.function}
    for function, each in samples.nodes_of(graph_def):
        values = each.attr.values()
        names = {value.func.name for value in values} | {held.name for value in values for held in value.list.func}
        for name in (names | {each.op}) & found.keys():
            if (function or each.name) not in found[name]:
                found[name].append(function or each.name)
    return found


@needs_tensorflow
def test_every_function_of_nested_control_flow_is_called() -> None:
    graph_def = samples.calling().as_graph_def()
    uses = function_uses.read(SerializedGraph.of(graph_def.SerializeToString()))
    assert len(uses) > 6
    assert all(use.called_by for use in uses)
    # The functions of a loop's body are called by the body, not by the node of the main graph.
    names = {use.name for use in uses}
    assert any(set(use.called_by) <= names for use in uses)


@needs_tensorflow
def test_blocks_of_any_size_give_the_same_uses(sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sample.as_graph_def().SerializeToString()
    whole = function_uses.read(SerializedGraph.of(data))
    for size in (1, 7):
        monkeypatch.setattr(serialized, "_BLOCK", size)
        assert function_uses.read(SerializedGraph.of(data)) == whole


def test_a_graph_without_functions_has_no_uses() -> None:
    assert function_uses.read(SerializedGraph.of(b"")) == []


def calls(name: str) -> bytes:
    """Write an attribute that names a function."""
    return attr("f", field(10, field(1, name)))


def test_who_calls_a_function() -> None:
    branches = attr("branches", field(1, field(9, field(1, "left")) + field(9, field(1, "right"))))
    parts = (
        field(1, node("call", "PartitionedCall", attrs=calls("outer"))),
        field(1, node("again", "PartitionedCall", attrs=calls("outer"))),
        function_def("outer", node("case", "Case", attrs=branches), node("other", "If", attrs=calls("left"))),
        function_def("left", node("n", "right")),
        function_def("right", node("n", "NoOp", attrs=calls("missing"))),
        function_def("idle"),
    )
    assert [(use.name, use.ops, use.called_by) for use in function_uses.read(SerializedGraph.of(b"".join(parts)))] == [
        ("outer", 2, ("call", "again")),
        ("left", 1, ("outer",)),
        ("right", 1, ("outer", "left")),
        ("idle", 0, ()),
    ]

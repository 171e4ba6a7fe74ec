"""Costs of graphs: equal to TensorFlow's profiler, with what is unknown left empty, and in bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tfmagic.files import protos
from tfmagic.graphs.costs import graph_costs, scope_costs
from tfmagic.graphs.serialized import SerializedGraph

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfmagic.frames import Shape


def profiled(tf: Any, function: Any) -> int:
    """Return what TensorFlow's profiler counts in a function whose batch is one."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: PLC0415

    profiler = tf.compat.v1.profiler
    graph = convert_variables_to_constants_v2(function).graph
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output().build()
    with graph.as_default():
        return int(profiler.profile(graph, options=options).total_float_ops)


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("family", ["MobileNetV2", "ResNet50", "EfficientNetB0"])
def test_flops_are_those_of_tensorflows_profiler_in_every_form(tf: Any, tmp_path: Path, family: str) -> None:
    """Of two families the model alone: what a form loses does not depend on how many layers there are."""
    import keras  # noqa: PLC0415

    model = getattr(keras.applications, family)(weights=None)
    spec = tf.TensorSpec([1, *model.input_shape[1:]])
    wanted = profiled(tf, tf.function(lambda x: model(x, training=False)).get_concrete_function(spec))
    sources = [model]
    if family == "MobileNetV2":
        model.save(tmp_path / "m.keras")
        tfmagic.export(model, tmp_path / "served", verify=False)
        sources += [tmp_path / "m.keras", tmp_path / "served", tfmagic.freeze(model, verify=False)]
    for source in sources:
        costs = tfmagic.inspect(source).costs
        assert not costs["flops"].isna().any()
        assert costs["flops"].sum() == pytest.approx(wanted, rel=0.01)
        assert costs["parameters"].sum() == pytest.approx(model.count_params(), abs=1)


def node(name: str, op: str, *inputs: str, attrs: str = 'attr {key: "T" value {type: DT_FLOAT}}') -> str:
    """Write a node of floats."""
    ends = " ".join(f'input: "{each}"' for each in inputs)
    return f'{{name: "{name}" op: "{op}" {ends} {attrs}}}'


def placeholder(name: str) -> str:
    return node(name, "Placeholder", attrs='attr {key: "dtype" value {type: DT_FLOAT}}')


def weight(name: str, *shape: int) -> str:
    """Write a constant, as a frozen graph has it: one number stands for all."""
    dims = " ".join(f"dim {{size: {size}}}" for size in shape)
    value = f"tensor {{dtype: DT_FLOAT tensor_shape {{{dims}}} float_val: 1}}"
    attrs = f'attr {{key: "value" value {{{value}}}}} attr {{key: "dtype" value {{type: DT_FLOAT}}}}'
    return node(name, "Const", attrs=attrs)


def message(*nodes: str) -> Any:
    return protos.parse_text("GraphDef", "".join(f"node {each}" for each in nodes))


def costs_of(graph: Any, outputs: list[str], inputs: Mapping[str, Shape]) -> tuple[graph_costs.NodeCost, ...]:
    return graph_costs.of_graph(SerializedGraph.of(graph.SerializeToString()), outputs, inputs)


def test_an_open_dimension_leaves_the_cell_empty_and_the_batch_is_one() -> None:
    graph = message(
        placeholder("x"),
        weight("dense/kernel", 4, 5),
        node("dense/MatMul", "MatMul", "x", "dense/kernel"),
        node("out/Neg", "Neg", "dense/MatMul"),
    )
    rows = {row.scope: row for row in scope_costs.by_scope(costs_of(graph, ["out/Neg"], {"x": (None, 4)}))}
    assert rows["dense"].flops == 2 * 4 * 5
    assert rows["dense"].parameters == 20
    assert rows["dense"].bytes == 80
    assert rows["out"] == ("out", "Neg", 1, 0, 0, 5, 20)
    rows = {row.scope: row for row in scope_costs.by_scope(costs_of(graph, ["out/Neg"], {"x": (1, None, 4)}))}
    assert rows["dense"].flops is None
    assert rows["out"].flops is None


def test_an_op_that_nobody_knows_leaves_its_cell_empty_and_a_weight_counts_once() -> None:
    graph = message(
        placeholder("x"),
        weight("w", 4, 4),
        node("a/first", "MatMul", "x", "w"),
        node("b/second", "MatMul", "a/first", "w"),
        node("c/strange", "FromAnExtension", "b/second"),
    )
    rows = list(scope_costs.by_scope(costs_of(graph, ["c/strange"], {"x": (None, 4)})))
    assert [(row.scope, row.flops, row.parameters) for row in rows] == [("a", 32, 16), ("b", 32, 0), ("c", None, 0)]


def test_only_what_the_outputs_need_costs_anything_and_what_is_given_cuts() -> None:
    graph = message(
        placeholder("x"),
        node("unneeded", "Neg", "x"),
        node("before", "Neg", "x"),
        node("after", "Neg", "before"),
    )
    assert [cost.name for cost in costs_of(graph, ["after"], {"before:0": (1, 7)})] == ["before", "after"]
    assert "unneeded" not in {cost.name for cost in costs_of(graph, ["after"], {"x": (1, 7)})}


def test_a_loop_of_nodes_and_functions_that_call_each_other_twice_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    circle = message(
        node("a", "Merge", "x", "b"),
        node("b", "NextIteration", "a"),
        placeholder("x"),
    )
    assert len(costs_of(circle, ["b"], {"x": (1,)})) == 3

    def calls(field: str, called: str) -> str:
        attrs = f'attr {{key: "f" value {{func {{name: "{called}"}}}}}}'
        first, second = (node(f"{place}/call", "PartitionedCall", "x", attrs=attrs) for place in "ab")
        return f"{field} {first} {field} {second}"

    ends = 'input_arg {name: "x"} output_arg {name: "y"} output_arg {name: "z"}'
    results = 'ret {key: "y" value: "a/call:output:0"} ret {key: "z" value: "b/call:output:0"}'
    functions = " ".join(
        f'function {{signature {{name: "f{level}" {ends}}} {calls("node_def", f"f{level + 1}")} {results}}}'
        for level in range(60)
    )
    graph = protos.parse_text("GraphDef", f"{calls('node', 'f0')} library {{{functions}}}")
    monkeypatch.setattr(graph_costs, "_MOST_NODES", 10_000)
    costs = costs_of(graph, ["a/call"], {})
    assert len(costs) <= 10_000
    assert any(cost.flops is None for cost in costs)


def test_a_signature_that_states_no_shape_leaves_the_one_that_the_graph_states() -> None:
    shape = 'attr {key: "shape" value {shape {dim {size: -1} dim {size: 3}}}}'
    graph = message(
        node("x", "Placeholder", attrs=f'attr {{key: "dtype" value {{type: DT_FLOAT}}}} {shape}'),
        node("twice", "AddV2", "x", "x"),
    )
    assert (
        costs_of(graph, ["twice"], {"x": None})[-1].activation_bytes
        == costs_of(graph, ["twice"], {})[-1].activation_bytes
    )


def test_what_is_in_a_loop_of_version_1_costs_one_round() -> None:
    graph = message(
        placeholder("x"),
        node("enter", "Enter", "x"),
        node("merge", "Merge", "enter", "next"),
        node("less", "Less", "merge", "merge"),
        node("go_on", "LoopCond", "less"),
        node("switch", "Switch", "merge", "go_on"),
        node("body/twice", "AddV2", "switch:1", "switch:1"),
        node("next", "NextIteration", "body/twice"),
        node("exit", "Exit", "switch"),
    )
    costs = {cost.name: cost.flops for cost in costs_of(graph, ["exit"], {"x": (None, 4)})}
    assert costs["body/twice"] == 4
    assert len(costs) == len(graph.node)


def test_nodes_of_one_kind_cost_what_their_own_inputs_ask_for() -> None:
    """What is found once for two of the like is not taken for a third, nor one weight for another."""
    graph = message(
        placeholder("x"),
        weight("a/w", 4, 4),
        weight("b/w", 4, 4),
        weight("c/w", 4, 7),
        node("a/product", "MatMul", "x", "a/w"),
        node("b/product", "MatMul", "a/product", "b/w"),
        node("c/product", "MatMul", "b/product", "c/w"),
    )
    rows = list(scope_costs.by_scope(costs_of(graph, ["c/product"], {"x": (None, 4)})))
    assert [(row.scope, row.flops, row.parameters) for row in rows] == [("a", 32, 16), ("b", 32, 16), ("c", 56, 28)]

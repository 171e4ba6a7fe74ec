from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests import graph_samples
from tests.wire_samples import attr, field, function_def
from tests.wire_samples import node as node_def
from tfmagic.graphs import function_uses, metagraphs, plumbing, tensor_names
from tfmagic.graphs.plumbing import Ends, Node
from tfmagic.models import model

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tests.samples import Built
    from tfmagic.graphs.function_uses import FunctionUse

needs_tensorflow = pytest.mark.tensorflow


def named(**nodes: str) -> dict[str, Node]:
    """Write a graph as ``name="Op input ^control"``."""
    return {
        name: Node(op, tuple(inputs)) for name, (op, *inputs) in ((name, text.split()) for name, text in nodes.items())
    }


def test_ends_of_a_plain_graph() -> None:
    nodes = named(
        x="Placeholder", w="Const", y="MatMul x w", dead="Placeholder", rate="PlaceholderWithDefault w", z="Mul y rate"
    )
    assert plumbing.propose_ends(nodes) == Ends(("x:0",), ("z:0",), ("dead",), ("rate:0",))


def test_what_looks_at_a_value_does_not_consume_it() -> None:
    nodes = named(
        x="Placeholder", y="Relu x", check="Assert y", shown="Print y", tag="Const", seen="ScalarSummary tag y",
        after="NoOp ^y",
    )  # fmt: skip
    assert plumbing.propose_ends(nodes).outputs == ("y:0",)


def test_ends_that_depend_on_no_input_count_only_where_no_other_does() -> None:
    assert plumbing.propose_ends(named(a="Const", b="Relu a")).outputs == ("b:0",)
    assert plumbing.propose_ends(named(a="Const", b="Relu a", x="Placeholder", y="Relu x")).outputs == ("y:0",)


def test_by_products_count_only_where_nothing_else_ends() -> None:
    assert plumbing.propose_ends(named(x="Placeholder", size="Shape x")).outputs == ("size:0",)
    assert plumbing.propose_ends(named(x="Placeholder", size="Shape x", y="Relu x")).outputs == ("y:0",)


def test_a_size_that_was_picked_out_is_no_result_where_another_is() -> None:
    """As TensorFlow's object detection leaves ``strided_slice`` after ``strided_slice`` behind."""
    sizes = {"x": "Placeholder", "shape": "Shape x", "zero": "Const", "slice": "StridedSlice shape zero"}
    assert plumbing.propose_ends(named(**sizes)).outputs == ("slice:0",)
    assert plumbing.propose_ends(named(**sizes, y="Relu x")).outputs == ("y:0",)
    assert plumbing.propose_ends(named(**sizes, cast="Cast slice", y="Relu x")).outputs == ("y:0",)
    # What has a value as well is a result.
    scaled = named(**sizes, scaled="Mul x slice", y="Relu x")
    assert plumbing.propose_ends(scaled).outputs == ("scaled:0", "y:0")


def test_the_branch_of_an_assertion_is_no_result() -> None:
    guarded = named(x="Placeholder", guard="If x x", checked="Identity guard", y="Mul x x ^checked")
    assert plumbing.propose_ends(guarded).outputs == ("y:0",)
    branch = named(x="Placeholder", branch="If x x", chosen="Identity branch", y="Mul x x")
    assert plumbing.propose_ends(branch).outputs == ("chosen:0", "y:0")


def test_the_body_of_a_loop_is_never_proposed() -> None:
    """A session cannot fetch what lies in one, however deep; what comes out of it is a result."""
    nodes = named(
        x="Placeholder", enter="Enter x", merge="Merge enter next", test="Less merge", go="LoopCond test",
        switch="Switch merge go", inner="Enter switch", lost="Relu inner", back="Exit inner", also="Sin back",
        next="NextIteration switch", exit="Exit switch", y="Relu exit",
    )  # fmt: skip
    assert plumbing.propose_ends(nodes).outputs == ("y:0",)
    assert plumbing.propose_ends({name: each for name, each in nodes.items() if name != "y"}).outputs == ("exit:0",)


def test_gradients_are_never_proposed() -> None:
    """Whatever the user called their scope; what is computed from them is a result: forces are, of an energy."""
    nodes = {
        "x": Node("Placeholder", ()),
        "net/energy": Node("Sum", ("x",)),
        "of_energy/grad_ys_0": Node("Const", ()),
        "of_energy/net/energy_grad/Shape": Node("Shape", ("net/energy",)),
        "of_energy/net/energy_grad/Tile": Node("Tile", ("of_energy/grad_ys_0", "of_energy/net/energy_grad/Shape")),
        "of_energy/AddN": Node("AddN", ("of_energy/net/energy_grad/Tile",)),
        "upper_grad/y": Node("Neg", ("x",)),
    }
    assert plumbing.propose_ends(nodes).outputs == ("net/energy:0", "upper_grad/y:0")
    forces = {**nodes, "force": Node("Neg", ("of_energy/AddN",))}
    assert plumbing.propose_ends(forces).outputs == ("upper_grad/y:0", "force:0")


def test_what_lies_behind_a_summary_is_never_proposed() -> None:
    nodes = named(
        x="Placeholder", y="Relu x", tag="Const", seen="HistogramSummary tag y", all="MergeSummary seen",
        step="Placeholder", writer="SummaryWriter", written="WriteSummary writer step all tag",
    )  # fmt: skip
    assert plumbing.propose_ends(nodes) == Ends(("x:0",), ("y:0",), (), ())


def test_inputs_are_those_that_the_outputs_need() -> None:
    nodes = named(
        x="Placeholder", rate="Placeholder", w="Variable", y="Mul x w", step="ApplyGradientDescent w rate x",
        train="NoOp ^step",
    )  # fmt: skip
    assert plumbing.propose_ends(nodes) == Ends(("x:0",), ("y:0",), (), ())


def test_an_edge_that_leads_nowhere_and_a_loop_do_no_harm() -> None:
    nodes = named(x="Placeholder", y="Relu x:0 gone ^gone_too", a="NextIteration b", b="Merge a")
    assert plumbing.propose_ends(nodes).outputs == ("y:0",)
    assert plumbing.ancestors(nodes, ["b", "missing"]) == {"a", "b"}


def test_an_empty_graph_has_no_ends() -> None:
    assert plumbing.propose_ends({}) == Ends((), (), (), ())


def proposed(built: Any) -> Ends:
    found: Ends = tfmagic.inspect(built.as_graph_def()).ends
    return found


@needs_tensorflow
def test_ends_of_a_training_graph() -> None:
    """With Adam, summaries, a queue, a Saver, a forgotten placeholder and one with a default."""
    assert proposed(graph_samples.training()) == Ends(
        ("images:0", "labels:0"), ("probabilities:0", "loss:0"), ("forgotten",), ("rate:0",)
    )


@needs_tensorflow
@pytest.mark.parametrize("version", [1, 2])
def test_ends_of_a_graph_with_loops_and_branches(version: int) -> None:
    assert proposed(graph_samples.branching(version)) == Ends(("x:0", "free:0"), ("ends:0",), (), ())


@needs_tensorflow
def test_ends_of_a_graph_of_functions() -> None:
    assert proposed(graph_samples.calling()) == Ends(("x:0", "table:0"), ("Identity:0", "Identity_1:0"), (), ())


def hidden(source: object) -> pd.DataFrame:
    """Return the rows of the table of ops that are shown only with ``all``."""
    found = tfmagic.inspect(source)
    rows = found.table("ops", all=True)
    shown = set(zip(found.ops["function"], found.ops["name"], strict=True))
    return rows[[pair not in shown for pair in zip(rows["function"], rows["name"], strict=True)]]


def tables(built: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tfmagic.inspect(built.as_graph_def()).table("ops", all=True), hidden(built.as_graph_def())


def is_savers(rows: pd.DataFrame) -> pd.Series[bool]:
    """Say which nodes a Saver of TensorFlow 1 put into its name scope."""
    return rows["name"].str.match(r"save(_\d+)?/")


@needs_tensorflow
@pytest.mark.parametrize("build", [graph_samples.training, pytest.param("saved_model_tf1", id="saved_model_tf1")])
def test_hidden_is_what_the_savers_of_version_1_added(build: Callable[[], Any] | str, samples: Built) -> None:
    source = samples[build] if isinstance(build, str) else build().as_graph_def()
    rows, found = tfmagic.inspect(source).table("ops", all=True), hidden(source)
    assert is_savers(rows).sum() > 10
    assert set(rows["name"][is_savers(rows)]) <= set(found["name"])
    # Beyond its scope a Saver has the reads of resource variables that serve nothing but saving.
    others = found[~is_savers(found)]
    assert set(others["op"]) <= {"ReadVariableOp"}
    assert all(name.endswith("/Read/ReadVariableOp") for name in others["name"])


@needs_tensorflow
@pytest.mark.parametrize("name", ["saved_model_tf2", "saved_model_of_keras"])
def test_hidden_is_what_saving_added_in_version_2(name: str, samples: Built) -> None:
    rows, found = tfmagic.inspect(samples[name]).table("ops", all=True), hidden(samples[name])
    traced = rows["function"].str.contains("__traced_save|__traced_restore")
    assert traced.sum() > 40
    assert list(rows[traced].index) == list(found.index[found["function"] != ""])
    main = found[found["function"] == ""]
    assert "saver_filename" in set(main["name"])
    assert set(main["op"]) == {"Placeholder", "Const", "StatefulPartitionedCall"}
    assert len(main) == 4


@needs_tensorflow
def test_nothing_is_hidden_where_nothing_saves() -> None:
    rows, found = tables(graph_samples.branching(2))
    assert len(rows) > 30
    assert found.empty


@needs_tensorflow
def test_what_a_signature_needs_is_never_hidden(samples: Built) -> None:
    for name in ("saved_model_tf1", "saved_model_tf2", "saved_model_of_keras", "saved_model_several"):
        found = tfmagic.inspect(samples[name])
        nodes = plumbing.main_graph(found.table("ops", all=True))
        outputs = [tensor_names.node_of(tensor) for tensor in found.signatures["tensor"]]
        needed = plumbing.ancestors(nodes, outputs)
        assert len(needed) > 1
        assert needed.isdisjoint(hidden(samples[name]).query("function == ''")["name"])


def frame(*nodes: bytes, functions: bytes = b"") -> tuple[pd.DataFrame, list[FunctionUse]]:
    """Read a graph written by hand."""
    data = b"".join(field(1, each) for each in nodes) + functions
    meta_graph = metagraphs.MetaGraph.of(field(2, data))
    found = model.Model("graph_def", "by hand", {model.Part.GRAPH: lambda: (meta_graph,)})
    return found.table("ops", all=True), function_uses.read(meta_graph.graph)


def test_variables_and_what_else_they_serve_stay() -> None:
    rows, uses = frame(
        node_def("v", "VarHandleOp"), node_def("read", "ReadVariableOp", "v"), node_def("name", "Const"),
        node_def("save", "SaveV2", "name", "read"), node_def("y", "Relu", "read"), node_def("only", "Const"),
        node_def("restore", "RestoreV2", "name", "only"), node_def("assign", "AssignVariableOp", "v", "restore"),
        node_def("all", "NoOp", "^assign"),
    )  # fmt: skip
    plumbed = dict(zip(rows["name"], plumbing.is_plumbing(rows, uses), strict=True))
    assert {name for name, is_hidden in plumbed.items() if is_hidden} == {
        "name",
        "save",
        "only",
        "restore",
        "assign",
        "all",
    }


def test_functions_that_only_plumbing_calls_are_plumbing() -> None:
    def calling(name: str) -> bytes:
        return node_def(f"call_{name}", "PartitionedCall", attrs=attr("f", field(10, field(1, name))))

    library = (
        function_def("saves", node_def("s", "SaveV2"), calling("helps"), calling("shared"))
        + function_def("helps", node_def("h", "Pack"))
        + function_def("shared", node_def("i", "Identity"))
        + function_def("works", calling("shared"))
    )
    rows, uses = frame(calling("saves"), calling("works"), functions=library)
    hides = plumbing.is_plumbing(rows, uses)
    assert set(rows["function"][hides]) == {"", "saves", "helps"}
    assert rows["name"][hides].iloc[0] == "call_saves"
    assert set(rows["function"][[not each for each in hides]]) == {"", "shared", "works"}

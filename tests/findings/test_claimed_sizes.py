"""What a graph states in a few bytes and would take all of the memory is told; what ordinary models state is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.findings.graph_defs import function, graph, node
from tests.op_registry import registry
from tfmagic.files import protos
from tfmagic.findings import claimed_sizes, graph_scan, hazards
from tfmagic.graphs import ops
from tfmagic.graphs.metagraphs import MetaGraph

HUGE = 1 << 20


def numbers(name: str, *values: int, scalar: bool = False) -> Any:
    """Return a constant of 64-bit integers, a vector unless it is one number."""
    node_def = node(name, "Const")
    node_def.attr["dtype"].type = protos.dtype_number("int64")
    tensor = node_def.attr["value"].tensor
    tensor.dtype = protos.dtype_number("int64")
    tensor.int64_val.extend(values)
    if not scalar:
        tensor.tensor_shape.dim.add(size=len(values))
    return node_def


def bombs(*nodes: Any, functions: Any = ()) -> list[tuple[str, str]]:
    """Return what is told of sizes in a graph, and where."""
    message = protos.message("MetaGraphDef")(graph_def=graph(*nodes, functions=functions))
    found_rows = graph_scan.findings([MetaGraph.of_message(message)])
    return [(row.what, row.where) for row in found_rows if "bomb" in row.what]


ONE = numbers("one", 1, scalar=True)


@pytest.mark.parametrize(
    ("op", "before", "values", "behind"),
    [
        ("Fill", (), (HUGE, HUGE), ("one",)),
        ("BroadcastTo", ("one",), (HUGE, HUGE), ()),
        ("Tile", ("pair",), (HUGE * HUGE,), ()),
        ("RandomUniform", (), (HUGE, HUGE), ()),
        ("RandomStandardNormal", (), (HUGE, HUGE), ()),
        ("StatelessRandomUniformInt", (), (HUGE, HUGE), ("pair", "one", "one")),
        ("StatefulUniform", ("one", "one"), (HUGE, HUGE), ()),
        ("OneHot", ("pair",), (HUGE * HUGE,), ("one", "one")),
        ("LinSpace", ("one", "one"), (HUGE * HUGE,), ()),
        ("TensorListReserve", ("pair",), (HUGE * HUGE,), ()),
        ("ScatterNd", ("pair", "pair"), (HUGE, HUGE), ()),
        ("UnsortedSegmentSum", ("pair", "pair"), (HUGE * HUGE,), ()),
        ("Pad", ("pair",), (0, HUGE * HUGE), ()),
        ("Empty", (), (HUGE, HUGE), ()),
    ],
)
def test_a_size_that_a_constant_states_is_told_where_no_memory_holds_it(
    op: str, before: tuple[str, ...], values: tuple[int, ...], behind: tuple[str, ...]
) -> None:
    def made(*stated: int) -> list[tuple[str, str]]:
        size = numbers("size", *stated, scalar=op in ("LinSpace", "OneHot", "TensorListReserve"))
        if op == "Pad":
            size.attr["value"].tensor.tensor_shape.dim.insert(0, size.attr["value"].tensor.tensor_shape.dim.add(size=1))
            del size.attr["value"].tensor.tensor_shape.dim[2:]
        return bombs(ONE, numbers("pair", 1, 2), size, node("big", op, *before, "size", *behind))

    ((what, where),) = made(*values)
    assert what.startswith(f"a bomb: {op} makes ")
    assert "'big'" in where
    assert made(*(min(value, 1000) for value in values)) == []


@pytest.mark.parametrize(
    ("op", "attribute"),
    [("MutableDenseHashTableV2", "initial_num_buckets"), ("UniformCandidateSampler", "num_sampled")],
)
def test_a_size_that_an_attribute_states_is_told(op: str, attribute: str) -> None:
    def made(size: int) -> list[tuple[str, str]]:
        node_def = node("big", op, "x", "x")
        node_def.attr[attribute].i = size
        return bombs(node("x", "Placeholder"), node_def)

    assert made(1 << 40) == [(f"a bomb: {op} makes {1 << 40:,} elements", "node 'big'")]
    assert made(1 << 17) == []


@pytest.mark.parametrize("op", ["Diag", "MatrixDiag", "MatrixDiagV3"])
def test_what_stands_on_a_diagonal_makes_a_square(op: str) -> None:
    def made(size: int) -> list[tuple[str, str]]:
        return bombs(ONE, numbers("size", size), node("line", "Fill", "size", "one"), node("big", op, "line"))

    assert made(1 << 20) == [(f"a bomb: {op} makes {1 << 40:,} elements", "node 'big'")]
    assert made(1 << 10) == []


def test_a_temporary_variable_is_told_by_its_shape() -> None:
    node_def = node("big", "TemporaryVariable")
    node_def.attr["shape"].shape.dim.add(size=1 << 40)
    ((what, _),) = bombs(node_def)
    assert what == f"a bomb: TemporaryVariable makes {1 << 40:,} elements"


def test_what_no_memory_holds_is_not_run_without_trust() -> None:
    filling = function(
        "filling", [], numbers("size", HUGE, HUGE), ONE, node("big", "Fill", "size:output:0", "one:output:0")
    )
    filling.ret["y"] = "big:output:0"
    nodes = [ONE, numbers("size", HUGE, HUGE), node("big", "Fill", "size", "one"), node("x", "Placeholder")]
    nodes += [node("y", "Relu", "x"), node("z", "AddV2", "y", "big"), node("call", "PartitionedCall", f="filling")]
    graph_def = graph(*nodes, functions=[filling])
    assert hazards.of_graph(graph_def, ["y:0"]) == ()
    (hazard,) = hazards.of_graph(graph_def, ["z:0"])
    assert str(hazard) == f"node 'big': Fill of {HUGE * HUGE:,} elements"
    (hazard,) = hazards.of_graph(graph_def, ["call:0"])
    assert hazard.where == "node 'big' in function 'filling'"
    assert len(hazards.of_graph(graph_def)) == 2
    message = protos.message("MetaGraphDef")(graph_def=graph_def)
    for key, tensor in (("light", "y:0"), ("heavy", "z:0")):
        message.signature_def[key].outputs["out"].name = tensor
    assert hazards.of_saved_model(message, ["light"]) == ()
    assert len(hazards.of_saved_model(message, ["heavy"])) == 1


def test_what_a_function_computes_for_nobody_asks_for_no_trust() -> None:
    """A loop over ``tf.range(2**40)`` leaves the range behind, which TensorFlow runs nowhere."""
    ends = [numbers("zero", 0, scalar=True), numbers("end", 1 << 40, scalar=True), ONE]
    left = node("left", "Range", "zero:output:0", "end:output:0", "one:output:0")
    body = function("body", ["x"], *ends, left, node("y", "Relu", "x"))
    body.ret["y"] = "y:activations:0"
    kept = function("kept", ["x"], *ends, left, node("seen", "PrintV2", "left:output:0"))
    calls = [node("call", "PartitionedCall", "x", f="body"), node("print", "StatefulPartitionedCall", "x", f="kept")]
    graph_def = graph(node("x", "Placeholder"), *calls, functions=[body, kept])
    assert bombs(*graph_def.node, functions=[body]) == []
    assert hazards.of_graph(graph_def, ["call:0"]) == ()
    (hazard,) = hazards.of_graph(graph_def, ["print"])
    assert hazard.where == "node 'left' in function 'kept'"


@pytest.mark.tensorflow
def test_what_tensorflow_runs_of_a_function_for_nobody_is_told() -> None:
    known = registry()
    computing = claimed_sizes.SIZED & ops.of_effect(ops.Effect.PURE) & known.keys()
    assert {op for op in computing if known[op].is_stateful} == claimed_sizes.ALWAYS_RUN
    size = numbers("size", 1 << 40, scalar=True)
    body = function("body", ["x"], size, node("big", "TensorArrayV3", "size:output:0"))
    ((what, _),) = bombs(node("x", "Placeholder"), node("call", "PartitionedCall", "x", f="body"), functions=[body])
    assert what == f"a bomb: TensorArrayV3 makes {1 << 40:,} elements"


def test_what_is_behind_a_tensor_that_is_fed_asks_for_no_trust() -> None:
    nodes = [ONE, numbers("size", HUGE, HUGE), node("big", "Fill", "size", "one"), node("y", "Relu", "big")]
    assert hazards.of_graph(graph(*nodes), ["y:0"], fed=["big:0"]) == ()
    assert len(hazards.of_graph(graph(*nodes), ["y:0"], fed=["one:0"])) == 1


def test_a_range_is_told_by_its_ends() -> None:
    ends = [numbers("end", 1 << 40, scalar=True), node("big", "Range", "zero", "end", "one")]
    ((what, _),) = bombs(ONE, numbers("zero", 0, scalar=True), *ends)
    assert what == f"a bomb: Range makes {1 << 40:,} elements"


def test_a_size_is_followed_through_what_computes_it_and_into_functions() -> None:
    filling = function("filling", ["shape"], ONE, node("big", "Fill", "shape", "one:output:0"))
    filling.ret["y"] = "big:output:0"
    call = node("call", "PartitionedCall", "all", f="filling")
    shape = [numbers("a", HUGE), node("b", "Identity", "a"), numbers("axis", 0, scalar=True)]
    joined = node("all", "ConcatV2", "a", "b", "axis")
    joined.attr["N"].i = 2
    ((what, where),) = bombs(*shape, joined, call, functions=[filling])
    assert what == f"a bomb: Fill makes {HUGE * HUGE:,} elements"
    assert "function 'filling'" in where


@pytest.mark.parametrize("op", ["Tile", "Pad", "OneHot"])
def test_a_size_is_told_whatever_shape_goes_in(op: str) -> None:
    size = numbers("size", 1 << 40, scalar=op == "OneHot")
    ((what, _),) = bombs(ONE, node("x", "Placeholder"), size, node("big", op, "x", "size", "one", "one"))
    assert what == f"a bomb: {op} makes {1 << 40:,} elements"


def test_no_number_of_harmless_nodes_hides_one() -> None:
    many = [node(f"n{number}", "Fill", f"s{number}", "one") for number in range(5000)]
    sizes = [numbers(f"s{number}", 2, 3) for number in range(5000)]
    ((what, where),) = bombs(ONE, *sizes, *many, numbers("size", HUGE, HUGE), node("big", "Fill", "size", "one"))
    assert (what, where) == (f"a bomb: Fill makes {HUGE * HUGE:,} elements", "node 'big'")


def test_a_constant_that_lists_one_number_for_all_is_read_as_tensorflow_reads_it() -> None:
    size = numbers("size", HUGE)
    size.attr["value"].tensor.tensor_shape.dim[0].size = 2
    ((what, _),) = bombs(ONE, size, node("big", "Fill", "size", "one"))
    assert what == f"a bomb: Fill makes {HUGE * HUGE:,} elements"


def test_sizes_that_grow_step_by_step_are_told_where_they_are_too_large() -> None:
    steps = [node(f"x{number + 1}", "Tile", f"x{number}", "twice") for number in range(40)]
    told = bombs(numbers("x0", 1, 2), numbers("twice", 16), *steps)
    # 2 · 16^8 elements of 8 bytes are more than 16 GiB, and those before are not.
    assert told[0] == (f"a bomb: Tile makes {2 * 16**8:,} elements", "node 'x8'")
    outer = node("wide", "Mul", "row", "column")
    tall, wide = numbers("tall", HUGE, 1), numbers("flat", 1, HUGE)
    fills = [node("row", "Fill", "tall", "one"), node("column", "Fill", "flat", "one")]
    ((what, _),) = bombs(ONE, tall, wide, *fills, outer, node("same", "AddV2", "wide", "one"))
    assert what == f"a bomb: Mul makes {HUGE * HUGE:,} elements"


def test_what_goes_round_in_a_circle_or_depends_on_what_is_fed_is_not_told() -> None:
    assert bombs(node("a", "Tile", "b", "b"), node("b", "Tile", "a", "a")) == []
    assert bombs(ONE, node("x", "Placeholder"), node("big", "Fill", "x", "one")) == []
    looping = function("looping", ["n"], node("again", "PartitionedCall", "n", f="looping"))
    ((what, _),) = bombs(ONE, node("call", "PartitionedCall", "one", f="looping"), functions=[looping])
    assert what == "a bomb: a function that calls itself"

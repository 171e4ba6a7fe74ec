"""Whether two graphs compute the same is held against going back from their outputs message by message."""

from __future__ import annotations

import random
from typing import Any

import pytest

import tfmagic
from tfmagic.files import protos
from tfmagic.graphs import computation_matching, computation_pairing, computation_reading
from tfmagic.graphs.serialized import SerializedGraph

_OPS = ("Relu", "Tanh", "AddV2", "Identity", "Split", "Const", "IdentityN")


def random_graph(seed: int, size: int = 30) -> Any:
    chosen = random.Random(seed)
    graph = protos.message("GraphDef")()
    for name in ("x", "y"):
        graph.node.add(name=name, op="Placeholder").attr["dtype"].type = 1
    outputs = ["x", "y"]
    for number in range(size):
        op = chosen.choice(_OPS)
        node = graph.node.add(name=f"scope_{number % 3}/n{number}", op=op)
        count = {"Const": 0, "AddV2": 2, "IdentityN": 2}.get(op, 1)
        node.input.extend(chosen.choice(outputs[-12:]) for _ in range(count))
        if op == "Const":
            tensor = node.attr["value"].tensor
            tensor.dtype = 3
            tensor.int_val.append(chosen.randrange(3))
        elif chosen.random() < 0.2:
            node.input.append(f"^{chosen.choice(outputs).partition(':')[0]}")
        node.attr["T"].type = chosen.choice([1, 1, 1, 2])
        outputs += [node.name, f"{node.name}:1"] if op in ("Split", "IdentityN") else [node.name]
    return graph


def term(graph: Any, text: str) -> object:
    """Return what a tensor is made of, one inside the other."""
    name, _, place = text.partition(":")
    node = next(each for each in graph.node if each.name == name)
    inputs = [each for each in node.input if not each.startswith("^")]
    if node.op in ("Identity", "IdentityN"):
        return term(graph, inputs[int(place or 0)])
    value = node.attr["value"].tensor.int_val[:] if node.op == "Const" else []
    own = name if node.op == "Placeholder" else ""
    return node.op, own, int(place or 0), node.attr["T"].type, tuple(value), tuple(term(graph, each) for each in inputs)


def renamed(graph: Any, seed: int) -> Any:
    """Return a graph with other names, its nodes in another order."""
    names = {node.name: node.name if node.op == "Placeholder" else f"other/{node.name}" for node in graph.node}
    nodes = list(graph.node)
    random.Random(seed).shuffle(nodes)
    other = protos.message("GraphDef")()
    for node in nodes:
        added = other.node.add()
        added.CopyFrom(node)
        added.name = names[node.name]
        del added.input[:]
        for text in node.input:
            name, colon, place = text.removeprefix("^").partition(":")
            added.input.append("^" * text.startswith("^") + names.get(name, name) + colon + place)
    return other


def matched(first: Any, second: Any, ends: tuple[str, str]) -> computation_matching.Matching:
    sides = zip((first, second), ends, strict=True)
    wholes = [
        next(
            computation_reading.of_graph(
                SerializedGraph.of(graph.SerializeToString()), ({"x": "x", "y": "y"}, {"out": end})
            )
        )
        for graph, end in sides
    ]
    return computation_pairing.match(*wholes)


def is_equal(matching: computation_matching.Matching) -> bool:
    left = [*matching.first_only, *matching.second_only]
    return not left and not list(matching.changed) and not list(matching.rewired)


@pytest.mark.parametrize("seed", range(25))
def test_other_names_in_another_order_compute_the_same(seed: int) -> None:
    graph = random_graph(seed)
    last = graph.node[-1].name
    assert is_equal(matched(graph, renamed(graph, seed), (last, f"other/{last}")))


@pytest.mark.parametrize("seed", range(40))
def test_graphs_are_equal_if_their_outputs_are_made_of_the_same(seed: int) -> None:
    chosen = random.Random(seed)
    graph = random_graph(seed)
    other = renamed(graph, seed)
    node = chosen.choice([each for each in other.node if each.op in ("Relu", "Tanh", "AddV2")])
    if chosen.random() < 0.5:
        node.attr["T"].type = 3
    else:
        node.input[0] = "x"
    last = graph.node[-1].name
    expected = term(graph, last) == term(other, f"other/{last}")
    assert is_equal(matched(graph, other, (last, f"other/{last}"))) == expected


@pytest.mark.parametrize("seed", range(25))
def test_what_was_put_in_between_leaves_all_else_paired(seed: int) -> None:
    """The ops before it go together by what they are made of, those after it by what is made of them."""
    graph, other = random_graph(seed), random_graph(seed)
    last = graph.node[-1].name
    users = [each for each in other.node if each.op in ("Relu", "Tanh", "AddV2") and is_needed(other, each.name, last)]
    if not users:
        pytest.skip("the output is a constant")
    user = random.Random(seed).choice(users)
    other.node.add(name="between", op="Exp", input=[user.input[0]]).attr["T"].type = 1
    user.input[0] = "between"
    matching = matched(graph, other, (last, last))
    assert matching.first_only == []
    assert [matching.second.names[place] for place in matching.second_only] == ["between"]
    firsts, seconds = (
        [whole.names[place] for place in places.tolist()]
        for whole, places in zip(matching.both, matching.pairs, strict=True)
    )
    assert firsts == seconds


def blocks(scope: str, count: int, *, changes: bool) -> Any:
    """Return a chain of equal blocks; the changes are an op put in, one left out, and another attribute, far apart."""
    graph = protos.message("GraphDef")()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    last = shortcut = "x"
    for number in range(count):
        for op in ("Relu", "Tanh", "AddV2", "Softmax"):
            if changes and (number, op) == (count // 2, "Tanh"):
                continue
            node = graph.node.add(name=f"{scope}/block_{number}/{op}", op=op, input=[last])
            node.attr["T"].type = 1
            if op == "AddV2":
                node.input.append(shortcut)
            if changes and (number, op) == (count * 3 // 4, "Softmax"):
                node.attr["extra"].i = 3
            last = node.name
        if changes and number == count // 4:
            last = graph.node.add(name=f"{scope}/new", op="Exp", input=[last]).name
            graph.node[-1].attr["T"].type = 1
        shortcut = last
    graph.node.add(name="end", op="Identity", input=[last])
    return graph


def test_changes_in_several_places_of_a_renamed_scope_are_told_alone() -> None:
    """Neither what comes before an op between two of them, nor what comes after, nor its name tells which it is."""
    matching = matched(blocks("a", 200, changes=False), blocks("b", 200, changes=True), ("end", "end"))
    assert [matching.first.names[place] for place in matching.first_only] == ["a/block_100/Tanh"]
    assert [matching.second.names[place] for place in matching.second_only] == ["b/new"]
    assert [pair[1].name for pair in matching.changed] == ["b/block_150/Softmax"]
    assert list(matching.rewired) == []
    assert matching.renamed == {("a", "b"): 799}


def loop(*, swapped: bool) -> Any:
    """Return a loop of version 1 whose three variables each are made of two in the next round."""
    text = 'node {name: "x" op: "Placeholder"} node {name: "y" op: "Placeholder"} node {name: "z" op: "Placeholder"}'
    for own, first, second in (("x", "y", "z"), ("y", "z", "x"), ("z", *(("y", "x") if swapped else ("x", "y")))):
        text += f"""
            node {{name: "enter_{own}" op: "Enter" input: "{own}"}}
            node {{name: "merge_{own}" op: "Merge" input: "enter_{own}" input: "next_{own}"}}
            node {{name: "switch_{own}" op: "Switch" input: "merge_{own}" input: "go_on"}}
            node {{name: "body_{own}" op: "Identity" input: "switch_{own}:1"}}
            node {{name: "minus_{own}" op: "Sub" input: "body_{first}" input: "body_{second}"}}
            node {{name: "next_{own}" op: "NextIteration" input: "minus_{own}"}}
            node {{name: "exit_{own}" op: "Exit" input: "switch_{own}"}}
        """
    text += """
        node {name: "less" op: "Less" input: "merge_x" input: "merge_y"}
        node {name: "go_on" op: "LoopCond" input: "less"}
        node {name: "exit" op: "AddN" input: "exit_x" input: "exit_y" input: "exit_z"}
    """
    return protos.parse_text("GraphDef", text)


def test_the_body_of_a_loop_of_version_1_is_compared() -> None:
    assert is_equal(matched(loop(swapped=False), renamed(loop(swapped=False), 1), ("exit", "other/exit")))
    assert not is_equal(matched(loop(swapped=False), renamed(loop(swapped=True), 1), ("exit", "other/exit")))


def test_what_goes_around_a_loop_of_version_1_is_compared() -> None:
    other = loop(swapped=False)
    for node in other.node:
        if node.name == "next_x":
            node.input[:] = ["minus_y"]
        elif node.name == "next_y":
            node.input[:] = ["minus_x"]
    assert not is_equal(matched(loop(swapped=False), other, ("exit", "exit")))


def is_needed(graph: Any, name: str, last: str) -> bool:
    """Whether an output is made of a node."""
    nodes = {node.name: node for node in graph.node}
    waiting, seen = [last], set()
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting += [text.partition(":")[0] for text in nodes[each].input if not text.startswith("^")]
    return name in seen


def test_weights_go_together_whatever_they_are_kept_in() -> None:
    """A chain of layers with variables, and the same with constants, of which one layer got another op."""
    variables, constants = protos.message("GraphDef")(), protos.message("GraphDef")()
    for graph in (variables, constants):
        graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
        last = "x"
        for number in range(200):
            weight = graph.node.add(name=f"w{number}")
            if graph is variables:
                weight.op = "VarHandleOp"
                weight.attr["dtype"].type = 1
                weight.attr["shape"].shape.dim.add(size=4)
                graph.node.add(name=f"read{number}", op="ReadVariableOp", input=[weight.name])
            else:
                weight.op = "Const"
                weight.attr["value"].tensor.dtype = 1
                weight.attr["value"].tensor.tensor_shape.dim.add(size=4)
                weight.attr["value"].tensor.float_val.append(number)
            used = f"read{number}" if graph is variables else weight.name
            op = "Tanh" if graph is constants and number == 77 else "Relu"
            graph.node.add(name=f"mul{number}", op="Mul", input=[last, used])
            last = graph.node.add(name=f"act{number}", op=op, input=[f"mul{number}"]).name
    matching = matched(variables, constants, (last, last))
    assert [matching.first.names[place] for place in matching.first_only] == ["act77"]
    assert [matching.second.ops[place].op for place in matching.second_only] == ["Tanh"]
    assert matching.has_all_weights
    assert len(matching.second.constants) == 200


def test_a_function_that_calls_itself_comes_to_an_end() -> None:
    graph = protos.parse_text(
        "GraphDef",
        """
        node {name: "x" op: "Placeholder" attr {key: "dtype" value {type: DT_FLOAT}}}
        node {name: "call" op: "PartitionedCall" input: "x" attr {key: "f" value {func {name: "again"}}}}
        library {function {
          signature {name: "again" input_arg {name: "a" type: DT_FLOAT} output_arg {name: "b" type: DT_FLOAT}}
          node_def {name: "up" op: "Relu" input: "a"}
          node_def {name: "inner" op: "PartitionedCall" input: "up:activations:0"
                    attr {key: "f" value {func {name: "again"}}}}
          ret {key: "b" value: "inner:output:0"}
        }}
        """,
    )
    matching = matched(graph, graph, ("call", "call"))
    assert is_equal(matching)
    assert 200 <= len(matching.first.ops) < 210


def test_a_loop_of_version_1_and_an_input_from_nowhere_are_compared() -> None:
    graph = protos.parse_text(
        "GraphDef",
        """
        node {name: "x" op: "Placeholder"} node {name: "y" op: "Placeholder"}
        node {name: "enter" op: "Enter" input: "x"} node {name: "merge" op: "Merge" input: "enter" input: "next"}
        node {name: "next" op: "NextIteration" input: "step"}
        node {name: "step" op: "AddV2" input: "merge" input: "gone"}
        node {name: "exit" op: "Exit" input: "merge"}
        """,
    )
    assert is_equal(matched(graph, renamed(graph, 1), ("exit", "other/exit")))


def test_the_parts_of_a_sparse_input_are_inputs() -> None:
    graph = protos.parse_text(
        "MetaGraphDef",
        """
        graph_def {
          node {name: "i" op: "Placeholder"} node {name: "v" op: "Placeholder"} node {name: "s" op: "Placeholder"}
          node {name: "out" op: "SparseTensorDenseAdd" input: "i" input: "v" input: "s" input: "v"}
        }
        signature_def {key: "serving_default" value {
          inputs {key: "x" value {coo_sparse {
            indices_tensor_name: "i:0" values_tensor_name: "v:0" dense_shape_tensor_name: "s:0"}}}
          outputs {key: "y" value {name: "out:0"}}
        }}
        """,
    )
    other = protos.message("MetaGraphDef")()
    other.CopyFrom(graph)
    for node in other.graph_def.node:
        node.name = f"net/{node.name}"
        node.input[:] = [f"net/{each}" for each in node.input]
    sparse = other.signature_def["serving_default"].inputs["x"].coo_sparse
    sparse.indices_tensor_name, sparse.values_tensor_name = "net/i:0", "net/v:0"
    sparse.dense_shape_tensor_name = "net/s:0"
    other.signature_def["serving_default"].outputs["y"].name = "net/out:0"
    found = tfmagic.diff(graph, other)
    assert found.equal, found.table.to_string()
    assert set(found.table["what"]) == {"renamed"}


def branching(then: str, otherwise: str, handed: str = "DT_FLOAT") -> Any:
    """Return a graph with two branches of one op each, which are told in a list of dtypes what they get."""
    functions = " ".join(
        f"""function {{
          signature {{name: "{name}" input_arg {{name: "a" type: DT_FLOAT}} output_arg {{name: "b" type: DT_FLOAT}}}}
          node_def {{name: "only" op: "{op}" input: "a" attr {{key: "T" value {{type: DT_FLOAT}}}}}}
          ret {{key: "b" value: "only:y:0"}}
        }}"""
        for name, op in (("then", then), ("else", otherwise))
    )
    return protos.parse_text(
        "GraphDef",
        f"""
        node {{name: "x" op: "Placeholder"}} node {{name: "y" op: "Placeholder"}}
        node {{name: "if" op: "If" input: "y" input: "x"
              attr {{key: "then_branch" value {{func {{name: "then"}}}}}}
              attr {{key: "else_branch" value {{func {{name: "else"}}}}}}
              attr {{key: "Tin" value {{list {{type: {handed}}}}}}}}}
        library {{{functions}}}
        """,
    )


@pytest.mark.parametrize("other", [("Sqrt", "Tanh"), ("Exp", "Sqrt"), ("Tanh", "Exp")])
def test_each_branch_is_compared(other: tuple[str, str]) -> None:
    assert not is_equal(matched(branching("Exp", "Tanh"), branching(*other), ("if", "if")))


def test_a_branch_that_is_handed_a_variable_is_the_one_that_is_handed_its_value() -> None:
    assert is_equal(matched(branching("Exp", "Tanh"), branching("Exp", "Tanh", "DT_RESOURCE"), ("if", "if")))


def counting(step: str, *, is_read_first: bool = False) -> Any:
    """Return a call of a function that adds to a variable, and gives what is read before or after that."""
    write = 'node_def {name: "add" op: "AssignAddVariableOp" input: "v" input: "step:output:0" WAIT}'
    read = 'node_def {name: "read" op: "ReadVariableOp" input: "v" WAIT}'
    write, read = (
        text.replace("WAIT", f'input: "^{other}"' if waits else "")
        for text, other, waits in ((write, "read", is_read_first), (read, "add", not is_read_first))
    )
    return protos.parse_text(
        "GraphDef",
        f"""
        node {{name: "variable" op: "VarHandleOp" attr {{key: "shared_name" value {{s: "v"}}}}}}
        node {{name: "x" op: "Placeholder"}} node {{name: "y" op: "Placeholder"}}
        node {{name: "call" op: "StatefulPartitionedCall" input: "variable" input: "x"
              attr {{key: "f" value {{func {{name: "count"}}}}}}}}
        library {{function {{
          signature {{name: "count" input_arg {{name: "v" type: DT_RESOURCE}} input_arg {{name: "a" type: DT_FLOAT}}
                     output_arg {{name: "b" type: DT_FLOAT}}}}
          node_def {{name: "step" op: "Const"
                    attr {{key: "value" value {{tensor {{dtype: DT_FLOAT float_val: {step}}}}}}}}}
          {write if step != "0" else ""} {read if step != "0" else read.replace('input: "^add"', "")}
          node_def {{name: "sum" op: "AddV2" input: "read:value:0" input: "a"}}
          ret {{key: "b" value: "sum:z:0"}}
        }}}}
        """,
    )


@pytest.mark.parametrize("other", [counting("2"), counting("0"), counting("1", is_read_first=True)])
def test_what_changes_a_variable_beside_is_compared(other: Any) -> None:
    """Its value comes out of the next call, or of this one where it is read behind."""
    assert is_equal(matched(counting("1"), counting("1"), ("call", "call")))
    for pair in ((counting("1"), other), (other, counting("1"))):
        assert not is_equal(matched(*pair, ("call", "call")))

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.transforms import inlining

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def graph_of(text: str) -> Any:
    """Return a GraphDef of lines "name op input", functions indented below "def name(argument) -> key=tensor ~node"."""
    graph_def = protos.message("GraphDef")()
    function: Any = None
    for line in filter(None, text.splitlines()):
        if line.startswith("def "):
            head, _, results = line.removeprefix("def ").partition("->")
            name, _, arguments = head.partition("(")
            function = graph_def.library.function.add()
            function.signature.name = name
            for argument in arguments.strip(") ").split():
                function.signature.input_arg.add(name=argument, type=1)
            for result in results.split():
                if result.startswith("~"):
                    function.control_ret[result[1:]] = result[1:]
                else:
                    key, _, tensor = result.partition("=")
                    function.signature.output_arg.add(name=key, type=1)
                    function.ret[key] = tensor
            continue
        name, op, *inputs = line.split()
        node = (function.node_def if line.startswith(" ") else graph_def.node).add(name=name)
        node.op, _, called = op.partition("@")
        if called:
            node.attr["f"].func.name = called
        node.input.extend(inputs)
    return graph_def


def inlined(text: str, definitions: Mapping[str, Any] | None = None) -> list[str]:
    graph_def = graph_of(text)
    inlining.inline_calls(graph_def, definitions or {})
    return [" ".join([node.name, node.op, *node.input]) for node in graph_def.node]


def test_a_call_within_a_call_stands_under_the_names_of_both() -> None:
    assert inlined("""
x Placeholder
a PartitionedCall@outer x
y Relu a
def outer(v) -> r=inner:output:0
 inner StatefulPartitionedCall@deep v
def deep(w) -> r=neg:y:0
 neg Neg w
""") == ["x Placeholder", "a/inner/neg Neg x", "y Relu a/inner/neg"]


def test_what_a_function_hands_on_is_what_it_was_given() -> None:
    assert inlined("""
x Placeholder
a PartitionedCall@same x
y Relu a:1
def same(v) -> first=v second=v
""") == ["x Placeholder", "y Relu x"]


def test_outputs_are_found_by_the_names_that_their_ops_give_them() -> None:
    assert inlined("""
x Placeholder
a PartitionedCall@f x
y Relu a:1
def f(v) -> r=top:values:0 i=top:indices:0
 top TopKV2 v v
""") == ["x Placeholder", "a/top TopKV2 x x", "y Relu a/top:1"]


def test_who_waits_for_a_call_waits_for_what_acts_in_it() -> None:
    lines = inlined("""
x Placeholder
before NoOp
a StatefulPartitionedCall@f x ^before
y Relu x ^a
def f(v) -> r=c:output:0 ~print
 c Const
 neg Neg v
 print PrintV2 v ^neg
""")
    assert lines == [
        "x Placeholder",
        "before NoOp",
        "a/c Const ^before",
        "a/neg Neg x",
        "a/print PrintV2 x ^a/neg ^before",
        "a NoOp ^a/print ^a/c ^before",
        "y Relu x ^a",
    ]


@pytest.mark.parametrize("attr", ["_noinline", "_XlaMustCompile"])
def test_a_function_that_asks_to_stay_one_stays(attr: str) -> None:
    graph_def = graph_of("x Placeholder\na PartitionedCall@f x\ndef f(v) -> r=neg:y:0\n neg Neg v\n")
    graph_def.library.function[0].attr[attr].b = True
    inlining.inline_calls(graph_def, {})
    assert [node.name for node in graph_def.node] == ["x", "a"]


def test_two_calls_of_a_loop_have_two_loops() -> None:
    graph_def = graph_of("x Placeholder\na f x\nb f x\ndef f(v) -> r=e:output:0\n e Enter v\n")
    graph_def.library.function[0].node_def[0].attr["frame_name"].s = b"while"
    inlining.inline_calls(graph_def, {})
    assert [node.attr["frame_name"].s for node in graph_def.node[1:]] == [b"a/while", b"b/while"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a f\ndef f() -> r=b:r:0\n b f\n", "'f' calls itself"),
        ("x Placeholder\na f x x\ndef f(v) -> r=v\n", "takes other values"),
        ("x Placeholder\na f x\ndef f(v) -> r=b:out:0\n b OpOfNobody v\n", "knows the outputs of the op 'OpOfNobody'"),
        ("x Placeholder\na f x\ndef f(v) -> r=gone:y:0\n b Neg v\n", "there is no such node"),
        ("a f a\ny Neg a\ndef f(v) -> r=v\n", "round in circles"),
    ],
)
def test_what_cannot_be_inlined_is_said(text: str, said: str) -> None:
    with pytest.raises(errors.ConversionError, match=said):
        inlined(text)


def test_functions_that_call_each_other_twice_do_not_fill_the_memory() -> None:
    functions = "".join(f"def f{n}(v) -> r=b:r:0\n a f{n + 1} v\n b f{n + 1} v\n" for n in range(60))
    with pytest.raises(errors.ConversionError, match="more than 5,000,000 are not made"):
        inlined("x Placeholder\na f0 x\n" + functions + "def f60(v) -> r=v\n")


def test_many_calls_within_calls_are_no_matter_of_pythons_stack() -> None:
    functions = "".join(f"def f{n}(v) -> r=b:r:0\n b f{n + 1} v\n" for n in range(2000))
    lines = inlined("x Placeholder\na f0 x\ny Neg a\n" + functions + "def f2000(v) -> r=v\n")
    assert lines == ["x Placeholder", "y Neg x"]


def build(kind: str, tf: Any, module: Any) -> Callable[..., Any]:
    """Return a function of one kind, whose variables are the module's."""

    def nested() -> Callable[..., Any]:
        inner = tf.function(lambda v: tf.nn.top_k(v, 2))
        return lambda x: {"y": inner(tf.nn.relu(x)).values + tf.reduce_sum(inner(-x).values)}

    def control_flow() -> Callable[..., Any]:
        module.weight = weight = tf.Variable([2.0, 3.0, 4.0])
        twice = tf.function(lambda v: v * weight)
        return lambda x: {
            "y": tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, twice(v)), (0, x))[1],
            "z": tf.cond(tf.reduce_sum(x) > 0, lambda: twice(x), lambda: x - weight),
        }

    def split() -> Callable[..., Any]:
        inner = tf.function(lambda v: tf.split(v, 3, axis=1))
        return lambda x: {"y": inner(x)[2] - inner(x)[0]}

    def staying() -> Callable[..., Any]:
        module.weight = weight = tf.Variable(5.0)
        inner = tf.function(lambda v: v * weight, experimental_attributes={"_noinline": True})
        return lambda x: {"y": inner(x) + 1}

    return {"nested": nested, "control flow": control_flow, "split": split, "staying": staying}[kind]()


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["nested", "control flow", "split", "staying"])
def test_a_graph_of_tensorflow_gives_the_same_numbers(kind: str, tmp_path: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who builds should take

    from tfmagic.models.model import Part  # noqa: PLC0415 - as above
    from tfmagic.verbs.freeze import freeze  # noqa: PLC0415 - as above

    module = tf.Module()
    function = build(kind, tf, module)
    module.f = tf.function(function, input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    module.f.get_concrete_function()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": module.f})
    frozen = freeze(tmp_path / "m", verify=True)
    assert not [note for note in frozen.notes if "loaded" in note]
    x = np.linspace(-1, 2, 6, dtype=np.float32).reshape(2, 3)
    for key, value in frozen.part(Part.FUNCTION)(None)({"x": x}).items():
        np.testing.assert_allclose(value, function(x)[key], rtol=1e-6)
    calls = frozen.ops.query("function == '' and op.str.contains('PartitionedCall')")
    assert len(calls) == (kind == "staying")

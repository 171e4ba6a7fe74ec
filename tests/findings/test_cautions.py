from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.wire_samples import attr, field, node, varint
from tfmagic.findings import cautions
from tfmagic.findings.cautions import Caution
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs.signatures import Endpoint
from tfmagic.models.model import Model, Part

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

#: An AttrValue that holds a bool, its field 5.
TRUE, FALSE = varint(5 << 3) + varint(1), varint(5 << 3) + varint(0)


def graph(*nodes: bytes, signed: str | None = None, functions: bytes = b"") -> Model:
    """Return a model of some nodes; with a signature whose output is one of them."""
    ends = [Endpoint("y", f"{signed}:0", "float32", None)]
    header = b""
    if signed is not None:
        header = field(5, field(1, b"serve") + field(2, signatures.signature_def([], ends).SerializeToString()))
    data = field(2, b"".join(field(1, each) for each in nodes) + functions) + header
    return Model("graph_def", "made", {Part.GRAPH: lambda: (metagraphs.MetaGraph.of(data),)})


def test_a_plain_graph_gives_no_cause() -> None:
    assert cautions.cautions(graph(node("x", "Placeholder"), node("y", "Relu", "x"))) == []


def test_what_has_no_graph_at_hand_is_not_asked_for_one() -> None:
    def fails() -> Any:
        raise AssertionError

    made = Model("keras_model", "made", {Part.GRAPH: fails}, computed=frozenset({Part.GRAPH}))
    assert cautions.cautions(made) == []


def test_ops_of_a_library_are_named() -> None:
    (found,) = cautions.cautions(graph(node("x", "SentencepieceOp"), node("y", "Relu", "x")))
    assert found.ops == ("SentencepieceOp",)
    assert "'SentencepieceOp'" in found.text


def test_a_call_of_a_function_is_no_op_of_a_library() -> None:
    function = field(2, field(1, field(1, field(1, b"my_function"))))
    assert cautions.cautions(graph(node("y", "my_function"), functions=function)) == []


@pytest.mark.parametrize(("flag", "is_said"), [(TRUE, True), (FALSE, False), (None, True)])
def test_batch_normalisation_in_training_mode(flag: bytes | None, *, is_said: bool) -> None:
    attrs = b"" if flag is None else attr("is_training", flag)
    found = cautions.cautions(graph(node("bn", "FusedBatchNormV3", attrs=attrs)))
    assert [caution.names for caution in found] == ([("bn",)] if is_said else [])


def test_a_training_step_beside_the_signature_is_not_what_is_served() -> None:
    served = node("served", "FusedBatchNormV3", attrs=attr("is_training", FALSE))
    trained = node("trained", "FusedBatchNormV3", attrs=attr("is_training", TRUE))
    assert cautions.cautions(graph(served, trained, signed="served")) == []
    (found,) = cautions.cautions(graph(served, trained, signed="trained"))
    assert found.names == ("trained",)


@pytest.mark.parametrize(
    ("op", "word"), [("EagerPyFunc", "Python"), ("MutableHashTableV2", "frozen"), ("QueueDequeueV2", "queues")]
)
def test_state_and_code_outside_the_graph_are_said(op: str, word: str) -> None:
    (found,) = cautions.cautions(graph(node("it", op)))
    assert found.ops == (op,)
    assert word in found.text


def test_as_many_draws_are_followed_as_a_display_waits_for() -> None:
    nodes = [node("x", "Placeholder"), node("rate", "Const")]
    before = "x"
    for number in range(5000):
        scope = f"drop_{number}"
        nodes += [
            node(f"{scope}/draw", "RandomUniform"),
            node(f"{scope}/mask", "GreaterEqual", f"{scope}/draw", "rate"),
            node(f"{scope}/cast", "Cast", f"{scope}/mask"),
            node(f"{scope}/mul", "Mul", before, f"{scope}/cast"),
        ]
        before = f"{scope}/mul"
    model = graph(*nodes)
    times = [time.process_time()]
    assert len(model.ends.outputs) == 1
    times.append(time.process_time())
    (found,) = cautions.cautions(model)
    times.append(time.process_time())
    assert (found.code, found.names[0]) == ("training-mode", "drop_0/draw")
    # A look at all of the graph for each of its draws would take thousands of times as long as one for its ends.
    assert times[2] - times[1] < 50 * (times[1] - times[0])


def test_the_summary_says_them() -> None:
    shown = graph(node("it", "EagerPyFunc"))
    (caution,) = cautions.cautions(shown)
    assert isinstance(caution, Caution)
    # As a sentence of its own.
    said = caution.text[0].upper() + caution.text[1:]
    assert said in repr(shown)
    assert html.escape(said, quote=False) in shown._repr_html_()


@pytest.mark.tensorflow
def test_a_keras_model_that_was_traced_for_training_is_told_from_one_that_was_not(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - seconds for this test only
    import tensorflow as tf  # noqa: PLC0415 - as above

    net = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.BatchNormalization()])
    for training in (True, False):
        module = tf.Module()
        module.net = net

        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 2))])  # type: ignore[untyped-decorator, unused-ignore]
        def serve(x: Any, training: bool = training) -> Any:  # noqa: FBT001 - bound here
            return tf.raw_ops.FusedBatchNormV3(
                x=x, scale=[1.0, 1], offset=[0.0, 0], mean=[0.0, 0], variance=[1.0, 1], is_training=training
            ).y

        module.serve = serve
        path = tmp_path / str(training)
        tf.saved_model.save(module, str(path), signatures=serve)
        found = [each for each in cautions.cautions(tfmagic.inspect(path)) if "batch norm" in each.text]
        assert bool(found) is training

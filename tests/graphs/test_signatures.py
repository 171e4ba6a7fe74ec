from __future__ import annotations

from typing import Any

import pytest

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import signatures
from tfmagic.graphs.signatures import Endpoint


def info(**fields: Any) -> Any:
    return protos.message("TensorInfo")(**fields)


INPUTS = (Endpoint("b", "b:0", "float32", (None, 3)), Endpoint("a", "a:1", "string", None))
OUTPUTS = (Endpoint("y", "y:0", "bfloat16", ()),)


def test_a_signature_made_is_the_one_read() -> None:
    made = signatures.signature_def(INPUTS, OUTPUTS)
    assert signatures.endpoints(made.inputs) == tuple(sorted(INPUTS))
    assert signatures.endpoints(made.outputs) == OUTPUTS
    assert made.method_name == "tensorflow/serving/predict"


@pytest.mark.tensorflow
def test_a_signature_made_is_tensorflows() -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only this test should take

    v1 = tf.compat.v1
    with tf.Graph().as_default():
        b, a = v1.placeholder(tf.float32, [None, 3], "b"), v1.placeholder(tf.string, None, "a")
        y = tf.cast(1.0, tf.bfloat16, name="y")
        infos = [{"b": b, "a": a}, {"y": y}]
        theirs = v1.saved_model.build_signature_def(
            *({key: v1.saved_model.build_tensor_info(tensor) for key, tensor in each.items()} for each in infos),
            method_name=v1.saved_model.signature_constants.PREDICT_METHOD_NAME,
        )
    inputs = (INPUTS[0], INPUTS[1]._replace(tensor="a:0"))
    assert protos.native(signatures.signature_def(inputs, OUTPUTS)) == theirs


def test_methods_have_short_names() -> None:
    assert signatures.method_uri("classify") == "tensorflow/serving/classify"
    assert signatures.method_uri("my/own/method") == "my/own/method"
    with pytest.raises(errors.UnknownNameError, match="did you mean 'predict'"):
        signatures.method_uri("predic")


@pytest.mark.parametrize("tags", [3, {"serve": 1, 2: 3}, [b"serve"]])
def test_tags_that_are_no_texts_are_told(tags: object) -> None:
    with pytest.raises(errors.ConversionError, match="tags are texts"):
        signatures.tag_set(tags)


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        (info(name="x:0"), "x:0"),
        (info(), ""),
        (
            info(coo_sparse={
                "values_tensor_name": "v:0", "indices_tensor_name": "i:0", "dense_shape_tensor_name": "s:0",
            }),
            "v:0,i:0,s:0",
        ),
        (info(composite_tensor={"components": [{"name": "flat:0"}, {"name": "rows:0"}]}), "flat:0,rows:0"),
    ],
)  # fmt: skip
def test_the_tensor_that_an_info_names(tensor: Any, name: str) -> None:
    assert signatures.tensor_name(tensor) == name


def test_rows_name_what_has_no_shape_or_dtype_for_what_it_is() -> None:
    signature = protos.message("SignatureDef")(method_name="m")
    signature.outputs["init"].name = "NoOp"
    (row,) = signatures.rows([(("serve", "gpu"), {"__saved_model_init_op": signature})])
    assert row == ("serve,gpu", "__saved_model_init_op", "m", "output", "init", "NoOp", "invalid", None)


def test_rows_are_inputs_then_outputs_by_key() -> None:
    made = signatures.signature_def(INPUTS, OUTPUTS)
    found = list(signatures.rows([(("serve",), {"one": made, "two": made})]))
    assert [(row.signature, row.side, row.key) for row in found] == [
        (key, *place) for key in ("one", "two") for place in (("input", "a"), ("input", "b"), ("output", "y"))
    ]


@pytest.mark.parametrize(
    ("keys", "given", "chosen"),
    [
        (["serving_default", "train"], None, "serving_default"),
        (["only", "__saved_model_init_op"], None, "only"),
        (["a", "b"], "b", "b"),
        (["a", "__saved_model_init_op"], "__saved_model_init_op", "__saved_model_init_op"),
    ],
)
def test_the_signature_that_is_meant(keys: list[str], given: str | None, chosen: str) -> None:
    assert signatures.choose(dict.fromkeys(keys), given) == chosen


@pytest.mark.parametrize(
    ("keys", "given", "says"),
    [
        (["predict", "train"], "predicts", "did you mean 'predict'"),
        (["a", "b", "__saved_model_init_op"], None, "there is 'a', 'b'$"),
        ([], None, r"there is \(none\)"),
    ],
)
def test_a_signature_that_there_is_not(keys: list[str], given: str | None, says: str) -> None:
    with pytest.raises(errors.UnknownNameError, match=says) as raised:
        signatures.choose(dict.fromkeys(keys), given)
    assert raised.value.kind == "signature"


def test_shapes_by_node_are_those_of_first_outputs() -> None:
    made = signatures.signature_def(
        [Endpoint("x", "x:0", "float32", (None, 4)), Endpoint("n", "n", "int32", ())],
        [
            Endpoint("y", "y:1", "float32", (2,)),
            Endpoint("u", "u:0", "float32", None),
            Endpoint("p", "p:0,q:0", "int32", ()),
        ],
    )
    other = signatures.signature_def([Endpoint("x", "x:0", "float32", (9,))], [])
    assert signatures.shapes_by_node({"a": made, "b": other}) == {"x": (None, 4), "n": ()}

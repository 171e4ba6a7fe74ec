"""What one node says of itself: attributes of every kind, first values as TensorFlow reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfmagic.files import protos
from tfmagic.graphs import node_details


def node() -> Any:
    return protos.message("NodeDef")(name="n", op="Any")


def tensor(dtype: str, shape: tuple[int, ...], **fields: Any) -> Any:
    made = protos.message("TensorProto")(dtype=protos.dtype_number(dtype), **fields)
    made.tensor_shape.CopyFrom(protos.shape_proto(shape))
    return made


def test_every_kind_of_attribute_is_worded_and_tensorflows_own_come_last() -> None:
    made = node()
    made.attr["_class"].list.s.append(b"loc:@x")
    made.attr["padding"].s = b"SAME"
    made.attr["bytes"].s = b"\xff\x00"
    made.attr["axis"].i = -1
    made.attr["epsilon"].f = 0.001
    made.attr["transpose"].b = True
    made.attr["T"].type = protos.dtype_number("bfloat16")
    made.attr["shape"].shape.CopyFrom(protos.shape_proto((None, 3)))
    made.attr["unknown"].shape.unknown_rank = True
    made.attr["f"].func.name = "__inference_1"
    made.attr["strides"].list.i.extend([1, 2, 2, 1])
    made.attr["empty"].list.SetInParent()
    made.attr["value"].tensor.CopyFrom(tensor("float32", (2,), float_val=[1.0]))
    assert node_details.attributes(made) == [
        ("T", "bfloat16"), ("axis", "-1"), ("bytes", "b'\\xff\\x00'"), ("empty", "[]"), ("epsilon", "0.00100000005"),
        ("f", "__inference_1"), ("padding", "'SAME'"), ("shape", "(None, 3)"), ("strides", "[1, 2, 2, 1]"),
        ("transpose", "True"), ("unknown", "unknown rank"), ("value", "float32 (2,)"), ("_class", "['loc:@x']"),
    ]  # fmt: skip


def test_long_lists_and_strings_are_cut_and_counted() -> None:
    made = node()
    made.attr["list"].list.i.extend(range(100))
    made.attr["text"].s = b"x" * 1000
    (_, listed), (_, text) = node_details.attributes(made)
    assert listed.endswith("11, … 88 more]")
    assert len(text) < 250
    assert text.endswith("(1,000 bytes)")


CASES = {
    "content": (tensor("float32", (3,), tensor_content=np.array([1, 2, 3], "<f4").tobytes()), [1, 2, 3]),
    "floats": (tensor("float32", (2,), float_val=[0.5, -0.5]), [0.5, -0.5]),
    "the last value is meant for all others": (tensor("int32", (2, 3), int_val=[7, 8]), [7, 8, 8, 8, 8, 8]),
    "no value means zeros": (tensor("float64", (2,)), [0, 0]),
    "half": (tensor("float16", (2,), half_val=[0x3C00, 0xC000]), [1, -2]),
    "complex": (tensor("complex64", (2,), scomplex_val=[1, 2, 3, 4]), [1 + 2j, 3 + 4j]),
    "strings": (tensor("string", (2,), string_val=[b"a", b"\xff"]), [b"a", b"\xff"]),
    "no string": (tensor("string", (2,)), [b"", b""]),
    "bool": (tensor("bool", (), bool_val=[True]), [True]),
    "unsigned": (tensor("uint64", (1,), uint64_val=[1 << 63]), [1 << 63]),
    "nothing": (tensor("float32", (0, 4)), []),
}


@pytest.mark.parametrize("name", CASES)
def test_first_values(name: str) -> None:
    made, expected = CASES[name]
    assert node_details.first_values(made) == expected


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in CASES if name != "no string"])
def test_first_values_are_tensorflows(name: str) -> None:
    import tensorflow as tf  # noqa: PLC0415 - for this test alone

    made, _ = CASES[name]
    native = (
        tf.compat.v1.TensorProto.FromString(made.SerializeToString()) if hasattr(tf.compat.v1, "TensorProto") else None
    )
    native = native or type(tf.make_tensor_proto(0)).FromString(made.SerializeToString())
    assert node_details.first_values(made) == tf.make_ndarray(native).reshape(-1).tolist()


def test_of_many_values_the_first_are_told_and_all_are_counted() -> None:
    made = tensor("float32", (1000, 1000), tensor_content=np.arange(1_000_000, dtype="<f4").tobytes())
    text = node_details.values_text(made)
    assert text.startswith("0.0, 1.0, 2.0, ")
    assert text.endswith("23.0, … (1,000,000 values)")


def test_a_damaged_tensor_is_said_and_does_not_raise() -> None:
    assert "not shown" in node_details.values_text(tensor("resource", (1,)))
    assert node_details.values_text(tensor("float32", (4,), tensor_content=b"\0" * 3))

from __future__ import annotations

from typing import Any

import pytest

from tfmagic.files.keras import specs as keras_specs


@pytest.mark.parametrize(
    ("policy", "dtype"),
    [
        ("float64", "float64"),
        ("mixed_float16", "float16"),
        ({"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}}, "bfloat16"),
        ({"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}, "float32"),
        (None, "float32"),
    ],
)
def test_dtype_policies(policy: object, dtype: str) -> None:
    assert keras_specs.policy_dtype({"class_name": "Dense", "config": {"name": "a", "dtype": policy}}) == dtype


def test_a_layer_whose_output_has_a_dtype_of_its_own_states_none() -> None:
    assert keras_specs.policy_dtype({"class_name": "StringLookup", "config": {"dtype": "float32"}}) is None


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"class_name": "Dense", "config": {"name": "a"}}, "a"),
        ({"class_name": "Functional", "name": "beside", "config": {}}, "beside"),
        ({"class_name": "Package>BatchNormalization", "config": {"name": ""}}, "batch_normalization"),
        ({"class_name": "Dense", "config": {"name": "a\ud800"}}, "a?"),
    ],
)
def test_names(spec: dict[str, Any], name: str) -> None:
    assert keras_specs.name(spec) == name


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["Dense", "Conv2DTranspose", "ConvLSTM2D", "GRU", "MyLayer2", "_Private"])
def test_snake_case_is_that_of_keras(name: str) -> None:
    naming = pytest.importorskip("keras.src.utils.naming")
    assert keras_specs.snake_case(name) == naming.to_snake_case(name)


def test_keras_2_counts_digits_among_the_letters() -> None:
    # As its summaries and files have it; tf_keras has changed its mind since.
    names = [keras_specs.keras_2_snake_case(name) for name in ("ConvLSTM2D", "Conv2DTranspose", "LSTM")]
    assert names == ["conv_lst_m2d", "conv2d_transpose", "lstm"]


def test_objects_come_in_the_order_in_which_they_are_written() -> None:
    value: Any = {"n": 1, "a": [{"n": 2, "b": {"n": 3}}, "text", [{"n": 4}]], "c": {"n": 5}}
    assert [each["n"] for each in keras_specs.objects(value)] == [1, 2, 3, 4, 5]
    assert list(keras_specs.objects("text")) == []

"""A layer costs what its graph costs, and nothing that a file says breaks the sum."""

from __future__ import annotations

from typing import Any

import pytest

import tfmagic
from tests.versions import version_of
from tfmagic.files.keras import layer_costs
from tfmagic.graphs import signatures
from tfmagic.graphs.costs import graph_costs

_LAYERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Activation": ((9,), {"activation": "softmax"}),
    "AveragePooling1D": ((8, 6), {"pool_size": 2}),
    "AveragePooling2D": ((8, 8, 6), {"pool_size": 3}),
    "BatchNormalization": ((8, 8, 6), {"scale": False}),
    "Conv1D": ((8, 6), {"filters": 4, "kernel_size": 3}),
    "Conv1DTranspose": ((8, 6), {"filters": 4, "kernel_size": 3}),
    "Conv2D": ((8, 8, 6), {"filters": 4, "kernel_size": (3, 2), "groups": 2, "activation": "silu"}),
    "Conv2DTranspose": ((8, 8, 6), {"filters": 4, "kernel_size": 3, "strides": 2}),
    "Conv3D": ((8, 8, 8, 2), {"filters": 4, "kernel_size": 3, "use_bias": False}),
    "Dense": ((3, 20), {"units": 30, "activation": "gelu"}),
    "DepthwiseConv2D": ((8, 8, 6), {"kernel_size": 3, "depth_multiplier": 2}),
    "EinsumDense": ((8, 6), {"equation": "abc,cd->abd", "output_shape": (8, 9), "bias_axes": "d"}),
    "GlobalAveragePooling2D": ((8, 8, 6), {}),
    "GlobalMaxPooling2D": ((8, 8, 6), {}),
    "GroupNormalization": ((8, 8, 6), {"groups": 3}),
    "LayerNormalization": ((8, 8, 6), {}),
    "MaxPooling2D": ((8, 8, 6), {}),
    "PReLU": ((8, 6), {}),
    "Rescaling": ((8, 8, 6), {"scale": 0.5, "offset": 1.0}),
    "SeparableConv1D": ((8, 6), {"filters": 4, "kernel_size": 3}),
    "SeparableConv2D": ((8, 8, 6), {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}),
    "Softmax": ((8, 8, 6), {}),
    "UnitNormalization": ((8, 8, 6), {}),
}


def traced(model: Any) -> int:
    """Return the FLOPs of a model's graph."""
    shown = tfmagic.inspect(model).meta_graph
    signature = shown.signature_def[signatures.DEFAULT_KEY]
    inputs = {end.tensor: end.shape for end in signatures.endpoints(signature.inputs)}
    outputs = [end.tensor for end in signatures.endpoints(signature.outputs)]
    costs = [cost.flops for cost in graph_costs.of_graph(shown.graph, outputs, inputs)]
    assert None not in costs
    return sum(cost or 0 for cost in costs)


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", _LAYERS)
def test_a_layer_costs_what_its_graph_costs(kind: str) -> None:
    import keras  # noqa: PLC0415

    shape, arguments = _LAYERS[kind]
    model = keras.Sequential([keras.Input(shape), getattr(keras.layers, kind)(**arguments)])
    assert tfmagic.inspect(model).layers["flops"].sum() == traced(model)


@pytest.mark.tensorflow
def test_attention_costs_what_its_graph_costs() -> None:
    import keras  # noqa: PLC0415

    # Keras 3.5 wants queries and values of one width.
    width = 12 if version_of("keras") > (3, 5) else 16
    query, value = keras.Input((8, 16)), keras.Input((10, width))
    model = keras.Model([query, value], keras.layers.MultiHeadAttention(3, 5, value_dim=7)(query, value))
    assert tfmagic.inspect(model).layers["flops"].sum() == pytest.approx(traced(model), rel=0.01)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("kind", "step"), [("LSTM", 3008), ("GRU", 2336), ("SimpleRNN", 736)])
def test_a_recurrent_layer_costs_its_step_times_the_steps(kind: str, step: int) -> None:
    # A step of 16 units on 6 features, as the ops of its loop's body count: 2 * gates * 16 * (6 + 16), biases, gates.
    import keras  # noqa: PLC0415

    inner = getattr(keras.layers, kind)(16, return_sequences=True)
    model = keras.Sequential([keras.Input((8, 6)), inner])
    assert tfmagic.inspect(model).layers["flops"].sum() == 8 * step
    both = keras.Sequential([keras.Input((8, 6)), keras.layers.Bidirectional(getattr(keras.layers, kind)(16))])
    assert tfmagic.inspect(both).layers["flops"].sum() == 2 * 8 * step


@pytest.mark.tensorflow
def test_what_a_layer_of_the_users_own_does_is_not_known() -> None:
    import keras  # noqa: PLC0415

    class Dense(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((4,)), Dense(), keras.layers.Dense(3)])
    layers = tfmagic.inspect(model).layers.set_index("class")
    assert layers["flops"].isna().tolist() == [False, True, False]
    assert layers["activation_bytes"].tolist() == [16, 16, 12]


@pytest.mark.parametrize(
    ("kind", "arguments", "inputs", "output"),
    [
        ("Dense", {"units": "many", "use_bias": None, "activation": {"class_name": 3}}, [(None, 4)], (None, 3)),
        ("Conv2D", {"kernel_size": ["3", 3], "filters": 1}, [(1, 2, 2, 1)], (1, 1, 1, 1)),
        ("Conv2D", {"kernel_size": 3, "filters": 1, "groups": 0}, [(1, 2, 2, 1)], (1, 1, 1, 1)),
        ("Dense", {}, [(None, None)], (None, None)),
        ("Dense", {}, [], (None, 3)),
        ("TimeDistributed", {"layer": None}, [(1, 2, 3)], (1, 2, 3)),
        ("SomethingElse", {}, [(1,)], (1,)),
    ],
)
def test_arguments_that_make_no_sense_cost_nothing_that_is_known(
    kind: str, arguments: dict[str, Any], inputs: list[Any], output: Any
) -> None:
    assert layer_costs.flops(kind, arguments, inputs, output) is None

"""The colour of an op or a layer: told by what graphs.ops knows, and by the names of layers."""

from __future__ import annotations

import pytest

from tfmagic.display.graph.op_colours import KINDS, kind_of
from tfmagic.graphs import ops


@pytest.mark.parametrize(
    ("kind", "colour"),
    [
        ("matrix", "matrix"), ("recurrent", "recurrent"), ("pool", "pool"), ("reduction", "pool"),
        ("activation", "activation"), ("normalisation", "norm"), ("branch", "call"), ("loop", "call"),
        ("mutable table", "lookup"), ("parsing", "lookup"), ("image file", "lookup"), ("text", "lookup"),
        ("placeholder", "end"), ("variable", "state"), ("restore", "state"), ("variable write", "state"),
    ],
)  # fmt: skip
def test_all_ops_of_a_kind_have_one_colour(kind: str, colour: str) -> None:
    assert {op: kind_of(op) for op in ops.of_kind(kind)} == dict.fromkeys(ops.of_kind(kind), colour)


@pytest.mark.parametrize(
    ("variant", "op"),
    [
        ("QuantizedConv2DWithBiasAndReluAndRequantize", "Conv2D"), ("_MklFusedBatchNormV3", "FusedBatchNormV3"),
        ("_MklNativePadWithConv2D", "Conv2D"), ("QuantizedConcatV2", "ConcatV2"), ("XlaEinsum", "Einsum"),
        ("_FusedMatMul", "MatMul"), ("_MklTanh", "Tanh"),
    ],
)  # fmt: skip
def test_what_does_the_same_in_another_way_has_the_same_colour(variant: str, op: str) -> None:
    assert kind_of(variant) == kind_of(op) != "other"


@pytest.mark.parametrize(
    ("layers", "colour"),
    [
        ("Dense EinsumDense Conv1D Conv2DTranspose DepthwiseConv2D SeparableConv1D Dot", "matrix"),
        ("LSTM GRUCell SimpleRNN ConvLSTM2D Bidirectional MultiHeadAttention AdditiveAttention", "recurrent"),
        ("GlobalAveragePooling2D MaxPool1D AdaptiveMaxPooling3D", "pool"),
        ("ReLU LeakyReLU PReLU ELU Softmax Activation", "activation"),
        ("BatchNormalization LayerNormalization UnitNormalization", "norm"),
        ("Embedding TextVectorization StringLookup Hashing", "lookup"),
        ("Add Subtract Multiply Average Maximum Rescaling RandomFlip", "math"),
        ("Flatten Reshape Permute Concatenate ZeroPadding2D UpSampling2D", "shape"),
        ("InputLayer", "end"), ("Dropout Masking TheUsersOwn", "other"),
        ("CONV_2D FULLY_CONNECTED DEPTHWISE_CONV_2D BATCH_MATMUL TRANSPOSE_CONV", "matrix"),
        ("AVERAGE_POOL_2D L2_POOL_2D REDUCE_MAX MEAN", "pool"), ("LOGISTIC RELU6 HARD_SWISH", "activation"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM SVDF", "recurrent"), ("FLOOR_DIV LESS EXP", "math"),
        ("STRIDED_SLICE PADV2 EXPAND_DIMS CAST", "shape"), ("STABLEHLO_CONVOLUTION", "matrix"),
    ],
)  # fmt: skip
def test_layers_and_ops_of_tflite_are_known_by_their_names(layers: str, colour: str) -> None:
    assert {name: kind_of(name) for name in layers.split()} == dict.fromkeys(layers.split(), colour)


def test_every_op_has_a_colour_of_the_legend() -> None:
    assert {kind_of(op) for op in ops.registered()} == set(KINDS)

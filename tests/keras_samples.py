"""Build small Keras models in the current Keras and in Keras 2, for the tests of Keras files and TFLite."""

from __future__ import annotations

from typing import Any


def branching(keras: Any) -> Any:
    """Two named inputs, a shared layer, a nested model, a frozen layer, two outputs."""
    layers = keras.layers
    left, right = layers.Input((8,), name="left"), layers.Input((8,), name="right")
    shared = layers.Dense(4, name="shared", use_bias=False)
    first, second = shared(left), shared(right)
    both = layers.BatchNormalization(name="norm")(layers.Concatenate(name="cat")([first, second]))
    inner = keras.Sequential([layers.Input((8,)), layers.Dense(3, name="i1"), layers.Dropout(0.3)], name="inner")
    score = layers.Dense(1, name="score")(inner(both))
    logits = layers.Dense(2, name="logits", trainable=False)(first)
    return keras.Model([left, right], [score, logits])


def recurrent(keras: Any) -> Any:
    """Integer tokens through an embedding, a wrapper around an RNN, attention and an RNN."""
    layers = keras.layers
    tokens = layers.Input((None,), dtype="int32", name="tokens")
    embedded = layers.Embedding(50, 6, name="emb")(tokens)
    states = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="bi")(embedded)
    states = layers.MultiHeadAttention(2, 3, name="mha")(states, states)
    return keras.Model(tokens, layers.Dense(2, name="last")(layers.GRU(4, name="gru")(states)))


def convolutional(keras: Any) -> Any:
    """A Sequential with convolutions of several kinds and batch normalisation."""
    layers = keras.layers
    return keras.Sequential([
        layers.Input((8, 8, 3), name="image"),
        layers.Conv2D(4, 3, name="conv"),
        layers.BatchNormalization(scale=False, name="norm"),
        layers.SeparableConv2D(4, 2, use_bias=False, name="separable"),
        layers.DepthwiseConv2D(2, name="depthwise"),
        layers.TimeDistributed(layers.Dense(2), name="each"),
        layers.Flatten(name="flat"),
        layers.Dense(3, name="out"),
    ])  # fmt: skip


def dictionary(keras: Any) -> Any:
    """Inputs and outputs by key; a layer that belongs to two models."""
    layers = keras.layers
    inputs = {key: layers.Input((4,), name=key) for key in ("x", "y")}
    shared = layers.Dense(4, name="shared")
    inner = keras.Model(inputs["x"], shared(inputs["x"]), name="inner")
    return keras.Model(inputs, {"o": inner(inputs["y"]), "p": layers.Dense(2, name="p")(shared(inputs["x"]))})


MODELS = {model.__name__: model for model in (branching, recurrent, convolutional)}


def noise(keras: Any, *, dropout: bool = False) -> Any:
    """Make a layer that draws by a generator of its own."""

    class Noise(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            if dropout:
                return keras.random.dropout(x, 0.5, seed=self.seeds)
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)

    return Noise()

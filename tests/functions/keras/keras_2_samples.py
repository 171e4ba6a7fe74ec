"""Models of Keras 2, by what Keras 3 does not read of them, or reads as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def recurrent(keras: Any, _tf: Any) -> Any:
    """``time_major``, a bias without ``reset_after``, and the hard sigmoid that is another in Keras 3."""
    layers = keras.layers
    steps = layers.Input((5, 3), name="steps")
    states = layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")(steps)
    states = layers.Bidirectional(layers.GRU(4, return_sequences=True, reset_after=False))(states)
    return keras.Model(steps, layers.SimpleRNN(3)(layers.GRU(3, return_sequences=True)(states)))


def depthwise(keras: Any, _tf: Any) -> Any:
    """``groups``, ``alpha``, and an axis in a list."""
    layers = keras.layers
    return keras.Sequential([
        layers.Input((8, 8, 3), name="image"),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 3, activation="relu"),
        layers.Conv2DTranspose(2, 2),
        layers.LeakyReLU(0.1),
        layers.BatchNormalization(),
        layers.SpatialDropout2D(0.5),
        layers.Flatten(),
        layers.Dense(2, activation="hard_sigmoid"),
    ])  # fmt: skip


def operations(keras: Any, tf: Any) -> Any:
    """Functions of TensorFlow between layers: constants first, lists of one, slices, further arguments."""
    left, right = keras.layers.Input((4,), name="left"), keras.layers.Input((4,), name="right")
    first, second = keras.layers.Dense(4)(left), keras.layers.Dense(4)(right)
    both = tf.concat([tf.nn.relu(first) * 2.0 + second, first], axis=-1)
    mean = 3.0 - (tf.reduce_mean(both, axis=1, keepdims=True) - tf.cast(second[:, :1], tf.float32))
    pair = keras.backend.mean(tf.stack([tf.concat([mean], axis=1), first[:, 1:2]]), axis=0)
    grown = tf.image.resize(pair[..., tf.newaxis, tf.newaxis], (4, 4))
    return keras.Model([left, right], tf.math.reduce_sum(grown, [1, 2]) / 2.0)


def mobile_net(keras: Any, _tf: Any) -> Any:
    """What MobileNetV2 consists of: its first and last layers, an inverted residual that halves and one that adds.

    Its padding, its ``ReLU`` that ends at six, and the arguments that Keras 2 writes of them.
    """
    layers = keras.layers
    image = layers.Input((16, 16, 3), name="image")

    def normal(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides, "same" if size > 1 else "valid", use_bias=False)(x)
        return layers.BatchNormalization(epsilon=1e-3, momentum=0.999)(x)

    def inverted(x: Any, strides: int) -> Any:
        wide = layers.ReLU(6.0)(normal(x, 12, 1))
        if strides == 2:
            wide = layers.ZeroPadding2D(((0, 1), (0, 1)))(wide)
        wide = layers.DepthwiseConv2D(3, strides, "same" if strides == 1 else "valid", use_bias=False)(wide)
        narrow = normal(layers.ReLU(6.0)(layers.BatchNormalization(epsilon=1e-3, momentum=0.999)(wide)), 4, 1)
        return layers.Add()([x, narrow]) if strides == 1 else narrow

    seen = inverted(inverted(layers.ReLU(6.0)(normal(image, 4, 3, 2)), 2), 1)
    return keras.Model(image, layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling2D()(seen)))


def translation(keras: Any, _tf: Any) -> Any:
    """States of one layer that another begins with."""
    layers = keras.layers
    source, target = layers.Input((None, 3), name="source"), layers.Input((None, 2), name="target")
    _, *states = layers.LSTM(4, return_state=True)(source)
    decoded = layers.LSTM(4, return_sequences=True)(target, initial_state=states)
    return keras.Model([source, target], layers.Dense(2)(decoded))


def attention(keras: Any, _tf: Any) -> Any:
    """Arguments by name; a ``score_mode`` that legacy loading takes for the function ``dot``."""
    layers = keras.layers
    words = layers.Input((5, 8), name="words")
    seen = layers.LayerNormalization()(layers.Add()([layers.MultiHeadAttention(2, 4)(words, words), words]))
    return keras.Model(words, layers.TimeDistributed(layers.Dense(2))(layers.Attention(use_scale=True)([seen, words])))


def nested(keras: Any, _tf: Any) -> Any:
    """Models within a model, each called twice, one with a frozen layer, one with two outputs."""
    layers = keras.layers
    base = keras.Sequential(
        [layers.Input((4,)), layers.Dense(4, trainable=False), layers.BatchNormalization(), layers.Dense(3)],
        name="base",
    )
    ends = layers.Input((3,))
    fork = keras.Model(ends, [layers.Dense(2)(ends), layers.Dense(5)(ends)], name="fork")
    left, right = layers.Input((4,), name="left"), layers.Input((4,), name="right")
    (first, second), (_, third) = fork(base(left)), fork(base(right))
    return keras.Model([left, right], [first, layers.Concatenate(name="both")([second, third]), base(left)])


def shared(keras: Any, _tf: Any) -> Any:
    """A layer that gives two outputs."""
    x, layer = keras.layers.Input((4,), name="x"), keras.layers.Dense(3, name="shared")
    return keras.Model(x, [layer(x), layer(keras.layers.ReLU(6.0)(x))])


def keyed(keras: Any, _tf: Any) -> Any:
    """Inputs and outputs by key, not in the order of the alphabet."""
    given = {key: keras.layers.Input((3,), name=key) for key in ("u", "a")}
    return keras.Model(given, {"z": keras.layers.Dense(2)(given["u"]), "b": keras.layers.Dense(1)(given["a"])})


def video(keras: Any, _tf: Any) -> Any:
    """A layer whose group in an archive has another name in Keras 3, and the hard sigmoid by default."""
    layers = keras.layers
    return keras.Sequential([layers.Input((3, 6, 6, 2)), layers.ConvLSTM2D(3, 2), layers.GlobalAveragePooling2D()])


def tokens(keras: Any, _tf: Any) -> Any:
    """An input that only the first layer's arguments tell."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Embedding(10, 4, input_length=6), layers.Bidirectional(layers.LSTM(3)), layers.Dropout(0.3)]
    )
    model.build((None, 6))
    return model


def mixed(keras: Any, _tf: Any) -> Any:
    """Policies of dtypes, and statistics."""
    layers = keras.layers
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(0).normal(2, 3, (50, 4)).astype("f"))
    x = layers.Input((4,), name="x")
    half = layers.Dense(3, dtype="mixed_float16")(layers.PReLU()(normal(x)))
    return keras.Model(x, layers.Dense(2, dtype="float32")(half))


def lookup(keras: Any, _tf: Any) -> Any:
    """A vocabulary in the config."""
    word = keras.layers.Input((1,), dtype="string", name="word")
    return keras.Model(word, keras.layers.StringLookup(vocabulary=["a", "b"])(word))


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    make.__name__: make
    for make in (
        recurrent, depthwise, operations, mobile_net, translation, attention, nested, shared, keyed, video, tokens,
        mixed, lookup,
    )
}  # fmt: skip

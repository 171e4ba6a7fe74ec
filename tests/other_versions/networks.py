"""Small networks that every version of Keras can build, some names given and some made up by Keras.

The environments of other versions import this file: it needs numpy and the Keras that it is handed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def branching(keras: Any) -> Any:
    """Two outputs, one of an automatic name, behind a normalisation."""
    layers = keras.layers
    features = layers.Input((6,), name="features")
    hidden = layers.Dense(5, activation="relu", name="hidden")(features)
    hidden = layers.Dense(4)(layers.BatchNormalization(name="norm")(hidden))
    return keras.Model(features, [layers.Dense(3, name="kind")(hidden), layers.Dense(1, activation="sigmoid")(hidden)])


def nested(keras: Any) -> Any:
    """A Sequential inside a functional model, beside a shortcut."""
    layers = keras.layers
    block = keras.Sequential(
        [layers.Input((4,)), layers.Dense(4), layers.LayerNormalization(), layers.Dense(4)], name="block"
    )
    entry = layers.Input((4,), name="entry")
    hidden = layers.Dense(4)(entry)
    return keras.Model(entry, layers.Dense(2)(layers.Add()([hidden, block(hidden)])))


def recurrent(keras: Any) -> Any:
    """Both directions of an LSTM, then a GRU."""
    layers = keras.layers
    return keras.Sequential([
        layers.Input((5, 3), name="steps"),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both"),
        layers.GRU(3),
        layers.Dense(2),
    ])  # fmt: skip


def convolutional(keras: Any) -> Any:
    """Convolutions of three kinds."""
    layers = keras.layers
    image = layers.Input((8, 8, 3), name="image")
    hidden = layers.DepthwiseConv2D(3)(layers.Conv2D(4, 3, name="stem")(image))
    hidden = layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(hidden))
    return keras.Model(image, layers.Dense(2, name="label")(layers.GlobalAveragePooling2D()(hidden)))


def attentive(keras: Any) -> Any:
    """Integer tokens through an embedding and attention."""
    layers = keras.layers
    tokens = layers.Input((7,), dtype="int32", name="tokens")
    words = layers.Embedding(11, 4, name="words")(tokens)
    return keras.Model(
        tokens, layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(words, words)))
    )


NETWORKS: Mapping[str, Callable[[Any], Any]] = {
    network.__name__: network for network in (branching, nested, recurrent, convolutional, attentive)
}
#: The one whose optimiser has a state in its files.
TRAINED = "branching"


def inputs(name: str) -> dict[str, Any]:
    """Return what a network is fed with, by its input's name."""
    rng = np.random.default_rng(11)
    features: dict[str, dict[str, Any]] = {
        "branching": {"features": rng.normal(size=(3, 6)).astype(np.float32)},
        "nested": {"entry": rng.normal(size=(3, 4)).astype(np.float32)},
        "recurrent": {"steps": rng.normal(size=(3, 5, 3)).astype(np.float32)},
        "convolutional": {"image": rng.normal(size=(3, 8, 8, 3)).astype(np.float32)},
        "attentive": {"tokens": rng.integers(0, 11, (3, 7)).astype(np.int32)},
    }
    return features[name]


def weighted(keras: Any, name: str) -> Any:
    """Build a network whose weights are told from each other by their values."""
    model = NETWORKS[name](keras)
    rng = np.random.default_rng(3)
    # Keras on numpy computes, and trains nothing.
    if name == TRAINED and keras.backend.backend() != "numpy":
        model.compile("adam", "mse")
        model.fit(*_targets(name), epochs=1, verbose=0)
    model.set_weights([rng.random(weight.shape).astype(weight.dtype) for weight in model.get_weights()])
    return model


def _targets(name: str) -> tuple[Any, list[Any]]:
    (features,) = inputs(name).values()
    return features, [np.zeros((3, 3), np.float32), np.zeros((3, 1), np.float32)]


def outputs(model: Any, name: str) -> list[Any]:
    """Run a network as its version does; no two of its outputs have one shape."""
    (features,) = inputs(name).values()
    results = model(features, training=False)
    listed = results if isinstance(results, (list, tuple)) else [results]
    # PyTorch gives no numbers of what it follows for gradients.
    return [np.asarray(result.detach() if hasattr(result, "detach") else result) for result in listed]

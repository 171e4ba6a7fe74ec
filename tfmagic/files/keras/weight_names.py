"""The names of the weights of Keras's layers, and which of them are trained.

Not for: where a file keeps them (:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import specs as keras_specs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.files.hdf5 import Array
    from tfmagic.files.keras.config import Layer
    from tfmagic.files.keras.specs import Spec

#: The weights of Keras's layers in the order in which Keras 3 stores them, a layer by its class in snake case. A
#: weight after ``?`` is there if the layer's argument of that name is true (Keras 3.15's layers, each saved and read).
_WEIGHTS: Mapping[str, str] = {
    "additive_attention": "scale?use_scale",
    "attention": "scale?use_scale",
    "batch_normalization": "gamma?scale beta?center moving_mean moving_variance",
    "conv1d": "kernel bias?use_bias",
    "conv1d_transpose": "kernel bias?use_bias",
    "conv2d": "kernel bias?use_bias",
    "conv2d_transpose": "kernel bias?use_bias",
    "conv3d": "kernel bias?use_bias",
    "conv3d_transpose": "kernel bias?use_bias",
    "conv_lstm_cell": "kernel recurrent_kernel bias?use_bias",
    "dense": "kernel bias?use_bias",
    "depthwise_conv1d": "kernel bias?use_bias",
    "depthwise_conv2d": "kernel bias?use_bias",
    "einsum_dense": "kernel bias?bias_axes",
    "embedding": "embeddings",
    "group_normalization": "gamma?scale beta?center",
    "gru_cell": "kernel recurrent_kernel bias?use_bias",
    "layer_normalization": "gamma?scale beta?center",
    "lstm_cell": "kernel recurrent_kernel bias?use_bias",
    "normalization": "mean variance count",
    "p_re_lu": "alpha",
    "rms_normalization": "scale",
    "separable_conv1d": "depthwise_kernel pointwise_kernel bias?use_bias",
    "separable_conv2d": "depthwise_kernel pointwise_kernel bias?use_bias",
    "simple_rnn_cell": "kernel recurrent_kernel bias?use_bias",
}
#: Statistics, which no optimizer touches.
_NOT_TRAINED = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count", "seed_generator_state"})
#: Every name of a weight.
ALL_NAMES = frozenset(name.partition("?")[0] for names in _WEIGHTS.values() for name in names.split())
_TRAINED = (ALL_NAMES | {"depthwise_kernel"}) - _NOT_TRAINED
#: Keras 1 named a weight after its letter in the paper: ``dense_1_W``, ``lstm_1_U_i``, ``dense_1_b``.
_KERAS_1_TRAINED = re.compile(r"_[WUb](_\w+)?$")
_KERAS_1_STATISTICS = ("running_mean", "running_std")


class Weight(NamedTuple):
    """A stored weight.

    ``layer`` is the path of its layer in the config, empty where it belongs to none; ``dataset`` where its values lie,
    from the root of the HDF5 file, and ``owners`` the names that the file gives to the layers on the way, outermost
    first: those that it states, not those that follow from a class.
    """

    layer: str
    name: str
    array: Array
    trainable: bool | None
    dataset: str
    owners: tuple[str, ...] = ()


def is_trainable(name: str, layer: Layer | None) -> bool | None:
    """Say whether a weight is trained, None where neither its name nor its layer tells."""
    own = name.rpartition("/")[2]
    if own in _NOT_TRAINED or own.endswith(_KERAS_1_STATISTICS):
        return False
    if layer is None or layer.trainable is False:
        return None if layer is None else False
    return layer.trainable if own in _TRAINED or _KERAS_1_TRAINED.search(own) else None


def possible_names(kind: str, spec: Spec | None) -> Iterator[tuple[str, ...]]:
    """Yield the names that a layer of this class may have weights of, as its arguments allow."""
    entries = [entry.partition("?")[::2] for entry in _WEIGHTS.get(kind, "").split()]
    arguments = keras_specs.arguments(spec) if spec else {}
    choices = [
        (bool(arguments[flag]),) if flag in arguments else (True, False) if flag else (True,) for _, flag in entries
    ]
    for present in product(*choices):
        yield tuple(name for (name, _), there in zip(entries, present, strict=True) if there)

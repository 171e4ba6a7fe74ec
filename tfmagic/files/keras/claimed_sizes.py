"""How large a Keras config says that layers are: what it states in a few digits, and no memory holds.

Not for: what layers cost (:mod:`tfmagic.files.keras.layer_costs`), or what a file's weights claim.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import specs as keras_specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.keras.specs import Spec

#: Arguments that say how large weights or results are: a layer takes the product of those that it has, at least.
_SIZING = frozenset({
    "depth_multiplier", "filters", "height", "input_dim", "kernel_size", "key_dim", "n", "num_heads", "output_dim",
    "padding", "size", "target_shape", "units", "value_dim", "width",
})  # fmt: skip
#: Bytes of a number.
_ITEM = 4


class Claimed(NamedTuple):
    """A layer, its class, and how many elements it has at least."""

    layer: str
    kind: str
    elements: int


def above(config: Spec, most: int) -> Iterator[Claimed]:
    """Yield the layers, at any depth, whose weights or results take more bytes than a number.

    Parameters
    ----------
    config : dict
        The JSON object.
    most : int
        The number.
    """
    for spec in keras_specs.objects(config):
        arguments = spec.get("config")
        if type(arguments) is dict and not _SIZING.isdisjoint(arguments):
            stated = [arguments[name] for name in _SIZING & arguments.keys()]
            elements = math.prod(max(1, size) for size in _numbers(stated))
            if elements * _ITEM > most:
                yield Claimed(keras_specs.name(spec), keras_specs.class_name(spec), elements)


def _numbers(values: list[object]) -> Iterator[int]:
    """Yield the whole numbers in arguments, each a number or lists of them at any depth."""
    pending = list(values)
    while pending:
        value = pending.pop()
        if type(value) is int:
            yield value
        elif type(value) is list:
            pending += value

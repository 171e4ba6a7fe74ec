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
    "size", "target_shape", "units", "value_dim", "width",
})  # fmt: skip
#: The argument that says how many elements are put on both sides of each dimension.
_PADDING = "padding"
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
        if type(arguments) is dict and not (_SIZING | {_PADDING}).isdisjoint(arguments):
            kind = keras_specs.class_name(spec)
            stated = [arguments[name] for name in _SIZING & arguments.keys()]
            elements = math.prod(max(1, size) for size in _numbers(stated))
            elements *= _padded(kind, arguments.get(_PADDING))
            if elements * _ITEM > most:
                yield Claimed(keras_specs.name(spec), kind, elements)


def _padded(kind: str, padding: object) -> int:
    """Return how many elements one becomes that is padded: sides of a dimension add up, and dimensions multiply."""
    dimensions = int(kind[-2]) if kind[-2:-1].isdecimal() else 1
    if type(padding) is not list:
        sides = [[padding, padding]] * dimensions
    elif dimensions == 1:
        sides = [padding]
    else:
        # What is one number for a dimension goes on both of its sides.
        sides = [each if type(each) is list else [each, each] for each in padding]
    return math.prod(1 + sum(max(0, size) for size in _numbers(side)) for side in sides)


def _numbers(values: list[object]) -> Iterator[int]:
    """Yield the whole numbers in arguments, each a number or lists of them at any depth."""
    pending = list(values)
    while pending:
        value = pending.pop()
        if type(value) is int:
            yield value
        elif type(value) is list:
            pending += value

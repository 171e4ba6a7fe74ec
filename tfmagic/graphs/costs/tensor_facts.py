"""What is known of a tensor without running anything, and a node together with what is known of its inputs.

Not for: finding it out (:mod:`tfmagic.graphs.costs.output_shapes`).
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.files.keras.shapes import broadcast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from tfmagic.frames import Shape


class Weight(NamedTuple):
    """A variable or a constant that a model was trained to have: its name, how many numbers it is, and their bytes."""

    name: str
    size: int | None
    bytes: int | None


class TensorFact(NamedTuple):
    """What is known of a tensor.

    Attributes
    ----------
    dtype : str
        TensorFlow's name of it, ``""`` where it is not known.
    shape : tuple or None
        With None for a dimension that is open, None as a whole for an unknown rank.
    value : array or None
        Of a small tensor of integers or booleans that does not depend on the inputs' values.
    weight : Weight or None
        What the tensor holds, if it is a weight as it is stored, or a handle to one.
    content : TensorFact or None
        Of a handle the tensor behind it.
    """

    dtype: str = ""
    shape: Shape = None
    value: np.ndarray | None = None
    weight: Weight | None = None
    content: TensorFact | None = None

    @property
    def size(self) -> int | None:
        """The number of elements, None where a dimension is open."""
        shape = self.shape
        return None if shape is None or None in shape else math.prod(shape)  # type: ignore[arg-type]

    @property
    def bytes(self) -> int | None:
        """The bytes that the elements take, None where that is not known."""
        item = protos.item_size(self.dtype) if self.dtype else None
        return None if self.size is None or item is None else self.size * item


UNKNOWN = TensorFact()


class NodeFacts:
    """A node, and what is known of its inputs, control inputs left out."""

    def __init__(self, node: protos.Message, inputs: Sequence[TensorFact]) -> None:
        self.node = node
        self.op = str(node.op)
        self.inputs = inputs

    def input(self, place: int) -> TensorFact:
        """Return what is known of an input, nothing of one that is not there; -1 is the last."""
        return self.inputs[place] if -len(self.inputs) <= place < len(self.inputs) else UNKNOWN

    def shape(self, place: int) -> tuple[int | None, ...]:
        """Return the shape of an input; raises LookupError where its rank is not known."""
        shape = self.input(place).shape
        if shape is None:
            raise LookupError(place)
        return shape

    def sizes(self, place: int) -> tuple[int, ...]:
        """Return the shape of an input; raises LookupError where any of it is not known."""
        shape = self.shape(place)
        if None in shape:
            raise LookupError(place)
        return tuple(size or 0 for size in shape)

    def value(self, place: int) -> np.ndarray:
        """Return the value of an input; raises LookupError where it is not known."""
        value = self.input(place).value
        if value is None:
            raise LookupError(place)
        return value

    def values(self, place: int) -> list[int]:
        """Return the value of an input as a list of numbers; raises LookupError where it is not known."""
        return [int(number) for number in self.value(place).reshape(-1)]

    def integer(self, attr: str, default: int = 0) -> int:
        """Return an attribute that is a number."""
        return int(self.node.attr[attr].i) if attr in self.node.attr else default

    def integers(self, attr: str, default: Sequence[int] = ()) -> list[int]:
        """Return an attribute that is a list of numbers."""
        return list(self.node.attr[attr].list.i) if attr in self.node.attr else list(default)

    def flag(self, attr: str) -> bool:
        """Return an attribute that is true or false."""
        return attr in self.node.attr and bool(self.node.attr[attr].b)

    def text(self, attr: str, default: str = "") -> str:
        """Return an attribute that is text."""
        return self.node.attr[attr].s.decode("utf-8", "replace") if attr in self.node.attr else default

    def dtype(self, attr: str) -> str:
        """Return an attribute that is a dtype, of a list the first, ``""`` where it is none that is known."""
        if attr not in self.node.attr:
            return ""
        value = self.node.attr[attr]
        try:
            return protos.dtype_name(value.list.type[0] if value.list.type else value.type)
        except KeyError:
            return ""

    def stated_shape(self, attr: str) -> Shape:
        """Return an attribute that is a shape, None where there is none."""
        return protos.shape_of(self.node.attr[attr].shape) if attr in self.node.attr else None

    @cached_property
    def is_channels_first(self) -> bool:
        """Whether images lie with their channels before their places."""
        return self.text("data_format", "NHWC").startswith("NC")

    def places(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the extents of an image, a line or a volume, batch and channels left out."""
        return tuple(shape[2:] if self.is_channels_first else shape[1:-1])

    def channels(self, shape: Sequence[int | None]) -> int | None:
        """Return the number of channels of an image, a line or a volume."""
        return shape[1] if self.is_channels_first else shape[-1]

    def image(self, batch: int | None, places: Sequence[int | None], channels: int | None) -> tuple[int | None, ...]:
        """Return the shape of an image, a line or a volume, in the node's own order."""
        return (batch, channels, *places) if self.is_channels_first else (batch, *places, channels)


def elementwise_shape(shapes: Iterable[Sequence[int | None]]) -> tuple[int | None, ...]:
    """Return the shape that tensors have together, element by element; raises ValueError where they do not fit."""
    reversed_sizes = zip_longest(*(tuple(shape)[::-1] for shape in shapes), fillvalue=1)
    return tuple(broadcast(sizes) for sizes in reversed_sizes)[::-1]


def of_one_batch(shape: Shape) -> Shape:
    """Return a shape for one example: its first dimension is one where it is open."""
    return (1, *shape[1:]) if shape and shape[0] is None else shape

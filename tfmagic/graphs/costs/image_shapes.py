"""The output shapes of what works on images, lines and volumes: convolutions, pools, resizing, blocks of places.

Not for: finding the rule of an op (:mod:`tfmagic.graphs.costs.output_shapes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.frames import Shape
    from tfmagic.graphs.costs.tensor_facts import NodeFacts


def _windows(facts: NodeFacts, kernel: Sequence[int | None], places: tuple[int | None, ...]) -> Iterator[int | None]:
    """Yield the extents of what a window makes that moves over an image."""
    rank = len(places)
    strides = facts.integers("strides", (1,) * (rank + 2))
    dilations = facts.integers("dilations", (1,) * (rank + 2)) or [1] * (rank + 2)
    if len(strides) == rank + 2:
        strides, dilations = list(facts.places(strides)), list(facts.places(dilations))  # type: ignore[arg-type]
    padding, explicit = facts.text("padding", "VALID"), facts.integers("explicit_paddings")
    around = (
        facts.places([sum(explicit[place : place + 2]) for place in range(0, len(explicit), 2)]) if explicit else ()
    )
    for axis, size in enumerate(places):
        reach = kernel[axis]
        if size is None or reach is None:
            yield None
            continue
        covered = (reach - 1) * dilations[axis] + 1
        free = size if padding == "SAME" else size - covered + 1 + (around[axis] or 0 if around else 0)
        yield max(0, -(-free // strides[axis]))


def convolution(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape that a kernel makes of an image."""
    shape, kernel = facts.shape(0), facts.shape(1)
    places = facts.places(shape)
    channels = kernel[-1]
    if "Depthwise" in facts.op:
        channels = None if None in kernel[-2:] else (kernel[-2] or 0) * (kernel[-1] or 0)
    yield facts.image(shape[0], tuple(_windows(facts, kernel[: len(places)], places)), channels)


def pool(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of an image after a window went over it, and of the places if the op tells them."""
    shape = facts.shape(0)
    kernel = facts.places(facts.integers("ksize"))
    places = tuple(_windows(facts, kernel, facts.places(shape)))
    yield facts.image(shape[0], places, facts.channels(shape))
    if facts.op == "MaxPoolWithArgmax":
        yield facts.image(shape[0], places, facts.channels(shape))


def normalised(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a normalised image, and those of what is known of its channels."""
    yield facts.input(0).shape
    channels = (facts.channels(facts.shape(0)),)
    yield from [channels] * 4


def resized(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a resized image."""
    batch, _, _, channels = facts.shape(0)
    yield (batch, *facts.values(1), channels)


def space_to_depth(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of an image whose places moved into channels, or the other way."""
    shape, block = facts.shape(0), facts.integer("block_size")
    channels = facts.channels(shape)
    if facts.op == "SpaceToDepth":
        places = tuple(None if size is None else size // block for size in facts.places(shape))
        yield facts.image(shape[0], places, None if channels is None else channels * block**2)
    else:
        places = tuple(None if size is None else size * block for size in facts.places(shape))
        yield facts.image(shape[0], places, None if channels is None else channels // block**2)


def space_to_batch(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a batch whose places moved into it, or the other way."""
    shape, blocks, around = facts.sizes(0), facts.values(1), facts.value(2).reshape(-1, 2)
    batch, places = shape[0], list(shape[1 : 1 + len(blocks)])
    for axis, (block, (before, after)) in enumerate(zip(blocks, around.tolist(), strict=True)):
        if facts.op == "SpaceToBatchND":
            batch, places[axis] = batch * block, (places[axis] + before + after) // block
        else:
            batch, places[axis] = batch // block, places[axis] * block - before - after
    yield (batch, *places, *shape[1 + len(blocks) :])

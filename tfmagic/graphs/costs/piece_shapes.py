"""The output shapes of what takes tensors apart and puts them together: slices, splits, gathers, stacks, axes.

Not for: finding the rule of an op (:mod:`tfmagic.graphs.costs.output_shapes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.costs.tensor_facts import elementwise_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.frames import Shape
    from tfmagic.graphs.costs.tensor_facts import NodeFacts


def padded(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a tensor with more around it."""
    shape, around = facts.shape(0), facts.value(1).reshape(-1, 2)
    sums = [int(before) + int(after) for before, after in around]
    yield tuple(None if size is None else size + more for size, more in zip(shape, sums, strict=True))


def concatenated(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of tensors that are joined along an axis."""
    first = facts.op == "Concat"
    parts = range(1, len(facts.inputs)) if first else range(len(facts.inputs) - 1)
    shapes = [facts.shape(place) for place in parts]
    axis = facts.values(0 if first else -1)[0] % len(shapes[0])
    along = [shape[axis] for shape in shapes]
    total = None if None in along else sum(size or 0 for size in along)
    others = elementwise_shape([(*shape[:axis], 1, *shape[axis + 1 :]) for shape in shapes])
    yield (*others[:axis], total, *others[axis + 1 :])


def packed(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of tensors that are stacked along a new axis."""
    shape = next((each.shape for each in facts.inputs if each.shape is not None), None)
    if shape is None:
        raise LookupError(facts.op)
    axis = facts.integer("axis") % (len(shape) + 1)
    yield (*shape[:axis], len(facts.inputs), *shape[axis:])


def unpacked(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shapes of what lies along an axis."""
    shape = facts.shape(0)
    axis = facts.integer("axis") % len(shape)
    yield from [(*shape[:axis], *shape[axis + 1 :])] * _bounded(facts.integer("num"))


def _bounded(count: int) -> int:
    """Return a number of outputs, if a graph can have so many."""
    if not 0 <= count <= 1 << 20:
        raise ValueError(count)
    return count


def split(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shapes of equal parts."""
    shape, count = facts.shape(1), _bounded(facts.integer("num_split"))
    axis = facts.values(0)[0] % len(shape)
    size = shape[axis]
    yield from [(*shape[:axis], None if size is None else size // count, *shape[axis + 1 :])] * count


def split_by_sizes(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shapes of parts of stated sizes."""
    shape, sizes = facts.shape(0), facts.values(1)
    axis = facts.values(2)[0] % len(shape)
    whole, known = shape[axis], sum(size for size in sizes if size >= 0)
    rest = None if whole is None else whole - known
    for size in sizes:
        yield (*shape[:axis], size if size >= 0 else rest, *shape[axis + 1 :])


def sliced(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a part that begins somewhere and has a size."""
    shape, sizes = facts.shape(0), facts.values(2)
    begins = facts.input(1).value
    starts = [None] * len(sizes) if begins is None else [int(each) for each in begins.reshape(-1)]
    yield tuple(
        size if size >= 0 else None if whole is None or start is None else whole - start
        for whole, start, size in zip(shape, starts, sizes, strict=True)
    )


def strided_slices(facts: NodeFacts) -> list[slice | int | None]:
    """Return what a StridedSlice takes of its first input, as numpy indexes it: None is a new axis.

    Raises LookupError where begin, end or strides are not known.
    """
    begin, end, strides = facts.values(1), facts.values(2), facts.values(3)
    rank = len(facts.shape(0))
    masks = {key: facts.integer(f"{key}_mask") for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    indices: list[slice | int | None] = []
    for place in range(len(begin)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            later = sum(not masks["new_axis"] & (1 << other) for other in range(place + 1, len(begin)))
            taken = sum(index is not None for index in indices)
            indices += [slice(None)] * (rank - taken - later)
        elif masks["new_axis"] & bit:
            indices.append(None)
        elif masks["shrink_axis"] & bit:
            indices.append(begin[place])
        else:
            start = None if masks["begin"] & bit else begin[place]
            stop = None if masks["end"] & bit else end[place]
            indices.append(slice(start, stop, strides[place]))
    taken = sum(index is not None for index in indices)
    return indices + [slice(None)] * (rank - taken)


def strided(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of what is indexed as numpy does it."""
    sizes = iter(facts.shape(0))
    result: list[int | None] = []
    for index in strided_slices(facts):
        if index is None:
            result.append(1)
            continue
        size = next(sizes)
        if isinstance(index, slice):
            whole = index in (slice(None), slice(None, None, 1))
            result.append(size if whole else None if size is None else len(range(*index.indices(size))))
    yield tuple(result)


def gathered(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of the entries that indices name along an axis."""
    source = facts.input(0).content or facts.input(0)
    if source.shape is None:
        raise LookupError(facts.op)
    skipped = facts.integer("batch_dims")
    axis = facts.values(2)[0] % len(source.shape) if facts.op == "GatherV2" else skipped
    yield (*source.shape[:axis], *facts.shape(1)[skipped:], *source.shape[axis + 1 :])


def gathered_nd(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of the entries that lists of indices name."""
    shape, indices = facts.shape(0), facts.shape(1)
    depth = indices[-1]
    if depth is None:
        raise LookupError(facts.op)
    yield (*indices[:-1], *shape[depth:])


def with_axis(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a tensor with one axis more."""
    shape = facts.shape(0)
    axis = facts.values(1)[0] % (len(shape) + 1)
    yield (*shape[:axis], 1, *shape[axis:])


def squeezed(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a tensor without axes of one."""
    shape = facts.shape(0)
    axes = {axis % len(shape) for axis in facts.integers("squeeze_dims") or facts.integers("axis")}
    if not axes and None in shape:
        raise LookupError(facts.op)
    yield tuple(size for axis, size in enumerate(shape) if (axis not in axes if axes else size != 1))


def tiled(facts: NodeFacts) -> Iterator[Shape]:
    """Yield the shape of a tensor that is repeated."""
    pairs = zip(facts.shape(0), facts.values(1), strict=True)
    yield tuple(None if size is None else size * times for size, times in pairs)

"""Inputs to try a function with, made from its signature and, of serialised examples, from what its graph parses.

They come in several kinds and sizes, because a signature does not say what its function really takes. Not for: values
that a user gives (:mod:`tfmagic.verbs.run_inputs`), or examples for a person to read
(:mod:`tfmagic.verbs.snippets.example_values`).
"""

from __future__ import annotations

import base64
from functools import cache
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files.png import encoded
from tfmagic.verbs.verification.trial_composites import composites_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.frames import Shape
    from tfmagic.graphs.signatures import Endpoint

    Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
    Values: TypeAlias = dict[str, npt.ArrayLike]

_SEED = 20240229
#: What inputs are called in ``attrs["inputs"]`` of a comparison.
GIVEN, DRAWN, ZEROS, ONES, RANGE = "given", "drawn from [0, 1)", "zeros", "ones", "the dtype's usual range"
LARGER, IMAGE, SENTENCE, EXAMPLE = "larger sizes", "an image", "a sentence", "a serialised Example"
WEIGHTS, SMALLER = "sizes of its weights", "smaller images than stated"
#: What signatures that look alike may stand for: images in bytes, then indices into a table of at least two rows.
_BYTE_LIMITS = (256, 2)
_INDEX_LIMIT = 2
#: The ordinary range of floats that are no shares, and of integers that are no indices.
_FLOAT_RANGE, _INTEGER_RANGE = (-3.0, 3.0), (-100, 100)
#: Words, numbers as text, and the empty message, which any protobuf parser takes.
_TEXTS = ("w{}", "{}", "")
_SENTENCE = "The quick brown fox jumps over the lazy dog, {} times."
_RANKS = (2, 4, 1, 3, 0)
_MNIST = 28
#: A batch of pictures: rows, columns, and colours.
_IMAGE_RANK, _CHANNELS = 4, 3
#: A side of an image from which on a smaller one is tried, and that; and channels up to which it is an image.
_LARGE_SIDE, _SMALL_SIDE, _MOST_CHANNELS = 96, 64, 16
#: Where the sides of images are, by where their channels are.
_SIDES = {3: (1, 2), 1: (2, 3)}


class TrialInputs(NamedTuple):
    """Values by key, and of which kind they are."""

    kind: str
    arrays: Values


class Attempt(NamedTuple):
    """One way to fill in what a signature leaves open.

    ``first`` and ``other`` are the sizes of unknown dimensions, ``rank`` that of a tensor of unknown rank.
    """

    first: int
    other: int
    rank: int = 2
    byte_limit: int = _BYTE_LIMITS[0]
    text: str | bytes = _TEXTS[0]
    kind: str = DRAWN

    def words(self, count: int) -> list[bytes]:
        """Return so many texts: numbered words, or the same file each time."""
        text = self.text
        return [text if isinstance(text, bytes) else text.format(number).encode() for number in range(count)]


@cache
def png(side: int) -> bytes:
    """Return a square grey PNG, no two rows of it alike."""
    rows = (bytes((row * 37 + column * 11) % 256 for column in range(side)) for row in range(side))
    return encoded(rows, side, side, channels=1)


#: Sizes: those that most models take, then those that some do.
_USUAL = Attempt(2, 8)
_OTHER_SIZES = ((1, 8), (4, 4), (3, 3), (2, 2), (1, 1))
_LARGER_SIZES = ((2, 32), (2, 128), (1, 300), (32, 8))


def attempts() -> Iterator[Attempt]:
    """Yield the ways in the order in which they are tried."""
    yield _USUAL
    yield _USUAL._replace(byte_limit=_BYTE_LIMITS[1], text=_TEXTS[1])
    yield _USUAL._replace(text=_TEXTS[2])
    yield from (_USUAL._replace(rank=rank) for rank in _RANKS[1:])
    yield from (Attempt(first, other) for first, other in _OTHER_SIZES)
    yield from (Attempt(first, other, kind=LARGER) for first, other in _LARGER_SIZES)
    picture = png(_MNIST)
    # As a file, and as text in the alphabet that TensorFlow reads, which is that of URLs.
    pictures = (picture, base64.urlsafe_b64encode(picture))
    yield from (_USUAL._replace(rank=rank, text=text, kind=IMAGE) for text, rank in product(pictures, (1, 0)))
    yield Attempt(1, 32, rank=4, kind=IMAGE)
    yield from (_USUAL._replace(rank=rank, text=_SENTENCE, kind=SENTENCE) for rank in (1, 0, 2))
    for kind, rank in product((ZEROS, ONES, RANGE), _RANKS[:2]):
        yield _USUAL._replace(rank=rank, kind=kind)
    yield Attempt(1, 224, rank=4, kind=LARGER)


def smaller(ends: Sequence[Endpoint]) -> TrialInputs | None:
    """Return inputs whose images have smaller sides than a signature states; None where it states no large ones.

    Nobody promises that a function takes them: most that convolve and pool do.
    """
    lesser = [end._replace(shape=_smaller(end.shape)) for end in ends]
    return None if lesser == list(ends) else TrialInputs(SMALLER, dict(make(lesser)))


def _smaller(shape: Shape) -> Shape:
    if shape is None or len(shape) != _IMAGE_RANK:
        return shape
    # Channels come last, or right behind the batch.
    sides = next(
        (sides for channels, sides in _SIDES.items() if (shape[channels] or _LARGE_SIDE) <= _MOST_CHANNELS), ()
    )
    return tuple(
        _SMALL_SIDE if place in sides and (size or 0) >= _LARGE_SIDE else size for place, size in enumerate(shape)
    )


def candidates(
    ends: Sequence[Endpoint], examples: Iterable[bytes] = (), sizes: Iterable[int] = (), batch: int | None = None
) -> Iterator[TrialInputs]:
    """Yield inputs of different kinds and sizes, none twice.

    Parameters
    ----------
    ends : sequence of Endpoint
        The inputs of a signature.
    examples : iterable of bytes
        Serialised messages that its graph parses, which come first.
    sizes : iterable of int
        Sizes that open dimensions may have because weights have them, which come last.
    batch : int, optional
        The size of all batches.
    """
    seen = set()
    parsed = (_USUAL._replace(rank=rank, text=message, kind=EXAMPLE) for message, rank in product(examples, (1, 0)))
    fitting = (_USUAL._replace(other=size, kind=WEIGHTS) for size in sizes)
    for attempt in chain(parsed, attempts(), fitting):
        values = make(ends, attempt if batch is None else attempt._replace(first=batch))
        mark = tuple((key, value.shape, _content(value)) for key, value in values.items())
        if mark not in seen:
            seen.add(mark)
            yield TrialInputs(attempt.kind, dict(values))


def _content(value: npt.NDArray[Any]) -> object:
    return tuple(value.reshape(-1)) if value.dtype == object else value.tobytes()


def completed(
    ends: Sequence[Endpoint],
    values: Mapping[str, npt.ArrayLike],
    examples: Iterable[bytes] = (),
    sizes: Iterable[int] = (),
) -> Iterator[TrialInputs]:
    """Yield the values that a user gives, with others beside them where some are missing.

    Parameters
    ----------
    ends : sequence of Endpoint
        All inputs of a signature.
    values : mapping of str to array-like
        Those that are given, by key.
    examples, sizes : iterable
        As for :func:`candidates`.
    """
    missing = [end for end in ends if end.key not in values]
    if not missing:
        yield TrialInputs(GIVEN, dict(values))
        return
    for tried in candidates(missing, examples, sizes, next(_batches(ends, values), None)):
        kind = f"{GIVEN}, and {tried.kind}" if values else tried.kind
        both = {**tried.arrays, **values}
        yield TrialInputs(kind, {**{end.key: both[end.key] for end in ends}, **both})


def _batches(ends: Sequence[Endpoint], values: Mapping[str, npt.ArrayLike]) -> Iterator[int]:
    """Yield the sizes of the batches that are given, where a dimension that comes first is open."""
    composites = composites_of(ends)
    yield from (size for size in (each.batch(values) for each in composites) if size is not None)
    # How many elements a sparse tensor has tells of no batch.
    parts = {key for each in composites for key in each.keys}
    for end in ends:
        if end.key in values and end.key not in parts and end.shape and end.shape[0] is None:
            yield np.shape(values[end.key])[0]


def make(ends: Sequence[Endpoint], attempt: Attempt = _USUAL) -> Arrays:
    """Make values for the inputs of a signature, the same at every call.

    By themselves floats lie in [0, 1), integers are 0 or 1 so that they are valid indices, bytes are those of an image;
    those of the parts of a sparse or ragged tensor belong together.
    """
    generator = np.random.default_rng(_SEED)
    parts: Arrays = {}
    for composite in composites_of(ends):
        places, count = composite.arrays(attempt.first, attempt.other)
        rest = (composite.values.shape or ())[1:]
        values = composite.values._replace(shape=(count, *rest))
        parts.update(places)
        parts[values.key] = _value(values, attempt, generator)
    return {end.key: parts[end.key] if end.key in parts else _value(end, attempt, generator) for end in ends}


def _value(end: Endpoint, attempt: Attempt, generator: np.random.Generator) -> npt.NDArray[Any]:
    shape = _shape(end, attempt)
    dtype = end.dtype.removesuffix("_ref")
    if dtype == "string":
        return np.array(attempt.words(int(np.prod(shape))), dtype=object).reshape(shape)
    if attempt.kind in (ZEROS, ONES):
        return np.full(shape, attempt.kind == ONES, dtype=bool if dtype == "bool" else np.float32)
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if dtype.startswith(("int", "uint", "qint", "quint")):
        return generator.integers(*_integer_limits(dtype, attempt), shape)
    low, high = _FLOAT_RANGE if attempt.kind == RANGE else (0.0, 255.0 if _is_image(attempt, shape) else 1.0)
    values = low + (high - low) * generator.random(shape)
    if dtype.startswith("complex"):
        return np.asarray(values + 1j * generator.random(shape))
    return np.asarray(values, dtype=np.float64 if dtype == "float64" else np.float32)


def _integer_limits(dtype: str, attempt: Attempt) -> tuple[int, int]:
    if dtype == "uint8":
        return 0, attempt.byte_limit
    if attempt.kind == RANGE:
        low, high = _INTEGER_RANGE
        return (0 if dtype.startswith(("u", "qu")) else low), high
    return 0, _INDEX_LIMIT


def _is_image(attempt: Attempt, shape: Shape) -> bool:
    return attempt.kind == IMAGE and shape is not None and len(shape) == _IMAGE_RANK


def _shape(end: Endpoint, attempt: Attempt) -> tuple[int, ...]:
    shape = (None,) * attempt.rank if end.shape is None else end.shape
    defaults = [attempt.first, *[attempt.other] * len(shape)]
    if _is_image(attempt, shape):
        defaults[-2] = _CHANNELS
    return tuple(default if size is None else size for size, default in zip(shape, defaults, strict=False))

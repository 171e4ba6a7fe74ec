"""Inputs to try a function with, made from its signature alone.

They come in several sizes, because a signature does not say what its function really takes. Not for: values that a user
gives (:mod:`tfmagic.verbs.run_inputs`), or examples for a person to read
(:mod:`tfmagic.verbs.snippets.example_values`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic.verbs.verification import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tfmagic.graphs.signatures import Endpoint

    Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_SEED = 20240229
#: What signatures that look alike may stand for: images in bytes, then indices into a table of at least two rows.
_BYTE_LIMITS = (256, 2)
_INDEX_LIMIT = 2
#: Words, numbers as text, and the empty message, which any protobuf parser takes.
_TEXTS = ("w{}", "{}", "")
_RANKS = (2, 4, 1, 3, 0)
#: A picture of MNIST's size, as a file and as text.
_PICTURE = pictures.png(28)
_PICTURES = (_PICTURE, pictures.text(_PICTURE))


class Attempt(NamedTuple):
    """One way to fill in what a signature leaves open.

    ``first`` and ``other`` are the sizes of unknown dimensions, ``rank`` that of a tensor of unknown rank.
    """

    first: int
    other: int
    rank: int = 2
    byte_limit: int = _BYTE_LIMITS[0]
    text: str | bytes = _TEXTS[0]

    def words(self, count: int) -> list[bytes]:
        """Return so many texts: numbered words, or the same file each time."""
        text = self.text
        return [text if isinstance(text, bytes) else text.format(number).encode() for number in range(count)]


#: In the order in which they are tried.
ATTEMPTS = (
    Attempt(2, 8),
    Attempt(2, 8, byte_limit=_BYTE_LIMITS[1], text=_TEXTS[1]),
    Attempt(2, 8, text=_TEXTS[2]),
    *(Attempt(2, 8, rank) for rank in _RANKS[1:]),
    *(Attempt(first, other) for first, other in ((1, 8), (2, 32), (4, 4), (3, 3), (2, 2), (1, 1), (2, 128), (1, 300))),
    *(Attempt(2, 8, rank, text=picture) for picture in _PICTURES for rank in (1, 0)),
)


def candidates(ends: Sequence[Endpoint]) -> Iterator[Arrays]:
    """Yield inputs of different sizes, none twice."""
    seen = set()
    for attempt in ATTEMPTS:
        given = make(ends, attempt)
        mark = tuple((key, value.tobytes(), value.shape) for key, value in given.items())
        if mark not in seen:
            seen.add(mark)
            yield given


def make(ends: Sequence[Endpoint], attempt: Attempt = ATTEMPTS[0]) -> Arrays:
    """Make values for the inputs of a signature, the same at every call.

    Floats lie in [0, 1), integers are 0 or 1 so that they are valid indices, bytes are those of an image.
    """
    generator = np.random.default_rng(_SEED)
    return {end.key: _value(end, attempt, generator) for end in ends}


def _value(end: Endpoint, attempt: Attempt, generator: np.random.Generator) -> npt.NDArray[Any]:
    shape = _shape(end, attempt)
    kind = end.dtype.removesuffix("_ref")
    if kind == "string":
        return np.array(attempt.words(int(np.prod(shape))), dtype=object).reshape(shape)
    if kind == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if kind == "uint8":
        return generator.integers(0, attempt.byte_limit, shape).astype(np.uint8)
    if kind.startswith(("int", "uint", "qint", "quint")):
        return generator.integers(0, _INDEX_LIMIT, shape)
    if kind.startswith("complex"):
        return np.asarray(generator.random(shape) + 1j * generator.random(shape))
    return np.asarray(generator.random(shape), dtype=np.float64 if kind == "float64" else np.float32)


def _shape(end: Endpoint, attempt: Attempt) -> tuple[int, ...]:
    shape = (None,) * attempt.rank if end.shape is None else end.shape
    defaults = (attempt.first, *[attempt.other] * len(shape))
    return tuple(default if size is None else size for size, default in zip(shape, defaults, strict=False))

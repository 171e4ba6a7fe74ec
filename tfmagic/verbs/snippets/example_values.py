"""Example values of an input, as code that a person can read and replace.

Not for: values that a conversion is checked with (:mod:`tfmagic.verbs.verification.trial_inputs`).
"""

from __future__ import annotations

import base64
import keyword
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.graphs.signatures import DEFAULT_KEY, DEFAULT_TAGS, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from tfmagic.frames import Shape

#: What numpy calls the dtypes that it has no name for, or another one.
_AS_NUMPY = {"bfloat16": "float32", "half": "float16", "resource": "", "variant": ""}
TEXT = "text"


def shape(end: Endpoint) -> tuple[int, ...]:
    """Return the shape of one example: what is open is 1."""
    known: Shape = end.shape
    return () if known is None else tuple(1 if size is None else size for size in known)


def is_text(end: Endpoint) -> bool:
    """Say whether an input takes strings."""
    return end.dtype.removesuffix("_ref") == "string"


def array(end: Endpoint) -> str:
    """Return the code of a NumPy array that an input takes."""
    if is_text(end):
        return f"np.full({shape(end)!r}, {TEXT!r})"
    dtype = end.dtype.removesuffix("_ref")
    return f"np.zeros({shape(end)!r}, {_AS_NUMPY.get(dtype, dtype)!r})"


def values(end: Endpoint, skipped: int = 0) -> object:
    """Return nested lists of plain values, the first dimensions left out that are skipped."""
    value: object = _value(end)
    for size in reversed(shape(end)[skipped:]):
        value = [value] * size
    return value


def nested(end: Endpoint, skipped: int = 0) -> Bare:
    """Return the code of those lists, with repetition: ``[[0.0] * 3] * 224``."""
    text = repr(_value(end))
    for size in reversed(shape(end)[skipped:]):
        text = f"[{text}]" if size == 1 else f"[{text}] * {size}"
    return Bare(text)


def _value(end: Endpoint) -> object:
    dtype = end.dtype.removesuffix("_ref")
    if is_text(end):
        # Of an input of this name a server takes base64 alone: JSON holds no bytes.
        return {"b64": base64.b64encode(TEXT.encode()).decode()} if end.key.endswith("_bytes") else TEXT
    if dtype == "bool":
        return False
    return 0.0 if "float" in dtype or dtype in ("half", "double") else 0


class Bare(str):
    """Text that stands in code as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def ends(frame: pd.DataFrame, key: str | None, side: str) -> list[Endpoint]:
    """Return the ends of a signature from the table of signatures; without a key, those of the default one."""
    of_key = frame[frame["signature"] == (key or default_key(frame))]
    # Where several tag-sets have it, what servers ask for is meant.
    tags = tags_of(of_key)
    chosen = of_key[(of_key["tags"] == tags) & (of_key["side"] == side)]
    return [Endpoint(*row) for row in chosen[["key", "tensor", "dtype", "shape"]].itertuples(index=False, name=None)]


def default_key(frame: pd.DataFrame) -> str:
    """Return the key of the signature that is meant where none is named."""
    keys = list(dict.fromkeys(frame["signature"]))
    return DEFAULT_KEY if DEFAULT_KEY in keys or not keys else keys[0]


def tags_of(frame: pd.DataFrame) -> str:
    """Return the tag-set of the rows of a signature, the one that servers ask for if there are several."""
    tag_sets = list(dict.fromkeys(frame["tags"]))
    return ",".join(DEFAULT_TAGS) if ",".join(DEFAULT_TAGS) in tag_sets or not tag_sets else tag_sets[0]


def keywords(inputs: Iterable[Endpoint], *, constants: bool = True) -> list[str]:
    """Return a line an argument, a constant or an array; a key that is no argument's name goes through a dict.

    Raises
    ------
    UnsupportedConversionError
        If one is called as Python calls the object itself.
    """
    values = {end.key: f"tf.constant({array(end)})" if constants else array(end) for end in inputs}
    if "self" in values:
        reason = "an input called 'self' cannot be given by its name in Python; export the model with another"
        raise errors.UnsupportedConversionError("signature", "a call", (), reason)
    if all(map(is_argument, values)):
        return [f"    {key}={value}," for key, value in values.items()]
    return ["    **{", *(f"        {key!r}: {value}," for key, value in values.items()), "    }"]


def is_argument(key: str) -> bool:
    """Say whether a key can stand before an equals sign; Python takes other letters than ASCII's for like ones."""
    return key.isidentifier() and key.isascii() and not keyword.iskeyword(key)

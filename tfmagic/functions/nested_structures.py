"""Nested structures of arguments and results in the user's order, and the keys of their leaves.

``tf.nest`` walks a dict by sorted key; a user's order is that of insertion. Not for: tensors, or what a leaf is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

#: Where a leaf lies: keys of dicts, names of fields, places in sequences.
Path: TypeAlias = tuple["str | int", ...]


def leaves(structure: object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each leaf that is not None with its path."""
    children = _children(structure)
    if children is None:
        if structure is not None:
            yield path, structure
        return
    for key, child in children:
        yield from leaves(child, (*path, key))


def _children(structure: object) -> Iterable[tuple[str | int, object]] | None:
    """Return the parts of a structure by key, None for a leaf."""
    if isinstance(structure, Mapping):
        return [(str(key), value) for key, value in structure.items()]
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return list(zip(structure._fields, structure, strict=True))
    if isinstance(structure, list | tuple):
        return list(enumerate(structure))
    return None


def rebuild(structure: object, values: Iterator[object]) -> Any:  # noqa: ANN401 - as the structure
    """Put new values in place of the leaves, in their order; containers become plain dicts, lists and tuples."""
    if isinstance(structure, Mapping):
        return {key: rebuild(value, values) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(rebuild(value, values) for value in structure))
    if isinstance(structure, list | tuple):
        items = [rebuild(value, values) for value in structure]
        return tuple(items) if isinstance(structure, tuple) else items
    return None if structure is None else next(values)


def key(path: Path) -> str | None:
    """Return the user's own name of a leaf, None if it lies in sequences only.

    That is its innermost key; in a dict of dicts all of them, as ``outer/inner``.
    """
    names = [step for step in path if isinstance(step, str)]
    return "/".join(names) if names else None


def unique(names: Iterable[str], *, fold: bool = False) -> list[str]:
    """Make names unique by numbering those that repeat: ``shared``, ``shared_1``; with ``fold`` in any case."""
    taken: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for name in names:
        candidate = name
        while (candidate.lower() if fold else candidate) in taken:
            numbers[name] += 1
            candidate = f"{name}_{numbers[name]}"
        taken[candidate.lower() if fold else candidate] = candidate
    return list(taken.values())


def identifiers(keys: Iterable[str], *, fold: bool = True) -> list[str]:
    """Return names that TensorFlow takes for ops and arguments, each as near to its key as can be.

    TensorFlow forgets an argument's name that is no identifier, and calls the tensor ``Placeholder``; in what it traces
    no two names differ by the case of their letters alone.
    """
    plain = (re.sub(r"\W", "_", text, flags=re.ASCII) for text in keys)
    named = (text if text[:1].isalpha() else f"t{text}" if text.startswith("_") else f"t_{text}" for text in plain)
    return unique(named, fold=fold)

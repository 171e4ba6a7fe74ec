"""A map of signatures as a user writes it: what in it has a meaning.

Not for: the functions that are made of it (:mod:`tfmagic.verbs.conversion.options`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfmagic import errors


def require_some(outputs: object) -> None:
    """Refuse a signature that gives nothing; one that takes nothing may be."""
    if isinstance(outputs, str | Sequence | Mapping) and not outputs:
        raise errors.ConversionError("no output is named; leave the option out to keep those of the signature")


def checked_mapping(mapping: Any, option: str) -> Mapping[str, Any]:  # noqa: ANN401 - checked here
    """Return what an option maps signature keys to, nothing if it was not given.

    Raises
    ------
    ConversionError
        If it is no such mapping.
    """
    if mapping is not None and (not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping)):
        raise errors.ConversionError(f"{option} wants a mapping by signature keys, not {mapping!r}")
    return mapping or {}


def check_fields(key: str, fields: object, known: Sequence[str]) -> None:
    """Refuse an entry of a signature map that has no meaning.

    Raises
    ------
    ConversionError
        If it is no mapping, or holds something else than text where text is due.
    UnknownNameError
        If it has a field that there is not.
    """
    if not isinstance(fields, Mapping):
        example = "{'inputs': {'key': 'tensor'}, 'outputs': {…}, 'method': 'predict'}"
        raise errors.ConversionError(
            f"signature {key!r} is described by a mapping such as {example}, not by {fields!r}"
        )
    for name in fields:
        if name not in known:
            raise errors.UnknownNameError(str(name), "field of a signature", known)
    for name in {"signature", "method"}.intersection(fields):
        if not isinstance(fields[name], str | None):
            raise errors.ConversionError(f"signature {key!r}: its {name} is text, not {fields[name]!r}")

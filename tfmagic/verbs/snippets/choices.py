"""The inputs and outputs that a user chose among those of a function, and the code that chooses them.

Not for: graphs of TensorFlow 1, where any tensor is an end (:mod:`tfmagic.verbs.snippets.sources`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.graphs import signatures
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.snippets import example_values

if TYPE_CHECKING:
    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint


@dataclass(frozen=True)
class Choice:
    """The ends of a function under the keys that they are to have.

    Attributes
    ----------
    function : NamedFunction
        The whole function.
    inputs, outputs : mapping of str to Endpoint
        Its own ends by new keys, in the new order.
    batch : int or None
        The size that the batch is fixed to.
    """

    function: NamedFunction
    inputs: Mapping[str, Endpoint]
    outputs: Mapping[str, Endpoint]
    batch: int | None = None

    @classmethod
    def of(cls, form: str, function: NamedFunction, options: Mapping[str, Any]) -> Choice:
        """Look up what the user named.

        Raises
        ------
        UnsupportedConversionError
            If a tensor is none of the function's ends, or an input is left out.
        """
        sides = [_named(form, options.get(side), getattr(function, side)) for side in ("inputs", "outputs")]
        left_out = [end.key for end in function.inputs if end not in sides[0].values()]
        if left_out:
            reason = f"the function as it is asks for {errors.listed(left_out)} too"
            raise errors.UnsupportedConversionError(form, "code", (), reason)
        return cls(function, sides[0], sides[1], options.get("batch"))

    @property
    def is_other(self) -> bool:
        """Whether it is something else than the function as it is."""
        same = [end.key for end in self.function.inputs], [end.key for end in self.function.outputs]
        return (list(self.inputs), list(self.outputs)) != same or self.batch is not None

    @property
    def specs(self) -> list[Endpoint]:
        """The inputs as they are to be, under their new keys."""
        return [end._replace(key=key, shape=self._shape(end)) for key, end in self.inputs.items()]

    def _shape(self, end: Endpoint) -> Any:  # noqa: ANN401 - a shape
        if self.batch is None or not end.shape or end.shape[0] is not None:
            return end.shape
        return (self.batch, *end.shape[1:])

    @property
    def arguments(self) -> dict[str, str]:
        """The names of the new function's arguments, by the keys of the whole one's inputs."""
        names = nested_structures.identifiers(self.inputs)
        return {end.key: name for end, name in zip(self.inputs.values(), names, strict=True)}

    def results(self, paths: Mapping[str, nested_structures.Path]) -> str:
        """Return the code of the dict of results, whose places in ``found`` are given by the outputs' own keys."""
        pairs = (f"{key!r}: found{_indices(paths[end.key])}" for key, end in self.outputs.items())
        return f"{{{', '.join(pairs)}}}"


def _named(form: str, wanted: conversion_options.Ends, ends: tuple[Endpoint, ...]) -> dict[str, Endpoint]:
    named = conversion_options.named(wanted, [end.key for end in ends])
    if named is None:
        return {end.key: end for end in ends}
    chosen = {key: signatures.find(ends, name) for key, name in named.items()}
    inside = [named[key] for key, end in chosen.items() if end is None]
    if inside:
        reason = f"{errors.listed(inside)} lies inside of the function, where no public call of TensorFlow reaches"
        raise errors.UnsupportedConversionError(form, "code", (), reason)
    return {key: end for key, end in chosen.items() if end is not None}


def _indices(path: nested_structures.Path) -> str:
    return "".join(f"[{step!r}]" for step in path)


def calling(choice: Choice, *, form: str, is_loaded: bool) -> tuple[str, dict[str, nested_structures.Path]]:
    """Return the code of a call of the whole function, and where its results lie.

    Raises
    ------
    UnsupportedConversionError
        If it takes something else than plain tensors.
    """
    function, names = choice.function, choice.arguments
    concrete = function.concrete
    positional, by_name = concrete.structured_input_signature
    if is_loaded or set(by_name) == {end.key for end in function.inputs}:
        if any(end.key == "self" for end in function.inputs):
            reason = "an input called 'self' cannot be given by its name in Python"
            raise errors.UnsupportedConversionError(form, "code", (), reason)
        if all(example_values.is_argument(end.key) for end in function.inputs):
            arguments = ", ".join(f"{end.key}={names[end.key]}" for end in function.inputs)
        else:
            arguments = f"**{{{', '.join(f'{end.key!r}: {names[end.key]}' for end in function.inputs)}}}"
        return f"whole({arguments})", {end.key: (end.key,) for end in function.outputs}
    if (
        by_name
        or len(positional) != len(function.inputs)
        or any(path[1:] for path, _ in nested_structures.leaves(positional))
    ):
        raise errors.UnsupportedConversionError(form, "code", (), "its arguments are no plain tensors")
    own = {end.tensor: names[end.key] for end in function.inputs}
    arguments = ", ".join(own[tensor.name] for tensor in concrete.inputs if tensor.name in own)
    places = list(_flat(concrete.structured_outputs))
    paths = zip(function.outputs, function.places, strict=True)
    return f"whole({arguments})", {end.key: places[place] for end, place in paths}


def _flat(structure: object, path: nested_structures.Path = ()) -> Iterator[nested_structures.Path]:
    """Yield where the leaves lie, in TensorFlow's order: dicts by sorted key."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from _flat(structure[key], (*path, key))
    elif isinstance(structure, list | tuple):
        for place, part in enumerate(structure):
            yield from _flat(part, (*path, place))
    elif structure is not None:
        yield path

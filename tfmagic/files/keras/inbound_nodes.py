"""Tensors and constants in the calls of a Keras config's layers, as Keras 1, 2 and 3 write them.

A call is an entry of ``inbound_nodes``: nested lists of ``[layer, node, tensor]``, or ``args`` and ``kwargs`` with a
``__keras_tensor__`` for each. Not for: the layers themselves (:mod:`tfmagic.files.keras.config`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import specs as keras_specs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.keras.specs import Spec
    from tfmagic.frames import Shape

#: Where Keras 3 writes the arguments of a call, and the one that computes nothing.
_CALL_KEYS, _NAME = {"args": "", "kwargs": ""}, "name"


class End(NamedTuple):
    """What a config says of a tensor, such as an input or output of a model."""

    dtype: str | None
    shape: Shape


class Reference(NamedTuple):
    """A tensor that a layer consumes: the ``tensor``-th result of the ``node``-th call of a layer."""

    layer: str
    node: int
    tensor: int


class InboundNodes:
    """Reads the calls of one model.

    Parameters
    ----------
    layers : collection of str
        The names of its layers: what names another is no tensor.

    Attributes
    ----------
    stated : dict of Reference to End
        What was read beside tensors so far: Keras 3 writes their dtype and shape there.
    """

    def __init__(self, layers: Collection[str]) -> None:
        self._layers = layers
        self.stated: dict[Reference, End] = {}

    def references(self, node: object) -> Iterator[Reference]:
        """Find the tensors in the arguments of one call, in order, in either dialect."""
        pending = [node]
        while pending:
            item = pending.pop()
            reference = self._tensor(item) if isinstance(item, dict) else self._triple(item)
            if reference is not None:
                yield reference
            if isinstance(item, dict) and reference is None:
                pending.extend(reversed(item.values()))
            elif isinstance(item, list):
                # Keras 2 writes the keyword arguments of a call, tensors among them, after the triple.
                pending.extend(reversed(item if reference is None else item[3:]))

    def constants(self, node: object) -> Iterator[str]:
        """Yield the arguments of one call that are no tensors, and no requests for nothing."""
        pending: list[tuple[str, object]] = [("", node)]
        while pending:
            key, item = pending.pop()
            if isinstance(item, dict):
                if self._tensor(item) is None:
                    pending.extend(
                        (_CALL_KEYS.get(str(inner), str(inner)), value)
                        for inner, value in item.items()
                        if inner != _NAME
                    )
            elif isinstance(item, list):
                pending.extend((key, value) for value in (item if self._triple(item) is None else item[3:]))
            elif item is not None and item is not False:
                yield f"{key}={item}" if key else str(item)

    def by_key(self, structure: object) -> dict[str, Reference]:
        """Name the tensors of a structure by its own keys, else by their layers."""
        ends: dict[str, Reference] = {}
        numbers: Counter[str] = Counter()
        pending: list[tuple[str, object]] = [("", structure)]
        while pending:
            key, item = pending.pop()
            reference = self._triple(item)
            if reference is not None:
                ends[_unused(key or reference.layer, ends, numbers)] = reference
            elif isinstance(item, dict):
                pending.extend(reversed([(keras_specs.printable(inner), value) for inner, value in item.items()]))
            elif isinstance(item, list):
                pending.extend(reversed([(key, value) for value in item]))
        return ends

    def _tensor(self, item: Spec) -> Reference | None:
        """Read Keras 3's tensor, and note the dtype and shape written with it."""
        config = item.get("config")
        if item.get("class_name") != "__keras_tensor__" or not isinstance(config, dict):
            return None
        reference = self._triple(config.get("keras_history"))
        if reference is not None:
            dtype, shape = config.get("dtype"), keras_specs.shape_of(config.get("shape"))
            self.stated[reference] = End(dtype if isinstance(dtype, str) else None, shape)
        return reference

    def _triple(self, item: object) -> Reference | None:
        """Read ``[layer, node, tensor, ...]`` if it names a layer of this model."""
        match item:
            case [str(layer), int(node), int(tensor), *_] if keras_specs.printable(layer) in self._layers:
                return Reference(keras_specs.printable(layer), node, tensor)
        return None


def _unused(key: str, taken: Mapping[str, object], numbers: Counter[str]) -> str:
    """Return the key, numbered on if it is taken: a shared layer may give several outputs."""
    candidate = key
    while candidate in taken:
        numbers[key] += 1
        candidate = f"{key}_{numbers[key]}"
    return candidate

"""Keras' own walk along what it saves: the objects below a model, each under the attribute that leads to it.

Keras says nowhere in public in which order it walks and which attributes it passes over, so the walk is that of the
installed Keras, with a public fallback and a canary in ``tests/runtime/test_keras_saving.py``. Not for: what a file
holds under a path, nor which value belongs to which variable.
"""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic.runtime.keras import keras, tf_keras
from tfmagic.runtime.tensorflow import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: An object of Keras', which ships no types.
Live: TypeAlias = Any

_KERAS_2 = "tf_keras"


@dataclass(frozen=True)
class Saving:
    """How one Keras saves.

    Attributes
    ----------
    attributes : callable
        Yields name and value of each attribute of an object that may lead to something saved, in Keras' order.
    is_saved : callable
        Whether an object is one that Keras saves by itself: a layer, an optimizer, a metric, a loss.
    counts_again : bool
        Whether an object counts among those of its class in a list although it was met before (Keras 3).
    """

    attributes: Callable[[Live], Iterator[tuple[str, object]]]
    is_saved: Callable[[object], bool]
    counts_again: bool

    def own_variables(self, saved: Live) -> list[Live]:
        """Return the variables of an object itself, not those of its parts, in the order in which it saves them."""
        kinds = ("_trainable_variables", "_non_trainable_variables")
        if not self.counts_again and hasattr(saved, "_trainable_weights"):
            kinds = ("_trainable_weights", "_non_trainable_weights")
        if hasattr(saved, kinds[0]) and hasattr(saved, kinds[1]) and not is_optimizer(saved):
            return [*getattr(saved, kinds[0]), *getattr(saved, kinds[1])]
        listed = getattr(saved, "variables", ())
        return list(listed() if callable(listed) else listed)


def saving(model: Live) -> Saving:
    """Return how the Keras that a model belongs to saves."""
    is_keras_2 = any(base.__module__.partition(".")[0] == _KERAS_2 for base in type(model).__mro__)
    library = tf_keras() if is_keras_2 else keras()
    try:
        module = importlib.import_module(f"{library.__name__}.src.saving.saving_lib")
        walk = module._walk_trackable if is_keras_2 else module._walk_saveable  # noqa: SLF001 - as said above
    except (ImportError, AttributeError):
        walk = _public_walk(library)
    layers, optimizers, metrics, losses = library.layers, library.optimizers, library.metrics, library.losses
    kinds: tuple[Live, ...] = (layers.Layer, optimizers.Optimizer, metrics.Metric, losses.Loss)
    with contextlib.suppress(ImportError, AttributeError):
        kinds = (importlib.import_module(f"{library.__name__}.src.saving.keras_saveable").KerasSaveable,)
    return Saving(walk, lambda value: isinstance(value, kinds), counts_again=not is_keras_2)


def layer_classes() -> frozenset[str]:
    """Return the names of the classes of layers in each Keras that is imported."""
    libraries = filter(None, map(loaded, ("keras", _KERAS_2)))
    return frozenset(name for library in libraries for name in dir(library.layers) if name[:1].isupper())


def is_optimizer(saved: Live) -> bool:
    """Say whether an object is an optimizer, of Keras or of TensorFlow 1."""
    return hasattr(saved, "apply_gradients")


def _public_walk(library: Live) -> Callable[[Live], Iterator[tuple[str, object]]]:
    """Walk along what an object has beyond a plain layer, after the layers of a model."""
    plain = frozenset(dir(library.layers.Layer()))

    def walk(saved: Live) -> Iterator[tuple[str, object]]:
        if isinstance(saved, library.Model):
            yield "layers", saved.layers
        for name in sorted(set(dir(saved)) - plain, key=lambda name: (name.startswith("_"), name)):
            if not name.startswith("__"):
                yield name, getattr(saved, name, None)

    return walk

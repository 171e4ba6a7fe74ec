"""The way along attributes from an object to what it holds: ``encoder.layers[0].kernel`` for a module's variable.

By that way TensorFlow stores a variable and finds it again, whatever it is called. Not for: names
(:mod:`tfmagic.functions.tf_functions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.functions.named_function import NamedFunction

#: What TensorFlow registers as the classes of objects that are saved (trackable/data_structures.py, autotrackable.py).
LIST, DICT = "trackable_list_wrapper", "trackable_dict_wrapper"
_CLASSES = {"ListWrapper": LIST, "_DictWrapper": DICT}
_OTHER = "_generic_user_object"


class Way(NamedTuple):
    """The names of the edges from an object to another, and the class of what each but the last leads to."""

    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def on(self, name: str, parent: object) -> Way:
        """Return the way one edge farther, from the object that this one leads to."""
        classes = (*self.classes, _CLASSES.get(type(parent).__name__, _OTHER)) if self.names else ()
        return Way((*self.names, name), classes)


def attribute_paths(value: runtime.Live) -> dict[int, Way]:
    """Return the shortest way from an object to all that it tracks, by identity."""
    tf = runtime.tensorflow()
    if not isinstance(value, tf.__internal__.tracking.Trackable):
        return {}
    view = tf.train.TrackableView(value)
    ways = {id(value): Way()}
    waiting = [value]
    while waiting:
        parent = waiting.pop(0)
        for edge, child in view.children(parent).items():
            if id(child) not in ways:
                ways[id(child)] = ways[id(parent)].on(edge, parent)
                waiting.append(child)
    return ways


def variable_ways(functions: Sequence[NamedFunction]) -> Mapping[int, Way]:
    """Return the ways to the variables of functions from the modules whose methods they are, by identity."""
    holder = runtime.tensorflow().__internal__.tracking.AutoTrackable
    ways: dict[int, Way] = {}
    for owner in {id(function.owner): function.owner for function in functions}.values():
        # Of what was loaded, the owner is the root of the objects itself.
        source = owner if hasattr(owner, "signatures") else getattr(owner, "source", None)
        for root in (source, *(getattr(owner, "closure", None) or ())):
            if isinstance(root, holder):
                for key, way in attribute_paths(root).items():
                    ways.setdefault(key, way)
    return ways

"""List the weights of a Keras file: their names, dtypes and shapes, from the headers of its HDF5 datasets.

Two layouts: Keras 1's and 2's (and Keras 3's ``.h5``), which write each weight's name, and Keras 3's, which numbers
the weights of each layer (``layers/dense/vars/0``). There the names follow from the layer's class where that leaves
no doubt, and stay ``dense/vars/0`` where it does. Not for: values, which are never read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tfmagic.files import hdf5
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import numbered_weights
from tfmagic.files.keras.weight_names import ALL_NAMES, Weight, is_trainable
from tfmagic.frames import VariableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfmagic.files.hdf5 import Array, Node
    from tfmagic.files.keras.config import Layer
    from tfmagic.files.keras.specs import Spec

#: The group of a whole model's weights; a file of weights only has them at its root.
_WHOLE = "model_weights"
_TOP_LEVEL = "top_level_model_weights"


def read(root: Node, model: Spec | None) -> tuple[Weight, ...]:
    """List a file's weights: the model's in its order, then the state of its optimizer and metrics.

    Parameters
    ----------
    root : Node
        The root of the file, or of the archive's weights.
    model : dict or None
        The config, None in a file of weights only.
    """
    whole = root.group(_WHOLE)
    if lists_layers(root):
        inside = f"{_WHOLE}/" if whole is not None else ""
        weights = [*_Named(model, inside).weights(whole or root), *_optimizer(root)]
    else:
        weights = [*numbered_weights.Numbered(model).weights(root), *numbered_weights.state(root)]
    return tuple(_distinct(weights))


def lists_layers(root: Node) -> bool:
    """Say whether a file has the layout of Keras 1 and 2, which lists layers and their weights in order."""
    return root.group(_WHOLE) is not None or root.texts("layer_names") is not None


def variables(weights: Sequence[Weight]) -> tuple[VariableRow, ...]:
    """Return the rows of the public table."""
    return tuple(
        VariableRow(
            weight.name, weight.array.dtype, weight.array.shape, weight.array.size, weight.array.bytes,
            weight.trainable,
        )
        for weight in weights
    )  # fmt: skip


def sums(
    weights: Sequence[Weight], layers: Sequence[Layer], measure: Callable[[Array], int | None]
) -> dict[str, int | None]:
    """Add up a measure of each layer's weights, a nested model's with those of its layers.

    None marks a layer whose weights cannot be told from those of the model around it. A layer that is shared between
    models is stored once, where Keras met it first; it counts in each.
    """
    own: Counter[str] = Counter()
    for weight in weights:
        own[weight.layer] += measure(weight.array) or 0
    here = {layer.path: own[layer.path] for layer in layers}
    here.update({layer.path: own[twin.path] for layer, twin in _twins(layers) if not own[layer.path]})
    total = Counter(here)
    # Layers come after the models around them, so the innermost is added up first.
    for layer in reversed(layers):
        if layer.model:
            total[layer.model] += total[layer.path]
    return {layer.path: None if _is_untold(layer, own) else total[layer.path] for layer in layers}


def _twins(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Pair each layer with the first that is the same object, by the number that Keras 3 gives shared ones."""
    first: dict[int, Layer] = {}
    for layer in layers:
        number = layer.spec.get("shared_object_id")
        if isinstance(number, int) and not layer.is_model and first.setdefault(number, layer) is not layer:
            yield layer, first[number]


def _is_untold(layer: Layer, own: Mapping[str, int]) -> bool:
    """Whether weights that belong to no known layer of the model around may be this layer's."""
    return not layer.is_model and not own[layer.path] and bool(layer.model) and own[layer.model] > 0


def _distinct(weights: Sequence[Weight]) -> Iterator[Weight]:
    """Tell apart weights of one name, which nested models may have, by their path in the file."""
    names: set[str] = set()
    paths: set[str] = set()
    for weight in weights:
        if weight.array.path in paths:
            continue
        name = hdf5.without_output(weight.array.path) if weight.name in names else weight.name
        paths.add(weight.array.path)
        names.add(name)
        yield weight._replace(name=name)


class _Named:
    """The layout of Keras 1 and 2: attributes list the layers, and the weights of each, in order."""

    def __init__(self, model: Spec | None, inside: str) -> None:
        self.inside = inside
        self.layers = {layer.path: layer for layer in keras_config.layers(model)} if model else {}
        #: For each nested model its layers by their own names.
        self.inner: dict[str, dict[str, str]] = {}
        for layer in self.layers.values():
            if layer.model and not layer.is_model:
                own = layer.path.removeprefix(f"{layer.model}/")
                self.inner.setdefault(self._outermost(layer), {})[own] = layer.path

    def weights(self, group: Node) -> Iterator[Weight]:
        """List the weights below the group that has the attributes."""
        names = group.texts("layer_names")
        for name in names if names is not None else [name for name, _ in group.children()]:
            if name != _TOP_LEVEL:
                yield from self._layer(name, group.group(name))
        yield from self._layer(_TOP_LEVEL, group.group(_TOP_LEVEL))

    def _outermost(self, layer: Layer) -> str:
        """Return the path of the outermost model around a layer, or its own."""
        while layer.model:
            layer = self.layers[layer.model]
        return layer.path

    def _layer(self, name: str, group: Node | None) -> Iterator[Weight]:
        for path, dataset in _listed(group):
            owner = "" if name == _TOP_LEVEL else self._owner(name, path)
            own = hdf5.without_output(path)
            # Keras 3.0 wrote what the layer calls its weight, and no path.
            own = f"{name}/{own}" if own in ALL_NAMES and name != _TOP_LEVEL else own
            array = dataset.array(f"{name}/{path}")
            owners = () if name == _TOP_LEVEL else way(name, own)
            trainable = is_trainable(own, self.layers.get(owner))
            yield Weight(owner, own, array, trainable, f"{self.inside}{array.path}", owners)

    def _owner(self, name: str, weight: str) -> str:
        """Return the layer's path: of a nested model's layers the one that the weight's name begins with."""
        inner = self.inner.get(name, {})
        return next((inner[part] for part in weight.split("/")[:-1] if part in inner), name)


def way(layer: str, weight: str) -> tuple[str, ...]:
    """Return the names on the way to a weight: its layer in the model's list, then those inside it.

    The path of a weight begins with the layer, with the models around it, or with neither.
    """
    names = weight.split("/")[:-1]
    return (layer, *(names[names.index(layer) + 1 :] if layer in names else names))


def _listed(group: Node | None) -> Iterator[tuple[str, Node]]:
    """Yield the datasets that the group's attribute lists, all of its datasets if it lists none."""
    if group is None:
        return
    names = group.texts("weight_names")
    if names is None:
        yield from group.datasets()
        return
    for name in names:
        dataset = group.member(name)
        if dataset is not None and dataset.is_dataset:
            yield name, dataset


def _optimizer(root: Node) -> Iterator[Weight]:
    for path, dataset in _listed(root.group("optimizer_weights")):
        array = dataset.array(f"optimizer_weights/{path}")
        yield Weight("", f"optimizer/{hdf5.without_output(path)}", array, trainable=False, dataset=array.path)

"""Keras 3's layout of weights: a group for each layer and part of a layer, its weights numbered in a group ``vars``.

The names follow from the layer's class where that leaves no doubt, and stay ``dense/vars/0`` where it does. Not for:
the layout that writes each weight's name (:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import hdf5
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras.weight_names import Weight, is_trainable, possible_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.files.hdf5 import Array, Node
    from tfmagic.files.keras.specs import Spec

#: Integer kernels come with scales, which Keras stores among a layer's numbered weights.
_QUANTIZED = frozenset({"int8", "uint8", "int4", "float8_e4m3fn"})
#: The groups of Keras 3 and 2.12 that hold a model's layers: their names are no part of a path.
_CONTAINERS = frozenset({"layers", "_layer_checkpoint_dependencies"})
#: Named ``kernel`` by Keras 3 and ``depthwise_kernel`` by Keras 2.
_RENAMED = frozenset({"depthwise_conv1d", "depthwise_conv2d"})
#: The parts of an attention layer: the attribute that holds one, and the name that it has.
_ATTENTION = {
    "query_dense": "query", "key_dense": "key", "value_dense": "value", "output_dense": "attention_output",
}  # fmt: skip
_ATTENTION_LAYERS = frozenset({"multi_head_attention", "grouped_query_attention"})
_CELLS = {
    "lstm": "lstm_cell", "gru": "gru_cell", "simple_rnn": "simple_rnn_cell", "conv_lstm1d": "conv_lstm_cell",
    "conv_lstm2d": "conv_lstm_cell", "conv_lstm3d": "conv_lstm_cell",
}  # fmt: skip
_DIRECTIONS = {"forward_layer": "forward_", "backward_layer": "backward_"}
#: The cells of a wrapped layer whose class a file without a config does not tell.
_DIRECTED_CELLS = [[direction, "cell"] for direction in _DIRECTIONS]
_MODELS = frozenset({"functional", "model", "sequential"})
#: What lies beside the model's own weights.
_STATE = ("optimizer", "metrics", "_metrics")
_COUNTED = re.compile(r"_\d+$")


class _Place(NamedTuple):
    """Where a group of Keras 3's layout belongs.

    ``path`` is the group's own, ``names`` the Keras names on the way, ``layer`` the path of the config's layer that
    it is or is a part of, ``spec`` its JSON object if it has one, ``kind`` its class in snake case if that is known,
    ``owners`` the names on the way that the file states.
    """

    path: str
    names: tuple[str, ...]
    layer: str
    spec: Spec | None
    kind: str
    owners: tuple[str, ...] = ()


class Numbered:
    """The layout of Keras 3: a group for each layer and part of a layer, weights numbered in a group ``vars``."""

    def __init__(self, model: Spec | None) -> None:
        self.model = model
        self.layers = {layer.path: layer for layer in keras_config.layers(model)} if model else {}
        self.seen: set[int] = set()
        #: Since Keras 3.6 each group ``vars`` states the name of its layer, also where there are no weights.
        self.states_names = False
        #: Keras 2 writes the same layout and names its variables otherwise.
        self.is_keras_3 = False

    def weights(self, root: Node) -> Iterator[Weight]:
        """List the weights of the model below the root."""
        name = _stated_name(root)
        self.states_names = name is not None
        self.is_keras_3 = self.states_names or (self.model is not None and keras_specs.is_keras_3(self.model))
        if name is None and self.model is not None:
            name = keras_specs.name(self.model)
        names = (name,) if name and self.is_keras_3 and self._names_its_layers(root, name) else ()
        yield from self._group(root, _Place("", names, "", self.model, ""))

    def _names_its_layers(self, root: Node, name: str) -> bool:
        """Whether the variables' paths begin with the model's name: a functional model's layers are built before it."""
        if self.model is None:
            is_sequential = _COUNTED.sub("", name) == "sequential"
            beside = (child for key, child in root.children() if key not in {"vars", *_STATE, *_CONTAINERS})
            return is_sequential or any(child.is_group for child in beside)
        return keras_specs.class_name(self.model) == "Sequential" or not keras_specs.members(self.model)

    def _group(self, group: Node, place: _Place) -> Iterator[Weight]:
        if group.address in self.seen or place.path.count("/") > hdf5.MAX_DEPTH:
            return
        self.seen.add(group.address)
        yield from self._variables(group.group("vars"), place)
        for name, child in group.children():
            if name == "vars" or not child.is_group or (not place.path and name in _STATE):
                continue
            inner = place._replace(path=f"{place.path}/{name}" if place.path else name)
            if self._is_container(name, child, place):
                yield from self._container(child, inner)
            else:
                yield from self._group(child, self._part(name, child, inner))

    def _is_container(self, name: str, group: Node, place: _Place) -> bool:
        if self.states_names:
            return group.group("vars") is None
        return name in _CONTAINERS and (not place.path or not place.spec or bool(keras_specs.members(place.spec)))

    def _container(self, group: Node, place: _Place) -> Iterator[Weight]:
        """List a group of layers, each named after its class and counted."""
        specs = groups(place.spec) if place.path.rpartition("/")[2] in _CONTAINERS else {}
        order = {name: index for index, name in enumerate(specs)}
        for name, child in sorted(group.children(), key=lambda item: order.get(item[0], len(order))):
            if child.is_group:
                inner = place._replace(path=f"{place.path}/{name}")
                yield from self._group(child, self._listed_layer(name, child, inner, specs.get(name)))

    def _listed_layer(self, name: str, group: Node, place: _Place, spec: Spec | None) -> _Place:
        kind = keras_specs.snake_case(keras_specs.class_name(spec)) if spec else _COUNTED.sub("", name)
        own = _stated_name(group) or (keras_specs.name(spec) if spec else name)
        layer = place.layer
        if spec:
            layer = f"{layer}/{keras_specs.name(spec)}" if layer else keras_specs.name(spec)
        is_model = bool(keras_specs.members(spec)) if spec else kind in _MODELS
        stated = _stated_name(group) or (keras_specs.name(spec) if spec else "")
        owners = (*place.owners, stated) if stated else place.owners
        return _Place(place.path, self._scope(place.names, own, kind if is_model else ""), layer, spec, kind, owners)

    def _scope(self, names: tuple[str, ...], own: str, model: str) -> tuple[str, ...]:
        """Return the names that variables' paths begin with, in a layer or a nested model of this class.

        Keras 3 builds a Sequential's layers under its name and a functional model's before there is one; Keras 2
        leaves out the names of models. A file without names and without a config tells neither: there the place of a
        nested model tells its layers from those around it.
        """
        if model and (self.model is not None or self.states_names) and (model != "sequential" or not self.is_keras_3):
            return ()
        return *names, own

    def _part(self, attribute: str, group: Node, place: _Place) -> _Place:
        """Place a part of a layer: what a wrapper wraps, an RNN's cell, a projection of an attention layer."""
        spec, kind = _part_spec(attribute, place), ""
        name = _stated_name(group) or (keras_specs.name(spec) if spec else attribute)
        if spec:
            kind = keras_specs.snake_case(keras_specs.class_name(spec))
        elif attribute == "cell" and name in _CELLS.values():
            kind = name
        # Keras 2 builds what a TimeDistributed wraps under the wrapper's name alone.
        is_unnamed = place.kind == "time_distributed" and not self.is_keras_3
        stated = _stated_name(group)
        owners = (*place.owners, stated) if stated else place.owners
        names = place.names if is_unnamed else (*place.names, name)
        return place._replace(names=names, spec=spec, kind=kind, owners=owners)

    def _variables(self, group: Node | None, place: _Place) -> Iterator[Weight]:
        if group is None:
            return
        datasets = [(name, node) for name, node in group.children() if node.is_dataset]
        path = f"{place.path}/vars" if place.path else "vars"
        arrays = [node.array(f"{path}/{name}") for name, node in datasets]
        certain = self._names(place, arrays)
        for index, array in enumerate(arrays):
            own = certain[index] if certain else f"vars/{datasets[index][0]}"
            yield Weight(
                place.layer, "/".join((*place.names, own)), array,
                is_trainable(own, self.layers.get(place.layer)), array.path, place.owners,
            )  # fmt: skip

    def _names(self, place: _Place, arrays: Sequence[Array]) -> tuple[str, ...] | None:
        """Return the names of a layer's weights if only one set of names fits."""
        if any(array.dtype in _QUANTIZED for array in arrays):
            return None
        if not place.kind and place.path.split("/")[-2:] in _DIRECTED_CELLS:
            return _cell_names(arrays)
        fitting = [names for names in possible_names(place.kind, place.spec) if len(names) == len(arrays)]
        if len(fitting) != 1 or place.kind not in _RENAMED:
            return fitting[0] if len(fitting) == 1 else None
        return self._renamed(fitting[0], place)

    def _renamed(self, names: tuple[str, ...], place: _Place) -> tuple[str, ...] | None:
        """Name the kernel of a depthwise convolution as the Keras that wrote the file does, if that is certain."""
        # Keras 2 has an argument `groups` there, Keras 3 has not.
        if place.spec and "groups" in keras_specs.arguments(place.spec):
            return "depthwise_kernel", *names[1:]
        return names if place.spec or self.states_names else None


def _cell_names(arrays: Sequence[Array]) -> tuple[str, ...] | None:
    """Return the names of a recurrent cell's weights, which all cells of Keras' share, if the shapes are a cell's."""
    names = ("kernel", "recurrent_kernel", "bias")[: len(arrays)]
    try:
        (_, gates), (units, width) = (array.shape or () for array in arrays[:2])
    except ValueError:
        return None
    biases = [(array.shape or ())[-1:] for array in arrays[2:]]
    is_cell = len(names) == len(arrays) and gates == width and bool(units) and not (width or 0) % (units or 1)
    return names if is_cell and all(bias == (width,) for bias in biases) else None


def _stated_name(group: Node) -> str | None:
    variables = group.group("vars")
    return variables.text("name") if variables else None


def groups(model: Spec | None) -> dict[str, Spec]:
    """Return a model's layers by the names of their groups: class in snake case, counted.

    Keras does not use the layers' names, as generated ones differ from run to run
    (``keras.src.saving.saving_lib._save_container_state``). An operation that is no layer has no group.
    """
    specs: dict[str, Spec] = {}
    for snake_case in (keras_specs.snake_case, keras_specs.keras_2_snake_case):
        count: Counter[str] = Counter()
        for spec in keras_specs.members(model) if model else []:
            if not str(spec.get("module", "")).startswith("keras.src.ops"):
                kind = snake_case(keras_specs.class_name(spec))
                specs.setdefault(f"{kind}_{count[kind]}" if count[kind] else kind, spec)
                count[kind] += 1
    return specs


def _part_spec(attribute: str, place: _Place) -> Spec | None:
    """Return the JSON object of a layer's part, made up where the layer's own arguments describe it."""
    options = keras_specs.arguments(place.spec) if place.spec else {}
    attribute = attribute.lstrip("_")
    if attribute in _ATTENTION and place.kind in _ATTENTION_LAYERS:
        arguments = {"bias_axes": options["use_bias"]} if "use_bias" in options else {}
        return {"class_name": "EinsumDense", "config": {"name": _ATTENTION[attribute], **arguments}}
    if attribute == "cell" and place.kind in _CELLS:
        cell = _CELLS[place.kind]
        arguments = {"use_bias": options["use_bias"]} if "use_bias" in options else {}
        return {"class_name": cell, "config": {"name": cell, **arguments}}
    wrapped = options.get(attribute) or (options.get("layer") if attribute in _DIRECTIONS else None)
    if not isinstance(wrapped, dict) or "class_name" not in wrapped:
        return None
    if attribute in _DIRECTIONS and attribute not in options:
        # A Bidirectional makes two layers of one and names them after the direction; until Keras 3.5 it wrote the
        # name of the first for that of the one that it was given.
        own = keras_specs.name(wrapped).removeprefix(_DIRECTIONS["forward_layer"])
        return {**wrapped, "config": {**keras_specs.arguments(wrapped), "name": _DIRECTIONS[attribute] + own}}
    return wrapped


def state(root: Node) -> Iterator[Weight]:
    """List what lies beside the model's own weights: the state of its optimizer and metrics."""
    for name in _STATE:
        group = root.group(name)
        for path, dataset in group.datasets() if group else ():
            array = dataset.array(f"{name}/{path}")
            yield Weight("", array.path, array, trainable=False, dataset=array.path)

"""List the weights of a Keras file: their names, dtypes and shapes, from the headers of its HDF5 datasets.

Two layouts: Keras 1's and 2's (and Keras 3's ``.h5``), which write each weight's name, and Keras 3's, which numbers
the weights of each layer (``layers/dense/vars/0``). There the names follow from the layer's class where that leaves
no doubt, and stay ``dense/vars/0`` where it does. Not for: values, which are never read.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import hdf5, keras_config
from tfmagic.frames import VariableRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.hdf5 import Array, Node
    from tfmagic.keras_config import Layer, Spec

#: The weights of Keras's layers in the order in which Keras 3 stores them, a layer by its class in snake case. A
#: weight after ``?`` is there if the layer's argument of that name is true (Keras 3.15's layers, each saved and read).
_WEIGHTS: Mapping[str, str] = {
    "additive_attention": "scale?use_scale",
    "attention": "scale?use_scale",
    "batch_normalization": "gamma?scale beta?center moving_mean moving_variance",
    "conv1d": "kernel bias?use_bias",
    "conv1d_transpose": "kernel bias?use_bias",
    "conv2d": "kernel bias?use_bias",
    "conv2d_transpose": "kernel bias?use_bias",
    "conv3d": "kernel bias?use_bias",
    "conv3d_transpose": "kernel bias?use_bias",
    "conv_lstm_cell": "kernel recurrent_kernel bias?use_bias",
    "dense": "kernel bias?use_bias",
    "depthwise_conv1d": "kernel bias?use_bias",
    "depthwise_conv2d": "kernel bias?use_bias",
    "einsum_dense": "kernel bias?bias_axes",
    "embedding": "embeddings",
    "group_normalization": "gamma?scale beta?center",
    "gru_cell": "kernel recurrent_kernel bias?use_bias",
    "layer_normalization": "gamma?scale beta?center",
    "lstm_cell": "kernel recurrent_kernel bias?use_bias",
    "normalization": "mean variance count",
    "p_re_lu": "alpha",
    "rms_normalization": "scale",
    "separable_conv1d": "depthwise_kernel pointwise_kernel bias?use_bias",
    "separable_conv2d": "depthwise_kernel pointwise_kernel bias?use_bias",
    "simple_rnn_cell": "kernel recurrent_kernel bias?use_bias",
}
#: Statistics, which no optimizer touches.
_NOT_TRAINED = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count", "seed_generator_state"})
_ALL_NAMES = frozenset(name.partition("?")[0] for names in _WEIGHTS.values() for name in names.split())
_TRAINED = (_ALL_NAMES | {"depthwise_kernel"}) - _NOT_TRAINED
#: Keras 1 named a weight after its letter in the paper: ``dense_1_W``, ``lstm_1_U_i``, ``dense_1_b``.
_KERAS_1_TRAINED = re.compile(r"_[WUb](_\w+)?$")
_KERAS_1_STATISTICS = ("running_mean", "running_std")
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
_MODELS = frozenset({"functional", "model", "sequential"})
#: What lies beside the model's own weights.
_STATE = ("optimizer", "metrics", "_metrics")
_TOP_LEVEL = "top_level_model_weights"
_COUNTED = re.compile(r"_\d+$")


class Weight(NamedTuple):
    """A stored weight: ``layer`` is the path of its layer in the config, empty where it belongs to none."""

    layer: str
    name: str
    array: Array
    trainable: bool | None


def read(root: Node, model: Spec | None) -> tuple[Weight, ...]:
    """List a file's weights: the model's in its order, then the state of its optimizer and metrics.

    Parameters
    ----------
    root : Node
        The root of the file, or of the archive's weights.
    model : dict or None
        The config, None in a file of weights only.
    """
    whole = root.group("model_weights")
    if whole is not None or root.texts("layer_names") is not None:
        found = [*_Named(model).weights(whole or root), *_optimizer(root)]
    else:
        found = [*_Numbered(model).weights(root), *_numbered_state(root)]
    return tuple(_distinct(found))


def variables(weights: Sequence[Weight]) -> tuple[VariableRow, ...]:
    """Return the rows of the public table."""
    return tuple(
        VariableRow(
            weight.name, weight.array.dtype, weight.array.shape, weight.array.size, weight.array.bytes,
            weight.trainable,
        )
        for weight in weights
    )  # fmt: skip


def counts(weights: Sequence[Weight], layers: Sequence[Layer]) -> dict[str, int | None]:
    """Count the elements of each layer's weights, a nested model's with those of its layers.

    None marks a layer whose weights cannot be told from those of the model around it. A layer that is shared between
    models is stored once, where Keras met it first; it counts in each.
    """
    own: Counter[str] = Counter()
    for weight in weights:
        own[weight.layer] += weight.array.size or 0
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


def _is_trainable(name: str, layer: Layer | None) -> bool | None:
    """Say whether a weight is trained, None where neither its name nor its layer tells."""
    own = name.rpartition("/")[2]
    if own in _NOT_TRAINED or own.endswith(_KERAS_1_STATISTICS):
        return False
    if layer is None or layer.trainable is False:
        return None if layer is None else False
    return layer.trainable if own in _TRAINED or _KERAS_1_TRAINED.search(own) else None


class _Named:
    """The layout of Keras 1 and 2: attributes list the layers, and the weights of each, in order."""

    def __init__(self, model: Spec | None) -> None:
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
            array = dataset.array(f"{name}/{path}")
            yield Weight(owner, own, array, _is_trainable(own, self.layers.get(owner)))

    def _owner(self, name: str, weight: str) -> str:
        """Return the layer's path: of a nested model's layers the one that the weight's name begins with."""
        inner = self.inner.get(name, {})
        return next((inner[part] for part in weight.split("/")[:-1] if part in inner), name)


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
        yield Weight("", f"optimizer/{hdf5.without_output(path)}", array, trainable=False)


def _numbered_state(root: Node) -> Iterator[Weight]:
    for state in _STATE:
        group = root.group(state)
        for path, dataset in group.datasets() if group else ():
            array = dataset.array(f"{state}/{path}")
            yield Weight("", array.path, array, trainable=False)


class _Place(NamedTuple):
    """Where a group of Keras 3's layout belongs.

    ``path`` is the group's own, ``names`` the Keras names on the way, ``layer`` the path of the config's layer that
    it is or is a part of, ``spec`` its JSON object if it has one, ``kind`` its class in snake case if that is known.
    """

    path: str
    names: tuple[str, ...]
    layer: str
    spec: Spec | None
    kind: str


class _Numbered:
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
        self.is_keras_3 = self.states_names or (self.model is not None and keras_config.is_keras_3(self.model))
        if name is None and self.model is not None:
            name = keras_config.name(self.model)
        names = (name,) if name and self.is_keras_3 and self._names_its_layers(root, name) else ()
        yield from self._group(root, _Place("", names, "", self.model, ""))

    def _names_its_layers(self, root: Node, name: str) -> bool:
        """Whether the variables' paths begin with the model's name: a functional model's layers are built before it."""
        if self.model is None:
            is_sequential = _COUNTED.sub("", name) == "sequential"
            beside = (child for key, child in root.children() if key not in {"vars", *_STATE, *_CONTAINERS})
            return is_sequential or any(child.is_group for child in beside)
        return keras_config.class_name(self.model) == "Sequential" or not keras_config.members(self.model)

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
        return name in _CONTAINERS and (not place.path or not place.spec or bool(keras_config.members(place.spec)))

    def _container(self, group: Node, place: _Place) -> Iterator[Weight]:
        """List a group of layers, each named after its class and counted."""
        specs = _by_class(place.spec) if place.path.rpartition("/")[2] in _CONTAINERS else {}
        order = {name: index for index, name in enumerate(specs)}
        for name, child in sorted(group.children(), key=lambda item: order.get(item[0], len(order))):
            if child.is_group:
                inner = place._replace(path=f"{place.path}/{name}")
                yield from self._group(child, self._listed_layer(name, child, inner, specs.get(name)))

    def _listed_layer(self, name: str, group: Node, place: _Place, spec: Spec | None) -> _Place:
        kind = keras_config.snake_case(keras_config.class_name(spec)) if spec else _COUNTED.sub("", name)
        own = _stated_name(group) or (keras_config.name(spec) if spec else name)
        layer = place.layer
        if spec:
            layer = f"{layer}/{keras_config.name(spec)}" if layer else keras_config.name(spec)
        is_model = bool(keras_config.members(spec)) if spec else kind in _MODELS
        return _Place(place.path, self._scope(place.names, own, kind if is_model else ""), layer, spec, kind)

    def _scope(self, names: tuple[str, ...], own: str, model: str) -> tuple[str, ...]:
        """Return the names that variables' paths begin with, in a layer or a nested model of this class.

        Keras 3 builds a Sequential's layers under its name and a functional model's before there is one; Keras 2
        leaves out the names of models.
        """
        if model and (model != "sequential" or not self.is_keras_3):
            return ()
        return *names, own

    def _part(self, attribute: str, group: Node, place: _Place) -> _Place:
        """Place a part of a layer: what a wrapper wraps, an RNN's cell, a projection of an attention layer."""
        spec, kind = _part_spec(attribute, place), ""
        name = _stated_name(group) or (keras_config.name(spec) if spec else attribute)
        if spec:
            kind = keras_config.snake_case(keras_config.class_name(spec))
        elif attribute == "cell" and name in _CELLS.values():
            kind = name
        # Keras 2 builds what a TimeDistributed wraps under the wrapper's name alone.
        is_unnamed = place.kind == "time_distributed" and not self.is_keras_3
        return place._replace(names=place.names if is_unnamed else (*place.names, name), spec=spec, kind=kind)

    def _variables(self, group: Node | None, place: _Place) -> Iterator[Weight]:
        if group is None:
            return
        found = [(name, node) for name, node in group.children() if node.is_dataset]
        path = f"{place.path}/vars" if place.path else "vars"
        arrays = [node.array(f"{path}/{name}") for name, node in found]
        certain = self._names(place, arrays)
        for index, array in enumerate(arrays):
            own = certain[index] if certain else f"vars/{found[index][0]}"
            yield Weight(
                place.layer, "/".join((*place.names, own)), array,
                _is_trainable(own, self.layers.get(place.layer)),
            )  # fmt: skip

    def _names(self, place: _Place, arrays: Sequence[Array]) -> tuple[str, ...] | None:
        """Return the names of a layer's weights if only one set of names fits."""
        if any(array.dtype in _QUANTIZED for array in arrays):
            return None
        fitting = [names for names in _possible_names(place) if len(names) == len(arrays)]
        if len(fitting) != 1 or place.kind not in _RENAMED:
            return fitting[0] if len(fitting) == 1 else None
        return self._renamed(fitting[0], place)

    def _renamed(self, names: tuple[str, ...], place: _Place) -> tuple[str, ...] | None:
        """Name the kernel of a depthwise convolution as the Keras that wrote the file does, if that is certain."""
        # Keras 2 has an argument `groups` there, Keras 3 has not.
        if place.spec and "groups" in keras_config.arguments(place.spec):
            return "depthwise_kernel", *names[1:]
        return names if place.spec or self.states_names else None


def _possible_names(place: _Place) -> Iterator[tuple[str, ...]]:
    """Yield the names that a layer of this class may have weights of, as its arguments allow."""
    entries = [entry.partition("?")[::2] for entry in _WEIGHTS.get(place.kind, "").split()]
    given = keras_config.arguments(place.spec) if place.spec else {}
    choices = [(bool(given[flag]),) if flag in given else (True, False) if flag else (True,) for _, flag in entries]
    for present in product(*choices):
        yield tuple(name for (name, _), there in zip(entries, present, strict=True) if there)


def _stated_name(group: Node) -> str | None:
    variables = group.group("vars")
    return variables.text("name") if variables else None


def _by_class(model: Spec | None) -> dict[str, Spec]:
    """Return a model's layers by the names of their groups: class in snake case, counted.

    Keras does not use the layers' names, as generated ones differ from run to run
    (``keras.src.saving.saving_lib._save_container_state``). An operation that is no layer has no group.
    """
    found: dict[str, Spec] = {}
    for snake_case in (keras_config.snake_case, keras_config.keras_2_snake_case):
        count: Counter[str] = Counter()
        for spec in keras_config.members(model) if model else []:
            if not str(spec.get("module", "")).startswith("keras.src.ops"):
                kind = snake_case(keras_config.class_name(spec))
                found.setdefault(f"{kind}_{count[kind]}" if count[kind] else kind, spec)
                count[kind] += 1
    return found


def _part_spec(attribute: str, place: _Place) -> Spec | None:
    """Return the JSON object of a layer's part, made up where the layer's own arguments describe it."""
    given = keras_config.arguments(place.spec) if place.spec else {}
    attribute = attribute.lstrip("_")
    if attribute in _ATTENTION and place.kind in _ATTENTION_LAYERS:
        arguments = {"bias_axes": given["use_bias"]} if "use_bias" in given else {}
        return {"class_name": "EinsumDense", "config": {"name": _ATTENTION[attribute], **arguments}}
    if attribute == "cell" and place.kind in _CELLS:
        cell = _CELLS[place.kind]
        arguments = {"use_bias": given["use_bias"]} if "use_bias" in given else {}
        return {"class_name": cell, "config": {"name": cell, **arguments}}
    wrapped = given.get(attribute) or (given.get("layer") if attribute in _DIRECTIONS else None)
    if not isinstance(wrapped, dict) or "class_name" not in wrapped:
        return None
    if attribute in _DIRECTIONS and attribute not in given:
        # A Bidirectional makes two layers of one and names them after the direction.
        arguments = {**keras_config.arguments(wrapped), "name": _DIRECTIONS[attribute] + keras_config.name(wrapped)}
        return {**wrapped, "config": arguments}
    return wrapped

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
    root : h5py.Group
        The root of the file, or of the archive's weights.
    model : dict or None
        The config, None in a file of weights only.
    """
    whole = hdf5.member(root, "model_weights")
    group = whole if hdf5.is_group(whole) else root
    if whole is not None or hdf5.texts(group, "layer_names") is not None:
        found = [*_Named(model).weights(group), *_optimizer(root)]
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
    total: Counter[str] = Counter()
    for path, size in own.items():
        total.update(dict.fromkeys(_lineage(path), size))
    for layer, twin in _twins(layers):
        if not total[layer.path]:
            total.update(dict.fromkeys(_lineage(layer.path), own[twin.path]))
    return {layer.path: None if _is_untold(layer, own) else total[layer.path] for layer in layers}


def _lineage(path: str) -> list[str]:
    """Return a path and those around it: ``a/b/c``, ``a/b``, ``a``."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _twins(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Pair each layer with the first that is the same object, by the number that Keras 3 gives shared ones."""
    first: dict[int, Layer] = {}
    for layer in layers:
        number = layer.spec.get("shared_object_id")
        if isinstance(number, int) and not layer.is_model and first.setdefault(number, layer) is not layer:
            yield layer, first[number]


def _is_untold(layer: Layer, own: Mapping[str, int]) -> bool:
    """Whether weights that belong to no known layer of the model around may be this layer's."""
    around = layer.path.rpartition("/")[0]
    return not layer.is_model and not own[layer.path] and bool(around) and own[around] > 0


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
        for path in self.layers:
            outermost, _, rest = path.partition("/")
            if rest and not self.layers[path].is_model:
                self.inner.setdefault(outermost, {})[path.rpartition("/")[2]] = path

    def weights(self, group: Node) -> Iterator[Weight]:
        """List the weights below the group that has the attributes."""
        names = hdf5.texts(group, "layer_names")
        for name in names if names is not None else [name for name, _ in hdf5.children(group)]:
            if name != _TOP_LEVEL:
                yield from self._layer(name, hdf5.member(group, name))
        yield from self._layer(_TOP_LEVEL, hdf5.member(group, _TOP_LEVEL))

    def _layer(self, name: str, group: Node | None) -> Iterator[Weight]:
        for path, dataset in _listed(group):
            owner = "" if name == _TOP_LEVEL else self._owner(name, path)
            own = hdf5.without_output(path)
            array = hdf5.array(f"{name}/{path}", dataset)
            yield Weight(owner, own, array, _is_trainable(own, self.layers.get(owner)))

    def _owner(self, name: str, weight: str) -> str:
        """Return the layer's path: of a nested model's layers the one that the weight's name begins with."""
        inner = self.inner.get(name, {})
        return next((inner[part] for part in weight.split("/")[:-1] if part in inner), name)


def _listed(group: Node | None) -> Iterator[tuple[str, Node]]:
    """Yield the datasets that the group's attribute lists, all of its datasets if it lists none."""
    if not hdf5.is_group(group):
        return
    names = hdf5.texts(group, "weight_names")
    if names is None:
        yield from hdf5.datasets(group)
        return
    for name in names:
        dataset = hdf5.member(group, name)
        if hdf5.is_dataset(dataset):
            yield name, dataset


def _optimizer(root: Node) -> Iterator[Weight]:
    for path, dataset in _listed(hdf5.member(root, "optimizer_weights")):
        array = hdf5.array(f"optimizer_weights/{path}", dataset)
        yield Weight("", f"optimizer/{hdf5.without_output(path)}", array, trainable=False)


def _numbered_state(root: Node) -> Iterator[Weight]:
    for state in _STATE:
        for path, dataset in hdf5.datasets(hdf5.member(root, state)):
            array = hdf5.array(f"{state}/{path}", dataset)
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

    def weights(self, root: Node) -> Iterator[Weight]:
        """List the weights of the model below the root."""
        name = _stated_name(root)
        self.states_names = name is not None
        is_subclassed = not any(hdf5.is_group(hdf5.member(root, container)) for container in _CONTAINERS)
        names = (name,) if name and is_subclassed else ()
        yield from self._group(root, _Place("", names, "", self.model, ""))

    def _group(self, group: Node, place: _Place) -> Iterator[Weight]:
        if hdf5.address(group) in self.seen or place.path.count("/") > hdf5.MAX_DEPTH:
            return
        self.seen.add(hdf5.address(group))
        yield from self._variables(hdf5.member(group, "vars"), place)
        for name, child in hdf5.children(group):
            if name == "vars" or not hdf5.is_group(child) or (not place.path and name in _STATE):
                continue
            inner = place._replace(path=f"{place.path}/{name}" if place.path else name)
            if self._is_container(name, child, place):
                yield from self._container(child, inner)
            else:
                yield from self._group(child, _part(name, child, inner))

    def _is_container(self, name: str, group: Node, place: _Place) -> bool:
        if self.states_names:
            return hdf5.member(group, "vars") is None
        return name in _CONTAINERS and (not place.path or not place.spec or bool(keras_config.members(place.spec)))

    def _container(self, group: Node, place: _Place) -> Iterator[Weight]:
        """List a group of layers, each named after its class and counted."""
        specs = _by_class(place.spec) if place.path.rpartition("/")[2] in _CONTAINERS else {}
        order = {name: index for index, name in enumerate(specs)}
        found = sorted(hdf5.children(group), key=lambda item: (order.get(item[0], len(order)), hdf5.natural(item[0])))
        for name, child in found:
            if hdf5.is_group(child):
                inner = place._replace(path=f"{place.path}/{name}")
                yield from self._group(child, self._listed_layer(name, child, inner, specs.get(name)))

    def _listed_layer(self, name: str, group: Node, place: _Place, spec: Spec | None) -> _Place:
        kind = keras_config.snake_case(keras_config.class_name(spec)) if spec else _COUNTED.sub("", name)
        own = _stated_name(group) or (keras_config.name(spec) if spec else name)
        layer = place.layer
        if spec:
            layer = f"{layer}/{keras_config.name(spec)}" if layer else keras_config.name(spec)
        return _Place(place.path, (*place.names, own), layer, spec, kind)

    def _variables(self, group: Node | None, place: _Place) -> Iterator[Weight]:
        if not hdf5.is_group(group):
            return
        found = [(name, node) for name, node in hdf5.children(group) if hdf5.is_dataset(node)]
        found.sort(key=lambda item: hdf5.natural(item[0]))
        path = f"{place.path}/vars" if place.path else "vars"
        arrays = [hdf5.array(f"{path}/{name}", node) for name, node in found]
        certain = self._names(place, arrays)
        for index, array in enumerate(arrays):
            own = certain[index] if certain else f"vars/{found[index][0]}"
            yield Weight(
                place.layer, "/".join((*place.names, hdf5.clean(own))), array,
                _is_trainable(own, self.layers.get(place.layer)),
            )  # fmt: skip

    def _names(self, place: _Place, arrays: Sequence[Array]) -> tuple[str, ...] | None:
        """Return the names of a layer's weights if only one set of names fits."""
        if any(array.dtype in _QUANTIZED for array in arrays):
            return None
        if place.kind in _RENAMED and not self.states_names:
            return None
        fitting = [names for names in _possible_names(place) if len(names) == len(arrays)]
        return fitting[0] if len(fitting) == 1 else None


def _possible_names(place: _Place) -> Iterator[tuple[str, ...]]:
    """Yield the names that a layer of this class may have weights of, as its arguments allow."""
    entries = [entry.partition("?")[::2] for entry in _WEIGHTS.get(place.kind, "").split()]
    given = keras_config.arguments(place.spec) if place.spec else {}
    choices = [(bool(given[flag]),) if flag in given else (True, False) if flag else (True,) for _, flag in entries]
    for present in product(*choices):
        yield tuple(name for (name, _), there in zip(entries, present, strict=True) if there)


def _stated_name(group: Node) -> str | None:
    variables = hdf5.member(group, "vars")
    return hdf5.text(variables, "name") if hdf5.is_group(variables) else None


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


def _part(attribute: str, group: Node, place: _Place) -> _Place:
    """Place a part of a layer: what a wrapper wraps, an RNN's cell, a projection of an attention layer."""
    spec, kind = _part_spec(attribute, place), ""
    name = _stated_name(group) or (keras_config.name(spec) if spec else attribute)
    if spec:
        kind = keras_config.snake_case(keras_config.class_name(spec))
    elif attribute == "cell" and name in _CELLS.values():
        kind = name
    return place._replace(names=(*place.names, name), spec=spec, kind=kind)


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
    wrapped = given.get("layer" if attribute == "forward_layer" else attribute)
    if not isinstance(wrapped, dict) or "class_name" not in wrapped:
        return None
    if attribute != "forward_layer":
        return wrapped
    # Keras renames the layer of a Bidirectional; the backward one is in the config under its own name.
    return {**wrapped, "config": {**keras_config.arguments(wrapped), "name": f"forward_{keras_config.name(wrapped)}"}}

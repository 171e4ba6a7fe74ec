"""Rewrite a model's config in the words of Keras 3, whichever Keras wrote it.

Keras 3 reads old configs itself, in part: arguments that it no longer has stop it, and some that it has mean another
thing now (``hard_sigmoid``). An argument without a counterpart is dropped only where it changes no number. Not for:
weights, or the layers of Keras 2 that Keras 3 lacks (:mod:`tfmagic.functions.keras.keras_2_layers`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras.python_code import OP_LAYERS, is_dump

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tfmagic.files.keras.specs import Spec

#: What Keras 1 and 2 call ``hard_sigmoid``, 0.2 x + 0.5; Keras 3's is x / 6 + 0.5.
HARD_SIGMOID = "keras_2_hard_sigmoid"
#: Arguments that change no number of a trained model: how it was built or trained, or how a kernel is chosen.
_WITHOUT_EFFECT = frozenset({
    "batch_input_shape", "cudnn_ok", "experimental_autocast", "fused", "implementation", "input_dim", "input_dtype",
    "input_length", "input_shape", "key_shape", "query_shape", "renorm_clipping", "renorm_momentum", "trainable",
    "value_shape", "virtual_batch_size", "vocabulary_size",
})  # fmt: skip
#: Values that ask for nothing.
_NEUTRAL: tuple[object, ...] = (None, False, [], {}, "")
_NEUTRAL_BY_KEY: Mapping[str, object] = {"groups": 1, "dtype": "float32"}
_TRAINING = re.compile(r"\w+_(initializer|regularizer|constraint)|gamma_init|beta_init")
#: What holds weights back in training, in both Keras alike; the arguments that are numbers.
_HELD_BACK: Mapping[str, tuple[str, frozenset[str]]] = {
    "L1": ("keras.regularizers", frozenset({"l1"})),
    "L2": ("keras.regularizers", frozenset({"l2"})),
    "L1L2": ("keras.regularizers", frozenset({"l1", "l2"})),
    "MaxNorm": ("keras.constraints", frozenset({"max_value", "axis"})),
    "MinMaxNorm": ("keras.constraints", frozenset({"min_value", "max_value", "rate", "axis"})),
    "NonNeg": ("keras.constraints", frozenset()),
    "UnitNorm": ("keras.constraints", frozenset({"axis"})),
}
#: Names that a class had in Keras 1 and 2.
_RENAMED_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "Convolution1D": "Conv1D", "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
}  # fmt: skip
#: Layers that take the states they begin with as further inputs.
_RECURRENT = frozenset({
    "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
})  # fmt: skip
_CONSTANT = "_CONSTANT_VALUE"
_SEQUENTIAL = "Sequential"


class NoCounterpart(ValueError):  # noqa: N818 - says what it is
    """An argument changes the model's numbers, and Keras 3 has nothing like it."""


class Dialect(NamedTuple):
    """What has to be known to rewrite a config.

    ``arguments`` gives the names that the constructor of a Keras 3 layer takes, None for a class that Keras 3 lacks;
    ``is_old`` says that Keras 1 or 2 wrote the config.
    """

    arguments: Callable[[str], Collection[str] | None]
    is_old: bool


def modern(config: Spec, dialect: Dialect) -> Spec:
    """Return the config of a model or of a layer in Keras 3's words; the one given stays as it is.

    Raises
    ------
    NoCounterpart
        If the model means something that Keras 3 cannot say.
    """
    return _model(config, dialect) if keras_specs.members(config) else _layer(config, dialect)


def _model(spec: Spec, dialect: Dialect) -> Spec:
    """Rewrite a Sequential or functional model, a subclass of one too: its layers are all that the file tells."""
    kind = _SEQUENTIAL if keras_specs.class_name(spec) == _SEQUENTIAL else "Model"
    arguments = keras_specs.arguments(spec)
    config = {key: arguments[key] for key in ("trainable",) if key in arguments and kind == "Model"}
    config["name"] = keras_specs.name(spec)
    members = keras_specs.members(spec)
    if kind == _SEQUENTIAL:
        config["layers"] = [*_implied_input(members), *(modern(each, dialect) for each in members)]
        config["build_input_shape"] = arguments.get("build_input_shape")
    else:
        nested = frozenset(keras_specs.name(each) for each in members if keras_specs.members(each))
        graph = _Graph(frozenset(map(keras_specs.name, members)), nested if dialect.is_old else frozenset())
        config["layers"] = [graph.connected(each, modern(each, dialect)) for each in members]
        sequential = {keras_specs.name(e) for e in members if keras_specs.class_name(e) == _SEQUENTIAL}
        for ends in ("input_layers", "output_layers"):
            config[ends] = graph.ends(arguments.get(ends), sequential)
    return {**_place(spec), "module": "keras", "class_name": kind, "config": config, "registered_name": None}


def _place(spec: Spec) -> Spec:
    """Return what stands beside a layer's arguments and holds in Keras 3 too."""
    kept = {key: spec[key] for key in ("shared_object_id",) if key in spec}
    return {**kept, "name": keras_specs.name(spec)}


def _implied_input(members: list[Spec]) -> list[Spec]:
    """Return the input that a Sequential of Keras 1 and 2 has by the shape that its first layer states."""
    first = members[0]
    shape = keras_specs.arguments(first).get("batch_input_shape")
    if keras_specs.class_name(first) == "InputLayer" or not isinstance(shape, list):
        return []
    arguments = keras_specs.arguments(first)
    dtype = _policy(arguments.get("input_dtype") or arguments.get("dtype"))
    # A policy computes in a narrower dtype than its inputs come in.
    dtype = "float32" if not isinstance(dtype, str) or dtype.startswith("mixed_") else dtype
    config = {"batch_shape": shape, "dtype": dtype, "name": f"{keras_specs.name(first)}_input"}
    return [{"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}]


def _layer(spec: Spec, dialect: Dialect) -> Spec:
    own = keras_specs.class_name(spec)
    kind = _RENAMED_CLASSES.get(own, own)
    names = dialect.arguments(kind)
    arguments = dict(keras_specs.arguments(spec), name=keras_specs.name(spec))
    if names is None or kind == "Lambda":
        # Whoever knows the class is registered: the user, or keras_2_layers.
        registered = spec.get("registered_name") or (spec["class_name"] if kind not in OP_LAYERS else kind)
        config = _lambda(arguments) if kind == "Lambda" else arguments
        return {**_place(spec), "module": None, "class_name": kind, "config": config, "registered_name": registered}
    _reword(kind, arguments, dialect)
    config = {
        key: _value(kind, key, value, dialect) for key, value in arguments.items() if _is_kept(kind, key, value, names)
    }
    # The values come from the file; drawing random ones first would take time, and from the user's generators.
    config.update((key, "zeros") for key in names if key.endswith("_initializer"))
    return {**_place(spec), "module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _lambda(arguments: Spec) -> Spec:
    """Put the functions of a Keras 2 Lambda as Keras 3 puts them."""
    config = dict(arguments)
    for field in ("function", "output_shape", "mask"):
        kind = config.pop(f"{field}_type", None)
        config.pop("module" if field == "function" else f"{field}_module", None)
        value = config.get(field)
        if is_dump(value) and kind in (None, "lambda"):
            code, defaults, closure = value
            config[field] = {
                "class_name": "__lambda__", "config": {"code": code, "defaults": defaults, "closure": closure}
            }  # fmt: skip
    config["dtype"] = _policy(config.get("dtype"))
    return config


def _reword(kind: str, arguments: Spec, dialect: Dialect) -> None:
    """Give arguments the names and the forms that they have in Keras 3."""
    if kind == "InputLayer":
        shape = arguments.pop("batch_input_shape", None)
        arguments.setdefault("batch_shape", shape)
    if kind == "LeakyReLU" and "alpha" in arguments:
        arguments["negative_slope"] = arguments.pop("alpha")
    if kind == "BatchNormalization" and isinstance(arguments.get("axis"), list) and len(arguments["axis"]) == 1:
        arguments["axis"] = arguments["axis"][0]
    if kind == "GRU" and dialect.is_old:
        arguments.setdefault("reset_after", False)
    arguments["dtype"] = _policy(arguments.get("dtype")) or "float32"


def _policy(dtype: Any) -> Any:  # noqa: ANN401 - anything that JSON holds
    """Return a dtype policy's name, for Keras 2 writes an object where Keras 3 wants its own."""
    if isinstance(dtype, dict) and keras_specs.class_name(dtype) in {"Policy", "PolicyV1"}:
        return keras_specs.arguments(dtype).get("name")
    return dtype


def _is_kept(kind: str, key: str, value: object, names: Collection[str]) -> bool:
    """Say whether an argument goes on; one that Keras 3 lacks may only be left out if it changes nothing."""
    if _TRAINING.fullmatch(key):
        return key in names and _held_back(value) is not None
    if key in names:
        return True
    if key in _WITHOUT_EFFECT or any(value is each or value == each for each in _NEUTRAL):
        return False
    if key in _NEUTRAL_BY_KEY and value == _NEUTRAL_BY_KEY[key]:
        return False
    raise NoCounterpart(f"the argument {key}={value!r} of {kind} has no counterpart in Keras 3")


def _value(kind: str, key: str, value: Any, dialect: Dialect) -> Any:  # noqa: ANN401 - anything that JSON holds
    """Rewrite an argument's value: layers inside of it, arrays, and activations that have another meaning now."""
    if key and _TRAINING.fullmatch(key):
        return _held_back(value)
    if isinstance(value, dict) and value.get("type") == "ndarray":
        return value.get("value")
    if isinstance(value, dict) and dialect.arguments(keras_specs.class_name(value)) is not None:
        return modern(value, dialect)
    if isinstance(value, list):
        return [_value(kind, "", each, dialect) for each in value]
    if dialect.is_old and key in {"activation", "recurrent_activation"}:
        return _activation(value)
    return value


def _held_back(value: Any) -> Spec | None:  # noqa: ANN401 - as _value
    """Return a regularizer or a constraint that Keras 3 has as well, None for anything else."""
    if not isinstance(value, dict):
        return None
    kind, arguments = keras_specs.class_name(value), keras_specs.arguments(value)
    module, names = _HELD_BACK.get(kind, ("", frozenset()))
    if (
        not module
        or not names.issuperset(arguments)
        or any(isinstance(each, dict | list) for each in arguments.values())
    ):
        return None
    return {"module": module, "class_name": kind, "config": dict(arguments), "registered_name": None}


def _activation(value: Any) -> Any:  # noqa: ANN401 - as _value
    name = keras_specs.arguments({"config": value}).get("config", value)
    if isinstance(name, str) and name == "hard_sigmoid":
        return {"module": None, "class_name": "function", "config": HARD_SIGMOID, "registered_name": HARD_SIGMOID}
    return name.removesuffix("_v2") if isinstance(name, str) else value


class _Graph(NamedTuple):
    """The names in a functional model, to tell a tensor from a list; and its nested models.

    Keras 1 and 2 count the call that a nested model was made with as its first, so that its first use is number 1.
    """

    names: frozenset[str]
    nested: frozenset[str]

    def connected(self, spec: Spec, layer: Spec) -> Spec:
        """Return a rewritten layer together with its calls."""
        kind = keras_specs.class_name(spec)
        calls = spec.get("inbound_nodes") or []
        return {**layer, "inbound_nodes": [self.call(each, kind) for each in calls if each]}

    def call(self, node: Any, kind: str) -> Any:  # noqa: ANN401 - anything that JSON holds
        """Rewrite one call: the tensors of its first argument carry all others."""
        if isinstance(node, dict) and "args" in node:
            return node
        first = self.tensors(node)
        if kind not in OP_LAYERS and isinstance(first, list) and len(first) == 1:
            first = first[0]
        kwargs = {key: self.argument(value) for key, value in _arguments_of(node).items() if key != "name"}
        if kind in _RECURRENT and isinstance(first, list):
            first, kwargs = first[0], {**kwargs, "initial_state": first[1:]}
        return {"args": [first], "kwargs": kwargs}

    def tensors(self, item: Any) -> Any:  # noqa: ANN401 - as call
        """Rewrite a structure of ``[layer, node, tensor, arguments]``."""
        match item:
            case [str() as name, int(), value, *_] if name == _CONSTANT:
                return value
            case [str(name), int(node), int(tensor), *_] if name in self.names:
                return self.tensor(name, node, tensor)
            case list():
                return [self.tensors(each) for each in item]
            case dict():
                return {key: self.tensors(value) for key, value in item.items()}
        return item

    def argument(self, value: Any) -> Any:  # noqa: ANN401 - as call
        """Rewrite a further argument, in which a tensor is a list of exactly three."""
        match value:
            case [str(name), int(node), int(tensor)] if name in self.names:
                return self.tensor(name, node, tensor)
            case list():
                return [self.argument(each) for each in value]
            case dict() if value.get("class_name") == "__ellipsis__":
                return {"class_name": "__ellipsis__", "config": {}}
            case dict():
                return {key: self.argument(each) for key, each in value.items()}
        return value

    def tensor(self, name: str, node: int, tensor: int) -> Spec:
        """Refer to a tensor as Keras 3 does; its shape and dtype come out when the layers are called."""
        history = [name, node - (name in self.nested), tensor]
        config = {"shape": [None], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    def ends(self, structure: Any, sequential: Collection[str]) -> Any:  # noqa: ANN401 - as call
        """Rewrite the inputs or outputs; Keras 3 still counts a nested functional model's calls from 1 here."""
        match structure:
            case [str(name), int(node), int(tensor)] if name in self.names:
                return [name, node - (name in self.nested and name in sequential), tensor]
            case [only] if isinstance(only, list):
                return self.ends(only, sequential)
            case list():
                return [self.ends(each, sequential) for each in structure]
            case dict():
                return {key: self.ends(each, sequential) for key, each in structure.items()}
        return structure


def _arguments_of(node: Any) -> Spec:  # noqa: ANN401 - anything that JSON holds
    """Return the arguments that are written beside the first tensor of a call."""
    match node:
        case [str(), int(), _, dict() as arguments, *_]:
            return arguments
        case [str(), *_]:
            return {}
        case list() if node:
            return _arguments_of(node[0])
        case dict() if node:
            return _arguments_of(next(iter(node.values())))
    return {}

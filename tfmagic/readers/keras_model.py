"""The form ``keras_model``: a live model of Keras 3, or of Keras 2 (``tf_keras``) where that is loaded.

Not for: Keras's files (``keras_file``), nor how a model is traced (:mod:`tfmagic.functions`).
"""

from __future__ import annotations

import contextlib
import json
import math
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from tfmagic import errors, functions
from tfmagic.files import protos
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import layer_costs
from tfmagic.frames import LayerRow, Shape, VariableRow
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.models.value_blocks import cut
from tfmagic.runtime import error_texts
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime.tensorflow import eager, is_loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tfmagic.files.keras.config import Wiring
    from tfmagic.functions import NamedFunction
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate
    from tfmagic.models.value_blocks import Values
    from tfmagic.runtime import tensorflow as runtime

_PACKAGES = frozenset({"keras", "tf_keras"})
_SEQUENTIAL = "Sequential"


class KerasModelReader(Reader):
    """Reads live Keras models: nothing is called on data, no weight moves."""

    form: ClassVar[str] = "keras_model"
    title: ClassVar[str] = "Keras model"
    parts: ClassVar[frozenset[Part]] = frozenset(
        {Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION, Part.KERAS}
    )
    costly: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES})
    has_free_key: ClassVar[bool] = True
    is_one_call: ClassVar[bool] = True
    looks_like: ClassVar[str] = "a live `keras.Model`, or a `tf_keras` one"
    is_live: ClassVar[bool] = True

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the object is a Keras model, by the names of its classes."""
        return is_keras(candidate.value) and any(base.__name__ == "Model" for base in type(candidate.value).__mro__)

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; it is traced when its graph, its signature or its function is asked for."""
        del tags
        model: runtime.Live = candidate.value
        traced = cache(partial(functions.trace_keras_model, model))
        graphs = cache(lambda: (MetaGraph.of_message(functions.meta_graphs.meta_graph_def([traced()])),))
        own: dict[Part, Callable[[], object]] = {
            Part.VARIABLES: lambda: tuple(_variable_rows(model)),
            Part.KERAS: lambda: tuple(_rows(model, "", trainable=True)),
        }
        in_tensorflow: dict[Part, Callable[[], object]] = {
            Part.GRAPH: graphs,
            Part.SIGNATURES: lambda: (functions.meta_graphs.signature_defs([traced()]),),
            Part.FUNCTION: lambda: partial(_function, traced),
        }
        obstacle = "" if keras_runtime.is_keras_2(model) else keras_runtime.no_way_to_tensorflow()
        unbuilt = "" if model.built else "the model is not built yet: call it once on data to see its graph and weights"
        lean = cache(lambda: (MetaGraph.of_message(functions.meta_graphs.meta_graph_def([traced()], shapes=False)),))
        described = Model(
            self.form,
            _origin(model),
            own if obstacle else own | in_tensorflow,
            tuple(filter(None, (obstacle, unbuilt))),
            live=model,
            values=_values(model),
            settings=partial(_settings, model),
            wiring=partial(_wiring, model),
            in_training=partial(_in_training, model),
            averaging=partial(self._averaged, candidate),
            averages_apart=partial(functions.keras_averages.apart, model),
            advice=obstacle,
            reader=self,
        )
        if obstacle:
            return described
        return replace(described, lean=lambda: replace(described, loaders={**described.loaders, Part.GRAPH: lean}))

    def _averaged(self, candidate: Candidate) -> Model:
        """Return the model of a copy whose weights are their moving averages."""
        copy = functions.keras_averages.averaged_copy(candidate.value)
        return replace(
            self.read(replace(candidate, value=copy), None), origin=_origin(candidate.value), ema=True, reader=self
        )

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that traces the model."""
        return source.serving(source.name)

    def holder(self, source: CodeSource) -> str:
        """Return the model."""
        return source.name


def is_keras(value: object) -> bool:
    """Say whether an object's class is one of Keras's, or made from one."""
    return any(str(base.__module__).partition(".")[0] in _PACKAGES for base in type(value).__mro__)


def _origin(model: runtime.Live) -> str:
    """Word what the model is: its name, and its class if that is the user's own."""
    own = type(model)
    package = next(base.__module__ for base in own.__mro__ if base.__name__ == "Model").partition(".")[0]
    if own.__module__.partition(".")[0] not in _PACKAGES:
        return f"{package}.Model {model.name!r} ({own.__name__})"
    return f"{package}.{'Sequential' if own.__name__ == 'Sequential' else 'Model'} {model.name!r}"


def _function(traced: Callable[[], NamedFunction], key: str | None = None) -> NamedFunction:
    signatures.choose({signatures.DEFAULT_KEY: None}, key)
    return functions.with_values(traced())


def _variable_rows(model: runtime.Live) -> Iterator[VariableRow]:
    """Yield the rows of a model's variables; freezing a layer changes Keras's flag and not TensorFlow's."""
    for (name, variable), own in zip(functions.keras_models.variables(model), model.variables, strict=True):
        yield variable_row(name, variable)._replace(trainable=bool(own.trainable))


def _values(model: runtime.Live) -> Callable[[VariableRow], Values]:
    """Return what reads a variable; to list all of a large model's for each takes longer than to read it."""
    known: WeakValueDictionary[str, runtime.Live] = WeakValueDictionary()

    def values(row: VariableRow) -> Values:
        # One that a layer has made anew meanwhile is gone.
        if row.name not in known:
            known.update(functions.keras_models.variables(model))
        return live_values(row.name, known)

    return values


def live_values(name: str, variables: Mapping[str, runtime.Live]) -> Values:
    """Return the values that a live variable has now.

    Raises
    ------
    ReadError
        If it is gone, or does not tell them.
    """
    if name not in variables:
        raise errors.ReadError(f"the live object has no variable {name!r} any more; inspect it again")
    # Where TensorFlow is not loaded, the variable is of another backend of Keras', which needs none of it.
    with eager() if is_loaded() else nullcontext():
        try:
            return cut(np.asarray(variables[name].numpy()))
        except (RuntimeError, NotImplementedError, AttributeError) as error:
            raise errors.ReadError(
                f"the value of {name!r} cannot be read: {error_texts.gist(error)}; inspect the model again"
            ) from error


def variable_row(name: str, variable: runtime.Live) -> VariableRow:
    """Return the row of a live variable of TensorFlow's, or of Keras's where it computes with something else."""
    is_tensorflow = hasattr(variable.dtype, "base_dtype")
    shape: Shape = tuple(variable.shape) if not is_tensorflow or variable.shape.rank is not None else None
    size = None if shape is None or None in shape else math.prod(each or 0 for each in shape)
    dtype = variable.dtype.base_dtype.name if is_tensorflow else str(variable.dtype)
    item = protos.item_size(dtype)
    size_bytes = None if size is None or item is None else size * item
    return VariableRow(name, dtype, shape, size, size_bytes, bool(variable.trainable))


def _rows(model: runtime.Live, prefix: str, *, trainable: bool) -> Iterator[LayerRow]:
    """Yield a row for each layer of a model, a nested model's own after it, their names below its name."""
    layers = _layers(model)
    sources = _sources(model, layers)
    for layer in layers:
        is_trained = _trainable(layer) if trainable else False
        is_model = hasattr(layer, "layers") and is_keras(layer)
        inner = list(_rows(layer, f"{prefix}{layer.name}/", trainable=is_trained is not False)) if is_model else []
        own = [row for row in inner if "/" not in row.name.removeprefix(f"{prefix}{layer.name}/")]
        output = _first_output(layer)
        yield LayerRow(
            prefix + layer.name,
            type(layer).__name__,
            tuple(prefix + source for source in sources[layer.name]),
            tuple(prefix + other for other, names in sources.items() if layer.name in names),
            _shape(output),
            _parameters(layer),
            is_trained,
            _bytes(layer),
            layer_costs.total(row.flops for row in own) if is_model else _flops(layer, output),
            layer_costs.activation_bytes(_shape(output), _dtype(output)),
        )
        yield from inner


def _flops(layer: runtime.Live, output: runtime.Live) -> int | None:
    """Return the operations of the first call of a layer of Keras's own; what a user's does no name tells."""
    if type(layer).__module__.partition(".")[0] not in _PACKAGES:
        return None
    inputs = [_shape(tensor) for tensor in _first_inputs(layer)]
    return layer_costs.flops(type(layer).__name__, _cost_arguments(layer), inputs, _shape(output))


def _cost_arguments(layer: runtime.Live) -> dict[str, object]:
    """Return what a layer's operations depend on; of functions and layers among it their names.

    Keras makes no difference in name between a constructor's argument and the attribute that keeps it.
    """
    stated = {key: getattr(layer, key) for key in layer_costs.ARGUMENTS if hasattr(layer, key)}
    activation = stated.get("activation")
    if activation is not None and not isinstance(activation, str):
        stated["activation"] = getattr(activation, "__name__", type(activation).__name__)
    # What a layer wraps; a Bidirectional makes two of it.
    wrapped = getattr(layer, "layer", getattr(layer, "forward_layer", None))
    if wrapped is not None:
        stated["layer"] = {"class_name": type(wrapped).__name__, "config": _cost_arguments(wrapped)}
    return stated


def _settings(model: runtime.Live, name: str) -> Mapping[str, object]:
    """Return the arguments of a layer's constructor; one of a user's own may not tell them."""
    layer = model
    for part in name.split("/"):
        layer = next((each for each in _layers(layer) if each.name == part), None)
        if layer is None:
            return {}
    try:
        settings = layer.get_config()
    except Exception:  # noqa: BLE001 - a layer of the user's raises whatever it likes, NotImplementedError by Keras' rule
        return {}
    return _with_vocabulary(layer, settings) if isinstance(settings, dict) else {}


def _with_vocabulary(layer: runtime.Live, settings: dict[str, object]) -> Mapping[str, object]:
    """Return a layer's arguments with the words that it has learned, as its file has them beside its config."""
    if settings.get("vocabulary", "") is not None or not hasattr(layer, "get_vocabulary"):
        return settings
    with contextlib.suppress(Exception):  # one of the user's own; or nothing was learned yet
        words = layer.get_vocabulary()
        return {**settings, "vocabulary": [str(word) for word in words]} if words else settings
    return settings


def _wiring(model: runtime.Live) -> Wiring | None:
    """Return what the layers take from one another, as Keras would write it; None where it cannot write the model."""
    kind = _SEQUENTIAL if _is_sequential(model) else "Functional"
    try:
        config = json.loads(json.dumps({"class_name": kind, "config": model.get_config()}, default=str))
    except Exception:  # noqa: BLE001 - as above
        return None
    return keras_config.Structure(config).wiring


def _in_training(model: runtime.Live, prefix: str = "") -> list[str]:
    """Return the layers that are called with ``training=True``, those of nested models by the way to them."""
    own = [f"{prefix}{name}" for name in keras_runtime.called_in_training(model)]
    nested = (layer for layer in _layers(model) if getattr(layer, "layers", None))
    return [*own, *(name for layer in nested for name in _in_training(layer, f"{prefix}{layer.name}/"))]


def _layers(model: runtime.Live) -> list[runtime.Live]:
    """Return a model's own layers, an InputLayer and a functional model's plain operations among them."""
    if getattr(model, "operations", None):
        return list(model.operations)
    listed = list(model.layers)
    inputs = keras_runtime.inputs_of(model) if _is_sequential(model) else None
    if inputs is not None:
        first = _made_by(inputs[0])
        return listed if first is None or first in listed else [first, *listed]
    return listed


def _is_sequential(model: object) -> bool:
    return any(base.__name__ == _SEQUENTIAL for base in type(model).__mro__)


def _made_by(tensor: runtime.Live) -> runtime.Live:
    """Return the layer that made a symbolic tensor; Keras 3 calls it operation, Keras 2 layer."""
    history = getattr(tensor, "_keras_history", None)
    return getattr(history, "operation", None) or getattr(history, "layer", None)


def _sources(model: runtime.Live, layers: list[runtime.Live]) -> dict[str, tuple[str, ...]]:
    """Return the names of the layers that each layer consumes, inside this model."""
    names = [layer.name for layer in layers]
    if _is_sequential(model):
        return {name: tuple(names[max(0, place - 1) : place]) for place, name in enumerate(names)}
    calls = {id(node) for nodes in getattr(model, "_nodes_by_depth", {}).values() for node in nodes}
    return {layer.name: tuple(dict.fromkeys(_consumed(layer, calls))) for layer in layers}


def _consumed(layer: runtime.Live, calls: set[int]) -> Iterator[str]:
    """Yield the names of the layers that a layer's calls consume, of those calls that are the model's."""
    for node in layer._inbound_nodes if calls else ():  # noqa: SLF001 - there is no public way to a layer's calls
        if id(node) in calls:
            tensors = getattr(node, "input_tensors", ())
            makers = map(_made_by, tensors if isinstance(tensors, list | tuple) else [tensors])
            yield from (maker.name for maker in makers if maker is not None and maker is not layer)


def _first_output(layer: runtime.Live) -> runtime.Live:
    """Return a layer's first output at its first call, None if it was called on data only."""
    try:
        outputs = layer._inbound_nodes[0].outputs  # noqa: SLF001 - as in _consumed
    except (AttributeError, IndexError):
        return None
    return outputs[0] if isinstance(outputs, list | tuple) and outputs else outputs


def _first_inputs(layer: runtime.Live) -> list[runtime.Live]:
    """Return what a layer's first call consumes."""
    try:
        tensors = layer._inbound_nodes[0].input_tensors  # noqa: SLF001 - as in _consumed
    except (AttributeError, IndexError):
        return []
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _shape(tensor: runtime.Live) -> Shape:
    return tuple(tensor.shape) if getattr(tensor, "shape", None) is not None else None


def _dtype(tensor: runtime.Live) -> str | None:
    dtype = getattr(tensor, "dtype", None)
    return None if dtype is None else str(getattr(dtype, "name", dtype))


def _parameters(layer: runtime.Live) -> int | None:
    """Count the elements of a layer's weights, None before it is built."""
    if not hasattr(layer, "count_params"):
        return 0
    return int(layer.count_params()) if layer.built else None


def _bytes(layer: runtime.Live) -> int | None:
    """Return the bytes of a layer's weights, None before it is built and of dtypes without a size."""
    if not hasattr(layer, "count_params"):
        return 0
    sizes = [protos.item_size(str(getattr(each.dtype, "name", each.dtype))) for each in layer.weights]
    if not layer.built or None in sizes:
        return None
    return sum(int(math.prod(each.shape)) * (size or 0) for each, size in zip(layer.weights, sizes, strict=True))


def _trainable(layer: runtime.Live) -> bool | None:
    """Say whether a layer is trained; neither an input nor a plain operation can be."""
    is_layer = hasattr(layer, "trainable") and type(layer).__name__ != "InputLayer"
    return bool(layer.trainable) if is_layer else None

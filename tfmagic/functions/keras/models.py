"""Trace a live Keras model in inference mode, under the names that its user gave.

An input is named after its InputLayer, its key in a dict, or the argument of ``call``; an output after its key in a
dict or the layer that made it, those that repeat numbered (``shared``, ``shared_1``). A subclassed model is itself
what made its outputs. The first dimension of every input is left open. Not for: layers and weights as tables.
"""

from __future__ import annotations

import contextlib
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.functions.named_function import NamedFunction, endpoint, graph_notes
from tfmagic.graphs.signatures import DEFAULT_KEY
from tfmagic.runtime import error_texts, name_scopes
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: What a model without a shape for its inputs still has.
_UNBUILT_PARTS = ("variables", "keras")
#: Arguments of ``call`` that are Keras's own.
_KERAS_ARGUMENTS = frozenset({"training", "mask"})
#: Layers that take strings. Keras does not record the dtypes that a subclassed model is called with.
_STRING_LAYERS = frozenset({"StringLookup", "TextVectorization", "Hashing"})


class Call(NamedTuple):
    """How a model is called: the arguments as nested TensorSpecs, and the names of its ends."""

    args: tuple[runtime.Live, ...]
    kwargs: Mapping[str, runtime.Live]
    input_keys: list[str]
    #: The names of the layers that made the outputs, as nested as they are; None for a subclassed model.
    producers: object | None
    #: Whether Keras knows the dtypes of the inputs.
    typed: bool

    @property
    def specs(self) -> list[runtime.Live]:
        """The TensorSpecs in the user's order."""
        return [spec for _, spec in nested_structures.leaves((self.args, dict(self.kwargs)))]

    def with_specs(self, specs: Iterator[runtime.Live]) -> Call:
        """Return the call on other specs."""
        args, kwargs = nested_structures.rebuild((self.args, dict(self.kwargs)), specs)
        return self._replace(args=args, kwargs=kwargs)


def trace(model: runtime.Live, key: str = DEFAULT_KEY) -> NamedFunction:
    """Trace a model with ``training=False``.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        A built model; it is left as it is, no weight and no seed moves.
    key : str
        The key of the signature.

    Raises
    ------
    MissingPartError
        If the model is not built, or Keras did not record what it is called with; says what to do.
    ConversionError
        If the model does not trace; Keras's own error is the cause.
    """
    call = call_of(model)
    first: Exception | None = None
    with runtime.eager():
        for attempt, notes in _attempts(model, call):
            try:
                return _traced(model, attempt, key, notes)
            except Exception as error:  # noqa: BLE001 - a model's code may raise anything
                first = first or error
    raise errors.ConversionError(
        f"the Keras model {model.name!r} cannot be traced with training=False on {call.specs}: "
        f"{error_texts.gist(first)}"
    ) from first


def trace_between(
    model: runtime.Live,
    inputs: Mapping[str, object] | None,
    outputs: Mapping[str, object] | None,
    key: str = DEFAULT_KEY,
) -> NamedFunction:
    """Trace the part of a Functional model between some of its own symbolic tensors, with ``training=False``.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        Its layers and their calls stay as they are.
    inputs, outputs : mapping of str to KerasTensor or str, or None
        By the keys that they are to have: ``model.input``, ``layer.output``, or the key of an input or output of the
        model or the name of a layer. Those of the model where none are given.
    key : str
        The key of the signature.

    Raises
    ------
    MissingPartError
        If the model is not built.
    UnknownNameError
        If there is no layer, input or output of a name.
    ConversionError
        If the outputs need more than the inputs; Keras's own error is the cause.
    """
    known = _symbolic(model)
    starts = {one: _symbol(tensor, known) for one, tensor in (inputs or dict(known.inputs)).items()}
    stops = {one: _symbol(tensor, known) for one, tensor in (outputs or dict(known.outputs)).items()}
    tf = runtime.tensorflow()
    names = nested_structures.identifiers(starts)
    specs = [
        tf.TensorSpec(_open(tf.TensorShape(tensor.shape)), tensor.dtype, name=name)
        for tensor, name in zip(starts.values(), names, strict=True)
    ]
    marked: dict[str, str] = {}
    with runtime.eager():
        try:
            part = _function_between(model, list(starts.values()), list(stops.values()))

            def serve(*tensors: runtime.Live) -> dict[str, runtime.Live]:
                name_scopes.forget_empty_scopes()
                with tf.name_scope(model.name):
                    results = part(list(tensors))
                named = zip(stops, nested_structures.identifiers(stops), results, strict=True)
                tensors_by_key = {one: tf.identity(result, name=name) for one, name, result in named}
                marked.update((one, tensor.name) for one, tensor in tensors_by_key.items())
                return tensors_by_key

            concrete = tf.function(serve, input_signature=specs, autograph=False).get_concrete_function()
        except Exception as error:  # Keras raises anything
            raise errors.ConversionError(
                f"the Keras model {model.name!r} cannot be traced from {errors.listed(starts)} to "
                f"{errors.listed(stops)}: {error_texts.gist(error)}"
            ) from error
    ends = {tensor.name: tensor for tensor in concrete.inputs}
    order = sorted(marked)
    owned = dict(variables(model))
    return NamedFunction(
        concrete,
        tuple(endpoint(one, ends[f"{name}:0"]) for one, name in zip(starts, names, strict=True)),
        tuple(endpoint(one, concrete.graph.get_tensor_by_name(name)) for one, name in marked.items()),
        tuple(order.index(one) for one in marked),
        key,
        owner=_owner(model, owned.values(), concrete),
        variables=owned,
        notes=graph_notes(concrete.graph),
    )


def is_symbolic(tensor: object) -> bool:
    """Say whether an object is a symbolic tensor of Keras's: what a layer gives before it is run."""
    return type(tensor).__name__ == "KerasTensor"


class _Symbolic(NamedTuple):
    """The symbolic tensors of a model: its inputs and outputs by key, each layer's output by its name."""

    inputs: dict[str, runtime.Live]
    outputs: dict[str, runtime.Live]
    layers: dict[str, runtime.Live]


def _symbolic(model: runtime.Live) -> _Symbolic:
    if keras_runtime.inputs_of(model) is None:
        raise unbuilt(model)
    call = call_of(model)
    outputs = [tensor for _, tensor in nested_structures.leaves(model.outputs)]
    keys = nested_structures.unique(_producer(tensor) for tensor in outputs)
    layers = {}
    for layer in model.layers:
        with contextlib.suppress(AttributeError, ValueError):  # one that is called twice has no single output
            if is_symbolic(layer.output):
                layers[layer.name] = layer.output
    inputs = [tensor for _, tensor in nested_structures.leaves(model.inputs)]
    return _Symbolic(dict(zip(call.input_keys, inputs, strict=True)), dict(zip(keys, outputs, strict=True)), layers)


def _symbol(tensor: object, known: _Symbolic) -> runtime.Live:
    """Return the tensor that is meant: itself, an end by its key, a layer's output by the layer's name."""
    if is_symbolic(tensor):
        return tensor
    symbols = {**known.layers, **known.outputs, **known.inputs}
    name = str(tensor).removesuffix(":0")
    if name not in symbols:
        raise errors.UnknownNameError(name, "layer", symbols)
    return symbols[name]


def _function_between(
    model: runtime.Live, inputs: list[runtime.Live], outputs: list[runtime.Live]
) -> Callable[[Any], Any]:
    """Return a call of the layers between symbolic tensors; it adds nothing to what the layers know of their calls."""
    if is_keras_2(model):
        part = keras_runtime.tf_keras().Model(inputs, outputs, name=model.name)
        return lambda tensors: part(tensors, training=False) if len(outputs) > 1 else [part(tensors, training=False)]
    function: Callable[[Any], Any] = keras_runtime.keras().Function(inputs, outputs)
    return function


def call_of(model: runtime.Live) -> Call:
    """Find out how a model is called, its inputs as shaped as they were when it was built."""
    if is_keras_2(model):
        return _keras_2_call(model)
    if keras_runtime.inputs_of(model) is not None:
        return _functional_call(model)
    return _subclassed_call(model)


def is_keras_2(model: object) -> bool:
    """Say whether a model is one of ``tf_keras``."""
    return any(str(base.__module__).partition(".")[0] == "tf_keras" for base in type(model).__mro__)


def _attempts(model: runtime.Live, call: Call) -> Iterator[tuple[Call, tuple[str, ...]]]:
    """Yield the calls to try: with the batch left open, with other dtypes, and as the model was built."""
    tf = runtime.tensorflow()
    keeps_batch = any(getattr(layer, "stateful", False) is True for layer in model.layers)
    opened = call.with_specs(tf.TensorSpec(_open(spec.shape), spec.dtype) for spec in call.specs)
    for dtype in _guessed_dtypes(model, call):
        guessed = opened.with_specs(tf.TensorSpec(spec.shape, dtype) for spec in opened.specs)
        yield guessed, (f"Keras did not record the dtype of the inputs: {dtype} is taken, as the model traces with it",)
    if not keeps_batch:
        yield opened, ()
    yield call, ("the model needs a batch of the size that it was built with",)


def _guessed_dtypes(model: runtime.Live, call: Call) -> tuple[str, ...]:
    """Return the dtypes to try before the model's own: a number would pass for a word, and find nothing."""
    if call.typed:
        return ()
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers  # noqa: SLF001
    return ("string",) if any(type(layer).__name__ in _STRING_LAYERS for layer in layers) else ()


def _open(shape: runtime.Live) -> runtime.Live:
    return shape if not shape.rank else [None, *shape.as_list()[1:]]


def _traced(model: runtime.Live, call: Call, key: str, notes: tuple[str, ...]) -> NamedFunction:
    """Trace a call into a function from named tensors to a dict of named tensors."""
    tf = runtime.tensorflow()
    names = nested_structures.identifiers(call.input_keys)
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for spec, name in zip(call.specs, names, strict=True)]
    marked: dict[str, tuple[str, nested_structures.Path]] = {}
    forget = tf.autograph.experimental.do_not_convert(name_scopes.forget_empty_scopes)
    pack = tf.autograph.experimental.do_not_convert(
        lambda tensors: nested_structures.rebuild((call.args, call.kwargs), tensors)
    )
    label = tf.autograph.experimental.do_not_convert(lambda result: _label(model, call, result, marked))

    owned = dict(variables(model))
    called = partial(model, training=False)
    if not is_keras_2(model) and keras_runtime.backend() == "jax":
        on_jax, values = keras_runtime.on_jax(model, call.args, call.kwargs)
        called = tf.autograph.experimental.do_not_convert(on_jax)
        owned = dict(zip(owned, values, strict=True))

    def serve(*tensors: runtime.Live) -> runtime.Live:
        forget()
        args, kwargs = pack(iter(tensors))
        return label(called(*args, **kwargs))

    concrete = tf.function(serve, input_signature=specs).get_concrete_function()
    ends = {tensor.name: tensor for tensor in concrete.inputs}
    inputs = tuple(endpoint(one, ends[f"{name}:0"]) for one, name in zip(call.input_keys, names, strict=True))
    outputs = tuple(endpoint(one, concrete.graph.get_tensor_by_name(name)) for one, (name, _) in marked.items())
    order = sorted(marked)
    return NamedFunction(
        concrete, inputs, outputs, tuple(order.index(one) for one in marked), key,
        owner=_owner(model, owned.values(), concrete), variables=owned, notes=(*notes, *graph_notes(concrete.graph)),
        model=model, returned={one: path for one, (_, path) in marked.items()},
    )  # fmt: skip


def _label(
    model: runtime.Live, call: Call, result: object, marked: dict[str, tuple[str, nested_structures.Path]]
) -> dict[str, runtime.Live]:
    """Put an Identity with the user's name on each result, and note its tensor and where the result has it."""
    tf = runtime.tensorflow()
    leaves = list(nested_structures.leaves(result))
    paths = [path for path, _ in leaves]
    keys = nested_structures.unique(_output_keys(model, call, paths))
    tensors = [
        tf.identity(leaf, name=name)
        for name, (_, leaf) in zip(nested_structures.identifiers(keys), leaves, strict=True)
    ]
    marked.update((one, (each.name, path)) for one, each, path in zip(keys, tensors, paths, strict=True))
    return dict(zip(keys, tensors, strict=True))


def _output_keys(model: runtime.Live, call: Call, paths: list[nested_structures.Path]) -> list[str]:
    makers = [name for _, name in nested_structures.leaves(call.producers)]
    if len(makers) != len(paths):
        makers = [model.name] * len(paths)
    return [nested_structures.key(path) or maker for path, maker in zip(paths, makers, strict=True)]


def _owner(model: runtime.Live, weights: Iterable[runtime.Live], concrete: runtime.Live) -> runtime.Live:
    """Hold what the function captures so that it can be saved: the variables, and the model for its tables.

    Saving a Keras 3 model itself writes its weights twice, so it comes along only where a table makes it.
    """
    tf = runtime.tensorflow()
    owner = tf.Module()
    owner.weights = list(weights)
    handles = {id(value.handle) for value in owner.weights}
    if any(outer.dtype == tf.resource and id(outer) not in handles for outer, _ in concrete.graph.captures):
        owner.model = model
    return owner


def variables(model: runtime.Live) -> Iterator[tuple[str, runtime.Live]]:
    """Yield each variable of a model under its Keras path: TensorFlow's own, or Keras's on another backend."""
    listed = [(getattr(one, "path", None) or one.name.partition(":")[0], one) for one in model.variables]
    names = nested_structures.unique(name for name, _ in listed)
    # Keras 3 wraps TensorFlow's variable; in Keras 2 `value` is a method of it.
    for name, (_, variable) in zip(names, listed, strict=True):
        is_inner = callable(getattr(variable, "value", None)) or keras_runtime.backend() != "tensorflow"
        yield name, variable if is_inner else variable.value


def _functional_call(model: runtime.Live) -> Call:
    """Read the ends of a Functional or Sequential model from its symbolic tensors."""
    sequential = isinstance(model, keras_runtime.keras().Sequential)
    inputs = model.inputs[0] if sequential else model.input
    outputs = model.outputs[0] if sequential else model.output
    flat = list(nested_structures.leaves(inputs))
    keys = nested_structures.unique(nested_structures.key(path) or _producer(tensor) for path, tensor in flat)
    tf = runtime.tensorflow()
    specs = nested_structures.rebuild(inputs, (tf.TensorSpec(tensor.shape, tensor.dtype) for _, tensor in flat))
    producers = nested_structures.rebuild(
        outputs, (_producer(tensor) for _, tensor in nested_structures.leaves(outputs))
    )
    return Call((specs,), {}, keys, producers, typed=True)


def _producer(tensor: runtime.Live) -> str:
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name if history is not None else tensor.name)


def _subclassed_call(model: runtime.Live) -> Call:
    """Read what a subclassed model is called with from the shapes that Keras recorded when it built it."""
    config = model.get_build_config() if model.built else None
    parameters = _parameters(model.call)
    if not config or not parameters:
        raise unbuilt(model)
    first = next(iter(parameters))
    shapes = config.get("shapes_dict") or {f"{first}_shape": config["input_shape"]}
    specs = {name.removesuffix("_shape"): _specs(shape, model.variable_dtype) for name, shape in shapes.items()}
    missing = [name for name, required in parameters.items() if required and name not in specs]
    if missing or not set(specs) <= set(parameters):
        raise _unrecorded(model, missing or sorted(set(specs) - set(parameters)))
    keys = [nested_structures.key(path[1:]) or _numbered(path) for path, _ in nested_structures.leaves(specs)]
    return Call((), specs, nested_structures.unique(keys), None, typed=False)


def _numbered(path: nested_structures.Path) -> str:
    return "_".join(str(step) for step in path)


def _parameters(call: Callable[..., Any]) -> dict[str, bool]:
    """Return the names of the arguments of ``call`` that may be tensors, and whether each is required."""
    named = [one for one in inspect.signature(call).parameters.values() if one.name not in _KERAS_ARGUMENTS]
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {one.name: one.default is one.empty for one in named if one.kind not in variadic}


def _specs(shapes: runtime.Live, dtype: str) -> runtime.Live:
    """Turn nested shapes into nested TensorSpecs: a shape is a sequence of numbers and None."""
    if isinstance(shapes, list | tuple) and all(size is None or isinstance(size, int) for size in shapes):
        return runtime.tensorflow().TensorSpec(tuple(shapes), dtype)
    if hasattr(shapes, "items"):
        return {key: _specs(inner, dtype) for key, inner in shapes.items()}
    return [_specs(inner, dtype) for inner in shapes or ()]


def _keras_2_call(model: runtime.Live) -> Call:
    """Read how a model of Keras 2 is called from the specs that it keeps for saving."""
    spec = model.save_spec(dynamic_batch=False)
    if spec is None:
        raise unbuilt(model)
    args, kwargs = spec
    kwargs = {name: value for name, value in kwargs.items() if name not in _KERAS_ARGUMENTS}
    names = list(_parameters(model.call))
    layered = list(getattr(model, "input_names", None) or ())
    paths = [path for path, _ in nested_structures.leaves(args)]
    if len(layered) != len(paths):
        layered = [names[int(path[0])] if int(path[0]) < len(names) else f"input_{path[0]}" for path in paths]
    keys = [nested_structures.key(path) or name for path, name in zip(paths, layered, strict=True)]
    keys += [nested_structures.key(path[1:]) or str(path[0]) for path, _ in nested_structures.leaves(kwargs)]
    producers = list(getattr(model, "output_names", None) or ()) or None
    return Call(tuple(args), kwargs, nested_structures.unique(keys), producers, typed=True)


def unbuilt(model: runtime.Live) -> errors.MissingPartError:
    """Say that a model has no graph yet, and how it gets one."""
    advice = (
        f"The model {model.name!r} is not built, so nobody knows the shape of its inputs: call it once on data, "
        "call model.build(input_shape), or begin it with keras.Input(...)"
    )
    return errors.MissingPartError("graph", "keras_model", _UNBUILT_PARTS, advice)


def _unrecorded(model: runtime.Live, names: list[str]) -> errors.MissingPartError:
    advice = (
        f"Keras recorded the shape of the first argument of {type(model).__name__}.call only, and it also takes "
        f"{errors.listed(names)}: pass all tensors as one dict, or give a function with an input_signature, such as "
        "tf.function(lambda ...: model(..., training=False), input_signature=[tf.TensorSpec(...), ...])"
    )
    return errors.MissingPartError("graph", "keras_model", _UNBUILT_PARTS, advice)

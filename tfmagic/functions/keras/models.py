"""Trace a live Keras model in inference mode, under the names that its user gave.

Names that repeat are numbered (``shared``, ``shared_1``), and the first dimension of every input is left open. Not for:
how a model is called, and what its user calls its ends (:mod:`tfmagic.functions.keras.calls`), nor layers and weights
as tables.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.functions.keras import calls
from tfmagic.functions.named_function import NamedFunction, endpoint, graph_notes
from tfmagic.graphs.signatures import DEFAULT_KEY
from tfmagic.runtime import error_texts, name_scopes
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: Layers that take strings. Keras does not record the dtypes that a subclassed model is called with.
_STRING_LAYERS = frozenset({"StringLookup", "TextVectorization", "Hashing"})


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
    call = calls.call_of(model)
    first: Exception | None = None
    with runtime.eager():
        for attempt, notes in _attempts(model, call):
            try:
                return _traced(model, attempt, key, notes)
            except Exception as error:  # noqa: BLE001 - a model's code may raise anything
                first = first or error
    raise errors.ConversionError(
        f"the Keras model {model.name!r} cannot be traced with training=False on {call.specs}: "
        f"{error_texts.gist(first)}; mend its call, or give a tf.function of it that has an input_signature"
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
                with name_scopes.without_empty_scopes(), tf.name_scope(model.name):
                    results = part(list(tensors))
                named = zip(stops, nested_structures.identifiers(stops), results, strict=True)
                tensors_by_key = {one: tf.identity(result, name=name) for one, name, result in named}
                marked.update((one, tensor.name) for one, tensor in tensors_by_key.items())
                return tensors_by_key

            concrete = tf.function(serve, input_signature=specs, autograph=False).get_concrete_function()
        except Exception as error:  # Keras raises anything
            raise errors.ConversionError(
                f"the Keras model {model.name!r} cannot be traced from {errors.listed(starts)} to "
                f"{errors.listed(stops)}: {error_texts.gist(error)}; "
                "choose others, between which the layers take nothing else"
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
        notes=graph_notes(concrete),
    )


def is_symbolic(tensor: object) -> bool:
    """Say whether an object is a symbolic tensor of Keras's: what a layer gives before it is run."""
    return type(tensor).__name__ == "KerasTensor"


def named_layers(model: runtime.Live) -> set[str]:
    """Return the names by which a live model's layers stand for their outputs; no name of its inputs and outputs."""
    if keras_runtime.inputs_of(model) is None:
        return set()
    known = _symbolic(model)
    return known.layers.keys() - known.inputs.keys() - known.outputs.keys()


class _Symbolic(NamedTuple):
    """The symbolic tensors of a model: its inputs and outputs by key, each layer's output by its name."""

    inputs: dict[str, runtime.Live]
    outputs: dict[str, runtime.Live]
    layers: dict[str, runtime.Live]


def _symbolic(model: runtime.Live) -> _Symbolic:
    if keras_runtime.inputs_of(model) is None:
        raise calls.unbuilt(model)
    call = calls.call_of(model)
    outputs = [tensor for _, tensor in nested_structures.leaves(model.outputs)]
    keys = nested_structures.unique(calls.producer(tensor) for tensor in outputs)
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
    if keras_runtime.is_keras_2(model):
        part = keras_runtime.tf_keras().Model(inputs, outputs, name=model.name)
        return lambda tensors: part(tensors, training=False) if len(outputs) > 1 else [part(tensors, training=False)]
    function: Callable[[Any], Any] = keras_runtime.keras().Function(inputs, outputs)
    return function


def _attempts(model: runtime.Live, call: calls.Call) -> Iterator[tuple[calls.Call, tuple[str, ...]]]:
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


def _guessed_dtypes(model: runtime.Live, call: calls.Call) -> tuple[str, ...]:
    """Return the dtypes to try before the model's own: a number would pass for a word, and find nothing."""
    if call.typed:
        return ()
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers  # noqa: SLF001
    return ("string",) if any(type(layer).__name__ in _STRING_LAYERS for layer in layers) else ()


def _open(shape: runtime.Live) -> runtime.Live:
    return shape if not shape.rank else [None, *shape.as_list()[1:]]


def _traced(model: runtime.Live, call: calls.Call, key: str, notes: tuple[str, ...]) -> NamedFunction:
    """Trace a call into a function from named tensors to a dict of named tensors."""
    tf = runtime.tensorflow()
    names = nested_structures.identifiers(call.input_keys)
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for spec, name in zip(call.specs, names, strict=True)]
    marked: dict[str, tuple[str, nested_structures.Path]] = {}
    mended_scopes = tf.autograph.experimental.do_not_convert(name_scopes.without_empty_scopes)
    pack = tf.autograph.experimental.do_not_convert(
        lambda tensors: nested_structures.rebuild((call.args, call.kwargs), tensors)
    )
    label = tf.autograph.experimental.do_not_convert(lambda result: _label(model, call, result, marked))

    owned = dict(variables(model))
    called = partial(model, training=False)
    if not keras_runtime.is_keras_2(model) and keras_runtime.backend() == "jax":
        on_jax, values = keras_runtime.on_jax(model, call.args, call.kwargs)
        called = tf.autograph.experimental.do_not_convert(on_jax)
        owned = dict(zip(owned, values, strict=True))

    def serve(*tensors: runtime.Live) -> runtime.Live:
        args, kwargs = pack(iter(tensors))
        with mended_scopes():
            result = called(*args, **kwargs)
        return label(result)

    concrete = tf.function(serve, input_signature=specs).get_concrete_function()
    ends = {tensor.name: tensor for tensor in concrete.inputs}
    inputs = tuple(endpoint(one, ends[f"{name}:0"]) for one, name in zip(call.input_keys, names, strict=True))
    outputs = tuple(endpoint(one, concrete.graph.get_tensor_by_name(name)) for one, (name, _) in marked.items())
    order = sorted(marked)
    return NamedFunction(
        concrete, inputs, outputs, tuple(order.index(one) for one in marked), key,
        owner=_owner(model, owned.values(), concrete), variables=owned, notes=(*notes, *graph_notes(concrete)),
        model=model, returned={one: path for one, (_, path) in marked.items()},
    )  # fmt: skip


def _label(
    model: runtime.Live, call: calls.Call, result: object, marked: dict[str, tuple[str, nested_structures.Path]]
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


def _output_keys(model: runtime.Live, call: calls.Call, paths: list[nested_structures.Path]) -> list[str]:
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

"""How a live Keras model is called: on which nested specs, and what its user calls its ends.

An input is named after its InputLayer, its key in a dict, or the argument of ``call``; an output after its key in a
dict or the layer that made it. A subclassed model is itself what made its outputs. Not for: tracing the call
(:mod:`tfmagic.functions.keras.models`).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: What a model without a shape for its inputs still has.
_UNBUILT_PARTS = ("variables", "keras")
#: Arguments of ``call`` that are Keras's own.
_KERAS_ARGUMENTS = frozenset({"training", "mask"})


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


def call_of(model: runtime.Live) -> Call:
    """Find out how a model is called, its inputs as shaped as they were when it was built."""
    if keras_runtime.is_keras_2(model):
        return _keras_2_call(model)
    if keras_runtime.inputs_of(model) is not None:
        return _functional_call(model)
    return _subclassed_call(model)


def _functional_call(model: runtime.Live) -> Call:
    """Read the ends of a Functional or Sequential model from its symbolic tensors."""
    sequential = isinstance(model, keras_runtime.keras().Sequential)
    inputs = model.inputs[0] if sequential else model.input
    outputs = model.outputs[0] if sequential else model.output
    flat = list(nested_structures.leaves(inputs))
    keys = nested_structures.unique(nested_structures.key(path) or producer(tensor) for path, tensor in flat)
    tf = runtime.tensorflow()
    specs = nested_structures.rebuild(inputs, (tf.TensorSpec(tensor.shape, tensor.dtype) for _, tensor in flat))
    producers = nested_structures.rebuild(
        outputs, (producer(tensor) for _, tensor in nested_structures.leaves(outputs))
    )
    return Call((specs,), {}, keys, producers, typed=True)


def producer(tensor: runtime.Live) -> str:
    """Return the name of the layer that made a symbolic tensor."""
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

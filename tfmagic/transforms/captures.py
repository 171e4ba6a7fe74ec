"""What a ConcreteFunction captured from outside: variables, lookup tables, tensors; and how to get at their values.

Not for: what becomes of them in a graph (:mod:`tfmagic.transforms.variable_reads`,
:mod:`tfmagic.transforms.lookup_tables`).
"""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.state.stored_variables import stored_value
from tfmagic.graphs.resources import own_state, python_calls
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.frozen_graph import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.initial_values import Stored
    from tfmagic.transforms.frozen_graph import Chunk


@dataclass(frozen=True)
class Captures:
    """The captures of a function, by the name of the placeholder that stands for each in its graph.

    Attributes
    ----------
    variables : mapping of str to tf.Variable
        The same variable may stand behind several placeholders.
    resources : mapping of str to tensor
        Handles of everything else with state: lookup tables, if it can be kept.
    tensors : mapping of str to tensor
        Eager tensors that were made outside.
    """

    variables: Mapping[str, runtime.Live]
    resources: Mapping[str, runtime.Live]
    tensors: Mapping[str, runtime.Live]

    def unique_variables(self) -> tuple[runtime.Live, ...]:
        """Return each variable once, in the order of their first use."""
        return tuple({id(variable): variable for variable in self.variables.values()}.values())


def captures(function: NamedFunction) -> Captures:
    """Sort what a function captured by what it is."""
    outside = function.concrete.captured_inputs
    inside = function.concrete.inputs[len(function.concrete.inputs) - len(outside) :]
    variables = _by_handle(function)
    by_kind: dict[str, dict[str, runtime.Live]] = {"variables": {}, "resources": {}, "tensors": {}}
    for tensor, placeholder in zip(outside, inside, strict=True):
        if id(tensor) in variables:
            kind, value = "variables", variables[id(tensor)]
        else:
            kind, value = "resources" if tensor.dtype.name in ("resource", "variant") else "tensors", tensor
        by_kind[kind][placeholder.op.name] = value
    return Captures(**by_kind)


def holders(function: NamedFunction, tensors: Mapping[str, runtime.Live]) -> dict[str, runtime.Live]:
    """Return the objects behind captured tensors, by the placeholder: tables by their handles, assets by their paths.

    A function out of a loaded model does not lead to its tables. They are searched for as TensorFlow does, to tell
    their names in its error (``saved_model/save.py``).
    """
    if not tensors:
        return {}
    tf = runtime.tensorflow()
    names = {id(tensor): name for name, tensor in tensors.items()}
    reachable = tf.train.TrackableView(function.owner).descendants() if _is_trackable(function.owner) else ()
    behind = {names[tensor]: each for each in reachable for tensor in _held(each) if tensor in names}
    hidden = [tensor for name, tensor in tensors.items() if name not in behind]
    behind.update((names[tensor], each) for each in _owners(hidden) for tensor in _held(each) if tensor in names)
    return behind


def _is_trackable(value: object) -> bool:
    return isinstance(value, runtime.tensorflow().__internal__.tracking.Trackable)


def _held(value: object) -> tuple[int, ...]:
    """Return the identities of the tensors by which a function captures an object."""
    return tuple(id(getattr(value, name)) for name in ("resource_handle", "asset_path") if hasattr(value, name))


def _owners(tensors: Sequence[runtime.Live]) -> Iterator[runtime.Live]:
    """Yield what may hold tensors as attributes: in a dict of its own, or itself."""
    if tensors:
        holders = gc.get_referrers(*tensors)
        holders += gc.get_referrers(*(each for each in holders if isinstance(each, dict)))
        yield from (each for each in holders if _is_trackable(each))


def assets(function: NamedFunction, captured: Captures) -> dict[str, runtime.Live]:
    """Return the assets whose paths a function captured, by the placeholder that stands for the path."""
    paths = {name: each for name, each in captured.tensors.items() if each.dtype == "string" and not each.shape.rank}
    return holders(function, paths)


def require_outside_state(function: NamedFunction, format: str) -> None:
    """Refuse a function whose file would not do what it does: with state inside its graph, or calls into Python.

    Raises
    ------
    UnsupportedConversionError
        Naming the ops.
    """
    graph_def = concrete_functions.graph_def(function.concrete)
    inside = own_state(graph_def)
    if inside:
        reason = (
            f"the ops {errors.listed(inside)} keep variables or tables inside the graph of {function.key!r}, as "
            "TensorFlow 1 does, and their content would be lost; if it was loaded from a directory, give that"
        )
        raise errors.UnsupportedConversionError("function", format, (), reason)
    require_no_python(graph_def, "function", format, repr(function.key))


def require_no_python(graph_def: protos.Message, form: str, format: str, owner: str) -> None:
    """Refuse a graph that calls back into Python: a file of it works in this process only.

    Raises
    ------
    UnsupportedConversionError
        Naming the ops.
    """
    python = python_calls(graph_def)
    if python:
        reason = (
            f"the ops {errors.listed(python)} of {owner} call back into Python (tf.py_function, tf.numpy_function, "
            "TFLite's interpreter), which works in this process only; write that step in TensorFlow ops, or choose "
            "inputs behind it"
        )
        raise errors.UnsupportedConversionError(form, format, (), reason)


def _by_handle(function: NamedFunction) -> dict[int, runtime.Live]:
    """Return the variables that the function may have captured, by the identity of their handles."""
    known = [*function.variables.values(), *function.concrete.graph.variables]
    return {id(variable.handle): variable for variable in known if hasattr(variable, "handle")}


def of_variable(variable: runtime.Live) -> Value:
    """Take a variable's value for a constant."""
    stored = stored_value(variable)
    return _value(variable, lambda: value_of(variable)) if stored is None else of_stored(stored)


def of_stored(stored: Stored) -> Value:
    """Take a value that lies somewhere for a constant."""
    strings = (lambda: texts(stored.read())) if stored.dtype == "string" else None
    return Value(stored.dtype, stored.shape, lambda: array_content(stored.read()), strings)


def array_of(variable: runtime.Live) -> np.ndarray:
    """Return a variable's present value as an array, without a copy where TensorFlow can."""
    stored = stored_value(variable)
    if stored is not None:
        return stored.read()
    return _array(value_of(variable))


def value_of(variable: runtime.Live) -> runtime.Live:
    """Return a variable's present value as an eager tensor, also while the user is building a graph.

    Raises
    ------
    ConversionError
        If it has none: a load that skipped its checkpoint, or failed, leaves a value of shape (0,) behind.
    """
    tf = runtime.tensorflow()
    stored = stored_value(variable)
    if stored is not None:
        with runtime.eager():
            return tf.constant(stored.read(), variable.dtype)
    value = None
    with runtime.eager(), contextlib.suppress(tf.errors.FailedPreconditionError, tf.errors.NotFoundError):
        # One of several devices knows itself which of its copies counts.
        is_one = hasattr(variable, "handle") and not hasattr(variable, "values")
        value = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype) if is_one else None
        value = variable.read_value() if value is None else value
    if value is None or not variable.shape.is_compatible_with(value.shape):
        held = "none" if value is None else f"one of shape {tuple(value.shape.as_list())}"
        raise errors.ConversionError(
            f"the variable {variable.name.partition(':')[0]!r} of shape {variable.shape} has no value, but {held}: it "
            "was not initialised, or not restored when its model was loaded; restore its values first"
        )
    return value


def of_tensor(tensor: runtime.Live) -> Value:
    """Take an eager tensor for a constant."""
    return _value(tensor, lambda: tensor)


def _value(source: runtime.Live, read: Callable[[], runtime.Live]) -> Value:
    if not source.shape.is_fully_defined():
        # Only the value says it, and the next one may have another.
        value = read()
        return _value(value, lambda: value)
    dtype, shape = source.dtype.name, tuple(source.shape.as_list())
    return Value(dtype, shape, lambda: content(read()), (lambda: strings(read())) if dtype == "string" else None)


def content(tensor: runtime.Live) -> Chunk:
    """Return the bytes of an eager tensor of numbers, without a copy where TensorFlow can."""
    return array_content(_array(tensor))


def _array(tensor: runtime.Live) -> np.ndarray:
    here = tensor if "CPU" in tensor.device else _here(tensor)
    try:
        return np.asarray(memoryview(here))
    except (BufferError, ValueError, TypeError, NotImplementedError):
        return np.asarray(here.numpy())  # text, or a dtype that numpy's buffers do not know, as bfloat16: copied


def _here(tensor: runtime.Live) -> runtime.Live:
    """Return an eager tensor of another device in this one's memory."""
    tf = runtime.tensorflow()
    with runtime.eager(), tf.device("CPU"):
        return tf.identity(tensor)


def strings(tensor: runtime.Live) -> protos.Message:
    """Return an eager tensor of strings as a TensorProto."""
    return texts(np.asarray(tensor.numpy(), dtype=object))


def texts(values: np.ndarray) -> protos.Message:
    """Return an array of bytes objects as a TensorProto."""
    result = protos.message("TensorProto")(dtype=protos.dtype_number("string"))
    result.tensor_shape.CopyFrom(protos.shape_proto(values.shape))
    result.string_val.extend(values.reshape(-1).tolist())
    return result


def of_array(values: np.ndarray) -> Value:
    """Take an array for a constant, objects for text."""
    if values.dtype.kind == "O":
        return Value("string", values.shape, lambda: b"", lambda: texts(values))
    return Value(values.dtype.name, values.shape, lambda: array_content(values))


def array_content(values: np.ndarray) -> Chunk:
    """Return the bytes of an array of numbers, as files have them."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False) if values.dtype.byteorder == ">" else values
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data if values.size else b""

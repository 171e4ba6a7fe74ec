"""Run a TensorFlow Lite file: its interpreter behind a function, so that it is called like any other model.

The function calls back into this process, so it can be run, compared and merged here, and not be saved. Not for: what
the file says of itself (:mod:`tfmagic.files.tflite.structure`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.files.reading import read_bytes
from tfmagic.files.tflite import renaming
from tfmagic.functions import nested_structures
from tfmagic.functions.named_function import NamedFunction, endpoint
from tfmagic.graphs.function_library import all_nodes
from tfmagic.runtime import litert
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.graphs.signatures import Endpoint


#: How the interpreter says that it lacks TensorFlow's own kernels.
_SELECTED = "Select TensorFlow op"
#: What Python calls the first argument of a method.
_PYTHONS_OWN = "self"


class Call(NamedTuple):
    """What is called: a signature of the file, or its first subgraph where it declares none.

    ``inputs`` and ``outputs`` are in the file's order; their tensors' names do not matter.
    """

    key: str
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]
    is_declared: bool
    #: The ops of the file that are TensorFlow's own.
    flex: tuple[str, ...] = ()


def load(path: Path, call: Call) -> NamedFunction:
    """Make a function of one signature.

    Raises
    ------
    ConversionError
        If there is nothing to compute, or the interpreter does not take the file: its ops are somebody's own.
    MissingDependencyError
        If its ops are TensorFlow's own, and the interpreter does not have them.
    """
    if not call.outputs:
        raise errors.ConversionError(f"{call.key!r} of {str(path)!r} has no outputs, so that there is nothing to run")
    tf = runtime.tensorflow()
    run = _Runner(path, call)
    names = nested_structures.identifiers(end.key for end in call.inputs)
    specs = [tf.TensorSpec(end.shape, end.dtype, name) for end, name in zip(call.inputs, names, strict=True)]
    results = nested_structures.identifiers(end.key for end in call.outputs)

    def body(*tensors: runtime.Live) -> dict[str, runtime.Live]:
        tensors_out = tf.numpy_function(run, tensors, [end.dtype for end in call.outputs])
        for tensor, end in zip(tensors_out, call.outputs, strict=True):
            tensor.set_shape(end.shape)
        named = zip(tensors_out, results, strict=True)
        return {f"{place:06}": tf.identity(tensor, name) for place, (tensor, name) in enumerate(named)}

    with runtime.eager():
        concrete = tf.function(body, input_signature=specs, autograph=False).get_concrete_function()
    _interpreters.update(_tokens(concrete.graph.as_graph_def()))
    ends = zip(call.outputs, concrete.outputs, strict=True)
    return NamedFunction(
        concrete,
        tuple(endpoint(end.key, tensor) for end, tensor in zip(call.inputs, concrete.inputs, strict=True)),
        tuple(endpoint(end.key, tensor) for end, tensor in ends),
        tuple(range(len(call.outputs))),
        call.key,
        tags=(),
        owner=run,
    )


#: What TensorFlow knows the calls of interpreters by.
_interpreters: set[bytes] = set()


def _tokens(graph_def: runtime.Live) -> Iterator[bytes]:
    return (node.attr["token"].s for node in all_nodes(graph_def) if "token" in node.attr)


def without_interpreters(graph_def: runtime.Live) -> runtime.Live:
    """Return a graph whose calls of interpreters look as harmless as they are: a copy, where there is one."""
    if _interpreters.isdisjoint(_tokens(graph_def)):
        return graph_def
    result = type(graph_def)()
    result.CopyFrom(graph_def)
    for node in all_nodes(result):
        if "token" in node.attr and node.attr["token"].s in _interpreters:
            node.op = "IdentityN"
    return result


def let_go(runner: object) -> None:
    """Close the file of a function of a TFLite file; it does not run any more."""
    owner = getattr(runner, "owner", None)
    if isinstance(owner, _Runner):
        owner.close()


class _Runner:
    """Calls an interpreter on arrays in the order of the inputs; one call at a time."""

    def __init__(self, path: Path, call: Call) -> None:
        self._call = call
        self._keys = [end.key for end in call.inputs]
        self._lock = threading.Lock()
        try:
            self._interpreter = litert.interpreter(path, self._content(path))
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            said = " ".join(str(error).split()) or f"{type(error).__name__}, without a word why"
            if call.flex and _SELECTED in said:
                raise errors.MissingDependencyError(
                    "running a TFLite file",
                    "",
                    state=f"TensorFlow's own kernels ({errors.listed(call.flex)}), which TFLite calls Flex, and the "
                    "interpreter here has none",
                    remedy="a program that runs it links TFLite's Flex delegate (on Android "
                    "org.tensorflow:tensorflow-lite-select-tf-ops, on iOS TensorFlowLiteSelectTfOps)",
                ) from error
            raise errors.ConversionError(
                f"{str(path)!r} does not run in TFLite's interpreter: {said}; check that it has its ops"
            ) from error

    def _content(self, path: Path) -> bytes | None:
        """Return the file with another name for an input called ``self``: the interpreter takes inputs by keyword.

        None where there is none such.
        """
        if _PYTHONS_OWN not in self._keys or not self._call.is_declared:
            return None
        place = self._keys.index(_PYTHONS_OWN)
        self._keys[place] = free = nested_structures.unique([*self._keys, _PYTHONS_OWN])[-1]
        return renaming.with_input_key(read_bytes(path), self._call.key, _PYTHONS_OWN, free)

    def close(self) -> None:
        """Let go of the interpreter, which holds the file open."""
        with self._lock:
            self._interpreter = None

    def __call__(self, *arrays: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
        with self._lock:
            return self._declared(arrays) if self._call.is_declared else self._undeclared(arrays)

    def _declared(self, arrays: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic]]:
        run = self._interpreter.get_signature_runner(self._call.key)
        results = run(**dict(zip(self._keys, arrays, strict=True)))
        return [np.asarray(results[end.key]) for end in self._call.outputs]

    def _undeclared(self, arrays: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic]]:
        """Set and get tensors by their places."""
        interpreter = self._interpreter
        places = [each["index"] for each in interpreter.get_input_details()]
        for place, array in zip(places, arrays, strict=True):
            interpreter.resize_tensor_input(place, array.shape)
        interpreter.allocate_tensors()
        for place, array in zip(places, arrays, strict=True):
            interpreter.set_tensor(place, array)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

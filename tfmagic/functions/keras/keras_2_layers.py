"""Stand-ins for what Keras 3 lacks of Keras 2, registered only while a file is loaded.

A call of TensorFlow's functions in a functional model (TFOpLambda, SlicingOpLambda), a Lambda whose function knows
the names that people use in one, and Keras 2's hard sigmoid. Not for: rewriting a config.
"""

from __future__ import annotations

import math
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.files.keras import bytecode
from tfmagic.functions.keras.keras_2_config import HARD_SIGMOID
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@cache
def objects() -> Mapping[str, Any]:
    """Return the stand-ins by the names that configs call them by."""
    keras = keras_runtime.keras()

    class TFOpLambda(keras.Operation):  # type: ignore[misc, name-defined] # keras ships no types
        """Calls a function of TensorFlow's."""

        def __init__(self, function: str, name: str | None = None, **_: object) -> None:
            super().__init__(name=name)
            self.function = function

        def call(self, *args: object, **kwargs: object) -> object:
            return _tensorflow_function(self.function)(*args, **kwargs)

    class SlicingOpLambda(TFOpLambda):
        """Slices: JSON has objects where Python has slices."""

        def call(self, *args: object, **kwargs: object) -> object:
            named = {key: _slices(value) for key, value in kwargs.items()}
            return super().call(*(_slices(value) for value in args), **named)

    class Lambda(keras.layers.Lambda):  # type: ignore[misc, name-defined] # as above
        """A Lambda from a file; the user has vouched for it."""

        @classmethod
        def from_config(cls, config: dict[str, Any], **_: object) -> Any:  # noqa: ANN401 - a layer
            arguments = {key: _function(value) for key, value in config.items()}
            if isinstance(arguments.get("output_shape"), list):
                arguments["output_shape"] = tuple(arguments["output_shape"])
            return cls(**{key: value for key, value in arguments.items() if value is not None})

    return {
        "TFOpLambda": TFOpLambda,
        "SlicingOpLambda": SlicingOpLambda,
        "Lambda": Lambda,
        HARD_SIGMOID: keras_2_hard_sigmoid,
    }


def _tensorflow_function(path: str) -> Callable[..., object]:
    """Find a function by its public name: ``math.add``, ``__operators__.getitem``, ``keras.backend.mean``."""
    function = runtime.tensorflow()
    for name in path.split("."):
        function = getattr(function, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return] # TensorFlow ships no types
    raise LookupError(f"TensorFlow {runtime.tensorflow().__version__} has no function tf.{path}")


def _slices(value: Any) -> Any:  # noqa: ANN401 - anything that JSON holds, and tensors
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    return tuple(map(_slices, value)) if isinstance(value, list | tuple) else value


def _function(value: Any) -> Any:  # noqa: ANN401 - anything that JSON holds
    """Make a function of dumped code, or find a registered one; anything else stays as it is."""
    if isinstance(value, str):
        return keras_runtime.keras().saving.get_registered_object(value) or value
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict | str):
        return value
    if value.get("class_name") != "__lambda__":
        return keras_runtime.keras().saving.deserialize_keras_object(value)
    dump = value["config"]
    code = bytecode.unmarshalled(dump["code"])
    cells = tuple(map(_cell, dump.get("closure") or ()))
    defaults = tuple(dump["defaults"]) if dump.get("defaults") else None
    return FunctionType(code, _names(), code.co_name, defaults, cells or None)


def _cell(value: object) -> Any:  # noqa: ANN401 - types.CellType would not say more
    return (lambda: value).__closure__[0]  # type: ignore[index] # there is one


def _names() -> dict[str, object]:
    """Return what a lambda may call by name: the notebook that it was written in is gone."""
    tf, keras = runtime.tensorflow(), keras_runtime.keras()
    return {
        "__builtins__": __builtins__, "K": tf.keras.backend, "backend": tf.keras.backend, "keras": keras,
        "layers": keras.layers, "math": math, "np": np, "numpy": np, "ops": keras.ops, "tensorflow": tf, "tf": tf,
    }  # fmt: skip


def keras_2_hard_sigmoid(value: runtime.Live) -> runtime.Live:
    """Compute what Keras 1 and 2 call hard sigmoid (``tf_keras.src.backend.hard_sigmoid``).

    It bears the name that it is registered by: a Bidirectional writes its layer's config and reads it again.
    """
    return runtime.tensorflow().clip_by_value(0.2 * value + 0.5, 0.0, 1.0)

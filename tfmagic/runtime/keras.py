"""Keras 3 and 2, and what of them rests on private paths.

Not for: loading a model (``functions/keras/``).
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.graphs.tensor_names import spelled
from tfmagic.optional import library
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CPU = '"tfmagic[cpu]"'
_KERAS_2 = '"tfmagic[keras2]"'
#: The backends whose models become functions of TensorFlow's.
TRACEABLE = frozenset({"tensorflow", "jax"})
_temporary = threading.local()
_lock = threading.Lock()


def keras() -> runtime.Live:
    """Import Keras 3.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or computes with a library from which nothing leads to TensorFlow.
    """
    runtime.tensorflow()
    module = library("keras", "a Keras model", _CPU)
    if module.config.backend() not in TRACEABLE:
        raise errors.MissingDependencyError(
            "a Keras model",
            "",
            state=f"the backend 'tensorflow', but Keras {module.__version__} computes with {module.config.backend()!r}",
            remedy="set KERAS_BACKEND=tensorflow before Keras is imported",
        )
    return module


def backend() -> str:
    """Return what the Keras 3 that is loaded computes with: ``tensorflow``, ``jax``, ``torch``."""
    module = runtime.loaded("keras")
    return str(module.config.backend()) if module is not None else "tensorflow"


def no_way_to_tensorflow() -> str:
    """Say why no model of the Keras 3 that is loaded becomes a graph here, and what would; nothing if one does."""
    name = backend()
    if name not in TRACEABLE:
        return (
            f"Keras computes with {name!r}, of which TensorFlow makes no graph: save the model (model.save('m.keras')) "
            "and read that file where KERAS_BACKEND=tensorflow is set before Keras is imported"
        )
    if name != "tensorflow" and importlib.util.find_spec("tensorflow") is None:
        return (
            f"Keras computes with {name!r}, and TensorFlow, which makes a graph of it, is not installed: run: "
            f"pip install {_CPU}"
        )
    return ""


def on_jax(
    model: runtime.Live, args: runtime.Live, kwargs: Mapping[str, runtime.Live]
) -> tuple[Callable[..., runtime.Live], list[runtime.Live]]:
    """Return what calls a model of the backend JAX on TensorFlow's tensors, and TensorFlow's variables with its values.

    Parameters
    ----------
    model : keras.Model
        It is left as it is. It is called with ``training=False``, and nothing that it would change is kept.
    args, kwargs : nested TensorSpecs
        What it is called with.

    Returns
    -------
    callable, list of tf.Variable
        The variables in the order of ``model.variables``.

    Raises
    ------
    MissingDependencyError
        If this JAX has no bridge to TensorFlow.
    """
    tf = runtime.tensorflow()
    jax2tf = library("jax.experimental.jax2tf", "a Keras model on JAX", "jax")
    own = [*model.trainable_variables, *model.non_trainable_variables]
    trainable = len(model.trainable_variables)
    values = [
        tf.Variable(np.asarray(variable), trainable=place < trainable, name=_spelled(variable.path))
        for place, variable in enumerate(own)
    ]

    def stateless(state: runtime.Live, args: runtime.Live, kwargs: runtime.Live) -> runtime.Live:
        results, _ = model.stateless_call(state[:trainable], state[trainable:], *args, training=False, **kwargs)
        return results

    sizes = (f"d{number}" for number in itertools.count())

    def polymorphic(spec: runtime.Live) -> str:
        # The first dimensions are one batch, whichever input has them.
        names = ["batch" if place == 0 else next(sizes) for place in range(len(spec.shape))]
        return ", ".join(name if size is None else str(size) for name, size in zip(names, spec.shape, strict=True))

    shapes = [None, tf.nest.map_structure(polymorphic, list(args)), tf.nest.map_structure(polymorphic, dict(kwargs))]
    converted = jax2tf.convert(stateless, polymorphic_shapes=shapes, with_gradient=False)
    by_variable = {id(variable): value for variable, value in zip(own, values, strict=True)}

    def call(*args: runtime.Live, **kwargs: runtime.Live) -> runtime.Live:
        return converted([value.read_value() for value in values], list(args), kwargs)

    return call, [by_variable[id(variable)] for variable in model.variables]


def _spelled(path: str) -> str:
    """Return a path as TensorFlow takes it for the name of a variable."""
    return spelled(path).lstrip("_-/>") or "variable"


def tf_keras() -> runtime.Live:
    """Import Keras 2, which lives on as ``tf_keras``; raises MissingDependencyError."""
    runtime.tensorflow()
    return library("tf_keras", "a model of Keras 2", _KERAS_2)


def legacy_layers() -> runtime.Live:
    """Return the module that was ``tf.layers`` in TensorFlow 1.

    Only Keras 2 has it still, at a private place. There is no public one while Keras 3 is TensorFlow's Keras.

    Raises
    ------
    MissingDependencyError
        If ``tf_keras`` is not installed.
    """
    tf_keras()
    return library("tf_keras.api._v1.keras.__internal__.legacy.layers", "tf.layers of TensorFlow 1", _KERAS_2)


def saves_weights_to_file_objects() -> bool:
    """Say whether Keras 3 writes weights into a file object; until 3.9 it wrote to a path of that name instead."""
    return tuple(int(part) for part in keras().__version__.split(".")[:2]) >= (3, 10)


def is_keras_2(model: object) -> bool:
    """Say whether a model is one of ``tf_keras``."""
    return any(str(base.__module__).partition(".")[0] == "tf_keras" for base in type(model).__mro__)


def inputs_of(model: runtime.Live) -> runtime.Live:
    """Return the symbolic inputs of a model, None without any: a Sequential of Keras 3.5 then raises."""
    try:
        return getattr(model, "inputs", None) or None
    except ValueError:
        return None


def called_in_training(model: runtime.Live) -> list[str]:
    """Return the layers of a functional model that it calls with ``training=True``.

    Which calls are the model's own say keys, by the layer's identity in Keras 3 and by its name in Keras 2. The model's
    config tells the same, and takes as long as all layers take to tell theirs. The fallback is that none is known.
    """
    keys = {*getattr(model, "_nodes", ()), *getattr(model, "_network_nodes", ())}
    names = []
    for layer in getattr(model, "layers", ()) if keys else ():
        for place, call in enumerate(getattr(layer, "_inbound_nodes", ())):
            arguments = (
                getattr(getattr(call, "arguments", None), "kwargs", None) or getattr(call, "call_kwargs", None) or {}
            )
            is_own = not keys.isdisjoint((f"{id(layer)}_ib-{place}", f"{layer.name}_ib-{place}"))
            if is_own and arguments.get("training") is True:
                names.append(str(layer.name))
    return list(dict.fromkeys(names))


def thread_settings() -> Callable[[], None]:
    """Return what gives another thread the settings that Keras keeps for each thread, as they are in this one.

    That is the default dtype policy. Keras's public question for it would set one where none is set; the fallback is
    to leave the other thread alone.
    """
    state = runtime.loaded("keras.src.backend.common.global_state")
    policy = getattr(state, "get_global_attribute", lambda _name: None)("dtype_policy")

    def enter() -> None:
        if policy is not None:
            keras().config.set_dtype_policy(policy)

    return enter


@contextlib.contextmanager
def compiled_as_before(model: runtime.Live) -> Iterator[None]:
    """Give a Keras model back how it was compiled: writing HDF5, Keras takes the optimizer out of the model's own.

    ``Model.save("m.h5")`` pops it from the dict that ``get_compile_config`` returns, so that a later ``.keras`` file
    knows none. The fallback, where the dict is elsewhere, is what Keras does.
    """
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    before = dict(config) if isinstance(config, dict) else {}
    try:
        yield
    finally:
        if isinstance(config, dict):
            config.update(before)


@contextlib.contextmanager
def temporary_files_in(directory: Path) -> Iterator[None]:
    """Have Keras lay its temporary files, of this thread, into a directory that is removed whatever happens.

    Keras makes directories of its own in the system's temporary one, and whoever is killed leaves them there. There is
    no public way to say where; the fallback is that one.
    """
    modules = [runtime.loaded(f"{name}.src.saving.saving_lib") for name in ("keras", "tf_keras")]
    before = getattr(_temporary, "directory", None)
    with _lock:
        for module in modules:
            make = getattr(module, "get_temp_dir", None)
            if make is not None and not isinstance(make, _TemporaryDirectory):
                vars(module)["get_temp_dir"] = _TemporaryDirectory(make)
    _temporary.directory = directory
    try:
        yield
    finally:
        _temporary.directory = before


class _TemporaryDirectory:
    """Keras's own function that makes a temporary directory, but for who said where."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __call__(self) -> str:
        directory = getattr(_temporary, "directory", None)
        is_said = isinstance(directory, Path) and directory.is_dir()
        return tempfile.mkdtemp(dir=directory) if is_said else self._make()

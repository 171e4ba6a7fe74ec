"""TensorFlow itself: imported here, when something must be traced, loaded or run, and executing eagerly.

Whatever rests on a private path of TensorFlow or Keras is a function of this room with a public fallback, and has a
canary in ``tests/runtime/``. Not for: what to do with TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic import errors
from tfmagic.optional import library
from tfmagic.runtime import error_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

#: An object of TensorFlow's or Keras's; neither ships types.
Live: TypeAlias = Any

#: The TensorFlow that the suite is run against, oldest and newest.
OLDEST, NEWEST = (2, 18), (2, 21)
_CPU = '"tfmagic[cpu]"'
#: The default graph of the block of :func:`eager` that a thread is in.
_entered = threading.local()


def loaded(module: str) -> ModuleType | None:
    """Return a module if someone has imported it; never imports."""
    return sys.modules.get(module)


def is_loaded() -> bool:
    """Say whether TensorFlow is imported: only then can anyone hold a live object of its."""
    return loaded("tensorflow") is not None


def is_trackable(value: object) -> bool:
    """Say whether TensorFlow saves an object along its attributes: not a Keras model on another backend."""
    return isinstance(value, tensorflow().__internal__.tracking.Trackable)


def is_installed() -> bool:
    """Say whether TensorFlow can be imported, without importing it."""
    if "tensorflow" in sys.modules:
        return is_loaded()
    return importlib.util.find_spec("tensorflow") is not None


def version() -> str:
    """Return the version of the TensorFlow that is installed; where none is, of the newest that tfmagic writes for."""
    if is_installed():
        installed: str = tensorflow().__version__
        return installed
    return ".".join(map(str, (*NEWEST, 0)))


def tensorflow() -> Live:
    """Import TensorFlow.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or older than what tfmagic works with.
    """
    module = library("tensorflow", "tracing, loading or running a model", _CPU)
    _check(module.__version__)
    return module


@cache
def _check(version: str) -> None:
    """Refuse a TensorFlow that is too old, and warn once of one that is newer than any that was tried."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    release = (int(numbers[1]), int(numbers[2])) if numbers else NEWEST
    supported = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    if release < OLDEST:
        raise errors.MissingDependencyError(
            "tracing, loading or running a model",
            _CPU,
            state=f"TensorFlow {supported}, but TensorFlow {version} is installed",
        )
    if release > NEWEST:
        warnings.warn(f"tfmagic was tested with TensorFlow {supported}; this is {version}", stacklevel=4)


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Execute eagerly inside, whatever the user has switched off or is in the middle of building.

    ``tf.compat.v1.disable_eager_execution`` and an open ``graph.as_default()`` both stay as they are outside. The
    fallback, ``tf.init_scope``, leaves functions that are being traced, but neither of these. A block within a block
    costs next to nothing.
    """
    tf = tensorflow()
    outer = getattr(_entered, "graph", None)
    if outer is not None and tf.executing_eagerly() and tf.compat.v1.get_default_graph() is outer:
        yield
        return
    stack = contextlib.ExitStack()
    try:
        with stack:
            try:
                context = importlib.import_module("tensorflow.python.eager.context").eager_mode()
            except (ImportError, AttributeError):
                context = tf.init_scope()
            else:
                # Eager code, too, enters what it makes into collections of the default graph, which may be the user's.
                _entered.graph = stack.enter_context(tf.Graph().as_default())
            stack.enter_context(context)
            yield
    finally:
        _entered.graph = outer
        # Once more: an interrupt that comes as the block is left keeps it from being left.
        stack.close()


def fingerprint(saved_model: Path) -> bytes | None:
    """Return the serialised FingerprintDef of a SavedModel's directory, None where TensorFlow cannot be asked.

    Raises
    ------
    CorruptSourceError
        If TensorFlow does not parse the SavedModel's message.
    """
    try:
        module = importlib.import_module("tensorflow.python.saved_model.pywrap_saved_model").fingerprinting
    except (ImportError, AttributeError):
        return None
    try:
        return bytes(module.CreateFingerprintDef(str(saved_model)))
    except (AttributeError, ValueError, RuntimeError):
        return None
    # An exception of C++, which is a plain Exception of Python.
    except Exception as error:
        raise errors.CorruptSourceError(
            f"TensorFlow does not parse its message: {error_texts.gist(error)}; save it again"
        ) from error

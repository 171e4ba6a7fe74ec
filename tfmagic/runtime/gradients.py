"""Whose gradient stands in for an op's own. Not for: gradients themselves."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfmagic.runtime import tensorflow as runtime


def is_own(op_type: str) -> bool:
    """Say whether a gradient that stands in for an op's own is one that TensorFlow or Keras defines for speed.

    Those give what differentiating the op gives (``tf.nn.silu``); one that a user defines may not. The fallback, where
    the registry is elsewhere, takes none for TensorFlow's.

    Parameters
    ----------
    op_type : str
        The name under which ``tf.custom_gradient`` registered it.
    """
    try:
        registry = importlib.import_module("tensorflow.python.framework.ops").gradient_registry
        gradient = registry.lookup(op_type)
    except (ImportError, AttributeError, LookupError):
        return False
    return all(str(each).partition(".")[0] in ("tensorflow", "keras", "tf_keras") for each in _modules_in(gradient))


def _modules_in(function: runtime.Live, depth: int = 4) -> set[str]:
    """Return the modules of a function and of those in its closure; empty names for what may hold any function."""
    modules = {str(getattr(function, "__module__", ""))}
    for cell in getattr(function, "__closure__", None) or ():
        value = cell.cell_contents
        if hasattr(value, "function_def"):
            modules.add("")
        elif depth and hasattr(value, "__closure__"):
            modules |= _modules_in(value, depth - 1)
    return modules

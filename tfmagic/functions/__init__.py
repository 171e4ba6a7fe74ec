"""Obtain a ConcreteFunction from a model, with the names and the order that its user knows.

The second pivot: everything that can run is converted through a :class:`NamedFunction`. This is the table of contents;
what stands in it is imported when it is first used, so that who only looks at a file loads none of it. Not for:
changing a graph (``transforms/``) or writing one (``writers/``).
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfmagic.functions import (
        keras_files,
        keras_models,
        meta_graphs,
        sessions,
        stored,
        tf_functions,
        tflite,
        unsigned,
    )
    from tfmagic.functions.graphs import wrap_graph_def
    from tfmagic.functions.keras_models import trace as trace_keras_model
    from tfmagic.functions.named import NamedFunction, of_concrete, with_values
    from tfmagic.functions.saved_models import SavedModelFunctions, load_saved_model

#: Where a function is found, and under which name.
_HOMES = {
    "NamedFunction": ("named", "NamedFunction"),
    "SavedModelFunctions": ("saved_models", "SavedModelFunctions"),
    "load_saved_model": ("saved_models", "load_saved_model"),
    "of_concrete": ("named", "of_concrete"),
    "trace_keras_model": ("keras_models", "trace"),
    "with_values": ("named", "with_values"),
    "wrap_graph_def": ("graphs", "wrap_graph_def"),
}

__all__ = [
    "NamedFunction",
    "SavedModelFunctions",
    "keras_files",
    "keras_models",
    "load_saved_model",
    "meta_graphs",
    "of_concrete",
    "sessions",
    "stored",
    "tf_functions",
    "tflite",
    "trace_keras_model",
    "unsigned",
    "with_values",
    "wrap_graph_def",
]


def __getattr__(name: str) -> object:
    """Import a function or a module of this package when it is first used (PEP 562)."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, attribute = _HOMES.get(name, (name, None))
    found = importlib.import_module(f"{__name__}.{module}")
    globals()[name] = found if attribute is None else getattr(found, attribute)
    return globals()[name]

"""Obtain a ConcreteFunction from a model, with the names and the order that its user knows.

The second pivot: everything that can run is converted through a :class:`NamedFunction`. This is the table of contents;
what stands in it is imported when it is first used, so that who only looks at a file loads none of it. Not for:
changing a graph (``transforms/``) or writing one (``writers/``).
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfmagic.functions import meta_graphs, sessions, tf_functions, tflite, traces, unsigned_graphs
    from tfmagic.functions.graph_defs import wrap_graph_def
    from tfmagic.functions.keras import averages as keras_averages
    from tfmagic.functions.keras import files as keras_files
    from tfmagic.functions.keras import models as keras_models
    from tfmagic.functions.keras.models import trace as trace_keras_model
    from tfmagic.functions.named_function import NamedFunction, of_concrete, with_values
    from tfmagic.functions.saved_models import SavedModelFunctions, load_saved_model
    from tfmagic.functions.state import saved_models as saved_model_state
    from tfmagic.functions.state import sessions as session_state

#: Where a function or a module is found, and under which name.
_HOMES = {
    "NamedFunction": ("named_function", "NamedFunction"),
    "SavedModelFunctions": ("saved_models", "SavedModelFunctions"),
    "keras_averages": ("keras.averages", None),
    "keras_files": ("keras.files", None),
    "keras_models": ("keras.models", None),
    "load_saved_model": ("saved_models", "load_saved_model"),
    "of_concrete": ("named_function", "of_concrete"),
    "saved_model_state": ("state.saved_models", None),
    "session_state": ("state.sessions", None),
    "trace_keras_model": ("keras.models", "trace"),
    "with_values": ("named_function", "with_values"),
    "wrap_graph_def": ("graph_defs", "wrap_graph_def"),
}

__all__ = [
    "NamedFunction",
    "SavedModelFunctions",
    "keras_averages",
    "keras_files",
    "keras_models",
    "load_saved_model",
    "meta_graphs",
    "of_concrete",
    "saved_model_state",
    "session_state",
    "sessions",
    "tf_functions",
    "tflite",
    "trace_keras_model",
    "traces",
    "unsigned_graphs",
    "with_values",
    "wrap_graph_def",
]


def __getattr__(name: str) -> object:
    """Import a function or a module of this package when it is first used (PEP 562)."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, attribute = _HOMES.get(name, (name, None))
    home = importlib.import_module(f"{__name__}.{module}")
    globals()[name] = home if attribute is None else getattr(home, attribute)
    return globals()[name]

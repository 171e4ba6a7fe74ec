"""Obtain a ConcreteFunction from a model, with the names and the order that its user knows.

The second pivot: everything that can run is converted through a :class:`NamedFunction`. This is the table of contents.
Not for: changing a graph (``transforms/``) or writing one (``writers/``).
"""

from tfmagic.functions.graphs import wrap_graph_def
from tfmagic.functions.keras_models import trace as trace_keras_model
from tfmagic.functions.named import NamedFunction, of_concrete
from tfmagic.functions.saved_models import load_saved_model

__all__ = ["NamedFunction", "load_saved_model", "of_concrete", "trace_keras_model", "wrap_graph_def"]

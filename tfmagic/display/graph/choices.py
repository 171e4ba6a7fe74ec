"""What there is to draw of a model: its layers, the bodies of its graph, and the graph that is still to be traced.

Not for: drawing (:mod:`tfmagic.display.graph.svg`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.display.graph import bodies as graph_bodies
from tfmagic.display.graph import entry_points, layer_bodies

if TYPE_CHECKING:
    from tfmagic.display.graph.bodies import Library
    from tfmagic.display.shown_model import ShownModel

LAYERS = "layers"
#: The title of a graph that a library makes, in seconds, when somebody asks for it.
TO_TRACE = "ops (traces the model)"


class Choice(NamedTuple):
    """Something to draw.

    Attributes
    ----------
    title : str
        What to call it.
    library : Library or None
        The bodies; None while the graph is still to be traced.
    function : str
        The body to start with.
    """

    title: str
    library: Library | None
    function: str


def choices(model: ShownModel) -> list[Choice]:
    """List what there is to draw, the most telling first; nothing is traced for it."""
    choices = _of_layers(model)
    if model.is_at_hand("graph"):
        return choices + of_graph(model)
    return choices + ([Choice(TO_TRACE, None, "")] if "graph" in model.parts else [])


def of_graph(model: ShownModel) -> list[Choice]:
    """List the bodies of a model's graph, which is traced if it has to be."""
    library = graph_bodies.Library(model)
    return [Choice(entry.title, library, entry.function) for entry in entry_points.entries(library, model.meta_graph)]


def _of_layers(model: ShownModel) -> list[Choice]:
    """Return the layers of a Keras model, if it says what feeds what."""
    if not model.is_at_hand("keras"):
        return []
    layers = layer_bodies.LayerLibrary(model.layers)
    return [Choice(LAYERS, layers, "")] if len(layers.body().source) else []

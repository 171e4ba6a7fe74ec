"""The verbs ``panel`` and ``graph_view``. Not for: the panel itself (:mod:`tfmagic.notebook.panel.widgets.panel`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors, readers
from tfmagic.notebook.panel.widgets import catalog_panel
from tfmagic.notebook.panel.widgets.catalog_panel import CatalogPanel
from tfmagic.notebook.panel.widgets.chooser import Chooser
from tfmagic.notebook.panel.widgets.graph_view import GraphView
from tfmagic.notebook.panel.widgets.panel import Panel, notebook_variables
from tfmagic.verbs import colouring, compared_graphs

if TYPE_CHECKING:
    from tfmagic.models.model import Model
    from tfmagic.verbs.colouring import GraphColour
    from tfmagic.verbs.compared_graphs import ComparedColour


def panel(
    source: object = None, *, color: object = None, compare: object = None, trust: bool = False
) -> Panel | Chooser | CatalogPanel:
    """Show a model in a live panel: its summary, signatures, ops, graph, variables; run it, convert it.

    Parameters
    ----------
    source : object, optional
        Whatever :func:`tfmagic.inspect` takes, or a catalogue (:func:`tfmagic.catalog`), whose rows are filtered,
        opened and compared. Without, the panel begins with a choice among the notebook's variables that hold models and
        the files below the working directory.
    color : str, Series, DataFrame or mapping, optional
        What the graph is coloured by: ``"parameters"``, ``"bytes"``, ``"flops"``, ``"time"`` (runs a frozen graph, and
        asks as :func:`tfmagic.run` does), or numbers by the name of a node, a layer or a name scope. Folded boxes have
        the sum of what they hold; names that nothing is called by are told below the picture.
    compare : object, optional
        Another model, whatever :func:`tfmagic.inspect` takes: it is drawn over this one, as :func:`tfmagic.diff` finds
        what only one of the two has, what is changed, and which weights differ; a tab Diff lists all of it.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run, once its graph is asked for.

    Returns
    -------
    Panel, Chooser or CatalogPanel
        A widget; where no kernel lives, its text and HTML are those of the model.

    Raises
    ------
    FileNotFoundError
        If the path leads nowhere.
    ReadError
        If nothing recognises the source, or it is damaged.
    UnknownNameError, ConversionError
        If there is no such word to colour by, or what is given holds no numbers.
    """
    if source is None:
        if color is not None or compare is not None:
            raise errors.ConversionError("color= and compare= need a model: tfmagic.panel(model, color=…)")
        return Chooser(notebook_variables(), trust=trust)
    if catalog_panel.is_catalog(source):
        return CatalogPanel(source, trust=trust)  # type: ignore[arg-type] # a DataFrame, as was found
    model = readers.read(source, trust=trust)
    colour, compared = _colour(model, color, trust=trust), _compared(model, compare, trust=trust)
    return Panel(model, colour=colour, compared=compared, trust=trust)


def _compared(model: Model, other: object, *, trust: bool) -> ComparedColour | None:
    return None if other is None else compared_graphs.of(model, other, trust=trust)


def _colour(model: Model, color: object, *, trust: bool) -> GraphColour | None:
    """Return what a graph is coloured by; a model without one has nothing to colour."""
    if color is None:
        return None
    if not {"graph", "keras"} & set(model.parts):
        raise errors.MissingPartError("graph", model.form, model.parts, "Name the model that it belongs to")
    return colouring.of(model, color, trust=trust)


def graph_view(model: object, *, color: object = None, compare: object = None, trust: bool = False) -> GraphView:
    """Show the graph of a model alone: a bare anywidget, for front ends that show no others, and for own layouts.

    Parameters
    ----------
    model : object
        Whatever :func:`tfmagic.inspect` takes.
    color : str, Series, DataFrame or mapping, optional
        What its boxes are coloured by, as :func:`tfmagic.panel` has it.
    compare : object, optional
        Another model, which is drawn over this one, as :func:`tfmagic.panel` has it.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run, once its graph is asked for.

    Returns
    -------
    GraphView
        The widget; ``show(name)`` unfolds a node, ``svg()`` is what is seen as a static picture.

    Raises
    ------
    FileNotFoundError
        If the path leads nowhere.
    MissingPartError
        If the model has no graph: a checkpoint has not.
    ReadError
        If nothing recognises the source, or it is damaged.
    """
    source = readers.read(model, trust=trust)
    if not {"graph", "keras"} & set(source.parts):
        raise errors.MissingPartError("graph", source.form, source.parts, "Name the model that it belongs to")
    colour, compared = _colour(source, color, trust=trust), _compared(source, compare, trust=trust)
    return GraphView(source, colour=colour, compared=compared, trust=trust)

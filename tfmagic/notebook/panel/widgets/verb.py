"""The verbs ``panel`` and ``graph_view``. Not for: the panel itself (:mod:`tfmagic.notebook.panel.widgets.panel`)."""

from __future__ import annotations

from tfmagic import errors, readers
from tfmagic.notebook.panel.widgets import catalog_panel
from tfmagic.notebook.panel.widgets.catalog_panel import CatalogPanel
from tfmagic.notebook.panel.widgets.chooser import Chooser
from tfmagic.notebook.panel.widgets.graph_view import GraphView
from tfmagic.notebook.panel.widgets.panel import Panel, notebook_variables


def panel(source: object = None, *, trust: bool = False) -> Panel | Chooser | CatalogPanel:
    """Show a model in a live panel: its summary, signatures, ops, graph, variables; run it, convert it.

    Parameters
    ----------
    source : object, optional
        Whatever :func:`tfmagic.inspect` takes, or a catalogue (:func:`tfmagic.catalog`), whose rows are filtered,
        opened and compared. Without, the panel begins with a choice among the notebook's variables that hold models and
        the files below the working directory.
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
    """
    if source is None:
        return Chooser(notebook_variables(), trust=trust)
    if catalog_panel.is_catalog(source):
        return CatalogPanel(source, trust=trust)  # type: ignore[arg-type] # a DataFrame, as was found
    return Panel(readers.read(source, trust=trust))


def graph_view(model: object, *, trust: bool = False) -> GraphView:
    """Show the graph of a model alone: a bare anywidget, for front ends that show no others, and for own layouts.

    Parameters
    ----------
    model : object
        Whatever :func:`tfmagic.inspect` takes.
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
    return GraphView(source)

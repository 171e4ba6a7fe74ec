"""The panel: a model's tabs, each built when it is first seen, in a thread of its own.

A tab that cannot be built says why in one line, and how to try again. Not for: what a tab shows (one module each).
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors
from tfmagic.display import card as model_card
from tfmagic.display import render, summary
from tfmagic.escaping import html_text, visible
from tfmagic.notebook.panel.widgets import threads
from tfmagic.notebook.panel.widgets.heading import Heading
from tfmagic.notebook.panel.widgets.protocols import Destination
from tfmagic.runtime import keras as keras_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from tfmagic.display.graph.shades import Colour
    from tfmagic.models.model import Model
    from tfmagic.verbs.compared_graphs import ComparedColour

#: The tabs in their order, and the parts of a model any of which a tab needs; none needed: it is always there.
TABS: Mapping[str, tuple[str, ...]] = {
    "Model": (),
    "Layers": ("keras", "graph"),
    "Signatures": ("signatures", "graph"),
    "Ops": ("graph",),
    "Graph": ("graph", "keras"),
    "Variables": ("variables",),
    "Run": ("function",),
    "Convert": (),
}
#: Beside them, where a model is compared with another one.
_DIFF = "Diff"
#: Built with the panel: what a person sees first must not wait for a thread.
_FIRST = "Model"
#: The MIME type under which a front end finds a widget.
VIEW = "application/vnd.jupyter.widget-view+json"
#: The class of what holds words.
_WORDS = "tfm-form"
_MODULE = "tfmagic.notebook.panel.widgets.{}_tab"


def notebook_variables() -> MutableMapping[str, object]:
    """Return the notebook's variables: IPython's are those of ``__main__``."""
    return sys.modules["__main__"].__dict__


def source_name(model: Model, variables: Mapping[str, object]) -> str:
    """Return what a magic line calls a model: its path, or the variable that holds it or what it was read from."""
    if model.path is not None:
        return str(model.path)
    # IPython keeps outputs under names of its own: a person did not write those.
    held = [name for name, value in list(variables.items()) if not name.startswith("_") and _is(value, model)]
    return held[0] if held else "model"


def _is(value: object, model: Model) -> bool:
    return value is model or (model.live is not None and value is model.live)


def tabs_of(model: Model) -> list[str]:
    """Return the titles of the tabs that a model has something for."""
    return [title for title, parts in TABS.items() if not parts or set(parts) & set(model.parts)]


def problem_line(error: BaseException) -> str:
    """Word an error in one line: ours as they are, others with their kind."""
    kind = "" if isinstance(error, (errors.TfMagicError, FileNotFoundError)) else f"{type(error).__name__}: "
    text = next((line for line in str(error).splitlines() if line.strip()), "") or type(error).__name__
    return f"{kind}{text}"


class Panel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A model in tabs.

    Parameters
    ----------
    model : Model
        What is shown.
    variables : mutable mapping of str to object, optional
        The notebook's variables: expressions are evaluated over them and results put there.
    colour : Colour, optional
        What the graph is coloured by, live and in the static form.
    compared : ComparedColour, optional
        What differs from another model: a tab of its own, and marks on the graph.
    trust : bool
        Whether the model may be run, to be timed, though it acts outside itself.

    Attributes
    ----------
    namespace : mutable mapping of str to object
        Those variables.
    source : str
        What a magic line calls the model.
    settings : callable
        Makes a thread's settings those of the user's.
    """

    def __init__(
        self,
        model: Model,
        variables: MutableMapping[str, object] | None = None,
        *,
        colour: Colour | None = None,
        compared: ComparedColour | None = None,
        trust: bool = False,
    ) -> None:
        self.model = model
        self.colour = colour
        self.compared = compared
        self.trust = trust
        self.namespace = notebook_variables() if variables is None else variables
        self.source = source_name(model, self.namespace)
        #: Gives a thread what Keras keeps for each thread: this runs where the user's cell runs.
        self.settings = keras_runtime.thread_settings()
        self._lock = threading.RLock()
        self._titles = [*tabs_of(model), *([_DIFF] if compared is not None else [])]
        self._built: dict[str, ipywidgets.Widget] = {}
        self._arrivals: dict[str, dict[str, object]] = {}
        self._building: set[str] = set()
        self._holders = {title: ipywidgets.VBox() for title in self._titles}
        named = model_card.heading(model)
        self.tabs = ipywidgets.Tab(children=tuple(self._holders.values()), titles=tuple(self._titles))
        self.heading = Heading(text=visible(named.name), detail=visible(named.detail))
        super().__init__(children=(self.heading, self.tabs))
        self.add_class("tfm-panel")
        self._build(_FIRST)
        self.tabs.observe(self._selected, "selected_index")
        self.heading.on_msg(self._answer)

    # What a tab may ask

    def go_to(self, title: str, **what: object) -> None:
        """Show another tab, and in it what is named; a tab that this model does not have is passed over."""
        if title not in self._titles:
            return
        with self._lock:
            tab = self._built.get(title)
            if what and tab is None:
                self._arrivals[title] = what
        self.tabs.selected_index = self._titles.index(title)
        if what and tab is not None:
            self._arrive(tab, what)

    @staticmethod
    def _arrive(tab: ipywidgets.Widget, what: Mapping[str, object]) -> None:
        if isinstance(tab, Destination):
            tab.arrive(**what)

    def _answer(self, *_: object) -> None:
        """Answer the heading's question from the tabs: ipykernel then has clicks on them handled where it was handled.

        That is a subshell where the front end has them, which answers while a cell runs; the tabs have no script of
        their own that could ask.
        """
        self.tabs.send({})

    # Building

    def _selected(self, change: Mapping[str, Any]) -> None:
        if change["new"] is not None:
            self.show(self._titles[change["new"]])

    def show(self, title: str) -> threading.Thread | None:
        """Build a tab unless it is built or being built; return the thread that does it."""
        with self._lock:
            if title in self._built or title in self._building:
                return None
            self._building.add(title)
        # Words stand in from the frame, as those of a form; what is built does so itself.
        self._holders[title].add_class(_WORDS)
        self._holders[title].children = (said(f"Reading what {title} shows …"),)
        return threads.begin(lambda: self._build_apart(title), title)

    def _build_apart(self, title: str) -> None:
        self.settings()
        self._build(title)

    def _build(self, title: str) -> None:
        """Build a tab, or what says why it cannot be."""
        try:
            module = importlib.import_module(_MODULE.format(title.lower()))
            widget: ipywidgets.Widget = module.build(self.model, self)
        except Exception as error:  # noqa: BLE001 - a model raises whatever its code does; a person gets one line
            self._fail(title, error)
            return
        with self._lock:
            self._built[title] = widget
            self._building.discard(title)
            what = self._arrivals.pop(title, None)
        self._holders[title].remove_class(_WORDS)
        self._holders[title].children = (widget,)
        if what:
            self._arrive(widget, what)

    def _fail(self, title: str, error: Exception) -> None:
        again = ipywidgets.Button(description="Try again")
        again.on_click(lambda _: self.show(title))
        with self._lock:
            self._building.discard(title)
        self._holders[title].children = (said(problem_line(error)), again)

    def dispose(self) -> None:
        """Close the panel and all that is in it, so that nothing keeps its model."""
        waiting: list[ipywidgets.Widget] = [self]
        while waiting:
            widget = waiting.pop()
            waiting += getattr(widget, "children", ())
            waiting += [
                each for each in (getattr(widget, name, None) for name in ("layout", "style")) if each is not None
            ]
            widget.close()

    # Display

    def _repr_mimebundle_(self, **_options: object) -> dict[str, object]:
        """Show the panel live, and the model's static forms for where no kernel lives."""
        model = self.model
        colour = self.colour or self.compared
        if colour is None:
            return render.bundle(model, self)
        below = self.compared.diff if self.compared is not None else None
        return render.bundle(summary.Coloured(model, colour, below), self)


def view(widget: ipywidgets.DOMWidget) -> dict[str, object]:
    """Return the live form of a widget alone, by its MIME type: what shows no widgets shows the static form only."""
    bundle = ipywidgets.DOMWidget._repr_mimebundle_(widget) or {}
    return {VIEW: (bundle[0] if isinstance(bundle, tuple) else bundle)[VIEW]}


def said(text: str) -> ipywidgets.HTML:
    """Return a line that a screen reader says when it changes."""
    return ipywidgets.HTML(f'<span role="status">{html_text(text)}</span>')

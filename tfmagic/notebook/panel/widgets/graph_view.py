"""The live graph: the kernel holds the tree and the layout, the browser draws what is visible and asks for more.

Handlers may run in another thread while a cell runs (ipykernel's subshells): what they share is locked. Not for: the
panel around it (:mod:`tfmagic.notebook.panel.widgets.graph_tab`).
"""

from __future__ import annotations

import contextlib
import json
import threading
from functools import cached_property
from typing import TYPE_CHECKING

import anywidget
import traitlets

from tfmagic import errors
from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import entry_points, scenes
from tfmagic.display.graph import svg as graph_pictures
from tfmagic.display.graph.unfolding import MAX_VISIBLE, Unfolding
from tfmagic.models.variable_values import VariableValues
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.graph_details import GraphDetails
from tfmagic.notebook.panel.widgets import assets, threads
from tfmagic.notebook.panel.widgets.graph_weights import GraphWeights
from tfmagic.verbs import colouring

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.display.graph.boxes import Box
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.graph.scenes import Data
    from tfmagic.display.graph.shades import Colour
    from tfmagic.models.model import Model
    from tfmagic.verbs.compared_graphs import ComparedColour

#: The words for what was given in Python to colour by, and to compare with.
_OWN, _COMPARED = "own", "compared"
#: Hits that a search lists, bodies that can be chosen.
_MOST_HITS, _MOST_ENTRIES = 30, 200
#: Width to height ratios of a front end that are believed.
_NARROWEST, _WIDEST = 0.4, 6.0


def _choices(model: Model) -> list[Choice]:
    """List what there is to draw; where nothing is at hand, the graph is traced now."""
    choices = graph_choices.choices(model)
    return (choices if choices and choices[0].library is not None else graph_choices.of_graph(model))[:_MOST_ENTRIES]


def _titles(choices: list[Choice]) -> list[str]:
    """Word what can be chosen: names of functions are a stranger's."""
    return [cell_text.cell_text(choice.title) for choice in choices]


def _written(scene: Data, _widget: object) -> str:
    """Write a scene as one text: ipywidgets, ipykernel and the front end would walk through its thousands of values."""
    return json.dumps(scene, separators=(",", ":"))


class GraphView(anywidget.AnyWidget):
    """A graph to unfold, search and follow.

    Parameters
    ----------
    model : Model
        A model with layers or with a graph; a graph that has to be traced is traced when it is chosen.
    on_row, on_variable : callable, optional
        Called with the row of the table of ops, or of variables, that a person wants to see there.
    on_output : callable, optional
        Called with the tensor that a person wants as an output, and the signature that it belongs to, ``""`` for the
        one that there is.
    colour : Colour, optional
        What the boxes are coloured by at first, in place of the kinds of their ops.
    compared : ComparedColour, optional
        What differs from another model, which is drawn over this one.
    trust : bool
        Whether the model may be run, to be timed, though it acts outside itself.
    """

    _esm = assets.script("graph.js")
    _css = assets.style("graph.css")
    scene = traitlets.Dict().tag(sync=True, to_json=_written)
    entries: traitlets.List[str] = traitlets.List().tag(sync=True)
    entry = traitlets.Int(0).tag(sync=True)
    constants = traitlets.Bool(default_value=False).tag(sync=True)
    #: What boxes can be coloured by, and which of it they are: a word of :data:`tfmagic.verbs.colouring.TITLES`, ``""``
    #: for kinds of ops, "own" for what was given in Python.
    colours: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    colour = traitlets.Unicode("").tag(sync=True)
    #: Where the details lead: "row", "variable", "output".
    links: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(  # noqa: PLR0913 - what a person may do from here, and what is shown
        self,
        model: Model,
        on_row: Callable[[int], None] | None = None,
        *,
        on_variable: Callable[[int], None] | None = None,
        on_output: Callable[[str, str], None] | None = None,
        colour: Colour | None = None,
        compared: ComparedColour | None = None,
        trust: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._model = model
        self._weights = GraphWeights(VariableValues(model))
        self._over = compared.over if compared is not None else list
        self._choices = self._over(_choices(model))
        self._on_row, self._on_variable, self._on_output = on_row, on_variable, on_output
        self._ratio = 1.6
        self._unfolding = self._started(0, constants=False)
        self._own = {word: own for word, own in ((_OWN, colour), (_COMPARED, compared)) if own is not None}
        self._trust = trust
        self._colour = next(iter(self._own.values()), None)
        own = [[word, cell_text.cell_text(each.title)] for word, each in self._own.items()]
        words = [[word, colouring.TITLES[word]] for word in colouring.choices(model)]
        super().__init__(
            scene=self._scene(),
            colours=[["", "kind of op"], *own, *(pair for pair in words if colour is None or pair[1] != colour.title)],
            colour=next(iter(self._own), ""),
            entries=_titles(self._choices),
            links=[
                name
                for name, act in (("row", on_row), ("variable", on_variable), ("output", on_output))
                if act is not None
            ],
        )
        self.on_msg(self._handle)

    def _started(self, entry: int, *, constants: bool) -> Unfolding:
        """Unfold a body as far as it is telling."""
        if self._choices[entry].library is None:
            traced = self._over(graph_choices.of_graph(self._model))
            self._choices = (self._choices[:entry] + traced)[:_MOST_ENTRIES]
        _, library, function = self._choices[entry]
        assert library is not None  # noqa: S101 - for mypy: traced above
        unfolding = Unfolding(library, function, constants=constants)
        unfolding.start()
        self._routes = entry_points.Routes(library, function)
        is_layers = self._choices[entry].title == graph_choices.LAYERS
        self._details = GraphDetails(self._model, library, is_layers=is_layers)
        return unfolding

    # For Python

    def svg(self) -> str:
        """Return what is visible as a static SVG."""
        with self._lock:
            return graph_pictures.of_scene(self.scene, self._choices[self.entry].title, titled=True).svg

    def show(self, name: str) -> None:
        """Unfold all that stands around a node.

        Raises
        ------
        UnknownNameError
            If no node that is reached has this name.
        """
        with self._lock:
            hits, _ = self._routes.search(name, _MOST_HITS)
            exact = [hit for hit in hits if hit.name == name]
            if not exact:
                raise errors.UnknownNameError(name, "node", [hit.name for hit in hits])
            self._reveal(exact[0].function, exact[0].node)

    def arrive(self, name: str = "", function: str = "", layer: str = "", **_others: object) -> None:
        """Show a node or a layer that another tab speaks of, in whichever of the graphs it is drawn.

        Parameters
        ----------
        name, function : str
            The node, and the function that holds it; ``""`` is the main graph.
        layer : str
            The layer, by its name in the table of layers, in place of a node.
        """
        if layer:
            self._arrive_at_layer(layer)
            return
        with self._lock:
            try:
                self._choose_for(function)
                names = self._unfolding.library.body(function).names
                self._reveal(function, list(names).index(name))
            except (errors.TfMagicError, KeyError, ValueError):
                self._arrive_anywhere(name, function)

    def _arrive_anywhere(self, name: str, function: str) -> None:
        """Show a node of no known function in whichever draws it: not everybody who names it knows that."""
        if not function:
            with contextlib.suppress(errors.UnknownNameError):
                self.show(name)
                return
        where = f"in {function!r}" if function else "in the main graph"
        self.send({"error": f"{name!r} {where} is not part of what is drawn here"})

    def _arrive_at_layer(self, layer: str) -> None:
        with self._lock:
            entries = [entry for entry, choice in enumerate(self._choices) if choice.title == graph_choices.LAYERS]
            if entries and self.entry != entries[0]:
                self._restart(entries[0], constants=self.constants)
            names = self._unfolding.library.body().names if entries else []
            # Of a model within a model the first layer is shown.
            inside = [place for place, name in enumerate(names) if name == layer or name.startswith(f"{layer}/")]
            if inside:
                self._reveal("", inside[0])
            else:
                self.send({"error": f"the layer {layer!r} is not part of what is drawn here"})

    def _choose_for(self, function: str) -> None:
        """Draw a graph that reaches a function, the one that is drawn if it does; layers have no ops."""
        if self._choices[self.entry].title != graph_choices.LAYERS and function in self._routes.by_function:
            return
        untraced = [entry for entry, choice in enumerate(self._choices) if choice.library is None]
        if untraced:
            # Traces the model, after which its bodies are among the choices.
            self._started(untraced[0], constants=False)
        for entry, (title, library, start) in enumerate(self._choices):
            if library is None or title == graph_choices.LAYERS:
                continue
            if start == function or function in entry_points.Routes(library, start).by_function:
                self._restart(entry, constants=self.constants)
                return
        raise errors.UnknownNameError(function, "function", [choice.title for choice in self._choices])

    # For the browser

    def _handle(self, _widget: object, content: Data, _buffers: object) -> None:
        """Answer one message; what it asks for is checked, whoever sent it."""
        act = self._actions.get(str(content.get("do")))
        if act is None:
            return
        with self._lock:
            try:
                act(content)
            except Exception as error:  # noqa: BLE001 - tracing a model raises whatever its code does
                self.send({"error": str(error).splitlines()[0] if str(error) else type(error).__name__})

    @cached_property
    def _actions(self) -> dict[str, Callable[[Data], None]]:
        return {
            "open": lambda asked: self._open(self._box(asked)),
            "fold": lambda asked: self._fold(self._box(asked)),
            "start": lambda _: self._restart(self.entry, constants=self.constants),
            "choose": lambda asked: self._restart(int(asked["entry"]), constants=self.constants),
            "colour": lambda asked: self._choose_colour(str(asked["colour"])),
            "constants": lambda asked: self._restart(self.entry, constants=bool(asked["on"])),
            "ratio": lambda asked: self._fit(float(asked["ratio"])),
            "find": lambda asked: self._find(str(asked["text"])),
            "reveal": lambda asked: self._reveal(str(asked["function"]), int(asked["node"])),
            "detail": lambda asked: self._tell(self._box(asked)),
            "weight": lambda asked: self._read_weights(int(asked["n"]), [int(asked["row"])]),
            "row": lambda asked: self._show_row(self._box(asked)),
            "variable": lambda asked: self._show_variable(int(asked["row"])),
            "output": lambda asked: self._use(self._box(asked)),
            "save": lambda _: self.send({"svg": self.svg()}),
            # ipykernel sends a widget's messages to the subshell that answered last: the first answer sets it.
            "ping": lambda _: self.send({"pong": True}),
        }

    def _box(self, asked: Data) -> Box:
        number = int(asked["n"])
        if not 0 <= number < len(self._unfolding.boxes):
            message = f"there is no box {number}"
            raise ValueError(message)
        return self._unfolding.boxes[number]

    def _draw(self, anchor: int = -1, focus: int = -1) -> None:
        """Send what is visible; the browser keeps the anchor where it is, and shows the focus."""
        self.scene = {**self._scene(), "anchor": anchor, "focus": focus}

    def _scene(self) -> Data:
        """Lay out what is visible, and colour it; what a graph cannot be coloured by, the note says."""
        if self._colour is None:
            return scenes.scene(self._unfolding, wrap=self._ratio)
        try:
            colours = self._colour(self._unfolding.library)
            return scenes.scene(self._unfolding, wrap=self._ratio, colouring=colours)
        except errors.TfMagicError as error:
            plain = scenes.scene(self._unfolding, wrap=self._ratio)
            return {**plain, "note": f"not coloured by {self._colour.title}: {error}"}

    def _choose_colour(self, word: str) -> None:
        """Colour by something else; what has to be measured is measured in a thread."""
        if word not in [known for known, _ in self.colours]:
            message = "choose what to colour by from the list"
            raise ValueError(message)
        if word != colouring.TIME:
            self._recolour(word)
            return
        self.send({"said": "running the model to time its ops …"})

        def measure() -> None:
            try:
                colour = colouring.of(self._model, word, trust=self._trust)
            except errors.TfMagicError as error:
                self.send({"error": cell_text.long_text(str(error)), "colour": self.colour})
            else:
                with self._lock:
                    self._recolour(word, colour)

        threads.begin(measure, "time")

    def _recolour(self, word: str, colour: Colour | None = None) -> None:
        if word and colour is None:
            colour = self._own[word] if word in self._own else colouring.of(self._model, word)
        self._colour = colour
        with self.hold_sync():
            self.colour = word
            self._draw()

    def _open(self, box: Box) -> None:
        if len(list(self._unfolding.visible())) + self._unfolding.growth(box.number) > MAX_VISIBLE:
            message = f"{MAX_VISIBLE:,} boxes are as many as can be moved smoothly; fold some first"
            raise ValueError(message)
        self._unfolding.open(box.number)
        self._draw(anchor=box.number)

    def _fold(self, box: Box) -> None:
        # A function of a loop or a branch is part of the call: it is the call that folds.
        target = box.parent if box.kind == "function" and box.parent else box
        self._unfolding.fold(target.number)
        self._draw(anchor=target.number)

    def _restart(self, entry: int, *, constants: bool) -> None:
        if not 0 <= entry < len(self._choices):
            message = f"there are {len(self._choices)} graphs to choose from"
            raise ValueError(message)
        self._unfolding = self._started(entry, constants=constants)
        with self.hold_sync():
            self.entries = _titles(self._choices)
            self.entry, self.constants = entry, constants
            self._draw()

    def _fit(self, ratio: float) -> None:
        """Lay out for a wide or a narrow view."""
        ratio = min(max(ratio, _NARROWEST), _WIDEST)
        if ratio != self._ratio:
            self._ratio = ratio
            self._unfolding.heads.clear()
            self._draw()
        # A picture that stays as it was is no news to the browser, which waits to fit it.
        self.send({"fitted": ratio})

    def _find(self, text: str) -> None:
        hits, total = self._routes.search(text, _MOST_HITS) if text.strip() else ([], 0)
        self.send({"hits": [{**hit._asdict(), "n": self._holder(hit)} for hit in hits], "total": total, "text": text})

    def _holder(self, hit: entry_points.Hit) -> int:
        """Return the visible box that holds what a search found, -1 if none does."""
        rooms = (room for room in self._unfolding.rooms() if room.body.function == hit.function)
        return next((int(room.holder[hit.node]) for room in rooms), -1)

    def _reveal(self, function: str, node: int) -> None:
        route = self._routes.by_function[function]
        if not 0 <= node < len(self._unfolding.library.body(function).names):
            message = f"there is no node {node}"
            raise ValueError(message)
        box = self._unfolding.reveal(route, node)
        self._draw(focus=box.number)

    def _show_row(self, box: Box) -> None:
        row = int(box.room.body.rows[box.node])
        layers = self._choices[self.entry].title == graph_choices.LAYERS
        if self._on_row is not None and box.kind == "op" and row >= 0 and not layers:
            self._on_row(row)

    def _show_variable(self, row: int) -> None:
        if self._on_variable is not None:
            self._details.variable(row)
            self._on_variable(row)

    def _use(self, box: Box) -> None:
        details = self._details.of(box)
        if self._on_output is not None and details["tensor"]:
            self._on_output(details["tensor"], details["signature"])

    # Details

    def _tell(self, box: Box) -> None:
        """Send what is known of a box, then what its weights are like."""
        details = self._details.of(box)
        self.send({"detail": details})
        self._weights.stop()
        if details["holds"] and box.kind == "op":
            self._read_weights(box.number, [weight["row"] for weight in details["holds"]])

    def _read_weights(self, number: int, rows: list[int]) -> None:
        self._weights.read(number, {row: self._details.variable(row) for row in rows}, self.send)

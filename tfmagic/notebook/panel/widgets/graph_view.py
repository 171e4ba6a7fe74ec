"""The live graph: the kernel holds the tree and the layout, the browser draws what is visible and asks for more.

Handlers may run in another thread while a cell runs (ipykernel's subshells): what they share is locked. Not for: the
panel around it (:mod:`tfmagic.notebook.panel.widgets.graph_tab`).
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from tfmagic import errors
from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import entry_points, scenes
from tfmagic.display.graph import svg as graph_pictures
from tfmagic.display.graph.unfolding import MAX_VISIBLE, Unfolding
from tfmagic.notebook.panel.widgets import assets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.display.graph.boxes import Box
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.graph.scenes import Data
    from tfmagic.models.model import Model

#: Hits that a search lists, neighbours that details list, bodies that can be chosen.
_MOST_HITS, _MOST_NEIGHBOURS, _MOST_ENTRIES = 30, 40, 200
#: Width to height ratios of a front end that are believed.
_NARROWEST, _WIDEST = 0.4, 6.0


def _choices(model: Model) -> list[Choice]:
    """List what there is to draw; where nothing is at hand, the graph is traced now."""
    choices = graph_choices.choices(model)
    return (choices if choices and choices[0].library is not None else graph_choices.of_graph(model))[:_MOST_ENTRIES]


class GraphView(anywidget.AnyWidget):
    """A graph to unfold, search and follow.

    Parameters
    ----------
    model : Model
        A model with layers or with a graph; a graph that has to be traced is traced when it is chosen.
    on_row : callable, optional
        Called with the row of the table of ops that a person wants to see there.
    """

    _esm = assets.script("graph.js")
    _css = assets.style("graph.css")
    scene = traitlets.Dict().tag(sync=True)
    entries: traitlets.List[str] = traitlets.List().tag(sync=True)
    entry = traitlets.Int(0).tag(sync=True)
    constants = traitlets.Bool(default_value=False).tag(sync=True)
    can_show_rows = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, model: Model, on_row: Callable[[int], None] | None = None) -> None:
        self._lock = threading.RLock()
        self._model = model
        self._choices = _choices(model)
        self._on_row = on_row
        self._ratio = 1.6
        self._unfolding = self._started(0, constants=False)
        super().__init__(
            scene=scenes.scene(self._unfolding, wrap=self._ratio),
            entries=[choice.title for choice in self._choices],
            can_show_rows=on_row is not None,
        )
        self.on_msg(self._handle)

    def _started(self, entry: int, *, constants: bool) -> Unfolding:
        """Unfold a body as far as it is telling."""
        if self._choices[entry].library is None:
            self._choices = (self._choices[:entry] + graph_choices.of_graph(self._model))[:_MOST_ENTRIES]
        _, library, function = self._choices[entry]
        assert library is not None  # noqa: S101 - for mypy: traced above
        unfolding = Unfolding(library, function, constants=constants)
        unfolding.start()
        self._routes = entry_points.Routes(library, function)
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

    def arrive(self, name: str, function: str = "", **_others: object) -> None:
        """Show a node that another tab speaks of, in whichever of the graphs it is drawn.

        Parameters
        ----------
        name, function : str
            The node, and the function that holds it; ``""`` is the main graph.
        """
        with self._lock:
            try:
                self._choose_for(function)
                names = self._unfolding.library.body(function).names
                self._reveal(function, list(names).index(name))
            except (errors.TfMagicError, KeyError, ValueError):
                where = f"in {function!r}" if function else "in the main graph"
                self.send({"error": f"{name!r} {where} is not part of what is drawn here"})

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
            "constants": lambda asked: self._restart(self.entry, constants=bool(asked["on"])),
            "ratio": lambda asked: self._fit(float(asked["ratio"])),
            "find": lambda asked: self._find(str(asked["text"])),
            "reveal": lambda asked: self._reveal(str(asked["function"]), int(asked["node"])),
            "detail": lambda asked: self._tell(self._box(asked)),
            "row": lambda asked: self._show_row(self._box(asked)),
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
        self.scene = {**scenes.scene(self._unfolding, wrap=self._ratio), "anchor": anchor, "focus": focus}

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
            self.entries = [choice.title for choice in self._choices]
            self.entry, self.constants = entry, constants
            self._draw()

    def _fit(self, ratio: float) -> None:
        """Lay out for a wide or a narrow view."""
        self._ratio = min(max(ratio, _NARROWEST), _WIDEST)
        self._draw()

    def _find(self, text: str) -> None:
        hits, total = self._routes.search(text, _MOST_HITS) if text.strip() else ([], 0)
        self.send({"hits": [hit._asdict() for hit in hits], "total": total, "text": text})

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

    def _tell(self, box: Box) -> None:
        """Send what is known of a box."""
        body, node = box.room.body, box.node
        details: Data = {"n": box.number, "name": box.name, "op": box.op, "function": body.function, "row": -1}
        if box.kind == "op":
            shape = body.shapes[node]
            details |= {
                "row": -1 if self._choices[self.entry].title == graph_choices.LAYERS else int(body.rows[node]),
                "dtype": body.dtypes[node],
                "shape": "" if shape is None else str(shape),
                "inputs": [self._neighbour(box, int(body.source[edge])) for edge in body.inputs_of(node)],
                "outputs": [self._neighbour(box, int(body.target[edge])) for edge in body.outputs_of(node)],
            }
            details["more"] = sum(max(len(details[side]) - _MOST_NEIGHBOURS, 0) for side in ("inputs", "outputs"))
            details |= {side: details[side][:_MOST_NEIGHBOURS] for side in ("inputs", "outputs")}
        else:
            details["ops"] = sorted(box.op_counts.items(), key=lambda item: (-item[1], item[0]))[:8]
            details |= {"count": len(box.scope.members), "noun": body.noun}
        self.send({"detail": details})

    @staticmethod
    def _neighbour(box: Box, node: int) -> dict[str, Any]:
        body = box.room.body
        shape = scenes.shape_text(body.shapes[node])
        return {"name": body.names[node], "op": body.ops[node], "node": node, "shape": shape}

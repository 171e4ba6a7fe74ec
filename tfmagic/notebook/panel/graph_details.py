"""What is known of a box of the graph, as plain data for the pane beside it: settings, ends, weights, values.

Values of weights are not read here (:class:`tfmagic.models.variable_values.VariableValues` does, when they are asked
for). Not for: drawing (:mod:`tfmagic.notebook.panel.widgets.graph_view`).
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.display.graph import entry_points, scenes
from tfmagic.display.graph.bodies import ARGUMENT, CONTROL, ENDS
from tfmagic.files.tflite import input_roles
from tfmagic.frames import VariableRow, is_missing
from tfmagic.functions.keras import models as keras_models
from tfmagic.graphs import node_details, signatures
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import node_of
from tfmagic.models.model import Part
from tfmagic.notebook.panel import cell_text, layer_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.display.graph.boxes import Box
    from tfmagic.frames import Shape
    from tfmagic.models.model import Model

#: Calls of one function, which is run as it is.
_PLAIN_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: Neighbours, weights and kinds of ops that are listed.
_MOST_NEIGHBOURS, _MOST_WEIGHTS, _MOST_OPS = 40, 12, 8
#: What hands a weight on to what computes with it, and what holds one.
_HANDING = frozenset({"Identity", "ReadVariableOp", "Enter", "RefEnter", "Cast", "Snapshot", "GuaranteeConst"})
_HOLDING = of_kind("variable", "reference variable")
_TELLING = _HANDING | _HOLDING | {"Const", ARGUMENT}
Data = dict[str, Any]


class GraphDetails:
    """Says what is known of the boxes of a model's graph.

    Parameters
    ----------
    model : Model
        The model.
    library : Library
        The bodies that are drawn, of ops or of layers.
    is_layers : bool
        Whether they are layers.
    """

    def __init__(self, model: Model, library: Library, *, is_layers: bool) -> None:
        self._model = model
        self._library = library
        self._is_layers = is_layers

    def of(self, box: Box) -> Data:
        """Return what is known of a box.

        Returns
        -------
        dict
            ``n``, ``name``, ``op`` (``""`` of several), ``line`` (what it is), ``function``, ``row`` of the table of
            ops or -1, ``tensor`` that can be an output or ``""``, and its ``signature``; ``settings`` and ``usual``,
            lists of name and text;
            ``inputs`` and ``outputs``, lists of ``name``, ``key``, ``node``, ``dtype``, ``shape``; ``more`` of these;
            ``holds``, its weights by ``name``, ``dtype``, ``shape``, ``bytes``, ``row`` of the table of variables;
            ``value`` of a constant in words.
        """
        data = self._of_node(box) if box.kind == "op" else self._of_several(box)
        shown = {side: data[side][:_MOST_NEIGHBOURS] for side in ("inputs", "outputs")}
        data["more"] = sum(len(data[side]) - len(shown[side]) for side in shown)
        return {"n": box.number, "name": cell_text.long_text(box.name), "op": box.op, **data, **shown}

    # One node

    def _of_node(self, box: Box) -> Data:
        body, node = box.room.body, box.node
        row = -1 if self._is_layers else int(body.rows[node])

        def is_control(edge: int) -> bool:
            return int(body.slot[edge]) == CONTROL

        settings, usual, value = self._settings(body, node, row)
        tensor, signature = self._output(body, node, row)
        return {
            "line": self._line(box),
            "function": body.function,
            "row": row,
            "tensor": tensor,
            "signature": signature,
            "settings": settings,
            "usual": usual,
            "value": value,
            "inputs": [self._source(body, edge) for edge in sorted(body.inputs_of(node), key=is_control)],
            "outputs": list(self._consumers(body, node)),
            "holds": self._weights(box),
        }

    def _line(self, box: Box) -> str:
        """Say in one line what a node is, and where."""
        body, node = box.room.body, box.node
        scope = box.name.rpartition("/")[0]
        place = f"layer {node + 1:,} of {len(body.names):,}" if self._is_layers else ""
        where = f"in {scope}" if scope else ""
        function = f"function {body.function}" if body.function else ""
        return cell_text.long_text(", ".join(filter(None, [box.op, place, where, function])))

    def _output(self, body: Body, node: int, row: int) -> tuple[str, str]:
        """Return what a conversion calls the tensor of a node or a layer, if it can be cut there, and its signature."""
        name = body.names[node]
        if Part.FUNCTION.value not in self._model.parts or self._model.has_own_ops or body.ops[node] in ENDS:
            return "", ""
        if self._is_layers:
            return (name, "") if name in self._named_layers else ("", "")
        if row < 0 or not body.dtypes[node]:
            return "", ""
        if not body.function:
            return f"{name}:0", ""
        signature = self._signatures.get(body.function, "")
        return (f"{name}:0", signature) if signature else ("", "")

    @cached_property
    def _named_layers(self) -> frozenset[str]:
        """The layers of a live model by which a conversion can be cut."""
        if self._model.live is None:
            return frozenset()
        return frozenset(keras_models.named_layers(self._model.live))

    @cached_property
    def _signatures(self) -> dict[str, str]:
        """The signatures by the function that each runs: of a graph that is loaded as functions, which are cut."""
        if self._model.reader.is_open:
            return {}
        main = self._library.body()
        places = dict(zip(main.names, range(len(main.names)), strict=True))
        functions = {}
        for key, signature in self._model.meta_graph.signature_def.items():
            makers = {self._maker(main, places.get(node_of(end.name), -1)) for end in signature.outputs.values()}
            if signatures.is_hidden(key) or len(makers) != 1:
                continue
            caller = makers.pop()
            calls = self._library.calls(main, caller) if caller >= 0 and main.ops[caller] in _PLAIN_CALLS else ()
            functions.update({call.function: key for call in calls if call.function not in functions})
        return functions

    @staticmethod
    def _maker(body: Body, node: int) -> int:
        """Return what made a tensor that is handed on, -1 if there is no such node."""
        while node >= 0 and body.ops[node] == "Identity" and (edges := body.inputs_of(node)):
            node = int(body.source[edges[0]])
        return node

    def _settings(self, body: Body, node: int, row: int) -> tuple[list[list[str]], list[list[str]], str]:
        """Return the attributes of a node or the configuration of a layer, what is usual apart; a constant's values."""
        if self._is_layers:
            return *layer_settings.worded(self._model.layer_settings(body.names[node])), ""
        if row < 0:
            return [], [], ""
        message = self._library.graph.node_def(row)
        value = ""
        if "value" in message.attr and message.attr["value"].WhichOneof("value") == "tensor":
            value = cell_text.long_text(node_details.values_text(message.attr["value"].tensor))
        pairs = [
            [cell_text.cell_text(name), cell_text.long_text(text)]
            for name, text in node_details.attributes(message)
            if name != "value"
        ]
        own = [pair for pair in pairs if not pair[0].startswith("_") and pair[1] != "[]"]
        return own, [pair for pair in pairs if pair not in own], value

    def _source(self, body: Body, edge: int) -> Data:
        """Return what an edge brings."""
        node, port = int(body.source[edge]), int(body.port[edge])
        end = self._end(body, node, port)
        slot = int(body.slot[edge])
        if slot == CONTROL:
            return {**end, "key": "waits for", "dtype": "", "shape": ""}
        return {**end, "key": ", ".join(filter(None, [self._role(body, int(body.target[edge]), slot), end["key"]]))}

    def _role(self, body: Body, node: int, slot: int) -> str:
        """Return what an input of a TFLite file's operator is: its filter, its bias."""
        row = int(body.rows[node]) if self._model.has_own_ops else -1
        if row < 0:
            return ""
        message = self._library.graph.node_def(row)
        omitted = message.attr["_omitted_inputs"].list.i if "_omitted_inputs" in message.attr else ()
        return input_roles.role(body.ops[node], slot, list(omitted))

    def _end(self, body: Body, node: int, port: int) -> Data:
        """Return a tensor by its node: shape and dtype are known of first outputs."""
        name = body.names[node]
        return {
            "name": cell_text.long_text(name),
            "key": cell_text.cell_text(body.keys.get(node, "")) or (f":{port}" if port else ""),
            "node": node,
            "op": body.ops[node],
            "dtype": body.dtypes[node] if port == 0 else "",
            "shape": _shape(body.shapes[node]) if port == 0 else "",
        }

    def _consumers(self, body: Body, node: int) -> Iterator[Data]:
        """Yield what takes something of a node, with what it takes."""
        for edge in body.outputs_of(node):
            target, port = int(body.target[edge]), int(body.port[edge])
            is_control = int(body.slot[edge]) == CONTROL
            tensor = self._end(body, node, port)
            yield {
                **self._end(body, target, 0),
                "key": "waits for it" if is_control else tensor["key"],
                "dtype": "" if is_control else tensor["dtype"],
                "shape": "" if is_control else tensor["shape"],
            }

    # Several

    def _of_several(self, box: Box) -> Data:
        """Count what a scope holds, and list what crosses its border."""
        body = box.room.body
        inside = np.zeros(len(body.names), bool)
        inside[box.scope.members] = True
        shown = box.room.shown
        kept = shown[body.source] & shown[body.target] & (body.slot != CONTROL)
        entering = np.flatnonzero(kept & ~inside[body.source] & inside[body.target])
        leaving = np.flatnonzero(kept & inside[body.source] & ~inside[body.target])
        inputs = {(int(body.source[edge]), int(body.port[edge])): None for edge in entering.tolist()}
        outputs = {(int(body.source[edge]), int(body.port[edge])): None for edge in leaving.tolist()}
        count = len(box.scope.members)
        noun = body.noun if count > 1 else body.noun.removesuffix("s")
        ops = sorted(box.op_counts.items(), key=lambda item: (-item[1], item[0]))
        return {
            "line": cell_text.long_text(f"{count:,} {noun}"),
            "function": body.function,
            "row": -1,
            "tensor": "",
            "signature": "",
            "settings": [[cell_text.cell_text(op), f"{number:,}"] for op, number in ops[:_MOST_OPS]],
            "usual": [[cell_text.cell_text(op), f"{number:,}"] for op, number in ops[_MOST_OPS:]],
            "value": "",
            "inputs": [self._end(body, *tensor) for tensor in inputs],
            "outputs": [self._end(body, *tensor) for tensor in outputs],
            "holds": self._weights(box),
        }

    # Weights

    @cached_property
    def _variables(self) -> dict[str, tuple[int, VariableRow]]:
        """The rows of the table of variables by name, none where they cannot be read."""
        if Part.VARIABLES.value not in self._model.parts or not self._model.is_at_hand(Part.VARIABLES.value):
            return {}
        frame = self._model.table("variables", all=True)
        columns = [frame[name].tolist() for name in VariableRow._fields]
        rows = [VariableRow(*values) for values in zip(*columns, strict=True)]
        return {row.name: (place, row) for place, row in enumerate(rows)}

    @cached_property
    def _by_layer(self) -> Mapping[str, list[str]]:
        """The names of variables by the layer that holds them: all of a path but its end."""
        names = sorted(self._variables, key=lambda name: self._variables[name][0])
        return {layer: list(group) for layer, group in itertools.groupby(names, lambda name: name.rpartition("/")[0])}

    def _weights(self, box: Box) -> list[Data]:
        """List the weights that a box works with, the largest first where they are many."""
        names = list(dict.fromkeys(self._weight_names(box)))
        rows = [self._variables[name] for name in names if name in self._variables]
        if len(rows) > _MOST_WEIGHTS:
            rows = sorted(rows, key=lambda row: -(row[1].size or 0))[:_MOST_WEIGHTS]
        return [
            {
                "name": cell_text.long_text(row.name),
                "dtype": row.dtype or "",
                "shape": _shape(row.shape),
                "bytes": 0 if row.bytes is None or is_missing(row.bytes) else int(row.bytes),
                "row": place,
            }
            for place, row in rows
        ]

    def variable(self, place: int) -> VariableRow:
        """Return a row of the table of variables, with None for what is missing."""
        row = next(row for at, row in self._variables.values() if at == place)
        known: list[Any] = [None if is_missing(value) else value for value in row]
        return VariableRow(*known)

    def _weight_names(self, box: Box) -> Iterator[str]:
        body = box.room.body
        if self._is_layers:
            for name in (body.names[node] for node in box.scope.members.tolist()):
                # A layer within a layer (Bidirectional, attention) has its variables one level further down.
                yield from (
                    variable
                    for layer, names in self._by_layer.items()
                    if layer == name or layer.startswith(f"{name}/")
                    for variable in names
                )
            return
        for node in _telling_nodes(box):
            yield from self._held(body, node)

    def _held(self, body: Body, node: int) -> Iterator[str]:
        """Yield the names under which a node, or what hands it its value, holds a weight."""
        seen = {node}
        while body.ops[node] in _HANDING and (edges := body.inputs_of(node)):
            node = int(body.source[edges[0]])
            if node in seen:
                return
            seen.add(node)
        if body.ops[node] == ARGUMENT:
            yield from self._fed(body, node)
        elif body.ops[node] == "Const" or body.ops[node] in _HOLDING:
            yield body.names[node]
            row = int(body.rows[node])
            if body.ops[node] != "Const" and row >= 0:
                yield self._library.graph.node_def(row).attr["shared_name"].s.decode("utf-8", "replace")

    def _fed(self, body: Body, node: int) -> Iterator[str]:
        """Follow an argument to what the caller gives for it."""
        route = self._routes.by_function.get(body.function, ())
        if not route:
            return
        caller, function = route[-1]
        outer = self._library.body(route[-2][1] if len(route) > 1 else "")
        first = next((call.first_input for call in self._library.calls(outer, caller) if call.function == function), 0)
        slot = first + body.arguments.index(node)
        edges: Iterable[int] = outer.inputs_of(caller)
        for edge in edges:
            if int(outer.slot[edge]) == slot:
                yield from self._held(outer, int(outer.source[edge]))

    @cached_property
    def _routes(self) -> entry_points.Routes:
        """The ways from the main graph, which holds the variables, into functions."""
        return entry_points.Routes(self._library, "")


def _telling_nodes(box: Box) -> list[int]:
    """Return the nodes of a box, and those tucked into them, that may hold a weight, as they come in the graph."""
    room, body = box.room, box.room.body
    telling, inside = body.is_op(_TELLING), np.zeros(len(body.names), bool)
    inside[box.scope.members] = True
    own = np.flatnonzero(inside & telling)
    tucked = np.flatnonzero(inside[body.target] & (telling & ~room.shown)[body.source])
    owners = np.concatenate([own, body.target[tucked]])
    places = np.concatenate([np.full(len(own), CONTROL - 1), body.slot[tucked]])
    nodes = np.concatenate([own, body.source[tucked]])[np.lexsort((places, owners))]
    return list(dict.fromkeys(nodes.tolist()))


def _shape(shape: Shape) -> str:
    """Word a shape; that of a single number too."""
    if shape is None:
        return ""
    return scenes.shape_text(shape) or "scalar"

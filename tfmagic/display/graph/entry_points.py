"""How the bodies of a graph reach one another by calls: where to start looking, and the way to any node.

A SavedModel of TensorFlow 2 is a main graph with a call in it, of a function with nothing but a call in it. Not for:
boxes (:mod:`tfmagic.display.graph.unfolding`).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.display.graph import name_scopes, op_colours
from tfmagic.display.graph.bodies import ARGUMENT, CALLS, MOST_DIGITS, RESULT
from tfmagic.files import protos
from tfmagic.graphs.signatures import is_hidden
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.files.wire import Integers
    from tfmagic.graphs.metagraphs import MetaGraph

#: What may stand around the one call of a body that only calls another.
_AROUND_A_CALL = frozenset({ARGUMENT, RESULT, "Placeholder", "Identity", "IdentityN", "NoOp"})
_PASSING = frozenset({"Identity", "IdentityN"})
#: Functions that TensorFlow makes for its own use: nobody starts to read there.
_ITS_OWN = re.compile(r"__inference_+(?:traced_(?:save|restore)|creator|destroyer|initializer)_?\d*")
#: Kinds of ops that a search lists behind others.
_ASIDE = {"state": 2, "end": 1}
#: Bodies that are followed into one another where each only calls the next.
_DEEPEST = 100
_DEFAULT_SIGNATURES = ("serving_default", "serve", "predict")
Route = tuple[tuple[int, str], ...]


class Entry(NamedTuple):
    """A body to start from.

    Attributes
    ----------
    title : str
        What leads there: a signature's key, a function's name.
    function : str
        The body.
    """

    title: str
    function: str


#: Signatures whose functions are looked for: nobody chooses among more, and a card waits for it.
_MOST_SIGNATURES = 1_000


class Hit(NamedTuple):
    """A node that a search found."""

    name: str
    op: str
    function: str
    node: int


def entries(library: Library, meta_graph: MetaGraph | None) -> list[Entry]:
    """List the bodies to start from, the most telling first, the main graph and all functions included."""
    entries = list(_of_signatures(library, meta_graph)) if meta_graph else []
    main = library.body()
    inner = _descended(library, "")
    telling = [Entry("main graph", "")] if main.names else []
    if inner and not entries:
        entries = [Entry(inner, inner)]
    if not inner and _does_work(main):
        entries = telling + entries
    named = {entry.function for entry in entries}
    rest = [Entry(name, name) for name in library.functions if name not in named and not _ITS_OWN.fullmatch(name)]
    listed = entries + [entry for entry in telling if entry not in entries] + rest
    return listed or [Entry("main graph", "")]


def _of_signatures(library: Library, meta_graph: MetaGraph) -> Iterator[Entry]:
    """Yield the functions behind the signatures, the one that is called by default first."""
    signatures = {key: each for key, each in meta_graph.signature_def.items() if not is_hidden(key)}
    rank = {key: index for index, key in enumerate(_DEFAULT_SIGNATURES)}
    main = library.body()
    places = dict(zip(main.names, range(len(main.names)), strict=True)) if signatures else {}
    seen = set()
    for key in sorted(signatures, key=lambda key: (rank.get(key, len(rank)), key))[:_MOST_SIGNATURES]:
        signature = signatures[key]
        ends = _Ends(
            {places.get(node_of(info.name), -1): (name, info) for name, info in signature.inputs.items()},
            {_behind(main, *_tensor(places, info.name)): (name, info) for name, info in signature.outputs.items()},
        )
        _name(main, ends)
        for node in dict.fromkeys(node for node, _ in ends.outputs):
            calls = library.calls(main, node) if node >= 0 else ()
            function = _descended(library, calls[0].function, _within(main, node, ends)) if len(calls) == 1 else ""
            if function and function not in seen:
                seen.add(function)
                yield Entry(key, function)


class _Ends(NamedTuple):
    """What a signature says of the ends of a body: its inputs by node, its outputs by node and port."""

    inputs: dict[int, tuple[str, protos.Message]]
    outputs: dict[tuple[int, int], tuple[str, protos.Message]]


def _tensor(places: dict[str, int], tensor: str) -> tuple[int, int]:
    """Return node and port of a tensor of the main graph."""
    port = tensor.rpartition(":")[2]
    return places.get(node_of(tensor), -1), int(port) if port.isdecimal() and len(port) <= MOST_DIGITS else 0


def _behind(body: Body, node: int, port: int) -> tuple[int, int]:
    """Return the tensor that only passes on to another name: a signature's keys may be such names."""
    seen = set()
    while node >= 0 and node not in seen and body.ops[node] in _PASSING and body.inputs_of(node):
        seen.add(node)
        slots = [edge for edge in body.inputs_of(node) if body.slot[edge] == port]
        if not slots:
            break
        node, port = int(body.source[slots[0]]), int(body.port[slots[0]])
    return node, port


def _within(body: Body, call: int, ends: _Ends) -> _Ends:
    """Carry what is known of a body's ends over to those of the function that one of its nodes calls, by place."""
    slots = {int(body.slot[edge]): int(body.source[edge]) for edge in body.inputs_of(call)}
    fed = {slot: ends.inputs[node] for slot, node in slots.items() if node in ends.inputs}
    results = {node: index for index, node in enumerate(body.results)}
    end_of_port = {port: end for (node, port), end in ends.outputs.items() if node == call}
    for edge in body.outputs_of(call):
        key = (results.get(int(body.target[edge]), -1), 0)
        if key[0] >= 0 and (body.results[key[0]], 0) in ends.outputs:
            end_of_port[int(body.port[edge])] = ends.outputs[body.results[key[0]], 0]
    return _Ends(fed, {(-1, port): end for port, end in end_of_port.items()})


def _named(body: Body, ends: _Ends) -> _Ends:
    """Give a function's arguments and results the names, dtypes and shapes that are known of them by place."""
    inputs = {body.arguments[slot]: end for slot, end in ends.inputs.items() if slot < len(body.arguments)}
    outputs = {(body.results[port], 0): end for (_, port), end in ends.outputs.items() if port < len(body.results)}
    side_ends = _Ends(inputs, outputs)
    _name(body, side_ends)
    return side_ends


def _name(body: Body, ends: _Ends) -> None:
    """Write what a signature says of nodes into their body."""
    pairs = [*ends.inputs.items(), *((node, end) for (node, _), end in ends.outputs.items())]
    for node, (key, info) in pairs:
        if node >= 0 and body.ops[node] in {ARGUMENT, RESULT, "Placeholder"}:
            body.keys.setdefault(node, key)
            body.shapes[node] = body.shapes[node] or protos.shape_of(info.tensor_shape)


def _descended(library: Library, function: str, ends: _Ends | None = None) -> str:
    """Follow bodies that do nothing but call another; return the last, of an endless row one far enough down."""
    seen = {function}
    while len(seen) <= _DEEPEST:
        body = library.body(function)
        ends = _named(body, ends) if ends else None
        call = _only_call(library, body)
        inner = library.calls(body, call)[0].function if call >= 0 else function
        if inner in seen:
            return function
        ends = _within(body, call, ends) if ends else None
        seen.add(inner)
        function = inner
    return function


def _only_call(library: Library, body: Body) -> int:
    """Return the node that calls a function, if that is all that a body does, else -1."""
    shown = np.flatnonzero(name_scopes.Shown(body).plain)
    if len(shown) > _most_around(body):
        return -1
    calls = [node for node in shown.tolist() if body.ops[node].endswith("PartitionedCall")]
    others = [node for node in shown.tolist() if node not in calls and body.ops[node] not in _AROUND_A_CALL]
    return calls[0] if len(calls) == 1 and not others and len(library.calls(body, calls[0])) == 1 else -1


def _most_around(body: Body) -> int:
    return 1000 + len(body.arguments) + len(body.results)


def _does_work(body: Body) -> bool:
    """Say whether a main graph computes by itself rather than by calling."""
    shown = [body.ops[node] for node in np.flatnonzero(name_scopes.Shown(body).plain)[:1000].tolist()]
    return any(op not in _AROUND_A_CALL and not op.endswith("PartitionedCall") for op in shown)


class Routes:
    """The ways from a body to the bodies that it reaches.

    Parameters
    ----------
    library : Library
        The bodies.
    function : str
        The body to start from.
    """

    def __init__(self, library: Library, function: str) -> None:
        self.library = library
        self.function = function

    @cached_property
    def by_function(self) -> dict[str, Route]:
        """The shortest way to each body that is reached: the nodes that call, and what they call."""
        routes: dict[str, Route] = {self.function: ()}
        waiting = [self.function]
        while waiting:
            caller = waiting.pop(0)
            for node, function in self._calls_of(self.library.body(caller)):
                if function not in routes:
                    routes[function] = (*routes[caller], (node, function))
                    waiting.append(function)
        return routes

    def _calls_of(self, body: Body) -> Iterator[tuple[int, str]]:
        callers = body.is_op(frozenset(CALLS) | frozenset(self.library.functions)) & ~body.hidden
        for node in np.flatnonzero(callers).tolist():
            yield from ((node, call.function) for call in self.library.calls(body, node))

    def search(self, text: str, most: int) -> tuple[list[Hit], int]:
        """Find nodes by a part of their name or by their op, whatever the case.

        Returns
        -------
        (list of Hit, int)
            The first ``most`` hits, and how many there are.
        """
        frame = self.library.frame
        by_name = frame["name"].astype(object).str.contains(text, case=False, regex=False).to_numpy(bool)
        wanted = text.strip().lower()
        # The op itself, whatever its number of version, is as good as a name; a part of one only where no name has it.
        ops = frame["op"].cat
        exact = [str(op).lower() in {wanted, f"{wanted}v2", f"{wanted}v3"} for op in ops.categories]
        by_op = np.array([*exact, False], bool)[ops.codes]
        if not (by_name | by_op).any():
            by_op = np.array([*(wanted in str(op).lower() for op in ops.categories), False], bool)[ops.codes]
        rows = np.flatnonzero(by_name | by_op)
        reached = frame["function"].iloc[rows].isin(list(self.by_function)).to_numpy(bool)
        rows = rows[reached]
        return [self.hit(int(row)) for row in self._best(rows, wanted)[:most].tolist()], len(rows)

    def _best(self, rows: Integers, wanted: str) -> Integers:
        """Rank hits: the name itself, its last component, the op itself, the end of a name, the begin of a component.

        Among equals what computes comes before constants, variables and what only passes on.
        """
        part = self.library.frame.iloc[rows]
        ops, names = part["op"].cat, part["name"].tolist()
        codes = ops.codes.to_numpy()
        is_op = np.array([str(op).lower().startswith(wanted) for op in ops.categories] or [False], bool)[codes]
        kinds = [op_colours.kind_of(str(op)) for op in ops.categories] or [""]
        aside = np.array([_ASIDE.get(kind, 0) for kind in kinds], np.int64)[codes]
        rank = [
            0 if name == wanted
            else 1 if name.endswith(f"/{wanted}")
            else 2 if has_op
            else 3 if name.endswith(wanted)
            else 4 if f"/{wanted}" in f"/{name}"
            else 5
            for name, has_op in zip(map(str.lower, names), is_op.tolist(), strict=True)
        ]  # fmt: skip
        # What is drawn comes before constants and variables, but not before the very name that was asked for.
        ranks = np.array(rank, np.int64)
        return rows[np.lexsort((ranks, np.where(ranks == 0, 0, aside)))]

    def hit(self, row: int) -> Hit:
        """Return the node of a row of the table of ops."""
        frame = self.library.frame
        function = str(frame["function"].iloc[row])
        rows = self.library.body(function).rows
        node = int(np.flatnonzero(rows == row)[0])
        return Hit(str(frame["name"].iloc[row]), str(frame["op"].iloc[row]), function, node)

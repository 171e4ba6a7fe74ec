"""The main graph and each function of a model as arrays of edges, ready to be grouped and drawn.

A body is read from the table of ops, which knows all nodes; what a node calls is parsed when it is asked for. The
arguments and results of a function become nodes, numbered after those of the file, and the Identity that only hands a
value to a result is hidden::

    FunctionDef                                 Body

    dense(x, w) -> y                            number  names  ops            hidden
      read    ReadVariableOp  w                 0       read   ReadVariableOp
      MatMul  MatMul  x, read:value:0, ^read    1       MatMul MatMul
      out     Identity  MatMul:product:0        2       out    Identity       hidden
      return y = out:output:0                   3       x      Argument
                                                4       w      Argument
                                                5       y      Result

                                                source  port  target  slot
                                                4       0     0       0         w -> read
                                                3       0     1       0         x -> MatMul
                                                0       0     1       1         read -> MatMul
                                                1       0     2       0         MatMul -> out
                                                0       0     1       CONTROL   read -> MatMul
                                                1       0     5       0         MatMul -> y, past out

Not for: grouping by scope (:mod:`tfmagic.display.graph.name_scopes`) or anything on a screen.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.frames import Shape
    from tfmagic.graphs.serialized import SerializedGraph

#: The ops given to a function's arguments and results, which are no nodes of the file.
ARGUMENT, RESULT = "Argument", "Result"
#: What a graph begins and ends with.
ENDS = frozenset({ARGUMENT, RESULT, "InputLayer"}) | of_kind("placeholder")
#: A longer number is no output's.
MOST_DIGITS = 9
#: Edges by control have no place among a node's inputs.
CONTROL = -1
#: The option of TFLite's ops that says what activates their result.
_ACTIVATION = "fused_activation_function"
#: Ops that call functions: the attributes that name them, and which input is each function's first.
CALLS = {
    "PartitionedCall": (("f",), 0),
    "StatefulPartitionedCall": (("f",), 0),
    "TPUPartitionedCall": (("f",), 0),
    "XlaLaunch": (("function",), 0),
    "SymbolicGradient": (("f",), 0),
    "While": (("cond", "body"), 0),
    "StatelessWhile": (("cond", "body"), 0),
    "If": (("then_branch", "else_branch"), 1),
    "StatelessIf": (("then_branch", "else_branch"), 1),
    "Case": (("branches",), 1),
    "StatelessCase": (("branches",), 1),
    "MapDataset": (("f",), 1),
    # As TFLite calls them.
    "CALL": (("f",), 0),
    "CALL_ONCE": (("f",), 0),
    "IF": (("then_branch", "else_branch"), 1),
    "WHILE": (("cond", "body"), 0),
    "STABLEHLO_CASE": (("branches",), 1),
    "STABLEHLO_COMPOSITE": (("f",), 0),
    "STABLEHLO_REDUCE": (("body",), 0),
    "STABLEHLO_REDUCE_WINDOW": (("body",), 0),
    "STABLEHLO_SCATTER": (("f",), 0),
    "STABLEHLO_SORT": (("f",), 0),
    "STABLEHLO_WHILE": (("cond", "body"), 0),
}


class Call(NamedTuple):
    """A function that a node calls: in what role, and which of the node's inputs is its first argument."""

    role: str
    function: str
    first_input: int


@dataclass
class Body:
    """The nodes of one graph, by number, and the edges between them.

    Attributes
    ----------
    function : str
        ``""`` for the main graph.
    names, ops : list of str
        One a node; a function's arguments and results come after its nodes.
    shapes : list of shape
        Of each node's first output.
    dtypes : list of str
        Likewise.
    rows : int array
        The nodes' rows in the table of ops, -1 for arguments and results.
    hidden : array of bool
        The nodes that nobody wants to see: saving and restoring, and what only hands a value to a result.
    arguments, results : list of int
        The nodes that are the function's arguments and results, in order.
    keys : dict of int to str
        What a signature calls a node.
    noun : str
        What many nodes are called.
    source, target : int array
        The nodes at the ends of each edge.
    port, slot : int array
        Which output an edge leaves, and which input it enters, ``CONTROL`` for a control edge.
    fused : callable
        Returns what a node does to its result besides, as TFLite's ops activate it: ``"RELU6"``, ``""`` if nothing.
    """

    function: str
    names: list[str]
    ops: list[str]
    shapes: list[Shape]
    dtypes: list[str]
    rows: Integers
    hidden: Mask
    arguments: list[int] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)
    noun: str = "ops"
    source: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    target: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    port: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    slot: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    fused: Callable[[int], str] = lambda _: ""

    @cached_property
    def op_codes(self) -> tuple[Integers, list[str]]:
        """The ops as numbers, and what each number means."""
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(op, len(numbers)) for op in self.ops]
        return np.array(codes, np.int64), list(numbers)

    def is_op(self, wanted: frozenset[str]) -> Mask:
        """Say of each node whether its op is one of these."""
        codes, ops = self.op_codes
        return np.array([op in wanted for op in ops] or [False], bool)[codes]

    def inputs_of(self, node: int) -> list[int]:
        """Return the edges that enter a node, in the order of its inputs."""
        edges, starts = self._entering
        targets: list[int] = edges[starts[node] : starts[node + 1]].tolist()
        return targets

    @cached_property
    def _entering(self) -> tuple[Integers, Integers]:
        """The edges in the order of the nodes and the inputs that they enter, and where those of each node begin."""
        order = np.lexsort((self.slot, self.target))
        return order, np.searchsorted(self.target[order], np.arange(len(self.names) + 1))

    def outputs_of(self, node: int) -> list[int]:
        """Return the edges that leave a node."""
        indices: list[int] = np.flatnonzero(self.source == node).tolist()
        return indices


class Library:
    """The bodies of a model, each built when it is first asked for.

    Parameters
    ----------
    model : ShownModel
        A model whose graph is at hand; of several MetaGraphDefs the one that is shown.
    """

    #: Plumbing is told apart up to this many nodes: it follows every edge in Python.
    FOLLOWED_NODES = 300_000

    def __init__(self, model: ShownModel) -> None:
        self.graph: SerializedGraph = model.meta_graph.graph
        self.frame: pd.DataFrame = model.table("ops", all=True)
        small = len(self.frame) <= self.FOLLOWED_NODES
        self._fuses = model.has_own_ops
        self._plumbing: Mask = np.array(model.plumbing_ops if small else [False] * len(self.frame), bool)
        self._bodies: dict[str, Body] = {}
        self._calls: dict[int, tuple[Call, ...]] = {}

    @cached_property
    def functions(self) -> dict[str, int]:
        """The functions of the library by name, numbered as they lie in the file."""
        return {name: index for index, name in enumerate(self.graph.function_names)}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many nodes each body has."""
        counts = np.bincount(self.frame["function"].cat.codes, minlength=len(self.frame["function"].cat.categories))
        return dict(zip(map(str, self.frame["function"].cat.categories), counts.tolist(), strict=True))

    def body(self, function: str = "") -> Body:
        """Return the main graph, or a function of the library."""
        if function not in self._bodies:
            self._bodies[function] = self._build(function)
        return self._bodies[function]

    @property
    def names(self) -> set[str]:
        """What the nodes of all bodies are called."""
        return set(map(str, self.frame["name"]))

    def parameters(self, body: Body) -> Integers | None:
        """Return how many parameters each node has, if the library knows; a graph says it by its constants alone."""
        del body
        return None

    def calls(self, body: Body, node: int) -> tuple[Call, ...]:
        """Return the functions that a node calls and the library has, in order."""
        row = int(body.rows[node])
        if row < 0 or (body.ops[node] not in CALLS and body.ops[node] not in self.functions):
            return ()
        if row not in self._calls:
            self._calls[row] = tuple(self._callees(body.ops[node], row))
        return self._calls[row]

    def _callees(self, op: str, row: int) -> Iterator[Call]:
        """Parse the attributes of one node that name functions."""
        if op in self.functions:
            yield Call("function", op, 0)
            return
        keys, first = CALLS[op]
        attributes = self.graph.node_def(row).attr
        for key in [key for key in keys if key in attributes]:
            value = attributes[key]
            several = value.list.func
            for index, reference in enumerate(several or (value.func,)):
                if reference.name in self.functions:
                    yield Call(f"{key} {index}" if several else key, reference.name, first)

    @cached_property
    def _columns(self) -> list[np.ndarray]:
        """What a body is built of, as arrays of objects: a frame takes as long for a few rows as for many."""
        names = ("name", "op", "shape", "dtype", "inputs", "control_inputs")
        return [self.frame[name].to_numpy(object) for name in names]

    @cached_property
    def _by_function(self) -> tuple[dict[str, int], Integers, Integers]:
        """The number of each function, the rows of the table in their order, and where those of each begin."""
        column = self.frame["function"].cat
        numbers = {str(name): code for code, name in enumerate(column.categories)}
        codes = column.codes.to_numpy()
        order = np.argsort(codes, kind="stable")
        return numbers, order, np.searchsorted(codes[order], np.arange(len(numbers) + 1))

    def _rows_of(self, function: str) -> Integers:
        """Return the rows of the table of ops that are a function's, in order."""
        numbers, order, starts = self._by_function
        number = numbers.get(function)
        return order[:0] if number is None else order[starts[number] : starts[number + 1]]

    def _build(self, function: str) -> Body:
        """Build a body from its rows of the table of ops."""
        rows = self._rows_of(function)
        names, ops, shapes, dtypes, *mentions = (column[rows].tolist() for column in self._columns)
        body = Body(function, names, ops, shapes, dtypes, rows, self._plumbing[rows])
        ends = _Ends(self, body, dict(zip(names, range(len(names)), strict=True)))
        ends.add_arguments()
        data, control = (_flat(column) for column in mentions)
        results = ends.add_results()
        columns = [ends.edges(*data), ends.edges(*control, is_control=True), results]
        body.source, body.port, body.target, body.slot = (
            np.concatenate(each).astype(np.int64) for each in zip(*columns, strict=True)
        )
        _pass_identities(body)
        if self._fuses:
            body.fused = cache(lambda node: self._fused(int(body.rows[node])))
        return body

    def _fused(self, row: int) -> str:
        """Return what activates the result of an op of TFLite's, which is part of the op."""
        attributes = self.graph.node_def(row).attr if row >= 0 else {}
        word = attributes[_ACTIVATION].s.decode("utf-8", "replace") if _ACTIVATION in attributes else ""
        return "" if word == "NONE" else word


def _pass_identities(body: Body) -> None:
    """Let results be fed by what feeds the Identity before them: each result of a function has one, or several."""
    is_result = body.is_op(frozenset({RESULT}))
    others = np.bincount(body.source[~is_result[body.target]], minlength=len(body.names)) > 0
    passing = body.is_op(frozenset({"Identity"})) & ~others
    while (at := np.flatnonzero(is_result[body.target] & passing[body.source] & ~body.hidden[body.source])).size:
        for edge in at.tolist():
            node = int(body.source[edge])
            body.hidden[node] = True
            for into in body.inputs_of(node)[-1:]:
                body.source[edge], body.port[edge] = body.source[into], body.port[into]
        others = (
            np.bincount(body.source[~is_result[body.target] & ~body.hidden[body.target]], minlength=len(others)) > 0
        )
        passing = body.is_op(frozenset({"Identity"})) & ~others


def _flat(column: Sequence[tuple[str, ...]]) -> tuple[list[str], Integers, Integers]:
    """Flatten a column of tuples: the texts, and the node and the place that each belongs to."""
    arity = np.fromiter(map(len, column), np.int64, len(column))
    owner = np.repeat(np.arange(len(column)), arity)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(arity) - arity, arity)
    return list(itertools.chain.from_iterable(column)), owner, place


Columns = tuple["Integers", "Integers", "Integers", "Integers"]


@dataclass
class _Ends:
    """Adds what a function's signature says to its body, and turns names into numbers."""

    library: Library
    body: Body
    numbers: dict[str, int]

    @cached_property
    def signature(self) -> protos.Message | None:
        """The OpDef of the function, None for the main graph."""
        index = self.library.functions.get(self.body.function)
        return None if index is None else self.library.graph.function_signatures[index]

    def add_arguments(self) -> None:
        """Add a node for each argument."""
        for argument in self.signature.input_arg if self.signature else ():
            self.body.arguments.append(self._add(argument.name, ARGUMENT, argument.type))
            self.numbers[argument.name] = self.body.arguments[-1]

    def add_results(self) -> Columns:
        """Add a node for each result; return the edges into them."""
        index = self.library.functions.get(self.body.function)
        if index is None or not self.signature:
            return _columns([], [], [], [])
        tensors = self.library.graph.function_results(index)
        texts = []
        for result in self.signature.output_arg:
            self.body.results.append(self._add(result.name, RESULT, result.type))
            texts.append(tensors.get(result.name, ""))
        return self.edges(texts, np.array(self.body.results, np.int64), np.zeros(len(texts), np.int64))

    def _add(self, name: str, op: str, dtype: int) -> int:
        """Add a node that is none of the file; return its number."""
        body = self.body
        body.names.append(name)
        body.ops.append(op)
        body.shapes.append(None)
        body.dtypes.append(protos.dtype_name(dtype) if dtype else "")
        body.rows = np.append(body.rows, -1)
        body.hidden = np.append(body.hidden, False)
        return len(body.names) - 1

    def edges(self, texts: list[str], owner: Integers, place: Integers, *, is_control: bool = False) -> Columns:
        """Turn mentions of tensors into edges; a name that leads nowhere is passed over."""
        find = self.numbers.get
        sources = np.array([find(text, -1) for text in texts], np.int64).reshape(-1)
        ports = np.zeros(len(texts), np.int64)
        for index in np.flatnonzero(sources < 0).tolist():
            text = texts[index]
            sources[index] = find(node_of(text), -1)
            _, colon, port = text.rpartition(":")
            ports[index] = int(port) if colon and port.isdecimal() and len(port) <= MOST_DIGITS else 0
        known = sources >= 0
        slots = np.full(len(texts), CONTROL) if is_control else place
        return sources[known], ports[known], owner[known], slots[known]


def _columns(*lists: list[int]) -> Columns:
    source, port, target, slot = (np.array(each, np.int64) for each in lists)
    return source, port, target, slot

"""Inline the calls of a graph: the nodes of each called function stand in the graph, under the call's name.

::

    x ──► call (PartitionedCall, f) ──► y        x ──► call/MatMul ──► call/Relu ──► y

Inlining is for people and for other tools: names of layers in the main graph, no call in between. Of a function that
is loaded, TensorFlow's optimizer does it; where it cannot be reached, the calls stay, and freezing goes into them. What
lies on disk is inlined by an edit. A function that asks not to be inlined, and the branches and bodies of control flow,
stay functions. Not for: what happens to the variables in them (:mod:`tfmagic.transforms.variable_reads`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import call_scopes, function_library, op_outputs
from tfmagic.graphs.ops import Effect, named
from tfmagic.graphs.tensor_names import node_of, plain
from tfmagic.runtime import grappler
from tfmagic.transforms import inlined_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Functional control flow stays functional: lowered to Switch and Merge it leaves placeholders without a feed.
LOWERING = "_lower_using_switch_merge"
#: Attributes of nodes that hold for the graph they came from only.
_LOCAL_ATTRS = ("_class", "_gradient_op_type", "_construction_context")
#: Attributes of functions by which an optimizer would exchange them for others.
_EXCHANGE_ATTRS = ("api_implements", "api_preferred_device", "forward_function_name", "backward_function_name")
#: Ops that call the function that an attribute of theirs names.
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: Attributes by which a function, or a call, stays what it is.
_STAYING = ("_noinline", "_XlaMustCompile")
#: Ops that begin a loop of TensorFlow 1, whose name must be its own.
_ENTERING = frozenset({"Enter", "RefEnter"})
#: More nodes than this are not made of calls within calls: a few functions that call each other twice reach any number.
_MOST_NODES = 5_000_000
#: A node's name says through which calls it is reached.
_LONGEST_NAME = 20_000


def inlined(graph_def: protos.Message, keep: Sequence[str]) -> protos.Message:
    """Return a copy of the graph with its calls inlined, in our pool, devices cleared.

    Parameters
    ----------
    graph_def : GraphDef
        Of any descriptor pool; it stays as it is.
    keep : sequence of str
        Nodes that must stay under their names.
    """
    result = protos.adopt(graph_def)
    _keep_functions(result)
    if _calls(result):
        call_scopes.stand_apart(result)
        result = protos.adopt(grappler.inline_calls(protos.native(result), keep))
        inlined_names.restore(result)
    _leave_places(result)
    return result


def _calls(graph_def: protos.Message) -> bool:
    """Say whether there is anything to inline: a node that is called a call, or by the name of a function."""
    names = {*CALLS, *(function.signature.name for function in graph_def.library.function)}
    return any(node.op in names for node in function_library.all_nodes(graph_def))


def flatten(graph_def: protos.Message, definitions: Mapping[str, protos.Message]) -> None:
    """Inline the calls of a graph in place, without TensorFlow; devices are cleared.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool.
    definitions : mapping of str to OpDef
        Those that came with the model.

    Raises
    ------
    ConversionError
        As :func:`inline_calls`.
    """
    _keep_functions(graph_def)
    inline_calls(graph_def, definitions)
    _leave_places(graph_def)


def _keep_functions(graph_def: protos.Message) -> None:
    """Take out what would have functions exchanged for others, or control flow written as that of TensorFlow 1."""
    for function in graph_def.library.function:
        _drop(function, _EXCHANGE_ATTRS)
    for node in function_library.all_nodes(graph_def):
        if LOWERING in node.attr:
            node.attr[LOWERING].b = False


def _leave_places(graph_def: protos.Message) -> None:
    """Take out what held for the process and the graph that nodes come from."""
    for node in function_library.all_nodes(graph_def):
        node.ClearField("device")
        _drop(node, _LOCAL_ATTRS)


def _drop(holder: protos.Message, attrs: Iterable[str]) -> None:
    for attr in attrs:
        if attr in holder.attr:
            del holder.attr[attr]


def inline_calls(graph_def: protos.Message, definitions: Mapping[str, protos.Message]) -> None:
    """Inline the calls of a graph, in place.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool. Its library stays as it is.
    definitions : mapping of str to OpDef
        Those that came with the model.

    Raises
    ------
    ConversionError
        If a function calls itself, takes lists, or has an op whose outputs nobody knows.
    """
    flattening = _Flattening(graph_def, definitions)
    nodes = list(flattening.nodes())
    flattening.settle(nodes)
    del graph_def.node[:]
    graph_def.node.extend(nodes)


class _Flattening:
    """A graph on its way."""

    def __init__(self, graph_def: protos.Message, definitions: Mapping[str, protos.Message]) -> None:
        self._main = list(graph_def.node)
        self._functions = {function.signature.name: function for function in graph_def.library.function}
        # A function of TensorFlow 1 may be called as an op of its own name.
        self._definitions = {**definitions, **{name: each.signature for name, each in self._functions.items()}}
        self._taken = {node.name for node in graph_def.node}
        self._waited = {text[1:] for node in graph_def.node for text in node.input if text.startswith("^")}
        #: Where the outputs of inlined calls come from.
        self._sources: dict[str, str] = {}

    def nodes(self) -> Iterator[protos.Message]:
        """Yield the nodes of the flat graph; they still take the outputs of calls that are gone."""
        self._require_an_end()
        waiting = self._main[::-1]
        while waiting:
            node = waiting.pop()
            function = self._called(node)
            if function is None:
                yield node
            else:
                waiting.extend(reversed(self._body(node, function)))

    def _require_an_end(self) -> None:
        """Refuse functions that call themselves, or each other so often that no memory holds the result."""
        sizes: dict[str, int] = {}
        total = self._size(self._main, sizes)
        open_names: set[str] = set()
        waiting = [each for each in map(self._called, self._main) if each is not None]
        while total is None and waiting:
            function = waiting[-1]
            name = function.signature.name
            size = self._size(function.node_def, sizes)
            if size is not None:
                sizes[name] = size
                open_names.discard(name)
                waiting.pop()
                continue
            if name in open_names:
                raise errors.ConversionError(f"the function {name!r} calls itself")
            open_names.add(name)
            called = (each for each in map(self._called, function.node_def) if each is not None)
            waiting.extend(each for each in called if each.signature.name not in sizes)
        total = self._size(self._main, sizes)
        if total is not None and total > _MOST_NODES:
            raise errors.ConversionError(
                f"its functions call each other so often that, inlined, they are {total:,} ops, and more than "
                f"{_MOST_NODES:,} are not made"
            )

    def _size(self, nodes: Sequence[protos.Message], sizes: Mapping[str, int]) -> int | None:
        """Return how many nodes these are when calls are inlined, None while a function's size is not known."""
        count = 0
        for node in nodes:
            function = self._called(node)
            if function is not None and function.signature.name not in sizes:
                return None
            count += 1 if function is None else 1 + sizes[function.signature.name]
        return count

    def settle(self, nodes: Sequence[protos.Message]) -> None:
        """Let nodes take what calls gave from where it comes."""
        for node in nodes:
            for place, text in enumerate(node.input):
                node.input[place] = self._settled(text)

    def _settled(self, text: str) -> str:
        text = plain(text)
        for _ in range(len(self._sources) + 1):
            if text not in self._sources:
                return text
            text = self._sources[text]
        raise errors.ConversionError(f"the graph leads round in circles at {text!r}")

    def _called(self, node: protos.Message) -> protos.Message | None:
        """Return the function that a node calls and that is to stand in its place."""
        name = node.attr["f"].func.name if node.op in CALLS and "f" in node.attr else node.op
        function = self._functions.get(name)
        if function is None or any(
            attr in each.attr and each.attr[attr].b for attr in _STAYING for each in (node, function)
        ):
            return None
        return function

    def _body(self, call: protos.Message, function: protos.Message) -> list[protos.Message]:
        """Return the nodes of a function as they stand in the place of a call of it, last one that waits for all."""
        body = _Body(call, function, self._taken, self._definitions)
        nodes = [body.node(each) for each in function.node_def]
        self._waited.update(text[1:] for node in nodes for text in node.input if text.startswith("^"))
        results = [body.tensor(function.ret[each.name]) for each in function.signature.output_arg]
        for place, tensor in enumerate(results):
            self._sources[plain(f"{call.name}:{place}")] = tensor
        if call.name in self._waited:
            ends = [body.tensor(f"^{each}") for each in function.control_ret.values()]
            ends += [f"^{node_of(tensor)}" for tensor in results]
            waiting = protos.message("NodeDef")(name=call.name, op="NoOp")
            waiting.input.extend(dict.fromkeys([*ends, *body.waits]))
            nodes.append(waiting)
        return nodes


def _free_name(wanted: str, taken: set[str]) -> str:
    """Return a name that no node has, and take it."""
    if len(wanted) > _LONGEST_NAME:
        raise errors.ConversionError(f"its functions call each other too deep: {wanted[:60]}…")
    numbered = (f"{wanted}_{number}" for number in itertools.count(1))
    name = next(each for each in itertools.chain((wanted,), numbered) if each not in taken)
    taken.add(name)
    return name


class _Body:
    """A function in the place of one call of it."""

    def __init__(
        self,
        call: protos.Message,
        function: protos.Message,
        names: set[str],
        definitions: Mapping[str, protos.Message],
    ) -> None:
        self._call = call
        self._definitions = definitions
        self._nodes = {node.name: node for node in function.node_def}
        self._renamed = {name: _free_name(f"{call.name}/{name}", names) for name in self._nodes}
        taken = [text for text in call.input if not text.startswith("^")]
        arguments = function.signature.input_arg
        if len(taken) != len(arguments) or any(each.number_attr or each.type_list_attr for each in arguments):
            raise errors.ConversionError(
                f"the function {function.signature.name!r} takes other values than it is given"
            )
        self._arguments = {each.name: text for each, text in zip(arguments, taken, strict=True)}
        #: What the call waits for, and with it whatever acts in the function.
        self.waits = [text for text in call.input if text.startswith("^")]
        self._attributes = call.attr["f"].func.attr if call.op in CALLS else call.attr

    def node(self, node: protos.Message) -> protos.Message:
        """Return a node of the function as it stands in the graph."""
        result = protos.message("NodeDef")()
        result.CopyFrom(node)
        result.name = self._renamed[node.name]
        del result.input[:]
        inputs = [self.tensor(text) for text in node.input]
        if self.waits and (not inputs or named(node.op).effect is not Effect.PURE):
            inputs += [text for text in self.waits if text not in inputs]
        result.input.extend(inputs)
        for name, value in node.attr.items():
            if value.placeholder:
                result.attr[name].CopyFrom(self._attributes[value.placeholder])
        if node.op in _ENTERING:
            result.attr["frame_name"].s = f"{self._call.name}/".encode() + node.attr["frame_name"].s
        return result

    def tensor(self, text: str) -> str:
        """Return what a node of the function takes as nodes of the graph write it.

        Raises
        ------
        ConversionError
            If there is no such node, or nobody knows its outputs.
        """
        name, _, output = text.removeprefix("^").partition(":")
        if name in self._arguments and name not in self._nodes:
            source = self._arguments[name]
            return f"^{node_of(source)}" if text.startswith("^") else source
        if name not in self._nodes:
            raise errors.ConversionError(f"a function takes {text!r}, and there is no such node in it")
        if text.startswith("^"):
            return f"^{self._renamed[name]}"
        output, _, index = output.partition(":")
        node = self._nodes[name]
        number = op_outputs.number(node, output, int(index or 0), self._definitions)
        if number is None:
            raise errors.ConversionError(
                f"nobody knows the outputs of the op {node.op!r}, of which a function takes {text!r}"
            )
        return plain(f"{self._renamed[name]}:{number}")

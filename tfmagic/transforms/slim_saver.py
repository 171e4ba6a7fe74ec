"""Take keys out of the saver of a graph: what saves and restores a checkpoint that has them no longer.

The saver of TensorFlow 1 lies among the nodes of the main graph, that of TensorFlow 2 in two functions that it calls.
Both list keys in constants; what hangs on a key that is gone goes with it, up to the arguments of the functions. Not
for: which keys may go (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import optimizer_state
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import node_of
from tfmagic.transforms import slim_lists
from tfmagic.transforms.slim_lists import OrdinaryError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

_SAVE, _RESTORE = "SaveV2", "RestoreV2"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: Inputs of SaveV2 before the tensors, and where both have their lists of keys and of slices.
_FIRST_TENSOR, _KEYS, _SLICES = 3, 1, 2
#: The names of RestoreV2's results in a function, ``save/RestoreV2:tensors:3``.
_RESULTS = "tensors"
RESTORES = of_kind("restore")


class Edited(NamedTuple):
    """A graph without some keys.

    Attributes
    ----------
    nodes : mapping of str to NodeDef
        Nodes of the main graph that changed, by name.
    functions : mapping of str to FunctionDef
        Functions that changed, by name.
    dead : frozenset of str
        Nodes of the main graph that hang on a key that is gone.
    """

    nodes: Mapping[str, protos.Message]
    functions: Mapping[str, protos.Message]
    dead: frozenset[str]


def listed_keys(nodes: Iterable[protos.Message]) -> set[str]:
    """Return all keys that ops of some nodes restore, as far as constants tell.

    Raises
    ------
    OrdinaryError
        If an op's keys are no constant.
    """
    by_name = {node.name: node for node in nodes}
    keys: set[str] = set()
    for node in by_name.values():
        if node.op in RESTORES and len(node.input) > _KEYS:
            keys.update(slim_lists.texts(slim_lists.constant(by_name, node.input[_KEYS])))
    return keys


def without_keys(
    nodes: Sequence[protos.Message], library: Sequence[protos.Message], gone: Collection[str], roots: Collection[str]
) -> Edited:
    """Take keys out of all savers of a graph.

    Parameters
    ----------
    nodes : sequence of NodeDef
        The main graph.
    library : sequence of FunctionDef
        Its functions.
    gone : collection of str
        The keys.
    roots : collection of str
        Nodes of the main graph that hold what had those keys: they are gone, too.

    Raises
    ------
    OrdinaryError
        If something else than a variable hangs on such a key, or a saver is out of the ordinary.
    """
    functions: dict[str, protos.Message] = {}
    arguments: dict[str, list[int]] = {}
    for function in library:
        if any(node.op in (_SAVE, _RESTORE) for node in function.node_def):
            scope = _Scope(function.node_def, gone, is_function=True)
            if scope.changed:
                name = function.signature.name
                functions[name], arguments[name] = _function(function, scope)
    main = _Scope(nodes, gone, is_function=False, roots=roots, arguments=arguments)
    callers = {each.func.name for function in library for node in function.node_def for each in _functions_of(node)}
    if callers & functions.keys():
        raise OrdinaryError(f"the saver {errors.listed(sorted(callers & functions.keys()))} is called by a function")
    changed = {name: node for name, node in main.nodes.items() if name in main.changed and name not in main.dead}
    return Edited(changed, functions, frozenset(main.dead & main.nodes.keys()))


def _functions_of(node: protos.Message) -> Iterator[protos.Message]:
    if node.op in _CALLS and "f" in node.attr:
        yield node.attr["f"]


@dataclass
class _Scope:
    """The main graph or a function while keys are taken out of it."""

    listed: Sequence[protos.Message]
    gone: Collection[str]
    is_function: bool
    roots: Collection[str] = ()
    arguments: Mapping[str, list[int]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.nodes = {node.name: node for node in self.listed}
        self.dead = set(self.roots)
        self.lost: set[str] = set()
        self.renamed: dict[str, str] = {}
        self._kept: dict[str, list[bool]] = {}
        self._unsaved: list[str] = []
        for node in list(self.nodes.values()):
            if node.op == _RESTORE:
                self._restore(node)
            elif node.op == _SAVE:
                self._save(node)
            elif node.op in _CALLS and "f" in node.attr and node.attr["f"].func.name in self.arguments:
                self._call(node, self.arguments[node.attr["f"].func.name])
        if self.changed or self.dead:
            self._spread()
            self._forget_objects()

    def _own(self, name: str) -> protos.Message:
        """Return a copy of a node that may be changed."""
        if name not in self.changed:
            copy = protos.message("NodeDef")()
            copy.CopyFrom(self.nodes[name])
            self.nodes[name] = copy
            self.changed.add(name)
        return self.nodes[name]

    def _cut_lists(self, node: protos.Message) -> list[bool] | None:
        """Take the keys out of the lists of a node; return which stay, None where all do."""
        keys = slim_lists.constant(self.nodes, node.input[_KEYS])
        kept = self._kept.get(keys.name)
        if kept is None:
            kept = [text not in self.gone for text in slim_lists.texts(keys)]
            self._kept[keys.name] = kept
            if not all(kept):
                slim_lists.keep(self._own(keys.name), kept)
        slices = slim_lists.constant(self.nodes, node.input[_SLICES])
        before = self._kept.setdefault(slices.name, kept)
        if before != kept:
            raise OrdinaryError(f"{slices.name!r} lists the slices of two savers")
        if not all(kept) and slices.name not in self.changed:
            slim_lists.keep(self._own(slices.name), kept)
        return None if all(kept) else kept

    def _restore(self, node: protos.Message) -> None:
        kept = self._cut_lists(node)
        if kept is None:
            return
        own = self._own(node.name)
        slim_lists.keep_types(own, "dtypes", kept)
        own.attr.pop("_output_shapes", None)
        place = 0
        for number, stays in enumerate(kept):
            if not stays:
                self.lost.add(self._result(node.name, number))
                continue
            self.renamed[self._result(node.name, number)] = self._result(node.name, place)
            place += 1
        if not place:
            self.dead.add(node.name)

    def _result(self, name: str, number: int) -> str:
        """Return a result as nodes of this scope name their inputs."""
        if self.is_function:
            return f"{name}:{_RESULTS}:{number}"
        return f"{name}:{number}" if number else name

    def _save(self, node: protos.Message) -> None:
        kept = self._cut_lists(node)
        if kept is None:
            return
        own = self._own(node.name)
        slim_lists.keep_types(own, "dtypes", kept)
        tensors = own.input[_FIRST_TENSOR : _FIRST_TENSOR + len(kept)]
        if len(tensors) != len(kept):
            raise OrdinaryError(f"{node.name!r} saves {len(tensors)} tensors under {len(kept)} keys")
        waits = list(own.input[_FIRST_TENSOR + len(kept) :])
        texts = [text for text, stays in zip(tensors, kept, strict=True) if stays]
        if not texts:
            raise OrdinaryError(f"{node.name!r} would have nothing to save")
        self._unsaved += [text for text, stays in zip(tensors, kept, strict=True) if not stays]
        own.input[_FIRST_TENSOR:] = [*texts, *waits]

    def _call(self, node: protos.Message, gone: Sequence[int]) -> None:
        """Leave out arguments that a saver's function has no longer."""
        own = self._own(node.name)
        count = len(own.attr["Tin"].list.type)
        kept = [number not in gone for number in range(count)]
        texts = [text for text, stays in zip(own.input[:count], kept, strict=True) if stays]
        own.input[:] = [*texts, *own.input[count:]]
        slim_lists.keep_types(own, "Tin", kept)
        _renumber(own.attr, gone)

    def _spread(self) -> None:
        """Let what hangs on what is gone go, too, and nobody wait for it."""
        users: dict[str, set[str]] = {}
        by_node: dict[str, set[str]] = {}
        for node in self.nodes.values():
            for text in filter(_is_data, node.input):
                users.setdefault(_plain(text, is_function=self.is_function), set()).add(node.name)
                by_node.setdefault(node_of(text), set()).add(node.name)
        if self.is_function:
            self._read_for_nobody(by_node)
        waiting = [*(name for text in self.lost for name in users.get(text, ())), *self.dead]
        self.dead = set()
        while waiting:
            name = waiting.pop()
            if name not in self.dead:
                self.dead.add(name)
                waiting.extend(by_node.get(name, ()))
        saver = next((name for name in self.dead if name in self.nodes and self.nodes[name].op == _SAVE), None)
        if saver:
            raise OrdinaryError(f"{saver!r} saves what hangs on a variable that goes, under a key that stays")
        for name, node in list(self.nodes.items()):
            inputs = [self._renamed(text) for text in node.input if _is_data(text) or text[1:] not in self.dead]
            if name not in self.dead and inputs != list(node.input):
                self._own(name).input[:] = inputs

    def _read_for_nobody(self, by_node: Mapping[str, set[str]]) -> None:
        """Let what was read only to be saved go, back to the function's arguments, and all that else takes those."""
        waiting = [node_of(text) for text in self._unsaved]
        while waiting:
            name = waiting.pop()
            if name not in self.nodes:
                self.dead.add(name)
            elif name not in self.dead and by_node.get(name, set()) <= self.dead:
                self.dead.add(name)
                waiting.extend(node_of(text) for text in self.nodes[name].input if _is_data(text))

    def _forget_objects(self) -> None:
        """Take the keys out of the checkpoint's object graph, which TensorFlow 2 saves as a constant."""
        for name, node in list(self.nodes.items()):
            is_constant = node.op == "Const" and "value" in node.attr
            texts = list(node.attr["value"].tensor.string_val) if is_constant else []
            graph = _object_graph(texts[0]) if len(texts) == 1 else None
            keys = {each.checkpoint_key for item in graph.nodes for each in item.attributes} if graph else set()
            if graph is not None and not keys.isdisjoint(self.gone):
                optimizer_state.remove(graph, self.gone)
                self._own(name).attr["value"].tensor.string_val[:] = [graph.SerializeToString()]

    def _renamed(self, text: str) -> str:
        return self.renamed.get(_plain(text, is_function=self.is_function), text) if _is_data(text) else text


def _object_graph(data: bytes) -> protos.Message | None:
    """Parse a checkpoint's object graph; None if a text is none."""
    try:
        return protos.parse("TrackableObjectGraph", data)
    except protos.ParseError:
        return None


def _is_data(text: str) -> bool:
    return not text.startswith("^")


def _plain(text: str, *, is_function: bool) -> str:
    """Return a reference as this module writes it: without the number 0 in the main graph."""
    return text if is_function else text.removesuffix(":0")


def _function(function: protos.Message, scope: _Scope) -> tuple[protos.Message, list[int]]:
    """Return a function with the nodes that stay, and the numbers of the arguments that it has no longer."""
    result = type(function)()
    result.CopyFrom(function)
    del result.node_def[:]
    result.node_def.extend(node for name, node in scope.nodes.items() if name not in scope.dead)
    if any(node_of(text) in scope.dead for text in result.ret.values()):
        raise OrdinaryError(f"the saver {function.signature.name!r} returns what it restores")
    for key in [key for key, name in result.control_ret.items() if name in scope.dead]:
        del result.control_ret[key]
        controls = [each for each in result.signature.control_output if each != key]
        del result.signature.control_output[:]
        result.signature.control_output.extend(controls)
    names = [argument.name for argument in function.signature.input_arg]
    before, after = (
        {node_of(text) for node in nodes for text in node.input} for nodes in (function.node_def, result.node_def)
    )
    gone = [number for number, name in enumerate(names) if name in before and name not in after]
    _drop_arguments(result, gone)
    return result, gone


def _drop_arguments(function: protos.Message, gone: Sequence[int]) -> None:
    """Take arguments away from a function, and from what speaks of them by number."""
    arguments = [each for number, each in enumerate(function.signature.input_arg) if number not in gone]
    copies = [type(each).FromString(each.SerializeToString()) for each in arguments]
    count = len(function.signature.input_arg)
    del function.signature.input_arg[:]
    function.signature.input_arg.extend(copies)
    place = {old: new for new, old in enumerate(number for number in range(count) if number not in gone)}
    described = {place[old]: value.SerializeToString() for old, value in function.arg_attr.items() if old in place}
    function.arg_attr.clear()
    for number, data in described.items():
        function.arg_attr[number].ParseFromString(data)
    ids = {place[old]: value for old, value in function.resource_arg_unique_id.items() if old in place}
    function.resource_arg_unique_id.clear()
    function.resource_arg_unique_id.update(ids)
    if "_input_shapes" in function.attr and len(function.attr["_input_shapes"].list.shape) == count:
        shapes = function.attr["_input_shapes"].list.shape
        kept = [type(each).FromString(each.SerializeToString()) for old, each in enumerate(shapes) if old in place]
        del shapes[:]
        shapes.extend(kept)
    _renumber(function.attr, gone)


def _renumber(attributes: Mapping[str, protos.Message], gone: Sequence[int]) -> None:
    """Correct the numbers of the arguments that a function or its caller only reads."""
    if "_read_only_resource_inputs" in attributes:
        numbers = attributes["_read_only_resource_inputs"].list.i
        kept = [number - sum(each < number for each in gone) for number in numbers if number not in gone]
        del numbers[:]
        numbers.extend(kept)

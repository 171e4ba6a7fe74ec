"""Turn variables by reference, as TensorFlow 1 has them, into resource variables, which TensorFlow 2 loads as well.

The variable keeps its name, which becomes that of the handle, as the Saver's key and ``Variable.name`` go by it. So
``w:0`` is no value any more: ``w/read:0``, which TensorFlow 1 makes beside each variable and which everything else
consumes, stays its value. What writes to a variable keeps its name for the written value where somebody uses that. Not
for: graphs that stay in TensorFlow 1's own formats, which keep their references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import ops
from tfmagic.graphs.tensor_names import node_of, plain
from tfmagic.transforms.cut_graph import copy_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tfmagic.graphs.tensor_names import FreeNames
    from tfmagic.runtime.ops_and_devices import Definitions

#: What keeps a value by reference, less what lives for a step only.
REFERENCE_VARIABLES = frozenset({"VariableV2", "Variable"})
#: Control flow and identities on references, and the op that does the same with handles.
_FLOW: Mapping[str, str] = {
    "RefSwitch": "Switch",
    "RefMerge": "Merge",
    "RefEnter": "Enter",
    "RefExit": "Exit",
    "RefNextIteration": "NextIteration",
    "RefIdentity": "Identity",
}
#: The ops on resources whose name is not that of the op on references behind ``Resource``.
_OTHER_NAMES: Mapping[str, str] = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
    "IsVariableInitialized": "VarIsInitializedOp",
}


class Upgraded(NamedTuple):
    """A graph without references.

    Attributes
    ----------
    nodes : list of NodeDef
        In the old order, each new one before or behind the node that needs it.
    moved : mapping of str to str
        For tensors that were a variable's value and are its handle now, the tensor with the value.
    """

    nodes: list[protos.Message]
    moved: Mapping[str, str]


def upgraded(
    nodes: Sequence[protos.Message], ends: Collection[str], definitions: Definitions, names: FreeNames
) -> Upgraded:
    """Turn the reference variables among some nodes into resource variables.

    Parameters
    ----------
    nodes : sequence of NodeDef
        They stay as they are.
    ends : collection of str
        The tensors that are fed or fetched.
    definitions : Definitions
        Of the ops.
    names : FreeNames
        For the nodes that come besides.

    Raises
    ------
    UnsupportedConversionError
        If an op on references has no counterpart on resources.
    """
    if not any(node.op in REFERENCE_VARIABLES for node in nodes):
        return Upgraded(list(nodes), {})
    upgrade = _Upgrade(nodes, {plain(end) for end in ends}, definitions, names)
    replaced = [each for node in nodes for each in upgrade.replaced(node)]
    moved = {end: upgrade.value_of(plain(end), replaced) for end in ends if upgrade.is_moved(plain(end))}
    return Upgraded(replaced + upgrade.late, moved)


class _Upgrade:
    """Where each reference leads, and what each node becomes."""

    def __init__(
        self, nodes: Sequence[protos.Message], ends: set[str], definitions: Definitions, names: FreeNames
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.definitions = definitions
        self.names = names
        #: By the tensor that was a reference, the one that carries the handle now, and the dtype of the value.
        self.handles: dict[str, str] = {name: name for name, node in self.nodes.items() if _is_variable(node)}
        self.dtypes: dict[str, int] = {name: self.nodes[name].attr["dtype"].type for name in self.handles}
        self._follow()
        #: Writers whose outputs are references: their names bear the value that they wrote.
        self.writers = {name for name, node in self.nodes.items() if self._writes(node) and self._results(node)}
        self.used = {*ends, *(plain(text) for node in nodes for text in self._values_taken(node))}
        self._reads: dict[tuple[str, tuple[str, ...]], str] = {}
        self.late: list[protos.Message] = []

    def _follow(self) -> None:
        """Find all tensors that are references to a variable, round loops too."""
        open_nodes = [node for node in self.nodes.values() if self._results(node) and node.name not in self.handles]
        grown = True
        while grown:
            grown = False
            for node in open_nodes:
                source = next((name for name in self._references(node) if name in self.handles), None)
                if source is None:
                    continue
                for place in self._results(node):
                    tensor = f"{node.name}:{place}" if place else node.name
                    if tensor not in self.handles:
                        self.handles[tensor] = tensor if node.op in _FLOW else self.handles[source]
                        self.dtypes[tensor] = self.dtypes[source]
                        grown = True

    def _results(self, node: protos.Message) -> list[int]:
        """Return which outputs of a node are references."""
        definition = self.definitions.of(node.op)
        return [] if definition is None else [i for i, each in enumerate(definition.output_arg) if each.is_ref]

    def _places(self, node: protos.Message) -> list[int]:
        """Return which inputs of a node are taken as references."""
        definition = self.definitions.of(node.op)
        if definition is None:
            return []
        places = [place for place, each in enumerate(definition.input_arg) if each.is_ref]
        if places and definition.input_arg[places[0]].number_attr:
            # Of RefMerge all, of RefSelect all behind the first: the one argument that stands for several.
            return [place for place, text in enumerate(node.input) if place >= places[0] and not text.startswith("^")]
        return [place for place in places if place < len(node.input)]

    def _references(self, node: protos.Message) -> list[str]:
        return [plain(node.input[place]) for place in self._places(node)]

    def _writes(self, node: protos.Message) -> bool:
        return node.op not in _FLOW and any(name in self.handles for name in self._references(node))

    def _values_taken(self, node: protos.Message) -> Iterator[str]:
        """Yield the inputs that are references and taken for values."""
        places = self._places(node)
        for place, text in enumerate(node.input):
            if place not in places and not text.startswith("^") and plain(text) in self.handles:
                yield text

    def is_moved(self, tensor: str) -> bool:
        """Say whether a tensor was a value and is a handle now."""
        return tensor in self.handles and tensor not in self.writers

    def value_of(self, tensor: str, upgraded_nodes: Sequence[protos.Message]) -> str:
        """Return a tensor with the value of what was a reference."""
        handle = self.handles[tensor]
        plain_reads = (
            each.name for each in upgraded_nodes if each.op == "ReadVariableOp" and list(each.input) == [handle]
        )
        known = next(plain_reads, None)
        return f"{known or self._read(tensor, (), self.nodes[node_of(tensor)], self.late)}:0"

    def replaced(self, node: protos.Message) -> Iterator[protos.Message]:
        """Yield what a node becomes, the reads that it needs first."""
        before: list[protos.Message] = []
        result = copy_of(node)
        if _is_variable(node):
            _become_handle(result)
        elif node.op in _FLOW and any(name in self.handles for name in self._references(node)):
            self._redirect(result)
        elif self._writes(node):
            self._become_write(result, node, before)
        elif node.op == "Identity" and self.is_moved(plain(node.input[0])):
            self._become_read(result, node)
        else:
            self._take_values(result, node, before)
        yield from before
        yield result

    def _redirect(self, node: protos.Message) -> None:
        """Let control flow hand on the handle, once what gave the reference on has written."""
        references = self._references(node)
        for place, name in zip(self._places(node), references, strict=True):
            node.input[place] = self.handles.get(name, node.input[place])
        self._wait(node, references)
        node.op = _FLOW[node.op]
        node.attr["T"].type = protos.dtype_number("resource")
        node.attr.pop("_output_shapes", None)

    def _become_read(self, result: protos.Message, node: protos.Message) -> None:
        """Let the Identity beside a variable read it; it is what everything else consumes."""
        result.op = "ReadVariableOp"
        result.input[0] = self.handles[plain(node.input[0])]
        result.attr["dtype"].type = node.attr["T"].type
        del result.attr["T"]

    def _take_values(self, result: protos.Message, node: protos.Message, before: list[protos.Message]) -> None:
        """Give a node that takes a reference for a value a read, behind all that the node itself waits for."""
        waits = tuple(text for text in node.input if text.startswith("^"))
        references = self._places(node) if self._writes(node) else []
        for place, text in enumerate(node.input):
            if not text.startswith("^") and plain(text) in self.handles and place not in references:
                result.input[place] = self._read(plain(text), waits, node, before)

    def _read(self, tensor: str, waits: tuple[str, ...], consumer: protos.Message, before: list[protos.Message]) -> str:
        """Return a node that bears the value of a reference, a new one where there is none."""
        if tensor in self.writers:
            return tensor
        handle = self.handles[tensor]
        if (handle, waits) not in self._reads:
            read = protos.message("NodeDef")(
                name=self.names(f"{node_of(handle)}/Read/ReadVariableOp"), op="ReadVariableOp", device=consumer.device
            )
            read.input.extend((handle, *waits))
            read.attr["dtype"].type = self.dtypes[tensor]
            before.append(read)
            self._reads[handle, waits] = read.name
        return self._reads[handle, waits]

    def _become_write(self, result: protos.Message, node: protos.Message, before: list[protos.Message]) -> None:
        """Turn a write into one of a resource; its name stays with the written value where that is used."""
        op = _OTHER_NAMES.get(node.op, f"Resource{node.op}")
        definition = self.definitions.of(op)
        attributes = _attributes(op) if definition is None else {attr.name for attr in definition.attr}
        if attributes is None:
            raise errors.UnsupportedConversionError(
                "graph",
                "saved_model",
                ("checkpoint", "tensorboard"),
                f"op {node.name!r} ({node.op}) works on a variable by reference, and no op does the same with a "
                "resource, which TensorFlow 2 needs; choose ends between which it does not stand",
            )
        references = {place: plain(node.input[place]) for place in self._places(node)}
        self._take_values(result, node, before)
        for place, name in references.items():
            result.input[place] = self.handles.get(name, name)
        self._wait(result, references.values())
        result.op = op
        _retype(result, node, attributes)
        if node.name in self.writers and node.name in self.used:
            result.name = self.names(f"{node.name}/{op}")
            read = protos.message("NodeDef")(name=node.name, op="ReadVariableOp", device=node.device)
            read.input.extend((self.handles[node.name], f"^{result.name}"))
            read.attr["dtype"].type = self.dtypes[node.name]
            before.append(read)

    def _wait(self, node: protos.Message, references: Iterable[str]) -> None:
        """Let a node that takes what a write gives on come after it: the handle alone would be there at once."""
        behind = (f"^{node_of(name)}" for name in references if name in self.writers)
        node.input.extend(each for each in dict.fromkeys(behind) if each not in node.input)


def _is_variable(node: protos.Message) -> bool:
    return node.op in REFERENCE_VARIABLES


def _become_handle(node: protos.Message) -> None:
    if node.op == "Variable" and not node.attr["shape"].shape.dim:
        # That op had no other way to leave the rank open.
        node.attr["shape"].shape.unknown_rank = True
    node.op = "VarHandleOp"
    if not node.attr["shared_name"].s:
        node.attr["shared_name"].s = node.name.encode()
    # Import refuses other shapes than those of a handle.
    node.attr.pop("_output_shapes", None)


def _attributes(op: str) -> set[str] | None:
    """Return the attributes of an op that writes to a resource, where TensorFlow is not there to be asked.

    None for an op that there is not; ``VarIsInitializedOp`` has no attribute. From
    tensorflow/core/ops/resource_variable_ops.cc, state_ops.cc, training_ops.cc.
    """
    if op not in ops.registered():
        return None
    if op == "VarIsInitializedOp":
        return set()
    if op.startswith("Assign"):
        return {"dtype", "validate_shape"} if op == "AssignVariableOp" else {"dtype"}
    if op.startswith("ResourceScatter") and not op.startswith("ResourceScatterNd"):
        return {"dtype", "Tindices"}
    masks = {f"{name}_mask" for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    return {
        "T",
        "Tindices",
        "Index",
        "limit",
        "use_locking",
        "use_nesterov",
        "update_slots",
        "multiply_linear_by_lr",
        *masks,
    }


def _retype(result: protos.Message, node: protos.Message, allowed: Collection[str]) -> None:
    """Keep the attributes that the op on resources has, under the names that it has for them."""
    dtype = node.attr["T" if "T" in node.attr else "dtype"]
    if "dtype" in allowed:
        result.attr["dtype"].CopyFrom(dtype)
    for name in list(result.attr):
        if name not in allowed and not name.startswith("_"):
            del result.attr[name]
    result.attr.pop("_output_shapes", None)

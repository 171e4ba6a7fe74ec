"""What of a MetaGraphDef its signatures need: nodes, functions, and keys of the checkpoint.

Needed is what the signatures' tensors depend on, the initialisers that loaders run, and the functions of resources. A
graph without a signature needs all of itself. Nothing is run. Not for: what becomes of the rest
(:mod:`tfmagic.transforms.slim_message`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.graphs import function_library, metagraphs, restores
from tfmagic.graphs.resources import VARIABLES, resource
from tfmagic.graphs.signatures import tensors_of
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached
from tfmagic.transforms import slim_lists, slim_objects, slim_saver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tfmagic.files.protos import Message
    from tfmagic.graphs.metagraphs import MetaGraph

#: Ops that a loader of TensorFlow 1 runs, by the collections that name them.
_INITIALISERS = ("saved_model_main_op", "legacy_init_op", "table_initializer", "saved_model_train_op")
#: Ops that train: the first input is the variable, others may be slots.
_APPLIES = re.compile(r"(?:Resource)?(?:Sparse)?Apply")
_READS = frozenset({"ReadVariableOp", "Identity"})


@dataclass(frozen=True)
class GraphUse:
    """Which part of a MetaGraphDef is needed.

    Attributes
    ----------
    meta_graph : MetaGraph
        As it lies in its buffer.
    stored : TrackableObjectGraph or None
        The object graph of the checkpoint, where there is one.
    ends : collection of str, optional
        Tensors that are needed, where no signature says so.
    keeps_functions : bool
        Whether all functions are needed, called or not.
    """

    meta_graph: MetaGraph
    stored: Message | None = None
    ends: Collection[str] = ()
    keeps_functions: bool = False

    @cached_property
    def message(self) -> Message:
        """The MetaGraphDef; of a large graph without the attributes of nodes that hold weights."""
        return self.meta_graph.lean_meta_graph_def()

    @property
    def header(self) -> Message:
        """The MetaGraphDef without its graph and its object graph."""
        return self.meta_graph.header

    @cached_property
    def nodes(self) -> Mapping[str, Message]:
        """The main graph."""
        return {node.name: node for node in self.message.graph_def.node}

    @cached_property
    def objects(self) -> Message | None:
        """The object graph of TensorFlow 2."""
        return self.meta_graph.object_graph_def

    @cached_property
    def is_signed(self) -> bool:
        """Whether somebody says what is needed."""
        visible = [key for key in self.header.signature_def if not key.startswith(metagraphs.HIDDEN_PREFIX)]
        return bool(visible or self.ends)

    @cached_property
    def roots(self) -> list[str]:
        """Nodes of the main graph that signatures and loaders name."""
        texts = [*self.ends]
        for signature in self.header.signature_def.values():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                texts += tensors_of(info)
        for name in _INITIALISERS:
            if name in self.header.collection_def:
                texts += self.header.collection_def[name].node_list.value
        return [name for name in map(node_of, texts) if name in self.nodes]

    @property
    def saver_roots(self) -> list[str]:
        """Nodes of the main graph that save and restore."""
        saver = self.header.saver_def
        names = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
        return [name for name in map(node_of, names) if name in self.nodes]

    def ancestors(self, roots: Iterable[str], nodes: Mapping[str, Message] | None = None) -> set[str]:
        """Return the nodes that some depend on, themselves included; names that lead nowhere are passed over."""
        known = self.nodes if nodes is None else nodes
        return reached(
            (name for name in roots if name in known),
            lambda name: [each for each in map(node_of, known[name].input) if each in known],
        )

    @cached_property
    def _signed(self) -> set[str]:
        """The nodes of the main graph that signatures and loaders need."""
        return self.ancestors(self.roots)

    @cached_property
    def constants(self) -> list[str]:
        """Nodes of the main graph out of which TensorFlow 2 takes constants of functions that stay."""
        numbers = () if self.objects is None else self.bound
        operations = (self.objects.nodes[number].constant.operation for number in sorted(numbers))  # type: ignore[union-attr]
        return [name for name in operations if name in self.nodes]

    @cached_property
    def needed(self) -> set[str]:
        """The nodes of the main graph that are needed, the saver apart."""
        return self._signed | self.ancestors(self.constants) if self.is_signed else set(self.nodes)

    @cached_property
    def functions(self) -> set[str]:
        """The functions that are needed, the saver's included."""
        library = self.message.graph_def.library
        names = {function.signature.name for function in library.function}
        if self.keeps_functions or not self.is_signed:
            return names
        entries = slim_objects.entry_functions(self.objects) if self.objects is not None else set()
        saving = self.ancestors(self.saver_roots)
        nodes = [self.nodes[name] for name in sorted(self._signed | saving)]
        if self.objects is None:
            return function_library.needed_functions(nodes, library, entries)
        called: set[str] = set()
        while not entries <= called:
            called = function_library.needed_functions(nodes, library, entries) | entries
            entries = slim_objects.closed(self.objects, called)
        return called & names

    @cached_property
    def _restored(self) -> Mapping[str, restores.Slot]:
        """What each variable gets of the checkpoint."""
        return restores.read(self.message.graph_def, self.header).variables

    @cached_property
    def variables(self) -> Mapping[str, int]:
        """The variables of the object graph, by key."""
        if self.objects is None or self.stored is None:
            return {}
        return slim_objects.variables_by_key(self.objects, self.stored)

    @cached_property
    def bound(self) -> set[int]:
        """The nodes of the object graph that functions take with them which stay."""
        if self.objects is None:
            return set()
        return slim_objects.bound(
            self.objects, self.objects.concrete_functions if not self.is_signed else self.functions
        )

    def needed_keys(self, keys: Collection[str]) -> set[str]:
        """Return those of a checkpoint's keys without which the needed part is not what it was."""
        if not self.is_signed:
            return set(keys)
        try:
            listed = {key for nodes in self._restoring() for key in slim_saver.listed_keys(nodes)}
        except slim_lists.OrdinaryError:
            return set(keys)
        # Handles of one name are one variable.
        needed = {resource(self.nodes[name]) for name in self.needed if self.nodes[name].op in VARIABLES}
        wanted = {slot.key for name, slot in self._restored.items() if resource(self.nodes[name]) in needed}
        assigned = {slot.key for slot in self._restored.values()}
        wanted |= listed - assigned
        if self.objects is not None and self.stored is not None:
            wanted |= {key for key, number in self.variables.items() if number in self.bound}
            wanted |= slim_objects.other_keys(self.stored, self.variables)
        return wanted & set(keys)

    def _restoring(self) -> Iterator[Iterable[Message]]:
        """Yield the nodes of the main graph, and those of each function that restores."""
        yield self.nodes.values()
        for function in self.message.graph_def.library.function:
            if any(node.op in slim_saver.RESTORES for node in function.node_def):
                yield function.node_def

    def holders(self, keys: Collection[str]) -> tuple[set[str], set[int]]:
        """Return the variables that get their values from some keys: nodes of the main and of the object graph."""
        nodes = {name for name, slot in self._restored.items() if slot.key in keys}
        return nodes & self.nodes.keys(), {number for key, number in self.variables.items() if key in keys}

    @cached_property
    def slots(self) -> set[str]:
        """The keys of what trains the graph's variables: slots, powers, rates, by the ops that apply gradients."""
        applies = [node for node in self.nodes.values() if _APPLIES.match(node.op)]
        trained = {self._variable(node.input[0]) for node in applies if node.input}
        state = {self._variable(text) for node in applies for text in node.input[1:] if not text.startswith("^")}
        return {self._restored[name].key for name in state - trained if name is not None and name in self._restored}

    def _variable(self, text: str) -> str | None:
        """Return the variable that an input is, or is read from."""
        node = self.nodes.get(node_of(text))
        if node is not None and node.op in _READS and node.input:
            node = self.nodes.get(node_of(node.input[0]))
        return str(node.name) if node is not None and node.op in VARIABLES else None

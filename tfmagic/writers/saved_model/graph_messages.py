"""The message of a SavedModel that is made of a graph by an edit: its nodes, variables and tables keep their names.

Both of TensorFlow's loaders take it: variables are resources, each is in a collection, a saver restores them by their
names. Not for: what can only be traced (:mod:`tfmagic.writers.saved_model.functions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.function_library import needed_library
from tfmagic.graphs.resources import REF_VARIABLES, VARIABLES
from tfmagic.graphs.signature_keys import require_arguments
from tfmagic.graphs.signatures import tensors_of
from tfmagic.graphs.tensor_names import full, node_of, plain
from tfmagic.graphs.tensors import output_dtypes
from tfmagic.graphs.variables import COLLECTIONS, definitions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import control_flow_contexts, reference_variables
from tfmagic.transforms.cut_graph import fed, fetched
from tfmagic.transforms.placement import drop_absent_colocations, leave_absent_devices
from tfmagic.writers.saved_model.needed_part import NeededPart
from tfmagic.writers.saved_model.saver import SavedTable, SavedTensor, SavedVariable, add_saver, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.functions.state.saved_models import Store

_MAIN_OP = "saved_model_main_op"
#: Collections that name ops by which the source was initialised or trained.
_OWN_OPS = frozenset({_MAIN_OP, "legacy_init_op", "train_op"})
_READ = "ReadVariableOp"
#: Where a loader finds the variables that it has to care for.
_LOADED = ("variables", "local_variables")


class GraphMessages(NamedTuple):
    """A MetaGraphDef of our pool, and what belongs into the checkpoint beside it.

    ``moved`` has, for tensors that were a variable's value and are its handle now, the tensor with the value; ``notes``
    what a person should know.
    """

    meta_graph_def: protos.Message
    variables: tuple[SavedVariable, ...]
    tables: tuple[SavedTable, ...]
    moved: Mapping[str, str]
    notes: tuple[str, ...]


def graph_messages(
    store: Store, signatures: Mapping[str, protos.Message], tags: Sequence[str], *, keep_references: bool = False
) -> GraphMessages:
    """Make a MetaGraphDef of the part of a graph that some signatures need.

    Parameters
    ----------
    store : Store
        The graph, and where the values of its variables lie. It stays as it is.
    signatures : mapping of str to SignatureDef
        Their tensors are those of the graph.
    tags : sequence of str
        The tag-set.
    keep_references : bool
        Whether variables by reference stay so, which TensorFlow 2 does not load.

    Raises
    ------
    ConversionError
        If ends do not suffice, a variable has no value, an op on references has no counterpart, or TensorFlow 2 could
        not load a key.
    """
    for key, signature in signatures.items():
        require_arguments(signature.inputs, key)
    return _Result(NeededPart(store, signatures), signatures, keep_references=keep_references).messages(tags)


class _Result:
    """A MetaGraphDef on its way."""

    def __init__(self, needed: NeededPart, signatures: Mapping[str, protos.Message], *, keep_references: bool) -> None:
        self.needed = needed
        self.store = needed.store
        self.header = needed.header
        self.signatures = signatures
        self.message = protos.message("MetaGraphDef")()
        self.graph_def = self.message.graph_def
        self.moved = self._add_nodes(keep_references=keep_references)
        self.nodes: dict[str, protos.Message] = {node.name: node for node in self.graph_def.node}
        self.reads = self._add_reads()

    def messages(self, tags: Sequence[str]) -> GraphMessages:
        """Put it all together."""
        notes = (*leave_absent_devices(self.graph_def), *self._moved_notes())
        drop_absent_colocations(self.graph_def.node)
        variables, tables = tuple(self._variables()), tuple(self._tables())
        restores = add_saver(self.message, self.needed.names, variables, tables) if variables or tables else {}
        self._add_collections(restores)
        self._add_init_op(restores)
        self._add_signatures()
        info = self.message.meta_info_def
        info.CopyFrom(self.header.meta_info_def)
        info.ClearField("tags")
        info.ClearField("stripped_op_list")
        info.tags.extend(tags)
        # What very old releases wrote, "0.12.head", TensorFlow itself does not take.
        info.tensorflow_version = runtime.version()
        return GraphMessages(self.message, variables, tables, self.moved, notes)

    def _add_nodes(self, *, keep_references: bool) -> Mapping[str, str]:
        ends = {end for each in self.signatures.values() for end in (*(name for name, _ in fed(each)), *fetched(each))}
        nodes = list(self.needed.part.node_defs(self.needed.definitions, self.needed.names))
        upgraded = reference_variables.Upgraded(nodes, {})
        if not keep_references:
            upgraded = reference_variables.upgraded(nodes, ends, self.needed.definitions, self.needed.names)
        self.graph_def.node.extend(upgraded.nodes)
        self.graph_def.versions.CopyFrom(self.store.graph_def.versions)
        self.graph_def.library.CopyFrom(needed_library(self.graph_def.node, self.store.graph_def.library))
        return upgraded.moved

    def _add_reads(self) -> dict[str, str]:
        """Return a node that reads each variable and waits for nothing.

        Each gets one that is called as TensorFlow calls its own: its freezer (``freeze_graph``) fetches that.
        """
        reads: dict[str, str] = {}
        for name, node in self.nodes.items():
            if node.op == _READ and len(node.input) == 1:
                reads.setdefault(plain(node.input[0]), name)
        for name in [name for name, node in self.nodes.items() if node.op == "VarHandleOp"]:
            own = f"{name}/Read/{_READ}"
            if own not in self.nodes:
                read = self.graph_def.node.add(name=self.needed.names(own), op=_READ)
                read.input.append(name)
                read.device = self.nodes[name].device
                read.attr["dtype"].type = self.nodes[name].attr["dtype"].type
                reads.setdefault(name, read.name)
        return reads

    def _moved_notes(self) -> Iterator[str]:
        if self.moved:
            pairs = ", ".join(f"{full(old)!r} is {new!r} now" for old, new in sorted(self.moved.items()))
            yield f"variables by reference became resources, which TensorFlow 2 loads: the value {pairs}"

    def _variables(self) -> Iterator[SavedVariable]:
        for name, node in self.nodes.items():
            if node.op in VARIABLES and self.store.has_value(name):
                definition = self.needed.variable_defs.get(name)
                key, piece = (name, "") if definition is None else place_of(definition)
                tensor = SavedTensor(key, piece, self._read_of(name), node.attr["dtype"].type)
                yield SavedVariable(name, tensor, node.device, node.op in REF_VARIABLES)

    def _read_of(self, name: str) -> str:
        """Return the node whose output is a variable's value: its own, where it is a reference."""
        return name if self.nodes[name].op in REF_VARIABLES else self.reads[name]

    def _tables(self) -> Iterator[SavedTable]:
        for table, export in self.needed.exports.items():
            definition = self.needed.definitions.of(self.nodes[export].op)
            keys, values = list(output_dtypes(definition, self.nodes[export]))
            yield SavedTable(
                table,
                SavedTensor(f"{table}-keys", "", export, keys),
                SavedTensor(f"{table}-values", "", f"{export}:1", values),
            )

    def _add_collections(self, restores: Mapping[str, str]) -> None:
        for name, collection in self.header.collection_def.items():
            kind = collection.WhichOneof("kind")
            if name in control_flow_contexts.COLLECTIONS:
                self._add_bytes(name, control_flow_contexts.reduced(self.header, name, self.nodes))
            elif name not in COLLECTIONS and kind == "node_list" and name not in _OWN_OPS:
                there = [
                    self.moved.get(plain(each), each)
                    for each in collection.node_list.value
                    if node_of(each) in self.nodes
                ]
                if there:
                    self.message.collection_def[name].node_list.value.extend(there)
            elif kind in ("int64_list", "float_list"):
                self.message.collection_def[name].CopyFrom(collection)
        listed = {name: list(self._definitions(name, restores)) for name in COLLECTIONS}
        for name, own in listed.items():
            self._add_bytes(name, [each.SerializeToString() for each in own])
        # A variable in none of the collections where TensorFlow 2 looks would be none for it.
        seen = {node_of(each.variable_name) for name in _LOADED for each in listed[name]}
        known = {node_of(each.variable_name): each for own in listed.values() for each in own}
        lone = [known.get(name) or self._definition(name, restores) for name in restores if name not in seen]
        self._add_bytes("variables", [each.SerializeToString() for each in lone])

    def _add_bytes(self, name: str, values: Sequence[bytes]) -> None:
        if values:
            self.message.collection_def[name].bytes_list.value.extend(values)

    def _definitions(self, collection: str, restores: Mapping[str, str]) -> Iterator[protos.Message]:
        """Yield the VariableDefs of a collection, with ops that are there and flags that both loaders see."""
        trained = {each.variable_name for each in definitions(self.header, "trainable_variables")}
        for definition in definitions(self.header, collection):
            name = node_of(definition.variable_name)
            if name not in self.needed.variable_defs or name not in self.nodes:
                continue
            definition.is_resource = self.nodes[name].op not in REF_VARIABLES
            read = self.nodes.get(node_of(definition.snapshot_name))
            # Gone, cut to a Placeholder, or the variable itself.
            if read is None or read.op == "Placeholder" or read.name == name:
                definition.snapshot_name = f"{self._read_of(name)}:0"
            if "trainable_variables" in self.header.collection_def:
                definition.trainable = definition.variable_name in trained
            if not self.needed.own_initialiser[name]:
                definition.initializer_name = restores[name]
                definition.initial_value_name = ""
            yield definition

    def _definition(self, name: str, restores: Mapping[str, str]) -> protos.Message:
        return protos.message("VariableDef")(
            variable_name=f"{name}:0",
            initializer_name=restores[name],
            snapshot_name=f"{self._read_of(name)}:0",
            is_resource=self.nodes[name].op not in REF_VARIABLES,
        )

    def _add_init_op(self, restores: Mapping[str, str]) -> None:
        """Name the op that initialises; where none is, TensorFlow 2 gives local variables their initial values."""
        needed = self.needed
        local = any(node_of(each.variable_name) in restores for each in definitions(self.header, "local_variables"))
        done = needed.part.ancestors_of(needed.main_op) if needed.main_op else set()
        rest = [name for name in (*needed.fills, *needed.initialised) if node_of(name) not in done]
        name = needed.main_op
        if rest or (local and not name):
            node = self.graph_def.node.add(name=needed.names("init_all_tables" if needed.fills else "init"), op="NoOp")
            node.input.extend(f"^{node_of(each)}" for each in ([name] if name else []) + rest)
            name = node.name
        if name:
            self.message.collection_def[_MAIN_OP].node_list.value.append(name)

    def _add_signatures(self) -> None:
        for key, signature in self.signatures.items():
            own = self.message.signature_def[key]
            own.CopyFrom(signature)
            for info in (*own.inputs.values(), *own.outputs.values()):
                self._correct(info)

    def _correct(self, info: protos.Message) -> None:
        """Let a TensorInfo name values; where it states no shape, one would take it for a scalar's."""
        info.dtype = protos.value_dtype(info.dtype)
        if not info.HasField("tensor_shape"):
            info.tensor_shape.unknown_rank = True
        if info.WhichOneof("encoding") == "name":
            info.name = self.moved.get(plain(info.name), full(info.name))
        elif any(plain(each) in self.moved for each in tensors_of(info)):
            raise errors.ConversionError(f"{tensors_of(info)} has a variable for a part of it; give its value instead")

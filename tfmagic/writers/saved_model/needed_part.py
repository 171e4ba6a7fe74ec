"""What of a graph a SavedModel needs beside the way from inputs to outputs: initialisers, exits of loops, tables.

Not for: what becomes of it (:mod:`tfmagic.writers.saved_model.graph_messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.resources import RESOURCE_VARIABLES, TABLES, VARIABLES, fills_table, resource
from tfmagic.graphs.tensor_names import FreeNames, node_of
from tfmagic.graphs.variables import COLLECTIONS, definitions
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime.ops_and_devices import Definitions
from tfmagic.transforms import control_flow_contexts
from tfmagic.transforms.cut_graph import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos
    from tfmagic.functions.state.saved_models import Store

#: Initialisers whose constants take more are left out: the value lies in the checkpoint.
_LARGE = 1 << 16
#: An initialiser that needs one of these cannot run in the result.
_FOREIGN = of_kind("placeholder", "iterator", "iterator use", "queue", "queue use", "reader", "python")
_RESTORES = of_kind("restore")
_EXPORT = "LookupTableExportV2"


class NeededPart:
    """The part of a graph that a SavedModel with some signatures needs.

    Parameters
    ----------
    store : Store
        The graph, and where the values of its variables lie.
    signatures : mapping of str to SignatureDef
        Their tensors are those of the graph.

    Attributes
    ----------
    source : mapping of str to NodeDef
        The whole graph.
    definitions : Definitions
        Of its ops.
    names : FreeNames
        For nodes that come besides.
    part : Part
        What stays of the graph.
    main_op : str
        The op that initialises the source, empty where there is none.
    fills : list of str
        The ops that fill tables.
    exports : mapping of str to str
        The ops that give the content of tables that change, by the table's node.
    variable_defs : mapping of str to VariableDef
        Of the variables that stay, by their nodes.
    own_initialiser : mapping of str to bool
        Whether the initialiser of each of these stays.

    Raises
    ------
    ConversionError
        If ends do not suffice, a variable has no value, or nothing reads the content of a table.
    """

    def __init__(self, store: Store, signatures: Mapping[str, protos.Message]) -> None:
        self.store = store
        self.header = store.meta_graph.header
        self.source: Mapping[str, protos.Message] = {node.name: node for node in store.graph_def.node}
        self.definitions = Definitions(store.graph_def, self.header)
        self.names = FreeNames(self.source)
        self.part = Part(self.source, signatures)
        self.main_op = self._main_op()
        self.fills = self._fills()
        self.exports = self._exports()
        self.part.need(control_flow_contexts.companions(self.header, self.part.kept))
        self.variable_defs = {
            node_of(each.variable_name): each
            for collection in COLLECTIONS
            for each in definitions(self.header, collection)
            if node_of(each.variable_name) in self.part.kept
        }
        self._keep_reads()
        self.own_initialiser = self._initialisers()
        self.initialised = self._initialised()

    def _main_op(self) -> str:
        """Let the op stay that initialises the source where it lies in files."""
        name = self.store.init_op
        if name not in self.source:
            return ""
        needed, _ = ancestors(self.source, [name])
        if any(self._is_foreign(each) for each in needed if each not in self.store.asset_paths):
            return ""
        self.part.need([name])
        return name

    def _is_foreign(self, name: str) -> bool:
        return self.source[name].op in _FOREIGN

    def _kept(self, ops: frozenset[str]) -> set[str]:
        return {name for name in self.part.kept if self.source[name].op in ops}

    def _fills(self) -> list[str]:
        """Let the ops stay that fill the tables, found by what they do; not those that restore from a checkpoint."""
        tables = {resource(self.source[name]) for name in self._kept(TABLES)}
        fills = [
            name
            for name, node in self.source.items()
            if fills_table(node)
            and node_of(node.input[0]) in self.source
            and resource(self.source[node_of(node.input[0])]) in tables
            and not any(self._is_restored(text) for text in node.input[1:])
        ]
        self.part.need(fills)
        return fills

    def _is_restored(self, text: str) -> bool:
        node = self.source[node_of(text)]
        while node.op == "Identity":
            node = self.source[node_of(node.input[0])]
        return node.op in _RESTORES

    def _exports(self) -> dict[str, str]:
        """Let the ops stay that read tables whose content can have changed."""
        mutable = {name for name in self._kept(TABLES) if self.source[name].op.startswith("Mutable")}
        exports = {
            node_of(node.input[0]): name
            for name, node in self.source.items()
            if node.op == _EXPORT and node_of(node.input[0]) in mutable
        }
        missing = sorted(mutable - set(exports))
        if missing:
            raise errors.ConversionError(
                f"nothing in the graph reads the content of the tables {errors.listed(missing)}, so that it would be "
                "lost; make a tf.compat.v1.train.Saver of the graph once, which adds the op that reads them"
            )
        self.part.need(exports.values())
        return exports

    def _keep_reads(self) -> None:
        """Let the node stay by which each resource variable is read, if it is called as TensorFlow calls that."""
        for name in self._kept(RESOURCE_VARIABLES):
            read = self.source.get(f"{name}/Read/ReadVariableOp")
            if read is not None and list(read.input) == [name]:
                self.part.need([read.name])

    def _initialisers(self) -> dict[str, bool]:
        """Let the variables' initialisers stay where they can run; say of each variable whether its own does."""
        state = self._kept(VARIABLES | TABLES)
        own = {}
        for name, definition in self.variable_defs.items():
            if node_of(definition.snapshot_name) in self.source:
                self.part.need([definition.snapshot_name])
            needed = self._initialiser(definition, state)
            own[name] = needed is not None and (self._is_light(needed) or not self.store.has_value(name))
            if needed is not None and own[name]:
                self.part.need(needed)
        return own

    def _initialiser(self, definition: protos.Message, state: set[str]) -> set[str] | None:
        """Return the nodes of a variable's initialiser, None where it cannot run in the result."""
        roots = [name for name in (definition.initializer_name, definition.initial_value_name) if name]
        if not roots or any(node_of(name) not in self.source for name in roots):
            return None
        needed, _ = ancestors(self.source, roots)
        others = {name for name in needed if self.source[name].op in VARIABLES | TABLES} - state
        if others or needed & self.part.holes or any(map(self._is_foreign, needed)):
            return None
        return needed

    def _is_light(self, names: set[str]) -> bool:
        constants = (self.source[name] for name in names if self.source[name].op == "Const")
        return sum(int(node.ByteSize()) for node in constants) <= _LARGE

    def _initialised(self) -> list[str]:
        """Return the initialisers of variables without a value, which what is loaded has to run.

        Raises
        ------
        ConversionError
            If such a variable has none either, and nothing else gives it a value.
        """
        lone = [name for name in self._kept(VARIABLES) if not self.store.has_value(name)]
        by_main_op = self._assigned_by(self.main_op)
        local = {node_of(each.variable_name) for each in definitions(self.header, "local_variables")}
        missing = [
            name for name in lone if name not in by_main_op and not (name in local and self.own_initialiser.get(name))
        ]
        if missing:
            self.store.stored(missing)
        return [self.variable_defs[name].initializer_name for name in sorted(lone) if name not in by_main_op]

    def _assigned_by(self, name: str) -> set[str]:
        """Return the variables that an op sets."""
        if not name:
            return set()
        needed, _ = ancestors(self.source, [name])
        nodes = (self.source[each] for each in needed)
        return {node_of(node.input[0]) for node in nodes if node.op in ("Assign", "AssignVariableOp")}

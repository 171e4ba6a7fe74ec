"""Freeze what is a graph by an edit: each variable becomes a constant of its own name, every other node stays.

The outputs of a node keep their order; functions stay functions, under names that their content makes their own. Not
for: what can only be traced (:mod:`tfmagic.transforms.freeze`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.importable_part import PLAIN_OPS
from tfmagic.graphs.function_library import needed_library
from tfmagic.graphs.resources import REF_VARIABLES, TABLES, VARIABLES, filled_tables
from tfmagic.graphs.tensor_names import FreeNames, full, node_of, plain
from tfmagic.graphs.variables import COLLECTIONS, definitions
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime.ops_and_devices import Definitions
from tfmagic.transforms import freeze, freeze_stored, lookup_tables
from tfmagic.transforms.asset_contents import asset_contents
from tfmagic.transforms.cut_graph import Part
from tfmagic.transforms.end_names import node_names
from tfmagic.transforms.frozen_graph import FrozenGraph, become, constant
from tfmagic.transforms.function_names import name_by_content
from tfmagic.transforms.placement import drop_absent_colocations, leave_absent_devices
from tfmagic.transforms.variable_reads import Body, Library, Spec, refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tfmagic.functions.state.saved_models import Store
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.transforms.frozen_graph import Value


#: Ops that ask whether a variable has a value.
_ASKING = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})


def freeze_graph(
    store: Store,
    key: str,
    signature: protos.Message,
    ends: tuple[Sequence[Endpoint], Sequence[Endpoint]],
    *,
    keep: Collection[str] = (),
) -> FrozenGraph:
    """Freeze the part of a graph that a signature needs.

    Parameters
    ----------
    store : Store
        The graph, and where the values of its variables lie. It stays as it is.
    key : str
        The signature's key.
    signature : SignatureDef
        Its tensors are those of the graph.
    ends : inputs and outputs
        The same in the user's order.
    keep : collection of str
        Variables that stay variables, by their nodes, with what initialises and restores them.

    Raises
    ------
    UnknownNameError
        If there is no variable of a name.
    ConversionError
        If ends do not suffice, a variable has no value, or something writes to one.
    TooLargeError
        If the result would pass 2 GiB.
    """
    if not ends[1]:
        raise refusal(f"{key!r} returns no tensor, and a frozen graph is what its outputs need: nothing would be left")
    return _Freezing(store, key, signature, frozenset(map(node_of, keep))).frozen(*ends)


class _Freezing:
    """A graph on its way."""

    def __init__(self, store: Store, key: str, signature: protos.Message, keep: frozenset[str]) -> None:
        self.store = store
        self.key = key
        self.signature = signature
        self.keep = keep
        self.source = {node.name: node for node in store.graph_def.node}
        self.names = FreeNames(self.source)
        self.definitions = Definitions(store.graph_def, store.meta_graph.header)
        self.graph_def = protos.message("GraphDef")(versions=store.graph_def.versions)
        part = Part(self.source, {key: signature})
        self._require_kept(part)
        self._need_kept(part)
        self.graph_def.node.extend(part.node_defs(self.definitions, self.names))
        self.graph_def.library.CopyFrom(needed_library(self.graph_def.node, store.graph_def.library))

    def _require_kept(self, part: Part) -> None:
        there = [name for name in self.source if name in part.kept and self.source[name].op in VARIABLES]
        for name in sorted(self.keep):
            if name not in there:
                raise errors.UnknownNameError(name, "variable", there)

    def _need_kept(self, part: Part) -> None:
        """Let what initialises and restores the variables stay that are kept: no VariableDef comes with a graph."""
        header = self.store.meta_graph.header
        wanted = [
            name
            for collection in COLLECTIONS
            for each in definitions(header, collection)
            if node_of(each.variable_name) in self.keep
            for name in (each.initializer_name, each.snapshot_name)
        ]
        restore = node_of(header.saver_def.restore_op_name)
        if restore in self.source:
            nodes, _ = ancestors(self.source, [restore])
            wanted += [name for name in nodes if self._assigns_kept(self.source[name])]
        for name in wanted:
            if node_of(name) in self.source:
                needed, _ = ancestors(self.source, [name])
                others = {each for each in needed if self.source[each].op in VARIABLES} - part.kept
                if not others and not needed & part.holes:
                    part.need([name])

    def _assigns_kept(self, node: protos.Message) -> bool:
        return node.op in ("Assign", "AssignVariableOp") and node_of(node.input[0]) in self.keep

    def frozen(self, inputs: Sequence[Endpoint], outputs: Sequence[Endpoint]) -> FrozenGraph:
        """Put constants in the place of the state, and name what has to be named."""
        _require_plain(*inputs, *outputs)
        # What stays a variable keeps what initialises it.
        kept = {node.name for node in self.graph_def.node if self._assigns_kept(node)}
        assigned = [name for name in freeze.assignments(self.graph_def) if name not in kept]
        freeze.refuse_python(self.graph_def)
        freeze.refuse_other_state(self.graph_def)
        values = self._tables()
        values.update(self._variables())
        self.graph_def.library.CopyFrom(needed_library(self.graph_def.node, self.graph_def.library))
        drop_absent_colocations(self.graph_def.node)
        notes = leave_absent_devices(self.graph_def)
        self.store.clean(self.graph_def)
        name_by_content(self.graph_def)
        result = FrozenGraph(
            self.graph_def,
            values,
            tuple(end._replace(tensor=full(end.tensor)) for end in inputs),
            tuple(self._named(outputs)),
            self.key,
            str(self.signature.method_name),
            (*notes, *freeze.notes(self.graph_def, assigned, set()), *self._kept_notes()),
            self.store.values if self.keep else None,
        )
        result.require_small_enough()
        return result

    def _kept_notes(self) -> Iterator[str]:
        if self.keep:
            yield (
                f"what stays a variable ({errors.listed(sorted(self.keep))}) has the ops with it that initialise and "
                "restore it; a graph tells no Saver of its variables, so to train on, take a .meta or a SavedModel"
            )

    def _tables(self) -> dict[str, Value]:
        """Let tables fill themselves."""
        filled = filled_tables(self.graph_def.node)
        names = [node.name for node in self.graph_def.node if node.op in TABLES and node.name not in filled]
        return lookup_tables.fill(self.graph_def, self.store.table_contents(names) if names else {})

    def _variables(self) -> dict[str, Value]:
        """Turn the variables into constants of their names, and what reads them into what reads a constant."""
        nodes = {node.name: node for node in self.graph_def.node}
        state = freeze_stored.state(self.graph_def, self.store, self.keep)
        self._answer_whether_set({*state.tensors, *state.variables})
        self._dereference({name for name in state.tensors if nodes[name].op in REF_VARIABLES}, nodes)
        starts = {name: Spec(value.dtype, value.shape) for name, value in state.variables.items()}
        Body(self.graph_def.node, Library(self.graph_def), starts).rewrite()
        paths = {**self.store.asset_paths, **self.store.asset_variables}
        values = {**state.variables, **state.tensors, **asset_contents(self.graph_def.node, paths)}
        for name, value in values.items():
            constant(nodes[name], value)
            if value.texts is not None:
                nodes[name].attr["value"].tensor.CopyFrom(value.texts())
        return {name: value for name, value in values.items() if value.texts is None}

    def _answer_whether_set(self, variables: set[str]) -> None:
        """Let what asks whether a variable has a value say yes: a constant has one."""
        for node in self.graph_def.node:
            if node.op in _ASKING and node_of(node.input[0]) in variables:
                become(node, "Const", dtype="bool")
                waits = [text for text in node.input if text.startswith("^")]
                del node.input[:]
                node.input.extend(waits)
                node.attr["value"].tensor.dtype = protos.dtype_number("bool")
                node.attr["value"].tensor.tensor_content = b"\x01"

    def _dereference(self, variables: set[str], nodes: Mapping[str, protos.Message]) -> None:
        """Let ops on references to what becomes a constant be those on values; refuse what writes there."""
        references = set(variables)
        grown = True
        while grown:
            grown = False
            for node in nodes.values():
                if node.name in references or not any(node_of(each) in references for each in self._taken(node)):
                    continue
                if node.op not in PLAIN_OPS:
                    raise refusal(
                        f"op {node.name!r} ({node.op}) writes to a variable or needs it as one, and a constant cannot "
                        "be written to. If an input decides whether it runs, as in a batch norm, make that a constant, "
                        "with bind={'is_training': False} (--bind); or export to a SavedModel, which keeps variables; "
                        "or keep them here, with keep_variables=[…] (--keep-variables)"
                    )
                references.add(node.name)
                grown = True
        for name in references - variables:
            nodes[name].op = PLAIN_OPS[nodes[name].op]

    def _taken(self, node: protos.Message) -> list[str]:
        """Return what a node takes by reference."""
        definition = self.definitions.of(node.op)
        if definition is None:
            return []
        places = [place for place, each in enumerate(definition.input_arg) if each.is_ref]
        if not places:
            return []
        many = bool(definition.input_arg[places[0]].number_attr)
        taken = list(node.input)[places[0] :] if many else [node.input[place] for place in places]
        return [text for text in taken if not text.startswith("^")]

    def _named(self, ends: Sequence[Endpoint]) -> Iterator[Endpoint]:
        """Yield the outputs under nodes of their keys: where no tensor bears a key, an Identity under a free name.

        What only a node bears that is left out is not free: by its name somebody means that.
        """
        for end, name in zip(ends, node_names(end.key for end in ends), strict=True):
            tensor = plain(end.tensor)
            dtype = end.dtype.removesuffix("_ref")
            if tensor not in (name, plain(end.key)):
                node = self.graph_def.node.add(name=self.names.of_node(name), op="Identity")
                node.input.append(tensor)
                node.attr["T"].type = protos.dtype_number(dtype)
                tensor = node.name
            yield end._replace(tensor=full(tensor), dtype=dtype)


def _require_plain(*ends: Endpoint) -> None:
    """Refuse what is made of several tensors: no single node of a graph stands for it."""
    for end in ends:
        if "," in end.tensor:
            raise errors.ConversionError(
                f"{end.key!r} is a composite of {end.tensor}: give its parts as inputs or outputs of their own"
            )

"""What a graph on disk keeps outside itself: above all the values of its variables in a checkpoint.

Not for: finding out which tensor of the checkpoint is whose (:mod:`tfmagic.graphs.restores`), or the content of tables
(:mod:`tfmagic.functions.state.stored_tables`).
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints.trackable_object_graph import short_key
from tfmagic.functions.state.initial_values import Stored, initial_values, values_behind
from tfmagic.functions.state.stored_tables import StoredTables
from tfmagic.graphs import moving_averages, restores, saved_object_graph
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.ops import named
from tfmagic.graphs.resources import VARIABLES, resource
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np

    from tfmagic.graphs.restores import Slot

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
#: What may write to a variable, of what an initialiser consists of.
_WRITING = frozenset({"variable write", "reference write", "call", "branch", "loop"})
#: Where a SavedModel names the op that initialises it.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Store(StoredTables):
    """The state of a MetaGraphDef, as it lies on disk."""

    @cached_property
    def asset_variables(self) -> Mapping[str, Path]:
        """The asset files whose names are kept in variables, by the variable's node."""
        # What restores variables is followed where there are assets.
        initial = self._restores.initial if self.asset_paths else {}
        return {name: self.asset_paths[node] for name, node in initial.items() if node in self.asset_paths}

    def asset_file(self, node: str, name: str) -> Path:
        """Return a file that a node of the graph names, which has to lie beside it: what comes from afar names any.

        Raises
        ------
        ConversionError
            If it lies elsewhere, or is not there.
        """
        del node
        folders = [each.resolve() for each in (self.assets, Path.cwd()) if each is not None]
        places = ((folder / name).resolve() for folder in folders)
        here = (place for place in places if place.is_file() and any(map(place.is_relative_to, folders)))
        file = next(here, None)
        if file is None:
            raise errors.ConversionError(
                f"a table is filled from the file {name!r}, which does not lie beside the graph: copy it there, or "
                "give the session in which the table is filled"
            )
        return file

    def initial_tensor(self, name: str) -> str:
        """Return the tensor that a variable without a stored value gets when the graph is initialised, empty if none.

        The op that initialises what is loaded sets it; of a variable that is local to a process its own initialiser.
        """
        own = self._set_tensors.get(resource(self._nodes[name]), "") if name in self._nodes else ""
        return own or self._local_tensors.get(name, "")

    @cached_property
    def _set_tensors(self) -> Mapping[tuple[bytes, bytes], str]:
        """The tensors that the op which initialises what is loaded gives to variables, by what identifies these."""
        assignments = self._assignments(self.init_op) if self.init_op in self._nodes else []
        pairs = ((resource(self._nodes[node_of(node.input[0])]), str(node.input[1])) for node in assignments)
        return _firsts(pairs)

    @cached_property
    def _changed(self) -> Mapping[str, Stored]:
        """What the op that initialises what is loaded makes of variables that the checkpoint has restored before it.

        Where it draws, or restores by itself, what was trained is worth more.
        """
        if not self.initialised_last or self.ema or self.init_op not in self._nodes:
            return {}
        known = self._nodes.__contains__
        needed = reached([self.init_op], lambda each: filter(known, map(node_of, self._nodes[each].input)))
        writes = [name for name in needed if named(self._nodes[name].op).kind in _WRITING]
        with suppress(errors.ConversionError):
            return values_behind(self.graph_def, sorted(writes), self._restored)
        return {}

    def _restored(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read what the checkpoint has of some variables."""
        slots = {name: self._slot(name) for name in names}
        return {name: self._tensor(name, slot).read() for name, slot in slots.items() if slot is not None}

    @cached_property
    def _local_tensors(self) -> Mapping[str, str]:
        """The tensors that the initialisers of variables which are local to a process give them, by their nodes."""
        definitions = graph_variables.definitions(self.meta_graph.header, "local_variables")
        pairs = ((node_of(each.variable_name), self._nodes.get(node_of(each.initializer_name))) for each in definitions)
        return _firsts(
            (name, str(node.input[1])) for name, node in pairs if node is not None and node.op in _ASSIGNMENTS
        )

    def _assignments(self, name: str) -> list[protos.Message]:
        """Return the ops of the main graph that give a variable a value, of those that an op needs."""
        known = self._nodes.__contains__
        needed = reached([name], lambda each: filter(known, map(node_of, self._nodes[each].input)))
        nodes = (self._nodes[each] for each in needed)
        return [node for node in nodes if node.op in _ASSIGNMENTS and known(node_of(node.input[0]))]

    @property
    def init_op(self) -> str:
        """The op that initialises what is loaded, empty where none is named."""
        header = self.meta_graph.header
        for name in _INIT_COLLECTIONS:
            if name in header.collection_def and header.collection_def[name].node_list.value:
                return node_of(header.collection_def[name].node_list.value[0])
        if _INIT_SIGNATURE in header.signature_def:
            return next((node_of(each.name) for each in header.signature_def[_INIT_SIGNATURE].outputs.values()), "")
        return ""

    def clean(self, graph_def: protos.Message) -> None:
        """Take out of a graph, in place, what did not come with it from the user: nothing of what lies in a file."""

    def may_have(self, tensor: object) -> bool:
        """Say whether a live tensor can be one of the graph: of a graph in a file, whatever has its name."""
        del tensor
        return True

    def has_value(self, name: str) -> bool:
        """Say whether the checkpoint has a value for a variable, by the name of its node."""
        return self._slot(name) is not None

    def without_value(self, names: Iterable[str]) -> list[str]:
        """Return those variables, by their nodes, that have a value neither in the checkpoint nor from the graph."""
        paths = self.asset_variables
        return [
            name for name in names if name not in paths and not self.has_value(name) and not self.initial_tensor(name)
        ]

    def averaged(self, names: Iterable[str]) -> list[str]:
        """Return those variables, by their nodes, beside whose value a moving average lies."""
        return [name for name in names if self._average(self._raw_slot(name)) is not None]

    def _average(self, slot: Slot | None) -> Slot | None:
        """Return the moving average of what a variable is restored from, None where it is that itself or has none."""
        if slot is None or self._checkpoint is None:
            return None
        key = self._average_keys.get(slot.key, f"{slot.key}{moving_averages.SUFFIX}")
        return restores.Slot(key, slot.slice) if key in self._checkpoint.entries else None

    @cached_property
    def _average_keys(self) -> Mapping[str, str]:
        """The keys of moving averages where keys are paths of objects, by those of their variables."""
        keys = self._keys_of_objects
        return {keys[name]: keys[average] for name, average in moving_averages.averages(keys).items()}

    @cached_property
    def _keys_of_objects(self) -> Mapping[str, str]:
        """The keys of variables that are objects, by their names, of those that no other has."""
        saved = saved_object_graph.by_key(self.meta_graph.object_graph_def)
        entries = self._checkpoint.entries if saved and self._checkpoint is not None else ()
        named = [(saved[path].name, key) for key in entries if (path := short_key(key)) in saved]
        counts = Counter(name for name, _ in named)
        return {name: key for name, key in named if counts[name] == 1}

    def averages_by_name(self) -> dict[str, Callable[[], np.ndarray]]:
        """Return what reads the moving average of each variable that is an object, by the variable's name."""
        keys = self._keys_of_objects
        pairs = moving_averages.averages(keys)
        return {name: partial(self._read, keys[average]) for name, average in pairs.items()}

    def attribute_path(self, name: str) -> str:
        """Return the way to a variable along attributes, by which TensorFlow 2 stores it; empty where there is none."""
        slot = self._raw_slot(name)
        path = short_key(slot.key) if slot else ""
        return "" if slot is None or path == slot.key or saved_object_graph.is_listed(path) else path

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values of variables, by the names of their nodes.

        Raises
        ------
        ConversionError
            If the checkpoint, or a variable in it, is missing.
        """
        return {name: stored.read() for name, stored in self.stored(names).items()}

    def values_before(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values that belong beside the graph's own initialiser, which is run behind them."""
        return {name: stored.read() for name, stored in self._states(names, is_last=False).items()}

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """Describe the values of variables, which are not read yet, by the names of their nodes.

        Raises
        ------
        ConversionError
            If a variable has a value neither in the checkpoint nor from the op that initialises the graph, or one of
            another dtype.
        """
        return self._states(names, is_last=True)

    def _states(self, names: Sequence[str], *, is_last: bool) -> dict[str, Stored]:
        begun = [name for name in names if self._slot(name) is None and self.initial_tensor(name)]
        slots = self._require([name for name in names if name not in begun])
        tensors = {name: self.initial_tensor(name) for name in begun}
        values = initial_values(self.graph_def, tensors, self.values) if begun else {}
        values |= {name: self._changed[name] for name in slots if is_last and name in self._changed}
        return {name: values[name] if name in values else self._tensor(name, slots[name]) for name in names}

    def _require(self, names: Sequence[str]) -> dict[str, Slot]:
        """Return where each variable's value lies; raises ConversionError naming those that lie nowhere."""
        if self._checkpoint is None and names:
            raise errors.ConversionError(
                f"the graph reads the variables {errors.listed(sorted(names))}, and no checkpoint with their values "
                "lies beside it: put its .index and .data files there under the same name, or choose inputs=[…] and "
                "outputs=[…] between which no variable is read"
            )
        slots = {name: self._slot(name) for name in names}
        missing = sorted(name for name, slot in slots.items() if slot is None)
        if missing and self.files is not None:
            raise errors.ConversionError(
                f"the checkpoint {str(self.files.prefix)!r} has no value for the variables {errors.listed(missing)} "
                "that the graph reads: give the checkpoint that was saved with this graph, or choose inputs=[…] and "
                "outputs=[…] between which they are not read"
            )
        return {name: slot for name, slot in slots.items() if slot is not None}

    def _slot(self, name: str) -> Slot | None:
        """Find the tensor that a variable gets: its own, or the moving average of that."""
        slot = self._raw_slot(name)
        return self._average(slot) or slot if self.ema else slot

    def _raw_slot(self, name: str) -> Slot | None:
        """Find a variable's tensor: by what restores it, else by its own name where nothing restores anything."""
        if self._checkpoint is None:
            return None
        slots = self._restores.variables
        other = self._by_resource.get(resource(self._nodes[name]), "")
        slot = slots.get(name) or slots.get(other)
        if slot is None and not slots:
            slot = restores.Slot(resource(self._nodes[name])[1].decode(errors="backslashreplace"))
        return slot if slot and slot.key in self._checkpoint.entries else None

    def _tensor(self, name: str, slot: Slot) -> Stored:
        """Describe the tensor that a variable is restored from."""
        entry = self._entry(slot)
        wanted = protos.dtype_name(self._nodes[name].attr["dtype"].type)
        if self._nodes[name].op in VARIABLES and wanted != entry.dtype:
            raise errors.ConversionError(
                f"the variable {name!r} is {wanted}, and the checkpoint has {slot.key!r} as {entry.dtype}: it was "
                "saved from another version of this graph"
            )
        whole = tuple(int(size or 0) for size in entry.shape or ())
        if not slot.slice:
            return Stored(entry.dtype, whole, lambda: self._read(slot.key))
        piece = tensor_slices.parsed(slot.slice)
        shape = tensor_slices.shape_of(piece, whole)
        return Stored(entry.dtype, shape, lambda: self._read_piece(slot.key, piece))


def _firsts(pairs: Iterable[tuple[_Key, str]]) -> dict[_Key, str]:
    """Return a mapping that keeps the first value of each key."""
    result: dict[_Key, str] = {}
    for key, value in pairs:
        result.setdefault(key, value)
    return result

"""What a graph on disk keeps outside itself: the values of its variables in a checkpoint, the content of its tables.

Not for: finding out which tensor of the checkpoint is whose (:mod:`tfmagic.graphs.restores`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import places, protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints.trackable_object_graph import short_key
from tfmagic.findings import hazards
from tfmagic.functions.state import table_objects, text_tables
from tfmagic.functions.state.initial_values import Stored, initial_values
from tfmagic.functions.state.live_tables import TableContent
from tfmagic.graphs import constants, moving_averages, restores, saved_object_graph
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.made_tables import with_own_tables
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.resources import VARIABLES, resource
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.files.checkpoints import tensor_bundle
    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.restores import Fill, Slot, Source

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
#: Where a SavedModel names the op that initialises it.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"


@dataclass(frozen=True)
class Store:
    """The state of a MetaGraphDef, as it lies on disk.

    Attributes
    ----------
    meta_graph : MetaGraph
        Its graph, its saver and its collections say what belongs where.
    files : CheckpointFiles or None
        The checkpoint beside it.
    assets : Path or None
        The directory of its asset files.
    trust : bool
        Whether the user vouched for the model, so that files elsewhere that it names may be read.
    ema : bool
        Whether a variable's value is its moving average, of those that have one.
    """

    meta_graph: MetaGraph
    files: CheckpointFiles | None = None
    assets: Path | None = None
    trust: bool = False
    ema: bool = False

    @cached_property
    def graph_def(self) -> protos.Message:
        """The GraphDef, of our pool."""
        return with_own_tables(self.meta_graph.graph_def())

    @cached_property
    def _nodes(self) -> Mapping[str, protos.Message]:
        return {node.name: node for node in self.graph_def.node}

    @cached_property
    def _restores(self) -> restores.Restores:
        return restores.read(self.graph_def, self.meta_graph.header)

    @cached_property
    def _checkpoint(self) -> tensor_bundle.Checkpoint | None:
        return self.files.opened if self.files else None

    @cached_property
    def _reader(self) -> runtime.Live:
        """TensorFlow's own reader where TensorFlow is loaded, which checks checksums faster; None for the format V1."""
        if self.files is None or self._checkpoint is None or self._checkpoint.version == "V1":
            return None
        # Where the path is a pattern, TensorFlow's reader finds none of the files, or those of another checkpoint.
        if not runtime.is_loaded() or places.is_pattern(self.files.prefix):
            return None
        return runtime.tensorflow().train.load_checkpoint(str(self.files.prefix))

    @cached_property
    def _by_resource(self) -> Mapping[tuple[bytes, bytes], str]:
        """The nodes that are restored or filled, by what identifies a resource in a session."""
        known = (*self._restores.variables, *self._restores.fills)
        return {resource(self._nodes[name]): name for name in known if name in self._nodes}

    @cached_property
    def asset_paths(self) -> Mapping[str, Path]:
        """The asset files, by the node that holds each one's name."""
        if self.assets is None:
            return {}
        paths = {
            asset.tensor_info.name.partition(":")[0]: self.assets / asset.filename
            for asset in hazards.asset_files(self.meta_graph.header)
            if hazards.is_inside(asset.filename)
        }
        # A link of the file system may lead anywhere: caches of model hubs consist of them.
        return {name: path.resolve() for name, path in paths.items() if path.is_file()}

    @cached_property
    def asset_variables(self) -> Mapping[str, Path]:
        """The asset files whose names are kept in variables, by the variable's node."""
        initial = self._restores.initial
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
        if self.init_op in self._nodes:
            for node in self._assignments(self.init_op):
                if resource(self._nodes[node_of(node.input[0])]) == resource(self._nodes[name]):
                    return str(node.input[1])
        for definition in graph_variables.definitions(self.meta_graph.header, "local_variables"):
            initialiser = self._nodes.get(node_of(definition.initializer_name))
            if node_of(definition.variable_name) == name and initialiser is not None and initialiser.op in _ASSIGNMENTS:
                return str(initialiser.input[1])
        return ""

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

    def table_content(self, table: str, export: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys and values of a table that can have changed.

        Parameters
        ----------
        table : str
            Its node.
        export : str
            The node that reads it in a session.

        Raises
        ------
        ConversionError
            If nothing says what it holds.
        """
        del export
        fills = [each for each in self._restores.fills.get(table, ()) if None not in each.sources]
        if len(fills) != 1:
            raise errors.ConversionError(
                f"what the table {table!r} holds is not to be read from the files: {_why(fills)}; give the live session"
            )
        keys, values = (self._content(each) for each in fills[0].sources)
        return keys, values

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values of variables, by the names of their nodes.

        Raises
        ------
        ConversionError
            If the checkpoint, or a variable in it, is missing.
        """
        return {name: stored.read() for name, stored in self.stored(names).items()}

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """Describe the values of variables, which are not read yet, by the names of their nodes.

        Raises
        ------
        ConversionError
            If a variable has a value neither in the checkpoint nor from the op that initialises the graph, or one of
            another dtype.
        """
        begun = [name for name in names if self._slot(name) is None and self.initial_tensor(name)]
        slots = self._require([name for name in names if name not in begun])
        tensors = {name: self.initial_tensor(name) for name in begun}
        values = initial_values(self.graph_def, tensors, self.values) if begun else {}
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
        slots = self._restores.variables
        other = self._by_resource.get(resource(self._nodes[name]), "")
        slot = slots.get(name) or slots.get(other)
        if slot is None and not slots:
            slot = restores.Slot(resource(self._nodes[name])[1].decode(errors="backslashreplace"))
        return slot if slot and self._checkpoint and slot.key in self._checkpoint.entries else None

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
        region = tensor_slices.region(piece, whole)
        shape = tensor_slices.shape_of(piece, whole)
        return Stored(entry.dtype, shape, lambda: np.ascontiguousarray(self._read(slot.key)[region]))

    def _entry(self, slot: Slot) -> Entry:
        if self._checkpoint is None or slot.key not in self._checkpoint.entries:
            raise errors.ConversionError(
                f"there is no checkpoint with {slot.key!r} in it beside the graph; put it there"
            )
        return self._checkpoint.entries[slot.key]

    def _read(self, key: str) -> np.ndarray:
        if self._checkpoint is None:
            raise errors.ConversionError(f"there is no checkpoint with {key!r} in it beside the graph; put it there")
        entry = self._checkpoint.entries[key]
        if entry.slices or entry.dtype == "string":
            return self._checkpoint.read(key)
        try:
            value = None if self._reader is None else np.asarray(self._reader.get_tensor(key))
        # Its errors come from C++: OpError, RuntimeError, ValueError, IndexError where a shard is too short.
        except Exception as error:
            message = (
                f"the value of {key!r} in {str(self._checkpoint.prefix)!r} cannot be read: {error_texts.gist(error)}"
            )
            message += "; copy the checkpoint again"
            raise errors.CorruptSourceError(message) from error
        return self._checkpoint.read(key) if value is None else value

    def tables(self, names: Sequence[str]) -> dict[str, runtime.Live]:
        """Make tables with what the graph's own tables are filled with, by the names of their nodes.

        Raises
        ------
        ConversionError
            If nothing fills one, or what fills it is computed.
        """
        return {name: self._table(name, content) for name, content in self.table_contents(names).items()}

    def _table(self, name: str, content: TableContent) -> runtime.Live:
        tf = runtime.tensorflow()
        try:
            return table_objects.of_content(self._nodes[name], *content)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise errors.ConversionError(
                f"the table {name!r} cannot be filled: {error_texts.gist(error)}; give the live session"
            ) from error

    def table_contents(self, names: Sequence[str]) -> dict[str, TableContent]:
        """Return what the graph's own tables are filled with, by the names of their nodes.

        Raises
        ------
        ConversionError
            If nothing fills one, or what fills it is computed.
        """
        return {name: self._filling(name) for name in names}

    def _filling(self, name: str) -> TableContent:
        fills = self._restores.fills
        filled = fills.get(name) or fills.get(self._by_resource.get(resource(self._nodes[name]), ""), ())
        contents = [each for each in filled if None not in each.sources]
        # A dense table is stored with its empty buckets.
        if len(filled) != 1 or not contents or self._nodes[name].op.startswith("MutableDense"):
            message = (
                f"what the table {name!r} ({self._nodes[name].op}) holds is not to be read from the files: "
                f"{_why(filled)}; give the live model or session"
            )
            raise errors.ConversionError(message)
        (fill,) = contents
        self._require_own_file(fill)
        sources = [self._content(each) for each in fill.sources]
        if fill.node.op not in table_objects.TEXT_FILLERS:
            return TableContent(*sources)
        path = Path(np.asarray(sources[0]).reshape(-1)[0].decode())
        try:
            return text_tables.content(path, self._nodes[name], fill.node)
        except (OSError, ValueError) as error:
            raise errors.ConversionError(
                f"the table {name!r} cannot be filled: {error}; give the live session"
            ) from error

    def _require_own_file(self, fill: Fill) -> None:
        """Refuse to read a file elsewhere for a model that nobody vouched for."""
        source = fill.sources[0]
        is_own = isinstance(source, restores.Constant) and source.node in self.asset_paths
        if self.trust or is_own or fill.node.op not in table_objects.TEXT_FILLERS:
            return
        tensor = source.tensor if isinstance(source, restores.Constant) else None
        path = b"".join(tensor.string_val[:1]).decode(errors="replace") if tensor is not None else ""
        hazard = hazards.Hazard(Effect.READS_FILES, f"node {fill.node.name!r}", fill.node.op, path)
        directory = self.assets.parent if self.assets and self.assets.name == "assets" else self.assets
        raise hazards.refusal([hazard], str(directory or "a graph"))

    def _content(self, source: Source) -> np.ndarray:
        """Return the keys or values of a table, or the name of the file that holds them."""
        if isinstance(source, restores.Slot):
            self._entry(source)
            return self._read(source.key)
        if source is None:
            raise errors.ConversionError("what fills a table is computed by the graph; give the live model or session")
        if source.node in self.asset_paths:
            return np.array(str(self.asset_paths[source.node]).encode(), dtype=object)
        if source.tensor is None:
            raise errors.ConversionError(f"the asset file behind {source.node!r} is missing; copy it to where it was")
        return constants.tensor_value(source.tensor)


def _why(fills: Sequence[Fill]) -> str:
    if not fills:
        return "nothing in the graph fills it"
    return "several ops fill it" if len(fills) > 1 else "the graph computes it"

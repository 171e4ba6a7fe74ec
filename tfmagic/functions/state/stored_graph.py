"""A graph on disk beside what it keeps outside itself: its checkpoint, its asset files, and how values are read.

Not for: which variable or table has which value (:mod:`tfmagic.functions.state.saved_models`,
:mod:`tfmagic.functions.state.stored_tables`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import places, protos
from tfmagic.findings import hazards
from tfmagic.findings.walked_graphs import Nodes
from tfmagic.graphs import restores
from tfmagic.graphs.function_tables import with_own_tables
from tfmagic.graphs.resources import resource
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfmagic.files.checkpoints import tensor_bundle
    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.files.checkpoints.slices import Extents
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.restores import Slot


@dataclass(frozen=True)
class StoredGraph:
    """A MetaGraphDef, as it lies on disk.

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
    initialised_last : bool
        Whether the op that initialises what is loaded runs behind the checkpoint, as a SavedModel's loaders do.
    """

    meta_graph: MetaGraph
    files: CheckpointFiles | None = None
    assets: Path | None = None
    trust: bool = False
    ema: bool = False
    initialised_last: bool = False

    @cached_property
    def graph_def(self) -> protos.Message:
        """The GraphDef, of our pool."""
        return with_own_tables(self.meta_graph.graph_def())

    @cached_property
    def _nodes(self) -> Mapping[str, protos.Message]:
        return Nodes(self.graph_def.node)

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
            if places.stays_inside(asset.filename)
        }
        # A link of the file system may lead anywhere: caches of model hubs consist of them.
        return {name: path.resolve() for name, path in paths.items() if path.is_file()}

    def _entry(self, slot: Slot) -> Entry:
        if self._checkpoint is None or slot.key not in self._checkpoint.entries:
            raise errors.ConversionError(
                f"there is no checkpoint with {slot.key!r} in it beside the graph; put it there"
            )
        return self._checkpoint.entries[slot.key]

    def _read_piece(self, key: str, piece: Extents) -> np.ndarray:
        return self._there(key).read(key, piece=piece)

    def _there(self, key: str) -> tensor_bundle.Checkpoint:
        if self._checkpoint is None:
            raise errors.ConversionError(f"there is no checkpoint with {key!r} in it beside the graph; put it there")
        return self._checkpoint

    def _read(self, key: str) -> np.ndarray:
        checkpoint = self._there(key)
        entry = checkpoint.entries[key]
        if entry.slices or entry.dtype == "string":
            return checkpoint.read(key)
        try:
            value = None if self._reader is None else np.asarray(self._reader.get_tensor(key))
        # Its errors come from C++: OpError, RuntimeError, ValueError, IndexError where a shard is too short.
        except Exception as error:
            message = f"the value of {key!r} in {str(checkpoint.prefix)!r} cannot be read: {error_texts.gist(error)}"
            message += "; copy the checkpoint again"
            raise errors.CorruptSourceError(message) from error
        return checkpoint.read(key) if value is None else value

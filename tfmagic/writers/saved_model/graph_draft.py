"""A graph on its way to a SavedModel: its message, its variables a few at a time, its assets.

Not for: making the message (:mod:`tfmagic.writers.saved_model.graph_messages`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import progress
from tfmagic.files import protos, saved_model_files
from tfmagic.files.checkpoints import tensor_writing
from tfmagic.functions.saved_models import SavedModelFunctions
from tfmagic.graphs import signatures as signature_defs
from tfmagic.graphs.tensor_names import node_of
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.frozen_graph import serialised
from tfmagic.writers.saved_model import directory
from tfmagic.writers.saved_model.assets import assets_of, copy_assets
from tfmagic.writers.saved_model.graph_messages import graph_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.writers.saved_model.assets import Asset
    from tfmagic.writers.saved_model.graph_messages import GraphMessages
    from tfmagic.writers.saved_model.saver import SavedTensor

#: Values that are in memory at a time.
_CHUNK = 64 << 20


@dataclass(frozen=True)
class GraphDraft:
    """A graph on its way to a SavedModel."""

    store: Store
    messages: GraphMessages
    assets: tuple[Asset, ...]
    notes: tuple[str, ...] = ()
    text: bool = False
    #: What was read back, by its place: once for all signatures.
    loaded: dict[Path, SavedModelFunctions] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag-set."""
        return tuple(self.messages.meta_graph_def.meta_info_def.tags)

    @property
    def size(self) -> int:
        """What the directory will take in bytes, about."""
        nodes = {node.name: node for node in self.messages.meta_graph_def.graph_def.node}
        weights = sum(_bytes_of(nodes[each.node]) for each in self.messages.variables)
        return weights + int(self.messages.meta_graph_def.ByteSize()) + sum(_size(each.file) for each in self.assets)

    def write(self, path: Path) -> None:
        """Write the directory; values come from the source a few at a time."""
        path.mkdir()
        if self.messages.variables or self.messages.tables:
            prefix = path / directory.VARIABLES / directory.VARIABLES
            prefix.parent.mkdir()
            self.write_values(prefix)
        copy_assets(self.assets, path)
        saved = protos.message("SavedModel")(saved_model_schema_version=1)
        saved.meta_graphs.add().CopyFrom(self.messages.meta_graph_def)
        (path / saved_model_files.BINARY).write_bytes(serialised(saved))
        directory.settle(path, text=self.text)

    def write_values(self, prefix: Path) -> None:
        """Write the checkpoint that the graph's saver restores, by TensorFlow where it is loaded, else ourselves."""
        if not runtime.is_loaded():
            tensor_writing.write(prefix, (_tensor(*each) for batch in self._batches() for each in batch))
            return
        tf = runtime.tensorflow()
        parts: list[str] = []
        for batch in self._batches():
            progress.check()
            parts.append(f"{prefix}-part-{len(parts)}")
            _write_part(parts[-1], batch)
        with runtime.eager(), tf.device("CPU"):
            tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(prefix))

    def _batches(self) -> Iterator[list[tuple[SavedTensor, np.ndarray]]]:
        """Yield what goes into each part of the checkpoint."""
        nodes = {node.name: node for node in self.messages.meta_graph_def.graph_def.node}
        tensors = {each.node: each.tensor for each in self.messages.variables}
        for names in _grouped(list(tensors), lambda name: _bytes_of(nodes[name])):
            values = self.store.values(names)
            yield [(tensors[name], values[name]) for name in names]
        for table in self.messages.tables:
            content = self.store.table_content(table.node, node_of(table.keys.source))
            yield list(zip((table.keys, table.values), content, strict=True))

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the directory back as TensorFlow 2 does, and see that TensorFlow 1 takes it as well.

        Raises
        ------
        ConversionError
            If one of the loaders does not take it, or they see different signatures.
        """
        if path not in self.loaded:
            directory.require_session(path, self.tags)
            self.loaded[path] = SavedModelFunctions(path, self.tags)
        function = self.loaded[path].function(key)
        directory.require_agreement(path, function)
        return function


def graph_draft(
    store: Store, signatures: Mapping[str, protos.Message], tags: Sequence[str], *, text: bool = False
) -> GraphDraft:
    """Make a SavedModel of a graph: its nodes, variables and tables keep their names.

    Raises
    ------
    ConversionError
        As :func:`tfmagic.writers.saved_model.graph_messages.graph_messages`.
    """
    messages = graph_messages(store, signatures, tags)
    nodes = {node.name: node for node in messages.meta_graph_def.graph_def.node}
    assets = assets_of(nodes, store)
    for asset in assets:
        definition = messages.meta_graph_def.asset_file_def.add(filename=asset.name)
        definition.tensor_info.name = asset.tensor
    methods = (
        note
        for each in signatures.values()
        for note in signature_defs.method_notes(each.method_name, each.inputs, each.outputs)
    )
    notes = (*messages.notes, *methods, *signature_defs.tag_notes(tags))
    return GraphDraft(store, messages, assets, notes, text)


def _size(file: Path) -> int:
    return file.stat().st_size


def _bytes_of(node: protos.Message) -> int:
    """Return how much a variable takes, as far as its node says."""
    shape = protos.shape_of(node.attr["shape"].shape) or ()
    item = protos.item_size(protos.dtype_name(node.attr["dtype"].type)) or 0
    return math.prod(size or 0 for size in shape) * item


def _grouped(names: Sequence[str], size_of: Callable[[str], int]) -> Iterator[list[str]]:
    """Yield names in groups, of which each takes about as much as may be in memory at a time."""
    group: list[str] = []
    total = 0
    for name in names:
        group.append(name)
        total += size_of(name)
        if total >= _CHUNK:
            yield group
            group, total = [], 0
    if group:
        yield group


def _tensor(saved: SavedTensor, values: np.ndarray) -> tensor_writing.Tensor:
    progress.check()
    return tensor_writing.Tensor(saved.key, protos.dtype_name(saved.dtype), np.asarray(values), saved.slice)


def _write_part(prefix: str, tensors: Sequence[tuple[SavedTensor, np.ndarray]]) -> None:
    tf = runtime.tensorflow()
    with runtime.eager(), tf.device("CPU"):
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=[tensor.key for tensor, _ in tensors],
            shape_and_slices=[tensor.slice for tensor, _ in tensors],
            tensors=[tf.constant(value) for _, value in tensors],
        )

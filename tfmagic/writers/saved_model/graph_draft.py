"""A graph on its way to a SavedModel: its message, its variables a few at a time, its assets.

Not for: making the message (:mod:`tfmagic.writers.saved_model.graph_messages`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import progress
from tfmagic.files import protos, saved_model_files
from tfmagic.files.checkpoints import tensor_writing
from tfmagic.functions.saved_models import SavedModelFunctions
from tfmagic.functions.state.value_groups import grouped, tensor_bytes
from tfmagic.graphs import signatures as signature_defs
from tfmagic.graphs.tensor_names import node_of
from tfmagic.transforms.frozen_graph import serialised
from tfmagic.writers.saved_model import directory
from tfmagic.writers.saved_model.assets import assets_of, copy_assets
from tfmagic.writers.saved_model.graph_messages import graph_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.writers.saved_model.assets import Asset
    from tfmagic.writers.saved_model.graph_messages import GraphMessages
    from tfmagic.writers.saved_model.saver import SavedTensor, SavedVariable


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
        weights = sum(_bytes_of(nodes[each.node]) or 0 for each in self.messages.variables)
        return weights + int(self.messages.meta_graph_def.ByteSize()) + sum(_size(each.file) for each in self.assets)

    def write(self, path: Path) -> None:
        """Write the directory; values come from the source a few at a time."""
        path.mkdir()
        if self.messages.variables or self.messages.tables:
            prefix = path / directory.VARIABLES / directory.VARIABLES
            prefix.parent.mkdir()
            self.write_values(prefix)
        copy_assets(self.assets, path)
        (path / saved_model_files.BINARY).write_bytes(self._message())
        directory.settle(path, text=self.text)

    def _message(self) -> bytes:
        """Return what the file holds."""
        saved = protos.message("SavedModel")(saved_model_schema_version=1)
        saved.meta_graphs.add().CopyFrom(self.messages.meta_graph_def)
        return serialised(saved)

    def write_values(self, prefix: Path) -> None:
        """Write the checkpoint that the graph's saver restores, a few values in memory at a time."""
        tensor_writing.write(prefix, self._tensors())

    def values(self, variables: Iterable[SavedVariable]) -> Iterator[tuple[SavedVariable, np.ndarray]]:
        """Yield variables with their values, which come from the source a few at a time."""
        nodes = {node.name: node for node in self.messages.meta_graph_def.graph_def.node}
        for group in grouped(variables, lambda variable: _bytes_of(nodes[variable.node])):
            progress.check()
            values = dict(self.store.values_before([variable.node for variable in group]))
            for variable in group:
                yield variable, values.pop(variable.node)

    def _tensors(self) -> Iterator[tensor_writing.Tensor]:
        """Yield what goes into the checkpoint."""
        for variable, value in self.values(self.messages.variables):
            yield _tensor(variable.tensor, value)
        for table in self.messages.tables:
            content = self.store.table_content(table.node, node_of(table.keys.source))
            yield from map(_tensor, (table.keys, table.values), content)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the directory back as TensorFlow 2 does, and see that TensorFlow 1 takes it as well.

        Raises
        ------
        ConversionError
            If one of the loaders does not take it, or they see different signatures.
        """
        if path not in self.loaded:
            if not self.text:
                directory.require_message(path, self._message())
            directory.require_session(path, self.tags)
            self.loaded[path] = SavedModelFunctions(path, self.tags, whole=True)
        function = self.loaded[path].function(key)
        directory.require_agreement(path, function)
        return function


def graph_draft(
    store: Store,
    signatures: Mapping[str, protos.Message],
    tags: Sequence[str],
    *,
    text: bool = False,
    keep_references: bool = False,
) -> GraphDraft:
    """Make a SavedModel of a graph: its nodes, variables and tables keep their names.

    With ``keep_references`` it is none that TensorFlow 2 loads, but what lies in a ``.meta`` beside a checkpoint.

    Raises
    ------
    ConversionError
        As :func:`tfmagic.writers.saved_model.graph_messages.graph_messages`.
    """
    messages = graph_messages(store, signatures, tags, keep_references=keep_references)
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


def _bytes_of(node: protos.Message) -> int | None:
    """Return how much a variable takes, None where its node does not say."""
    return tensor_bytes(protos.dtype_name(node.attr["dtype"].type), protos.shape_of(node.attr["shape"].shape))


def _tensor(saved: SavedTensor, values: np.ndarray) -> tensor_writing.Tensor:
    return tensor_writing.Tensor(saved.key, protos.dtype_name(saved.dtype), np.asarray(values), saved.slice)

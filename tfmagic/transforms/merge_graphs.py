"""Join two graphs, each under a scope of its own: tensors of the first take the place of inputs of the second.

Not for: joining what can only be traced (:mod:`tfmagic.transforms.merge`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.functions.state.merged import SCOPES, MergedStore
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.tensor_names import FreeNames, node_of, plain
from tfmagic.transforms.scopes import under_scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.functions.state.saved_models import Store

_PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
_MAIN_OP, _LEGACY = "saved_model_main_op", "legacy_init_op"


def join_graphs(first: Store, second: Store, connect: Mapping[str, str]) -> MergedStore:
    """Make one graph of two, with a way to the values of both.

    Parameters
    ----------
    first, second : Store
        The graphs, which stay as they are.
    connect : mapping of str to str
        For input tensors of the second, the tensor of the first that feeds each: names without scopes.
    """
    halves = [
        under_scope(each.meta_graph.meta_graph_def(), scope)
        for each, scope in zip((first, second), SCOPES, strict=True)
    ]
    result = protos.message("MetaGraphDef")()
    for half in halves:
        _add(result, half)
    versions = [half.graph_def.versions for half in halves]
    # Ops that are deprecated by now need the older of both.
    result.graph_def.versions.producer = min(each.producer for each in versions)
    result.graph_def.versions.min_consumer = max(each.min_consumer for each in versions)
    for target, source in connect.items():
        _feed(result.graph_def, f"{SCOPES[1]}/{plain(target)}", f"{SCOPES[0]}/{plain(source)}")
    main_ops = [f"{scope}/{each.init_op}" for each, scope in zip((first, second), SCOPES, strict=True) if each.init_op]
    _name_init_op(result, main_ops)
    return MergedStore(MetaGraph.of_message(result), first=first, second=second)


def _add(result: protos.Message, half: protos.Message) -> None:
    """Add a half, without what is of the half alone: its saver, its signatures, its tags."""
    result.graph_def.node.extend(half.graph_def.node)
    result.graph_def.library.MergeFrom(half.graph_def.library)
    result.meta_info_def.stripped_op_list.MergeFrom(half.meta_info_def.stripped_op_list)
    for name, collection in half.collection_def.items():
        kind = collection.WhichOneof("kind")
        known = result.collection_def[name].WhichOneof("kind")
        if kind is not None and known in (None, kind):
            getattr(result.collection_def[name], kind).value.extend(getattr(collection, kind).value)
    result.asset_file_def.extend(half.asset_file_def)


def _feed(graph_def: protos.Message, target: str, source: str) -> None:
    """Let a tensor take the place of another: a placeholder becomes an Identity of its name."""
    node = next(each for each in graph_def.node if each.name == node_of(target))
    if node.op in _PLACEHOLDERS:
        dtype = node.attr["dtype"].type
        node.op = "Identity"
        node.attr.clear()
        node.attr["T"].type = dtype
        del node.input[:]
        node.input.append(source)
        return
    for consumer in graph_def.node:
        for place, text in enumerate(consumer.input):
            if plain(text) == target:
                consumer.input[place] = source


def _name_init_op(result: protos.Message, main_ops: Sequence[str]) -> None:
    """Name one op that initialises both halves."""
    for name in (_MAIN_OP, _LEGACY):
        if name in result.collection_def:
            del result.collection_def[name]
    if not main_ops:
        return
    node = result.graph_def.node.add(name=FreeNames(each.name for each in result.graph_def.node)("init"), op="NoOp")
    node.input.extend(f"^{name}" for name in main_ops)
    result.collection_def[_MAIN_OP].node_list.value.append(node.name)

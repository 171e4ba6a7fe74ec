"""Put a whole graph under a name scope, with all by which it could meet another graph in one session.

``import_graph_def(name=…)`` renames nodes and what they take. It leaves ``shared_name``, by which two variables are
one, ``frame_name``, by which two loops are one, functions, and what collections name. Not for: joining two graphs
(:mod:`tfmagic.transforms.merge_graphs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs.variables import COLLECTIONS as VARIABLES
from tfmagic.transforms import control_flow_contexts
from tfmagic.transforms.function_names import rename_functions

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE_NAMES = ("variable_name", "initializer_name", "snapshot_name", "initial_value_name")
_SHARED, _FRAME, _CLASS, _COLOCATED = "shared_name", "frame_name", "_class", b"loc:@"


def under_scope(meta_graph_def: protos.Message, scope: str) -> protos.Message:
    """Return a copy of a MetaGraphDef with everything that has a name under a scope.

    Parameters
    ----------
    meta_graph_def : MetaGraphDef
        Of our pool. Its saver does not come along: it restores what it was made for.
    scope : str
        Without a slash at its end.
    """
    result = protos.message("MetaGraphDef")()
    result.CopyFrom(meta_graph_def)

    def rename(text: str) -> str:
        return f"^{scope}/{text[1:]}" if text.startswith("^") else f"{scope}/{text}"

    main = {node.name for node in result.graph_def.node}
    for node in result.graph_def.node:
        _separate(node, scope, "")
    for function in result.graph_def.library.function:
        for node in function.node_def:
            _separate(node, scope, node.name)
    for node in result.graph_def.node:
        _rename_node(node, rename)
    rename_functions(
        result.graph_def,
        {each.signature.name: f"{scope}_{each.signature.name}" for each in result.graph_def.library.function},
    )
    for name, collection in result.collection_def.items():
        _rename_collection(name, collection, rename, main)
    infos = [each.tensor_info for each in result.asset_file_def]
    for signature in result.signature_def.values():
        infos += [*signature.inputs.values(), *signature.outputs.values()]
    for info in infos:
        rename_info(info, rename)
    result.ClearField("saver_def")
    return result


def _separate(node: protos.Message, scope: str, name: str) -> None:
    """Let a node share neither a resource nor a frame with one of another graph.

    Without a shared name it goes by its own, which in the main graph is another one soon.
    """
    if _SHARED in node.attr and (node.attr[_SHARED].s or name):
        node.attr[_SHARED].s = f"{scope}/".encode() + (node.attr[_SHARED].s or name.encode())
    if _FRAME in node.attr:
        node.attr[_FRAME].s = f"{scope}/".encode() + node.attr[_FRAME].s


def _rename_node(node: protos.Message, rename: Callable[[str], str]) -> None:
    node.name = rename(node.name)
    taken = [rename(text) for text in node.input]
    del node.input[:]
    node.input.extend(taken)
    if _CLASS in node.attr:
        places = [
            _COLOCATED + rename(each.removeprefix(_COLOCATED).decode()).encode()
            if each.startswith(_COLOCATED)
            else each
            for each in node.attr[_CLASS].list.s
        ]
        del node.attr[_CLASS]
        node.attr[_CLASS].list.s.extend(places)


def _rename_collection(name: str, collection: protos.Message, rename: Callable[[str], str], nodes: set[str]) -> None:
    """Rename what a collection names: nodes, variables, contexts of loops and branches, assets."""
    kind = collection.WhichOneof("kind")
    if kind == "node_list":
        values = [rename(value) if value.partition(":")[0] in nodes else value for value in collection.node_list.value]
        del collection.node_list.value[:]
        collection.node_list.value.extend(values)
    elif kind == "bytes_list" and name in VARIABLES:
        _replace_bytes(collection, "VariableDef", lambda each: _rename_variable(each, rename))
    elif kind == "bytes_list" and name in control_flow_contexts.COLLECTIONS:
        _replace_bytes(
            collection,
            control_flow_contexts.COLLECTIONS[name],
            lambda each: control_flow_contexts.renamed(each, rename),
        )
    elif kind == "any_list":
        for packed in collection.any_list.value:
            if packed.type_url.endswith("tensorflow.AssetFileDef"):
                asset = protos.parse("AssetFileDef", packed.value)
                asset.tensor_info.name = rename(asset.tensor_info.name)
                packed.value = asset.SerializeToString()


def _replace_bytes(collection: protos.Message, message: str, change: Callable[[protos.Message], None]) -> None:
    changed = []
    for data in collection.bytes_list.value:
        value = protos.parse(message, data)
        change(value)
        changed.append(value.SerializeToString())
    del collection.bytes_list.value[:]
    collection.bytes_list.value.extend(changed)


def _rename_variable(definition: protos.Message, rename: Callable[[str], str]) -> None:
    for field in _VARIABLE_NAMES:
        if getattr(definition, field):
            setattr(definition, field, rename(getattr(definition, field)))
    if definition.HasField("save_slice_info_def"):
        definition.save_slice_info_def.full_name = rename(definition.save_slice_info_def.full_name)


def rename_info(info: protos.Message, rename: Callable[[str], str]) -> None:
    """Rename the tensors of a TensorInfo, those of a composite one too."""
    encoding = info.WhichOneof("encoding")
    if encoding == "name":
        info.name = rename(info.name)
    elif encoding == "coo_sparse":
        for field in ("values_tensor_name", "indices_tensor_name", "dense_shape_tensor_name"):
            setattr(info.coo_sparse, field, rename(getattr(info.coo_sparse, field)))
    elif encoding == "composite_tensor":
        for part in info.composite_tensor.components:
            rename_info(part, rename)

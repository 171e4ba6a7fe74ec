"""The nodes with which TensorFlow 1 saves and restores a graph's checkpoint, and the SaverDef that names them.

Not for: the checkpoint itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.graphs.tensor_names import FreeNames

_STRING = "string"
#: The format of checkpoints that are written today; a manager keeps so many of them unless told otherwise.
_VERSION, _MAX_TO_KEEP = 2, 5


class SavedTensor(NamedTuple):
    """A tensor of the checkpoint: its key, the slice that it is of the whole, what is saved, and its DataType.

    Where nothing is named that is saved of a resource variable, the saver reads it by a node of its own.
    """

    key: str
    slice: str
    source: str
    dtype: int


class SavedVariable(NamedTuple):
    """A variable of the main graph, by its node; ``device`` is that node's."""

    node: str
    tensor: SavedTensor
    device: str = ""
    is_reference: bool = False


class SavedTable(NamedTuple):
    """A table of the main graph whose content lies in the checkpoint, by its node."""

    node: str
    keys: SavedTensor
    values: SavedTensor


def place_of(definition: protos.Message) -> tuple[str, str]:
    """Return the key under which a variable is saved, by its VariableDef, and the slice that it is of the whole."""
    if not definition.HasField("save_slice_info_def"):
        return node_of(definition.variable_name), ""
    info = definition.save_slice_info_def
    whole = " ".join(str(size) for size in info.full_shape)
    extents = ":".join(f"{start},{size}" for start, size in zip(info.var_offset, info.var_shape, strict=True))
    return str(info.full_name), f"{whole} {extents}"


def add_saver(
    meta_graph_def: protos.Message,
    names: FreeNames,
    variables: Sequence[SavedVariable],
    tables: Sequence[SavedTable] = (),
) -> dict[str, str]:
    """Add a saver to a graph; return by each variable's node the op that gives it its value from the checkpoint."""
    saver = _Saver(meta_graph_def.graph_def, names("save"))
    variables = [each if each.tensor.source else saver.reading(each, number) for number, each in enumerate(variables)]
    tensors = [each.tensor for each in variables]
    tensors += [tensor for table in tables for tensor in (table.keys, table.values)]
    place = saver.file_name()
    lists = [saver.constant("tensor_names", [each.key for each in tensors])]
    lists.append(saver.constant("shape_and_slices", [each.slice for each in tensors]))
    restore = saver.add("RestoreV2", "RestoreV2", place, *lists)
    restore.attr["dtypes"].list.type.extend(each.dtype for each in tensors)
    assigns = {each.node: saver.assign(each, number) for number, each in enumerate(variables)}
    fills = [saver.fill(table, len(variables) + 2 * number) for number, table in enumerate(tables)]
    everything = saver.add("restore_all", "NoOp", *(f"^{name}" for name in (*assigns.values(), *fills)))
    save = saver.add("SaveV2", "SaveV2", place, *lists, *(each.source for each in tensors))
    save.attr["dtypes"].list.type.extend(each.dtype for each in tensors)
    done = saver.add("control_dependency", "Identity", place, f"^{save.name}")
    done.attr["T"].type = protos.dtype_number(_STRING)
    definition = meta_graph_def.saver_def
    definition.filename_tensor_name = f"{place}:0"
    definition.save_tensor_name = f"{done.name}:0"
    definition.restore_op_name = everything.name
    definition.version = _VERSION
    definition.max_to_keep = _MAX_TO_KEEP
    return assigns


class _Saver:
    """The nodes of a saver, all in one scope."""

    def __init__(self, graph_def: protos.Message, scope: str) -> None:
        self.graph_def = graph_def
        self.scope = scope

    def add(self, name: str, op: str, *inputs: str) -> protos.Message:
        node = self.graph_def.node.add(name=f"{self.scope}/{name}", op=op)
        node.input.extend(inputs)
        return node

    def constant(self, name: str, texts: Sequence[str], *, is_list: bool = True) -> str:
        node = self.add(name, "Const")
        node.attr["dtype"].type = protos.dtype_number(_STRING)
        tensor = node.attr["value"].tensor
        tensor.dtype = protos.dtype_number(_STRING)
        tensor.tensor_shape.CopyFrom(protos.shape_proto((len(texts),) if is_list else ()))
        tensor.string_val.extend(each.encode() for each in texts)
        return str(node.name)

    def file_name(self) -> str:
        """Add the placeholder for the checkpoint's name, called and made as a Saver of TensorFlow 1 does."""
        source = self.constant("filename/input", ["model"], is_list=False)
        for name in ("filename", "Const"):
            node = self.add(name, "PlaceholderWithDefault", source)
            node.attr["dtype"].type = protos.dtype_number(_STRING)
            node.attr["shape"].shape.SetInParent()
            source = node.name
        return source

    def reading(self, variable: SavedVariable, number: int) -> SavedVariable:
        suffix = f"_{number}" if number else ""
        node = self.add(f"ReadVariableOp{suffix}", "ReadVariableOp", variable.node)
        node.attr["dtype"].type = variable.tensor.dtype
        node.device = variable.device
        return variable._replace(tensor=variable.tensor._replace(source=str(node.name)))

    def assign(self, variable: SavedVariable, number: int) -> str:
        suffix = f"_{number}" if number else ""
        op, dtype = ("Assign", "T") if variable.is_reference else ("AssignVariableOp", "dtype")
        node = self.add(f"{op}{suffix}", op, variable.node, self._restored(number))
        node.attr[dtype].type = variable.tensor.dtype
        if variable.is_reference:
            # What has another shape by now than it began with has that in the checkpoint.
            node.attr["validate_shape"].b = False
            node.attr["_class"].list.s.append(f"loc:@{variable.node}".encode())
        node.device = variable.device
        return str(node.name)

    def fill(self, table: SavedTable, number: int) -> str:
        node = self.add(
            f"LookupTableImportV2_{number}",
            "LookupTableImportV2",
            table.node,
            self._restored(number),
            self._restored(number + 1),
        )
        node.attr["Tin"].type = table.keys.dtype
        node.attr["Tout"].type = table.values.dtype
        return str(node.name)

    def _restored(self, number: int) -> str:
        return f"{self.scope}/RestoreV2:{number}" if number else f"{self.scope}/RestoreV2"

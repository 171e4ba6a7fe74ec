"""Describe any tensor of a stored graph's main part by its name: dtype and shape, without TensorFlow.

Not for: the ends of a signature, which say that themselves (:mod:`tfmagic.graphs.signatures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import node_columns
from tfmagic.graphs.node_attributes import wire_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfmagic.frames import Shape
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.node_columns import NodeColumns


@dataclass(frozen=True)
class GraphTensors:
    """The tensors of a MetaGraphDef's main graph.

    Attributes
    ----------
    meta_graph : MetaGraph
        Where they are. It is scanned when the first tensor is asked for.
    definition : callable, optional
        Gives the OpDef of an op that the file's own list does not have, None if nobody knows it.
    """

    meta_graph: MetaGraph
    definition: Callable[[str], protos.Message | None] | None = None

    @cached_property
    def _columns(self) -> NodeColumns:
        return node_columns.read(self.meta_graph.graph, {})

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each node of the main graph stands; it comes before those of the library."""
        count = len(self.meta_graph.graph.nodes[0])
        return {name: place for place, name in enumerate(self._columns.name[:count].tolist())}

    @cached_property
    def _ops(self) -> dict[str, protos.Message]:
        """The ops as the writer of the file knew them."""
        return {op.name: op for op in self.meta_graph.header.meta_info_def.stripped_op_list.op}

    def info(self, tensor: str, *others: str) -> protos.Message:
        """Return the TensorInfo of a tensor, ``"conv/Relu"`` or ``"conv/Relu:0"``.

        Parameters
        ----------
        tensor : str
            Its name.
        *others : str
            What else the name could have been, for the error.

        Raises
        ------
        UnknownNameError
            If the graph has no such tensor; names the nearest.
        ConversionError
            If its op gives nothing, or nobody knows what.
        """
        name, _, number = tensor.partition(":")
        place = self._places.get(name)
        output = int(number or 0) if (number or "0").isdecimal() else -1
        outputs = [] if place is None else self._outputs(place)
        if not 0 <= output < len(outputs):
            if place is not None and not outputs:
                self._require_outputs(name, place)
            known = [*others, *self._places] if place is None else [f"{name}:{each}" for each in range(len(outputs))]
            raise errors.UnknownNameError(tensor, "tensor", known)
        dtype, shape = outputs[output]
        dtype = dtype.removesuffix("_ref")
        info = protos.message("TensorInfo")(name=f"{name}:{output}", dtype=protos.dtype_number(dtype))
        info.tensor_shape.CopyFrom(protos.shape_proto(shape))
        return info

    def _require_outputs(self, name: str, place: int) -> None:
        """Refuse an op that gives nothing, or of which nobody says what it gives."""
        op = str(self._columns.op[place])
        if op not in self._ops and (self.definition is None or self.definition(op) is None):
            raise errors.ConversionError(
                f"nobody says what {name!r} gives: TensorFlow knows no op {op!r} here; import what registers "
                "it, or choose outputs that do without it"
            )
        raise errors.ConversionError(
            f"{name!r} is an op that gives no tensor ({op}), so that it is no input and no output; name a tensor "
            "before or behind it"
        )

    def _outputs(self, place: int) -> list[tuple[str, Shape]]:
        """Return dtype and shape of each output of a node; without the file's own list of ops, the first is known."""
        first = str(self._columns.dtype[place]), self._columns.shape[place]
        name = str(self._columns.op[place])
        op = self._ops.get(name) or (self.definition(name) if self.definition else None)
        if op is None:
            return [first] if first[0] else []
        starts, ends = self.meta_graph.graph.nodes
        node = wire_message(self.meta_graph.buffer, "NodeDef", int(starts[place]), int(ends[place]))
        dtypes = [protos.dtype_name(number) for number in output_dtypes(op, node)]
        shapes = [protos.shape_of(each) for each in node.attr["_output_shapes"].list.shape]
        known = shapes if len(shapes) == len(dtypes) else [first[1], *([None] * len(dtypes))]
        return list(zip(dtypes, known, strict=False))


def output_dtypes(op: protos.Message, node: protos.Message) -> Iterator[int]:
    """Yield the DataType of each output: an argument may stand for several."""
    defaults = {attr.name: attr.default_value for attr in op.attr}

    def attribute(name: str) -> protos.Message:
        return node.attr[name] if name in node.attr else defaults[name]

    for arg in op.output_arg:
        if arg.type_list_attr:
            yield from attribute(arg.type_list_attr).list.type
            continue
        dtype = arg.type or attribute(arg.type_attr).type
        yield from [dtype] * (attribute(arg.number_attr).i if arg.number_attr else 1)

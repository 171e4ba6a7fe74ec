"""Write ``Erfc`` as one less ``Erf``: GELU, as TensorFlow and Keras compute it, has it, and ONNX has ``Erf`` alone.

Not for: results that stay TensorFlow's, as far above zero ``Erfc`` tells numbers apart that the difference does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs.tensor_names import FreeNames

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The number one by dtype, in the field of a TensorProto; half precision is written as its bits.
_ONES = {
    "float16": ("half_val", 0x3C00), "bfloat16": ("half_val", 0x3F80), "float32": ("float_val", 1.0),
    "float64": ("double_val", 1.0),
}  # fmt: skip


def without_complements(graph_def: protos.Message) -> None:
    """Write each ``Erfc`` as one less ``Erf``.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool, with its function library; changed in place. Each node keeps its name and what it gives.
    """
    _rewrite(graph_def.node, is_function=False)
    for function in graph_def.library.function:
        renamed = _rewrite(function.node_def, is_function=True)
        for name, output in function.ret.items():
            function.ret[name] = renamed.get(output, output)


def _rewrite(nodes: protos.Message, *, is_function: bool) -> dict[str, str]:
    """Change the nodes of a graph or of a function; returns the names that outputs had and have in a function."""
    free = FreeNames(node.name for node in nodes)
    renamed = {}
    for node in [node for node in nodes if node.op == "Erfc"]:
        value, (argument,) = node.attr["T"], node.input[:1]
        unit = nodes.add(name=free(f"{node.name}/one"), op="Const")
        dtype = protos.dtype_name(value.type)
        tensor = unit.attr["value"].tensor
        unit.attr["dtype"].type = tensor.dtype = value.type
        tensor.tensor_shape.SetInParent()
        field, number = _ONES[dtype]
        getattr(tensor, field).append(number)
        erf = nodes.add(name=free(f"{node.name}/erf"), op="Erf", input=[argument])
        erf.attr["T"].type = value.type
        node.op = "Sub"
        # An output in a function is called after the argument of its op's definition.
        ends = [f"{unit.name}:output:0", f"{erf.name}:y:0"] if is_function else [unit.name, erf.name]
        node.input[:] = [*ends, *node.input[1:]]
        renamed[f"{node.name}:y:0"] = f"{node.name}:z:0"
    if is_function and renamed:
        _rename(nodes, renamed)
    return renamed


def _rename(nodes: Iterable[protos.Message], renamed: dict[str, str]) -> None:
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]

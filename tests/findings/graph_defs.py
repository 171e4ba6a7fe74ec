"""GraphDefs written by hand: what a hostile file may hold and TensorFlow's own tools never write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Iterable


def node(name: str, op: str, *inputs: str, **attributes: Any) -> Any:
    """Return a NodeDef. An attribute is bytes, a list of bytes, or the name of a function."""
    node_def = protos.message("NodeDef")(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        if isinstance(value, bytes):
            node_def.attr[key].s = value
        elif isinstance(value, str):
            node_def.attr[key].func.name = value
        elif value and isinstance(value[0], str):
            for function in value:
                node_def.attr[key].list.func.add().name = function
        else:
            node_def.attr[key].list.s.extend(value)
    return node_def


def text(name: str, *values: bytes) -> Any:
    """Return a constant of strings."""
    node_def = protos.message("NodeDef")(name=name, op="Const")
    node_def.attr["value"].tensor.dtype = protos.dtype_number("string")
    node_def.attr["value"].tensor.string_val.extend(values)
    return node_def


def function(name: str, arguments: Iterable[str], *nodes: Any, **attributes: bytes) -> Any:
    """Return a FunctionDef."""
    function_def = protos.message("FunctionDef")(node_def=nodes)
    function_def.signature.name = name
    for argument in arguments:
        function_def.signature.input_arg.add().name = argument
    for key, value in attributes.items():
        function_def.attr[key].s = value
    return function_def


def graph(*nodes: Any, functions: Iterable[Any] = ()) -> Any:
    """Return a GraphDef."""
    graph_def = protos.message("GraphDef")(node=nodes)
    graph_def.library.function.extend(functions)
    return graph_def


def writing(name: str = "write", path: str = "path") -> tuple[Any, Any]:
    """Return what writes a file."""
    return text(path, b"/tmp/mark"), node(name, "WriteFile", path, path)

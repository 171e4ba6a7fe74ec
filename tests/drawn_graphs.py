"""Graphs to draw, written by hand without TensorFlow: chains, nets, functions that call each other and themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tfmagic
from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfmagic.models.model import Model

#: A node: its name, its op, its inputs, and the functions that it calls, by attribute.
Node = tuple[Any, ...]
WITH_CALLS = 4
FLOAT, RESOURCE = 1, 20


def add(nodes: Any, rows: Iterable[Node]) -> None:
    """Add nodes to a repeated field of NodeDefs."""
    for row in rows:
        node = nodes.add(name=row[0], op=row[1], input=list(row[2]))
        for key, function in row[3].items() if len(row) == WITH_CALLS else ():
            node.attr[key].func.name = function


def graph(rows: Iterable[Node], functions: Mapping[str, tuple[Any, Any, Any]] | None = None) -> Any:
    """Build a GraphDef; a function is its arguments, its nodes and its results by name."""
    found = protos.message("GraphDef")()
    add(found.node, rows)
    for name, (arguments, body, results) in (functions or {}).items():
        function = found.library.function.add()
        function.signature.name = name
        for argument, dtype in arguments:
            function.signature.input_arg.add(name=argument, type=dtype)
        for result, tensor in results.items():
            dtype = dict(arguments).get(tensor, FLOAT)
            function.signature.output_arg.add(name=result, type=dtype)
            function.ret[result] = tensor
        add(function.node_def, body)
    return found


def model(rows: Iterable[Node], functions: Mapping[str, tuple[Any, Any, Any]] | None = None) -> Model:
    """Inspect such a graph."""
    return tfmagic.inspect(graph(rows, functions))


def chain(names: Iterable[str], op: str = "Relu") -> list[Node]:
    """Return nodes one after the other, a placeholder first."""
    found: list[Node] = []
    for name in names:
        found.append((name, op, (found[-1][0],)) if found else (name, "Placeholder", ()))
    return found


def wide(count: int) -> list[Node]:
    """Return one node that feeds many, which feed one."""
    middle: list[Node] = [(f"m{index}", "Relu", ("x",)) for index in range(count)]
    return [("x", "Placeholder", ()), *middle, ("sum", "AddN", tuple(name for name, *_ in middle))]


#: A loop whose body calls a function, and a function that calls itself.
LOOPING: dict[str, tuple[Any, Any, Any]] = {
    "cond": ([("a", FLOAT), ("w", RESOURCE)], [("less", "Less", ("a",))], {"go": "less:z:0"}),
    "body": (
        [("a", FLOAT), ("w", RESOURCE)],
        [
            ("read", "ReadVariableOp", ("w",)),
            ("scope/mul", "Mul", ("a", "read:value:0")),
            ("inner", "PartitionedCall", ("scope/mul:z:0",), {"f": "self"}),
            ("Identity", "Identity", ("inner:output:0",)),
        ],
        {"next": "Identity:output:0", "w": "w"},
    ),
    "self": (
        [("b", FLOAT)],
        [("neg", "Neg", ("b",)), ("again", "PartitionedCall", ("neg:y:0",), {"f": "self"})],
        {"out": "again:output:0"},
    ),
}
LOOP: list[Node] = [
    ("x", "Placeholder", ()),
    ("v", "VarHandleOp", ()),
    ("loop", "While", ("x", "v"), {"cond": "cond", "body": "body"}),
    ("y", "Identity", ("loop",)),
]
#: Names that would be markup, script, a path or the end of an attribute, were they not text.
HOSTILE = (
    "<script>alert(1)</script>",
    "</text></svg><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' onclick='alert(1)",
    "]]><b>",
    "&lt;i&gt;&amp;",
    "\u202egnp.exe",
    "a" * 5000,
)

"""What becomes of state that a run changes, where a graph keeps none: drawn anew at each run, or told.

A generator's state as a constant would give the same "random" numbers at every run. Not for: finding such states
(:mod:`tfmagic.graphs.seed_states`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs.function_library import all_nodes
from tfmagic.graphs.resource_uses import READS, ResourceUses
from tfmagic.graphs.seed_states import DRAWN_STATE, seed_states
from tfmagic.graphs.tensor_names import FreeNames
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.frozen_graph import become

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.transforms.frozen_graph import Value

#: A state is drawn below this: a generator of Keras' is seeded with a number of 32 bits.
_LIMIT = 2**31 - 1
#: Values of an array up to so many elements are told one by one.
_FEW = 4


def changed(graph_def: protos.Message, variables: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the variables of a graph that its runs change: those that random numbers are drawn from, and the others.

    Parameters
    ----------
    graph_def : GraphDef
        With all that a run does, also what no output needs.
    variables : iterable of str
        The nodes that stand for their handles.
    """
    listed = list(variables)
    if _are_only_read(graph_def, listed):
        return set(), set()
    drawn = seed_states(graph_def, listed)
    uses = ResourceUses(graph_def)
    return drawn, {name for name in listed if name not in drawn and any(use.changes for use in uses.of(name))}


def _are_only_read(graph_def: protos.Message, names: Iterable[str]) -> bool:
    """Say whether all that takes a variable reads it, which is soon told."""
    handles = {text for name in names for text in (name, f"{name}:0")}
    return all(node.op in READS or handles.isdisjoint(node.input) for node in graph_def.node)


def draw(graph_def: protos.Message, node: protos.Message, value: Value) -> None:
    """Let a node that stands for a variable draw the variable's value at each run."""
    drawn = graph_def.node.add(name=FreeNames(each.name for each in graph_def.node)(f"{node.name}/drawn"))
    constants = become_drawn(drawn, value.shape)
    graph_def.node.extend(constants)
    drawn.input.extend(constant.name for constant in constants)
    if value.dtype == "int64":
        become(node, "Identity", T=value.dtype)
    else:
        become(node, "Cast", SrcT="int64", DstT=value.dtype)
    node.input[:] = [drawn.name]


def become_drawn(node: protos.Message, shape: Sequence[int]) -> list[protos.Message]:
    """Turn a node into one that draws integers of 64 bits; return the constants that it takes, in order."""
    become(node, "RandomUniformInt", T="int32", Tout="int64")
    for name in ("seed", "seed2"):
        node.attr[name].i = 0
    node.attr[DRAWN_STATE].list.i.extend(shape)
    return [
        _integers(f"{node.name}/shape", "int32", np.array(shape, np.int32)),
        _integers(f"{node.name}/low", "int64", np.array(0, np.int64)),
        _integers(f"{node.name}/high", "int64", np.array(_LIMIT, np.int64)),
    ]


def _integers(name: str, dtype: str, values: np.ndarray) -> protos.Message:
    node = protos.message("NodeDef")(name=name)
    become(node, "Const", dtype=dtype)
    tensor = node.attr["value"].tensor
    tensor.dtype = protos.dtype_number(dtype)
    tensor.tensor_shape.CopyFrom(protos.shape_proto(values.shape))
    tensor.tensor_content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return node


def notes(graph_def: protos.Message, drawn: Iterable[str], kept: Mapping[str, Value]) -> Iterator[str]:
    """Say what became of the states that are in the frozen graph."""
    names = {node.name for node in graph_def.node}
    if any(DRAWN_STATE in node.attr for node in all_nodes(graph_def)):
        yield (
            f"the state that random numbers are drawn from ({', '.join(sorted(drawn))}) is drawn anew at each run, so "
            "that two runs differ"
        )
    for name in sorted(names & set(kept)):
        yield (
            f"the source changes {name!r} at each run; each run of the frozen graph begins at the value that it has "
            f"now: {described(kept[name])}"
        )


def described(value: Value) -> str:
    """Word the value of a variable: all of it where that is little, else shape and range."""
    if value.texts is not None or not math.prod(value.shape):
        return f"{value.dtype} {value.shape}"
    dtype = runtime.tensorflow().as_dtype(value.dtype).as_numpy_dtype
    values = np.frombuffer(value.read(), dtype=dtype)
    if values.size <= _FEW:
        return f"{np.array(values, dtype).reshape(value.shape).tolist()}"
    return f"{value.dtype} {value.shape} from {values.min():.4g} to {values.max():.4g}"

"""The values that variables get when a graph is initialised, where no checkpoint has them: local ones, say.

They are computed as TensorFlow would, from the graph alone. Not for: finding out which tensor that is
(:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.functions.graph_defs import wrap_graph_def
from tfmagic.functions.graph_part import needed_nodes
from tfmagic.graphs.ops import Effect, named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from tfmagic.files import protos
    from tfmagic.functions.graph_defs import Tables

#: What computing an initial value may do.
_HARMLESS = frozenset({Effect.PURE, Effect.STATE, Effect.PRINTS})


class Stored(NamedTuple):
    """The value of a variable that lies somewhere; ``read`` gives it."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def initial_values(
    graph_def: protos.Message,
    tensors: Mapping[str, str],
    values: Callable[[Sequence[str]], Mapping[str, np.ndarray]],
    tables: Tables,
) -> dict[str, Stored]:
    """Compute the values with which a graph is initialised.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    tensors : mapping of str to str
        What each variable is set to, by the variable's node.
    values, tables : callable
        Give the values of the variables and the tables that other values are made from, by their nodes.

    Raises
    ------
    ConversionError
        If computing one would do more than that, gives another number each time, or goes round in a circle.
    """
    nodes = {node.name: node for node in graph_def.node}
    for name, tensor in tensors.items():
        for each in sorted(needed_nodes(nodes, set(), [tensor])):
            effect = named(nodes[each].op).effect
            if each == name or effect not in _HARMLESS:
                why = "is drawn anew" if effect is Effect.RANDOM else f"needs op {each!r} ({nodes[each].op})"
                raise errors.ConversionError(
                    f"the checkpoint has no value for the variable {name!r}, and what it is initialised with {why}; "
                    "give the live session, whose values count, or choose outputs that do not read it"
                )
    ends = {f"value{place}": tensor for place, tensor in enumerate(tensors.values())}
    function = wrap_graph_def(graph_def, {}, ends, values=partial(_others, values, tensors), tables=tables)
    return {
        name: Stored(value.dtype.name if value.dtype.kind != "O" else "string", value.shape, partial(_value, value))
        for name, value in zip(tensors, function({}).values(), strict=True)
    }


def _others(
    values: Callable[[Sequence[str]], Mapping[str, np.ndarray]], tensors: Mapping[str, str], names: Sequence[str]
) -> Mapping[str, np.ndarray]:
    """Give the values of variables that initial values are made from."""
    circle = [name for name in names if name in tensors]
    if circle:
        raise errors.ConversionError(f"the initial values of {errors.listed(circle)} are made from one another")
    return values(names)


def _value(value: np.ndarray) -> np.ndarray:
    return value

"""Freeze a SavedModel's or a ``.meta``'s graph as it lies on disk: nothing is loaded, no session is made.

The graph is cut to what the outputs need before its calls are inlined, and each variable's value goes from the
checkpoint to the result one at a time. Loading takes ten times the weights in memory, and most of the time of a
conversion. Not for: graphs with anything out of the ordinary, which are refused and left to TensorFlow's loader.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.importable_part import PLAIN_OPS
from tfmagic.graphs import function_library, variables
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.resources import REF_VARIABLES, RESOURCE_VARIABLES, TABLES, VARIABLES, filled_tables
from tfmagic.transforms import captures, inlining, pruning
from tfmagic.transforms.asset_contents import asset_contents, text_value
from tfmagic.transforms.end_names import name_ends, node_names, rename_nodes
from tfmagic.transforms.freeze import State, assembled
from tfmagic.transforms.inner_tensors import FlatGraph
from tfmagic.transforms.variable_reads import refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tfmagic.functions.state.saved_models import Store
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.transforms.frozen_graph import FrozenGraph

#: What a call is called, and what TensorFlow calls a table that nobody named.
_CALL, _TABLE = re.compile(r"(Stateful)?PartitionedCall(_\d+)?"), "hash_table"
#: Ops that write to a variable by reference, or need it as one.
_REF_WRITES = of_kind("reference write") | {"IsVariableInitialized"}


def flat_graph(store: Store, ends: tuple[Sequence[Endpoint], Sequence[Endpoint]]) -> FlatGraph:
    """Return what a signature needs of a stored graph, its calls inlined.

    Raises
    ------
    ConversionError
        If the graph is out of the ordinary.
    """
    graph_def, inputs, outputs = _part(store.graph_def, _hidden(ends, "flat/"))
    _inline(graph_def, store)
    own = {node.name for node in store.graph_def.node}
    unknown = [node.name for node in graph_def.node if node.op in VARIABLES | TABLES and node.name not in own]
    if unknown:
        raise errors.ConversionError(f"the functions of the graph make {errors.listed(unknown)} themselves")
    sides = (
        tuple(end._replace(key=own.key) for end, own in zip(side, owns, strict=True))
        for side, owns in zip((inputs, outputs), ends, strict=True)
    )
    return FlatGraph(graph_def, store.meta_graph.header, *sides)


def _part(
    graph_def: protos.Message, ends: tuple[Sequence[Endpoint], Sequence[Endpoint]]
) -> tuple[protos.Message, tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Return a copy of what lies between some ends, and the ends in it."""
    part = protos.message("GraphDef")()
    part.CopyFrom(graph_def)
    inputs, outputs = name_ends(part, *ends)
    keep = [end.tensor.removesuffix(":0") for end in (*inputs, *outputs)]
    try:
        pruning.prune(part, keep[len(inputs) :], keep[: len(inputs)])
    except KeyError as error:
        raise errors.ConversionError(f"the graph is incomplete: it takes {error}, and there is no such node") from error
    return part, inputs, outputs


def freeze(
    store: Store,
    ends: tuple[Sequence[Endpoint], Sequence[Endpoint]],
    *,
    key: str,
    method: str,
    flat: FlatGraph | None = None,
) -> FrozenGraph:
    """Freeze the part of a stored graph between some ends.

    Parameters
    ----------
    store : Store
        The graph and its state.
    ends : inputs and outputs
        Tensors of the main graph under the user's keys.
    key, method : str
        Of the signature.
    flat : FlatGraph, optional
        The graph of which the ends are tensors, where it is not the main graph.

    Raises
    ------
    ConversionError
        If the graph or its state is out of the ordinary.
    TooLargeError
        If the result would pass 2 GiB.
    """
    graph_def, inputs, outputs = _part(store.graph_def if flat is None else flat.graph_def, _hidden(ends))
    results = [end.tensor.removesuffix(":0") for end in outputs]
    _refuse_writes(graph_def)
    held = state(graph_def, store)
    held = held.renamed(rename_nodes(graph_def, _attribute_names(store, held)))
    _wait_for_calls(graph_def, results)
    _inline(graph_def, store)
    _refuse_writes(graph_def)
    _require_known(graph_def, held)
    assets = asset_contents(graph_def.node, {**store.asset_paths, **store.asset_variables}, results)
    held = held._replace(tensors={**held.tensors, **assets})
    named = [
        [end._replace(key=own.key) for end, own in zip(side, owns, strict=True)]
        for side, owns in zip((inputs, outputs), ends, strict=True)
    ]
    return assembled(graph_def, (named[0], named[1]), held, key=key, method=method)


def _attribute_names(store: Store, held: State) -> dict[str, str]:
    """Return names for nodes that nobody named: variables by the attributes that lead to them, tables of calls."""
    nameless = [name for name in held.variables if variables.is_nameless(name)]
    paths = {name: path for name in nameless if (path := store.attribute_path(name))}
    paths |= {name: _TABLE for name in held.tables if _CALL.fullmatch(name)}
    return dict(zip(paths, node_names(paths.values()), strict=True))


def _hidden(
    ends: tuple[Sequence[Endpoint], Sequence[Endpoint]], scope: str = ""
) -> tuple[list[Endpoint], list[Endpoint]]:
    """Give ends keys that no node has, so that no variable's node steps back; such an Identity is skipped later."""
    numbers = itertools.count()
    inputs, outputs = ([end._replace(key=f"tfmagic/{scope}{next(numbers)}/Identity") for end in side] for side in ends)
    return inputs, outputs


def _wait_for_calls(graph_def: protos.Message, outputs: Sequence[str]) -> None:
    """Let the outputs wait for all calls, so that what a function does beside its results is seen.

    Once all is flat, the outputs get their inputs without what they waited for.
    """
    calls = [f"^{node.name}" for node in graph_def.node if next(function_library.references(node), None) is not None]
    for node in graph_def.node:
        if node.name in outputs:
            node.input.extend(calls)


def _inline(graph_def: protos.Message, store: Store) -> None:
    """Inline the calls of the graph, in which nothing is a reference any more."""
    for node in function_library.all_nodes(graph_def):
        node.op = PLAIN_OPS.get(node.op, node.op)
    listed = store.meta_graph.header.meta_info_def.stripped_op_list.op
    inlining.flatten(graph_def, {each.name: each for each in listed})


def _refuse_writes(graph_def: protos.Message) -> None:
    """Refuse what writes to a variable by reference."""
    for node in function_library.all_nodes(graph_def):
        if node.op in _REF_WRITES:
            raise refusal(f"op {node.name!r} ({node.op}) writes to a variable, and a constant cannot be written to")


def _require_known(graph_def: protos.Message, state: State) -> None:
    """Refuse variables and tables that only came out of the functions: nobody says what they hold."""
    known = {*state.variables, *state.tensors, *state.tables, *filled_tables(graph_def.node)}
    unknown = [node.name for node in graph_def.node if node.op in VARIABLES | TABLES and node.name not in known]
    unknown += [
        node.name
        for function in graph_def.library.function
        for node in function.node_def
        if node.op in VARIABLES | TABLES
    ]
    if unknown:
        raise errors.ConversionError(f"the functions of the graph make {errors.listed(unknown)} themselves")


def state(graph_def: protos.Message, store: Store, keep: Collection[str] = ()) -> State:
    """Say what the variables and tables of a graph hold, less those that are kept."""
    filled = filled_tables(graph_def.node)
    paths = store.asset_variables
    names = [node.name for node in graph_def.node if node.op in VARIABLES and node.name not in {*paths, *keep}]
    tables = [node.name for node in graph_def.node if node.op in TABLES and node.name not in filled]
    values = {name: captures.of_stored(stored) for name, stored in store.stored(names).items()}
    values.update(
        (node.name, text_value(str(paths[node.name]).encode())) for node in graph_def.node if node.name in paths
    )
    ops = {node.name: node.op for node in graph_def.node}
    return State(
        {name: value for name, value in values.items() if ops[name] in RESOURCE_VARIABLES},
        {name: value for name, value in values.items() if ops[name] in REF_VARIABLES},
        store.table_contents(tables),
    )

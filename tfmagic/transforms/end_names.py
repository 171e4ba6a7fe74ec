"""Give the inputs and outputs of a graph the names that its user knows them by.

What a traced function calls ``args_0`` and ``Identity`` gets the keys of its signature; nodes inside that have such a
name already step back. Not for: choosing which tensors are the ends (:mod:`tfmagic.transforms.cut_function`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.graphs.tensor_names import is_nameless, node_of, plain, spelled
from tfmagic.transforms.frozen_graph import become

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfmagic.graphs.signatures import Endpoint

_FIRST = re.compile(r"[^A-Za-z0-9.]+")


def node_names(keys: Iterable[str]) -> list[str]:
    """Return a node's name for each key: the key itself where it may be one, and no name twice."""
    return nested_structures.unique(map(_valid, keys))


def _valid(key: str) -> str:
    first = _FIRST.match(key)
    return spelled(key[first.end() :] if first else key) or "tensor"


def name_ends(
    graph_def: protos.Message,
    inputs: Sequence[Endpoint],
    outputs: Sequence[Endpoint],
    renamed: dict[str, str] | None = None,
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Rename the ends of a graph.

    Parameters
    ----------
    graph_def : GraphDef
        Changed in place: each input becomes a Placeholder, each output an Identity of its own.
    inputs, outputs : sequence of Endpoint
        The user's keys and the tensors that they stand for; an input may be any tensor of the graph.
    renamed : dict of str to str, optional
        Takes the new names of the nodes that stepped back, by their old ones.

    Returns
    -------
    inputs, outputs : tuple of Endpoint
        The same keys and their new tensors.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If one tensor is given as two inputs.
    """
    nodes = {node.name: node for node in graph_def.node}
    for endpoint in (*inputs, *outputs):
        if node_of(endpoint.tensor) not in nodes:
            raise errors.UnknownNameError(endpoint.tensor, "tensor", [f"{name}:0" for name in nodes])
    if len({plain(endpoint.tensor) for endpoint in inputs}) < len(inputs):
        raise errors.ConversionError(f"one tensor is given as several inputs: {errors.listed(inputs)}; name each once")
    names = node_names(endpoint.key for endpoint in (*inputs, *outputs))
    # A new node has a name that no other can have until the others have stepped back.
    fresh = [_add_end(graph_def, f"tfmagic/end/{index}") for index in range(len(names))]
    sources = [_source(nodes, endpoint.tensor, names) for endpoint in outputs]
    feeds = {plain(endpoint.tensor): node.name for endpoint, node in zip(inputs, fresh, strict=False)}
    for endpoint, node in zip(inputs, fresh, strict=False):
        become(node, "Placeholder", dtype=endpoint.dtype)
        node.attr["shape"].shape.CopyFrom(protos.shape_proto(endpoint.shape))
    for node in graph_def.node:
        _redirect(node, feeds)
    for endpoint, source, node in zip(outputs, sources, fresh[len(inputs) :], strict=True):
        become(node, "Identity", T=endpoint.dtype)
        node.input.append(feeds.get(source, source))
    _remove(graph_def, {node_of(tensor) for tensor in feeds if nodes[node_of(tensor)].op.startswith("Placeholder")})
    stepped = rename_nodes(graph_def, {node.name: name for node, name in zip(fresh, names, strict=True)})
    if renamed is not None:
        renamed.update(stepped)
    ends = [endpoint._replace(tensor=f"{name}:0") for endpoint, name in zip((*inputs, *outputs), names, strict=True)]
    return tuple(ends[: len(inputs)]), tuple(ends[len(inputs) :])


def _add_end(graph_def: protos.Message, name: str) -> protos.Message:
    return graph_def.node.add(name=name)


def _source(nodes: dict[str, protos.Message], tensor: str, names: Sequence[str]) -> str:
    """Go back over identities that only end a function; with them go prints and checks that a result waits for."""
    tensor = plain(tensor)
    while _only_ends(nodes[node_of(tensor)], names):
        tensor = plain(nodes[node_of(tensor)].input[0])
    return tensor


def _only_ends(node: protos.Message, names: Sequence[str]) -> bool:
    """Say whether a node does no more than the Identity that takes its place: name an end, or wait for something."""
    waits = any(source.startswith("^") for source in node.input)
    return node.op == "Identity" and (waits or node.name in names or is_nameless(node.name))


def _redirect(node: protos.Message, feeds: dict[str, str]) -> None:
    """Let a node take its data from the inputs."""
    for index, source in enumerate(node.input):
        if plain(source) in feeds:
            node.input[index] = feeds[plain(source)]
        elif source.startswith("^") and source[1:] in feeds:
            node.input[index] = f"^{feeds[source[1:]]}"


def _remove(graph_def: protos.Message, names: set[str]) -> None:
    """Remove the placeholders that the inputs replaced."""
    for index in reversed([place for place, node in enumerate(graph_def.node) if node.name in names]):
        del graph_def.node[index]


def rename_nodes(graph_def: protos.Message, names: dict[str, str]) -> dict[str, str]:
    """Rename nodes; those that have one of the new names already get another. Return all new names."""
    present = {node.name for node in graph_def.node}
    taken = present | set(names.values())
    renamed = dict(names)
    for name in names.values():
        if name in present:
            renamed[name] = next(
                free for number in range(1, len(taken) + 2) if (free := f"{name}_{number}") not in taken
            )
            taken.add(renamed[name])
    if not renamed:
        return renamed
    for node in graph_def.node:
        if node.name in renamed:
            node.name = renamed[node.name]
        for index, source in enumerate(node.input):
            name = node_of(source)
            if name in renamed:
                caret = "^" if source.startswith("^") else ""
                node.input[index] = caret + renamed[name] + source.removeprefix(caret)[len(name) :]
    return renamed

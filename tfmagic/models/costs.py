"""The table of costs of a model: by its Keras layers where it has such, else by the name scopes of what is run.

Not for: what a layer or an op costs (:mod:`tfmagic.files.keras.layer_costs`, :mod:`tfmagic.graphs.costs.flops`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras.layer_costs import total
from tfmagic.frames import CostRow, TotalCost
from tfmagic.graphs import signatures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from tfmagic.files import protos
    from tfmagic.frames import LayerRow, Shape
    from tfmagic.graphs.costs.graph_costs import NodeCost
    from tfmagic.graphs.metagraphs import MetaGraph


def total_of_layers(layers: Sequence[LayerRow]) -> TotalCost:
    """Add up what a model's own layers cost, of which a nested one counts as a whole."""
    names = {layer.name for layer in layers}
    return TotalCost.of(layer.flops for layer in layers if not _outer_models(layer.name, names))


def of_layers(layers: Sequence[LayerRow], depth: int) -> Iterator[CostRow]:
    """Yield a row for each layer that is not split further, in the model's order.

    Parameters
    ----------
    layers : sequence of LayerRow
        Those of nested models after these.
    depth : int
        How many models deep the rows go; 1 are the model's own layers.
    """
    around = _models_around([layer.name for layer in layers])
    leaves: dict[str, list[LayerRow]] = {}
    models = {name for names in around.values() for name in names}
    for layer in layers:
        for name in around[layer.name] if layer.name not in models else ():
            leaves.setdefault(name, []).append(layer)
    for layer in layers:
        level = len(around[layer.name]) + 1
        if level > depth or (layer.name in models and level < depth):
            continue
        inner = leaves.get(layer.name, [layer])
        yield CostRow(
            layer.name,
            layer.class_,
            len(inner),
            layer.parameters,
            layer.bytes,
            layer.flops,
            total(leaf.activation_bytes for leaf in inner),
        )


def _models_around(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the models that each layer is nested in; a layer may have strokes in its own name."""
    known = set(names)
    return {name: _outer_models(name, known) for name in names}


def _outer_models(name: str, known: Collection[str]) -> list[str]:
    strokes = [place for place, letter in enumerate(name) if letter == "/"] if "/" in name else ()
    return [name[:place] for place in strokes if name[:place] in known]


def of_graph(meta_graph: MetaGraph, ends: Ends) -> tuple[NodeCost, ...]:
    """Return what each node costs that the ends need; of a large graph that takes seconds.

    Parameters
    ----------
    meta_graph : MetaGraph
        With the graph.
    ends : Ends
        What is run.
    """
    # The rules of hundreds of ops are loaded with the first table of costs.
    from tfmagic.graphs.costs import graph_costs  # noqa: PLC0415

    return graph_costs.of_graph(meta_graph.graph, ends.outputs, ends.inputs)


def by_scope(nodes: Sequence[NodeCost], depth: int | None) -> Iterable[CostRow]:
    """Return a row for each name scope of some nodes.

    Parameters
    ----------
    nodes : sequence of NodeCost
        As :func:`of_graph` returns them.
    depth : int, optional
        How many parts of a name make its scope, by default as many as make the model more than one.
    """
    from tfmagic.graphs.costs import scope_costs  # noqa: PLC0415 - as above

    return scope_costs.by_scope(nodes, depth)


class Ends(NamedTuple):
    """What goes in, by tensor of the graph with its shape, and the tensors that come out."""

    inputs: dict[str, Shape]
    outputs: list[str]

    @classmethod
    def of_signatures(cls, stated: Mapping[str, protos.Message]) -> Ends:
        """Take those of the default signature, else of the first one that is no bookkeeping."""
        visible = [key for key in stated if not signatures.is_hidden(key)] or list(stated)
        chosen = stated[signatures.DEFAULT_KEY if signatures.DEFAULT_KEY in visible else visible[0]]
        inputs = {end.tensor: end.shape for end in signatures.endpoints(chosen.inputs)}
        return cls(inputs, [end.tensor for end in signatures.endpoints(chosen.outputs)])

    @classmethod
    def of_proposals(cls, rows: pd.DataFrame) -> Ends:
        """Take those that are proposed for a graph without signatures."""
        sources, results = rows[rows["side"] == "input"], rows[rows["side"] == "output"]
        return cls(dict(zip(sources["tensor"], sources["shape"], strict=True)), list(results["tensor"]))

"""Sum up what nodes cost by name scope.

Not for: what a node costs (:mod:`tfmagic.graphs.costs.graph_costs`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic.frames import CostRow
from tfmagic.graphs.costs.graph_costs import WITHOUT_RESULT, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.graphs.costs.graph_costs import NodeCost
    from tfmagic.graphs.costs.tensor_facts import Weight


@dataclass
class _Scope:
    """What the nodes of a scope cost together."""

    ops: Counter[str] = field(default_factory=Counter)
    flops_by_op: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)
    flops: list[int | None] = field(default_factory=list)
    activations: list[int | None] = field(default_factory=list)

    def add(self, cost: NodeCost, counted: set[str]) -> None:
        """Count a node in; a weight that several use is stored once, and counted where it is used first."""
        self.ops[cost.op] += 1
        if cost.flops:
            self.flops_by_op[cost.op] += cost.flops
        self.flops.append(cost.flops)
        self.activations.append(cost.activation_bytes)
        for weight in cost.weights:
            if weight.name not in counted:
                self.weights.append(weight)
        counted.update(weight.name for weight in cost.weights)

    def row(self, name: str) -> CostRow:
        dearest = self.flops_by_op.most_common(1) or self.ops.most_common(1)
        return CostRow(
            name,
            dearest[0][0],
            self.ops.total(),
            total(weight.size for weight in self.weights),
            total(weight.bytes for weight in self.weights),
            total(self.flops),
            total(self.activations),
        )


def by_scope(costs: Sequence[NodeCost], depth: int | None = None) -> Iterator[CostRow]:
    """Yield a row for each name scope, cut at a depth, in the order in which they run.

    Parameters
    ----------
    costs : sequence of NodeCost
        Of all nodes.
    depth : int, optional
        How many parts of a node's name make its scope; by default the first at which the model is more than one.
    """
    depth = depth or _first_parting(costs)
    scopes: dict[str, _Scope] = {}
    # Most nodes lie in the folder of the one before them.
    by_folder: dict[str, _Scope] = {}
    counted: set[str] = set()
    for cost in costs:
        if cost.op in WITHOUT_RESULT and not cost.weights and cost.flops == 0:
            continue
        folder = cost.name.rpartition("/")[0] or cost.name
        if folder not in by_folder:
            name = "/".join(folder.split("/")[:depth])
            by_folder[folder] = scopes.setdefault(name, _Scope())
        by_folder[folder].add(cost, counted)
    return (scope.row(name) for name, scope in scopes.items())


def _first_parting(costs: Sequence[NodeCost]) -> int:
    """Return the depth at which the scopes of what computes part."""
    folders = {cost.name.rpartition("/")[0] for cost in costs if cost.flops != 0 or cost.weights}
    if not folders:
        return 1
    # A node without a scope has no part.
    working = [folder.split("/") if folder else [] for folder in folders]
    shortest, longest = min(working), max(working)
    pairs = enumerate(zip(shortest, longest, strict=False))
    return next((place for place, (first, last) in pairs if first != last), min(len(shortest), len(longest))) + 1

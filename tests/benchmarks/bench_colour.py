"""Colour a graph of many nodes by a number for each of them, against pandas adding the same numbers up by scope.

Both have the table of ops by then. Ours finds the numbers' nodes, adds up each scope at each depth, and draws the
picture anew; pandas adds up the scopes of one depth. Seconds of the processor, the least of some rounds.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tests import drawn_graphs
from tfmagic.notebook.panel.widgets.graph_view import GraphView
from tfmagic.verbs import colouring, compared_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.models.model import Model

NODES, ROUNDS = 100_000, 3
#: Colouring may take so many times as long as pandas takes for the scopes of one depth.
GOAL = 5


def built(kind: str = "Relu") -> Model:
    """Return a chain in scopes of three depths."""
    names = [f"net/stage_{n // 10_000}/block_{n // 100}/op_{n}" for n in range(NODES)]
    return drawn_graphs.model(drawn_graphs.chain(["x", *names], kind))


def least(act: Callable[[], object]) -> float:
    """Return the least seconds of the processor that some rounds took."""
    taken = []
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.process_time()
        act()
        taken.append(time.process_time() - begun)
    return min(taken)


def main() -> None:
    """Print the seconds of each."""
    model = built()
    names = model.table("ops", all=True)["name"]
    numbers = pd.Series(np.arange(len(names), dtype=float), index=names)
    view = GraphView(model)
    picture = least(view.svg)
    coloured = least(lambda: GraphView(model, colour=colouring.of(model, numbers)).svg())
    plain = least(lambda: GraphView(model).svg())
    added = least(lambda: numbers.groupby(numbers.index.str.rpartition("/").get_level_values(0)).sum())
    other = built("Tanh")
    compared = least(lambda: compared_graphs.of(model, other))
    print(f"colouring a graph of {NODES:,} nodes by a number for each (seconds of the processor):")
    print(f"  the picture alone {picture:.3f} s, with the view {plain:.3f} s, coloured {coloured:.3f} s")
    print(f"  pandas adds up the scopes of one depth in {added:.3f} s")
    print(f"  comparing with another one of as many nodes, all of other ops {compared:.2f} s")
    print(f"  ratio {max(0.0, coloured - plain) / added:.1f} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()

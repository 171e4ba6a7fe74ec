"""The layers of a Keras model as a body to draw: what a person who wrote layers wants to see before any ops.

Not for: the ops that the layers trace to (:mod:`tfmagic.display.graph.bodies`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph.bodies import Body, Library

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from tfmagic.display.graph.bodies import Call
    from tfmagic.files.wire import Integers


class LayerLibrary(Library):
    """The one body of a Keras model's layers.

    Parameters
    ----------
    layers : DataFrame
        The public table ``layers``.
    """

    def __init__(self, layers: pd.DataFrame) -> None:
        self._layers = _Layers(layers)
        nested = layers["name"].isin(self._layers.models)
        frame = layers[~nested].reset_index(drop=True).rename(columns={"class": "op"})
        self.frame = frame.assign(op=frame["op"].astype("category"), function=np.full(len(frame), "", object)).astype(
            {"function": "category"}
        )
        self._bodies = {}

    @property
    def functions(self) -> dict[str, int]:
        """Layers call no functions."""
        return {}

    @property
    def sizes(self) -> dict[str, int]:
        """How many layers there are."""
        return {"": len(self.frame)}

    def parameters(self, body: Body) -> Integers | None:
        """Return the parameters of each layer."""
        counts = self.frame["parameters"].fillna(0).to_numpy(np.int64)
        return counts[body.rows]

    def calls(self, body: Body, node: int) -> tuple[Call, ...]:
        """Return nothing: layers call no functions."""
        del body, node
        return ()

    def _build(self, function: str) -> Body:
        """Build the body: a nested model is a scope, and its edges are those of its ends."""
        names = self.frame["name"].tolist()
        count = len(names)
        body = Body(
            function,
            names,
            self.frame["op"].tolist(),
            self.frame["shape"].tolist(),
            [""] * count,
            np.arange(count),
            np.zeros(count, bool),
            noun="layers",
        )
        numbers = dict(zip(names, range(count), strict=True))
        edges = [
            (numbers[source], numbers[target], slot)
            for target in names
            for slot, source in enumerate(self._layers.sources(target))
            if source in numbers
        ]
        body.source, body.target, body.slot = np.array(edges, np.int64).reshape(-1, 3).T
        body.port = np.zeros(len(edges), np.int64)
        return body


class _Layers:
    """Follows the inputs of layers through the models that are nested in others."""

    def __init__(self, layers: pd.DataFrame) -> None:
        self.inputs: dict[str, tuple[str, ...]] = dict(zip(layers["name"], layers["inputs"], strict=True))
        parents = {name.rpartition("/")[0] for name in self.inputs}
        self.models = {name for name in parents if name in self.inputs}
        consumed = {source for inputs in self.inputs.values() for source in inputs}
        inner = {model: [name for name in self.inputs if name.rpartition("/")[0] == model] for model in self.models}
        self.starts = {model: [name for name in names if not self.inputs[name]] for model, names in inner.items()}
        self.ends = {model: [name for name in names if name not in consumed] for model, names in inner.items()}

    def sources(self, name: str) -> Iterator[str]:
        """Yield the layers that feed one, none of them a model."""
        model = name.rpartition("/")[0]
        feeds = self.inputs[name]
        if not feeds and model in self.models:
            starts, fed = self.starts[model], self.inputs[model]
            # Input by input where there are as many; a model that is called twice has more than it has inputs.
            feeds = (fed[starts.index(name)],) if len(starts) == len(fed) else fed
        for source in feeds:
            yield from self._last(source)

    def _last(self, name: str) -> Iterator[str]:
        if name not in self.models:
            yield name
            return
        for end in self.ends[name]:
            yield from self._last(end)

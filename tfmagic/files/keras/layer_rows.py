"""The rows of the table of layers: what a config says of each, what its weights take and what a call costs.

Not for: which layers there are (:mod:`tfmagic.files.keras.config`), or the rule of each layer's cost
(:mod:`tfmagic.files.keras.layer_costs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files.keras import layer_costs
from tfmagic.files.keras import specs as keras_specs
from tfmagic.frames import LayerRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.files.keras.config import Layer


def rows(
    layers: Sequence[Layer], counts: Mapping[str, int | None], sizes: Mapping[str, int | None]
) -> tuple[LayerRow, ...]:
    """Return the rows of the public table, from the number of elements in each layer's weights and their bytes."""
    flops = _flops(layers)
    return tuple(
        LayerRow(
            layer.path, layer.class_name, layer.inputs, layer.outputs, layer.shape, counts.get(layer.path),
            layer.trainable, sizes.get(layer.path), flops[layer.path],
            layer_costs.activation_bytes(layer.shape, layer.dtype),
        )
        for layer in layers
    )  # fmt: skip


def _flops(layers: Sequence[Layer]) -> dict[str, int | None]:
    """Return the operations of each layer of a config by its path, a nested model's with those of its layers."""
    costs: dict[str, int | None] = {}
    inner: dict[str, list[int | None]] = {}
    # Layers come after the models around them, so the innermost is added up first.
    for layer in reversed(layers):
        costs[layer.path] = layer_costs.total(inner.get(layer.path, ())) if layer.is_model else _of_layer(layer)
        inner.setdefault(layer.model, []).append(costs[layer.path])
    return costs


def _of_layer(layer: Layer) -> int | None:
    """Return the operations of a layer of Keras's own; what another's does is not known by its name."""
    is_foreign = ">" in str(layer.spec.get("class_name")) or ">" in str(layer.spec.get("registered_name") or "")
    arguments = keras_specs.arguments(layer.spec)
    return None if is_foreign else layer_costs.flops(layer.class_name, arguments, layer.input_shapes, layer.shape)

"""Let tfmagic show a model of another backend, and convert it: ``show_backend FOLDER NETWORK`` under KERAS_BACKEND.

Printed is, as JSON, what came of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

import tfmagic
from tests.other_versions import networks
from tfmagic.frames import VariableRow
from tfmagic.models.variable_values import VariableValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def difference(outputs: Iterable[Any], expected: list[Any]) -> float:
    """Return how far outputs are from what the model itself computes, measured by its largest number of each.

    No two outputs of a network have one shape.
    """
    by_shape = {np.shape(output): output for output in outputs}
    return max(float(np.abs(by_shape[value.shape] - value).max() / np.abs(value).max()) for value in expected)


def converted(model: Any, name: str, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is tried, by name; what comes of it is a difference of numbers, or an error of tfmagic's."""
    features, expected = networks.inputs(name), networks.outputs(model, name)

    def restored(file: str) -> float:
        other = networks.NETWORKS[name](keras)
        tfmagic.restore(other, folder / file)
        return difference(networks.outputs(other, name), expected)

    def exported(file: str) -> float:
        tfmagic.export(model, folder / file)
        return difference(tfmagic.run(folder / file, features, trust=True).outputs.values(), expected)

    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    return {
        "run": lambda: difference(tfmagic.run(model, features).outputs.values(), expected),
        "ops": lambda: float(tfmagic.inspect(model).ops.empty),
        "saved_model": lambda: exported("served"),
        "graph_def": lambda: exported("frozen.pb"),
        "keras": lambda: exported("exported.keras"),
        "file": lambda: difference(
            tfmagic.run(folder / "model.keras", features, trust=True).outputs.values(), expected
        ),
        "restore": lambda: restored("model.keras"),
        "restore weights": lambda: restored("model.weights.h5"),
        "checkpoint": lambda: tfmagic.export(model, folder / "model.ckpt").format,
    }


def outcome(call: Callable[[], object]) -> object:
    """Return what a call gives, or the words of tfmagic's error; any other error is a fault and goes on."""
    try:
        return call()
    except tfmagic.errors.TfMagicError as error:
        return f"{type(error).__name__}: {error}"


def main(folder: Path, name: str) -> None:
    """Show one network, and convert it."""
    model = networks.weighted(keras, name)
    shown = tfmagic.inspect(model)
    values = VariableValues(shown)
    rows = [VariableRow(*row) for row in shown.variables.itertuples(index=False, name=None)]
    weights = {weight.path: np.asarray(keras.ops.convert_to_numpy(weight)).ravel() for weight in model.weights}
    print(  # noqa: T201 - what the test reads
        json.dumps({
            "backend": keras.config.backend(),
            "parts": shown.parts,
            "layers": len(shown.layers) > 0,
            "repr": repr(shown),
            "wrong values": [
                row.name
                for row in rows
                if row.name in weights
                and not np.array_equal(np.concatenate(list(values.of(row).blocks())), weights[row.name])
            ],
            "without a row": sorted(set(weights) - {row.name for row in rows}),
            "outcomes": {what: outcome(call) for what, call in converted(model, name, folder).items()},
            "in file": sorted(tfmagic.inspect(folder / "model.weights.h5").variables["size"]),
            "sizes": sorted(len(weight) for weight in weights.values()),
        }, default=int)
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

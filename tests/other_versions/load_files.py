"""Load what tfmagic wrote by the TensorFlow that runs this: ``python -m tests.other_versions.load_files FOLDER``.

``trials.json`` says what to load, and which network it is; ``<network>.npz`` in the same folder is what that computes.
Printed is, as JSON, what became of each: ``equal``, or what went wrong.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tests.other_versions import networks

if TYPE_CHECKING:
    from collections.abc import Callable


def by_tensorflow_2(path: str, features: dict[str, Any]) -> list[Any]:
    """Call the default signature of a SavedModel."""
    loaded = tf.saved_model.load(path)
    results = loaded.signatures["serving_default"](**{key: tf.constant(value) for key, value in features.items()})
    return [value.numpy() for value in results.values()]


def by_tensorflow_1(path: str, features: dict[str, Any]) -> list[Any]:
    """Load a SavedModel into a session, and run what its default signature names."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        feeds = {signature.inputs[key].name: value for key, value in features.items()}
        return list(session.run([output.name for output in signature.outputs.values()], feeds))


def by_graph_def(path: str, features: dict[str, Any]) -> list[Any]:
    """Import a frozen graph, and fetch what nothing consumes."""
    definition = tf.compat.v1.GraphDef.FromString(Path(path).read_bytes())
    consumed = {name.lstrip("^").split(":")[0] for node in definition.node for name in node.input}
    ends = [f"{node.name}:0" for node in definition.node if node.name not in consumed]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        return list(session.run(ends, {f"{key}:0": value for key, value in features.items()}))


def by_saver(path: str, features: dict[str, Any]) -> list[Any]:
    """Import a MetaGraph with its own Saver, and run its default signature."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.import_meta_graph(path + ".meta").restore(session, path)
        return list(session.run(["scores:0"], {f"{key}:0": value for key, value in features.items()}))


def by_weights(path: str, name: str, library: str) -> list[Any]:
    """Load the weights into a network that is built anew."""
    model = networks.NETWORKS[name](importlib.import_module(library))
    model.load_weights(path)
    return networks.outputs(model, name)


def by_checkpoint(path: str, name: str, library: str) -> list[Any]:
    """Restore an object-based checkpoint into a network that is built anew."""
    model = networks.NETWORKS[name](importlib.import_module(library))
    tf.train.Checkpoint(model=model).read(path).assert_existing_objects_matched().expect_partial()
    return networks.outputs(model, name)


RUN: dict[str, Callable[[str, dict[str, Any]], list[Any]]] = {
    "tensorflow_2": by_tensorflow_2,
    "tensorflow_1": by_tensorflow_1,
    "graph_def": by_graph_def,
    "saver": by_saver,
}
RESTORED: dict[str, Callable[[str, str, str], list[Any]]] = {"weights": by_weights, "checkpoint": by_checkpoint}


def outcome(folder: Path, way: str, file: str, network: str, library: str) -> str:
    """Load one file one way; return ``equal`` or what went wrong."""
    path = str(folder / file)
    try:
        results = RUN[way](path, networks.inputs(network)) if way in RUN else RESTORED[way](path, network, library)
    except Exception as error:  # noqa: BLE001 - whatever a version says is what the test shows
        return f"{type(error).__name__}: {error}"[:500]
    with np.load(folder / f"{network}.npz") as stored:
        expected = {stored[key].shape: stored[key] for key in stored.files}
    by_shape = {np.shape(result): result for result in results}
    if by_shape.keys() != expected.keys():
        return f"shapes {sorted(by_shape)}, expected {sorted(expected)}"
    differences = [float(np.abs(by_shape[shape] - value).max()) for shape, value in expected.items()]
    return "equal" if max(differences) < 1e-4 else f"differs by {max(differences)}"


def main(folder: Path) -> None:
    """Try all that is to be tried."""
    trials = json.loads((folder / "trials.json").read_text())
    print(json.dumps({f"{trial[1]} as {trial[0]}": outcome(folder, *trial) for trial in trials}))  # noqa: T201 - see above


if __name__ == "__main__":
    main(Path(sys.argv[1]))

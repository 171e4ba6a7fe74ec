"""Write files by the TensorFlow and the Keras that run this: ``python -m tests.other_versions.write_files FOLDER``.

``told.json`` says which versions they are and which of their own files they could not write, with their words; beside
each network's files lie its outputs and its weights, in the model's order.
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

#: What the networks of plain TensorFlow compute: ``features @ WEIGHT + BIAS``.
WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
BIAS = np.array([1, -2, 3], np.float32)


def ways(library: str, model: Any) -> dict[str, Callable[[str], Any]]:
    """Return how a model is saved, by the name of the file."""
    shared: dict[str, Callable[[str], Any]] = {
        "exported": model.export,
        "saved": lambda path: tf.saved_model.save(model, path),
        "model.keras": model.save,
        "model.h5": model.save,
        "model.weights.h5": model.save_weights,
        "tracked.ckpt": lambda path: tf.train.Checkpoint(model=model).write(path),
    }
    if library == "keras":
        return shared
    return shared | {
        "saved_by_keras": lambda path: model.save(path, save_format="tf"),
        "weights.h5": lambda path: model.save_weights(path, save_format="h5"),
        "weights.ckpt": lambda path: model.save_weights(path, save_format="tf"),
    }


def write_networks(library: str, folder: Path) -> dict[str, str]:
    """Write every network of a Keras in every way; return what went wrong, by file."""
    keras = importlib.import_module(library)
    refused = {}
    for name in networks.NETWORKS:
        model = networks.weighted(keras, name)
        place = folder / library / name
        place.mkdir(parents=True)
        np.savez(place / "outputs.npz", *networks.outputs(model, name))
        np.savez(place / "weights.npz", *model.get_weights())
        for file, save in ways(library, model).items():
            try:
                save(str(place / file))
            except Exception as error:  # noqa: BLE001 - versions fail at their own files in ways of their own
                refused[f"{library}/{name}/{file}"] = f"{type(error).__name__}: {error}"[:300]
    return refused


def write_plain(folder: Path) -> None:
    """Write what needs no Keras: a module, a session's SavedModel and checkpoint, a frozen graph, text."""
    folder.mkdir(parents=True)
    module = tf.Module()
    module.weight, module.bias = tf.Variable(WEIGHT, name="weight"), tf.Variable(BIAS, name="bias")
    names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [0.0, 1.0]), -1.0)
    module.names = names

    def scores_of(features: Any) -> Any:
        shift = names.lookup(tf.constant("a"))
        return {"scores": tf.matmul(features, module.weight) + module.bias + shift}

    serve = tf.function(scores_of, input_signature=[tf.TensorSpec([None, 4], tf.float32, "features")])
    module.serve = serve
    tf.saved_model.save(module, str(folder / "module"), signatures={"serving_default": serve})
    tf.train.Checkpoint(module=module).write(str(folder / "module.ckpt"))
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        features = v1.placeholder(tf.float32, [None, 4], name="features")
        weight = v1.get_variable("weight", initializer=WEIGHT, use_resource=False)
        bias = v1.get_variable("bias", initializer=BIAS, use_resource=True)
        scores = tf.add(tf.matmul(features, weight), bias, name="scores")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "session"), {"features": features}, {"scores": scores})
        v1.train.Saver().save(session, str(folder / "saver.ckpt"))
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["scores"])
        tf.io.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
        tf.io.write_graph(frozen, str(folder), "frozen.pbtxt", as_text=True)


def main(folder: Path) -> None:
    """Write all there is, and what to tell of it."""
    write_plain(folder / "plain")
    refused = write_networks("keras", folder) | write_networks("tf_keras", folder)
    versions = {
        library: importlib.import_module(library).__version__ for library in ("tensorflow", "keras", "tf_keras")
    }
    (folder / "told.json").write_text(json.dumps({"versions": versions, "refused": refused}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

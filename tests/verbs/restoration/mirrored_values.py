"""Restore into the variables of a strategy, as a process of its own: devices are decided before TensorFlow begins.

Writes, for the model and the module that tfmagic restored and for those that TensorFlow did, the values of all copies.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.restore import restore

KINDS = ("weights.h5", "keras", "h5", "ckpt")


def model() -> Any:
    keras = keras_runtime.keras()
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    return made


def filled(made: Any, start: int) -> Any:
    for number, variable in enumerate((*made.variables, *made.optimizer.variables)):
        variable.assign(np.full(variable.shape, start + number, variable.dtype))
    return made


def module(weight: float) -> Any:
    """Make a module with a variable that its copies share, and one that they sum up when it is read."""
    tf = runtime.tensorflow()
    made = tf.Module()
    made.weight = tf.Variable([weight, weight])
    made.sum = tf.Variable(
        0.0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.SUM
    )
    return made


def copies(variables: Any) -> list[list[Any]]:
    """Return the values of every copy of every variable."""
    tf = runtime.tensorflow()
    own = (variable if isinstance(variable, tf.Variable) else variable.value for variable in variables)
    return [[copy.numpy().tolist() for copy in getattr(variable, "values", [variable])] for variable in own]


def of_model(made: Any) -> list[list[Any]]:
    return copies((*made.variables, *made.optimizer.variables))


def main(directory: Path) -> dict[str, Any]:
    tf = runtime.tensorflow()
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    source, stored = filled(model(), 10), module(5.0)
    stored.sum.assign(8.0)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        ours, stock = model(), model()
        our_module, stock_module = module(0.0), module(0.0)
    values: dict[str, Any] = {"source": of_model(source)}
    for kind in KINDS:
        path = str(directory / f"m.{kind}")
        if kind == "ckpt":
            path = tf.train.Checkpoint(net=source).save(path)
        else:
            (source.save_weights if kind == "weights.h5" else source.save)(path)
        for made in (ours, stock):
            filled(made, 50)
        tf.train.Checkpoint(net=stock).restore(path) if kind == "ckpt" else stock.load_weights(path)
        status = sorted(set(restore(ours, path)["status"]))
        values[kind] = {"ours": of_model(ours), "stock": of_model(stock), "status": status}
    path = tf.train.Checkpoint(held=stored).save(str(directory / "module"))
    tf.train.Checkpoint(held=stock_module).restore(path)
    rows = len(restore(our_module, path))
    modules = [copies((made.weight, made.sum)) for made in (our_module, stock_module)]
    return {**values, "modules": modules, "rows": rows}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(Path(sys.argv[1]))), encoding="utf-8")

"""The only window onto ONNX's libraries: imported here, when something must be converted to ONNX or run.

Not for: what to do with the result (:mod:`tfmagic.writers.onnx`).
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

from tfmagic.optional import library
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EXTRA = '"tfmagic[onnx]"'


def converted(graph_def: runtime.Live, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> runtime.Live:
    """Convert a frozen graph with ``tf2onnx``.

    Its own front end, ``tf2onnx.convert``, goes on after errors and sets an environment variable of TensorFlow's, so
    its parts are called by themselves.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class.
    inputs, outputs : mapping of str to str
        The tensors' names by the names that they get, no two of which are the same.

    Returns
    -------
    onnx.ModelProto
        Ops that ONNX does not know stay in it under TensorFlow's names.

    Raises
    ------
    MissingDependencyError
        If ``tf2onnx`` is not installed.
    """
    tf = runtime.tensorflow()
    library("tf2onnx", "writing ONNX", _EXTRA)
    loader, converter, optimizer = (
        importlib.import_module(f"tf2onnx.{name}") for name in ("tf_loader", "tfonnx", "optimizer")
    )
    input_names, wanted = list(inputs.values()), list(outputs.values())
    with tf.Graph().as_default():
        optimized = loader.tf_optimize(input_names, wanted, graph_def)
    names = {tensor: key for side in (outputs, inputs) for key, tensor in side.items()}
    # What it lacks an op for is told by its exception, once.
    log = logging.getLogger("tf2onnx.tfonnx")
    with tf.Graph().as_default() as graph, held_back(log, "is not supported", "Unsupported ops"):
        tf.import_graph_def(optimized, name="")
        onnx_graph = converter.process_tf_graph(
            graph, input_names=input_names, output_names=wanted, tensors_to_rename=names, continue_on_error=False
        )
        return optimizer.optimize_graph(onnx_graph).make_model("tfmagic")


def knows(op: str, domain: str) -> bool:
    """Say whether ONNX has an op."""
    return bool(importlib.import_module("onnx").defs.has(op, domain))


def session(path: Path) -> runtime.Live:
    """Load an ONNX file in ``onnxruntime``; raises MissingDependencyError if that is not installed."""
    runtime = library("onnxruntime", "running an ONNX file", "onnxruntime")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

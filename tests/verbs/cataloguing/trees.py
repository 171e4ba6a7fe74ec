"""Trees of small models, made without TensorFlow: what a catalogue is tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests import checkpoint_samples
from tests.findings.graph_defs import graph, node
from tfmagic.files import protos

if TYPE_CHECKING:
    from pathlib import Path


def saved_model(directory: Path, seed: int = 0, *, scope: str = "dense", units: int = 3) -> Path:
    """Write a SavedModel ``y = relu(x @ kernel)``, whose weights come from the seed."""
    directory.mkdir(parents=True)
    name = f"{scope}/kernel"
    handle = node(name, "VarHandleOp")
    handle.attr["dtype"].type = protos.dtype_number("float32")
    handle.attr["shape"].shape.CopyFrom(protos.shape_proto((4, units)))
    handle.attr["shared_name"].s = name.encode()
    nodes = (
        node("x", "Placeholder"),
        handle,
        node(f"{scope}/read", "ReadVariableOp", name),
        node(f"{scope}/MatMul", "MatMul", "x", f"{scope}/read"),
        node(f"{scope}/Relu", "Relu", f"{scope}/MatMul"),
    )
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add(graph_def=graph(*nodes))
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.meta_info_def.tensorflow_version = "1.15.0"
    signature = meta_graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for side, key, tensor, shape in (("inputs", "x", "x:0", (None, 4)), ("outputs", "y", f"{scope}/Relu:0", None)):
        info = getattr(signature, side)[key]
        info.name, info.dtype = tensor, protos.dtype_number("float32")
        info.tensor_shape.CopyFrom(protos.shape_proto(shape))
    (directory / "saved_model.pb").write_bytes(message.SerializeToString())
    (directory / "variables").mkdir()
    checkpoint(directory / "variables" / "variables", seed, scope=scope, units=units)
    return directory


def checkpoint(prefix: Path, seed: int = 0, *, scope: str = "dense", units: int = 3) -> Path:
    """Write a checkpoint of one kernel."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    kernel = np.random.default_rng(seed).normal(size=(4, units)).astype(np.float32)
    entry = checkpoint_samples.entry((4, units), kernel.tobytes())
    return checkpoint_samples.write_bundle(prefix, {f"{scope}/kernel".encode(): entry}, kernel.tobytes())


def frozen(path: Path, *more: Any) -> Path:
    """Write a GraphDef."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph(node("x", "Placeholder"), node("y", "Relu", "x"), *more).SerializeToString())
    return path


def weight(name: str, value: np.ndarray) -> Any:
    """Return a constant of numbers."""
    node_def = protos.message("NodeDef")(name=name, op="Const")
    tensor = node_def.attr["value"].tensor
    tensor.dtype = node_def.attr["dtype"].type = protos.dtype_number(str(value.dtype))
    tensor.tensor_shape.CopyFrom(protos.shape_proto(value.shape))
    tensor.tensor_content = value.tobytes()
    return node_def


def numbers(count: int) -> np.ndarray:
    """Return so many numbers."""
    return np.arange(count, dtype=np.float32)

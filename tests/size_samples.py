"""Models of any size, of which one thing is much: nodes, functions, inputs of a node, layers, signatures, assets.

They are written byte by byte, without TensorFlow, in the time that writing takes.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from tests.wire_samples import field
from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: The attribute ``T``, float32.
_FLOAT = field(5, field(1, "T") + field(2, b"0\x01"))


def _node(name: str, op: str, inputs: Sequence[str] = (), attributes: bytes = b"") -> bytes:
    return field(1, name) + field(2, op) + b"".join(field(3, each) for each in inputs) + attributes


def _calling(name: str, function: str, argument: str) -> bytes:
    attribute = field(5, field(1, "f") + field(2, field(10, field(1, function))))
    return _node(name, "PartitionedCall", [argument], attribute)


def _placeholder(name: str) -> bytes:
    return _node(name, "Placeholder", (), field(5, field(1, "dtype") + field(2, b"0\x01")))


def _function(name: str, node: bytes, result: str) -> bytes:
    signature = field(1, name) + field(2, field(1, "x") + b"\x18\x01") + field(3, field(1, "y") + b"\x18\x01")
    return field(1, field(1, signature) + field(3, node) + field(4, field(1, "y") + field(2, result)))


def nodes(count: int) -> bytes:
    """Write a chain of nodes, a hundred to a scope."""
    names = [f"block_{number // 100}/node_{number}" for number in range(count)]
    return b"".join(
        field(1, _node(name, "Relu", [names[number - 1]] if number else (), _FLOAT))
        for number, name in enumerate(names)
    )


def scopes(count: int) -> bytes:
    """Write a chain of nodes, each in a scope of its own whose name says nothing."""
    names = [f"{number * 7919 % count:x}/node" for number in range(count)]
    return b"".join(
        field(1, _node(name, "Relu", [names[number - 1]] if number else (), _FLOAT))
        for number, name in enumerate(names)
    )


def placeholders(count: int) -> bytes:
    """Write a graph of placeholders."""
    return b"".join(field(1, _placeholder(f"in_{number}")) for number in range(count))


def variables(count: int) -> bytes:
    """Write variables that are read, and whose values are elsewhere."""
    shape = field(5, field(1, "shape") + field(2, field(7, field(2, b"\x08\x04"))))
    dtype = field(5, field(1, "dtype") + field(2, b"0\x01"))
    pairs = (
        (
            _node(f"v{number}", "VarHandleOp", (), dtype + shape),
            _node(f"r{number}", "ReadVariableOp", [f"v{number}"], dtype),
        )
        for number in range(count)
    )
    return b"".join(field(1, each) for pair in pairs for each in pair)


def functions(count: int) -> bytes:
    """Write functions each of which only calls the next."""
    chain = [_function(f"f{number}", _calling("c", f"f{number + 1}", "x"), "c:output:0") for number in range(count - 1)]
    last = _function(f"f{count - 1}", _node("c", "Relu", ["x"], _FLOAT), "c:activations:0")
    main = field(1, _placeholder("x")) + field(1, _calling("call", "f0", "x"))
    return main + field(2, b"".join([*chain, last]))


def inputs(count: int) -> bytes:
    """Write one node with many inputs."""
    names = [f"c{number}" for number in range(count)]
    return b"".join(field(1, _node(name, "Const")) for name in names) + field(1, _node("all", "AddN", names, _FLOAT))


def kinds(count: int) -> bytes:
    """Write nodes each of which is of another op."""
    return b"".join(field(1, _node(f"n{number}", f"Op{number}")) for number in range(count))


def consumers(count: int) -> bytes:
    """Write one node that many take."""
    taking = (field(1, _node(f"r{number}", "Relu", ["c"], _FLOAT)) for number in range(count))
    return field(1, _node("c", "Const")) + b"".join(taking)


def _saved_model() -> protos.Message:
    saved_model = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    return saved_model


def signatures(count: int) -> bytes:
    """Write a SavedModel with many signatures."""
    saved_model = _saved_model()
    for number in range(count):
        signature = saved_model.meta_graphs[0].signature_def[f"key_{number}"]
        signature.method_name = "tensorflow/serving/predict"
        for info in (signature.inputs["x"], signature.outputs["y"]):
            info.name, info.dtype = "x:0", 1
            info.tensor_shape.dim.add(size=-1)
    return bytes(saved_model.SerializeToString())


def assets(count: int) -> bytes:
    """Write a SavedModel with many assets."""
    saved_model = _saved_model()
    meta_graph = saved_model.meta_graphs[0]
    for number in range(count):
        meta_graph.graph_def.node.add(name=f"asset_{number}", op="Const")
        asset = meta_graph.asset_file_def.add(filename=f"words_{number}.txt")
        asset.tensor_info.name = f"asset_{number}:0"
    return bytes(saved_model.SerializeToString())


def metagraphs(count: int) -> bytes:
    """Write a SavedModel with many MetaGraphDefs, each of a node and a signature."""
    one = _saved_model().meta_graphs[0]
    tensor = one.signature_def["serving_default"].inputs["x"]
    tensor.name, tensor.dtype = "x:0", 1
    saved_model = protos.message("SavedModel")(saved_model_schema_version=1)
    for number in range(count):
        meta_graph = saved_model.meta_graphs.add()
        meta_graph.CopyFrom(one)
        meta_graph.meta_info_def.tags[0] = f"part {number}"
    return bytes(saved_model.SerializeToString())


def layers(count: int) -> bytes:
    """Write the config of a functional Keras model: a chain of layers."""
    first = {"batch_shape": [None, 4], "dtype": "float32", "name": "in"}
    listed: list[dict[str, Any]] = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": first, "name": "in", "inbound_nodes": []}
    ]
    before = "in"
    for number in range(count):
        name = f"dense_{number}"
        tensor = {"shape": [None, 4], "dtype": "float32", "keras_history": [before, 0, 0]}
        call = {"args": [{"class_name": "__keras_tensor__", "config": tensor}], "kwargs": {}}
        own = {"name": name, "units": 4, "activation": "linear"}
        listed.append(
            {"module": "keras.layers", "class_name": "Dense", "config": own, "name": name, "inbound_nodes": [call]}
        )
        before = name
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[before, 0, 0]]}
    config: dict[str, Any] = {"name": "chain", "trainable": True, "layers": listed, **ends}
    model = {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}
    return json.dumps(model).encode()


GRAPHS: dict[str, Callable[[int], bytes]] = {
    each.__name__: each for each in (nodes, scopes, placeholders, variables, functions, inputs, consumers, kinds)
}
SAVED_MODELS: dict[str, Callable[[int], bytes]] = {each.__name__: each for each in (signatures, assets, metagraphs)}
KINDS = (*GRAPHS, *SAVED_MODELS, "layers")


def written(kind: str, count: int, directory: Path) -> Path:
    """Write a model of some kind with so many of what it is named after; return its path."""
    if kind in GRAPHS:
        path = directory / f"{kind}_{count}.pb"
        path.write_bytes(GRAPHS[kind](count))
    elif kind in SAVED_MODELS:
        path = directory / f"{kind}_{count}"
        path.mkdir()
        (path / "saved_model.pb").write_bytes(SAVED_MODELS[kind](count))
    else:
        path = directory / f"{kind}_{count}.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0", "date_saved": "today"}))
            archive.writestr("config.json", layers(count))
    return path

"""Faults that an export notices though it runs images that are smaller than the model states, and nothing optimised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.verification import trial_inputs
from tfmagic.writers.saved_model import directory
from tfmagic.writers.saved_model.graph_draft import GraphDraft
from tfmagic.writers.saved_model.writer import SavedModelDraft

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def model() -> Any:
    """Return a module with a function of images with two outputs, whose variables are alike in shape."""
    tf = runtime.tensorflow()
    generator = np.random.default_rng(0)
    module = tf.Module()
    module.kernels = [tf.Variable(generator.random((3, 3, 3, 3), np.float32)) for _ in range(2)]
    first, second = module.kernels

    def call(x: Any) -> dict[str, Any]:
        y = tf.nn.relu(tf.nn.conv2d(x, first, 2, "SAME"))
        return {"a": tf.reduce_mean(y, [1, 2]), "b": tf.reduce_mean(tf.nn.conv2d(y, second, 1, "SAME"), [1, 2])}

    spec = tf.TensorSpec([None, 160, 160, 3], name="x")
    module.serve = tf.function(call, input_signature=[spec])
    return module


def flipped(place: Path) -> None:
    """Flip the last bit of a weight."""
    (shard,) = (place / "variables").glob("*.data-*")
    data = bytearray(shard.read_bytes())
    data[0] ^= 1
    shard.write_bytes(data)


def permuted(place: Path) -> None:
    """Let each output give what the other should."""
    file = place / "saved_model.pb"
    saved = protos.parse("SavedModel", file.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        if set(function.ret) >= {"a", "b"} or len(function.ret) == 2:
            (one, first), (other, second) = function.ret.items()
            function.ret[one], function.ret[other] = second, first
    file.write_bytes(saved.SerializeToString())


def dropped(place: Path) -> None:
    """Leave the values of the variables out."""
    for file in (place / "variables").iterdir():
        file.unlink()


def exchanged(place: Path) -> None:
    """Restore each variable from what the other should have."""
    file = place / "saved_model.pb"
    saved = protos.parse("SavedModel", file.read_bytes())
    nodes = saved.meta_graphs[0].object_graph_def.concrete_functions
    for function in nodes.values():
        bound = list(function.bound_inputs)
        function.bound_inputs[:] = bound[::-1]
    file.write_bytes(saved.SerializeToString())


def test_without_a_fault_smaller_images_are_enough(tmp_path: Path) -> None:
    done = tfmagic.export(model(), tmp_path / "served")
    assert done.verification["equal"].tolist() == [True, True]
    assert done.verification.attrs["inputs"] == trial_inputs.SMALLER


@pytest.mark.parametrize("fault", [flipped, permuted, dropped, exchanged])
def test_a_fault_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any], None]) -> None:
    write = SavedModelDraft.write

    def spoiled(self: SavedModelDraft, path: Path) -> None:
        write(self, path)
        fault(path)

    source = model()
    monkeypatch.setattr(SavedModelDraft, "write", spoiled)
    # As if the fault were in what was meant, not in what was written: that would be told before anything runs.
    monkeypatch.setattr(directory, "require_message", lambda *_: None)
    with pytest.raises(errors.ConversionError, match=r"differs from the source|cannot load the SavedModel"):
        tfmagic.export(source, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def in_what_only_tensorflow_1_reads(place: Path) -> None:
    """Let the graph's own saver restore one variable from another's key."""
    file = place / "saved_model.pb"
    saved = protos.parse("SavedModel", file.read_bytes())
    (restore,) = [node for node in saved.meta_graphs[0].graph_def.node if node.op == "RestoreV2"]
    restore.attr["dtypes"].list.type.reverse()
    restore.input[0] = "nowhere:0"
    file.write_bytes(saved.SerializeToString())


def in_no_message_any_more(place: Path) -> None:
    """Let a field reach past its message."""
    file = place / "saved_model.pb"
    data = bytearray(file.read_bytes())
    data[-3] ^= 64
    file.write_bytes(data)


def in_what_restores(place: Path) -> None:
    """Flip a bit of what the checkpoint says of its objects, without which a reduced copy would load."""
    (shard,) = (place / "variables").glob("*.data-*")
    data = bytearray(shard.read_bytes())
    data[data.index(b"VARIABLE_VALUE")] ^= 1
    shard.write_bytes(data)


@pytest.mark.parametrize("fault", [in_what_only_tensorflow_1_reads, in_no_message_any_more, in_what_restores])
@pytest.mark.parametrize("kind", ["function", "session"])
def test_a_fault_that_no_run_would_tell_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any], None], kind: str
) -> None:
    if kind == "session" and fault is in_what_restores:
        pytest.skip("the checkpoint of a graph says nothing of objects")
    source, outputs = (model(), None) if kind == "function" else (session(), ["y"])
    draft: Any = SavedModelDraft if kind == "function" else GraphDraft
    write = draft.write

    def spoiled(self: Any, path: Path) -> None:
        write(self, path)
        fault(path)

    monkeypatch.setattr(draft, "write", spoiled)
    with pytest.raises(errors.ConversionError, match=r"not written as it is|cannot load the SavedModel"):
        tfmagic.export(source, tmp_path / "served", outputs=outputs)
    assert list(tmp_path.iterdir()) == []


def session() -> Any:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = v1.placeholder(tf.float32, [None, 3], "x")
        tf.matmul(x, v1.get_variable("kernel", [3, 3]), name="y")
        session.run(v1.global_variables_initializer())
    return session

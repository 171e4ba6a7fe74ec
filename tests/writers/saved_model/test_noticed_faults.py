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
    with pytest.raises(errors.ConversionError, match=r"differs from the source|cannot load the SavedModel"):
        tfmagic.export(source, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []

"""Large frozen graphs as SavedModels: the file's bytes between a header and its signatures."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.writers.saved_model.test_writer import run_v1
from tfmagic import errors, readers
from tfmagic.files import message_files, protos
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.conversion import wrap_frozen_graph
from tfmagic.verbs.conversion.wrap_frozen_graph import WrappedDraft
from tfmagic.verbs.export import export
from tfmagic.verbs.freeze import freeze

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((2, 300), dtype=np.float32)


@pytest.fixture(scope="module", name="frozen")
def _frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Freeze a network with a function in it."""
    keras = keras_runtime.keras()
    inputs = keras.Input((300,), name="pixels")
    hidden = keras.layers.Dense(300, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, {"scores": keras.layers.Dense(4, name="scores")(hidden)})
    path = tmp_path_factory.mktemp("frozen") / "m.pb"
    freeze(model, output=path)
    return path


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrap_frozen_graph, "LARGE", 1000)


def numbers(path: Path, key: str = "serving_default", given: str = "pixels") -> list[dict[str, Any]]:
    """Run a signature through both loaders."""
    tf = runtime.tensorflow()
    loaded = tf.saved_model.load(str(path)).signatures[key]
    second = {name: each.numpy() for name, each in loaded(**{given: tf.constant(X)}).items()}
    return [second, run_v1(path, ("serve",), key, {given: X})]


def test_both_loaders_run_it_under_its_own_keys(frozen: Path, tmp_path: Path) -> None:
    done = export(frozen, tmp_path / "served")
    assert [(row.output, row.equal) for row in done.verification.itertuples()] == [("graph", True)]
    assert any("byte for byte" in note for note in done.notes)
    expected = run_frozen(frozen)
    for found in numbers(tmp_path / "served"):
        np.testing.assert_allclose(found["scores"], expected, rtol=1e-5)
    frame = readers.read(tmp_path / "served").signatures
    assert dict(zip(frame["key"], frame["shape"], strict=True)) == {"pixels": (None, 300), "scores": (None, 4)}
    saved = protos.parse("SavedModel", (tmp_path / "served" / "saved_model.pb").read_bytes())
    assert saved.meta_graphs[0].graph_def == protos.parse("GraphDef", frozen.read_bytes())


def run_frozen(path: Path) -> Any:
    tf = runtime.tensorflow()
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run("scores:0", {"pixels:0": X})


def test_names_keys_methods_and_tags(frozen: Path, tmp_path: Path) -> None:
    maps: dict[str, dict[str, Any]] = {
        "a": {"inputs": {"x": "pixels"}, "outputs": {"y": "scores:0"}, "method": "predict"},
        "b": {"inputs": ["pixels"], "outputs": ["scores"]},
    }
    export(frozen, tmp_path / "served", signatures=maps)
    expected = run_frozen(frozen)
    for found in numbers(tmp_path / "served", "a", "x"):
        np.testing.assert_allclose(found["y"], expected, rtol=1e-5)
    for found in numbers(tmp_path / "served", "b"):
        np.testing.assert_allclose(found["scores"], expected, rtol=1e-5)
    done = export(frozen, tmp_path / "tagged", tags="eval", signature="mine", method="classify")
    assert readers.read(tmp_path / "tagged").meta_graphs[0].tags == ("eval",)
    assert any("servers ask for 'serve'" in note for note in done.notes)
    with pytest.raises(errors.UnknownNameError, match="pixels"):
        export(frozen, tmp_path / "wrong", inputs={"x": "pixel"}, outputs=["scores"])
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["tags", "graph", "signature"])
def test_a_copy_that_is_not_the_same_is_not_left(
    frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    write = WrappedDraft.write

    def spoiled(self: WrappedDraft, path: Path) -> None:
        write(self, path)
        file = path / "saved_model.pb"
        data = bytearray(file.read_bytes())
        data[int((len(data) - 1) * share)] ^= 1
        file.write_bytes(data)

    monkeypatch.setattr(WrappedDraft, "write", spoiled)
    with pytest.raises(errors.VerificationError):
        export(frozen, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_past_protobufs_limit(frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrap_frozen_graph, "PROTOBUF_LIMIT", frozen.stat().st_size)
    with pytest.raises(errors.TooLargeError, match="frozen from"):
        export(frozen, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_a_skeleton_has_all_but_the_content(frozen: Path) -> None:
    whole = protos.parse("GraphDef", frozen.read_bytes())
    tracemalloc.start()
    found = wrap_frozen_graph.skeleton_of(frozen)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000 < frozen.stat().st_size
    constants = [node for node in whole.node if node.op == "Const"]
    large = [node for node in constants if len(node.attr["value"].tensor.tensor_content) > 16 << 10]
    assert len(large) == 1
    large[0].attr["value"].tensor.ClearField("tensor_content")
    assert found == whole


def test_a_large_file_is_told_of_without_its_constants(
    frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = export(frozen, tmp_path / "first")

    def whole(path: Path, _name: str) -> Any:
        pytest.fail(f"{path} was read whole")

    monkeypatch.setattr(message_files, "read_message", whole)
    done = export(frozen, tmp_path / "served")
    assert (done.losses, done.cautions, done.notes) == (expected.losses, expected.cautions, expected.notes)


@pytest.mark.parametrize("cut", [1000, 300_000])
def test_a_damaged_file_is_refused(frozen: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "cut.pb").write_bytes(frozen.read_bytes()[:cut])
    with pytest.raises(errors.CorruptSourceError, match=r"cut\.pb"):
        export(tmp_path / "cut.pb", tmp_path / "served", inputs=["pixels"], outputs=["scores"])
    assert not (tmp_path / "served").exists()

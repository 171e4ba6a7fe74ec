"""TFLite files with smaller numbers: what is in them, how far off they are, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.files.tflite.structure import describe
from tfmagic.functions.keras import models as keras_models
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import litert
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.conversion import samples as sample_calls
from tfmagic.writers import tflite as tflite_writer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((12, 8, 8, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def model() -> Any:
    keras = keras_runtime.keras()
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="score"),
        ]
    )


def dtypes(path: Path) -> Counter[str]:
    return Counter(tensor.dtype for subgraph in describe(path).subgraphs for tensor in subgraph.tensors)


def run(path: Path, key: str = "serving_default", **values: Any) -> dict[str, Any]:
    """What TFLite's own interpreter makes of it."""
    outputs: dict[str, Any] = litert.interpreter(path).get_signature_runner(key)(**values)
    return outputs


@pytest.mark.parametrize(
    ("quantize", "dtype", "limits"), [("float16", "float16", (0.6, 1e-3)), ("dynamic", "int8", (0.45, 0.02))]
)
def test_weights_are_stored_in_less(
    model: Any, tmp_path: Path, quantize: str, dtype: str, limits: tuple[float, float]
) -> None:
    share, off = limits
    plain = tfmagic.export(model, tmp_path / "plain.tflite")
    done = tfmagic.export(model, tmp_path / "m.tflite", quantize=quantize)
    assert done.bytes < plain.bytes * share
    assert dtypes(tmp_path / "m.tflite")[dtype] > 0
    assert any(note.startswith(f"quantised, {quantize}: tensors ") for note in done.notes)
    # The difference is there and not judged.
    assert done.verification["equal"].isna().all()
    (measured,) = done.verification["max_abs"]
    found = run(tmp_path / "m.tflite", image=X)["score"]
    expected = model(X).numpy()
    assert 0 < measured < off
    assert np.abs(found - expected).max() < off
    assert any("not judged, on drawn from" in note and "'score' is off by up to" in note for note in done.notes)
    assert not any("not verified" in note for note in done.notes)


def test_int8_computes_with_integers_between_floats(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    done = tfmagic.export(model, path, quantize="int8", samples=X)
    (subgraph,) = describe(path).subgraphs
    ends = [subgraph.tensors[place].dtype for place in (*subgraph.inputs, *subgraph.outputs)]
    assert ends == ["float32", "float32"]
    assert dtypes(path)["int8"] > dtypes(path)["float32"]
    expected, found = model(X).numpy(), run(path, image=X)["score"]
    # What is reported is what is measured here.
    assert done.verification["max_abs"].tolist() == pytest.approx([np.abs(found - expected).max()], abs=1e-6)
    assert done.verification["equal"].isna().all()
    assert done.verification.attrs["inputs"] == "12 samples"
    assert any("on 12 samples: 'score' is off by up to" in note for note in done.notes)
    assert "not judged" in repr(done)
    assert np.abs(found - expected).max() < 0.05
    assert tfmagic.inspect(path).signatures["shape"].tolist() == [(None, 8, 8, 3), (None, 10)]


def test_samples_may_come_in_every_way(model: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    dataset = tf.data.Dataset.from_tensor_slices((X, np.zeros(12)))
    ways: dict[str, Any] = {
        "array": X,
        "dict": {"image": X.astype(np.float64).astype(np.float32)},
        "tensor": tf.constant(X),
        "list": list(X),
        "batches": [X[:5], X[5:]],
        "dicts": [{"image": each} for each in X],
        "generator": (each[None] for each in X),
        "function": lambda: iter(X),
        "literal": X.tolist(),
        "tuples": [(each,) for each in X],
        "dataset": dataset,
        "batched": dataset.batch(4),
        "features": tf.data.Dataset.from_tensor_slices({"image": X}),
    }
    function = keras_models.trace(model)
    for name, samples in ways.items():
        calls = sample_calls.of_signatures({"serving_default": function}, samples)["serving_default"].calls
        sizes = [len(call["image"]) for call in calls]
        assert sizes == {"batches": [5, 7], "batched": [4, 4, 4]}.get(name, [1] * 12), name
        np.testing.assert_array_equal(np.concatenate([call["image"] for call in calls]), X, err_msg=name)
    contents = set()
    for place, samples in enumerate((X, [{"image": each} for each in X])):
        done = tfmagic.export(model, tmp_path / f"{place}.tflite", quantize="int8", samples=samples)
        contents.add((tmp_path / f"{place}.tflite").read_bytes())
        assert done.verification["max_abs"][0] > 0
    assert len(contents) == 1


def test_several_inputs_and_signatures_get_their_own(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    rng = np.random.default_rng(3)
    kernel = tf.Variable(rng.random((16, 128), dtype=np.float32) - 0.5)

    class Two(tf.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.kernel = kernel

        @tf.function(input_signature=[tf.TensorSpec([None, 16], name="a"), tf.TensorSpec([None], tf.int32, name="ids")])  # type: ignore[untyped-decorator]
        def both(self, a: Any, ids: Any) -> Any:
            return {"y": tf.matmul(a, self.kernel) + tf.cast(ids[:, None], tf.float32)}

        @tf.function(input_signature=[tf.TensorSpec([None, 16], name="b")])  # type: ignore[untyped-decorator]
        def one(self, b: Any) -> Any:
            return {"z": tf.nn.relu(tf.matmul(b, self.kernel))}

    module = Two()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"both": module.both, "one": module.one})
    a, ids = rng.random((20, 16), dtype=np.float32), np.arange(20) % 3
    path = tmp_path / "m.tflite"
    done = tfmagic.export(
        tmp_path / "m", path, quantize="int8", samples={"both": {"a": a, "ids": ids}, "one": list(a[:7])}
    )
    assert done.verification["output"].tolist() == ["both/y", "one/z"]
    assert done.verification["equal"].isna().all()
    assert any(note.startswith("signature 'one': not judged, on 7 samples") for note in done.notes)
    found = run(path, "both", a=a, ids=ids.astype(np.int32))["y"]
    expected = a @ kernel.numpy() + ids[:, None]
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    assert {each.key for each in describe(path).signatures} == {"both", "one"}
    with pytest.raises(errors.UnknownNameError, match="no input 'a'; there is 'b'"):
        tfmagic.export(tmp_path / "m", tmp_path / "n.tflite", quantize="int8", samples={"a": a, "ids": ids})


def test_a_batch_that_is_fixed_is_filled(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    recurrent = keras.Sequential([keras.Input((6, 3), name="steps"), keras.layers.GRU(4, name="state")])
    steps = np.random.default_rng(0).random((11, 6, 3), dtype=np.float32)
    done = tfmagic.export(recurrent, tmp_path / "m.tflite", batch=2, quantize="dynamic", samples=steps)
    assert done.verification.attrs["inputs"] == "5 samples"
    assert any("nothing was quantised" in note or "quantised, dynamic" in note for note in done.notes)


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_loops_that_would_end_the_process_are_refused(tmp_path: Path, layer: str) -> None:
    keras = keras_runtime.keras()
    steps = np.random.default_rng(0).random((8, 5, 30), dtype=np.float32)

    def network(**options: Any) -> Any:
        return keras.Sequential(
            [keras.Input((5, 30), name="steps"), getattr(keras.layers, layer)(40, name="last", **options)]
        )

    with pytest.raises(errors.UnsupportedConversionError, match=r"crashes on a loop.*quantize='dynamic'.*unroll=True"):
        tfmagic.export(network(), tmp_path / "m.tflite", quantize="int8", samples=steps, batch=1)
    assert list(tmp_path.iterdir()) == []
    for model, way in ((network(), "dynamic"), (network(unroll=True), "int8")):
        done = tfmagic.export(model, tmp_path / "m.tflite", quantize=way, samples=steps, batch=1, overwrite=True)
        assert done.verification.attrs["inputs"] == "8 samples"
        assert done.verification["max_abs"].max() < 0.1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"quantize": "int8"}, r"needs typical inputs.*samples=ARRAY \(--samples EXPR\).*'dynamic' needs none"),
        ({"quantize": "int4"}, "no way to quantise 'int4'; did you mean 'int8'"),
        ({"samples": X}, "name a way to quantise"),
        (
            {"quantize": "int8", "samples": X[..., :2]},
            r"example 0: .*'image' takes float32 .*8, 8, 3.*dimension 3 is 2",
        ),
        ({"quantize": "int8", "samples": [X[0], X[0, 0]]}, r"example 1: .*rank is 2"),
        ({"quantize": "int8", "samples": {"picture": X}}, "no input 'picture'"),
        ({"quantize": "int8", "samples": {}}, "lack 'image'"),
        ({"quantize": "int8", "samples": []}, "no example"),
        ({"quantize": "int8", "samples": X[:0]}, "no example"),
        ({"quantize": "int8", "samples": X * np.nan}, "example 0: .*NaN"),
        ({"quantize": "int8", "samples": "photos"}, "samples are no str"),
        ({"quantize": "int8", "samples": 3}, "samples are no int"),
        ({"quantize": "int8", "samples": [["a"]]}, "text is no number"),
        ({"quantize": "int8", "samples": [(X, X, X), 1]}, None),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(
    model: Any, tmp_path: Path, options: dict[str, Any], says: str | None
) -> None:
    with pytest.raises(errors.TfMagicError, match=says):
        tfmagic.export(model, tmp_path / "m.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_generator_that_fails_is_told(model: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionError, match="example 1 raises ZeroDivisionError") as caught:
        tfmagic.export(model, tmp_path / "m.tflite", quantize="int8", samples=(X[:1] / (1 // n) for n in (1, 0)))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    done = tfmagic.export(model, tmp_path / "m.tflite", quantize="int8", samples=X[0])
    assert done.verification.attrs["inputs"] == "1 sample"


@pytest.mark.parametrize("name", ["m.pb", "m", "m.keras", "m.ckpt"])
def test_other_formats_refuse_it_by_name(model: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ConversionError, match=r"quantize='int8' is for TFLite, and .*'\.tflite'"):
        tfmagic.export(model, tmp_path / name, quantize="int8", samples=X)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda values: values * np.nan, "'score' gives NaN where the source gives numbers"),
        (lambda values: values[:1], r"'score' gives float32 \(1, 10\) where the source gives"),
        (lambda values: values * 0 + 0.25, r"'score' is 0\.25 whatever goes in, where the source gives"),
    ],
)
def test_what_nobody_wants_is_refused(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, says: str
) -> None:
    load = tflite_writer.TFLiteDraft.load

    def spoiled(self: Any, path: Path, key: str) -> Any:
        runner = load(self, path, key)
        return lambda values: {key: spoil(value) for key, value in runner(values).items()}

    monkeypatch.setattr(tflite_writer.TFLiteDraft, "load", spoiled)
    samples = [X[:3], X[3:]] if "whatever" not in says else X
    with pytest.raises(errors.VerificationError, match=says) as caught:
        tfmagic.export(model, tmp_path / "m.tflite", quantize="dynamic", samples=samples)
    assert caught.value.verification["equal"].tolist() == [False]
    assert "was not written" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_who_wants_it_all_the_same_has_it_without_a_check(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite_writer.TFLiteDraft, "load", None)
    tfmagic.export(model, tmp_path / "m.tflite", quantize="dynamic", samples=X, verify=False)
    assert (tmp_path / "m.tflite").stat().st_size > 0


def test_a_source_that_is_the_same_everywhere_stays_so(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    kernel = tf.Variable(np.zeros((16, 100), np.float32))
    body = tf.function(
        lambda x: {"y": tf.matmul(x, kernel) + 1.0}, input_signature=[tf.TensorSpec([None, 16], name="x")]
    )
    samples = np.random.default_rng(0).random((3, 16), dtype=np.float32)
    done = tfmagic.export(body, tmp_path / "m.tflite", quantize="int8", samples=samples)
    assert done.verification["equal"].isna().all()


def test_of_many_samples_the_first_are_used(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    kernel = tf.Variable(np.random.default_rng(0).random((4, 400), dtype=np.float32))
    body = tf.function(lambda x: {"y": tf.matmul(x, kernel)}, input_signature=[tf.TensorSpec([None, 4], name="x")])
    endless = (np.full((1, 4), number % 7, np.float32) for number in iter(int, 1) for number in range(10))
    for samples in (np.ones((900, 4), np.float32) * np.arange(900)[:, None].astype(np.float32), endless):
        done = tfmagic.export(body, tmp_path / "m.tflite", quantize="dynamic", samples=samples, overwrite=True)
        assert done.verification.attrs["inputs"] == "500 samples"
        assert any("first 500" in note and "used" in note for note in done.notes)

from __future__ import annotations

import json
import random
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import tfmagic
from tests import keras_samples
from tests.functions.keras import keras_2_samples
from tests.versions import version_of
from tfmagic import errors
from tfmagic.commands import declarations
from tfmagic.files.keras import archive as keras_archive
from tfmagic.functions.keras import files as keras_files
from tfmagic.functions.keras import models as keras_models
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction

pytestmark = pytest.mark.tensorflow
#: One test of each kind goes through both files; an archive of Keras 2 cannot hold what its JSON cannot.
OLD = [
    (name, suffix)
    for name in keras_2_samples.MODELS
    for suffix in (".h5", ".keras")
    if (name, suffix) != ("operations", ".keras")
]


def package(model: object) -> str:
    return type(model).__module__.partition(".")[0]


def sample_inputs(function: NamedFunction) -> dict[str, np.ndarray]:
    """Make inputs: numbers below 4 are both tokens and what a layer computes with."""
    numbers = np.random.default_rng(0)

    def value(dtype: str, shape: Any) -> np.ndarray:
        sizes = [size or (3 if place else 2) for place, size in enumerate(shape)]
        if dtype == "string":
            return np.resize(np.array(["a", "no"], object), sizes)
        return numbers.integers(0, 4, sizes) if len(sizes) == 2 else numbers.normal(size=sizes)

    return {each.key: value(each.dtype, each.shape) for each in function.inputs}


def assert_same(original: Any, loaded: Any, tolerance: float = 1e-6) -> None:
    """Both give the same numbers under the same keys, and the batch is open."""
    one, other = keras_models.trace(original), keras_models.trace(loaded)
    assert [each.key for each in one.inputs] == [each.key for each in other.inputs]
    assert all(each.shape is None or each.shape[0] is None for each in other.inputs)
    inputs = sample_inputs(one)
    expected, found = one(inputs), other(inputs)
    assert list(expected) == list(found)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key].astype(float), value.astype(float), rtol=1e-5, atol=tolerance)


def with_random_weights(model: Any) -> Any:
    """Give each weight values of its own, so that no two can be taken for one another."""
    numbers = np.random.default_rng(0)
    for weight in model.weights:
        if "float" in str(weight.dtype) and "normalization" not in weight.name and "mean" not in weight.name:
            weight.assign(numbers.uniform(0.1, 0.4, weight.shape))
    return model


# Files of Keras 2


@pytest.mark.parametrize(("name", "suffix"), OLD)
def test_what_keras_2_wrote_gives_its_numbers(name: str, suffix: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    made = keras_2_samples.MODELS[name](keras, runtime.tensorflow())
    original = made if name in ("mixed", "mobile_net") else with_random_weights(made)
    original.save(tmp_path / f"model{suffix}")
    model, notes = keras_files.load(tmp_path / f"model{suffix}")
    assert package(model) == "keras"
    assert notes[0].startswith("saved by Keras 2.")
    assert_same(original, model)


def test_what_keras_3_cannot_say_is_left_to_tf_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    layers = keras.layers
    models = {
        "the layer ThresholdedReLU": [layers.Input((4,)), layers.Dense(3), layers.ThresholdedReLU(0.2)],
        "time_major": [layers.Input((3, 4)), layers.LSTM(2, time_major=True)],
        "theta of another layer": [layers.Input((4, 3)), layers.LocallyConnected1D(2, 2)],
    }
    for name, listed in models.items():
        original = keras.Sequential(listed)
        original.save(tmp_path / "model.h5")
        model, notes = keras_files.load(tmp_path / "model.h5")
        assert package(model) == "tf_keras", name
        assert "loaded by tf_keras" in notes[0]
        assert_same(original, model)


def test_an_argument_is_never_dropped_for_its_name_alone(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.layers.Input((3, 4))
    original = keras.Model(x, keras.layers.Attention(name="attend")([x, x]))
    original.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["causal"] = True
        file.attrs["model_config"] = json.dumps(config)
    source = keras_files._Source(tmp_path / "model.h5", keras_archive.contents(tmp_path / "model.h5"), trust=False)
    with pytest.raises(ValueError, match="causal=True of Attention has no counterpart in Keras 3"):
        keras_files._rewritten(source)
    assert package(keras_files.load(tmp_path / "model.h5").model) == "tf_keras"


def test_without_tf_keras_the_pip_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("tf_keras")
    keras.Sequential([keras.layers.Input((4,)), keras.layers.ThresholdedReLU(0.2)]).save(tmp_path / "model.h5")

    def missing() -> Any:
        raise errors.MissingDependencyError("a model of Keras 2", '"tfmagic[keras2]"')

    monkeypatch.setattr(keras_runtime, "tf_keras", missing)
    with pytest.raises(errors.MissingDependencyError, match="ThresholdedReLU") as caught:
        keras_files.load(tmp_path / "model.h5")
    assert 'pip install "tfmagic[keras2]"' in str(caught.value)
    assert str(tmp_path / "model.h5") in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)


@pytest.mark.parametrize("only_keras_2", [False, True])
def test_weights_go_by_name_where_the_order_is_another(tmp_path: Path, *, only_keras_2: bool) -> None:
    keras = pytest.importorskip("tf_keras")
    layers = keras.layers
    more = [layers.ThresholdedReLU(0.2)] if only_keras_2 else []
    parts = [layers.Input((3,)), layers.Dense(3, name="one"), *more, layers.Dense(3, name="two")]
    original = keras.Sequential(parts)
    original = with_random_weights(original)
    original.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = group.attrs["layer_names"][::-1]
    model, notes = keras_files.load(tmp_path / "model.h5")
    assert any("by name" in note for note in notes)
    assert (package(model) == "tf_keras") == only_keras_2
    assert_same(original, model)


# Files of Keras 3


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("make", [*keras_samples.MODELS.values(), keras_samples.dictionary])
def test_what_keras_3_wrote_is_loaded_by_it(make: Any, suffix: str, tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    original = with_random_weights(make(keras))
    original.save(tmp_path / f"model{suffix}")
    model, notes = keras_files.load(tmp_path / f"model{suffix}")
    assert (package(model), notes) == ("keras", ())
    assert_same(original, model)


def test_what_keras_3_cannot_read_of_its_own(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    x = keras.Input((3, 4), name="x")
    original = keras.Model(x, keras.layers.Attention(name="attend")([x, x]))
    original.save(tmp_path / "model.h5")
    # Legacy loading takes score_mode="dot" for the function keras.layers.dot; that of Keras 3.5 did not yet.
    model, notes = keras_files.load(tmp_path / "model.h5")
    assert not notes or notes[0].startswith("saved by Keras 3.")
    assert_same(original, model)


def test_a_suffix_may_lie(tmp_path: Path) -> None:
    original = with_random_weights(keras_samples.branching(keras_runtime.keras()))
    for suffix, name in (
        (".h5", "model.bin"),
        (".keras", "model"),
        (".h5", "model.keras"),
        (".h5", "model.weights.h5"),
    ):
        original.save(tmp_path / f"saved{suffix}")
        (tmp_path / f"saved{suffix}").rename(tmp_path / name)
        assert_same(original, keras_files.load(tmp_path / name).model)


def test_words_that_are_not_in_the_file(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    vectors = keras.layers.TextVectorization(name="words")
    vectors.adapt(["a b c", "b c"])
    original = keras.Sequential([keras.Input((1,), dtype="string", name="text"), vectors])
    original.save(tmp_path / "model.keras")
    original.save(tmp_path / "model.h5")
    assert_same(original, keras_files.load(tmp_path / "model.keras").model)
    with pytest.raises(
        errors.ReadError, match=r"the vocabulary of 'words' is not in .*\.h5.*Save the model as \.keras"
    ):
        keras_files.load(tmp_path / "model.h5")


def test_a_subclassed_model_needs_its_class(tmp_path: Path) -> None:
    keras = keras_runtime.keras()

    class Owned(keras.Model):  # type: ignore[misc, name-defined] # keras ships no types
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense = keras.layers.Dense(2, name="dense")

        def call(self, value: Any) -> Any:
            return self.dense(value)

    original = Owned(name="owned")
    original(np.zeros((1, 3), "f"))
    original.save(tmp_path / "model.keras")
    with pytest.raises(errors.ReadError, match=r"subclassed model 'Owned'.*give the live model"):
        keras_files.load(tmp_path / "model.keras")
    # The name is the class's while the user's scope is open, as it is for Keras.
    with keras.saving.custom_object_scope({"Owned": Owned}):
        assert_same(original, keras_files.load(tmp_path / "model.keras").model)


def test_weights_alone_need_their_model(tmp_path: Path) -> None:
    keras_samples.branching(keras_runtime.keras()).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(errors.ReadError, match="weights only: give the model"):
        keras_files.load(tmp_path / "model.weights.h5")


def test_the_process_stays_as_it_was(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    path = tmp_path / "model.keras"
    keras_2_samples.recurrent(keras, None).save(path)
    current = keras_runtime.keras()
    before = (random.getstate(), dict(current.saving.get_custom_objects()), sorted(tmp_path.iterdir()))
    keras_files.load(path)
    with zipfile.ZipFile(path) as archive:
        archive.testzip()
    assert (random.getstate(), dict(current.saving.get_custom_objects()), sorted(tmp_path.iterdir())) == before


def test_the_first_reason_is_readable(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["class_name"] = "Made"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(errors.ReadError, match="Could not locate class 'Made'") as caught:
        keras_files.load(tmp_path / "model.h5")
    assert len(str(caught.value)) < 1200
    assert "\x1b" not in str(caught.value)


# From end to end


def test_a_file_becomes_a_served_model_in_one_line(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    tf = runtime.tensorflow()
    original = with_random_weights(keras_2_samples.shared(keras, tf))
    original.save(tmp_path / "model.h5")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("f")
    expected = [each.numpy() for each in original(x)]
    done = tfmagic.export(tmp_path / "model.h5", tmp_path / "served" / "1")
    assert list(done.verification["equal"]) == [True, True]
    assert any("saved by Keras 2" in note for note in done.notes)
    served = tf.saved_model.load(str(done.path)).signatures["serving_default"](x=tf.constant(x))
    frozen = tfmagic.freeze(tmp_path / "model.h5", output=tmp_path / "model.pb")
    run = frozen.part(tfmagic.models.model.Part.FUNCTION)(None)({"x": x})
    for key, value in zip(("shared", "shared_1"), expected, strict=True):
        np.testing.assert_allclose(served[key], value, atol=1e-6)
        np.testing.assert_allclose(run[key], value, atol=1e-6)


def test_the_magics_take_the_word_of_trust(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    function = eval("lambda x: x * 2", {})  # noqa: S307 - the test's own text
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Lambda(function, name="y")])
    model.save(tmp_path / "model.keras")
    for line in ("export {path} {served}", "freeze {path} -o {served}.pb", "inspect {path} --ops"):
        name, _, rest = line.format(path=tmp_path / "model.keras", served=tmp_path / "served").partition(" ")
        command = declarations.COMMANDS[name]
        with pytest.raises(errors.UntrustedCodeError):
            command.run(command.parse(rest))
        command.run(command.parse(f"{rest} --trust"))
    assert {path.name for path in tmp_path.iterdir()} >= {"served", "served.pb"}


_IN_A_GRAPH = """
import sys, tensorflow as tf, tfmagic
tf.compat.v1.disable_eager_execution()
with tf.Graph().as_default() as graph:
    frozen = tfmagic.freeze(sys.argv[1])
assert not graph.get_operations()
assert not tf.executing_eagerly()
"""


def test_the_users_graph_is_not_built_in(tmp_path: Path, ready_tensorflow: list[str]) -> None:
    keras = pytest.importorskip("tf_keras")
    keras_2_samples.depthwise(keras, None).save(tmp_path / "model.h5")
    subprocess.run([*ready_tensorflow, "-c", _IN_A_GRAPH, str(tmp_path / "model.h5")], check=True)


def test_a_bomb_is_not_unpacked_by_keras(tmp_path: Path) -> None:
    keras_samples.branching(keras_runtime.keras()).save(tmp_path / "good.keras")
    path = tmp_path / "bomb.keras"
    with (
        zipfile.ZipFile(tmp_path / "good.keras") as good,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in good.namelist():
            bomb.writestr(name, bytes(100 << 20) if name == keras_archive.WEIGHTS else good.read(name))
    with pytest.raises(errors.CorruptSourceError, match="zip bomb"):
        keras_files.load(path)


@pytest.mark.corpus
def test_the_corpus_loads_with_its_numbers(corpus: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    refused = {}
    for path in sorted([*corpus.rglob("*.h5"), *corpus.rglob("*.hdf5"), *corpus.rglob("*.keras")]):
        if keras_archive.contents(path).config is None:
            continue
        if path.name == "keras-attention.h5" and version_of("keras") < (3, 15):
            # Attention in two dimensions: Keras 3 took three before.
            continue
        try:
            loaded = keras_files.load(path, trust=True)
        except errors.ReadError as error:
            refused[path.name] = str(error)
            continue
        if package(loaded.model) == "tf_keras":
            # Keras 2 crops to nothing, Keras 3 refuses to.
            assert path.name == "cnn3d_20.h5"
        else:
            assert_same(keras.models.load_model(path, compile=False), loaded.model)
    # Of the 25 with a config: bytecode of Python 2, and arguments of Keras 1 that Keras 2 does not know either.
    assert sorted(refused) == ["bidirectional_lstm_tensorflow_1.h5", "sequential_lambda.h5"]
    assert "is that of another version" in refused["sequential_lambda.h5"]

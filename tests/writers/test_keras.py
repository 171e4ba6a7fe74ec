from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.functions.keras import keras_2_samples
from tests.keras_samples import MODELS, dictionary
from tfmagic import errors, readers
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.export import export
from tfmagic.writers.keras import KerasDraft

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def own_numbers(model: Any) -> list[np.ndarray]:
    """What a model gives for its first inputs: not tfmagic's way of running it."""
    generator = np.random.default_rng(3)
    given = [
        generator.integers(0, 9, [3 if size is None else size for size in one.shape]).astype(
            runtime.tensorflow().as_dtype(one.dtype).name
        )
        for one in model.inputs
    ]
    found = model(given if len(given) > 1 else given[0], training=False)
    return [np.asarray(each) for each in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_live_model_is_saved_and_loaded_by_keras(tmp_path: Path, name: str, suffix: str) -> None:
    keras = keras_runtime.keras()
    model = MODELS[name](keras)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(0, 1, layer.moving_mean.shape[0]))
    done = export(model, tmp_path / f"m{suffix}")
    assert done.format == suffix[1:]
    assert done.verification["max_abs"].tolist() == [0.0] * len(model.outputs)
    loaded = keras.models.load_model(tmp_path / f"m{suffix}")
    for one, other in zip(own_numbers(model), own_numbers(loaded), strict=True):
        np.testing.assert_array_equal(one, other)


def test_keys_come_back(tmp_path: Path) -> None:
    done = export(dictionary(keras_runtime.keras()), tmp_path / "m.keras")
    assert sorted(done.verification["output"]) == ["o", "p"]
    frame = readers.read(tmp_path / "m.keras").signatures
    assert set(frame["key"]) == {"x", "y", "o", "p"}


def test_formats_of_one_model_follow_one_another(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = MODELS["convolutional"](keras)
    export(model, tmp_path / "a.h5")
    export(tmp_path / "a.h5", tmp_path / "b.keras")
    done = export(tmp_path / "b.keras", tmp_path / "c.bin", format="h5")
    assert done.verification["equal"].tolist() == [True]
    loaded = keras.models.load_model(tmp_path / "b.keras")
    np.testing.assert_array_equal(own_numbers(loaded)[0], own_numbers(model)[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.keras", "c.bin"]


@pytest.mark.parametrize("name", ["mobile_net", "convolutional"])
def test_a_file_of_keras_2_becomes_one_of_keras_3(tmp_path: Path, name: str) -> None:
    keras_2 = pytest.importorskip("tf_keras")
    old = MODELS[name](keras_2) if name in MODELS else keras_2_samples.mobile_net(keras_2, runtime.tensorflow())
    old.save(tmp_path / "old.h5")
    done = export(tmp_path / "old.h5", tmp_path / "new.keras")
    assert done.verification["equal"].tolist() == [True]
    loaded = keras_runtime.keras().models.load_model(tmp_path / "new.keras")
    np.testing.assert_allclose(own_numbers(loaded)[0], own_numbers(old)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "part"), [("depthwise", "hard_sigmoid"), ("operations", "TFOpLambda")])
def test_what_keras_3_has_no_word_for_is_refused(tmp_path: Path, name: str, part: str) -> None:
    keras_2 = pytest.importorskip("tf_keras")
    getattr(keras_2_samples, name)(keras_2, runtime.tensorflow()).save(tmp_path / "old.h5")
    with pytest.raises(errors.UnsupportedConversionError, match=rf"{part}.*possible: 'saved_model'"):
        export(tmp_path / "old.h5", tmp_path / "new.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["old.h5"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_of_keras_2_stays_one(tmp_path: Path, suffix: str) -> None:
    keras_2 = pytest.importorskip("tf_keras")
    model = MODELS["branching"](keras_2)
    done = export(model, tmp_path / f"m{suffix}")
    assert done.verification["equal"].tolist() == [True, True]
    assert any("tf_keras" in note for note in done.notes)
    loaded = keras_2.models.load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(own_numbers(loaded)[0], own_numbers(model)[0])


def test_the_optimizer_of_a_live_model_comes_along(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=3, verbose=0)
    export(model, tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert int(loaded.optimizer.iterations) == 3
    model.save(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        done = export(tmp_path / name, tmp_path / "n.keras", overwrite=True)
        assert any("optimizer" in note for note in done.notes)
    # What was loaded from there is not compiled.
    assert not any("optimizer" in note for note in export(tmp_path / "n.keras", tmp_path / "o.keras").notes)


def test_layers_of_ones_own_need_no_registration_to_be_checked(tmp_path: Path) -> None:
    keras = keras_runtime.keras()

    class Tripled(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 3

    done = export(keras.Sequential([keras.Input((3,)), Tripled()]), tmp_path / "m.keras")
    assert done.verification["equal"].tolist() == [True]


def test_a_lambda_of_a_file_needs_trust(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    # The code of a live model runs here already.
    export(model, tmp_path / "m.keras")
    with pytest.raises(errors.UntrustedCodeError, match="trust=True"):
        export(tmp_path / "m.keras", tmp_path / "m.h5")
    assert not (tmp_path / "m.h5").exists()
    for name in ("m.h5", "n.keras"):
        done = export(tmp_path / "m.keras", tmp_path / name, trust=True)
        assert done.verification["equal"].tolist() == [True]
        loaded = keras.models.load_model(tmp_path / name, safe_mode=False)
        np.testing.assert_array_equal(loaded(np.ones((2, 3))), np.full((2, 3), 2.0))


@pytest.mark.parametrize(
    ("option", "value"),
    [("signature", "mine"), ("tags", "serve"), ("outputs", ["p"]), ("method", "predict"), ("signatures", {"s": {}})],
)
def test_options_without_a_meaning_are_refused(tmp_path: Path, option: str, value: Any) -> None:
    with pytest.raises(errors.ConversionError, match=rf"'{option}' cannot be written as 'keras'"):
        export(dictionary(keras_runtime.keras()), tmp_path / "m.keras", **{option: value})
    assert list(tmp_path.iterdir()) == []


def test_what_hdf5_does_not_hold_is_refused(tmp_path: Path) -> None:
    keras = keras_runtime.keras()

    class Mine(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    own = Mine()
    own(np.ones((1, 3)))
    words = keras.layers.StringLookup(vocabulary=["a", "b"], name="words")
    for model, reason in (
        (own, "subclassed"),
        (keras.Sequential([keras.Input((1,), dtype="string"), words]), "vocabulary of 'words'"),
    ):
        with pytest.raises(errors.UnsupportedConversionError, match=rf"{reason}.*possible: 'keras', 'saved_model'"):
            export(model, tmp_path / "m.h5")
    assert list(tmp_path.iterdir()) == []


def test_what_keras_cannot_save_leaves_nothing(tmp_path: Path) -> None:
    keras = keras_runtime.keras()

    class Unsaved(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

        def get_config(self) -> Any:
            raise RuntimeError("no config, on purpose")

    with pytest.raises(errors.ConversionError, match="on purpose") as caught:
        export(keras.Sequential([keras.Input((3,)), Unsaved()]), tmp_path / "new" / "m.keras")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_of_a_live_model_that_does_not_load_again_another_format_is_named(tmp_path: Path) -> None:
    keras = keras_runtime.keras()

    class Forgetful(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

        @classmethod
        def from_config(cls, _config: Any) -> Any:
            raise ValueError("nothing is known")

    model = keras.Sequential([keras.Input((2,)), Forgetful()])
    with pytest.raises(errors.ConversionError, match=r"nothing is known.*export to another format") as refused:
        export(model, tmp_path / "m.keras")
    assert "live model" not in str(refused.value)


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    (tmp_path / "m.bin").write_text("old")
    monkeypatch.setattr(KerasDraft, "load", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path / "m.bin", format="keras", overwrite=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("m.bin", "old")]


def test_keras_advice_about_hdf5_is_not_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keras = keras_runtime.keras()
    with caplog.at_level(logging.WARNING):
        export(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), tmp_path / "m.h5")
    assert caplog.records == []


def test_a_model_is_compiled_as_before_after_hdf5(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    inputs = keras.layers.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse")
    before = model.get_compile_config()
    export(model, tmp_path / "m.h5")
    assert model.get_compile_config() == before


@pytest.mark.parametrize("bit", [1, 0])
def test_a_weight_that_is_off_by_its_last_bit_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bit: int
) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(300), keras.layers.Dense(2)])
    content = model.layers[0].kernel.numpy().tobytes()
    write = KerasDraft.write

    def spoiled(self: KerasDraft, path: Path) -> None:
        write(self, path)
        data = bytearray(path.read_bytes())
        data[data.index(content)] ^= bit
        path.write_bytes(data)

    monkeypatch.setattr(KerasDraft, "write", spoiled)
    if not bit:
        assert export(model, tmp_path / "m.h5").verification["equal"].tolist() == [True]
        return
    with pytest.raises(errors.ConversionError, match=r"the weight '.*kernel' is another in what was written"):
        export(model, tmp_path / "m.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_of_low_rank_are_written_as_their_sum(tmp_path: Path, suffix: str) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 8), np.float32))
    done = export(model, tmp_path / f"m{suffix}")
    assert done.verification["equal"].tolist() == [True]

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests import keras_samples
from tfmagic import errors, functions, readers
from tfmagic.models.model import Part
from tfmagic.readers import keras_model
from tfmagic.runtime import keras as keras_runtime

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

pytestmark = pytest.mark.tensorflow

SAMPLES = ["branching", "recurrent", "convolutional", "dictionary"]


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def either_keras(request: pytest.FixtureRequest) -> Any:
    """Keras 3 and Keras 2 in turn."""
    pytest.importorskip("tensorflow")
    return pytest.importorskip(request.param)


def comparable(layers: pd.DataFrame) -> pd.DataFrame:
    return layers.drop(columns="trainable").astype(str)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_live_model_has_the_tables_of_its_file(either_keras: Any, sample: str, tmp_path: Path) -> None:
    live = getattr(keras_samples, sample)(either_keras)
    live.save(tmp_path / "m.keras")
    model, file = readers.read(live), readers.read(tmp_path / "m.keras")
    assert model.form == "keras_model"
    assert comparable(model.layers).equals(comparable(file.layers))
    columns = ["signature", "method", "side", "key", "dtype", "shape"]
    assert model.signatures[columns].to_numpy().tolist() == file.signatures[columns].to_numpy().tolist()
    assert model.variables["size"].sum() >= file.variables[~file.variables["name"].str.contains("vars/")]["size"].sum()


def test_all_parts_are_there_and_agree(either_keras: Any) -> None:
    live = keras_samples.branching(either_keras)
    model = readers.read(live)
    assert model.parts == ("graph", "signatures", "variables", "function", "keras")
    assert model.origin == f"{either_keras.__name__}.Model {live.name!r}"
    function = model.part(Part.FUNCTION)()
    assert [end.key for end in function.inputs] == ["left", "right"]
    tensors = dict(zip(model.signatures["key"], model.signatures["tensor"], strict=True))
    assert tensors == {end.key: end.tensor for end in (*function.inputs, *function.outputs)}
    nodes = set(model.ops["name"])
    assert {tensor.partition(":")[0] for tensor in tensors.values()} <= nodes
    assert "Identity" not in nodes
    assert (model.ops["shape"][model.ops["name"] == "score"].tolist()) == [(None, 1)]
    assert not model.notes
    assert "score" in repr(model)


def test_variables_are_named_by_their_paths() -> None:
    keras = pytest.importorskip("keras")
    live = keras_samples.branching(keras)
    rows = readers.read(live).variables
    assert set(rows["name"]) == {one.path for one in live.variables}
    assert list(rows.set_index("name").loc["shared/kernel"]) == ["float32", (8, 4), 32, 128, True]
    assert not rows.set_index("name").loc["logits/kernel", "trainable"]


def test_a_model_in_a_model_lists_its_layers_below_it() -> None:
    keras = pytest.importorskip("keras")
    inner = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="d")], name="inner")
    middle_in = keras.Input((3,), name="m")
    middle = keras.Model(middle_in, inner(middle_in), name="middle")
    middle.trainable = False
    outer_in = keras.Input((3,), name="x")
    layers = readers.read(keras.Model(outer_in, middle(outer_in) + 1.0)).layers.set_index("name")
    assert "middle/inner/d" in layers.index
    assert list(layers.loc["middle/inner/d", ["class", "inputs", "outputs", "shape", "parameters", "bytes"]]) == [
        "Dense", (layers.index[layers.index.str.startswith("middle/inner/input")][0],), (), (None, 2), 8, 32,
    ]  # fmt: skip
    assert layers.loc["middle/inner/d", "trainable"] is False
    (added,) = layers[layers["class"] == "Add"].to_dict("records")
    assert (added["inputs"], added["parameters"], added["trainable"]) == (("middle",), 0, None)


def test_a_subclassed_model_shows_what_keras_knows() -> None:
    keras: Any = pytest.importorskip("keras")

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="net")
            self.dense = keras.layers.Dense(2, name="d")

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    live = Net()
    model = readers.read(live)
    assert model.origin == "keras.Model 'net' (Net)"
    assert "not built" in model.notes[0]
    assert model.layers[["name", "class"]].to_numpy().tolist() == [["d", "Dense"]]
    assert model.layers["parameters"].isna().all()
    assert model.variables.empty
    with pytest.raises(errors.MissingPartError, match="call it once on data"):
        _ = model.ops
    assert "not built" in repr(model)
    live(np.ones((2, 3), "float32"))
    assert readers.read(live).signatures[["side", "key", "shape"]].to_numpy().tolist() == [
        ["input", "inputs", (None, 3)],
        ["output", "net", (None, 2)],
    ]


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_model_built_without_eager_execution_is_shown_but_not_converted(
    library: str, ready_tensorflow: list[str]
) -> None:
    pytest.importorskip(library)
    program = f"""
        import tensorflow as tf
        tf.compat.v1.disable_eager_execution()
        import {library} as keras
        from tfmagic import errors, functions, readers
        from tfmagic.models.model import Part
        model = keras.Sequential([keras.layers.Input((3,), name="x"), keras.layers.Dense(2, name="o")])
        assert readers.read(model).signatures["key"].tolist() == ["x", "o"]
        assert len(readers.read(model).variables) == 2
        try:
            readers.read(model).part(Part.FUNCTION)()
        except errors.ConversionError as error:
            assert "session" in str(error)
        else:
            raise AssertionError
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*ready_tensorflow, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_other_keys_are_refused() -> None:
    keras = pytest.importorskip("keras")
    live = keras_samples.branching(keras)
    with pytest.raises(errors.UnknownNameError, match="'serving_default'"):
        readers.read(live).part(Part.FUNCTION)("serving")


def test_values_of_another_backend_need_no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    variable = SimpleNamespace(numpy=lambda: np.arange(3.0))
    values = keras_model.live_values("kernel", {"kernel": variable})
    np.testing.assert_array_equal(np.concatenate(list(values.blocks())), [0, 1, 2])


def test_values_are_those_that_variables_have_now_and_listing_them_is_not_paid_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="d"), keras.layers.Dense(2)])
    read = readers.read(model)
    kernel, *others = read.variable_rows()
    listings = []
    variables = functions.keras_models.variables

    def counted(listed: Any) -> Any:
        listings.append(listed)
        return variables(listed)

    monkeypatch.setattr(functions.keras_models, "variables", counted)

    def first(row: Any) -> float:
        return float(next(iter(read.values(row).blocks()))[0])  # type: ignore[misc]

    for row in (kernel, *others):
        first(row)
    assert len(listings) == 1
    model.layers[0].kernel.assign(np.full((3, 2), 5.0))
    assert first(kernel) == 5
    if hasattr(model.layers[0], "quantize"):
        # This makes another variable of the same name; the first versions of Keras 3 do not know it.
        model.layers[0].quantize("int8")
        assert first(kernel) == 127

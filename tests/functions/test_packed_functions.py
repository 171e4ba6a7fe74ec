"""Several functions and models packed into one ``tf.function``: frozen, and its layers, inputs and outputs shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
TEXTS = np.array(["  The CAT sat ", "a dog", "nothing known"], dtype=object)


def models() -> tuple[Any, Any]:
    """One that reads words with a table, and one that judges what it gives."""
    keras = keras_runtime.keras()
    words = keras.layers.TextVectorization(output_sequence_length=4, name="words")
    words.adapt(["the cat sat", "a dog"])
    encoder = keras.Sequential(
        [
            keras.Input((), dtype="string", name="text"),
            words,
            keras.layers.Embedding(10, 4, name="meaning"),
            keras.layers.GlobalAveragePooling1D(name="mean"),
        ],
        name="encoder",
    )
    drop = keras.layers.Dropout(0.9, name="drop")
    return encoder, keras.Sequential([keras.Input((4,)), drop, keras.layers.Dense(3, name="scores")], name="head")


def packed() -> tuple[Any, Any]:
    """The packed function, and the same computed piece by piece."""
    tf = runtime.tensorflow()
    encoder, head = models()
    offset = tf.Variable([0.5, -0.5, 0.0], name="offset")

    @tf.function  # type: ignore[untyped-decorator]
    def shifted(scores: Any) -> Any:
        return scores + offset

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None], tf.string, "sentences"), tf.TensorSpec([], tf.float32, "weight")]
    )
    def whole(sentences: Any, weight: Any) -> Any:
        vectors = encoder(tf.strings.lower(tf.strings.strip(sentences)), training=False)
        return {"scores": shifted(head(vectors, training=False)) * weight, "a_vector": vectors}

    def by_hand(weight: float) -> np.ndarray:
        clean = [text.strip().lower() for text in TEXTS]
        found = head(encoder(tf.constant(clean)), training=False).numpy() + offset.numpy()
        return np.asarray(found * weight)

    return whole, by_hand


@pytest.mark.parametrize("name", ["m.pb", "m.pbtxt"])
def test_it_freezes_to_one_file_that_needs_nothing_else(tmp_path: Path, name: str) -> None:
    whole, by_hand = packed()
    frozen = tfmagic.freeze(whole, output=tmp_path / name)
    assert frozen.signatures[["side", "key", "dtype", "shape"]].to_numpy().tolist() == [
        ["input", "sentences", "string", (None,)],
        ["input", "weight", "float32", ()],
        ["output", "a_vector", "float32", (None, 4)],
        ["output", "scores", "float32", (None, 3)],
    ]
    # The layers of both models are there by name; dropout leaves nothing.
    parts = {part.rpartition("_1")[0] or part for op in frozen.ops["name"] for part in op.split("/")}
    assert {"encoder", "words", "meaning", "mean", "head", "scores"} <= parts
    assert not set(frozen.ops["op"]) & {"VarHandleOp", "ReadVariableOp", "RandomUniform", "Placeholder_1"}
    assert not any("not verified" in note for note in frozen.notes)
    if name == "m.pb":
        tf = runtime.tensorflow()
        graph_def = tf.compat.v1.GraphDef.FromString((tmp_path / name).read_bytes())
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.import_graph_def(graph_def, name="")
            found = session.run("scores:0", {"sentences:0": TEXTS, "weight:0": 2.0})
        np.testing.assert_allclose(found, by_hand(2.0), rtol=1e-5, atol=1e-6)


def test_its_layers_inputs_and_outputs_are_shown_without_freezing() -> None:
    whole, _ = packed()
    model = tfmagic.inspect(whole)
    # In the order in which the function takes and returns them.
    assert model.signatures["key"].tolist() == ["sentences", "weight", "scores", "a_vector"]
    assert {"LookupTableFindV2", "MatMul"} <= set(model.ops["op"])
    assert "offset" in set(model.variables["name"])

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors, readers
from tfmagic.models.model import Part
from tfmagic.verbs.export import export
from tfmagic.verbs.freeze import freeze

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfmagic.models.model import Model

pytestmark = pytest.mark.tensorflow
X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
WORDS = np.array(["b", "a", "?", "b"])


def run(model: Model, **inputs: Any) -> Mapping[str, np.ndarray]:
    found: Mapping[str, np.ndarray] = model.part(Part.FUNCTION)(None)(inputs)
    return found


@pytest.fixture(scope="module", params=["V1", "V2"])
def training(request: pytest.FixtureRequest, tf: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A training's checkpoint: an input queue, a partitioned variable, a table, an optimizer, summaries."""
    v1 = tf.compat.v1
    prefix = tmp_path_factory.mktemp("training") / "model.ckpt"
    with tf.Graph().as_default(), v1.Session() as session:
        queue = tf.queue.FIFOQueue(8, [tf.float32, tf.string], [[2], []])
        queue.enqueue_many([X, WORDS])
        x, words = queue.dequeue_many(4, name="batch")
        x, words = tf.identity(x, name="x"), tf.identity(words, name="words")
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), -1.0)
        weight = v1.get_variable("w", [2, 3], partitioner=v1.fixed_size_partitioner(2))
        bias = v1.get_variable("b", [3], initializer=v1.ones_initializer(), use_resource=True)
        inner = tf.matmul(x, tf.concat(list(weight), 0), name="inner")
        y = tf.identity(inner + bias + table.lookup(words)[:, None], name="y")
        loss = tf.reduce_sum(y**2, name="loss")
        v1.summary.scalar("loss", loss)
        v1.summary.merge_all()
        v1.train.AdamOptimizer().minimize(loss)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        version = v1.train.SaverDef.V1 if request.param == "V1" else v1.train.SaverDef.V2
        v1.train.Saver(write_version=version).save(session, str(prefix))
        expected = session.run([y, inner], {x: X, words: WORDS})
    return {"meta": prefix.with_name("model.ckpt.meta"), "y": expected[0], "inner": expected[1]}


INPUTS = ["x", "words:0"]


def test_a_training_is_frozen_between_named_ends(training: dict[str, Any], tmp_path: Path) -> None:
    result = freeze(training["meta"], inputs=INPUTS, outputs={"score": "y"}, output=tmp_path / "m.pb")
    assert result.notes == ()  # straight from the files, and verified
    assert result.signatures["key"].tolist() == ["words", "x", "score"]
    np.testing.assert_allclose(run(result, x=X, words=WORDS)["score"], training["y"], rtol=1e-6)
    left = {"QueueDequeueManyV2", "MergeSummary", "ApplyAdam", "ResourceApplyAdam", "SaveV2", "RestoreV2", "VariableV2"}
    assert not left & set(result.ops["op"])


def test_a_training_becomes_a_saved_model(training: dict[str, Any], tmp_path: Path) -> None:
    done = export(training["meta"], tmp_path / "m", inputs={"x": "x:0", "word": "words"}, outputs=["y", "inner"])
    assert done.verification["equal"].tolist() == [True, True]
    found = readers.read(tmp_path / "m")
    # The partitions are slices of one tensor, as a Saver has them; the optimizer's are left behind.
    assert sorted(found.variables["shape"]) == [(2, 3), (3,)]
    result = run(found, x=X, word=WORDS)
    np.testing.assert_allclose(result["y"], training["y"], rtol=1e-6)
    np.testing.assert_allclose(result["inner"], training["inner"], rtol=1e-6)


def test_what_the_ends_do_not_need_need_not_be_there(training: dict[str, Any], tmp_path: Path) -> None:
    shutil.copy(training["meta"], tmp_path)
    meta = tmp_path / training["meta"].name
    with pytest.raises(errors.ConversionError, match="no checkpoint with their values lies beside it"):
        freeze(meta, inputs=INPUTS, outputs=["y"])
    result = freeze(meta, inputs=["y"], outputs=["loss"])
    assert run(result, y=np.ones((2, 3)))["loss"] == 6


def test_the_wrong_checkpoint_is_told(tf: Any, training: dict[str, Any], tmp_path: Path) -> None:
    shutil.copy(training["meta"], tmp_path)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"), tensor_names=["b"], shape_and_slices=[""], tensors=[tf.ones([3])]
    )
    with pytest.raises(errors.ConversionError, match=r"has no value for the variables 'w/part_0', 'w/part_1'"):
        freeze(tmp_path / "model.ckpt.meta", inputs=INPUTS, outputs=["y"])


def test_names_that_are_wrong(training: dict[str, Any]) -> None:
    with pytest.raises(errors.UnknownNameError, match="did you mean 'words"):
        freeze(training["meta"], inputs=["x", "word"], outputs=["y"])
    with pytest.raises(errors.ConversionError, match="no output is named"):
        freeze(training["meta"], inputs=INPUTS, outputs=[])


def test_a_queue_at_the_beginning_is_told(training: dict[str, Any]) -> None:
    with pytest.raises(errors.ConversionError, match=r"a queue or an iterator.*inputs=\['batch:0', 'batch:1'\]"):
        freeze(training["meta"], outputs=["y"])


def test_an_input_that_is_left_out_is_told(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x, rate = v1.placeholder(tf.float32, [None], "x"), v1.placeholder(tf.float32, [], "rate")
        tf.multiply(x, rate, name="y")
        v1.train.export_meta_graph(str(tmp_path / "m.meta"), graph=graph)
    with pytest.raises(errors.ConversionError, match="also need 'rate', which is not among the inputs 'x'"):
        freeze(tmp_path / "m.meta", inputs=["x"], outputs=["y"])


def test_moving_averages_and_proposed_ends(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        target = v1.placeholder(tf.float32, [None, 1], name="target")
        y = tf.identity(tf.matmul(x, v1.get_variable("w", [2, 1])) + v1.get_variable("b", [1]), name="y")
        average = v1.train.ExponentialMovingAverage(0.5)
        train = v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean((y - target) ** 2, name="loss"))
        with tf.control_dependencies([train]):
            update = average.apply(v1.trainable_variables())
        session.run(v1.global_variables_initializer())
        before = session.run(y, {x: X})
        session.run(update, {x: X, target: np.ones((4, 1))})
        saver = v1.train.Saver(average.variables_to_restore())
        saver.save(session, str(tmp_path / "model"))
        saver.restore(session, str(tmp_path / "model"))
        expected = session.run(y, {x: X})
    assert not np.allclose(before, expected)
    # The averages are what a restore puts into the variables; the names alone would say otherwise.
    found = freeze(tmp_path / "model.meta", outputs=["y"])
    np.testing.assert_allclose(run(found, x=X)["y"], expected, rtol=1e-5)
    loaded = readers.read(tmp_path / "model.meta").part(Part.FUNCTION)(None, outputs={"y": "y:0"}, inputs={"x": "x:0"})
    np.testing.assert_allclose(loaded({"x": X})["y"], expected, rtol=1e-5)
    proposed = freeze(tmp_path / "model.meta")
    assert set(proposed.signatures.query("side == 'input'")["key"]) == {"x", "target"}


def test_a_signature_of_its_own_counts(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="a/placeholder")
        y = tf.multiply(x, v1.get_variable("w", initializer=3.0), name="b/product")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "m"))
        meta = v1.train.export_meta_graph()
        signature = v1.saved_model.predict_signature_def({"given": x}, {"wanted": y})
    meta.signature_def["serving_default"].CopyFrom(signature)
    (tmp_path / "m.meta").write_bytes(meta.SerializeToString())
    for result in (freeze(tmp_path / "m.meta"), readers.read(tmp_path / "m.meta")):
        np.testing.assert_array_equal(run(result, given=[1.0, 2.0])["wanted"], [3, 6])
    renamed = freeze(tmp_path / "m.meta", inputs={"x": "given"}, outputs={"y": "wanted"})
    np.testing.assert_array_equal(run(renamed, x=[1.0])["y"], [3])

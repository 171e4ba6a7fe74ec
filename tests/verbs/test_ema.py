"""Moving averages in the place of weights: wherever they are kept, and the source stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.commands import magic_lines
from tfmagic.shell import command_line
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.tensorflow

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
RAW, AVERAGE = np.array([[3.0], [5.0]], np.float32), np.array([[2.0], [3.0]], np.float32)


@pytest.fixture(params=["reference", "resource"])
def session(request: pytest.FixtureRequest, tf: Any) -> Iterator[Any]:
    """A session with a weight that was 1 and is 3, say, whose average is 2; another weight has none."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as own:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        is_resource = request.param == "resource"
        weight = v1.get_variable("w", initializer=np.ones((2, 1), np.float32), use_resource=is_resource)
        bias = v1.get_variable("b", initializer=np.zeros(1, np.float32), use_resource=is_resource)
        tf.identity(tf.matmul(x, weight) + bias, name="y")
        average = v1.train.ExponentialMovingAverage(0.5)
        update = average.apply([weight])
        own.run([weight.initializer, bias.initializer])
        own.run(v1.global_variables_initializer())
        weight.load(RAW, own)
        own.run(update)
        np.testing.assert_allclose(own.run(average.average(weight)), AVERAGE)
        yield own


def outputs(source: Any) -> np.ndarray:
    (only,) = tfmagic.run(source, {"x": X}).outputs.values()
    return np.asarray(only)


ENDS: dict[str, Any] = {"inputs": ["x"], "outputs": ["y"]}
SIGNED: Any = {"f": {"inputs": {"x": "x"}, "outputs": {"y": "y"}}}


def test_of_a_session_that_keeps_its_weights(session: Any, tf: Any, tmp_path: Path) -> None:
    before = len(session.graph.get_operations())
    frozen = tfmagic.freeze(session, **ENDS, ema=True)
    assert "moving-averages" not in {each.code for each in frozen.cautions}
    assert any("'w'" in note for note in frozen.notes)
    exported = tfmagic.export(session, tmp_path / "m", signatures=SIGNED, ema=True)
    assert exported.verification["equal"].all()
    for result in (frozen, tmp_path / "m"):
        np.testing.assert_allclose(outputs(result), X @ AVERAGE, rtol=1e-6)
    (weight,) = (each for each in tf.compat.v1.trainable_variables() if each.op.name == "w")
    np.testing.assert_allclose(session.run(weight), RAW)
    assert len(session.graph.get_operations()) == before
    raw = tfmagic.freeze(session, **ENDS)
    np.testing.assert_allclose(outputs(raw), X @ RAW, rtol=1e-6)
    assert "moving-averages" in {each.code for each in raw.cautions}


def test_of_a_checkpoint_and_what_becomes_of_it(session: Any, tf: Any, tmp_path: Path) -> None:
    tf.compat.v1.train.Saver().save(session, str(tmp_path / "c"))
    frozen = tfmagic.freeze(tmp_path / "c.meta", **ENDS, ema=True, output=tmp_path / "f.pb")
    np.testing.assert_allclose(outputs(frozen), X @ AVERAGE, rtol=1e-6)
    tfmagic.export(tmp_path / "c.meta", tmp_path / "m", signatures=SIGNED, ema=True)
    np.testing.assert_allclose(outputs(tmp_path / "m"), X @ AVERAGE, rtol=1e-6)
    tfmagic.export(tmp_path / "c.meta", tmp_path / "m.tflite", signatures=SIGNED, ema=True)
    np.testing.assert_allclose(outputs(tmp_path / "m.tflite"), X @ AVERAGE, rtol=1e-5)
    # What was written holds the averages as its weights, and nothing beside them.
    assert set(tfmagic.inspect(tmp_path / "m").variables["name"]) == {"w", "b"}
    with pytest.raises(errors.ConversionError, match="leave it out"):
        tfmagic.export(tmp_path / "c.meta", tmp_path / "n.ckpt", ema=True)
    assert not (tmp_path / "n.ckpt.index").exists()


def test_of_a_saved_model_of_tensorflow_1(session: Any, tf: Any, tmp_path: Path) -> None:
    graph = session.graph
    ends = [{name: graph.get_tensor_by_name(f"{name}:0")} for name in ("x", "y")]
    tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "m"), *ends)
    assert tfmagic.inspect(tmp_path / "m").cautions[0].code == "moving-averages"
    exported = tfmagic.export(tmp_path / "m", tmp_path / "n", ema=True)
    assert exported.verification["equal"].all()
    for result in (tfmagic.freeze(tmp_path / "m", ema=True), tmp_path / "n"):
        np.testing.assert_allclose(outputs(result), X @ AVERAGE, rtol=1e-6)
    np.testing.assert_allclose(outputs(tmp_path / "m"), X @ RAW, rtol=1e-6)


def test_of_a_saved_model_of_objects(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.kernel = tf.Variable(RAW, name="w")
    module.shadow = tf.Variable(AVERAGE, name="w/ExponentialMovingAverage", trainable=False)
    module.f = tf.function(lambda x: {"y": x @ module.kernel}, [tf.TensorSpec([None, 2], name="x")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"f": module.f})
    assert [each.code for each in tfmagic.inspect(tmp_path / "m").cautions] == ["moving-averages"]
    exported = tfmagic.export(tmp_path / "m", tmp_path / "n", ema=True)
    assert exported.verification["equal"].all()
    for result in (tfmagic.freeze(tmp_path / "m", ema=True), tmp_path / "n"):
        np.testing.assert_allclose(outputs(result), X @ AVERAGE, rtol=1e-6)
    np.testing.assert_allclose(outputs(tmp_path / "m"), X @ RAW, rtol=1e-6)


@pytest.fixture
def trained() -> tuple[Any, np.ndarray]:
    """A Keras model whose optimizer keeps averages, and what it gives with them in the place of its weights."""
    import keras  # noqa: PLC0415 - seconds for this test only

    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(3), keras.layers.Dense(1, name="y")])
    net.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    for _ in range(3):
        net.train_on_batch(X, np.ones((4, 1), np.float32))
    own = net.get_weights()
    net.optimizer.finalize_variable_values(net.trainable_variables)
    averaged = net.predict(X, verbose=0)
    net.set_weights(own)
    assert not np.allclose(averaged, net.predict(X, verbose=0))
    return net, averaged


def test_of_a_keras_optimizer_live_and_in_files(trained: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    net, averaged = trained
    own = net.get_weights()
    paths = [tmp_path / "m.keras", tmp_path / "m.h5"]
    for path in paths:
        net.save(path)
    for source in (net, *paths):
        assert "moving-averages" in {each.code for each in tfmagic.inspect(source).cautions}
        frozen = tfmagic.freeze(source, ema=True)
        np.testing.assert_allclose(outputs(frozen), averaged, rtol=1e-5)
        assert "moving-averages" not in {each.code for each in frozen.cautions}
    exported = tfmagic.export(net, tmp_path / "n.keras", ema=True)
    assert exported.verification["equal"].all()
    np.testing.assert_allclose(outputs(tmp_path / "n.keras"), averaged, rtol=1e-5)
    for mine, before in zip(net.get_weights(), own, strict=True):
        np.testing.assert_array_equal(mine, before)
    net.optimizer.finalize_variable_values(net.trainable_variables)
    net.save(paths[0])
    for source in (net, paths[0]):
        assert "moving-averages" not in {each.code for each in tfmagic.inspect(source).cautions}


def test_where_there_are_none_nothing_is_written(tf: Any, tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - as above

    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    net.save(tmp_path / "m.keras")
    net.export(tmp_path / "m")
    module = tf.function(lambda x: x, [tf.TensorSpec([None])])
    for source in (net, tmp_path / "m.keras", tmp_path / "m", module):
        with pytest.raises(errors.ConversionError, match=r"averages.*leave"):
            tfmagic.freeze(source, output=tmp_path / "f.pb", ema=True)
    assert not (tmp_path / "f.pb").exists()


def test_the_magic_the_shell_and_the_plan(
    session: Any, tf: Any, shell: InteractiveShell, in_tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tf.compat.v1.train.Saver().save(session, str(in_tmp_path / "c"))
    frozen = shell.run_line_magic("tf_freeze", "c.meta --outputs y --inputs x --ema")
    np.testing.assert_allclose(outputs(frozen), X @ AVERAGE, rtol=1e-6)
    assert command_line.run(["freeze", "c.meta", "--outputs", "y", "--inputs", "x", "--ema", "-o", "f.pb"]) == 0
    np.testing.assert_allclose(outputs(in_tmp_path / "f.pb"), X @ AVERAGE, rtol=1e-6)
    assert (
        command_line.run(["export", "c.meta", "m", "--input", "x=x", "--output", "y=y", "--ema", "--as", "json"]) == 0
    )
    assert '"losses"' in capsys.readouterr().out
    np.testing.assert_allclose(outputs(in_tmp_path / "m"), X @ AVERAGE, rtol=1e-6)
    model = tfmagic.inspect(in_tmp_path / "c.meta")
    names = plan_names.Names(plan_names.signed(model))
    request = Request("graph_def", "g.pb", inputs="x=x", outputs="y=y", ema=True)
    assert "ema" in conversion_plan.options_of("graph_def", model)
    plan = conversion_plan.plan(model, request, names)
    assert not plan.problems
    assert not any("--ema" in line for line in plan.cautions)
    assert "--ema" in magic_lines.line(request, "c.meta")
    checkpoint = conversion_plan.plan(model, Request("checkpoint", "g.ckpt", ema=True), names)
    assert [problem.field for problem in checkpoint.problems] == ["ema"]
    with pytest.raises(errors.UnsupportedConversionError, match="Saver"):
        tfmagic.code("freeze", model, "g.pb", ema=True)

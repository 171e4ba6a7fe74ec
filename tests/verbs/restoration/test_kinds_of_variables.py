"""Variables that are no plain ones: copied, cut in parts, quantised, states; held against stock."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.verbs.restoration import mirrored_values
from tfmagic.verbs.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers
ROOT = Path(__file__).parents[3]


def restored_by_stock(model: Any, path: str) -> None:
    if path.rpartition(".")[2] in ("h5", "keras"):
        model.load_weights(path)
    else:
        tf.train.Checkpoint(net=model).restore(path)


def saved(model: Any, kind: str, directory: Path) -> str:
    path = str(directory / f"m.{kind}")
    if kind == "ckpt":
        return str(tf.train.Checkpoint(net=model).save(path))
    (model.save_weights if kind == "weights.h5" else model.save)(path)
    return path


def numbered(model: Any, start: int) -> Any:
    """Give a model values that tell its variables from each other, within eight bits."""
    for number, variable in enumerate(model.variables):
        size = int(np.prod(variable.shape))
        numbers = (np.arange(size) + start + 7 * number) % 100
        variable.assign(numbers.reshape(variable.shape).astype(variable.dtype))
    return model


# Copied


def test_every_copy_of_a_strategys_variables_has_the_value_that_stock_gives_it(
    tmp_path: Path, ready_tensorflow: list[str]
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*ready_tensorflow, "-m", mirrored_values.__name__, str(tmp_path), str(tmp_path / "values.json")]
    subprocess.run(command, check=True, env=environment, timeout=300)
    values = json.loads((tmp_path / "values.json").read_text(encoding="utf-8"))
    weights = 6
    for kind in mirrored_values.KINDS:
        ours, stock = values[kind]["ours"], values[kind]["stock"]
        assert [len(copies) for copies in ours[:weights]] == [2] * weights
        assert ours[:weights] == stock[:weights] == [copies * 2 for copies in values["source"][:weights]], kind
        # Keras restores an optimizer's state from an .h5 file when it loads the whole model.
        assert ours == [copies * len(ours[number]) for number, copies in enumerate(values["source"])], kind
        assert ours == stock or kind == "h5", kind
        assert values[kind]["status"] == ["matched"], kind
    # What is summed up when it is read is shared out when it is assigned.
    ours, stock = values["modules"]
    assert ours == stock == [[[5.0, 5.0]] * 2, [4.0, 4.0]]
    assert values["rows"] == len(ours)


# Cut in parts


def sharded(start: float) -> Any:
    from tensorflow.python.distribute import sharded_variable  # noqa: PLC0415 - no public name makes one by hand

    module = tf.Module()
    parts = [tf.Variable(np.arange(4.0).reshape(2, 2) + start), tf.Variable([[start, start + 9]], dtype=tf.float64)]
    module.table = sharded_variable.ShardedVariable(parts, name="table")
    module.bias = tf.Variable(start)
    return module


def test_a_sharded_variable_takes_its_value_as_a_whole(tmp_path: Path) -> None:
    source, target, stock = sharded(1.0), sharded(50.0), sharded(70.0)
    path = tf.train.Checkpoint(held=source).save(str(tmp_path / "m"))
    tf.train.Checkpoint(held=stock).restore(path)
    table = restore(target, path)
    assert table["variable"].tolist() == ["bias", "table"]
    assert set(table["status"]) == {"matched"}
    for module in (target, stock):
        for mine, other in zip(module.table.variables, source.table.variables, strict=True):
            np.testing.assert_array_equal(mine, other)


def partitioned(parts: int, start: float) -> tuple[Any, Any]:
    """Open a session with a variable in parts, and its Saver."""
    v1 = tf.compat.v1

    def rows(shape: Any, partition_info: Any, **_options: Any) -> Any:
        first = partition_info.var_offset[0]
        return tf.constant(np.arange(10.0).reshape(5, 2)[first : first + shape[0]] + start, tf.float32)

    with tf.Graph().as_default() as graph:
        whole = v1.get_variable("whole", [5, 2], initializer=rows, partitioner=v1.fixed_size_partitioner(parts))
        tf.concat(list(whole), 0, name="value")
        saver, session = v1.train.Saver(), v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return session, saver


def test_a_partitioned_variable_takes_its_pieces_of_one_cut_otherwise(tmp_path: Path) -> None:
    (source, saver), (target, _), (stock, stock_saver) = partitioned(2, 1.0), partitioned(3, 50.0), partitioned(3, 70.0)
    with source.graph.as_default():
        path = saver.save(source, str(tmp_path / "m"), write_meta_graph=False)
    with stock.graph.as_default():
        stock_saver.restore(stock, path)
    assert restore(target, path)["checkpoint_key"].tolist() == ["whole"] * 3
    np.testing.assert_array_equal(target.run("value:0"), stock.run("value:0"))
    np.testing.assert_array_equal(target.run("value:0"), source.run("value:0"))


# States


@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional], ids=["plain", "bidirectional"])
def test_the_states_of_recurrent_layers_come_back_where_stock_brings_them(
    wrap: Callable[[Any], Any], tmp_path: Path
) -> None:
    """A checkpoint of objects has them; Keras' own files do not, and leave them as they are."""

    def built() -> Any:
        recurrent = layers.LSTM(3, return_sequences=True, stateful=True), layers.GRU(2, stateful=True)
        return keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), *map(wrap, recurrent)])

    def states(model: Any) -> list[Any]:
        below = {id(part): part for layer in model.layers for part in layer._flatten_layers()}.values()
        recurrent = [part for part in below if isinstance(part, layers.RNN)]
        return [state.numpy() for part in recurrent for state in part.states]

    rng = np.random.default_rng(0)
    source = built()
    source(rng.random((2, 4, 3)).astype(np.float32))
    for kind in ("ckpt", "weights.h5"):
        target, stock, data = built(), built(), rng.random((2, 4, 3)).astype(np.float32)
        path = saved(source, kind, tmp_path)
        stock.set_weights(target.get_weights())
        for model in (target, stock):
            model(data)
        restored_by_stock(stock, path)
        restore(target, path)
        assert len(states(target)) == (3 if wrap is not layers.Bidirectional else 6)
        for mine, other, stored in zip(states(target), states(stock), states(source), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6)
            assert np.allclose(mine, stored) == (kind == "ckpt")


# Quantised


@pytest.mark.skipif(not hasattr(keras.Model, "quantize"), reason="this Keras does not quantise")
@pytest.mark.parametrize("kind", ["weights.h5", "keras", "h5", "ckpt"])
@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
def test_layers_that_were_quantised_take_their_whole_numbers_and_scales(kind: str, tmp_path: Path) -> None:
    def built() -> Any:
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(3), layers.Dense(2)])
        model.quantize("int8")
        return model

    source = numbered(built(), 1)
    path = saved(source, kind, tmp_path)
    target, stock = numbered(built(), 40), numbered(built(), 60)
    restored_by_stock(stock, path)
    assert set(restore(target, path)["status"]) == {"matched"}
    assert "int8" in {str(variable.dtype) for variable in target.variables}
    for mine, other, stored in zip(target.variables, stock.variables, source.variables, strict=True):
        np.testing.assert_array_equal(mine, other)
        np.testing.assert_array_equal(mine, stored)

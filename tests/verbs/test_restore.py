from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.verbs.export import export
from tfmagic.verbs.inspect import inspect
from tfmagic.verbs.restoration import assignment
from tfmagic.verbs.restore import COLUMNS, restore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
_RANDOM = np.random.default_rng(0)


def model(units: int = 3) -> Any:
    """A model as training leaves it, with values of its own and an optimizer's; Keras numbers its name anew."""
    keras = pytest.importorskip("keras")
    made = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(units, name="a"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Dense(2, name="b"),
        ]
    )
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    for number, variable in enumerate([*made.variables, *made.optimizer.variables[2:]]):
        variable.assign(_RANDOM.uniform(number, number + 1, variable.shape).astype(variable.dtype))
    return made


def saved(tf: Any, kind: str, source: Any, directory: Path) -> Path:
    path = directory / f"model.{kind}"
    if kind == "ckpt":
        return type(path)(tf.train.Checkpoint(net=source).save(str(path)))
    if kind == "root":
        return type(path)(tf.train.Checkpoint(source).write(str(path)))
    if kind == "export":
        source.export(str(path))
        return path
    (source.save_weights if kind == "weights.h5" else source.save)(path)
    return path


@pytest.mark.parametrize("kind", ["ckpt", "root", "weights.h5", "h5", "keras", "export"])
def test_a_keras_model_takes_the_values_of_every_kind_of_file(tf: Any, tmp_path: Path, kind: str) -> None:
    source, target = model(), model()
    assert not np.allclose(source(X), target(X))
    table = restore(target, saved(tf, kind, source, tmp_path))
    np.testing.assert_array_equal(source(X), target(X))
    assert tuple(table.columns) == COLUMNS
    weights = table[table["variable"].isin([each.path for each in target.variables])]
    assert set(weights["status"]) == {"matched"}
    assert len(weights) == 8
    if kind in ("ckpt", "root"):
        assert set(table["status"]) == {"matched"}
        np.testing.assert_array_equal(source.optimizer.variables[3], target.optimizer.variables[3])


@pytest.mark.parametrize("kind", ["ckpt", "weights.h5", "export"])
def test_a_file_is_found_as_a_source_is(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    source = model()
    (tmp_path / "training").mkdir()
    path = saved(tf, kind, source, tmp_path / "training")
    # A directory stands for the only model in it, and a model that was read before for its file.
    others = [] if kind == "export" else [tmp_path / "training"]
    files: list[Any] = [f"~/training/{path.name}", inspect(path), *others]
    for file in files:
        target = model()
        restore(target, file)
        np.testing.assert_array_equal(source(X), target(X))


def test_the_model_of_a_live_object_stands_for_it(tf: Any, tmp_path: Path) -> None:
    source, target = model(), model()
    restore(inspect(target), saved(tf, "weights.h5", source, tmp_path))
    np.testing.assert_array_equal(source(X), target(X))
    first, second = (session(tf, value=value, resource=True)[0] for value in (2.0, 7.0))
    export(first, tmp_path / "m.ckpt")
    restore(inspect(second), tmp_path / "m.ckpt")
    assert second.run("y:0") == 22
    with pytest.raises(errors.ConversionError, match="live Keras model"):
        restore(inspect(tmp_path / "m.ckpt"), tmp_path / "m.ckpt")


def test_nothing_is_assigned_where_one_value_does_not_fit(tf: Any, tmp_path: Path) -> None:
    path, target = saved(tf, "ckpt", model(), tmp_path), model(5)
    before = [each.numpy() for each in target.variables]
    with pytest.raises(errors.ConversionError, match=r"nothing was restored: .*float32 \(4, 5\).*\(4, 3\)"):
        restore(target, path)
    for old, new in zip(before, target.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_matches_nothing_is_told(tf: Any, tmp_path: Path) -> None:
    path = saved(tf, "ckpt", model(), tmp_path)
    other = tf.Module()
    other.unlike = tf.Variable(1.0, name="unlike")
    with pytest.raises(errors.ConversionError, match="matches: the model has 'unlike'"):
        restore(other, path)
    with pytest.raises(errors.ConversionError, match="live Keras model"):
        restore(path, path)


def test_missing_and_left_over_are_listed(tf: Any, tmp_path: Path) -> None:
    first, second = tf.Module(), tf.Module()
    first.one, first.two = tf.Variable([1.0, 2.0], name="one"), tf.Variable(3, name="two")
    second.one, second.three = tf.Variable([0.0, 0.0], name="one"), tf.Variable(4, name="three")
    path = tf.train.Checkpoint(first).write(str(tmp_path / "ckpt"))
    with pytest.raises(errors.ConversionError, match="no value for 'three'") as refused:
        restore(second, path)
    assert second.one.numpy().tolist() == [0, 0]
    assert refused.value.table is not None
    assert refused.value.table["status"].tolist() == ["matched", "missing", "left over"]
    table = restore(second, path, partial=True)
    assert second.one.numpy().tolist() == [1, 2]
    assert second.three.numpy() == 4
    assert table["status"].tolist() == ["matched", "missing", "left over"]


def session(tf: Any, *, value: float, resource: bool) -> Any:
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        parts = v1.get_variable(
            "parts", [5, 2], partitioner=v1.fixed_size_partitioner(2), initializer=v1.constant_initializer(value),
            use_resource=resource,
        )  # fmt: skip
        single = v1.get_variable("single", initializer=value, use_resource=resource)
        tf.add(tf.reduce_sum(tf.concat(list(parts), 0)), single, name="y")
        saver, made = v1.train.Saver(), v1.Session()
        made.run(v1.global_variables_initializer())
        graph.finalize()
    return made, saver


@pytest.mark.parametrize("resource", [False, True])
def test_a_session_takes_them_and_its_graph_stays(tf: Any, tmp_path: Path, resource: bool) -> None:  # noqa: FBT001
    first, saver = session(tf, value=2.0, resource=resource)
    with first.graph.as_default():
        saver.save(first, str(tmp_path / "m"), write_meta_graph=False)
    second, _ = session(tf, value=7.0, resource=not resource)
    before = len(second.graph.get_operations())
    table = restore(second, tmp_path / "m")
    assert second.run("y:0") == first.run("y:0") == 22
    assert len(second.graph.get_operations()) == before
    assert table["checkpoint_key"].tolist() == ["parts", "parts", "single"]


def test_a_damaged_checkpoint_changes_nothing(tf: Any, tmp_path: Path) -> None:
    source = tf.Module()
    source.a, source.b = tf.Variable([1.0]), tf.Variable([2.0])
    tf.train.Checkpoint(source).write(str(tmp_path / "m"))
    (shard,) = tmp_path.glob("*.data*")
    data = bytearray(shard.read_bytes())
    data[4] ^= 1
    shard.write_bytes(data)
    source.a.assign([5.0])
    source.b.assign([5.0])
    with pytest.raises(errors.ReadError):
        restore(source, tmp_path / "m")
    assert (source.a.numpy(), source.b.numpy()) == ([5], [5])


@pytest.mark.parametrize("name", ["mine", None])
def test_a_sequential_model_takes_weights_that_name_its_layers(tf: Any, tmp_path: Path, name: str | None) -> None:
    def built() -> Any:
        layers = [tf.keras.Input((8,)), tf.keras.layers.Dense(4, name="hidden"), tf.keras.layers.Dense(2, name="out")]
        return tf.keras.Sequential(layers, name=name)

    trained, fresh = built(), built()
    trained.compile("adam", "mse")
    trained.fit(np.ones((4, 8)), np.ones((4, 2)), verbose=0)
    trained.save_weights(tmp_path / "m.weights.h5")
    restore(fresh, tmp_path / "m.weights.h5")
    for one, other in zip(trained.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["keras", "session"])
def test_a_fault_in_the_middle_leaves_everything_as_it_was(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    keras = pytest.importorskip("keras")
    graph = tf.Graph()
    with graph.as_default():
        for name in ("a", "b", "c"):
            tf.compat.v1.get_variable(name, [2], initializer=tf.compat.v1.initializers.ones())
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        session.run(tf.compat.v1.global_variables_initializer())
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    source = model if form == "keras" else session

    def values() -> list[Any]:
        if form == "keras":
            return [each.tolist() for each in model.get_weights()]
        return [session.run(f"{name}/Read/ReadVariableOp:0").tolist() for name in "abc"]

    export(source, tmp_path / "m.ckpt")
    for variable in model.variables if form == "keras" else ():
        variable.assign(variable + 5)
    if form == "session":
        session.run([each.initializer for each in graph.get_collection("variables")])
        session.run(graph.get_collection("variables")[0].initializer, {"a/Initializer/ones:0": [7.0, 7.0]})
    before = values()
    calls = []
    name = "put" if form == "keras" else "put_in_session"
    put = getattr(assignment, name)

    def failing(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise MemoryError
        put(*given)

    monkeypatch.setattr(assignment, name, failing)
    with pytest.raises(MemoryError):
        restore(source, tmp_path / "m.ckpt")
    assert len(calls) > 3
    assert values() == before

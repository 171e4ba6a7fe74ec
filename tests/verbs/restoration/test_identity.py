"""What identifies a value, held against what TensorFlow and Keras make of the same file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.versions import needs_layer_names
from tfmagic import errors, readers
from tfmagic.verbs.export import export
from tfmagic.verbs.restoration import identity, live_variables, stored_values
from tfmagic.verbs.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers
#: Kinds of files that Keras' own loading or TensorFlow's takes.
WITH_STOCK = ("weights.h5", "keras", "h5", "ckpt")
NAMED = (pytest.param("weights.h5", marks=needs_layer_names), *WITH_STOCK[1:], "export")


def automatic() -> Any:
    """Three layers of one shape under names that Keras makes up."""
    return keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3), layers.Dense(3)])


def nested() -> Any:
    """A model in a model, both with a layer at the same place among its own, and a weight of the model's."""
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.LayerNormalization(), layers.Dense(3)])
    x = keras.Input((3,))
    return keras.Model(x, layers.Dense(3)(layers.BatchNormalization()(inner(layers.Dense(3)(x)))))


def recurrent() -> Any:
    """Cells in layers in a wrapper, states, a seed."""
    return keras.Sequential([
        keras.Input(batch_shape=(2, 4, 3)),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Dropout(0.5),
        layers.GRU(2, stateful=True),
        layers.Dense(1),
    ])  # fmt: skip


class Branches(keras.Model):  # type: ignore[misc, name-defined]
    """Layers that are called in another order than they were made, some in containers, and a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = layers.Dense(3), layers.Dense(3)
        self.several = [layers.Dense(3), layers.Dense(3)]
        self.scale = self.add_weight(shape=(3,), name="scale")

    def call(self, x: Any) -> Any:
        """Go through all."""
        for layer in (*reversed(self.several), self.first, self.second):
            x = layer(x)
        return x * self.scale


def branches() -> Any:
    built = Branches()
    built(np.ones((1, 3), np.float32))
    return built


def trained() -> Any:
    """A model whose optimizer has slots."""
    built = automatic()
    built.compile("adam", "mse")
    weights = built.trainable_weights
    built.optimizer.apply([keras.random.uniform(weight.shape) for weight in weights], weights)
    return built


def filled(model: Any, seed: int) -> Any:
    """Give a model values that are nowhere the same."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        is_float = "float" in str(variable.dtype)
        variable.assign(rng.random(variable.shape).astype(np.float32) if is_float else np.full(variable.shape, seed))
    return model


def values(model: Any) -> list[np.ndarray]:
    optimizer = getattr(model, "optimizer", None)
    return [np.asarray(each.numpy()) for each in (*model.variables, *(optimizer.variables if optimizer else ()))]


def saved(model: Any, kind: str, directory: Path) -> str:
    path = str(directory / f"m.{kind}")
    if kind == "ckpt":
        return str(tf.train.Checkpoint(net=model).save(path))
    if kind == "export":
        model.export(path)
    elif kind == "tfmagic":
        export(model, path, format="saved_model", verify=False)
    else:
        (model.save_weights if kind == "weights.h5" else model.save)(path)
    return path


@pytest.mark.parametrize("kind", WITH_STOCK)
@pytest.mark.parametrize("build", [automatic, nested, recurrent, trained], ids=lambda build: build.__name__)
def test_a_cell_that_is_run_twice_takes_what_stock_takes(build: Callable[[], Any], kind: str, tmp_path: Path) -> None:
    """The names of the file overlap with those of the model, one place further on."""
    source = filled(build(), 1)
    path = saved(source, kind, tmp_path)
    layers.Dense(1)
    target, stock = filled(build(), 2), filled(build(), 2)
    if kind == "ckpt":
        tf.train.Checkpoint(net=stock).restore(path).expect_partial()
    else:
        stock.load_weights(path)
    table = restore(target, path)
    weights = table[table["variable"].isin([weight.path for weight in target.weights])]
    assert set(weights["status"]) == {"matched"}
    assert len(weights) == len(target.weights)
    if build is trained and kind == "h5":
        # Keras restores an optimizer's state from there when it loads the whole model.
        stock.optimizer.set_weights([each.numpy() for each in source.optimizer.variables])
    for mine, other in zip(values(target), values(stock), strict=True):
        np.testing.assert_array_equal(mine, other)
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("kind", ["export", "tfmagic"])
@pytest.mark.parametrize("build", [automatic, nested, branches], ids=lambda build: build.__name__)
def test_an_exported_model_gives_its_values_back(build: Callable[[], Any], kind: str, tmp_path: Path) -> None:
    """A SavedModel of Keras' has no way to the layers: only the order of its variables, or names less their numbers."""
    source = filled(build(), 1)
    path = saved(source, kind, tmp_path)
    layers.Dense(1)
    target = filled(build(), 2)
    restore(target, path)
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def named(*names: str) -> Any:
    x = keras.Input((3,))
    h = x
    for name in names:
        h = layers.Dense(3, name=name)(h)
    return filled(keras.Model(x, h), len(names[0]))


@pytest.mark.parametrize("kind", NAMED)
def test_names_that_people_gave_and_that_change_places_are_refused(kind: str, tmp_path: Path) -> None:
    source, target = named("encoder", "head"), named("head", "encoder")
    path = saved(source, kind, tmp_path)
    before = values(target)
    with pytest.raises(errors.ConversionError, match=r"(?s)'encoder', 'head' stands at one place.*encoder/kernel"):
        restore(target, path)
    for mine, other in zip(values(target), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    restore(target, path, partial=True)
    for name in ("encoder", "head"):
        np.testing.assert_array_equal(target.get_layer(name).kernel, source.get_layer(name).kernel)


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_the_other_side_lacks_is_a_rename(kind: str, tmp_path: Path) -> None:
    source, target = named("encoder", "head"), named("encoder", "tail")
    table = restore(target, saved(source, kind, tmp_path)).dropna(subset=["variable"]).set_index("variable")["status"]
    assert set(table[["encoder/kernel", "encoder/bias"]]) == {"matched"}
    assert set(table[["tail/kernel", "tail/bias"]]) == {"by structure"}
    np.testing.assert_array_equal(target.get_layer("tail").kernel, source.get_layer("head").kernel)


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("rename", [{"encoder": "two", "head": "one"}, {"encoder/*": "two/*", "head/*": "one/*"}])
def test_what_was_moved_is_told(kind: str, rename: dict[str, str], tmp_path: Path) -> None:
    source, target = named("encoder", "head"), named("one", "two")
    table = restore(target, saved(source, kind, tmp_path), rename=rename)
    assert set(table.dropna(subset=["variable"])["status"]) == {"matched"}
    for old, new in (("encoder", "two"), ("head", "one")):
        np.testing.assert_array_equal(target.get_layer(new).kernel, source.get_layer(old).kernel)
        np.testing.assert_array_equal(target.get_layer(new).bias, source.get_layer(old).bias)


@pytest.mark.parametrize("kind", NAMED)
def test_a_weight_without_a_value_is_refused_unless_partial(kind: str, tmp_path: Path) -> None:
    source, target = named("encoder", "head"), named("encoder", "middle", "head")
    path = saved(source, kind, tmp_path)
    with pytest.raises(errors.ConversionError, match="partial=True"):
        restore(target, path)
    table = restore(target, path, partial=True).dropna(subset=["variable"]).set_index("variable")["status"]
    assert set(table[["middle/kernel", "middle/bias"]]) == {"missing"}
    for name in ("encoder", "head"):
        np.testing.assert_array_equal(target.get_layer(name).kernel, source.get_layer(name).kernel)


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("partial", [False, True])
def test_layers_that_left_their_model_are_found_by_name(kind: str, partial: bool, tmp_path: Path) -> None:  # noqa: FBT001 - an option of the verb
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3, name="one"), layers.Dense(3, name="two")], name="block"
    )
    x = keras.Input((3,))
    source = filled(keras.Model(x, layers.Dense(2, name="head")(inner(x))), 1)
    flat = layers.Dense(3, name="two")(layers.Dense(3, name="one")(x))
    target = filled(keras.Model(x, layers.Dense(2, name="head")(flat)), 2)
    path = saved(source, kind, tmp_path)
    table = restore(target, path, partial=partial, rename=None if partial else {"block/*": "*"})
    assert "missing" not in set(table["status"])
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_layer_of_another_shape_keeps_its_values_in_part(tmp_path: Path) -> None:
    def classifier(classes: int) -> Any:
        x = keras.Input((3,))
        h = layers.Dense(4)(layers.Dense(4, name="body")(x))
        return keras.Model(x, layers.Dense(classes, name="head")(h))

    source, target = filled(classifier(5), 1), filled(classifier(2), 2)
    source.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(errors.ConversionError, match=r"'head/kernel' is float32 \(4, 2\), its value float32 \(4, 5\)"):
        restore(target, tmp_path / "m.weights.h5")
    head = target.get_layer("head").get_weights()
    table = restore(target, tmp_path / "m.weights.h5", partial=True)
    assert table["status"].tolist() == ["matched"] * 4 + ["missing"] * 2 + ["left over"] * 2
    for mine, other in zip(target.get_weights()[:4], source.get_weights()[:4], strict=True):
        np.testing.assert_array_equal(mine, other)
    for mine, other in zip(target.get_layer("head").get_weights(), head, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_weights_go_in_although_an_optimizer_does_not_fit(tmp_path: Path) -> None:
    source, target = trained(), automatic()
    target.compile(keras.optimizers.SGD(momentum=0.9), "mse")
    target.fit(np.ones((2, 3)), np.zeros((2, 3)), verbose=0)
    momenta = [each.numpy() for each in target.optimizer.variables]
    for kind in ("weights.h5", "keras", "h5"):
        table = restore(target, saved(source, kind, tmp_path))
        for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)
        for variable, value in zip(target.optimizer.variables, momenta, strict=True):
            np.testing.assert_array_equal(variable, value)
        assert list(table["status"]).count("missing") == len(momenta)
        assert list(table["status"]).count("left over") == len(source.optimizer.variables)


def test_an_optimizer_that_was_not_used_yet_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    source = trained()
    path = saved(source, "ckpt", tmp_path)
    target, stock = automatic(), automatic()
    for model in (target, stock):
        model.compile("adam", "mse")
    tf.train.Checkpoint(net=stock).restore(path)
    restore(target, path)
    for model in (target, stock):
        model.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
    for mine, other in zip(values(target), values(stock), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_what_a_layer_computes_of_its_weights_follows(tmp_path: Path) -> None:
    def normalised(data: np.ndarray) -> Any:
        layer = layers.Normalization()
        layer.adapt(data)
        return keras.Sequential([keras.Input((3,)), layer])

    rng = np.random.default_rng(0)
    x = rng.random((4, 3)).astype(np.float32)
    source = normalised(rng.random((8, 3)).astype(np.float32) * 9)
    for kind in WITH_STOCK:
        target = normalised(x)
        path = saved(source, kind, tmp_path)
        restore(target, path)
        np.testing.assert_allclose(target(x), source(x))
    target = normalised(x)
    restore(tf.train.Checkpoint(net=target), path)
    np.testing.assert_allclose(target(x), source(x))


def test_a_layer_loads_by_its_own_method(tmp_path: Path) -> None:
    class Doubling(layers.Layer):  # type: ignore[misc, name-defined]
        """Stores half of what it holds."""

        def build(self, shape: Any) -> None:
            del shape
            self.held = self.add_weight(shape=(2,), name="held", initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.held

        def save_own_variables(self, store: Any) -> None:
            store["half"] = self.held.numpy() / 2

        def load_own_variables(self, store: Any) -> None:
            if not np.isfinite(store["half"]).all():
                raise ValueError("no number")
            self.held.assign(store["half"] * 2)

    def built() -> Any:
        return keras.Sequential([keras.Input((2,)), Doubling(), layers.Dense(2)])

    source, target = filled(built(), 1), filled(built(), 2)
    source.save_weights(tmp_path / "m.weights.h5")
    restore(target, tmp_path / "m.weights.h5")
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other)
    source.layers[0].held.assign([np.nan, 1])
    source.save_weights(tmp_path / "m.weights.h5")
    before = values(filled(target, 5))
    with pytest.raises(errors.ConversionError, match="nothing was restored: no number"):
        restore(target, tmp_path / "m.weights.h5")
    for mine, other in zip(values(target), before, strict=True):
        np.testing.assert_array_equal(mine, other)


# Objects


class Module(tf.Module):  # type: ignore[misc, name-defined]
    """A module with variables under names."""

    def __init__(self, *names: str | None) -> None:
        super().__init__()
        self.held = [tf.Variable(tf.ones(2) * number, name=name) for number, name in enumerate(names)]


def test_variables_of_a_module_that_change_places_are_refused(tmp_path: Path) -> None:
    path = tf.train.Checkpoint(m=Module("encoder", "head")).save(str(tmp_path / "c"))
    target = Module("head", "encoder")
    with pytest.raises(errors.ConversionError, match="'encoder', 'head' stands at one place") as refused:
        restore(target, path)
    assert refused.value.table is not None
    assert refused.value.table["variable"].tolist() == ["head", "encoder"]
    restore(target, path, rename={"head": "head", "encoder": "encoder"})
    assert [each.numpy().tolist() for each in target.held] == [[1, 1], [0, 0]]
    renamed = Module("other", None)
    assert restore(renamed, path)["status"].tolist() == ["by structure", "by structure"]


def test_a_module_saved_with_its_functions_gives_its_values_along_its_attributes(tmp_path: Path) -> None:
    source, target = Module(None, None), Module(None, None)
    tf.saved_model.save(source, str(tmp_path / "m"))
    target.held[1].assign([7, 7])
    restore(target, tmp_path / "m")
    assert [each.numpy().tolist() for each in target.held] == [[0, 0], [1, 1]]


def test_of_two_objects_that_fit_somebody_says_which(tmp_path: Path) -> None:
    generator, discriminator, target = filled(automatic(), 1), filled(automatic(), 2), filled(automatic(), 3)
    path = tf.train.Checkpoint(generator=generator, discriminator=discriminator).save(str(tmp_path / "gan"))
    with pytest.raises(errors.ConversionError, match=r"2 objects that fit, 'discriminator', 'generator'"):
        restore(target, path)
    restore(tf.train.Checkpoint(discriminator=target), path)
    for mine, other in zip(target.get_weights(), discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_checkpoint_object_counts_on(tmp_path: Path) -> None:
    source = tf.train.Checkpoint(m=Module("a"))
    for _ in range(3):
        path = source.save(str(tmp_path / "c"))
    target, stock = tf.train.Checkpoint(m=Module("a")), tf.train.Checkpoint(m=Module("a"))
    stock.restore(path)
    assert set(restore(target, path)["status"]) == {"matched"}
    assert target.save_counter.numpy() == stock.save_counter.numpy() == 3


def test_a_loaded_export_takes_the_values_of_a_later_one(tmp_path: Path) -> None:
    earlier, later = filled(automatic(), 1), filled(automatic(), 2)
    for name, model in (("earlier", earlier), ("later", later)):
        model.export(str(tmp_path / name))
    loaded = tf.saved_model.load(str(tmp_path / "earlier"))
    table = restore(loaded, tmp_path / "later")
    # Keras exports each variable a second time, for nobody.
    assert table["status"].tolist() == ["matched"] * 6 + ["missing"] * 6 + ["left over"] * 6
    x = np.ones((1, 3), np.float32)
    np.testing.assert_allclose(loaded.serve(x), later(x), rtol=1e-6)


def test_a_graph_of_tensorflow_1_gives_its_variables_in_its_order(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3])
        # In alphabetical order, as a checkpoint has them, the layers would change places.
        first, second = (v1.get_variable(name, [3, 3]) for name in ("z", "a"))
        y = tf.matmul(tf.matmul(x, first), second)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
        expected = session.run([first, second])
    target = keras.Sequential([keras.Input((3,)), *(layers.Dense(3, use_bias=False) for _ in range(2))])
    assert set(restore(target, tmp_path / "m")["status"]) == {"by structure"}
    for mine, other in zip(target.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_tables_generators_and_slots_of_a_checkpoint_come_back(tmp_path: Path) -> None:
    def made() -> Any:
        module = tf.Module()
        module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        module.generator = tf.random.Generator.from_seed(1)
        module.weight = tf.Variable([1.0, 2.0])
        module.optimizer = tf.compat.v1.train.AdamOptimizer()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(module.weight**2)
        module.optimizer.apply_gradients([(tape.gradient(loss, module.weight), module.weight)])
        return module

    source, target, stock = made(), made(), made()
    source.table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    source.generator.normal([3])
    source.optimizer.get_slot(source.weight, "m").assign([5, 6])
    target.table.insert(tf.constant(["c"]), tf.constant([3], tf.int64))
    path = tf.train.Checkpoint(m=source).save(str(tmp_path / "m"))
    tf.train.Checkpoint(m=stock).restore(path)
    table = restore(target, path)
    assert set(table["status"]) == {"matched"}, table.to_string()
    assert table.set_index("variable").loc["table", "checkpoint_key"] == "m/table/.ATTRIBUTES/table"
    for module in (target, stock):
        keys, held = module.table.export()
        assert dict(zip(keys.numpy().tolist(), held.numpy().tolist(), strict=True)) == {b"a": 1, b"b": 2}
        np.testing.assert_array_equal(module.generator.state, source.generator.state)
        np.testing.assert_array_equal(module.weight, source.weight)
        np.testing.assert_array_equal(module.optimizer.get_slot(module.weight, "m"), [5, 6])


def test_a_table_gets_back_what_it_had_where_a_variable_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    module.weight = tf.Variable([1.0])
    module.table.insert(tf.constant(["a"]), tf.constant([1], tf.int64))
    path = tf.train.Checkpoint(m=module).save(str(tmp_path / "m"))
    module.table.insert(tf.constant(["b"]), tf.constant([2], tf.int64))
    module.weight.assign([7.0])
    fill, calls = tf.raw_ops.LookupTableImportV2, []

    def failing(**given: Any) -> None:
        calls.append(given)
        fill(**given)
        if len(calls) == 1:
            raise MemoryError

    monkeypatch.setattr(tf.raw_ops, "LookupTableImportV2", failing)
    with pytest.raises(MemoryError):
        restore(module, path)
    assert sorted(module.table.export()[0].numpy().tolist()) == [b"a", b"b"]
    assert module.weight.numpy().tolist() == [7]


# Keras 2


@pytest.mark.parametrize("kind", ["keras", "h5", "tf"])
def test_a_model_of_keras_2_takes_what_it_takes_itself(kind: str, tmp_path: Path) -> None:
    keras_2 = pytest.importorskip("tf_keras")

    def built() -> Any:
        inner = keras_2.Sequential([keras_2.Input((3,)), keras_2.layers.Dense(3), keras_2.layers.Dense(3)])
        x = keras_2.Input((3,))
        return keras_2.Model(x, keras_2.layers.BatchNormalization()(inner(keras_2.layers.Dense(3)(x))))

    source = filled(built(), 1)
    path = str(tmp_path / ("weights" if kind == "tf" else f"m.{kind}"))
    (source.save_weights if kind == "tf" else source.save)(path)
    keras_2.layers.Dense(1)
    target = filled(built(), 2)
    assert set(restore(target, path)["status"]) == {"matched"}
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_generator_of_another_dtype_keeps_no_weight_from_its_value(tmp_path: Path) -> None:
    """Keras up to 3.4 exports them as uint32, by names that may be the live ones."""
    keras.backend.clear_session()
    recurrent().export(tmp_path / "served")
    keras.backend.clear_session()
    stored = stored_values.stored_values(readers.read(tmp_path / "served"))
    is_state = [value.scope[-1:] == ("seed_generator_state",) for value in stored.saved]
    assert any(is_state)
    old = [
        value._replace(dtype="uint32") if state else value for value, state in zip(stored.saved, is_state, strict=True)
    ]
    pairing = identity.paired(live_variables.live_variables(recurrent()), replace(stored, saved=tuple(old)), {})
    assert pairing.required() == []
    assert all(pairing.fits(*pair) for pair in pairing.pairs.items())

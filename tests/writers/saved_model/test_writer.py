from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors, functions, readers
from tfmagic.files import protos, writing
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import WriteOptions
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.cut_function import select
from tfmagic.verbs.export import export
from tfmagic.writers.saved_model import directory
from tfmagic.writers.saved_model.writer import SavedModelDraft, SavedModelWriter

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((3, 8), dtype=np.float32)


def model_of(*named: NamedFunction) -> Model:
    by_key = {each.key: each for each in named}
    return Model("function", "a test", {Part.FUNCTION: lambda: by_key.__getitem__})


def draft_of(*named: NamedFunction, tags: tuple[str, ...] = ("serve",)) -> SavedModelDraft:
    return SavedModelWriter().prepare(model_of(*named), WriteOptions(tuple(each.key for each in named), tags))


def network(width: int = 4) -> Any:
    keras = keras_runtime.keras()
    x = keras.Input((8,), name="features")
    hidden = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    return keras.Model(x, {"scores": keras.layers.Dense(3, name="out")(hidden), "hidden": hidden})


def run_v1(path: Path, tags: tuple[str, ...], key: str, feeds: dict[str, Any]) -> dict[str, Any]:
    """Run a signature as TensorFlow 1 and serving do: by the SignatureDef."""
    tf = runtime.tensorflow()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, list(tags), str(path))
        signature = meta_graph.signature_def[key]
        given = {signature.inputs[name].name: value for name, value in feeds.items()}
        found: dict[str, Any] = session.run({name: info.name for name, info in signature.outputs.items()}, given)
        return found


def check(path: Path, source: NamedFunction, tags: tuple[str, ...], **feeds: Any) -> None:
    """Hold both loaders' results against the source's."""
    expected = source(feeds)
    loaded = runtime.tensorflow().saved_model.load(str(path), tags=list(tags))
    second = {name: value.numpy() for name, value in loaded.signatures[source.key](**_tensors(source, feeds)).items()}
    for found in (second, run_v1(path, tags, source.key, feeds)):
        assert set(found) == set(expected)
        for name, value in expected.items():
            if value.dtype == object:
                assert found[name].tolist() == value.tolist()
            else:
                np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def _tensors(source: NamedFunction, feeds: dict[str, Any]) -> dict[str, Any]:
    tf = runtime.tensorflow()
    dtypes = {end.key: end.dtype for end in source.inputs}
    return {name: tf.constant(value, dtypes[name]) for name, value in feeds.items()}


def test_both_loaders_give_the_models_numbers(tmp_path: Path) -> None:
    source = functions.trace_keras_model(network())
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), features=X)


def test_each_weight_is_stored_once(tmp_path: Path) -> None:
    model = network(100_000)
    weights = sum(int(np.prod(each.shape)) * 4 for each in model.variables)
    draft = draft_of(functions.trace_keras_model(model))
    draft.write(tmp_path / "m")
    size = writing.size_of(tmp_path / "m")
    assert weights > 5_000_000
    assert weights < size <= 1.05 * weights
    assert size <= draft.size


def test_the_variables_live_on(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    model = network()
    model.get_layer("hidden").trainable = False
    source = readers.read(model)
    SavedModelWriter().prepare(source, WriteOptions(("serving_default",), ("serve",))).write(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert len(loaded.variables) == len(model.variables)
    by_shape = sorted((tuple(each.shape), each.trainable) for each in loaded.variables)
    assert by_shape == sorted((tuple(each.shape), each.trainable) for each in model.variables)
    with tf.GradientTape() as tape:
        result = loaded.signatures["serving_default"](features=tf.constant(X))["scores"]
    trainable = [each for each in loaded.variables if each.trainable]
    assert None not in tape.gradient(result, trainable)
    before = result.numpy()
    for each in loaded.variables:
        each.assign(each + 1.0)
    assert np.abs(loaded.signatures["serving_default"](features=tf.constant(X))["scores"] - before).max() > 0.1


def test_the_batch_stays_open(tmp_path: Path) -> None:
    source = functions.trace_keras_model(network())
    draft_of(source).write(tmp_path / "m")
    frame = readers.read(tmp_path / "m").signatures
    assert dict(zip(frame["key"], frame["shape"], strict=True)) == {
        "features": (None, 8), "hidden": (None, 4), "scores": (None, 3)
    }  # fmt: skip
    check(tmp_path / "m", source, ("serve",), features=X[:1])


@pytest.mark.parametrize("tags", [("eval",), ("serve", "gpu"), ("a", "b", "c"), ()])
def test_tags(tmp_path: Path, tags: tuple[str, ...]) -> None:
    source = functions.trace_keras_model(network())
    draft = draft_of(source, tags=tags)
    draft.write(tmp_path / "m")
    assert readers.read(tmp_path / "m").meta_graphs[0].tags == tags
    assert bool(draft.notes) == ("serve" not in tags)
    check(tmp_path / "m", source, tags, features=X)


def test_the_method_and_the_key(tmp_path: Path) -> None:
    source = replace(functions.trace_keras_model(network()), key="predict_images", method="tensorflow/serving/classify")
    draft_of(source).write(tmp_path / "m")
    frame = readers.read(tmp_path / "m").signatures
    assert set(frame["signature"]) == {"predict_images"}
    assert set(frame["method"]) == {"tensorflow/serving/classify"}
    check(tmp_path / "m", source, ("serve",), features=X)


def test_keys_that_python_has_no_name_for(tmp_path: Path) -> None:
    named = functions.trace_keras_model(network())
    # Sorted by key, the outputs change places: a loader that goes by order would swap them.
    source = select(named, {"my input:0/x": "features"}, {"z-last": "hidden", "a b": "scores", "class": "scores"})
    draft_of(source).write(tmp_path / "m")
    frame = readers.read(tmp_path / "m").signatures
    assert set(frame["key"]) == {"my input:0/x", "z-last", "a b", "class"}
    check(tmp_path / "m", source, ("serve",), **{"my input:0/x": X})


def test_inputs_that_sort_in_another_order_than_they_came(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    specs = [tf.TensorSpec([None], tf.float32, name=name) for name in ("z", "b", "a")]
    concrete = tf.function(lambda z, b, a: {"q": z * 100 + b * 10 + a, "c": z - b}).get_concrete_function(*specs)
    source = select(functions.of_concrete(concrete, "serving_default"), {"a 1": "z", "b 2": "b", "0c": "a"})
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), **{"a 1": [1.0, 4.0], "b 2": [2.0, 5.0], "0c": [3.0, 6.0]})


def test_inputs_that_the_loader_would_confuse_are_refused(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    specs = [tf.TensorSpec([None], tf.float32, name=name) for name in ("a", "b")]
    concrete = tf.function(lambda a, b: {"q": a - b}).get_concrete_function(*specs)
    source = select(functions.of_concrete(concrete, "serving_default"), {"x y": "a", "x-y": "b"})
    with pytest.raises(errors.ConversionError, match="apart"):
        draft_of(source).write(tmp_path / "m")


def test_several_signatures_share_their_variables(tmp_path: Path) -> None:
    named = functions.trace_keras_model(network(100_000))
    other = replace(select(named, outputs={"only": "scores"}), key="other")
    draft_of(named, other).write(tmp_path / "m")
    assert writing.size_of(tmp_path / "m") < 7_000_000
    for source in (named, other):
        check(tmp_path / "m", source, ("serve",), features=X)


def test_tables_come_along(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    vectorize = keras.layers.TextVectorization(output_sequence_length=4)
    vectorize.adapt(["the cat sat", "the dog"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, keras.layers.Embedding(20, 3)])
    source = functions.trace_keras_model(model)
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), **{source.inputs[0].key: [["the dog"], ["cat unknown"]]})


def test_growing_tables_and_assets_come_along(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    words = tmp_path / "words.txt"
    words.write_text("one\ntwo\n")
    owner = tf.Module()
    given = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    owner.fixed = tf.lookup.StaticHashTable(given, -1)
    owner.growing = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, -1.0)
    owner.growing.insert(tf.constant(["one"]), tf.constant([7.0]))
    concrete = tf.function(
        lambda x: {"fixed": owner.fixed.lookup(x), "growing": owner.growing.lookup(x)}
    ).get_concrete_function(tf.TensorSpec([None], tf.string, name="x"))
    source = functions.of_concrete(concrete, "serving_default", owner=owner)
    draft_of(source).write(tmp_path / "m")
    assert [path.name for path in (tmp_path / "m" / "assets").iterdir()] == ["words.txt"]
    words.unlink()
    check(tmp_path / "m", source, ("serve",), x=["two", "one", "zz"])


def test_a_loaded_saved_model_is_written_again(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    keras = keras_runtime.keras()
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup, keras.layers.Embedding(20, 3)])
    draft_of(functions.trace_keras_model(model)).write(tmp_path / "one")
    source = functions.load_saved_model(tmp_path / "one")
    draft_of(source, tags=("eval",)).write(tmp_path / "two")
    check(tmp_path / "two", source, ("eval",), **{source.inputs[0].key: [["b"], ["zz"]]})
    assert len(tf.saved_model.load(str(tmp_path / "two")).variables) == 1


def test_control_flow_and_a_captured_tensor(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    weight, outside = tf.Variable(np.eye(3, dtype=np.float32) * 2), tf.constant([1.0, 2.0, 3.0])

    def function(x: Any) -> dict[str, Any]:
        loop = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y @ weight + outside), (0, x))
        return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: loop[1], lambda: x @ weight)}

    concrete = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec([None, 3], name="x"))
    source = functions.of_concrete(concrete, "serving_default")
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), x=np.ones((2, 3), np.float32))
    check(tmp_path / "m", source, ("serve",), x=-np.ones((2, 3), np.float32))


def test_the_fingerprint_is_that_of_the_edited_message(tmp_path: Path) -> None:
    fingerprinting = pytest.importorskip("tensorflow.python.saved_model.pywrap_saved_model").fingerprinting
    draft_of(functions.trace_keras_model(network()), tags=("eval",)).write(tmp_path / "m")
    written = (tmp_path / "m" / "fingerprint.pb").read_bytes()
    fresh = fingerprinting.CreateFingerprintDef(str(tmp_path / "m"))
    # The identifier within is drawn at random; the checksums come before it.
    assert written[:20] == bytes(fresh)[:20]


def test_the_written_message_parses_in_our_pool(tmp_path: Path) -> None:
    draft_of(functions.trace_keras_model(network())).write(tmp_path / "m")
    saved = protos.parse("SavedModel", (tmp_path / "m" / "saved_model.pb").read_bytes())
    assert [child.local_name for child in saved.meta_graphs[0].object_graph_def.nodes[0].children]


def test_what_tensorflow_cannot_save_is_one_error(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    iterator = iter(tf.data.Dataset.range(3))
    concrete = tf.function(lambda x: {"y": x + tf.cast(next(iterator), tf.float32)}).get_concrete_function(
        tf.TensorSpec([2], name="x")
    )
    draft = draft_of(functions.of_concrete(concrete, "serving_default"))
    with pytest.raises(errors.ConversionError, match="cannot save 'serving_default'") as caught:
        draft.write(tmp_path / "m")
    assert caught.value.__cause__ is not None


def test_the_place_where_it_is_prepared_is_not_announced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = runtime.tensorflow().get_logger()
    monkeypatch.setattr(logger, "propagate", True)
    filters = list(logger.filters)
    draft = draft_of(functions.trace_keras_model(network()))
    with caplog.at_level("INFO", logger=logger.name):
        draft.write(tmp_path / "prepared")
    assert not [record for record in caplog.records if "prepared" in record.getMessage()]
    assert logger.filters == filters


def test_tensors_go_by_the_users_keys(tmp_path: Path) -> None:
    draft_of(functions.trace_keras_model(network())).write(tmp_path / "m")
    frame = readers.read(tmp_path / "m").signatures
    assert dict(zip(frame["key"], frame["tensor"], strict=True)) == {
        key: f"{key}:0" for key in ("features", "scores", "hidden")
    }


def test_a_variable_may_be_called_as_an_input(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    x = tf.Variable([[1.0], [2.0]], name="x")
    concrete = tf.function(lambda x_: {"y": x_ @ x}).get_concrete_function(tf.TensorSpec([None, 2], name="x"))
    source = functions.of_concrete(concrete, "serving_default")
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), x=[[3.0, 4.0]])


@pytest.mark.parametrize(
    "value",
    [True, [b"text", b""], 7, 1.5, [[1, 2], [3, 4]], np.zeros((0, 3), np.float32), np.array([1, -1], np.int8)],
    ids=["bool", "string", "int", "float", "matrix", "empty", "int8"],
)
def test_variables_and_constants_of_any_dtype(tmp_path: Path, value: Any) -> None:
    tf = runtime.tensorflow()
    variable, outside = tf.Variable(value), tf.constant(value)
    concrete = tf.function(
        lambda x: {"variable": tf.identity(variable), "outside": tf.identity(outside), "x": x + 1}
    ).get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
    source = functions.of_concrete(concrete, "serving_default")
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), x=[1.0])


def test_bfloat16_survives(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    variable = tf.Variable(tf.constant([1.5, -2.0], tf.bfloat16))
    concrete = tf.function(lambda x: {"y": x * tf.cast(variable, tf.float32)}).get_concrete_function(
        tf.TensorSpec([2], name="x")
    )
    source = functions.of_concrete(concrete, "serving_default")
    draft_of(source).write(tmp_path / "m")
    check(tmp_path / "m", source, ("serve",), x=[1.0, 1.0])


def test_a_gradient_that_the_user_defines_survives(tmp_path: Path) -> None:
    tf = runtime.tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def reversed_gradient(x: Any) -> Any:
        return tf.identity(x), lambda upstream: -10.0 * upstream

    weight = tf.Variable([2.0])
    concrete = tf.function(lambda x: {"y": reversed_gradient(x * weight)}).get_concrete_function(
        tf.TensorSpec([1], name="x")
    )
    draft_of(functions.of_concrete(concrete, "serving_default")).write(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    with tf.GradientTape() as tape:
        result = loaded.signatures["serving_default"](x=tf.constant([3.0]))["y"]
    assert result.numpy() == [6.0]
    assert tape.gradient(result, loaded.variables)[0].numpy() == [-30.0]


def test_gradients_that_tensorflow_defines_give_the_same(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    weight = tf.Variable([0.5, -1.5])
    function = tf.function(lambda x: {"y": tf.nn.silu(x * weight)})
    concrete = function.get_concrete_function(tf.TensorSpec([2], name="x"))
    draft = draft_of(functions.of_concrete(concrete, "serving_default"))
    assert draft.messages is not None
    draft.write(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        expected = function(x)["y"]
        found = loaded.signatures["serving_default"](x=x)["y"]
    one, other = tape.gradient(expected, weight), tape.gradient(found, loaded.variables[0])
    np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_tensorflow_1_trains_and_saves_what_it_loads(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    model = network()
    model.get_layer("hidden").trainable = False
    SavedModelWriter().prepare(readers.read(model), WriteOptions(("serving_default",), ("serve",))).write(
        tmp_path / "m"
    )
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(tmp_path / "m"))
        names = {each.op.name for each in v1.global_variables()}
        trained = {each.op.name for each in v1.trainable_variables()}
        assert names == {each.path for each in model.variables}
        assert trained == {each.path for each in model.trainable_variables}
        kernel = next(each for each in v1.global_variables() if each.op.name == "out/kernel")
        session.run(kernel.assign(tf.ones_like(kernel)))
        v1.train.Saver([kernel]).save(session, str(tmp_path / "ckpt"))
    stored = tf.train.load_checkpoint(str(tmp_path / "ckpt")).get_tensor("out/kernel")
    assert (stored == 1).all()


def test_it_can_be_saved_again_by_tensorflow(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    source = functions.trace_keras_model(network())
    draft_of(source).write(tmp_path / "one")
    loaded = tf.saved_model.load(str(tmp_path / "one"))
    tf.saved_model.save(loaded, str(tmp_path / "two"), signatures=loaded.signatures)
    check(tmp_path / "two", source, ("serve",), features=X)


def test_keras_takes_it_for_a_layer(tmp_path: Path) -> None:
    source = functions.trace_keras_model(network())
    draft_of(source).write(tmp_path / "m")
    layer = keras_runtime.keras().layers.TFSMLayer(str(tmp_path / "m"), call_endpoint="serving_default")
    np.testing.assert_allclose(layer(X)["scores"], source({"features": X})["scores"], rtol=1e-5)


def test_functions_of_one_name_with_different_bodies(tmp_path: Path) -> None:
    tf = runtime.tensorflow()

    def part(factor: float) -> NamedFunction:
        inner = tf.function(lambda x: x * factor).get_concrete_function(tf.TensorSpec([], name="x"))
        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.float32, [], name="x")
            tf.identity(inner(x), name="y")
        graph_def = protos.adopt(graph.as_graph_def())
        name = graph_def.library.function[0].signature.name
        data = graph_def.SerializeToString().replace(name.encode(), name[:-3].encode() + b"abc")
        ends = ({"x": "x:0"}, {"y": "y:0"})
        return functions.wrap_graph_def(protos.parse("GraphDef", data), *ends, key=f"times_{factor:.0f}")

    parts = [part(2.0), part(5.0)]
    draft_of(*parts).write(tmp_path / "m")
    for source, expected in zip(parts, (6.0, 15.0), strict=True):
        assert source({"x": 3.0})["y"] == expected
        check(tmp_path / "m", source, ("serve",), x=3.0)


def test_a_graph_past_protobufs_limit_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    outside = tf.constant(np.zeros(10_000, np.float32))
    concrete = tf.function(lambda x: {"y": x + outside}).get_concrete_function(tf.TensorSpec([10_000], name="x"))
    monkeypatch.setattr("tfmagic.writers.saved_model.writer.PROTOBUF_LIMIT", 30_000)
    with pytest.raises(errors.TooLargeError, match="make them variables"):
        draft_of(functions.of_concrete(concrete, "serving_default"))


def test_the_size_is_known_before(tmp_path: Path) -> None:
    draft = draft_of(functions.trace_keras_model(network(10_000)))
    predicted = draft.size
    draft.write(tmp_path / "m")
    assert writing.size_of(tmp_path / "m") == pytest.approx(predicted, rel=0.02)


def test_what_a_module_holds_lies_where_the_module_has_it(tmp_path: Path) -> None:
    """Under the keys of TensorFlow's own saver, whatever the variables are called; each once."""
    tf: Any = runtime.tensorflow()

    class Layer(tf.Module):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.kernel = tf.Variable(np.random.default_rng(0).random((8, 8), np.float32), name="w")

    class Network(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("network")
            self.deep = tf.Module("deep")
            self.deep.deeper = Layer("a")
            self.layers = [Layer("b"), Layer("c")]
            self.by_name = {"a/b.c": tf.Variable(2.0, name="scale")}

        @tf.function(input_signature=[tf.TensorSpec([None, 8])])  # type: ignore[untyped-decorator]
        def call(self, x: Any) -> Any:
            for layer in (self.deep.deeper, *self.layers):
                x = x @ layer.kernel
            return x * self.by_name["a/b.c"]

    network = Network()
    tf.saved_model.save(network, str(tmp_path / "stock"))
    export(network, tmp_path / "ours")
    export(network.call, tmp_path / "of a method")
    keys, *others = (
        dict(tf.train.list_variables(str(tmp_path / place / "variables" / "variables")))
        for place in ("stock", "ours", "of a method")
    )
    assert others == [keys, keys]
    loaded = tf.saved_model.load(str(tmp_path / "ours"))
    np.testing.assert_array_equal(loaded.layers[1].kernel, network.layers[1].kernel)
    assert len(loaded.variables) == 4
    assert len(readers.read(tmp_path / "ours").variables) == 4
    restored = Network()
    restored.layers[0].kernel.assign(tf.zeros([8, 8]))
    status = tf.train.Checkpoint(deep=restored.deep, layers=restored.layers, by_name=restored.by_name).read(
        str(tmp_path / "ours" / "variables" / "variables")
    )
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(restored.layers[0].kernel, network.layers[0].kernel)


# What could not be compared


def _refusing() -> Any:
    """A function that takes none of the inputs that a trial makes."""
    tf = runtime.tensorflow()

    @tf.function(input_signature=[tf.TensorSpec([None], name="x")])  # type: ignore[untyped-decorator]
    def refuse(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_greater(x, 1e6)]):
            return {"y": tf.identity(x) * 2.0}

    return refuse


def _acting() -> Any:
    """A function that is not run on made-up inputs: it reads whatever file they name."""
    tf = runtime.tensorflow()
    return tf.function(lambda x: {"y": tf.io.read_file(x)}, input_signature=[tf.TensorSpec([], tf.string, name="x")])


def _other_tensor(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].outputs["y"].name = "nothing:0"


def _other_dtype(meta_graph: Any) -> None:
    meta_graph.signature_def["serving_default"].outputs["y"].dtype = 10


def _other_shape(meta_graph: Any) -> None:
    info = meta_graph.signature_def["serving_default"].inputs["x"]
    info.tensor_shape.unknown_rank = False
    del info.tensor_shape.dim[:]
    info.tensor_shape.dim.add(size=3)
    info.tensor_shape.dim.add(size=5)


@pytest.mark.parametrize("build", [_refusing, _acting])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_other_tensor, "TensorFlow 1 does not load"),
        (_other_dtype, "for TensorFlow 1 and servers"),
        (_other_shape, "came out otherwise than the source has it"),
    ],
)
def test_what_nobody_ran_is_loaded_in_every_way_before_it_stands(
    build: Any, damage: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow 2 goes by its objects and looks at none of what is damaged here."""
    intact = export(build(), tmp_path / "intact")
    assert any(note.startswith("not verified") for note in intact.notes)
    write = SavedModelDraft.write

    def write_and_damage(draft: SavedModelDraft, path: Path) -> None:
        write(draft, path)
        saved = protos.parse("SavedModel", (path / "saved_model.pb").read_bytes())
        damage(saved.meta_graphs[0])
        (path / "saved_model.pb").write_bytes(saved.SerializeToString())

    monkeypatch.setattr(SavedModelDraft, "write", write_and_damage)
    # As if that were what was meant: what is written otherwise is told before anything is loaded.
    monkeypatch.setattr(directory, "require_message", lambda *_: None)
    with pytest.raises(errors.ConversionError, match=said):
        export(build(), tmp_path / "damaged")
    assert not (tmp_path / "damaged").exists()

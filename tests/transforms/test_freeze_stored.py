from __future__ import annotations

import re
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.samples import network
from tfmagic import errors, functions, readers
from tfmagic.models.model import Part
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import freeze_stored
from tfmagic.transforms.freeze import freeze as freeze_loaded
from tfmagic.verbs.conversion import freeze_untraced
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.freeze import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.samples import Built
    from tfmagic.models.model import Model

pytestmark = pytest.mark.tensorflow
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
LOADED = "the model was loaded"


@cache
def tensorflow() -> Any:
    return runtime.tensorflow()


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch, samples: Built) -> None:
    """Forbid TensorFlow's loaders and sessions, once the samples are built."""
    for name in ("tf1", "tf2", "text", "of_keras", "versions"):
        samples.path(f"saved_model_{name}")

    def forbidden(*_args: object, **_options: object) -> None:
        message = "the model was loaded"
        raise AssertionError(message)

    tf = tensorflow()
    for owner, name in (
        (tf.saved_model, "load"),
        (tf.compat.v1.saved_model, "load"),
        (tf.compat.v1, "Session"),
        (tf.compat.v1.train, "import_meta_graph"),
    ):
        monkeypatch.setattr(owner, name, forbidden)


def run(model: Model, **inputs: Any) -> Mapping[str, np.ndarray]:
    found: Mapping[str, np.ndarray] = model.part(Part.FUNCTION)(None)(inputs)
    return found


def checked(directory: Path, notes: tuple[str, ...] = (), **options: Any) -> Model:
    """Freeze, and see that it was done without loading and that the numbers are those of TensorFlow's loader."""
    result = freeze(directory, **options)
    assert result.notes == (*readers.read(directory).notes, *notes)
    assert not {"VarHandleOp", "VariableV2", "ReadVariableOp"} & set(result.ops["op"])
    return result


def saved(path: Path, module: Any, **signatures: Any) -> Path:
    tensorflow().saved_model.save(module, str(path), signatures=signatures or None)
    return path


def session_saved(path: Path, build: Callable[[Any], tuple[dict[str, Any], dict[str, Any]]], **options: Any) -> Path:
    """Save what a function builds in a graph of TensorFlow 1."""
    v1 = tensorflow().compat.v1
    with tensorflow().Graph().as_default(), v1.Session() as session:
        inputs, outputs = build(v1)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def(inputs, outputs)
        builder = v1.saved_model.Builder(str(path))
        saver = options.pop("saver", lambda: None)()
        for run_before in options.pop("steps", lambda: ())():
            session.run(run_before)
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, saver=saver, main_op=v1.tables_initializer(), **options
        )
    builder.save()
    return path


@pytest.mark.parametrize(
    "name", ["saved_model_tf2", "saved_model_tf1", "saved_model_text", "saved_model_of_keras", "saved_model_versions"]
)
@pytest.mark.usefixtures("unloadable")
def test_a_directory_is_frozen_without_loading_it(samples: Built, name: str) -> None:
    result = freeze(samples[name], verify=False)
    (key,), (output,) = (result.signatures.query("side == @side")["key"] for side in ("input", "output"))
    np.testing.assert_allclose(run(result, **{key: X})[output], network(X), rtol=1e-5)
    # The batch stays open.
    assert result.signatures["shape"].tolist()[0] == (None, 4)
    assert result.signatures["tensor"].tolist()[0] == f"{key}:0"


@pytest.mark.parametrize("name", ["saved_model_tf2", "saved_model_tf1", "saved_model_of_keras"])
def test_the_result_is_verified_against_the_loaded_model(samples: Built, name: str, tmp_path: Path) -> None:
    result = freeze(samples[name], output=tmp_path / "m.pb")
    assert result.notes == ()
    assert (tmp_path / "m.pb").is_file()


def test_the_meta_graph_of_the_tags_is_frozen(samples: Built) -> None:
    for tags in ("train", "serve", "serve,gpu"):
        result = freeze(samples["saved_model_several"], tags=tags, verify=False)
        np.testing.assert_allclose(run(result, x=X)["y"], network(X), rtol=1e-5)
    with pytest.raises(errors.UnknownNameError, match="tag-set"):
        freeze(samples["saved_model_several"], tags="eval")


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize("name", ["saved_model_tf1", "saved_model_tf2"])
def test_any_tensor_of_a_graph_or_of_its_functions_is_an_end(samples: Built, name: str) -> None:
    result = freeze(samples[name], outputs={"inner": "hidden"}, verify=False)
    assert result.signatures["key"].tolist() == ["x", "inner"]
    assert run(result, x=X)["inner"].shape == (3, 3)
    later = freeze(samples[name], inputs=["hidden:0"], outputs=["y"], verify=False)
    assert later.signatures["key"].tolist() == ["hidden", "y"]
    np.testing.assert_allclose(run(later, hidden=run(result, x=X)["inner"])["y"], network(X), rtol=1e-5)
    assert not {"x", "hidden/kernel"} & set(later.ops["name"])


@pytest.mark.usefixtures("unloadable")
def test_a_tensor_of_several_calls_is_named_with_one_of_them(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.scale = tf.Variable(3.0)
    scaled = tf.function(lambda x: tf.multiply(x, module.scale, name="scaled"))
    specs = [tf.TensorSpec([], name="x")]
    module.f = tf.function(lambda x: {"y": scaled(scaled(x)) + 1.0}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    with pytest.raises(errors.UnknownNameError, match="no single tensor 'scaled'") as refused:
        freeze(tmp_path / "m", outputs=["scaled"], verify=False)
    first, second = re.findall(r"'([^']*/scaled)'", str(refused.value))
    outputs = run(freeze(tmp_path / "m", outputs={"first": first, "second": second}, verify=False), x=np.float32(2))
    assert sorted(outputs.values()) == [6.0, 18.0]


def test_names_that_are_wrong(samples: Built) -> None:
    with pytest.raises(errors.UnknownNameError, match="signature"):
        freeze(samples["saved_model_tf1"], signature="classify")
    with pytest.raises(errors.UnknownNameError, match="did you mean 'hidden"):
        freeze(samples["saved_model_tf1"], outputs=["hiden"])


def test_a_moving_average_is_not_the_variable(tmp_path: Path) -> None:
    averages: list[Any] = []

    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("float32", [None], "x")
        weight = v1.get_variable("w", initializer=2.0)
        averages[:] = [v1.train.ExponentialMovingAverage(0.5), weight]
        averages.append(averages[0].apply([weight]))
        return {"x": x}, {"y": tensorflow().multiply(x, weight, name="y")}

    def steps() -> Any:
        return [averages[2], averages[1].assign(10.0), averages[2]]

    session_saved(
        tmp_path / "m",
        build,
        steps=steps,
        saver=lambda: tensorflow().compat.v1.train.Saver(averages[0].variables_to_restore()),
    )
    expected = tensorflow().saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    result = checked(tmp_path / "m")
    value = run(result, x=np.ones(1))["y"]
    assert value == expected(x=tensorflow().ones(1))["y"].numpy()


def test_what_an_initialiser_reads_elsewhere_is_not_what_is_restored(tmp_path: Path) -> None:
    tf = tensorflow()
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "warm"), tensor_names=["w"], shape_and_slices=[""], tensors=[tf.constant([1.0, 1.0])]
    )

    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("float32", [None, 2], "x")
        restored = tf.raw_ops.RestoreV2(
            prefix=str(tmp_path / "warm"), tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32]
        )
        weight = v1.get_variable("w", initializer=tf.ensure_shape(restored[0], [2]), use_resource=True)
        other = v1.get_variable("other", initializer=[5.0, 5.0], use_resource=True)
        return {"x": x}, {"y": tf.multiply(x, weight * other, name="y")}

    session_saved(tmp_path / "m", build)
    np.testing.assert_array_equal(run(checked(tmp_path / "m"), x=np.ones((1, 2)))["y"], [[5, 5]])


def test_partitioned_variables_are_joined(tmp_path: Path) -> None:
    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("int64", [None], "x")
        weights = v1.get_variable("w", [5, 4], partitioner=v1.fixed_size_partitioner(3))
        return {"x": x}, {"y": tensorflow().gather(tensorflow().concat(list(weights), 0), x, name="y")}

    session_saved(tmp_path / "m", build)
    stock = tensorflow().saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    rows = [4, 2, 0]
    expected = stock(x=tensorflow().constant(rows, "int64"))["y"]
    np.testing.assert_array_equal(run(checked(tmp_path / "m"), x=rows)["y"], expected)


@pytest.mark.parametrize("use_resource", [False, True])
def test_control_flow_of_tensorflow_1(tmp_path: Path, use_resource: bool) -> None:  # noqa: FBT001 - a parameter
    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("float32", [None], "x")
        weight = v1.get_variable("w", initializer=3.0, use_resource=use_resource)
        v1.disable_control_flow_v2()
        try:
            total = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * weight), (0, x))[1]
            y = v1.cond(tensorflow().reduce_sum(x) > 0, lambda: total + weight, lambda: total - weight)
        finally:
            v1.enable_control_flow_v2()
        return {"x": x}, {"y": tensorflow().identity(y, name="y")}

    session_saved(tmp_path / "m", build)
    result = checked(tmp_path / "m")
    assert run(result, x=[1.0])["y"] == 30
    assert run(result, x=[-1.0])["y"] == -30


def test_functions_branches_and_loops_of_tensorflow_2(tmp_path: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    module.weight, module.table = tf.Variable(3.0), tf.Variable(np.eye(3, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([], tf.int32, name="n")])  # type: ignore[untyped-decorator]
    def call(x: Any, n: Any) -> dict[str, Any]:
        looped = tf.while_loop(lambda i, _: i < n, lambda i, y: (i + 1, y * module.weight), (0, x))[1]
        branched = tf.cond(n > 1, lambda: looped @ module.table, lambda: looped)
        return {"z": branched, "a": tf.gather(module.table, [0, 2])}

    saved(tmp_path / "m", module, serving_default=call)
    result = checked(tmp_path / "m")
    assert run(result, x=np.ones((1, 3)), n=2)["z"].tolist() == [[9, 9, 9]]
    assert result.signatures["key"].tolist() == ["n", "x", "a", "z"]


def table_module(tmp_path: Path, kind: str) -> Any:
    tf = tensorflow()
    words, numbers = tf.constant(["a", "b", "c"]), tf.constant([1, 2, 3], tf.int64)
    module = tf.Module()
    if kind == "file":
        (tmp_path / "words.txt").write_text("a\nb\nc\n")
        initializer = tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, value_index_offset=1,
        )  # fmt: skip
        module.table = tf.lookup.StaticHashTable(initializer, -1)
    elif kind == "mutable":
        module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        module.table.insert(words, numbers)
    elif kind == "dense":
        module.table = tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -1, "", "$")
        module.table.insert(words, numbers)
    else:
        module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, numbers), -1)
    spec = tf.TensorSpec([None], tf.string, name="word")
    module.call = tf.function(lambda word: {"id": module.table.lookup(word)}, input_signature=[spec])
    return module


@pytest.mark.parametrize("kind", ["static", "file", "mutable"])
def test_tables_fill_themselves(tmp_path: Path, kind: str) -> None:
    module = table_module(tmp_path, kind)
    saved(tmp_path / "m", module, serving_default=module.call)
    (tmp_path / "words.txt").unlink(missing_ok=True)
    result = checked(tmp_path / "m", output=tmp_path / "m.pb")
    shutil.rmtree(tmp_path / "m")
    assert run(result, word=["c", "zz", "a"])["id"].tolist() == [3, -1, 1]


def test_two_tables_in_one_graph(tmp_path: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    module.one, module.two = (table_module(tmp_path, kind) for kind in ("static", "mutable"))
    spec = tf.TensorSpec([None], tf.string, name="word")
    module.call = tf.function(
        lambda word: {"sum": module.one.table.lookup(word) * 10 + module.two.table.lookup(word)}, input_signature=[spec]
    )
    saved(tmp_path / "m", module, serving_default=module.call)
    result = checked(tmp_path / "m")
    assert run(result, word=["c", "a"])["sum"].tolist() == [33, 11]
    assert run(freeze(result), word=["c", "a"])["sum"].tolist() == [33, 11]


def test_a_table_that_a_function_makes_is_loaded(tmp_path: Path) -> None:
    tf = tensorflow()
    module = tf.Module()

    def call(word: Any) -> dict[str, Any]:
        handle = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="made_inside")
        return {"size": tf.raw_ops.LookupTableSizeV2(table_handle=handle) + tf.size(word, tf.int64)}

    module.call = tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    saved(tmp_path / "m", module, serving_default=module.call)
    with pytest.raises(errors.ConversionError):
        freeze(tmp_path / "m")


def test_keys_in_capitals_stay(tmp_path: Path) -> None:
    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("float32", [None], "x")
        return {"X": x}, {"Scores": x * v1.get_variable("w", initializer=2.0)}

    session_saved(tmp_path / "m", build)
    result = checked(tmp_path / "m", notes=("a graph cannot hold every key as it is, so 'X' is 'x' in it",))
    assert result.signatures["key"].tolist() == ["X", "Scores"]
    assert run(result, X=[1.0])["Scores"] == 2


def test_a_reference_is_an_output(tmp_path: Path) -> None:
    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        x = v1.placeholder("float32", [None], "x")
        weight = v1.get_variable("w", initializer=2.0, use_resource=False)
        return {"x": x}, {"y": x * weight, "w": weight}

    session_saved(tmp_path / "m", build)
    assert run(freeze(tmp_path / "m", verify=False), x=[1.0])["w"] == 2


def test_a_table_of_tensorflow_1(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")

    def build(v1: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        tf = tensorflow()
        x = v1.placeholder(tf.string, [None], "x")
        path = tf.constant(str(tmp_path / "words.txt"), name="vocabulary")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )
        return {"x": x}, {"y": tf.identity(table.lookup(x), name="y")}

    _saved_with_assets(tmp_path, build, tensorflow().compat.v1)
    assert run(checked(tmp_path / "m"), x=["b", "?"])["y"].tolist() == [1, -1]


def _saved_with_assets(tmp_path: Path, build: Any, v1: Any) -> None:
    with tensorflow().Graph().as_default(), v1.Session() as session:
        inputs, outputs = build(v1)
        session.run(v1.tables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def(inputs, outputs)},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
    builder.save()
    (tmp_path / "words.txt").unlink()


def test_an_asset_that_is_read_is_inside(tmp_path: Path) -> None:
    tf = tensorflow()
    (tmp_path / "note.txt").write_text("hello")
    module = tf.Module()
    module.note = tf.saved_model.Asset(str(tmp_path / "note.txt"))
    spec = tf.TensorSpec([], tf.string, name="x")
    module.call = tf.function(lambda x: {"y": x + tf.io.read_file(module.note)}, input_signature=[spec])
    saved(tmp_path / "m", module, serving_default=module.call)
    result = checked(tmp_path / "m", output=tmp_path / "m.pb")
    shutil.rmtree(tmp_path / "m")
    assert run(result, x="> ")["y"] == b"> hello"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8", "bool", "string", "complex64"])
def test_variables_of_any_dtype(tmp_path: Path, dtype: str) -> None:
    tf = tensorflow()
    values = ["a", "b"] if dtype == "string" else [0, 1]
    module = tf.Module()
    constant = tf.constant(values) if dtype == "string" else tf.cast(values, dtype)
    module.weight, module.nothing = tf.Variable(constant), tf.Variable(tf.zeros([0, 3]))
    spec = tf.TensorSpec([None], tf.int32, name="i")
    module.call = tf.function(
        lambda i: {"y": tf.gather(module.weight, i), "none": tf.shape(module.nothing + 1.0)}, input_signature=[spec]
    )
    saved(tmp_path / "m", module, serving_default=module.call)
    found = run(checked(tmp_path / "m"), i=[1, 0])
    np.testing.assert_array_equal(found["y"], constant.numpy()[::-1])
    assert found["none"].tolist() == [0, 3]


def test_keras_2_with_an_optimizers_slots(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(4,), name="out")])
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    model.save(tmp_path / "m", save_format="tf")
    result = checked(tmp_path / "m")
    np.testing.assert_allclose(run(result, out_input=X)["out"], model.predict(X, verbose=0), rtol=1e-5)


def test_a_model_that_writes_is_refused_as_the_loaded_one_is(tmp_path: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    module.count = tf.Variable(0.0)
    spec = tf.TensorSpec([], name="x")
    module.call = tf.function(lambda x: {"y": module.count.assign_add(x)}, input_signature=[spec])
    saved(tmp_path / "m", module, serving_default=module.call)
    with pytest.raises(errors.UnsupportedConversionError, match="writes to a variable"):
        freeze(tmp_path / "m")


def test_what_is_out_of_the_ordinary_is_loaded_and_said(samples: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        message = "a reason"
        raise errors.ConversionError(message)

    monkeypatch.setattr(freeze_stored, "freeze", refuse)
    result = freeze(samples["saved_model_tf2"])
    assert result.notes == (f"{LOADED} to freeze it, which takes memory and time: a reason",)
    np.testing.assert_allclose(run(result, x=X)["y"], network(X), rtol=1e-5)


def test_a_dense_table_is_refused_in_words(tmp_path: Path) -> None:
    module = table_module(tmp_path, "dense")
    saved(tmp_path / "m", module, serving_default=module.call)
    with pytest.raises(errors.UnsupportedConversionError, match="dense"):
        freeze(tmp_path / "m")


def test_a_damaged_value_stops_it(samples: Built, tmp_path: Path) -> None:
    copy = samples.copy("saved_model_tf2", tmp_path)
    (shard,) = copy.glob("variables/*.data*")
    data = bytearray(shard.read_bytes())
    data[0] ^= 1
    shard.write_bytes(data)
    with pytest.raises(errors.CorruptSourceError, match="cannot be read"):
        freeze(copy, output=tmp_path / "m.pb", verify=False)
    assert not (tmp_path / "m.pb").exists()


def test_straight_and_loaded_give_the_same_graph(samples: Built) -> None:
    model = readers.read(samples["saved_model_tf2"])
    direct = freeze_untraced.freeze(model, Wish()).frozen
    assert direct is not None
    loaded = freeze_loaded(functions.load_saved_model(samples["saved_model_tf2"]))
    passing = {"Identity", "NoOp"}
    kinds = [sorted(node.op for node in each.graph_def.node if node.op not in passing) for each in (direct, loaded)]
    assert kinds[0] == kinds[1]
    assert not direct.graph_def.library.function
    assert [end[:3] for end in direct.outputs] == [end[:3] for end in loaded.outputs]

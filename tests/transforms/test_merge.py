from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf import text_format

import tfmagic
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.models.model import Model, Part
from tfmagic.notebook import tf1_cells
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.merge import merge

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow

#: The article's first graph, as one would write it into a cell: base64 text to PNG to 28 x 28 to a flat vector.
DECODER = """
import tensorflow as tf
text = tf.placeholder(tf.string, shape=(), name="image")
safe = tf.strings.regex_replace(tf.strings.regex_replace(text, r"\\+", "-"), "/", "_")
png = tf.image.decode_png(tf.decode_base64(tf.strings.regex_replace(safe, "=", "")), channels=1)
pixels = tf.image.convert_image_dtype(tf.reshape(png, [28, 28]), tf.float32)
flat = tf.reshape(pixels, [1, 784], name="flat")
"""
WEIGHTS = np.linspace(-1, 1, 7840, dtype=np.float32).reshape(784, 10) ** 3
BIAS = np.linspace(0, 1, 10, dtype=np.float32)


def png(pixels: np.ndarray) -> bytes:
    """A grey PNG, written by hand: eight bits, no filter."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (28, 28)).astype(np.uint8)


def softmax(pictures: np.ndarray) -> np.ndarray:
    """What the two models compute together, in numpy."""
    flat = pictures.reshape(-1, 784).astype(np.float32) / np.float32(255)
    scores = np.exp(flat.astype(np.float64) @ WEIGHTS + BIAS)
    return np.asarray(scores / scores.sum(1, keepdims=True))


def decoder() -> Any:
    return tf1_cells.run(DECODER, {}).session


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MNIST softmax with variables, a SavedModel of TensorFlow 2."""
    tf = runtime.tensorflow()
    module = tf.Module()
    module.w, module.b = tf.Variable(WEIGHTS, name="w"), tf.Variable(BIAS, name="b")
    module.call = tf.function(
        lambda x: {"probabilities": tf.nn.softmax(x @ module.w + module.b)},
        input_signature=[tf.TensorSpec([None, 784], name="x")],
    )
    path = tmp_path_factory.mktemp("classifier") / "1"
    tf.saved_model.save(module, str(path), signatures=module.call)
    return path


def run(model: Model, **inputs: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = model.part(Part.FUNCTION)(None)(inputs)
    return found


def keys(model: Model, side: str) -> list[str]:
    frame = model.signatures
    return list(frame[frame["side"] == side]["key"])


def scaler(factor: float, given: str = "x", made: str = "y", shape: Any = (None,), name: str = "factor") -> Any:
    """A module with one variable."""
    tf = runtime.tensorflow()
    module = tf.Module()
    module.factor = tf.Variable(factor, name=name)
    module.call = tf.function(
        lambda x: {made: x * module.factor}, input_signature=[tf.TensorSpec(shape, tf.float32, name=given)]
    )
    return module


# The article


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode], ids=["plain", "url-safe"])
@pytest.mark.parametrize("padded", [True, False])
def test_the_articles_case_for_one_string(classifier: Path, encode: Any, *, padded: bool) -> None:
    session = decoder()
    merged = merge(session, classifier)
    for seed in range(3):
        text = encode(png(picture(seed)))
        text = text if padded else text.rstrip(b"=")
        found = run(merged, image=text)["probabilities"]
        np.testing.assert_allclose(found, softmax(picture(seed)), rtol=2e-4)
        flat = session.run("flat:0", {"image:0": text})
        np.testing.assert_array_equal(found, run(tfmagic.inspect(classifier), x=flat)["probabilities"])
    assert (keys(merged, "input"), keys(merged, "output")) == (["image"], ["probabilities"])
    assert not any("not verified" in note for note in merged.notes)


def test_the_articles_case_for_a_batch(classifier: Path, tmp_path: Path) -> None:
    merged = merge(decoder(), classifier, map=True, output=tmp_path / "merged")
    pictures = np.stack([picture(seed) for seed in range(5)])
    texts = [base64.b64encode(png(each)) for each in pictures]
    for model in (merged, tfmagic.inspect(tmp_path / "merged")):
        found = run(model, image=texts)["probabilities"]
        np.testing.assert_allclose(found, softmax(pictures), rtol=2e-4)
        assert run(model, image=texts[:1])["probabilities"].shape == (1, 10)
        assert not any("not verified" in note for note in model.notes)
    frame = merged.signatures
    assert frame[frame["key"] == "image"]["shape"].item() == (None,)
    assert frame[frame["key"] == "probabilities"]["shape"].item() == (None, 10)


def test_what_is_written_keeps_its_variables_alive(classifier: Path, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    merge(decoder(), classifier, output=tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    variables = {each.name: each for each in loaded.variables}
    assert set(variables) == {"second/w:0", "second/b:0"}
    assert all(each.trainable for each in variables.values())
    text = tf.constant(base64.b64encode(png(picture(0))))
    call = loaded.signatures["serving_default"]
    with tf.GradientTape() as tape:
        loss = -tf.math.log(call(image=text)["probabilities"][0, 3])
    gradients = tape.gradient(loss, list(variables.values()))
    assert all(np.abs(each.numpy()).max() > 0 for each in gradients)
    before = call(image=text)["probabilities"].numpy()
    for variable, gradient in zip(variables.values(), gradients, strict=True):
        variable.assign_sub(0.1 * gradient)
    assert call(image=text)["probabilities"].numpy()[0, 3] > before[0, 3]


def test_training_the_parts_trains_the_whole() -> None:
    first, second = scaler(2.0, made="x"), scaler(3.0)
    merged = merge(first, second)
    assert run(merged, x=[1.0])["y"] == 6
    second.factor.assign(5.0)
    assert run(merged, x=[1.0])["y"] == 10
    assert list(merged.variables["name"]) == ["factor", "factor_1"]


def test_frozen_there_are_no_variables(classifier: Path, tmp_path: Path) -> None:
    for merged in (
        merge(decoder(), classifier, freeze=True),
        merge(decoder(), classifier, freeze=True, output=tmp_path / "m.pb"),
        merge(decoder(), classifier, output=tmp_path / "n.pb"),
    ):
        assert merged.form == "graph_def"
        assert not set(merged.ops["op"]) & {"VarHandleOp", "ReadVariableOp"}
        found = run(merged, image=base64.b64encode(png(picture(1))))["probabilities"]
        np.testing.assert_allclose(found, softmax(picture(1)), rtol=2e-4)
    served = merge(decoder(), classifier, freeze=True, output=tmp_path / "served")
    assert len(served.variables) == 0


def test_connections_without_an_input_are_refused_in_words() -> None:
    with pytest.raises(errors.ConversionError, match="maps outputs to inputs"):
        merge(scaler(2.0), scaler(5.0), connect=["y"])  # type: ignore[arg-type]


def test_the_values_of_a_merge_become_a_checkpoint(tmp_path: Path) -> None:
    found = merge(scaler(2.0), scaler(5.0, name="other"), connect={"y": "x"}, output=tmp_path / "m.ckpt")
    assert found.form == "checkpoint"
    reader = runtime.tensorflow().train.load_checkpoint(str(tmp_path / "m.ckpt"))
    stored = [reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in key]
    assert {float(value) for value in stored if value.dtype == np.float32} == {2.0, 5.0}


def test_a_merge_in_a_format_that_is_no_source_is_shown_itself(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    found = merge(scaler(2.0), scaler(5.0), connect={"y": "x"}, output=tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").is_file()
    assert [note for note in found.notes if "m.onnx" in note]
    assert run(found, x=[1.0, 2.0])["y"].tolist() == [10, 20]


# Names


def test_equal_names_connect_and_others_are_left_open() -> None:
    tf = runtime.tensorflow()
    first = tf.function(lambda a: {"x": a + 1, "extra": a * 2}, input_signature=[tf.TensorSpec([None], name="a")])
    second = tf.function(
        lambda x, bias: {"y": x + bias},
        input_signature=[tf.TensorSpec([None], name="x"), tf.TensorSpec([], name="bias")],
    )
    merged = merge(first, second)
    function = merged.part(Part.FUNCTION)(None)
    assert [end.key for end in function.inputs] == ["a", "bias"]
    assert [end.key for end in function.outputs] == ["y", "extra"]
    found = run(merged, a=[1.0], bias=10.0)
    assert [found["y"].item(), found["extra"].item()] == [12, 2]


def test_names_that_both_have_are_told_apart() -> None:
    tf = runtime.tensorflow()
    both = [tf.TensorSpec([], name="x"), tf.TensorSpec([], name="scale")]
    first = tf.function(lambda x, scale: {"z": x * scale, "y": scale}, input_signature=both)
    second = tf.function(lambda x, scale: {"y": x - scale}, input_signature=both)
    merged = merge(first, second, connect={"z": "x"})
    assert run(merged, x=3.0, scale=2.0, second_scale=1.0) == {"y": 5, "first_y": 2}
    assert any("'scale' of the second model is 'second_scale'" in note for note in merged.notes)


def test_one_output_feeds_several_inputs() -> None:
    tf = runtime.tensorflow()
    second = tf.function(
        lambda p, q: {"r": p + 10 * q}, input_signature=[tf.TensorSpec([None], name=name) for name in "pq"]
    )
    assert run(merge(scaler(2.0), second, connect={"y": ["p", "q"]}), x=[1.0])["r"] == 22


def test_tensors_inside_a_graph_connect(tmp_path: Path) -> None:
    first = tf1_cells.run(
        "x = tf.placeholder(tf.float32, [None], 'x')\nh = tf.add(x, 1., 'h')\ny = tf.add(h, 1., 'y')", {}
    )
    code = "a = tf.placeholder(tf.float32, [None], 'a')\nb = tf.multiply(a, 2., 'b')\nc = tf.add(b, 5., 'c')"
    second = tf1_cells.run(code, {}).session
    merged = merge(first.session, second, connect={"h:0": "b:0"}, output=tmp_path / "m")
    assert run(merged, x=[1.0])["c"] == 7


@pytest.mark.parametrize(
    ("connect", "match"),
    [({"yy": "x"}, "did you mean 'y'"), ({"y": "xx"}, "did you mean 'x'")],
)
def test_wrong_names_get_the_nearest_right_ones(connect: dict[str, str], match: str) -> None:
    with pytest.raises(errors.UnknownNameError, match=match):
        merge(scaler(1.0), scaler(1.0), connect=connect)


def test_an_input_is_not_fed_twice() -> None:
    tf = runtime.tensorflow()
    first = tf.function(lambda a: {"p": a, "q": a}, input_signature=[tf.TensorSpec([None], name="a")])
    with pytest.raises(errors.ConversionError, match="twice"):
        merge(first, scaler(1.0), connect={"p": "x", "q": "x"})
    with pytest.raises(errors.ConversionError, match=r"'p' \(float32 \(None,\)\).*'x' \(float32 \(None,\)\)"):
        merge(first, scaler(1.0))


@pytest.mark.parametrize(
    ("shape", "dtype", "match"),
    [
        ([None, 28, 28], "float32", r"shapes do not fit.*'y' as float32 \(None,\).*'x' as float32 \(None, 28, 28\)"),
        ([None], "int32", r"dtypes do not fit.*'y' as float32 \(None,\).*'x' as int32 \(None,\)"),
        ([None, None], "float32", r"map=True"),
    ],
)
def test_ends_that_do_not_fit_are_shown_both(shape: Any, dtype: str, match: str) -> None:
    tf = runtime.tensorflow()
    second = tf.function(lambda x: {"z": x}, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
    with pytest.raises(errors.ConversionError, match=match):
        merge(scaler(1.0), second)


def test_the_signature_is_the_seconds(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = scaler(2.0)
    module.other = tf.function(lambda x: {"y": -x}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"a": module.call, "b": module.other})
    merged = merge(scaler(3.0), tmp_path / "m", signature="b", connect={"y": "x"})
    assert set(merged.signatures["signature"]) == {"b"}
    assert run(merged, x=[1.0])["y"] == -3
    with pytest.raises(errors.UnknownNameError, match="'a'"):
        merge(scaler(3.0), tmp_path / "m", signature="c")


# What is lost in silence elsewhere (FACTS H)


def v1_saved_model(path: Path, weight: float, *, resource: bool, factor_name: str = "w") -> Path:
    """A SavedModel of TensorFlow 1: y = weight * x."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        w = v1.get_variable(factor_name, initializer=weight, use_resource=resource)
        y = tf.multiply(x, w, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    return path


@pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])
def test_variables_of_tensorflow_1_are_kept(tmp_path: Path, *, resource: bool) -> None:
    tf = runtime.tensorflow()
    first = v1_saved_model(tmp_path / "a", 2.0, resource=resource)
    second = v1_saved_model(tmp_path / "b", 5.0, resource=resource)
    merged = merge(first, second, connect={"y": "x"}, output=tmp_path / "m")
    assert run(merged, x=[1.0, 2.0])["y"].tolist() == [10, 20]
    assert len(merged.variables) == 2
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert sorted(each.numpy() for each in loaded.variables) == [2, 5]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loaded.signatures["serving_default"](x=tf.constant([1.0]))["y"])
    assert sorted(each.numpy() for each in tape.gradient(total, loaded.variables)) == [2, 5]


def test_ref_variables_of_a_loaded_object_are_refused(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    loaded = tf.saved_model.load(str(v1_saved_model(tmp_path / "a", 2.0, resource=False)))
    with pytest.raises(errors.ConversionError, match=r"first model keeps variables.*'w'.*directory"):
        merge(loaded, scaler(1.0), connect={"y": "x"})
    packed = tf.function(
        lambda x: loaded.signatures["serving_default"](x=x), input_signature=[tf.TensorSpec([None], name="x")]
    )
    with pytest.raises(errors.UnsupportedConversionError, match="'w'"):
        tfmagic.export(packed, tmp_path / "lost")
    assert not (tmp_path / "lost").exists()


def test_equal_shared_names_do_not_meet(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    for value in (1.0, 5.0):
        model = keras.Sequential(
            [
                keras.layers.Input((3,), name="i"),
                keras.layers.Dense(3, name="d", kernel_initializer=keras.initializers.Constant(value)),
            ],
            name="s",
        )
        model.export(str(tmp_path / f"lin{value:.0f}"))
    merged = merge(tmp_path / "lin1", tmp_path / "lin5", connect={"output_0": "i"}, output=tmp_path / "m")
    assert run(merged, i=np.ones((1, 3)))["output_0"].tolist() == [[45, 45, 45]]


def vocabulary(directory: Path, words: list[str]) -> Any:
    """A module that looks words up in an asset called vocab.txt."""
    tf = runtime.tensorflow()
    directory.mkdir()
    (directory / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    initializer = tf.lookup.TextFileInitializer(
        str(directory / "vocab.txt"),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(initializer, -1)
    module.call = tf.function(
        lambda s: {"id": module.table.lookup(s), "s": s}, input_signature=[tf.TensorSpec([None], tf.string, name="s")]
    )
    return module


def test_equal_asset_names_do_not_meet(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    for number, words in enumerate((["a", "b", "c"], ["c", "b", "a"])):
        module = vocabulary(tmp_path / f"files{number}", words)
        tf.saved_model.save(module, str(tmp_path / f"m{number}"), signatures=module.call)
    merged = merge(tmp_path / "m0", tmp_path / "m1", connect={"s": "s"}, output=tmp_path / "m")
    for number in (0, 1):
        (tmp_path / f"files{number}" / "vocab.txt").unlink()
    found = run(tfmagic.inspect(tmp_path / "m"), s=["a", "b", "c"])
    assert (found["first_id"].tolist(), found["id"].tolist()) == ([0, 1, 2], [2, 1, 0])
    assert len(merged.assets) == 2


def v1_table(path: Path, words: list[str]) -> Path:
    """A SavedModel of TensorFlow 1 with a table of a fixed name, and a function in its library of a fixed name."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        s = v1.placeholder(tf.string, [None], name="s")
        initializer = tf.lookup.KeyValueTensorInitializer(words, list(range(len(words))), tf.string, tf.int64)
        table = tf.lookup.StaticHashTable(initializer, -1, name="table")
        found = tf.identity(table.lookup(s), name="id")
        session.run(v1.tables_initializer())
        v1.saved_model.simple_save(
            session, str(path), {"s": s}, {"id": found, "t": tf.identity(s)}, legacy_init_op=v1.tables_initializer()
        )
        assert graph.get_operations()
    return path


def test_equal_tables_of_tensorflow_1_do_not_meet(tmp_path: Path) -> None:
    first, second = v1_table(tmp_path / "a", ["a", "b"]), v1_table(tmp_path / "b", ["b", "a"])
    merged = merge(first, second, connect={"t": "s"}, output=tmp_path / "m")
    found = run(merged, s=["a", "b", "x"])
    assert (found["first_id"].tolist(), found["id"].tolist()) == ([0, 1, -1], [1, 0, -1])


def v1_branch(path: Path, add: float) -> Path:
    """A SavedModel of TensorFlow 1 whose branch has the same function name in each."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = v1.cond(tf.reduce_sum(x) > -1e9, lambda: x + add, lambda: x - add)
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": tf.identity(y, name="y")})
    # Another process would have begun to count anew.
    message = protos.parse("SavedModel", (path / "saved_model.pb").read_bytes())
    text = re.sub(r"cond_(true|false)_\d+", r"cond_\1_7", text_format.MessageToString(message))
    named = text_format.Parse(text, protos.message("SavedModel")())
    (path / "saved_model.pb").write_bytes(named.SerializeToString())
    return path


def test_equal_function_names_do_not_meet(tmp_path: Path) -> None:
    sources = [v1_branch(tmp_path / name, add) for name, add in (("a", 1.0), ("b", 100.0))]
    names = [{each.signature.name for each in tfmagic.inspect(path).graph_def.library.function} for path in sources]
    assert names[0] & names[1]
    merged = merge(*sources, connect={"y": "x"}, output=tmp_path / "m")
    assert run(merged, x=[0.0])["y"] == 101


# Any two forms


@pytest.mark.parametrize(
    "first",
    [
        "module",
        "tf_function",
        "session",
        "session_of_resource_variables",
        "saved_model_tf1",
        "keras_model",
        "graph_def",
    ],
)
@pytest.mark.parametrize("second", ["module", "session", "keras_archive", "saved_model_tf2"])
def test_any_two_forms_merge(samples: Any, first: str, second: str) -> None:
    from tests.samples import network  # noqa: PLC0415 - beside the one test that needs it

    tf = runtime.tensorflow()
    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    widen = tf.function(
        lambda y: {"x": tf.concat([y, y], 1)}, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="y")]
    )
    begun = merge(samples[first], widen, connect={_only(samples[first]): "y"})
    merged = merge(begun, samples[second])
    (found,) = run(merged, x=x).values()
    y = network(x)
    np.testing.assert_allclose(found, network(np.concatenate([y, y], 1)), rtol=1e-5)


def _only(source: Any) -> str:
    """The name of a source's only output."""
    ((end),) = tfmagic.inspect(source).part(Part.FUNCTION)(None).outputs
    return str(end.key)


def test_a_source_that_cannot_run_is_refused(samples: Any) -> None:
    with pytest.raises(errors.MissingPartError, match="can run"):
        merge(samples["bare_graph"], samples["module"])


def test_a_merge_is_a_source(tmp_path: Path) -> None:
    merged = merge(merge(scaler(2.0), scaler(3.0), connect={"y": "x"}), scaler(4.0), connect={"y": "x"})
    assert run(merged, x=[1.0])["y"] == 24
    done = tfmagic.export(merged, tmp_path / "m")
    assert done.verification["equal"].tolist() == [True]
    assert "merge of two" in repr(merged)
    assert "PartitionedCall" in " ".join(merged.ops["op"])


def test_an_existing_destination_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_bytes(b"old")
    with pytest.raises(errors.WriteError, match="exists"):
        merge(tmp_path / "nothing", tmp_path / "nothing", output=tmp_path / "m.pb")
    merge(scaler(2.0), scaler(3.0), connect={"y": "x"}, output=tmp_path / "m.pb", overwrite=True)
    assert run(tfmagic.inspect(tmp_path / "m.pb"), x=[1.0])["y"] == 6


def test_a_result_that_differs_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfmagic.transforms.merge import Merged  # noqa: PLC0415 - beside the one test that needs it

    monkeypatch.setattr(Merged, "one_after_the_other", lambda *_: {"y": np.zeros(2, np.float32)})
    with pytest.raises(errors.VerificationError) as caught:
        merge(scaler(2.0), scaler(3.0), connect={"y": "x"})
    assert caught.value.verification["equal"].tolist() == [False]
    merge(scaler(2.0), scaler(3.0), connect={"y": "x"}, verify=False)


# Several functions and models in one (job 14)


def test_functions_and_models_are_packed_into_one(classifier: Path, tmp_path: Path) -> None:
    tf, keras = runtime.tensorflow(), keras_runtime.keras()
    dense = keras.layers.Dense(2, name="head")
    model = keras.Sequential([keras.layers.Input((10,)), dense], name="small")
    loaded = tf.saved_model.load(str(classifier))

    @tf.function  # type: ignore[untyped-decorator]
    def scaled(x: Any) -> Any:
        return x / 2.0

    @tf.function(input_signature=[tf.TensorSpec([None, 784], name="pixels")])  # type: ignore[untyped-decorator]
    def packed(pixels: Any) -> Any:
        found = loaded.signatures["serving_default"](x=scaled(pixels))["probabilities"]
        return {"probabilities": found, "small": model(found, training=False)}

    frozen = tfmagic.freeze(packed, output=tmp_path / "packed.pb")
    assert [(row.side, row.key) for row in frozen.signatures.itertuples()] == [
        ("input", "pixels"), ("output", "probabilities"), ("output", "small"),
    ]  # fmt: skip
    assert frozen.ops["op"].tolist().count("MatMul") == 2
    assert any("small" in name and "head" in name for name in frozen.ops["name"])
    x = np.random.default_rng(0).random((2, 784)).astype(np.float32)
    expected = packed(x)
    for key, value in run(frozen, pixels=x).items():
        np.testing.assert_allclose(value, expected[key], atol=1e-5)

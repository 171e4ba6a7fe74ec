from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfmagic import errors, progress, readers
from tfmagic.files import protos, writing
from tfmagic.graphs.signatures import PREDICT
from tfmagic.models import writer as writer_base
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import WriteOptions
from tfmagic.readers import READERS
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs import export as export_verb
from tfmagic.verbs import run as run_verb
from tfmagic.verbs.conversion.job import Export
from tfmagic.verbs.export import export
from tfmagic.verbs.freeze import freeze
from tfmagic.verbs.merge import merge
from tfmagic.writers import WRITERS, writer_for
from tfmagic.writers.graph_def import GraphDefDraft
from tfmagic.writers.saved_model import directory
from tfmagic.writers.saved_model.writer import SavedModelDraft, SavedModelWriter

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((3, 8), dtype=np.float32)


def network() -> Any:
    keras = keras_runtime.keras()
    x = keras.Input((8,), name="features")
    hidden = keras.layers.Dense(4, activation="relu", name="hidden")(x)
    return keras.Model(x, {"scores": keras.layers.Dense(3, name="out")(hidden), "hidden": hidden})


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


def module() -> Any:
    """A module with two signatures' worth of functions."""
    tf = runtime.tensorflow()
    made = tf.Module()
    made.weight = tf.Variable(np.eye(3, dtype=np.float32))
    made.first = tf.function(lambda x: {"y": x @ made.weight}, input_signature=[tf.TensorSpec([None, 3], name="x")])
    made.second = tf.function(lambda z: {"w": z * 2.0}, input_signature=[tf.TensorSpec([None], name="z")])
    return made


@pytest.fixture(scope="module")
def served(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with two signatures."""
    directory = tmp_path_factory.mktemp("served") / "1"
    export(
        model,
        directory,
        signatures={"serving_default": {}, "only": {"outputs": ["scores"], "method": "classify"}},
    )
    return directory


def run(result: Model, **inputs: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = result.part(Part.FUNCTION)(None)(inputs)
    return found


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# freeze


def test_a_model_is_frozen_in_memory(model: Any) -> None:
    result = freeze(model)
    assert result.form == "graph_def"
    assert result.path is None
    frame = result.signatures
    assert frame[["side", "key", "tensor"]].to_numpy().tolist() == [
        ["input", "features", "features:0"],
        ["output", "hidden", "hidden:0"],
        ["output", "scores", "scores:0"],
    ]
    expected = model(X)
    found = run(result, features=X)
    for key in ("scores", "hidden"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-6)
    assert result.graph_def.node[0].name == "features"
    assert not result.notes


@pytest.mark.parametrize("name", ["m.pb", "m.pbtxt", "new/dir/m.pb"])
def test_a_model_is_frozen_to_a_file(model: Any, tmp_path: Path, name: str) -> None:
    result = freeze(model, output=tmp_path / name)
    assert result.path == tmp_path / name
    assert names(result.path.parent) == [result.path.name]
    assert set(result.signatures["key"]) == {"features", "scores", "hidden"}
    assert "MatMul" in set(result.ops["op"])
    np.testing.assert_allclose(run(result, features=X)["scores"], model(X)["scores"], rtol=1e-6)


def test_a_frozen_model_is_a_source(model: Any, tmp_path: Path) -> None:
    first = freeze(model)
    second = freeze(first, outputs=["scores"], output=tmp_path / "m.pb")
    assert set(second.signatures["key"]) == {"features", "scores"}
    done = export(first, tmp_path / "served")
    assert done.verification["equal"].tolist() == [True, True]


def test_ends_are_chosen_and_renamed(model: Any, tmp_path: Path) -> None:
    result = freeze(model, inputs={"x": "features"}, outputs={"y": "scores"}, output=tmp_path / "m.pb")
    assert result.ops["name"].iloc[0] == "x"
    assert result.ops["name"].iloc[-1] == "y"
    with pytest.raises(errors.UnknownNameError, match="did you mean 'scores'"):
        freeze(model, outputs=["score"])


def test_a_signature_of_a_directory_is_frozen(served: Path, model: Any) -> None:
    result = freeze(served, signature="only")
    assert set(result.signatures["key"]) == {"features", "scores"}
    assert set(result.signatures["method"]) == {"tensorflow/serving/classify"}
    np.testing.assert_allclose(run(result, features=X)["scores"], model(X)["scores"], rtol=1e-6)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'only'"):
        freeze(served, signature="onli")
    with pytest.raises(errors.UnknownNameError, match="tag-set"):
        freeze(served, tags="gpu")


@pytest.mark.parametrize("name", ["served", "m.h5", "m.keras", "m.weights.h5", "m.tflite", "m.onnx", "m.ckpt"])
def test_a_frozen_graph_is_a_graphs_file(model: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ConversionError, match=r"one file.*'\.pb'"):
        freeze(model, output=tmp_path / name)
    assert not list(tmp_path.iterdir())


# export


def test_an_export_tells_what_it_did(model: Any, tmp_path: Path) -> None:
    done = export(model, tmp_path / "served")
    assert isinstance(done, Export)
    assert (done.path, done.format) == (tmp_path / "served", "saved_model")
    assert done.bytes == sum(path.stat().st_size for path in done.path.rglob("*") if path.is_file())
    assert done.seconds > 0
    assert list(done.verification.columns) == ["output", "max_abs", "max_rel", "equal"]
    assert done.verification["equal"].tolist() == [True, True]
    for text in (repr(done), done._repr_html_()):
        assert "saved_model" in text
        assert "scores" in text


def test_a_result_is_shown_under_the_path_that_was_named(model: Any, in_tmp_path: Path) -> None:
    exported = export(model, "served/1")
    assert exported.path == in_tmp_path / "served" / "1"
    assert "path: served/1\n" in repr(exported)
    assert f'title="{in_tmp_path}/served/1"' in exported._repr_html_()
    assert str(in_tmp_path) not in repr(exported)
    assert freeze(model, output="net.pb").origin == "net.pb"
    # A name that the writer chooses lies in the place that was named.
    assert repr(export(model, "logs", format="tensorboard")).startswith("tensorboard: logs/events.out.")
    assert export(model, in_tmp_path / "second").called == str(in_tmp_path / "second")


def test_a_check_mark_stands_where_all_that_was_compared_is_equal(model: Any, tmp_path: Path) -> None:
    shown = repr(export(model, tmp_path / "served"))
    assert "result: \N{CHECK MARK} checked: read back and compared with the source in all 2 outputs, largest" in shown
    assert "result: not checked" in repr(export(model, tmp_path / "unseen", verify=False))


def test_keys_tags_and_method(model: Any, tmp_path: Path) -> None:
    done = export(model, tmp_path / "served", signature="predict_images", tags="serve,gpu", method="classify")
    frame = readers.read(tmp_path / "served").signatures
    assert set(frame["signature"]) == {"predict_images"}
    assert set(frame["tags"]) == {"serve,gpu"}
    assert set(frame["method"]) == {"tensorflow/serving/classify"}
    assert [note for note in done.notes if "look for the input 'inputs'" in note] == list(done.notes)
    done = export(model, tmp_path / "other", tags=["eval"])
    assert "servers ask for 'serve'" in done.notes[0]


def test_a_signature_map(served: Path) -> None:
    frame = readers.read(served).signatures
    methods = dict(zip(frame["signature"], frame["method"], strict=True))
    assert methods == {"serving_default": PREDICT, "only": "tensorflow/serving/classify"}
    assert set(frame[frame["signature"] == "only"]["key"]) == {"features", "scores"}


@pytest.mark.parametrize("given", [{}, {"a": {"input": ["x"]}}])
def test_a_signature_map_that_means_nothing(model: Any, tmp_path: Path, given: Any) -> None:
    with pytest.raises((errors.ConversionError, errors.UnknownNameError)):
        export(model, tmp_path / "served", signatures=given)
    assert names(tmp_path) == []


def test_all_signatures_of_a_directory_are_written_again(served: Path, tmp_path: Path) -> None:
    done = export(served, tmp_path / "again")
    assert set(readers.read(tmp_path / "again").signatures["signature"]) == {"serving_default", "only"}
    assert sorted(done.verification["output"]) == ["only/scores", "serving_default/hidden", "serving_default/scores"]
    assert done.verification["equal"].all()


def test_a_signature_that_only_writes_is_kept_or_refused(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    made = tf.Module()
    made.total = tf.Variable(1.0)
    spec = tf.TensorSpec([None], name="x")

    def train(x: Any) -> dict[str, Any]:
        made.total.assign_add(tf.reduce_sum(x))
        return {}

    made.train = tf.function(train, input_signature=[spec], autograph=False)
    made.infer = tf.function(lambda x: {"y": x + made.total}, input_signature=[spec])
    export(made, tmp_path / "first")
    export(tmp_path / "first", tmp_path / "second")
    for folder in ("first", "second"):
        loaded = tf.saved_model.load(str(tmp_path / folder)).signatures
        assert loaded["train"](x=tf.constant([1.0, 2.0])) == {}
        assert loaded["infer"](x=tf.constant([0.0]))["y"].numpy().tolist() == [4.0]
    for name in ("m.pb", "m.tflite", "m.onnx"):
        with pytest.raises(errors.ConversionError, match=r"returns no tensor|no outputs"):
            export(tmp_path / "first", tmp_path / name, signature="train")
    assert names(tmp_path) == ["first", "second"]


def test_variables_of_one_name_keep_their_own_flags(tmp_path: Path) -> None:
    """TensorFlow calls all variables without a name alike, and each function holds some of them only."""
    tf = runtime.tensorflow()
    made = tf.Module()
    made.first, made.second = tf.Variable(1.0), tf.Variable(2.0, trainable=False)
    spec = tf.TensorSpec([None], name="x")
    made.one = tf.function(lambda x: {"y": x * made.first}, input_signature=[spec], autograph=False)
    made.two = tf.function(lambda x: {"y": x * made.second}, input_signature=[spec], autograph=False)
    export(made, tmp_path / "both")
    export(made, tmp_path / "two", signature="two")
    after = tf.function(lambda x: {"z": x + 1}, input_signature=[spec], autograph=False)
    merge(made.two, after, connect={"y": "x"}, output=tmp_path / "merged")
    for name, expected in (("both", {1.0: True, 2.0: False}), ("two", {2.0: False}), ("merged", {2.0: False})):
        loaded = tf.saved_model.load(str(tmp_path / name))
        assert {float(each.numpy()): each.trainable for each in loaded.variables} == expected
        assert len(loaded.trainable_variables) == sum(expected.values())


def test_variables_that_are_called_like_others_keep_their_own_flags(tmp_path: Path) -> None:
    """A SavedModel's table goes by attributes, what is loaded by the variables' names."""
    tf = runtime.tensorflow()
    made = tf.Module()
    made.a, made.b = tf.Variable(1.0, name="b"), tf.Variable(2.0, name="a", trainable=False)
    spec = tf.TensorSpec([None], name="x")
    made.call = tf.function(lambda x: {"y": x * made.a + made.b}, input_signature=[spec], autograph=False)
    tf.saved_model.save(made, str(tmp_path / "stock"), signatures=made.call.get_concrete_function())
    export(tmp_path / "stock", tmp_path / "again")
    after = tf.function(lambda x: {"z": x + 1}, input_signature=[spec], autograph=False)
    merge(tmp_path / "stock", after, connect={"y": "x"}, output=tmp_path / "merged")
    for name in ("again", "merged"):
        loaded = tf.saved_model.load(str(tmp_path / name))
        assert {float(each.numpy()): each.trainable for each in loaded.variables} == {1.0: True, 2.0: False}


def test_a_directory_becomes_a_file(served: Path, tmp_path: Path) -> None:
    assert export(served, tmp_path / "m.pb").format == "graph_def"
    assert export(served, tmp_path / "m.bin", format="graph_text", signature="only").format == "graph_text"


@pytest.mark.parametrize("name", ["m.pb", "m.tflite", "m.onnx", "m.keras"])
def test_tags_that_no_part_of_the_source_has_mean_nothing_to_a_file(model: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.TfMagicError, match="tag"):
        export(model, tmp_path / name, tags="eval")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx"])
def test_a_method_name_has_no_place_in_a_file(model: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ConversionError, match="no place for a method name"):
        export(model, tmp_path / name, method="classify")
    assert names(tmp_path) == []


def test_several_meta_graphs(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    both = tmp_path / "both"
    export(tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None, 8], name="x")]), both)
    saved = protos.parse("SavedModel", (both / "saved_model.pb").read_bytes())
    saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])
    saved.meta_graphs[1].meta_info_def.tags[:] = ["gpu"]
    (both / "saved_model.pb").write_bytes(saved.SerializeToString())
    for tags, expected in ((None, ("serve",)), ("gpu", ("gpu",)), ("serve", ("serve",))):
        destination = tmp_path / f"out_{tags}"
        export(both, destination, tags=tags)
        assert readers.read(destination).meta_graphs[0].tags == expected
    np.testing.assert_allclose(run(freeze(both, tags="gpu"), x=X)["y"], X * 2)
    with pytest.raises(errors.UnknownNameError, match="tag-set"):
        freeze(both, tags="tpu")


def test_state_inside_a_graph_is_refused(tmp_path: Path) -> None:
    tf = runtime.tensorflow()

    def stateful(x: Any) -> Any:
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="inside")
        return tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant(-1, tf.int64))

    concrete = tf.function(lambda x: {"y": stateful(x)}).get_concrete_function(tf.TensorSpec([None], tf.string, "x"))
    for name in ("served", "m.pb"):
        with pytest.raises(errors.UnsupportedConversionError, match=r"HashTableV2.* would be lost"):
            export(concrete, tmp_path / name)


def test_functions_and_modules(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    made = module()
    export(made.first, tmp_path / "first")
    assert set(readers.read(tmp_path / "first").signatures["key"]) == {"x", "y"}
    export(made.second.get_concrete_function(), tmp_path / "second.pb")
    export(made, tmp_path / "both")
    assert len(set(readers.read(tmp_path / "both").signatures["signature"])) == 2
    again = tf.saved_model.load(str(tmp_path / "both"))
    export(again, tmp_path / "again")
    assert len(set(readers.read(tmp_path / "again").signatures["signature"])) == 2


def test_the_live_key_may_be_named_and_a_stored_one_not(model: Any, served: Path, tmp_path: Path) -> None:
    export(model, tmp_path / "one", signature="mine")
    with pytest.raises(errors.UnknownNameError):
        export(served, tmp_path / "two", signature="mine")
    assert names(tmp_path) == ["one"]


# Refusals


def test_an_existing_destination_is_refused_before_tracing(tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_text("dear")
    traced = []
    tf = runtime.tensorflow()

    def identity(x: Any) -> Any:
        traced.append(x)
        return {"y": x}

    source = tf.function(identity, input_signature=[tf.TensorSpec([], name="x")])
    with pytest.raises(errors.WriteError, match="exists"):
        export(source, tmp_path / "m.pb")
    with pytest.raises(errors.WriteError, match="exists"):
        freeze(source, output=tmp_path / "m.pb")
    assert traced == []
    assert (tmp_path / "m.pb").read_text() == "dear"


def test_overwriting(model: Any, tmp_path: Path) -> None:
    for _ in range(2):
        export(model, tmp_path / "served", overwrite=True)
        freeze(model, output=tmp_path / "m.pb", overwrite=True)
    before = set(readers.read(tmp_path / "served").signatures["key"])
    with pytest.raises(errors.WriteError, match="is, or holds, what is read"):
        export(tmp_path / "served", tmp_path / "served", outputs=["scores"], overwrite=True)
    assert set(readers.read(tmp_path / "served").signatures["key"]) == before
    assert names(tmp_path) == ["m.pb", "served"]


def test_a_source_without_a_function_names_what_is_possible(tmp_path: Path) -> None:
    checkpoint = Model("checkpoint", "a test", {Part.VARIABLES: tuple})
    with pytest.raises(errors.UnsupportedConversionError) as caught:
        export(checkpoint, tmp_path / "served")
    assert (caught.value.form, caught.value.format, caught.value.possible) == ("checkpoint", "saved_model", ())
    with pytest.raises(errors.UnsupportedConversionError):
        freeze(checkpoint)


def test_weights_alone_are_told_what_they_need(model: Any, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "mine.weights.h5")
    for act in (lambda path: export(path, tmp_path / "served"), freeze, run_verb.run):
        with pytest.raises((errors.UnsupportedConversionError, errors.MissingPartError)) as caught:
            act(tmp_path / "mine.weights.h5")
        assert "It holds weights only: build the model that they are of" in str(caught.value)
        assert "(none)" not in str(caught.value)


def test_a_source_goes_by_its_own_form_wherever_it_is_refused(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with v1.Graph().as_default():
        x = v1.placeholder(tf.float32, [None], name="x")
        y = v1.py_func(lambda value: value, [x], tf.float32, name="y")
        y.set_shape([None])
        with v1.Session() as session:
            for name in ("m.pb", "m.tflite"):
                with pytest.raises(errors.UnsupportedConversionError, match=r"^a session source cannot") as caught:
                    export(session, tmp_path / name, inputs=["x"], outputs=["y"])
                assert caught.value.form == "session"
            with pytest.raises(errors.UnsupportedConversionError, match=r"a session .* no layers of Keras") as caught:
                export(session, tmp_path / "m.keras", inputs=["x"], outputs=["y"])
            with pytest.raises(errors.UnsupportedConversionError, match=r"^a session source cannot become 'graph_def'"):
                freeze(session, inputs=["x"], outputs=["y"])
    assert names(tmp_path) == []


def test_a_graph_that_does_not_load_is_told_before_its_result(tmp_path: Path) -> None:
    graph_def = protos.message("GraphDef")()
    graph_def.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    graph_def.node.add(name="y", op="DecodePng", input=["x"])
    with pytest.raises(errors.ConversionError, match=r"neither the source nor .*; of the source: .*was passed float"):
        export(graph_def, tmp_path / "served", inputs=["x"], outputs=["y"])
    assert names(tmp_path) == []


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        export(tmp_path / "absent", tmp_path / "served")
    assert names(tmp_path) == []


def test_unknown_suffixes_and_formats(model: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionError, match=r"\.xyz"):
        export(model, tmp_path / "m.xyz")
    with pytest.raises(errors.UnknownNameError):
        export(model, tmp_path / "m", format="savedmodel")


@pytest.mark.parametrize("name", ["m.pb", "m.pbtxt"])
def test_a_wrong_graph_is_not_left(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    original = writer_for

    def spoiling(*arguments: Any) -> Any:
        writer = original(*arguments)
        prepare = writer.prepare

        def prepared(source: Model, options: writer_base.WriteOptions) -> Any:
            draft: Any = prepare(source, options)
            for key, value in draft.frozen.values.items():
                draft.frozen.values[key] = value._replace(read=lambda size=value.size: bytes(size))
            # Its pieces were put together for its size, with the values as they are.
            vars(draft.frozen).pop("_small_pieces", None)
            return draft

        monkeypatch.setattr(writer, "prepare", prepared)
        return writer

    monkeypatch.setattr(export_verb, "writer_for", spoiling)
    (tmp_path / name).write_text("old")
    with pytest.raises(errors.VerificationError, match="differs from the source") as caught:
        export(model, tmp_path / name, overwrite=True)
    assert caught.value.verification["equal"].tolist() == [False, False]
    assert (tmp_path / name).read_text() == "old"
    assert names(tmp_path) == [name]


def test_a_wrong_saved_model_is_not_left(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = network()
    write = SavedModelDraft.write

    def spoiled(self: SavedModelDraft, path: Path) -> None:
        write(SavedModelWriter().prepare(readers.read(other), WriteOptions(("serving_default",), self.tags)), path)

    monkeypatch.setattr(SavedModelDraft, "write", spoiled)
    with pytest.raises(errors.ConversionError, match="was not written as it is"):
        export(model, tmp_path / "a" / "served")
    assert names(tmp_path) == []
    # Its numbers alone would tell as well.
    monkeypatch.setattr(directory, "require_message", lambda *_: None)
    with pytest.raises(errors.VerificationError):
        export(model, tmp_path / "a" / "served")
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_an_interrupt_leaves_the_old_one(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    (tmp_path / "m.pb").write_text("old")

    def interrupted(_self: GraphDefDraft, path: Path) -> None:
        path.write_text("half")
        raise error

    monkeypatch.setattr(GraphDefDraft, "write", interrupted)
    with pytest.raises(errors.WriteError if isinstance(error, OSError) else error):
        export(model, tmp_path / "m.pb", overwrite=True)
    assert (tmp_path / "m.pb").read_text() == "old"
    assert names(tmp_path) == ["m.pb"]


# Truth


def test_what_was_not_verified_is_said(model: Any, tmp_path: Path) -> None:
    done = export(model, tmp_path / "served", verify=False)
    assert done.verification["equal"].tolist() == [None, None]
    assert "not verified" in done.notes[0]
    assert "verify=False" in done.notes[0]
    assert "not verified" in freeze(model, verify=False).notes[0]


def test_what_could_not_be_verified_says_why(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    decode = tf.function(
        lambda wav: {"y": tf.audio.decode_wav(wav)[0]}, input_signature=[tf.TensorSpec([], tf.string, "wav")]
    )
    done = export(decode, tmp_path / "m.pb")
    assert "wav=EXPR" in done.notes[0]
    assert done.path.is_file()


def test_training_mode_is_said(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    dropping = tf.function(lambda x: {"y": tf.nn.dropout(x, 0.5)}, input_signature=[tf.TensorSpec([None, 3], name="x")])
    notes = " ".join(export(dropping, tmp_path / "m.pb").notes)
    assert "random" in notes
    assert "random" in " ".join(export(dropping, tmp_path / "served").notes)


def test_the_users_process_is_left_alone(model: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    tf.random.set_seed(7)
    expected = tf.random.uniform([3]).numpy().tolist()
    tf.random.set_seed(7)
    before = (Path.cwd(), tf.executing_eagerly(), [variable.numpy() for variable in model.variables])
    export(model, tmp_path / "served")
    freeze(model)
    assert tf.random.uniform([3]).numpy().tolist() == expected
    assert (Path.cwd(), tf.executing_eagerly()) == before[:2]
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before[2], model.variables, strict=True))


def test_it_works_while_a_graph_is_being_built(model: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        export(model, tmp_path / "served")
        freeze(model, output=tmp_path / "m.pb")
    assert not graph.get_operations()


# Progress and the table


def test_progress_is_quiet_where_nobody_looks(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(model, tmp_path / "m.pb")
    assert capsys.readouterr() == ("", "")


def test_progress_names_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_DELAY", 0)
    with progress.stages("m.pb", 2) as begin:
        begin("tracing")
        begin("writing")
    assert "tracing" in stream.getvalue()
    assert "writing" in stream.getvalue()


def test_the_table_of_conversions_is_computed() -> None:
    table = {row.form: row.formats for row in writer_base.conversion_table(READERS, WRITERS)}
    assert list(next(iter(table.values()))) == [writer.format for writer in WRITERS]
    assert table["saved_model"]["graph_def"]
    assert not table["checkpoint"]["saved_model"]


def test_signatures_of_a_file_share_their_variables(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.weight = tf.Variable(np.ones((300, 300), np.float32))
    spec = tf.TensorSpec([None, 300], name="x")
    one, two = (
        tf.function(lambda x, factor=factor: {"y": x @ module.weight * factor}).get_concrete_function(spec)
        for factor in (1.0, 2.0)
    )
    tf.saved_model.save(module, str(tmp_path / "one"), signatures={"a": one, "b": two})
    done = export(tmp_path / "one", tmp_path / "two")
    assert list(done.verification["equal"]) == [True, True]
    assert writing.size_of(tmp_path / "two" / "variables") < 1.1 * 360_000
    assert len(tf.saved_model.load(str(tmp_path / "two")).variables) == 1


def test_a_saved_model_in_text(model: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    done = export(model, tmp_path / "served", text=True, tags="eval")
    assert all(done.verification["equal"])
    assert sorted(each.name for each in (tmp_path / "served").iterdir()) == ["saved_model.pbtxt", "variables"]
    assert 'tags: "eval"' in (tmp_path / "served" / "saved_model.pbtxt").read_text()
    loaded = tf.saved_model.load(str(tmp_path / "served"), tags=["eval"])
    x = np.ones((2, 8), np.float32)
    found = loaded.signatures["serving_default"](features=tf.constant(x))
    np.testing.assert_allclose(found["scores"], model(x, training=False)["scores"], rtol=1e-5)
    with pytest.raises(errors.ConversionError, match="text=True is for SavedModels"):
        export(model, tmp_path / "m.pb", text=True)

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.samples import SAMPLES
from tfmagic import errors, readers
from tfmagic.commands import magic_lines
from tfmagic.graphs import signatures
from tfmagic.verbs.conversion import destinations, plan_names
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built
    from tfmagic.verbs.conversion.plan import Plan

pytestmark = pytest.mark.tensorflow

_FORMATS = [writer.format for writer in tfmagic.writers.WRITERS]


def planned(source: Any, format: str, destination: str = "", **more: Any) -> Plan:
    model = readers.read(source)
    names = plan_names.Names(plan_names.signed(model), plan_names.nodes(model))
    return conversion_plan.plan(model, Request(format, destination, **more), names)


def problems(plan: Plan) -> dict[str, str]:
    return {problem.field: problem.text for problem in plan.problems}


@pytest.fixture(scope="module")
def wide() -> Any:
    """A model whose weights are most of it: 256 x 256 floats, and an optimizer that has moments of each."""
    keras = pytest.importorskip("keras")
    inputs = keras.layers.Input((256,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(256, name="y")(inputs), name="wide")
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((2, 256)), np.zeros((2, 256)))
    return model


# What is possible


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_greyed_cannot_be_done(samples: Built, name: str, in_tmp_path: Path) -> None:
    source = samples[name]
    model = readers.read(source)
    for format, reason in conversion_plan.formats(model).items():
        if reason:
            with pytest.raises(errors.TfMagicError):
                tfmagic.export(source, in_tmp_path / destinations.suggested(model, format), format=format)


@pytest.mark.parametrize("format", _FORMATS)
@pytest.mark.parametrize(
    "name", ["keras_model", "saved_model_tf1", "session", "keras_archive", "graph_def", "meta_graph"]
)
def test_a_plan_without_problems_is_done(samples: Built, name: str, format: str, in_tmp_path: Path) -> None:
    model = readers.read(samples[name])
    place = destinations.suggested(model, format)
    plan = planned(samples[name], format, place)
    if conversion_plan.formats(model)[format]:
        assert "format" in problems(plan)
        return
    assert not plan.problems
    # Where ONNX and the like are made by others, that is slow, and test_form_format's business.
    if format not in ("onnx", "tflite"):
        result = tfmagic.export(samples[name], place, **Request(format, place).options())
        assert result.format == format
        assert result.path.is_relative_to(in_tmp_path)
        assert result.path == plan.place or format == "tensorboard"


def test_a_library_that_is_not_there_is_why_not(samples: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = conversion_plan.formats(readers.read(samples["keras_model"]))
    assert "pip install" in found["onnx"]
    assert not found["tflite"]


def test_a_checkpoint_without_its_files_is_no_source_of_one(samples: Built, tmp_path: Path) -> None:
    path = samples.copy("saved_model_tf2", tmp_path)
    assert not conversion_plan.formats(readers.read(path))["checkpoint"]
    shutil.rmtree(path / "variables")
    assert "no checkpoint" in conversion_plan.formats(readers.read(path))["checkpoint"]


# Size


@pytest.mark.parametrize("format", ["saved_model", "graph_def", "keras", "h5", "weights", "tflite"])
def test_the_size_is_about_what_it_becomes(wide: Any, samples: Built, format: str, in_tmp_path: Path) -> None:
    place = destinations.suggested(readers.read(wide), format)
    plan = planned(wide, format, place)
    result = tfmagic.export(wide, place, format=format, verify=False)
    assert plan.size is not None
    assert not plan.size.at_most
    assert result.bytes == pytest.approx(plan.size.bytes, rel=0.15)
    assert str(planned(samples["keras_model"], format, f"2{place}").size) == "less than 100.0 kB"
    assert tfmagic.export(samples["keras_model"], f"2{place}", format=format, verify=False).bytes < 100_000
    assert str(plan.size).startswith("about ")
    del in_tmp_path


@pytest.mark.parametrize("format", ["graph_text", "tensorboard"])
def test_a_bound_is_not_passed(wide: Any, format: str, in_tmp_path: Path) -> None:
    model = readers.read(wide)
    _ = model.ops
    place = destinations.suggested(model, format)
    found = conversion_plan.plan(model, Request(format, place), plan_names.Names(plan_names.signed(model))).size
    assert found is not None
    assert found.at_most
    assert tfmagic.export(wide, place, format=format, verify=False).bytes <= found.bytes * 1.1
    del in_tmp_path


def test_nothing_is_said_of_a_size_that_is_not_known() -> None:
    import tensorflow as tf  # noqa: PLC0415 - as the samples

    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
    assert planned(graph, "saved_model", "m").size is None


def test_room_that_is_not_there_is_told(wide: Any, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    assert "room" in problems(planned(wide, "keras", "m.keras"))["destination"]
    del in_tmp_path


# The destination


@pytest.mark.parametrize(
    ("format", "destination", "told"),
    [
        ("saved_model", "", "where to write"),
        ("saved_model", "m.tflite", "'.tflite'"),
        ("saved_model", "served/1.5", ""),
        ("saved_model", "served.v2", ""),
        ("graph_def", "m", "'.pb'"),
        ("graph_def", "m.pbtxt", "'.pb'"),
        ("graph_def", "m.pb", ""),
        ("h5", "m.weights.h5", "'.weights.h5'"),
        ("h5", "m.HDF5", ""),
        ("weights", "m.h5", "'.weights.h5'"),
        ("checkpoint", "m.ckpt-100", ""),
        ("checkpoint", "m", "'.ckpt'"),
        ("tensorboard", "logs", ""),
        ("keras", "there.keras", "exists"),
        ("keras", "there.keras/m.keras", "is a file"),
        ("keras", "a\0b.keras", "no path"),
    ],
)
def test_the_destination_is_looked_at(
    samples: Built, format: str, destination: str, told: str, in_tmp_path: Path
) -> None:
    (in_tmp_path / "there.keras").touch()
    found = problems(planned(samples["keras_model"], format, destination))
    assert set(found) == ({"destination"} if told else set())
    assert told in found.get("destination", "")


def test_what_may_be_replaced_is_no_problem(samples: Built, in_tmp_path: Path) -> None:
    (in_tmp_path / "m.keras").touch()
    assert not planned(samples["keras_model"], "keras", "m.keras", overwrite=True).problems
    (in_tmp_path / "m").mkdir()
    (in_tmp_path / "m" / "notes.txt").touch()
    found = problems(planned(samples["keras_model"], "saved_model", "m", overwrite=True))
    assert "more than a SavedModel" in found["destination"]


def test_a_place_that_may_not_be_written_to(samples: Built, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != in_tmp_path)
    found = problems(planned(samples["keras_model"], "keras", "deep/down/m.keras"))
    assert "may not be written" in found["destination"]


def test_a_checkpoint_is_numbered_beside_another(samples: Built, in_tmp_path: Path) -> None:
    tfmagic.export(samples["keras_model"], in_tmp_path / "m.ckpt")
    assert "exists" in problems(planned(samples["keras_model"], "checkpoint", "m.ckpt"))["destination"]
    assert not planned(samples["keras_model"], "checkpoint", "m.ckpt", keep=2).problems
    assert "keep" in problems(planned(samples["keras_model"], "checkpoint", "m.ckpt", keep=0))
    assert destinations.suggested(readers.read(samples["keras_model"]), "checkpoint") == "network.ckpt"


def test_a_suggestion_is_free(samples: Built, in_tmp_path: Path) -> None:
    model = readers.read(samples["keras_model"])
    assert destinations.suggested(model, "keras") == "network.keras"
    (in_tmp_path / "network.keras").touch()
    assert destinations.suggested(model, "keras") == "network_1.keras"
    tfmagic.export(samples["keras_model"], in_tmp_path / "network.ckpt")
    assert destinations.suggested(model, "checkpoint") == "network_1.ckpt"


# Names


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        ({"signature": "serving_defalt"}, "signature", "'serving_default'"),
        ({"inputs": "x1"}, "inputs", "'x'"),
        ({"outputs": "scores=yy"}, "outputs", "'y'"),
        ({"outputs": "y=y, y=x"}, "outputs", "twice"),
        ({"outputs": "=y"}, "outputs", "KEY=TENSOR"),
        ({"batch": 0}, "batch", "at least one"),
        ({"inputs": "images=x", "outputs": "scores=y", "signature": "serving_default", "batch": 3}, "", ""),
    ],
)
def test_names_are_looked_up(samples: Built, options: dict[str, Any], field: str, told: str, in_tmp_path: Path) -> None:
    found = problems(planned(samples["saved_model_tf2"], "saved_model", "m", **options))
    assert list(found) == ([field] if field else [])
    assert told in found.get(field, "")
    del in_tmp_path


def test_what_is_told_of_a_name_is_what_the_conversion_says(samples: Built, in_tmp_path: Path) -> None:
    for name in ("hiden/Relu", "ot/BiasAdd"):
        assert "outputs" in problems(planned(samples["session"], "graph_def", "m.pb", outputs=name))
        with pytest.raises(errors.UnknownNameError):
            tfmagic.export(samples["session"], in_tmp_path / "m.pb", outputs=[name])


def test_a_name_that_nobody_knows_yet_is_not_called_wrong(samples: Built, in_tmp_path: Path) -> None:
    model = readers.read(samples["keras_archive"])
    names = plan_names.Names(plan_names.signed(model))
    assert not conversion_plan.plan(model, Request("saved_model", "m", outputs="network/out/BiasAdd"), names).problems
    del in_tmp_path


def test_near_names_are_found_in_a_large_graph_at_once() -> None:
    names = plan_names.Names({}, frozenset(f"layer_{number}/MatMul" for number in range(300_000)) | {"head/Softmax"})
    assert "'head/Softmax'" in str(names.unknown("outputs", "", "head/Sofmax"))
    assert not names.unknown("outputs", "", "layer_299999/MatMul:0")
    assert names.unknown("outputs", "", "head/Softmax:first")


def test_several_signatures_ask_for_one(samples: Built, in_tmp_path: Path) -> None:
    source = in_tmp_path / "several"
    two = {"one": {"outputs": {"y": "y"}}, "two": {"outputs": {"y": "y"}}}
    tfmagic.export(samples["module"], source, signatures=two)
    assert "'one', 'two'" in problems(planned(source, "graph_def", "m.pb"))["signature"]
    assert not planned(source, "graph_def", "m.pb", signature="one").problems
    plan = planned(source, "saved_model", "m")
    assert not plan.problems
    assert "'one', 'two'" in plan.kept[0]
    assert any("'two'" in line for line in planned(source, "saved_model", "m", signature="one").lost)
    assert "signature" in problems(planned(source, "saved_model", "m", outputs="scores=y"))
    assert not planned(source, "tflite", "m.tflite").problems
    assert not any("other signature" in line for line in planned(source, "tflite", "m.tflite").lost)


def test_a_graph_that_nobody_signed_has_proposed_ends(samples: Built, in_tmp_path: Path) -> None:
    plan = planned(samples["graph_def"], "saved_model", "m", signature="mine")
    assert not plan.problems
    plan = planned(samples["graph_def"], "saved_model", "m")
    assert any("proposed" in line for line in plan.cautions)
    # What was named is not proposed any more.
    plan = planned(samples["graph_def"], "saved_model", "m", outputs="y")
    (caution,) = [line for line in plan.cautions if "proposed" in line]
    assert "where it begins: 'x' is proposed" in caution
    plan = planned(samples["graph_def"], "saved_model", "m", inputs="x", outputs="y")
    assert not any("proposed" in line for line in plan.cautions)
    assert tfmagic.export(samples["graph_def"], in_tmp_path / "m", signature="mine").path.name == "m"


@pytest.mark.parametrize(
    ("tags", "told"), [("serve", ""), ("train", ""), ("gpu, serve", ""), ("", ""), ("srve", "did you mean 'serve'")]
)
def test_tags_say_which_part_of_several_is_meant(samples: Built, in_tmp_path: Path, tags: str, told: str) -> None:
    source = samples["saved_model_several"]
    assert "tags" in conversion_plan.options_of("graph_def", readers.read(source))
    assert "tags" not in conversion_plan.options_of("graph_def", readers.read(samples["saved_model_tf2"]))
    request = Request("graph_def", "m.pb", tags=tags)
    assert told in problems(planned(source, "graph_def", "m.pb", tags=tags)).get("tags", "")
    if told:
        with pytest.raises(errors.UnknownNameError):
            tfmagic.export(source, "m.pb", **request.options())
    else:
        assert tfmagic.export(source, "m.pb", **request.options()).path == in_tmp_path / "m.pb"


def test_a_graph_without_an_output_in_sight_asks_for_one(in_tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as the samples

    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
    message = graph.as_graph_def()
    assert "no output" in problems(planned(message, "graph_def", "m.pb"))["outputs"]
    with pytest.raises(errors.MissingPartError, match="No output"):
        tfmagic.export(message, "m.pb")
    assert not planned(message, "graph_def", "m.pb", outputs="x").problems
    assert not planned(message, "tensorboard", "logs").problems
    del in_tmp_path


@pytest.mark.parametrize("format", ["saved_model", "checkpoint"])
def test_the_graph_counts_as_often_as_it_is_written(samples: Built, format: str, in_tmp_path: Path) -> None:
    four = {str(number): {"outputs": {"y": "y"}} for number in range(4)}
    source = in_tmp_path / "source"
    tfmagic.export(samples["session"] if format == "checkpoint" else samples["module"], source, signatures=four)
    if format == "checkpoint":
        source = samples["saved_model_tf1"]
    found = planned(source, format, "m.ckpt" if format == "checkpoint" else "m").size
    assert found is not None
    graph = readers.read(source).meta_graph.bytes
    assert found.bytes >= graph * (4 if format == "saved_model" else 1)


# What is kept and lost


def test_a_method_that_servers_take_otherwise_is_told(samples: Built, in_tmp_path: Path) -> None:
    plan = planned(samples["saved_model_tf2"], "saved_model", "m", method="classify", tags="gpu")
    assert any("classify" in line for line in plan.cautions)
    assert any("'gpu'" in line for line in plan.cautions)
    del in_tmp_path


def test_what_is_said_to_be_kept_is_there(wide: Any, in_tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    plan = planned(wide, "keras", "m.keras")
    assert any("optimizer" in line for line in plan.kept)
    tfmagic.export(wide, "m.keras")
    again = keras.models.load_model("m.keras")
    assert again.optimizer.iterations.numpy() == 1
    assert any("optimizer" in line for line in planned(in_tmp_path / "m.keras", "saved_model", "m").lost)
    plan = planned(wide, "saved_model", "m")
    assert any("optimizer" in line for line in plan.lost)
    tfmagic.export(wide, "m")
    saved = readers.read(in_tmp_path / "m")
    assert not [row.name for row in saved.variables.itertuples() if "optimizer" in str(row.name)]
    assert set(saved.variables["trainable"]) == {True}


def test_a_frozen_graph_has_no_variable_and_keeps_names_and_batch(wide: Any, in_tmp_path: Path) -> None:
    plan = planned(wide, "graph_def", "m.pb")
    assert any("training" in line for line in plan.lost)
    assert {"the names of inputs and outputs", "a batch of any size"} <= set(plan.kept)
    tfmagic.export(wide, "m.pb")
    ops = readers.read(in_tmp_path / "m.pb").ops.set_index("name")
    assert ops.loc["x", "shape"] == (None, 256)
    assert "y" in set(ops.index)
    assert not [op for op in set(ops["op"]) if "Var" in str(op)]
    assert "batches of other sizes than 3" in planned(wide, "graph_def", "m.pb", batch=3).lost


def test_what_is_optimised_is_frozen(wide: Any, in_tmp_path: Path) -> None:
    plan = planned(wide, "saved_model", "m", optimize=True)
    assert any("training" in line for line in plan.lost)
    assert any("optimizer folds" in line for line in plan.lost)
    assert any("as constants" in line for line in plan.kept)
    assert any("is frozen" in line for line in plan.cautions)
    tfmagic.export(wide, "m", **Request("saved_model", "m", optimize=True).options())
    assert readers.read(in_tmp_path / "m").variables.empty
    assert not any("optimizer folds" in line for line in planned(wide, "saved_model", "m").lost)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"quantize": "int8"}, "samples"),
        ({"samples": "photos"}, "quantize"),
        ({"quantize": "int3"}, "quantize"),
    ],
)
def test_what_quantising_asks_for_is_told(wide: Any, in_tmp_path: Path, options: dict[str, str], field: str) -> None:
    assert field in problems(planned(wide, "tflite", "m.tflite", **options))
    del in_tmp_path


def test_what_is_quantised_is_not_exact(wide: Any, in_tmp_path: Path) -> None:
    plan = planned(wide, "tflite", "m.tflite", quantize="int8", samples="photos")
    assert not plan.problems
    assert any("exact numbers" in line for line in plan.lost)
    assert any("reported" in line for line in plan.cautions)
    assert plan.size is not None
    assert plan.size.at_most
    tfmagic.export(wide, in_tmp_path / "m.tflite", quantize="dynamic")
    assert (in_tmp_path / "m.tflite").stat().st_size <= plan.size.bytes


# The line


def run(shell: InteractiveShell, line: str) -> None:
    shell.run_cell(line).raise_error()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (Request("saved_model", "served/1"), "%tf_export model served/1"),
        (Request("saved_model", "served.v2"), "%tf_export model served.v2 --format saved_model"),
        (
            Request("graph_def", "m.pb", inputs="x, z", verify=False),
            "%tf_freeze model -o m.pb --inputs x,z --no-verify",
        ),
        (Request("graph_def", "m.pb", optimize=True), "%tf_freeze model -o m.pb --optimize"),
        (
            Request("tflite", "m.tflite", quantize="int8", samples="photos[:9] / 2", select_tf_ops=True),
            '%tf_export model m.tflite --quantize int8 --samples "photos[:9] / 2" --select-tf-ops',
        ),
        (
            Request("tflite", "a'\"b.tflite", quantize="int8", samples="f(x)"),
            "tfmagic.export(model, 'a\\'\"b.tflite', quantize='int8', samples=f(x))",
        ),
        (Request("saved_model", "m", optimize=True), "%tf_export model m --optimize"),
        (Request("graph_def", "m.pb", outputs="s=y"), "%tf_export model m.pb --output s=y"),
        (Request("tflite", "my m.tflite", batch=1), '%tf_export model "my m.tflite" --batch 1'),
        (Request("keras", "$HOME {x}.keras", overwrite=True), '%tf_export model "$$HOME {{x}}.keras" --overwrite'),
        (Request("keras", "a'\"b.keras"), "tfmagic.export(model, 'a\\'\"b.keras')"),
    ],
)
def test_the_line_says_what_the_form_says(request_: Request, line: str) -> None:
    assert magic_lines.line(request_, "model") == line


@pytest.mark.parametrize("place", ["my m", "{model}", "$model", "it's", "-o", "what?", "#1", 'a"b', "a;b", "x{0}$y"])
def test_the_line_writes_what_it_says(samples: Built, shell: InteractiveShell, place: str) -> None:
    shell.user_ns["model"] = samples["keras_model"]
    line = magic_lines.line(Request("graph_def", f"{place}.pb", outputs="the scores=out", verify=False), "model")
    assert line.startswith("%tf_export")
    run(shell, line)
    assert [each.name for each in Path().iterdir()] == [f"{place}.pb"]
    assert "the_scores" in set(readers.read(Path(f"{place}.pb")).ops["name"])


def test_a_path_is_no_variable(samples: Built, shell: InteractiveShell) -> None:
    path = samples.copy("keras_archive", Path())
    path.rename("model.keras")
    shell.user_ns["model"] = samples["session"]
    line = magic_lines.line(Request("weights", "m.weights.h5"), "model.keras")
    run(shell, line)
    assert Path("m.weights.h5").exists()


@pytest.mark.parametrize("key", ["a=b", " "])
def test_what_no_line_can_say_is_python(key: str) -> None:
    assert plan_names.parsed(f"{key}=y" if key.strip() else "y") is not None
    line = magic_lines.line(Request("saved_model", "m", outputs="a=b=y"), "model")
    assert line == "tfmagic.export(model, 'm', outputs={'a=b': 'y'})"


def test_the_proposed_signature_is_named_by_its_own_key() -> None:
    assert plan_names.default_key({"a": 1, signatures.DEFAULT_KEY: 2}) == signatures.DEFAULT_KEY
    assert plan_names.default_key({"a": 1, "b": 2}) == ""


# Keys


@pytest.mark.usefixtures("in_tmp_path")
def test_names_that_a_format_cannot_hold_are_listed() -> None:
    tf = pytest.importorskip("tensorflow")
    source = tf.function(lambda values: {"x": values["x"] * 2, "a feature": values["a feature"]})
    source({"x": tf.constant([1.0]), "a feature": tf.constant([1.0])})
    told = " ".join(planned(source, "onnx", "m.onnx").cautions)
    assert "'x' is 'x_1'" in told
    assert "'a feature' is 'a feature_1'" in told
    told = " ".join(planned(source, "graph_def", "m.pb").cautions)
    assert "'a feature' is 'a_feature'" in told
    assert not any("cannot hold" in each for each in planned(source, "tflite", "m.tflite").cautions)
    plain = " ".join(planned(source, "onnx", "m.onnx", outputs="y=x").cautions)
    assert "cannot hold" not in plain


@pytest.mark.usefixtures("in_tmp_path")
def test_a_key_that_tensorflow_cannot_load_is_a_problem() -> None:
    tf = pytest.importorskip("tensorflow")
    source = tf.function(lambda values: {"y": values["class"] * 2})
    source({"class": tf.constant([1.0])})
    assert "no name of an argument" in problems(planned(source, "saved_model", "m"))["inputs"]
    assert not problems(planned(source, "saved_model", "m", inputs="kind=class"))
    assert not problems(planned(source, "tflite", "m.tflite"))
    with pytest.raises(errors.ConversionError, match="'class'"):
        tfmagic.export(source, "m")

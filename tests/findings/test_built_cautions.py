"""Each caution is given for a model that was built for it, and the same in every place that tells cautions."""

from __future__ import annotations

import ast
import html
import inspect
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graph_samples import control_flow
from tests.samples import SAMPLES
from tfmagic import findings
from tfmagic.commands import declarations
from tfmagic.findings.caution import Caution
from tfmagic.notebook.panel.widgets import convert_tab
from tfmagic.shell import printing
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from tests.samples import Built

pytestmark = pytest.mark.tensorflow

#: What a result that was made has, whatever its source lacked.
MADE_UP_FOR = {"missing-weights", "uninitialised"}
#: Samples that give a cause, and which.
OF_SAMPLES = {"meta_graph_message": {"missing-weights"}}


def cautions(source: Any) -> dict[str, Caution]:
    return {caution.code: caution for caution in tfmagic.inspect(source).cautions}


@pytest.mark.parametrize("name", SAMPLES)
def test_ordinary_models_give_no_cause(name: str, samples: Built) -> None:
    assert set(cautions(samples[name])) == OF_SAMPLES.get(name, set())


@pytest.fixture(scope="module")
def network() -> Any:
    """A network that takes ids as Keras's Input has them by default."""
    import keras  # noqa: PLC0415 - seconds for this test only

    ids = keras.Input((6,), name="ids")
    rows = keras.layers.Flatten()(keras.layers.Embedding(50, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(2, name="kind")(rows))


def test_ids_of_floats_are_told_of_layers_and_of_graphs(network: Any, tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - as above

    assert cautions(network)["float-ids"].names == ("ids",)
    network.save(tmp_path / "m.keras")
    network.export(tmp_path / "m")
    for path in (tmp_path / "m.keras", tmp_path / "m"):
        assert cautions(path)["float-ids"].names == ("ids",)
    typed = keras.Input((6,), name="ids", dtype="int32")
    clean = keras.Model(typed, keras.layers.Embedding(50, 4)(typed))
    clean.export(tmp_path / "clean")
    assert not cautions(clean)
    assert not cautions(tmp_path / "clean")


def test_ids_of_floats_are_followed_out_of_nested_models(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - as above

    rows = keras.Sequential([keras.Input((6,)), keras.layers.Embedding(50, 4), keras.layers.Flatten()])
    wrapped = keras.Sequential([keras.Input((6,)), rows])
    number, ids = keras.Input((3,), name="number"), keras.Input((6,), name="ids")
    outer = keras.Model([ids, number], keras.layers.Concatenate()([number, wrapped(ids)]))
    outer.save(tmp_path / "m.keras")
    for source in (outer, tmp_path / "m.keras"):
        assert cautions(source)["float-ids"].names == ("ids",)


def test_a_table_that_is_looked_up_by_what_was_computed_has_no_ids(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.rows = tf.Variable(tf.ones([5, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])  # type: ignore[untyped-decorator, unused-ignore]
    def serve(scores: Any) -> dict[str, Any]:
        return {"row": tf.gather(module.rows, tf.cast(tf.round(tf.reduce_max(scores, axis=1)), tf.int32))}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=serve)
    assert "float-ids" not in cautions(tmp_path / "m")


@pytest.mark.parametrize("training", [True, False])
def test_dropout_and_batch_norm_that_are_called_in_training(tmp_path: Path, *, training: bool) -> None:
    import keras  # noqa: PLC0415 - as above

    image = keras.Input((8, 8, 3), name="image")
    norm = keras.layers.BatchNormalization(name="norm")(image, training=training)
    net = keras.Model(image, keras.layers.Dropout(0.5, name="drop")(norm, training=training))
    net.layers[1].set_weights([np.full(3, value, np.float32) for value in (1, 0, 0.25, 2)])
    net.export(tmp_path / "m")
    net.save(tmp_path / "m.keras")
    net.save(tmp_path / "m.h5")
    outer = keras.Sequential([keras.Input((8, 8, 3)), net])
    for source in (net, outer, tmp_path / "m", tmp_path / "m.keras", tmp_path / "m.h5"):
        known = [each for each in tfmagic.inspect(source).cautions if each.code == "training-mode"]
        assert len(known) == (2 if training else 0), source
        assert {each.severity for each in known} <= {"high"}
        assert [word in " ".join(each.where for each in known) for word in ("norm", "drop")] == [training, training]
    exported = tfmagic.export(net, tmp_path / "f.pb")
    assert ("training-mode" in {each.code for each in exported.cautions}) == training


def dropout(tf: Any, path: Path, rate: str) -> None:
    """Write a graph with the dropout of TensorFlow 1, at a rate that is fixed, fed, or decided by a flag."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        fed = v1.placeholder(tf.float32, [], "keep_prob") if rate == "fed" else 0.5
        if rate == "decided":
            flag = v1.placeholder_with_default(np.False_, [], "training")
            y = v1.cond(flag, lambda: v1.nn.dropout(x, keep_prob=0.5), lambda: x)
        else:
            y = v1.nn.dropout(x, keep_prob=fed)
        tf.identity(y, name="y")
        path.write_bytes(graph.as_graph_def().SerializeToString())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("rate", "is_told"), [("fixed", True), ("fed", False), ("decided", False)])
def test_dropout_of_tensorflow_1_is_told_where_nobody_can_switch_it_off(
    tf: Any, tmp_path: Path, rate: str, version: int, *, is_told: bool
) -> None:
    with control_flow(version):
        dropout(tf, tmp_path / "m.pb", rate)
    assert ("training-mode" in cautions(tmp_path / "m.pb")) == is_told


def test_noise_that_is_no_dropout_is_none(tf: Any, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        tf.add(x, tf.random.uniform([4]), name="y")
        (tmp_path / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert not cautions(tmp_path / "m.pb")


def test_half_precision_of_layers_and_graphs_and_what_tflite_says(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - as above

    half = keras.layers.Dense(3, name="half", dtype="mixed_float16")
    net = keras.Sequential([keras.Input((4,)), half, keras.layers.Dense(2, name="whole")])
    assert cautions(net)["half-precision"].names == ("half",)
    net.save(tmp_path / "m.keras")
    assert cautions(tmp_path / "m.keras")["half-precision"].names == ("half",)
    net.export(tmp_path / "m")
    (name,) = cautions(tmp_path / "m")["half-precision"].names
    assert name.endswith(("half/MatMul", "half_1/MatMul"))
    with pytest.raises(tfmagic.errors.UnsupportedConversionError, match="half precision"):
        tfmagic.export(net, tmp_path / "m.tflite")


@pytest.mark.parametrize("kind", ["sparse", "ragged"])
def test_an_input_that_becomes_dense(tmp_path: Path, kind: str) -> None:
    import keras  # noqa: PLC0415 - as above

    if kind not in inspect.signature(keras.Input).parameters:
        pytest.skip(f"this Keras has no {kind} inputs")
    words = keras.Input((None, 3), name="words", **{kind: True})
    net = keras.Model(words, keras.layers.Dense(2, name="y")(words))
    caution = cautions(net)["densified-input"]
    assert (caution.names, kind in caution.text) == (("words",), True)
    net.save(tmp_path / "m.keras")
    assert cautions(tmp_path / "m.keras")["densified-input"] == caution


@pytest.mark.parametrize(("shape", "is_told"), [([None, 3], False), ([1, 3], True), ([3], True), ([], False)])
def test_a_signature_without_a_batch_dimension(tf: Any, tmp_path: Path, shape: Any, *, is_told: bool) -> None:
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator, unused-ignore]
    def serve(x: Any) -> dict[str, Any]:
        return {"y": x + 1.0}

    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"f": serve})
    assert [each.names for each in cautions(tmp_path / "m").values()] == ([("f",)] if is_told else [])


def test_a_model_that_nobody_trained(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - as above

    net = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.BatchNormalization(), keras.layers.Conv2D(2, 3)])
    paths = [tmp_path / "m.keras", tmp_path / "m.h5", tmp_path / "m.weights.h5", tmp_path / "m", tmp_path / "m.pb"]

    def write() -> None:
        net.save(paths[0])
        net.save(paths[1])
        net.save_weights(paths[2])
        net.export(paths[3])
        tfmagic.freeze(net, output=paths[4], overwrite=True, verify=False)

    write()
    assert ["untrained" in cautions(source) for source in (net, *paths)] == [True] * 6
    net.layers[0].set_weights([np.full(3, value, np.float32) for value in (1, 0, 0.25, 2)])
    write()
    assert ["untrained" in cautions(source) for source in (net, *paths)] == [False] * 6


def session_model(tf: Any, directory: Path, *, average: bool = False) -> Any:
    """Save a session with a weight, and its moving average if it is to have one; return what it computes raw."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weight = v1.get_variable("w", [2, 1], use_resource=False)
        tf.identity(tf.matmul(x, weight), name="y")
        session.run(v1.global_variables_initializer())
        if average:
            update = v1.train.ExponentialMovingAverage(0.5).apply([weight])
            session.run(v1.variables_initializer(v1.global_variables()))
            session.run([update, weight.assign_add([[1.0], [1.0]])])
        v1.train.Saver().save(session, str(directory / "m"))


def test_moving_averages_beside_the_weights(tf: Any, tmp_path: Path) -> None:
    session_model(tf, tmp_path, average=True)
    assert cautions(tmp_path / "m.meta")["moving-averages"].names == ("w",)


def test_weights_that_are_missing(tf: Any, tmp_path: Path) -> None:
    session_model(tf, tmp_path)
    assert not cautions(tmp_path / "m.meta")
    for path in tmp_path.glob("m.data*"):
        path.unlink()
    (tmp_path / "m.index").unlink()
    assert cautions(tmp_path / "m.meta")["missing-weights"].names == ("w",)


def test_variables_of_a_session_that_have_no_value(tf: Any) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        first = v1.get_variable("first", initializer=2.0, use_resource=True)
        second = v1.get_variable("second", initializer=2.0, use_resource=False)
        v1.get_variable("unused", initializer=2.0)
        tf.identity(first * x + second, name="y")
        before = len(session.graph.get_operations())
        assert set(cautions(session)["uninitialised"].names) == {"first", "second"}
        session.run(first.initializer)
        assert cautions(session)["uninitialised"].names == ("second",)
        session.run(second.initializer)
        assert not cautions(session)
        assert len(session.graph.get_operations()) == before


def test_layers_without_their_weights(network: Any, tmp_path: Path) -> None:
    import h5py  # noqa: PLC0415 - as above

    network.save(tmp_path / "m.h5")
    assert "missing-weights" not in cautions(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["model_weights"]["kind"]["kind"]
        file["model_weights"]["kind"].attrs["weight_names"] = np.array([], "S1")
    assert cautions(tmp_path / "m.h5")["missing-weights"].names == ("kind",)


@pytest.mark.parametrize("kind", ["MutableHashTable", "DenseHashTable", "StaticHashTable"])
def test_tables_that_can_be_written_are_told_of_live_functions_and_files(tf: Any, tmp_path: Path, kind: str) -> None:
    words, ids = tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64)
    lookup = tf.lookup.experimental
    table = {
        "MutableHashTable": lambda: lookup.MutableHashTable(tf.string, tf.int64, -1),
        "DenseHashTable": lambda: lookup.DenseHashTable(tf.string, tf.int64, -1, "", "$"),
        "StaticHashTable": lambda: tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, ids), -1),
    }[kind]()
    module = tf.Module()
    module.table, module.weight = table, tf.Variable(1, dtype=tf.int64)
    module.look = tf.function(
        lambda word: {"id": table.lookup(word) * module.weight}, [tf.TensorSpec([None], tf.string, name="word")]
    )
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.look)
    codes = set() if kind == "StaticHashTable" else {"mutable-tables"}
    for source in (module, module.look, tmp_path / "m"):
        assert set(cautions(source)) == codes
    if kind == "MutableHashTable":
        table.insert(words, ids)
        exported = tfmagic.export(module, tmp_path / "f.pb")
        assert {each.code for each in exported.cautions} == codes
        table.insert(["c"], tf.constant([3], tf.int64))
        # What it held then, and nothing that was written into it later, as the advice says.
        assert tfmagic.run(tmp_path / "f.pb", {"word": ["a", "c"]}).outputs["id"].tolist() == [1, -1]


def test_they_are_the_same_wherever_they_are_told(network: Any, tmp_path: Path) -> None:
    network.export(tmp_path / "m")
    model = tfmagic.inspect(tmp_path / "m")
    plan = conversion_plan.plan(model, Request("saved_model", str(tmp_path / "n")), plan_names.Names({}))
    exported = tfmagic.export(model, tmp_path / "n")
    frozen = tfmagic.freeze(model)
    (caution,) = model.cautions
    assert exported.cautions == (caution,)
    assert caution.text in plan.cautions
    assert caution in frozen.cautions
    for shown in (model, exported, frozen):
        assert caution.advice in repr(shown)
    assert {field: bool(getattr(caution, field)) for field in ("code", "severity", "where", "advice")} == dict.fromkeys(
        ("code", "severity", "where", "advice"), True
    )


def codes() -> list[str]:
    """Return the codes of all cautions that the package gives, as its source has them."""
    calls = (
        call
        for path in Path(findings.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Caution"
    )
    return sorted({str(ast.literal_eval(call.args[0])) for call in calls})


@pytest.mark.parametrize("code", codes())
def test_no_front_leaves_one_out(code: str, samples: Built, tmp_path: Path) -> None:
    """A front shows what there is, not what it knows: of a result only what the conversion itself settles is gone."""
    caution = Caution(code, "medium", "'this'", f"do what {code} asks", f"there is {code}")
    whole = tfmagic.inspect(samples["graph_def"])
    model = replace(whole, carried=(caution,))
    tab = convert_tab.build(model, SimpleNamespace(namespace={}, source="model"))
    plan = conversion_plan.plan(model, Request("saved_model", str(tmp_path / "n")), plan_names.Names({}))
    assert caution in model.cautions
    assert caution.text in plan.cautions
    assert caution.text in html.unescape(tab.plan.value)
    assert caution.advice in repr(model)
    assert caution.advice in html.unescape(model._repr_html_())
    assert code in printing.printed(model, "json", declarations.COMMANDS["inspect"])
    exported = tfmagic.export(model, tmp_path / "n", verify=False)
    assert [each.code for each in exported.cautions] == ([] if code in MADE_UP_FOR else [code])
    assert (caution.advice in repr(exported)) == (code not in MADE_UP_FOR)


def test_what_an_export_lost_is_what_the_plan_said(tf: Any, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        -1,
    )
    module.look = tf.function(lambda word: {"id": module.table.lookup(word)}, [tf.TensorSpec([None], tf.string)])
    module.twice = tf.function(lambda x: {"y": 2 * x}, [tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"look": module.look, "twice": module.twice})
    model = tfmagic.inspect(tmp_path / "m")
    request = Request("graph_def", str(tmp_path / "f.pb"), signature="twice")
    plan = conversion_plan.plan(model, request, plan_names.Names(plan_names.signed(model)))
    exported = tfmagic.export(tmp_path / "m", tmp_path / "f.pb", signature="twice")
    assert exported.losses == plan.lost
    assert [word in " ".join(exported.losses) for word in ("'look'", "'words.txt'")] == [True, True]
    assert all(loss in repr(exported) for loss in exported.losses)
    whole = tfmagic.export(tmp_path / "m", tmp_path / "n")
    assert whole.losses == ()

"""What TensorFlow's suites try of initialisers, savers and examples, asked of what is run, frozen and exported here.

Of ``loader_test``, ``saved_model_test`` and ``saved_model_cli_test``: what a loader runs behind the checkpoint,
variables in no collection that it knows, several savers, attributes that a newer release wrote, features by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graph_samples import control_flow
from tests.tensorflow_suites.initialised_sessions import initialised
from tfmagic import errors
from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _saved(tf: Any, session: Any, path: Path, ends: tuple[list[str], list[str]], **options: Any) -> None:
    """Save a session as TensorFlow's builder does, with the names of nodes as keys."""
    v1 = tf.compat.v1
    with session.graph.as_default():
        inputs, outputs = ({name: session.graph.get_tensor_by_name(f"{name}:0") for name in each} for each in ends)
        signature = v1.saved_model.signature_def_utils.predict_signature_def(inputs, outputs)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, **options)
        builder.save()


def _agree(tf: Any, path: Path, fed: Mapping[str, Any], expected: Mapping[str, Any], place: Path) -> None:
    """See that a SavedModel, what it is exported to and what it is frozen to give what TensorFlow 1 gives."""
    v1 = tf.compat.v1
    done = tfmagic.export(path, place / "copy")
    assert done.verification["equal"].all()
    frozen = tfmagic.freeze(path)
    for source in (path, place / "copy", frozen):
        outputs = tfmagic.run(source, fed).outputs
        assert {key: value.tolist() for key, value in outputs.items()} == expected
    for each in (path, place / "copy"):
        with tf.Graph().as_default(), v1.Session() as session:
            v1.saved_model.load(session, ["serve"], str(each))
            values = session.run({key: f"{key}:0" for key in expected}, {f"{key}:0": each for key, each in fed.items()})
        assert {key: value.tolist() for key, value in values.items()} == expected


#: How an initialiser gets the variable ``shift`` from 1 to 42, given ``scale``, which is 2.
_BEGINNINGS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "assigns": lambda v1, scale, shift: v1.assign(shift, scale + 40.0),
    "adds": lambda v1, scale, shift: v1.assign_add(shift, scale + 39.0),
    "branches": lambda v1, scale, shift: v1.cond(
        v1.is_variable_initialized(shift), lambda: v1.assign(shift, scale + 40.0), lambda: v1.assign(shift, 0.0)
    ),
    "calls": lambda v1, scale, shift: v1.function(lambda: shift.assign(scale + 40.0))(),
}


@pytest.mark.parametrize("way", _BEGINNINGS)
@pytest.mark.parametrize("option", ["main_op", "legacy_init_op"])
@pytest.mark.parametrize("resource", [False, True])
def test_what_is_initialised_behind_the_checkpoint_counts(
    tf: Any, tmp_path: Path, option: str, way: str, *, resource: bool
) -> None:
    """``test_run_init_op``, ``testLegacyInitOp``: a loader assigns once the variables are restored."""
    if way == "calls" and not resource:
        pytest.skip("a function takes no reference")

    def build(v1: Any) -> None:
        x = v1.placeholder(tf.float32, [2], name="x")
        scale = v1.get_variable("scale", initializer=2.0, use_resource=resource)
        shift = v1.get_variable("shift", initializer=1.0, use_resource=resource)
        tf.add(x * scale, shift, name="y")
        tf.group(_BEGINNINGS[way](v1, scale, shift), name="begin")

    with control_flow(1):
        session = initialised(tf, build)
    _saved(tf, session, tmp_path / "m", (["x"], ["y"]), **{option: session.graph.get_operation_by_name("begin")})
    _agree(tf, tmp_path / "m", {"x": [1.0, 2.0]}, {"y": [44.0, 46.0]}, tmp_path)


@pytest.mark.parametrize("kind", ["restores", "draws"])
def test_an_initialiser_that_restores_or_draws_leaves_the_checkpoint(tf: Any, tmp_path: Path, kind: str) -> None:
    """``main_op_with_restore``; and what would be drawn anew at each load is worth less than what was trained."""

    def build(v1: Any) -> None:
        x = v1.placeholder(tf.float32, [2], name="x")
        first = v1.get_variable("first", initializer=0.0, use_resource=False)
        second = v1.get_variable("second", initializer=v1.random_uniform_initializer(), shape=[])
        tf.add(x * first, second, name="y")
        v1.train.Saver()

    session = initialised(tf, build)
    v1 = tf.compat.v1
    with session.graph.as_default():
        first, second = v1.global_variables()
        session.run([v1.assign(first, 3.0), v1.assign(second, 5.0)])
        restoring = session.graph.get_operation_by_name("save/restore_all")
        main_op = v1.saved_model.main_op_with_restore(restoring) if kind == "restores" else second.initializer
    _saved(tf, session, tmp_path / "m", (["x"], ["y"]), main_op=main_op)
    frozen = tfmagic.freeze(tmp_path / "m", verify=False)
    assert tfmagic.run(frozen, {"x": [1.0, 2.0]}).outputs["y"].tolist() == [8.0, 11.0]


def test_a_checkpoint_beside_a_graph_is_restored_and_no_more(tf: Any, tmp_path: Path) -> None:
    """A Saver runs no initialiser, also where the graph came out of a SavedModel and still names one."""
    v1 = tf.compat.v1

    def build(v1: Any) -> None:
        shift = v1.get_variable("shift", initializer=0.0, use_resource=False)
        tf.add(v1.placeholder(tf.float32, [], name="x"), shift, name="y")
        tf.group(v1.assign(shift, 40.0), name="begin")

    session = initialised(tf, build)
    _saved(tf, session, tmp_path / "m", (["x"], ["y"]), main_op=session.graph.get_operation_by_name("begin"))
    with tf.Graph().as_default(), v1.Session() as loaded:
        v1.saved_model.load(loaded, ["serve"], str(tmp_path / "m"))
        loaded.run(v1.global_variables()[0].assign(7.0))
        v1.train.Saver().save(loaded, str(tmp_path / "trained.ckpt"))
    frozen = tfmagic.freeze(tmp_path / "trained.ckpt", inputs=["x"], outputs=["y"])
    assert tfmagic.run(frozen, {"x": 1.0}).outputs["y"] == 8.0


def test_variables_in_no_collection_that_a_loader_knows_come_along(tf: Any, tmp_path: Path) -> None:
    """``test_load_saved_model_with_no_variables``: a Saver of its own restores them."""

    def build(v1: Any) -> None:
        kinds = {"first": False, "second": True}
        first, second = (
            v1.get_variable(name, initializer=5.0, collections=["mine"], use_resource=resource)
            for name, resource in kinds.items()
        )
        tf.add(v1.placeholder(tf.float32, [2], name="x") * first, second, name="y")

    session = initialised(tf, build)
    v1 = tf.compat.v1
    with session.graph.as_default():
        mine = v1.get_collection("mine")
        session.run(v1.variables_initializer(mine))
        _saved(tf, session, tmp_path / "m", (["x"], ["y"]), saver=v1.train.Saver(mine))
    _agree(tf, tmp_path / "m", {"x": [1.0, 2.0]}, {"y": [10.0, 15.0]}, tmp_path)
    assert {each.name for each in tf.saved_model.load(str(tmp_path / "copy")).variables} == {"first:0", "second:0"}


def test_each_tag_set_has_the_saver_that_it_was_given(tf: Any, tmp_path: Path) -> None:
    """``testMultipleCustomSavers``: several in one graph, and each MetaGraphDef names one of them."""

    def build(v1: Any) -> None:
        pair = [
            v1.get_variable(name, initializer=value, use_resource=resource)
            for name, value, resource in (("a", 2.0, False), ("b", 3.0, True))
        ]
        tf.add(v1.placeholder(tf.float32, [2], name="x") * pair[0], pair[1], name="y")

    session = initialised(tf, build)
    v1 = tf.compat.v1
    with session.graph.as_default():
        ends = [{name: session.graph.get_tensor_by_name(f"{name}:0")} for name in "xy"]
        signed = {"serving_default": v1.saved_model.signature_def_utils.predict_signature_def(*ends)}
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(session, ["one"], signed, saver=v1.train.Saver(name="first"))
        builder.add_meta_graph(["two"], signed, saver=v1.train.Saver(v1.global_variables(), name="second"))
        builder.save()
    for tags in ("one", "two"):
        done = tfmagic.export(tmp_path / "m", tmp_path / tags, tags=tags)
        assert done.verification["equal"].all()
        assert tfmagic.run(tfmagic.freeze(tmp_path / "m", tags=tags), {"x": [1.0, 2.0]}).outputs["y"].tolist() == [
            5.0,
            7.0,
        ]
        tfmagic.export(tmp_path / "m", tmp_path / f"{tags}.ckpt", tags=tags)
        with tf.Graph().as_default(), v1.Session() as restored:
            v1.train.import_meta_graph(str(tmp_path / f"{tags}.ckpt.meta")).restore(
                restored, str(tmp_path / f"{tags}.ckpt")
            )
            assert restored.run("y:0", {"x:0": [1.0, 2.0]}).tolist() == [5.0, 7.0]
        with tf.Graph().as_default(), v1.Session() as loaded:
            v1.saved_model.load(loaded, [tags], str(tmp_path / tags))
            assert loaded.run("y:0", {"x:0": [1.0, 2.0]}).tolist() == [5.0, 7.0]


def test_an_attribute_that_only_a_newer_release_knows_is_left_at_its_default(tf: Any, tmp_path: Path) -> None:
    """``testInconsistentConsumerDefaultAttrs``: the file's own list of ops says that it means nothing."""

    def build(v1: Any) -> None:
        kernel = v1.get_variable("kernel", initializer=np.ones((2, 2, 1, 1), np.float32))
        tf.nn.conv2d(v1.placeholder(tf.float32, [1, 2, 2, 1], name="x"), kernel, 1, "VALID", name="y")

    _saved(tf, initialised(tf, build), tmp_path / "m", (["x"], ["y"]), strip_default_attrs=True)
    file = tmp_path / "m" / "saved_model.pb"
    saved = protos.parse("SavedModel", file.read_bytes())
    (message,) = saved.meta_graphs
    (node,) = (each for each in message.graph_def.node if each.op == "Conv2D")
    node.attr["of_tomorrow"].b = False
    (op,) = (each for each in message.meta_info_def.stripped_op_list.op if each.name == "Conv2D")
    attribute = op.attr.add(name="of_tomorrow", type="bool")
    attribute.default_value.b = False
    file.write_bytes(saved.SerializeToString())
    _agree(tf, tmp_path / "m", {"x": np.ones((1, 2, 2, 1), np.float32)}, {"y": [[[[4.0]]]]}, tmp_path)


def test_features_by_name_become_examples(tf: Any, tmp_path: Path) -> None:
    """``testRunCommandInputExamples``, ``…FeatureValueNotListError``, ``…FeatureBadType``."""

    def build(v1: Any) -> None:
        examples = v1.placeholder(tf.string, [None], name="examples")
        scalar = {"age": tf.float32, "degree": tf.string, "children": tf.int64}
        parsed = v1.io.parse_example(examples, {key: tf.io.FixedLenFeature([1], each) for key, each in scalar.items()})
        weight = v1.get_variable("weight", initializer=2.0)
        numbers = parsed["age"] * weight + tf.cast(parsed["children"], tf.float32)
        tf.add(numbers, tf.cast(tf.strings.length(parsed["degree"]), tf.float32), name="scores")

    _saved(tf, initialised(tf, build), tmp_path / "m", (["examples"], ["scores"]))
    given = [{"age": [22.0], "degree": ["BSc"], "children": [1]}, {"age": 40.5, "degree": b"", "children": True}]
    assert tfmagic.run(tmp_path / "m", {"examples": given}).outputs["scores"].tolist() == [[48.0], [82.0]]
    with pytest.raises(errors.ConversionError, match="the feature 'age' of an example takes text"):
        tfmagic.run(tmp_path / "m", {"examples": [{**given[0], "age": [object()]}]})

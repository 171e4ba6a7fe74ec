"""What TensorFlow's suites of graphs try, asked of exports and frozen graphs made here.

Of ``freeze_graph_test``, ``saved_model_test``, ``load_v1_in_v2_test`` and ``meta_graph_test`` the behaviours that
change what a conversion has to do: loops within loops, assets of one name, signatures that begin in others' middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.tensorflow_suites.initialised_sessions import initialised

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _served(tf: Any, path: Path, inputs: Mapping[str, Any], key: str = "serving_default") -> list[dict[str, Any]]:
    """Run a signature as both of TensorFlow's loaders have it."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], str(path)).signature_def[key]
        fed = {signature.inputs[name].name: value for name, value in inputs.items()}
        first = session.run({name: info.name for name, info in signature.outputs.items()}, fed)
    loaded = tf.saved_model.load(str(path))
    called = loaded.signatures[key](**{name: tf.constant(value) for name, value in inputs.items()})
    return [first, {name: value.numpy() for name, value in called.items()}]


@pytest.mark.parametrize("outside", ["loop", "branch"])
@pytest.mark.usefixtures("control_flow_v1")
def test_loops_within_loops_and_branches_load_and_have_gradients(tf: Any, tmp_path: Path, outside: str) -> None:
    """``test_nested_while``: the context of the outer one names the exits of the inner, used or not."""

    def build(v1: Any) -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        weight = v1.get_variable("w", initializer=2.0, use_resource=False)

        def doubled(value: Any) -> Any:
            # The number of the round is an exit, too, and nobody takes it.
            return v1.while_loop(lambda i, _: i < 2, lambda i, each: (i + 1, each * weight), [0, value])[1]

        if outside == "loop":
            result = v1.while_loop(lambda i, _: i < 2, lambda i, each: (i + 1, doubled(each)), [0, x])[1]
        else:
            result = v1.cond(x > 1.0, lambda: doubled(doubled(x)), lambda: doubled(x))
        v1.gradients(result, [weight])
        tf.identity(result, name="y")

    session = initialised(tf, build)
    tfmagic.export(session, tmp_path / "m", inputs=["x"], outputs=["y"])
    assert [each["y"] for each in _served(tf, tmp_path / "m", {"x": 3.0})] == [48.0, 48.0]
    frozen = tfmagic.freeze(session, inputs=["x"], outputs=["y"])
    assert tfmagic.run(frozen, {"x": 3.0}).outputs["y"] == 48.0
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as again:
        v1.saved_model.load(again, ["serve"], str(tmp_path / "m"))
        x, y = graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("y:0")
        assert again.run(v1.gradients(y, x), {x: 3.0}) == [16.0]


@pytest.mark.usefixtures("control_flow_v1")
def test_a_branch_that_nothing_waits_for_in_a_loop_has_gradients(tf: Any, tmp_path: Path) -> None:
    """What is in a branch is known by the branch's pivot, on which no op depends where each takes something."""

    def build(v1: Any) -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        weight = v1.get_variable("w", initializer=2.0, use_resource=True)

        def step(i: Any, value: Any) -> Any:
            return i + 1, v1.cond(value > 0.0, lambda: value * weight, lambda: value - weight)

        result = v1.while_loop(lambda i, _: i < 3, step, [0, x])[1]
        v1.gradients(result, [weight])
        tf.identity(result, name="y")

    tfmagic.export(initialised(tf, build), tmp_path / "m", inputs=["x"], outputs=["y"])
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as again:
        v1.saved_model.load(again, ["serve"], str(tmp_path / "m"))
        x, y = graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("y:0")
        assert again.run([y, *v1.gradients(y, x)], {x: 3.0}) == [24.0, 8.0]
        assert again.run([y, *v1.gradients(y, x)], {x: -3.0}) == [-9.0, 1.0]


def test_assets_of_one_name_keep_their_contents(tf: Any, tmp_path: Path) -> None:
    """``testAssetsNameCollisionDiffFile``, ``…SameFile``: two files of one name, one of them named twice."""
    files = [tmp_path / folder / "vocabulary.txt" for folder in ("a", "b")]
    for file, text in zip(files, ("red\nblue\n", "blue\ngreen\nred\n"), strict=True):
        file.parent.mkdir()
        file.write_text(text)

    def build(v1: Any) -> None:
        keys = v1.placeholder(tf.string, [None], name="keys")
        for place, file in enumerate((*files, files[0])):
            name = tf.constant(str(file), name=f"file{place}")
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, name)
            index = tf.lookup.TextFileIndex
            lines = tf.lookup.TextFileInitializer(name, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)
            tf.identity(tf.lookup.StaticHashTable(lines, -1).lookup(keys), name=f"index{place}")

    names = ["index0", "index1", "index2"]
    tfmagic.export(initialised(tf, build), tmp_path / "m", inputs=["keys"], outputs=names)
    (tmp_path / "m").rename(tmp_path / "moved")
    for file in files:
        file.unlink()
    tfmagic.export(tmp_path / "moved", tmp_path / "again")
    given = {"keys": np.array([b"red", b"green"], dtype=object)}
    expected = {"index0": [0, -1], "index1": [2, 1], "index2": [0, -1]}
    frozen = tfmagic.run(tfmagic.freeze(tmp_path / "moved"), given).outputs
    served = [each for path in ("moved", "again") for each in _served(tf, tmp_path / path, given)]
    for outputs in (frozen, *served):
        assert {key: value.tolist() for key, value in outputs.items()} == expected
    for path in ("moved", "again"):
        assert sorted(each.name for each in (tmp_path / path / "assets").iterdir()) == [
            "vocabulary.txt",
            "vocabulary.txt_1",
        ]


def test_signatures_that_begin_in_each_others_middle(tf: Any, tmp_path: Path) -> None:
    """``test_node_name_sharing``, ``testSignatureDefs``: one gives its own input back, and a tensor twice."""
    v1 = tf.compat.v1
    ends = {"whole": ("x", ("z",)), "half": ("middle", ("z",)), "more": ("x", ("z", "same", "x"))}

    def build(v1: Any) -> None:
        middle = tf.identity(v1.placeholder(tf.float32, [], name="x") * 2.0, name="middle")
        tf.identity(middle + 1.0, name="z")

    session = initialised(tf, build)
    with session.graph.as_default():
        info = {
            name: v1.saved_model.build_tensor_info(session.graph.get_tensor_by_name(f"{name}:0"))
            for name in ("x", "middle", "z")
        }
        info["same"] = info["z"]
        signed = {
            key: v1.saved_model.build_signature_def({given: info[given]}, {name: info[name] for name in outputs})
            for key, (given, outputs) in ends.items()
        }
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signed)
        builder.save()
    tfmagic.export(tmp_path / "m", tmp_path / "n")
    expected = {"whole": {"z": 7.0}, "half": {"z": 4.0}, "more": {"z": 7.0, "same": 7.0, "x": 3.0}}
    for key, (given, _) in ends.items():
        assert _served(tf, tmp_path / "n", {given: 3.0}, key) == [expected[key], expected[key]]
        frozen = tfmagic.freeze(tmp_path / "m", signature=key)
        assert tfmagic.run(frozen, {given: 3.0}).outputs == expected[key]


@pytest.mark.parametrize("version", [1, 2])
def test_a_checkpoint_of_each_version_is_frozen_to_what_is_needed(tf: Any, tmp_path: Path, version: int) -> None:
    """``testFreezeGraphV1``, ``testSinglePartitionedVariable``, which TensorFlow's own tool refuses."""

    def build(v1: Any) -> None:
        with v1.variable_scope("part", partitioner=v1.fixed_size_partitioner(1)):
            ones = v1.ones_initializer()
            weight = v1.get_variable("filter", [3, 2], initializer=ones, use_resource=False)
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        tf.nn.relu6(tf.matmul(x, tf.convert_to_tensor(weight)), name="y")

    session = initialised(tf, build)
    with session.graph.as_default():
        saver = tf.compat.v1.train.Saver(write_version=version)
        prefix = saver.save(session, str(tmp_path / "model.ckpt"), global_step=7)
    frozen = tfmagic.freeze(prefix, inputs=["x"], outputs=["y"])
    assert tfmagic.run(frozen, {"x": [[1.0, 1.0, 2.0]]}).outputs["y"].tolist() == [[4.0, 4.0]]
    assert set(frozen.ops["name"]) == {
        "x",
        "y",
        "part/filter/part_0",
        "part/filter/part_0/read",
        "part/filter",
        "MatMul",
    }

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, functions, readers
from tfmagic.functions import sessions
from tfmagic.functions.state import value_groups
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


@pytest.fixture(params=["control flow of TensorFlow 1", "control flow of TensorFlow 2"])
def control_flow(request: pytest.FixtureRequest, tf: Any) -> Iterator[None]:
    """Both ways in which a graph can loop."""
    v1 = tf.compat.v1
    before = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if request.param.endswith("2") else v1.disable_control_flow_v2)()
    yield
    (v1.enable_control_flow_v2 if before else v1.disable_control_flow_v2)()


def build(tf: Any, *, resource: bool) -> Any:
    """Make a session with variables, a table, a loop, a branch and an optimizer."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        words = v1.placeholder(tf.string, [None], name="words")
        w = v1.get_variable("layer/w", [2, 3], use_resource=resource)
        b = v1.get_variable("layer/b", [3], use_resource=resource, initializer=v1.ones_initializer())
        v1.get_variable("fixed", [], use_resource=resource, trainable=False)
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), -1.0)
        y = tf.matmul(x, w) + b + table.lookup(words)[:, None]
        y = v1.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a * w[0, 0] + b), [0, y])[1]
        y = v1.cond(tf.reduce_sum(y) > 0, lambda: y + b, lambda: y - b)
        y = tf.identity(y, name="y")
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(y**2))
        session = v1.Session()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    return session


def test_variables_are_read_several_in_one_run(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = y = v1.placeholder(tf.float32, [None, 4], name="x")
        for number in range(6):
            y = tf.matmul(y, v1.get_variable(f"w{number}", [4, 4]))
        tf.identity(y, name="y")
        session = v1.Session()
        session.run(v1.global_variables_initializer())
    given = {x: np.eye(4)}
    expected = session.run("y:0", given)
    runs = []
    values = sessions.values

    def counted(inner: Any, names: Any) -> Any:
        runs.append(list(names))
        return values(inner, names)

    def looked_for(*_: Any) -> list[str]:
        pytest.fail("the session ran to tell what the result cannot have")

    monkeypatch.setattr(sessions, "values", counted)
    monkeypatch.setattr(sessions, "without_value", looked_for)
    monkeypatch.setattr(value_groups, "GROUP_BYTES", 130)
    tfmagic.freeze(session, outputs=["y"], output=tmp_path / "m.pb", verify=False)
    assert sorted(map(len, runs)) == [2, 2, 2]
    frozen = v1.GraphDef.FromString((tmp_path / "m.pb").read_bytes())
    with tf.Graph().as_default(), v1.Session() as other:
        tf.graph_util.import_graph_def(frozen, name="")
        np.testing.assert_allclose(other.run("y:0", {"x:0": np.eye(4)}), expected, rtol=1e-6)


@pytest.mark.usefixtures("control_flow")
@pytest.mark.parametrize("resource", [False, True], ids=["references", "resources"])
def test_a_session_gives_its_numbers_and_its_graph_stays(tf: Any, tmp_path: Path, resource: bool) -> None:  # noqa: FBT001
    session = build(tf, resource=resource)
    session.graph.finalize()
    before = len(session.graph.get_operations()), session.graph.version
    given = {"x": np.random.default_rng(0).normal(size=(4, 2)), "words": np.array(["a", "b", "c", "a"])}
    expected = session.run("y:0", {f"{key}:0": value for key, value in given.items()})
    model = readers.read(session)
    for _ in range(2):
        function = model.part(Part.FUNCTION)(inputs=["x:0", "words:0"], outputs={"result": "y"})
        assert [end.key for end in function.inputs] == ["x", "words"]
        assert [(end.key, end.shape) for end in function.outputs] == [("result", (None, 3))]
        np.testing.assert_allclose(function(given)["result"], expected, rtol=1e-5)
    assert set(function.variables) == {"layer/w", "layer/b"}
    assert (len(session.graph.get_operations()), session.graph.version) == before
    tf.saved_model.save(function.owner, str(tmp_path), signatures={"k": function.concrete})
    session.close()
    np.testing.assert_allclose(functions.load_saved_model(tmp_path)(given)["result"], expected, rtol=1e-5)
    np.testing.assert_allclose(function(given)["result"], expected, rtol=1e-5)


@pytest.mark.parametrize("resource", [False, True], ids=["references", "resources"])
def test_a_session_s_tables(tf: Any, resource: bool) -> None:  # noqa: FBT001
    model = readers.read(build(tf, resource=resource))
    assert (model.form, model.origin, model.parts) == ("session", "a live Session", ("graph", "variables", "function"))
    rows = model.variables.set_index("name")
    assert {"layer/w", "layer/b", "fixed", "layer/w/Adam", "beta1_power"} <= set(rows.index)
    assert list(rows.loc["layer/w"]) == ["float32", (2, 3), 6, 24, True]
    assert not rows.loc["fixed", "trainable"]
    assert model.ops.set_index("name").loc["x", "shape"] == (None, 2)
    assert {"x", "words"} <= set(model.proposals["key"])


def test_a_function_between_proposed_ends(tf: Any) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        tf.multiply(x, 2.0, name="double")
        function = readers.read(session).part(Part.FUNCTION)()
    assert function({"x": [1, 2]})["double"].tolist() == [2, 4]


def test_a_graph_alone_has_a_graph_and_nothing_else(tf: Any) -> None:
    graph = build(tf, resource=True).graph
    model = readers.read(graph)
    assert (model.origin, model.parts) == ("a live Graph", ("graph",))
    assert len(model.table("ops", all=True)) == len(graph.get_operations()) + sum(model.functions["ops"])
    with pytest.raises(errors.MissingPartError, match="'variables'"):
        _ = model.variables


def test_a_monitored_session_is_looked_into(tf: Any) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        v1.train.get_or_create_global_step()
        w = v1.get_variable("w", initializer=3.0)
        tf.add(w, 1.0, name="y")
        with v1.train.MonitoredSession() as session:
            model = readers.read(session)
            function = model.part(Part.FUNCTION)(inputs=[], outputs=["y"])
            assert model.variables["name"].tolist() == ["global_step", "w"]
    assert function({})["y"] == 4
    with pytest.raises(errors.ReadError, match="closed"):
        _ = readers.read(session).ops


def test_a_closed_session_says_so(tf: Any) -> None:
    session = build(tf, resource=True)
    session.close()
    model = readers.read(session)
    assert "layer/w" in set(model.variables["name"])
    with pytest.raises(errors.ReadError, match="closed"):
        model.part(Part.FUNCTION)(inputs=["x", "words"], outputs=["y"])


def test_an_interactive_session_is_a_session(tf: Any) -> None:
    with tf.Graph().as_default():
        session = tf.compat.v1.InteractiveSession()
        try:
            assert readers.read(session).origin == "a live InteractiveSession"
        finally:
            session.close()


def test_text_and_mutable_tables_keep_their_content(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    (tmp_path / "vocabulary.txt").write_text("cat\ndog\n")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], name="words")
        text = tf.lookup.TextFileInitializer(
            str(tmp_path / "vocabulary.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )  # fmt: skip
        tf.identity(tf.lookup.StaticHashTable(text, -1).lookup(words), name="line")
        mutable = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        tf.identity(mutable.lookup(words), name="number")
        bare = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        found = tf.raw_ops.LookupTableFindV2(table_handle=bare, keys=words, default_value=tf.constant(-1, tf.int64))
        tf.identity(found, name="lost")
        session.run([v1.tables_initializer(), mutable.insert(["cat"], tf.constant([7], tf.int64))])
        model = readers.read(session)
        take = model.part(Part.FUNCTION)
        line = take(inputs=["words"], outputs=["line"])
        with pytest.raises(errors.ConversionError, match="Saver"):
            take(inputs=["words"], outputs=["lost"])
        number = take(inputs=["words"], outputs=["number"])
    assert line({"words": ["dog", "x"]})["line"].tolist() == [1, -1]
    assert number({"words": ["cat", "x"]})["number"].tolist() == [7, -1]


def test_growing_tables_of_several_dtypes_keep_their_content(tf: Any, tmp_path: Path) -> None:
    """One of numbers and one of vectors, of the same name as TensorFlow gives it."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], name="words")
        number = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, name="table")
        vector = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, [0.0, 0.5], name="table")
        ends = {"number": number.lookup(words), "vector": vector.lookup(words)}
        session.run(number.insert(tf.constant(["cat"]), tf.constant([7], tf.int64)))
        session.run(vector.insert(tf.constant(["cat"]), tf.constant([[1.0, 2.0]])))
        for name in ("m.pb", "served"):
            tfmagic.export(session, tmp_path / name, inputs={"words": words}, outputs=ends)
    tfmagic.export(tmp_path / "served", tmp_path / "again")
    tfmagic.freeze(tmp_path / "served", output=tmp_path / "again.pb")
    for name in ("m.pb", "served", "again", "again.pb"):
        found = tfmagic.run(tmp_path / name, {"words": ["cat", "x"]}).outputs
        assert found["number"].tolist() == [7, -1]
        assert found["vector"].tolist() == [[1.0, 2.0], [0.0, 0.5]]


def test_a_variable_without_a_value_says_what_to_run(tf: Any) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("w", [2]).read_value()
        tf.identity(v1.get_variable("v", [2]), name="y")
        with pytest.raises(errors.ConversionError, match="initializer"):
            readers.read(session).part(Part.FUNCTION)(inputs=[], outputs=["y"])


def test_variables_that_share_a_resource_are_one(tf: Any) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v = v1.get_variable("v", initializer=5.0, use_resource=True)
        again = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="v", name="again")
        tf.add(v, tf.raw_ops.ReadVariableOp(resource=again, dtype=tf.float32), name="y")
        session.run(v.initializer)
        function = readers.read(session).part(Part.FUNCTION)(inputs=[], outputs=["y"])
    assert graph.get_operation_by_name("again")
    assert function({})["y"] == 10
    assert len({id(one) for one in function.variables.values()}) == 1


def test_local_and_partitioned_variables_keep_their_values(tf: Any, tmp_path: Path) -> None:
    """A Saver leaves local variables out, and joins the parts of a partitioned one."""
    v1 = tf.compat.v1
    rows = np.arange(20, dtype=np.float32).reshape(10, 2)
    with tf.Graph().as_default(), v1.Session() as session:
        ids = v1.placeholder(tf.int32, [None], name="ids")
        local = [v1.GraphKeys.LOCAL_VARIABLES]
        factor = v1.get_variable("factor", initializer=1.0, collections=local, use_resource=False)
        with v1.variable_scope("table", partitioner=v1.fixed_size_partitioner(3)):
            table = v1.get_variable("w", initializer=tf.constant(rows), use_resource=False)
        found = v1.nn.embedding_lookup(table, ids, partition_strategy="div") * factor
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        session.run(factor.assign(3.0))
        for name in ("m.pb", "served"):
            tfmagic.export(session, tmp_path / name, inputs={"ids": ids}, outputs={"y": found})
        tfmagic.export(session, tmp_path / "m.ckpt")
        for part in table:
            part.load(np.zeros(part.shape), session)
        tfmagic.restore(session, tmp_path / "m.ckpt")
        np.testing.assert_array_equal(session.run(found, {ids: [0, 5, 9]}), rows[[0, 5, 9]] * 3)
    tfmagic.freeze(tmp_path / "served", output=tmp_path / "again.pb")
    for name in ("m.pb", "served", "again.pb"):
        outputs = tfmagic.run(tmp_path / name, {"ids": [0, 5, 9]}).outputs
        np.testing.assert_array_equal(outputs["y"], rows[[0, 5, 9]] * 3)

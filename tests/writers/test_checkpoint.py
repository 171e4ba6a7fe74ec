from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.killed import killed_at_each_moment
from tfmagic import errors
from tfmagic.files import renames
from tfmagic.files.checkpoints import tensor_writing
from tfmagic.functions.state import value_groups
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.export import export
from tfmagic.writers import writer_for
from tfmagic.writers.checkpoint_drafts import CopyDraft, GraphValuesDraft, SessionDraft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.tensorflow


@pytest.fixture(name="session")
def _session() -> Iterator[Any]:
    """Hold a session in the middle of a training, with variables of all kinds."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        weight = v1.get_variable("weight", [3, 2])
        bias = v1.get_variable("bias", [2], use_resource=False)
        parts = v1.get_variable("parts", [4, 2], partitioner=v1.fixed_size_partitioner(2))
        v1.get_variable("word", initializer=tf.constant("text"), trainable=False, use_resource=False)
        y = tf.add(tf.matmul(x, weight) + bias, tf.reduce_sum(tf.convert_to_tensor(parts)), name="y")
        v1.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(y * y), name="step")
        session.run(v1.global_variables_initializer())
        session.run("step", {"x:0": np.ones((2, 3))})
        yield session


def y_of(session: Any) -> Any:
    return session.run("y:0", {"x:0": np.ones((2, 3), "f")})


def test_a_session_is_saved_as_its_saver_would(session: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    graph = session.graph
    graph.finalize()
    before = (len(graph.get_operations()), graph.version)
    done = export(session, tmp_path / "model.ckpt")
    assert (len(graph.get_operations()), graph.version) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "checkpoint", "model.ckpt.data-00000-of-00001", "model.ckpt.index", "model.ckpt.meta"
    ]  # fmt: skip
    assert done.bytes == sum(each.stat().st_size for each in tmp_path.glob("model*"))
    assert all(done.verification["equal"])
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt")
    expected = y_of(session)
    with tf.Graph().as_default(), v1.Session() as other:
        saver = v1.train.import_meta_graph(str(tmp_path / "model.ckpt.meta"))
        saver.restore(other, str(tmp_path / "model.ckpt"))
        np.testing.assert_allclose(y_of(other), expected, rtol=1e-6)
        names = {each.op.name for each in v1.global_variables()}
        # The optimizer's state is there, so that training goes on.
        other.run("step", {"x:0": np.ones((2, 3))})
    stored = dict(tf.train.list_variables(str(tmp_path / "model.ckpt")))
    assert {"weight", "bias", "parts", "weight/Adam", "beta1_power"} <= set(stored)
    assert stored["parts"] == [4, 2]
    assert "weight/Adam_1" in names


@pytest.mark.parametrize("own", [False, True], ids=["no Saver", "a Saver of one variable"])
def test_the_graph_gets_one_saver_of_all_variables(tmp_path: Path, *, own: bool) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        first, _ = (v1.get_variable(name, initializer=np.float32(7)) for name in ("first", "second"))
        if own:
            v1.train.Saver([first])
        session.run(v1.global_variables_initializer())
        export(session, tmp_path / "a.ckpt")
    assert sorted(name for name, _ in tf.train.list_variables(str(tmp_path / "a.ckpt"))) == ["first", "second"]
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.train.import_meta_graph(str(tmp_path / "a.ckpt.meta")).restore(session, str(tmp_path / "a.ckpt"))
        assert session.run([f"{name}/Read/ReadVariableOp:0" for name in ("first", "second")]) == [7, 7]
        assert sum(op.type == "SaveV2" for op in graph.get_operations()) == 1 + own


def test_the_graph_beside_it_is_the_sessions_with_a_saver_more(tmp_path: Path) -> None:
    """Also where a Saver of the user's own has the names that ours would have, and devices are chosen."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    config = v1.ConfigProto(allow_soft_placement=True)
    with tf.Graph().as_default() as graph, v1.Session(config=config) as session:
        with tf.device("/device:CPU:0"):
            first = v1.get_variable("first", initializer=np.float32(7), use_resource=False)
            second = v1.get_variable("second", initializer=np.float32(8), use_resource=True)
        with tf.device("/device:GPU:7"):
            tf.add(first, second, name="sum")
        v1.train.Saver()
        session.run(v1.global_variables_initializer())
        done = export(session, tmp_path / "a.ckpt")
        before = {node.name: node for node in graph.as_graph_def(add_shapes=True).node}
    assert any("/device:GPU:7" in note for note in done.notes)
    before["sum"].device = ""
    meta_graph_def = v1.MetaGraphDef.FromString((tmp_path / "a.ckpt.meta").read_bytes())
    after = {node.name: node for node in meta_graph_def.graph_def.node}
    assert {name: after[name] for name in before} == before
    assert {name.partition("/")[0] for name in set(after) - set(before)} == {"save_1"}
    with tf.Graph().as_default(), v1.Session() as other:
        v1.train.import_meta_graph(str(tmp_path / "a.ckpt.meta")).restore(other, str(tmp_path / "a.ckpt"))
        assert other.run("sum:0") == 15


@pytest.mark.parametrize("sharded", [False, True])
def test_a_checkpoint_of_the_first_format_becomes_one_of_todays(session: Any, tmp_path: Path, *, sharded: bool) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    kept = [each for each in v1.global_variables() if each.op.name != "word"]
    saver = v1.train.Saver(kept, write_version=v1.train.SaverDef.V1, sharded=sharded)
    saver.save(session, str(tmp_path / "old"))
    for source in ("old", "old.meta"):
        done = export(tmp_path / source, tmp_path / "new.ckpt", overwrite=True)
        assert done.verification["equal"].all()
        assert (tmp_path / "new.ckpt.index").exists()
        expected = y_of(session)
        with tf.Graph().as_default(), v1.Session() as other:
            again = v1.train.import_meta_graph(str(tmp_path / "new.ckpt.meta"))
            again.restore(other, str(tmp_path / "new.ckpt"))
            np.testing.assert_allclose(y_of(other), expected, rtol=1e-6)
    assert dict(tf.train.list_variables(str(tmp_path / "new.ckpt")))["parts"] == [4, 2]


def test_training_goes_on_from_it(session: Any, tmp_path: Path) -> None:
    export(session, tmp_path / "model.ckpt")
    expected = y_of(session)
    for _ in range(3):
        session.run("step", {"x:0": np.ones((2, 3))})
    assert np.abs(y_of(session) - expected).max() > 1e-3
    table = tfmagic.restore(session, tmp_path / "model.ckpt")
    assert set(table["status"]) == {"matched"}
    np.testing.assert_allclose(y_of(session), expected, rtol=1e-6)


def test_a_table_that_grows_is_not_lost(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        v1.get_variable("weight", [3, 2])
        session.run([v1.global_variables_initializer(), table.insert(tf.constant(["a"]), tf.constant([7], tf.int64))])
        with pytest.raises(errors.ConversionError, match=r"MutableHashTable.*Saver\(\)\.save"):
            export(session, tmp_path / "model.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compiled", [False, True])
def test_a_keras_model(tmp_path: Path, *, compiled: bool) -> None:
    tf, keras = runtime.tensorflow(), keras_runtime.keras()

    def build(value: float) -> Any:
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(2, name="d"), keras.layers.BatchNormalization(name="b")]
        )
        if compiled:
            model.compile("adam", "mse")
            model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
        for each in model.variables:
            each.assign(tf.fill(each.shape, tf.cast(value, each.dtype)))
        return model

    model, other, third = build(3), build(5), build(6)
    done = export(model, tmp_path / "model.ckpt")
    assert all(done.verification["equal"])
    assert len(done.verification) >= len(model.variables)
    tf.train.Checkpoint(model=other).restore(str(tmp_path / "model.ckpt")).assert_existing_objects_matched()
    tfmagic.restore(third, tmp_path / "model.ckpt")
    for each in (other, third):
        for one, two in zip(model.get_weights(), each.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
    names = set(tfmagic.inspect(tmp_path / "model.ckpt").variables["name"])
    assert {each.path for each in model.variables} <= names


def test_a_module_and_a_function(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    # How large it is only its value says.
    module.scale = tf.Variable([2.0, 3.0], name="scale", shape=[None])
    module.call = tf.function(lambda x: {"y": x * module.scale}, input_signature=[tf.TensorSpec([2], name="x")])
    export(module, tmp_path / "module.ckpt")
    export(module.call.get_concrete_function(), tmp_path / "function.ckpt")
    module.scale.assign([0.0, 0.0])
    assert list(tfmagic.restore(module, tmp_path / "module.ckpt")["status"]) == ["matched"]
    assert module.scale.numpy().tolist() == [2, 3]
    assert tf.train.load_variable(
        str(tmp_path / "function.ckpt"), "model/variables/0/.ATTRIBUTES/VARIABLE_VALUE"
    ).tolist() == [2, 3]


def test_files_become_checkpoints(session: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    export(session, tmp_path / "model.ckpt")
    export(session, tmp_path / "served", outputs=["y"])
    export(tmp_path / "model.ckpt.meta", tmp_path / "again" / "copy.ckpt")
    export(tmp_path / "served", tmp_path / "of_served.ckpt")
    one, other = (
        dict(tf.train.list_variables(str(each))) for each in (tmp_path / "model.ckpt", tmp_path / "again/copy.ckpt")
    )
    assert one == other
    with tf.Graph().as_default(), tf.compat.v1.Session() as restored:
        saver = tf.compat.v1.train.import_meta_graph(str(tmp_path / "again/copy.ckpt.meta"))
        saver.restore(restored, str(tmp_path / "again/copy.ckpt"))
        np.testing.assert_allclose(y_of(restored), y_of(session), rtol=1e-6)
    assert (tmp_path / "of_served.ckpt.meta").exists()
    assert len(tf.train.list_variables(str(tmp_path / "of_served.ckpt"))) > 1


def test_the_newest_are_kept_and_listed(session: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    for number in range(1, 5):
        done = export(session, tmp_path / "model.ckpt", keep=2)
        assert done.path.name == f"model.ckpt-{number}"
    assert sorted({each.name.partition(".data")[0] for each in tmp_path.glob("*.data*")}) == [
        "model.ckpt-3", "model.ckpt-4"
    ]  # fmt: skip
    assert any("removed" in note and "model.ckpt-2" in note for note in done.notes)
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [Path(each).name for each in state.all_model_checkpoint_paths] == ["model.ckpt-3", "model.ckpt-4"]
    assert Path(tf.train.latest_checkpoint(str(tmp_path))).name == "model.ckpt-4"
    shown = tfmagic.inspect(tmp_path)
    assert shown.path == tmp_path / "model.ckpt-4"
    assert any("'model.ckpt-3', 'model.ckpt-4'" in note for note in shown.notes)


def test_a_manager_goes_on_with_the_directory(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.v = tf.Variable(1.0)
    module.call = tf.function(lambda: {"y": module.v + 0.0}, input_signature=[])
    export(module, tmp_path / "ckpt", format="checkpoint", keep=3)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=module), str(tmp_path), max_to_keep=3)
    assert [Path(each).name for each in manager.checkpoints] == ["ckpt-1"]
    module.v.assign(2.0)
    manager.save(2)
    assert Path(export(module, tmp_path / "ckpt", format="checkpoint", keep=3).path).name == "ckpt-3"
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=module), str(tmp_path), max_to_keep=3)
    assert [Path(each).name for each in manager.checkpoints] == ["ckpt-1", "ckpt-2", "ckpt-3"]


@pytest.mark.parametrize(
    ("name", "is_one"), [("m.ckpt", True), ("m.ckpt-100", True), ("served/1", False), ("model-100", False)]
)
def test_which_paths_ask_for_one(name: str, *, is_one: bool) -> None:
    assert (writer_for(Path(name)).format == "checkpoint") is is_one


def test_what_is_there_is_kept_unless_it_may_be_replaced(session: Any, tmp_path: Path) -> None:
    export(session, tmp_path / "model.ckpt")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(errors.WriteError, match="overwrite=True"):
        export(session, tmp_path / "model.ckpt")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    session.run("step", {"x:0": np.ones((2, 3))})
    export(session, tmp_path / "model.ckpt", overwrite=True)
    assert len(list(tmp_path.glob("*.data*"))) in (1, 2)
    expected = y_of(session)
    session.run("step", {"x:0": np.ones((2, 3))})
    tfmagic.restore(session, tmp_path / "model.ckpt")
    np.testing.assert_allclose(y_of(session), expected, rtol=1e-6)
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(errors.WriteError, match="is a directory"):
        export(session, tmp_path / "folder.ckpt", overwrite=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_an_interrupt_leaves_the_old_one(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    export(session, tmp_path / "model.ckpt")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(renames.Moves, "carry_out", interrupted)
    with pytest.raises(errors.WriteError if isinstance(error, OSError) else error):
        export(session, tmp_path / "model.ckpt", overwrite=True)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


_WRITE = """
module = tf.Module()
module.one, module.two = tf.Variable(tf.fill([50], 2.0)), tf.Variable(tf.fill([50], 2.0))
module.call = tf.function(lambda: {"y": module.one + module.two}, input_signature=[])
tfmagic.export(module, place, overwrite=True)
"""


def test_killed_at_any_moment_a_whole_checkpoint_is_left(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.one, module.two = (tf.Variable(tf.fill([50], 1.0)) for _ in range(2))
    module.call = tf.function(lambda: {"y": module.one + module.two}, input_signature=[])
    export(module, tmp_path / "first" / "model.ckpt")
    places = [tmp_path / str(moment) / "model.ckpt" for moment in range(30)]
    for place in places:
        shutil.copytree(tmp_path / "first", place.parent)
    imports = "from pathlib import Path\nimport tensorflow as tf, tfmagic\nfrom tfmagic.files import renames"
    calls = "(Path, 'replace'), (Path, 'unlink'), (Path, 'rename'), (renames, 'rename_new')"
    seen = set()
    for place in killed_at_each_moment(imports, _WRITE, calls, places):
        tfmagic.restore(module, tf.train.latest_checkpoint(str(place.parent)))
        value = {*module.one.numpy().tolist(), *module.two.numpy().tolist()}
        assert len(value) == 1
        seen |= value
    assert seen == {1.0, 2.0}


def test_one_tensor_and_partitions_are_replaced_by_shards_of_other_names(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    for number in (1.0, 2.0, 3.0):
        with tf.Graph().as_default(), tf.compat.v1.Session() as writing:
            kernel = tf.compat.v1.get_variable(
                "kernel", [4, 3], initializer=tf.compat.v1.constant_initializer(number),
                partitioner=tf.compat.v1.fixed_size_partitioner(2),
            )  # fmt: skip
            writing.run(tf.compat.v1.global_variables_initializer())
            tfmagic.export(writing, tmp_path / "model.ckpt", overwrite=True)
            del kernel
        names = {each.name for each in tmp_path.iterdir()}
        assert len([name for name in names if ".data-" in name]) == (2 if number == 2.0 else 1)
        np.testing.assert_array_equal(
            tf.train.load_checkpoint(str(tmp_path / "model.ckpt")).get_tensor("kernel"), np.full((4, 3), number)
        )


def test_what_has_no_meaning_is_refused(session: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionError, match="'outputs' cannot be written as 'checkpoint'"):
        export(session, tmp_path / "model.ckpt", outputs=["y"])
    with pytest.raises(errors.ConversionError, match="keep=2"):
        export(session, tmp_path / "served", keep=2)
    with pytest.raises(errors.ConversionError, match="at least 1"):
        export(session, tmp_path / "model.ckpt", keep=0)
    tf = runtime.tensorflow()
    with tf.Graph().as_default(), tf.compat.v1.Session() as empty:
        tf.compat.v1.placeholder(tf.float32, name="x")
        with pytest.raises(errors.ConversionError, match="no variable"):
            export(empty, tmp_path / "model.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_a_large_session_is_copied_a_few_values_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions of one variable, too, are one tensor, whichever of TensorFlow's readers reads them."""
    tf: Any = runtime.tensorflow()
    v1 = tf.compat.v1
    monkeypatch.setattr(value_groups, "GROUP_BYTES", 40)
    with tf.Graph().as_default():
        with v1.variable_scope("p", partitioner=v1.fixed_size_partitioner(3)):
            v1.get_variable("w", [6, 4], use_resource=False)
        v1.get_variable("b", [7], dtype=tf.int64, initializer=v1.constant_initializer(list(range(7))))
        v1.get_variable("text", dtype=tf.string, initializer=tf.constant(["a\0", "größe"]))
        v1.get_variable("half", [3], dtype=tf.bfloat16, initializer=v1.constant_initializer(1.5))
        v1.Variable(tf.zeros([0, 2]), name="any", validate_shape=False)
        session = v1.Session()
        session.run(v1.global_variables_initializer())
        expected = session.run(v1.global_variables())
    done = tfmagic.export(session, tmp_path / "m.ckpt")
    assert False not in set(done.verification["equal"])
    assert len(done.verification) == len(expected)
    reader = tf.train.load_checkpoint(str(tmp_path / "m.ckpt"))
    np.testing.assert_array_equal(reader.get_tensor("p/w"), np.concatenate(expected[:3]))
    assert reader.get_tensor("b").tolist() == list(range(7))
    with tf.Graph().as_default(), v1.Session() as again:
        v1.train.import_meta_graph(str(tmp_path / "m.ckpt.meta")).restore(again, str(tmp_path / "m.ckpt"))
        for value, own in zip(again.run(v1.global_variables()), expected, strict=True):
            np.testing.assert_array_equal(value, own)


def test_a_session_that_goes_on_meanwhile(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is what counts, not what the session has by the time that it is read back."""
    write = SessionDraft.write

    def written(draft: SessionDraft, path: Path) -> None:
        write(draft, path)
        session.run("step", {"x:0": np.ones((2, 3))})

    before = session.run(session.graph.get_collection("variables"))
    monkeypatch.setattr(SessionDraft, "write", written)
    assert all(export(session, tmp_path / "model.ckpt").verification["equal"])
    assert any(
        (one != two).any()
        for one, two in zip(before, session.run(session.graph.get_collection("variables")), strict=True)
    )
    tfmagic.restore(session, tmp_path / "model.ckpt")
    for value, own in zip(session.run(session.graph.get_collection("variables")), before, strict=True):
        np.testing.assert_array_equal(value, own)


def test_a_value_that_is_stored_otherwise_is_told(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = tensor_writing.write

    def spoilt(prefix: Path, tensors: Any) -> None:
        write(prefix, (each._replace(values=each.values + 1) if each.key == "weight" else each for each in tensors))

    monkeypatch.setattr(tensor_writing, "write", spoilt)
    with pytest.raises(errors.VerificationError, match="weight"):
        export(session, tmp_path / "model.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["session", "files", "merge"])
def test_a_graph_that_is_stored_otherwise_is_told(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    export(session, tmp_path / "a" / "model.ckpt")
    sources: dict[str, Callable[[], Any]] = {
        "session": lambda: session,
        "files": lambda: tmp_path / "a" / "model.ckpt.meta",
        "merge": lambda: tfmagic.merge(_three_of_two(), session, connect={"z": "x"}),
    }
    source = sources[kind]()
    for draft in (SessionDraft, CopyDraft, GraphValuesDraft):
        monkeypatch.setattr(draft, "write", _with_another_graph(draft.write))
    with pytest.raises(errors.ConversionError, match=r"the graph \('.meta'\) was not written as it is"):
        export(source, tmp_path / "b" / "model.ckpt")
    assert not (tmp_path / "b").exists()


def _with_another_graph(write: Any) -> Any:
    def spoilt(draft: Any, path: Path) -> None:
        write(draft, path)
        (file,) = path.parent.glob("*.meta")
        data = bytearray(file.read_bytes())
        data[-20] ^= 1
        file.write_bytes(data)

    return spoilt


def _three_of_two() -> Any:
    """Return a session that gives three numbers for each two."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        tf.matmul(x, v1.get_variable("kernel", [2, 3]), name="z")
        session.run(v1.global_variables_initializer())
    return session

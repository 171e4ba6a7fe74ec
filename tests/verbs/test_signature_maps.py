"""Signature maps: several signatures of one session or file, as ``%%tf_export`` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.notebook.test_magics import refused, run
from tests.writers.saved_model.test_writer import run_v1
from tfmagic import errors, readers
from tfmagic.files import writing
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.export import export
from tfmagic.verbs.run import run as run_verb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.tensorflow


@pytest.fixture(name="network")
def _network(tmp_path: Path) -> Iterator[Any]:
    """Hold a session with a network, a table from a file, and a device that is not here."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    words = tmp_path / "words.txt"
    words.write_text("cat\ndog\n")
    with tf.Graph().as_default() as graph, v1.Session(config=v1.ConfigProto(allow_soft_placement=True)) as session:
        with tf.device("/device:GPU:3"):
            images = v1.placeholder(tf.float32, [None, 300], name="images")
            weight = v1.get_variable("weight", [300, 300])
        scores = tf.sigmoid(tf.matmul(images, weight), name="out/scores")
        v1.placeholder(tf.string, [None], name="tf_example")
        given = tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(given, -1)
        tf.identity(table.lookup(graph.get_tensor_by_name("tf_example:0")), name="number")
        tf.reduce_sum(scores, 1, name="total")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        yield session


SIGNATURES: dict[str, dict[str, Any]] = {
    "predict_images": {"inputs": {"images": "images"}, "outputs": {"scores": "out/scores:0"}, "method": "predict"},
    "classify": {"inputs": {"inputs": "images"}, "outputs": {"scores": "out/scores"}, "method": "classify"},
    "regress": {"inputs": {"inputs": "images"}, "outputs": {"outputs": "total"}, "method": "regress"},
    "number": {"inputs": {"word": "tf_example"}, "outputs": {"number": "number"}},
}


def collections(graph: Any) -> dict[str, int]:
    """Count what is in the collections; TensorFlow makes empty ones whenever it lets go of a table."""
    counts = {name: len(graph.get_collection(name)) for name in graph.get_all_collection_keys()}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("finalized", [False, True])
def test_a_map_of_signatures(network: Any, tmp_path: Path, *, finalized: bool) -> None:
    tf = runtime.tensorflow()
    graph = network.graph
    if finalized:
        graph.finalize()
    before = (len(graph.get_operations()), graph.version, collections(graph))
    for place in ("one", "two"):
        done = export(network, tmp_path / place, signatures=SIGNATURES)
        assert list(done.verification["equal"]) == [True] * 4
    assert (len(graph.get_operations()), graph.version, collections(graph)) == before
    # 300 * 300 floats, once, and not once a signature.
    assert writing.size_of(tmp_path / "two" / "variables") < 1.2 * 360_000
    (tmp_path / "words.txt").unlink()
    x = np.random.default_rng(0).random((2, 300), dtype=np.float32)
    expected = network.run({"scores": "out/scores:0", "total": "total:0"}, {"images:0": x})
    calls = {
        "predict_images": ({"images": x}, {"scores": expected["scores"]}),
        "classify": ({"inputs": x}, {"scores": expected["scores"]}),
        "regress": ({"inputs": x}, {"outputs": expected["total"]}),
        "number": ({"word": np.array([b"dog", b"cow"], object)}, {"number": np.array([1, -1])}),
    }
    methods = readers.read(tmp_path / "two").signatures.groupby("signature", observed=True)["method"].first()
    assert methods.str.rpartition("/")[2].to_dict() == {
        "predict_images": "predict", "classify": "classify", "regress": "regress", "number": "predict"
    }  # fmt: skip
    # The fixture's graph is open here, where nothing runs eagerly.
    with runtime.eager():
        loaded = tf.saved_model.load(str(tmp_path / "two"))
        for key, (given, wanted) in calls.items():
            second = loaded.signatures[key](**{name: tf.constant(each) for name, each in given.items()})
            for found in (second, run_v1(tmp_path / "two", ("serve",), key, given)):
                for name, value in wanted.items():
                    np.testing.assert_allclose(np.asarray(found[name]), value, rtol=1e-5)


def test_devices_are_cleared(network: Any, tmp_path: Path) -> None:
    export(network, tmp_path / "m", signatures=SIGNATURES)
    devices = set(readers.read(tmp_path / "m").table("ops", all=True)["device"])
    # What saves the tables is TensorFlow's own, and pinned to the CPU.
    assert not [each for each in devices if "GPU" in each]


def test_keys_that_no_server_looks_for_are_noted(network: Any, tmp_path: Path) -> None:
    odd = {"classify": {**SIGNATURES["predict_images"], "method": "classify"}}
    done = export(network, tmp_path / "m", signatures=odd)
    assert [note for note in done.notes if "'inputs'" in note and "'images'" in note]
    plain = export(network, tmp_path / "n", signatures={"classify": SIGNATURES["classify"]})
    assert not [note for note in plain.notes if "look for" in note]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"s": {"inputs": {"x": "imagse"}, "outputs": {"y": "total"}}}, "images"),
        ({"s": {"outputs": {"y": "totla"}}}, "total"),
        ({"s": {"output": {"y": "total"}}}, "outputs"),
        ({}, "at least one signature"),
        ([1], "mapping by signature keys"),
        ("abc", "mapping by signature keys"),
        ({3: {}}, "mapping by signature keys"),
        ({"s": 3}, "described by a mapping"),
        ({"s": {3: "x"}}, "no field of a signature"),
        ({"s": {"method": 3}}, "its method is text"),
        ({"s": {"inputs": 3}}, "names of some"),
        ({"s": {"inputs": {3: "images"}}}, "names of some"),
    ],
)
def test_what_is_wrong_in_a_map_is_said(network: Any, tmp_path: Path, wrong: Any, says: str) -> None:
    with pytest.raises(errors.TfMagicError, match=says):
        export(network, tmp_path / "m", signatures=wrong)
    assert not (tmp_path / "m").exists()


def test_the_cell_magic(network: Any, tmp_path: Path, shell: InteractiveShell) -> None:
    shell.user_ns.update(sess=network, x=network.graph.get_tensor_by_name("images:0"), place=str(tmp_path / "m"))
    body = (
        '{"predict_images": {"inputs": {"images": x},\n  "outputs": {"scores": "out/scores:0"}, "method": "predict"}}'
    )
    done = run(shell, f"%%tf_export sess {{place}} --tags serve,gpu\n{body}")
    assert done.path == tmp_path / "m"
    assert set(readers.read(tmp_path / "m").signatures["signature"]) == {"predict_images"}
    assert readers.read(tmp_path / "m").meta_graphs[0].tags == ("serve", "gpu")
    for wrong, says in (("{", "one Python dict"), ("nobody", "NameError"), ("[1]", "signatures"), ("{'a': 3}", "by 3")):
        said = refused(shell, f"%%tf_export sess {{place}} --overwrite\n{wrong}")
        assert says in said
        assert "Traceback" not in said
    assert (tmp_path / "m").is_dir()


def test_a_variable_is_an_input_where_one_read_reaches_all(tmp_path: Path) -> None:
    """Each op reads a resource by itself; a read that nothing takes would leave the input without effect."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        state = v1.get_variable("state", initializer=[1.0, 1.0])
        tf.multiply(state, 3.0, name="once")
        tf.add(state * 2.0, state, name="twice")
        tf.gather(v1.get_variable("rows", [3, 2]), [1], name="row")
        session.run(v1.global_variables_initializer())
        for given in (state, "state"):
            export(session, tmp_path / "m", inputs={"State": given}, outputs={"y": "once"}, overwrite=True)
            assert run_verb(tmp_path / "m", {"State": [5.0, 6.0]}).outputs["y"].tolist() == [15.0, 18.0]
            assert run_v1(tmp_path / "m", ("serve",), "serving_default", {"State": [5.0, 6.0]})["y"].tolist() == [
                15.0,
                18.0,
            ]
        with pytest.raises(errors.ConversionError, match=r"'state' cannot be an input.*ReadVariableOp.*name each"):
            export(session, tmp_path / "n", inputs={"State": state}, outputs={"y": "twice"})
        with pytest.raises(errors.ConversionError, match=r"'rows' cannot be an input.*'row'.*behind"):
            export(session, tmp_path / "n", inputs={"Rows": "rows"}, outputs={"y": "row"})
    assert not (tmp_path / "n").exists()

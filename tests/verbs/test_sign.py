"""Signing again on disk, held against both of TensorFlow's loaders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.killed import killed_at_each_moment
from tests.notebook.test_magics import refused, run
from tests.wire_samples import field
from tests.writers.saved_model.test_writer import run_v1
from tfmagic import errors, readers
from tfmagic.files import protos
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import signature_functions
from tfmagic.verbs.export import export
from tfmagic.verbs.sign import sign

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.tensorflow
A, B = np.array([[1.0, 2.0]], np.float32), np.array([[30.0, 50.0]], np.float32)
#: What the model of these tests makes of them: sum and difference differ, so a swap of anything shows.
SUM, DIFFERENCE = (A + 10 * B) * 2, A * 100 - B
KINDS = ("tensorflow 2", "ours", "tensorflow 1")


def _make(kind: str, path: Path) -> None:
    """Write a SavedModel with the signature ``serving_default``: inputs a and b, outputs sum and difference."""
    tf = runtime.tensorflow()
    if kind == "tensorflow 1":
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            a, b = (v1.placeholder(tf.float32, [None, 2], name=name) for name in ("a", "b"))
            factor = v1.get_variable("factor", initializer=2.0)
            outputs = {"sum": tf.multiply(a + 10 * b, factor, name="sum"), "difference": a * 100 - b}
            tf.negative(a, name="inner")
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(path), {"a": a, "b": b}, outputs)
        return
    module = tf.Module()
    module.factor = tf.Variable(2.0, name="factor")
    spec = tf.TensorSpec([None, 2])
    function = tf.function(lambda a, b: {"sum": (a + 10 * b) * module.factor, "difference": a * 100 - b})
    concrete = function.get_concrete_function(a=spec, b=spec)
    if kind == "ours":
        export(concrete, path)
    else:
        tf.saved_model.save(module, str(path), signatures=concrete)


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("signed")
    for kind in KINDS:
        _make(kind, directory / kind)
    return directory


@pytest.fixture(name="served", params=KINDS)
def _served(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / request.param, tmp_path / "served")
    return tmp_path / "served"


def run_v2(path: Path, tags: tuple[str, ...], key: str, feeds: dict[str, Any]) -> dict[str, Any]:
    tf = runtime.tensorflow()
    loaded = tf.saved_model.load(str(path), tags=list(tags))
    return {name: each.numpy() for name, each in loaded.signatures[key](**_constants(feeds)).items()}


def _constants(feeds: dict[str, Any]) -> dict[str, Any]:
    return {name: runtime.tensorflow().constant(each) for name, each in feeds.items()}


def check(
    path: Path, key: str, feeds: dict[str, Any], expected: dict[str, Any], tags: tuple[str, ...] = ("serve",)
) -> None:
    """Both loaders give these numbers under these keys."""
    for found in (run_v1(path, tags, key, feeds), run_v2(path, tags, key, feeds)):
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-6)


def snapshot(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return inode, time and bytes of the files below a directory."""
    found = {}
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        stat = file.stat()
        found[str(file.relative_to(path))] = (stat.st_ino, stat.st_mtime_ns, file.read_bytes())
    return found


def keys(path: Path) -> set[str]:
    return set(readers.read(path).signatures["signature"])


def test_a_signature_gets_another_key_in_place(served: Path) -> None:
    before = snapshot(served / "variables")
    result = sign(served, rename={"serving_default": "predict"})
    assert set(result.signatures["signature"]) == {"predict"} == keys(served)
    check(served, "predict", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})
    assert snapshot(served / "variables") == before
    assert sorted(each.name for each in served.parent.iterdir()) == ["served"]


def test_a_copy_leaves_the_original(served: Path, tmp_path: Path) -> None:
    before = snapshot(served)
    sign(served, tmp_path / "copy", rename={"serving_default": "predict"})
    assert snapshot(served) == before
    check(tmp_path / "copy", "predict", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})
    check(served, "serving_default", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})
    originals = {inode for inode, _, _ in before.values()}
    assert originals.isdisjoint(inode for inode, _, _ in snapshot(tmp_path / "copy").values())


#: Names whose order is not that of the old ones, on either side.
SWAPPED = {"inputs": {"z": "a", "m": "b"}, "outputs": {"a_sum": "difference", "b_difference": "sum"}}


def test_ends_that_sort_in_another_order(served: Path) -> None:
    sign(served, signatures={"swapped": {"signature": "serving_default", **SWAPPED}})
    assert keys(served) == {"serving_default", "swapped"}
    check(served, "swapped", {"z": A, "m": B}, {"a_sum": DIFFERENCE, "b_difference": SUM})
    check(served, "serving_default", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})


@pytest.mark.parametrize("kind", KINDS[:2])
def test_names_alone_would_permute_the_tensors(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Without the new order of arguments and results, what is written gives other numbers, and is not left."""
    shutil.copytree(made / kind, tmp_path / "served")
    monkeypatch.setattr(signature_functions, "reordered", lambda function, _: type(function).FromString(
        function.SerializeToString()
    ))  # fmt: skip
    before = snapshot(tmp_path / "served")
    with pytest.raises(errors.VerificationError, match="other numbers"):
        sign(tmp_path / "served", signatures={"swapped": {"signature": "serving_default", **SWAPPED}})
    after = snapshot(tmp_path / "served")
    assert {name: data for name, (_, _, data) in after.items()} == {name: data for name, (_, _, data) in before.items()}


def test_a_signature_is_replaced_and_its_method_changed(served: Path) -> None:
    result = sign(
        served,
        signatures={
            "serving_default": {"outputs": {"scores": "sum"}},
            "rank": {"signature": "serving_default", "inputs": {"inputs": "a", "x": "b"}, "method": "classify"},
        },
    )
    check(served, "serving_default", {"a": A, "b": B}, {"scores": SUM})
    methods = readers.read(served).signatures.groupby("signature", observed=True)["method"].first()
    assert methods["rank"] == "tensorflow/serving/classify"
    assert [note for note in result.notes if "look for the input 'inputs'" in note]


def test_a_signature_goes(served: Path) -> None:
    sign(served, signatures={"other": {"signature": "serving_default"}})
    sign(served, remove=["serving_default"])
    assert keys(served) == {"other"}
    check(served, "other", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})
    assert "serving_default" not in runtime.tensorflow().saved_model.load(str(served)).signatures


def test_tags(served: Path) -> None:
    result = sign(served, rename_tags={"serve": "eval,gpu"})
    assert readers.read(served).meta_graphs[0].tags == ("eval", "gpu")
    assert any("servers ask for 'serve'" in note for note in result.notes)
    check(served, "serving_default", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE}, ("eval", "gpu"))


def test_any_tensor_of_a_graph_of_tensorflow_1(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "tensorflow 1", tmp_path / "m")
    sign(tmp_path / "m", signatures={"inner": {"inputs": {"x": "a:0"}, "outputs": {"y": "inner"}}})
    check(tmp_path / "m", "inner", {"x": A}, {"y": -A})


def test_a_keras_model(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    inputs = [keras.Input((2,), name=name) for name in ("b", "a")]
    model = keras.Model(inputs, keras.layers.Dense(1, name="d")(keras.layers.Subtract(name="s")(inputs)))
    model.export(str(tmp_path / "m"))
    ends = readers.read(tmp_path / "m").signatures
    given = list(ends[(ends["signature"] == "serving_default") & (ends["side"] == "input")]["key"])
    sign(tmp_path / "m", signatures={"p": {"signature": "serving_default", "inputs": {"z": given[0], "k": given[1]}}})
    feeds = dict(zip(given, (A, B), strict=True))
    expected = run_v2(tmp_path / "m", ("serve",), "serving_default", feeds)
    check(tmp_path / "m", "p", {"z": A, "k": B}, expected)


def test_several_meta_graphs(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(tmp_path / "m"))
    for tags, factor in ((["serve"], 2.0), (["eval"], 3.0)):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], name="x")
            w = v1.get_variable("w", initializer=5.0)
            session.run(v1.global_variables_initializer())
            build = v1.saved_model.build_signature_def(
                {"x": v1.saved_model.build_tensor_info(x)},
                {"y": v1.saved_model.build_tensor_info(tf.multiply(x, w * factor))},
                "tensorflow/serving/predict",
            )
            add = builder.add_meta_graph_and_variables if factor == 2.0 else None
            (add(session, tags, {"s": build}) if add else builder.add_meta_graph(tags, {"s": build}))
    builder.save()
    sign(tmp_path / "m", rename={"s": "renamed"}, rename_tags={"eval": "train"})
    check(tmp_path / "m", "renamed", {"x": np.ones(1, "f")}, {"y": [10.0]})
    check(tmp_path / "m", "renamed", {"x": np.ones(1, "f")}, {"y": [15.0]}, ("train",))
    sign(readers.read(tmp_path / "m", tags=("train",)), rename={"renamed": "only here"})
    found = {each.tags: set(each.signature_def) for each in readers.read(tmp_path / "m").meta_graphs}
    assert found == {("serve",): {"renamed"}, ("train",): {"only here"}}


def test_text(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "tensorflow 1", tmp_path / "m")
    binary = tmp_path / "m" / "saved_model.pb"
    text = protos.to_text(protos.parse("SavedModel", binary.read_bytes()))
    (tmp_path / "m" / "saved_model.pbtxt").write_text(text)
    binary.unlink()
    sign(tmp_path / "m", rename={"serving_default": "predict"})
    assert [each.name for each in (tmp_path / "m").glob("saved_model*")] == ["saved_model.pbtxt"]
    check(tmp_path / "m", "predict", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})


def test_the_fingerprint_is_fresh(made: Path, tmp_path: Path) -> None:
    fingerprinting = pytest.importorskip("tensorflow.python.saved_model.pywrap_saved_model").fingerprinting
    shutil.copytree(made / "tensorflow 2", tmp_path / "m")
    old = (tmp_path / "m" / "fingerprint.pb").read_bytes()
    sign(tmp_path / "m", rename={"serving_default": "predict"})
    written = (tmp_path / "m" / "fingerprint.pb").read_bytes()
    assert written != old
    # The identifier within is drawn at random; the checksums come before it.
    assert written[:20] == bytes(fingerprinting.CreateFingerprintDef(str(tmp_path / "m")))[:20]


def test_a_message_that_tensorflow_does_not_parse_is_left_as_it_is(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow.python.saved_model.pywrap_saved_model")
    shutil.copytree(made / "tensorflow 2", tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    saved = protos.parse("SavedModel", path.read_bytes())
    # A node that claims more bytes than it has: nothing that is edited here, nor read for it.
    broken = saved.meta_graphs[0].SerializeToString() + field(2, field(1, b"\x0a\x7f"))
    path.write_bytes(b"\x08\x01" + field(2, broken))
    before = {each: each.read_bytes() for each in (tmp_path / "m").rglob("*") if each.is_file()}
    for place in (None, tmp_path / "copy"):
        with pytest.raises(errors.CorruptSourceError, match=r"saved_model\.pb' is damaged: TensorFlow does not parse"):
            sign(tmp_path / "m", place, rename_tags={"serve": "other"})
    assert {each: each.read_bytes() for each in (tmp_path / "m").rglob("*") if each.is_file()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rename": {"serving_defalt": "x"}}, "serving_default"),
        ({"remove": ["nobody"]}, "serving_default"),
        ({"rename_tags": {"eval": "serve"}}, "serve"),
        ({"signatures": {"s": {"signature": "serving_default", "inputs": {"x": "aa", "y": "b"}}}}, "'a'"),
        ({"signatures": {"s": {"input": {"x": "a"}}}}, "inputs"),
        ({"signatures": {"__s": {"signature": "serving_default"}}}, "TensorFlow's own"),
        ({"signatures": {"s": {"signature": "serving_default"}}, "rename": {"serving_default": "s2"},
          "remove": ["serving_default"]}, "both renamed and removed"),
        ({"signatures": {"s": {"signature": "serving_default", "outputs": {}}}}, "has no output"),
        ({}, "nothing is to be changed"),
    ],
)  # fmt: skip
def test_what_is_wrong_changes_nothing(made: Path, tmp_path: Path, options: dict[str, Any], says: str) -> None:
    shutil.copytree(made / "tensorflow 2", tmp_path / "m")
    before = snapshot(tmp_path / "m")
    with pytest.raises(errors.TfMagicError, match=says):
        sign(tmp_path / "m", **options)
    assert snapshot(tmp_path / "m") == before


def test_a_signature_may_take_nothing(made: Path, tmp_path: Path) -> None:
    """Where the graph needs nothing from outside; a function of TensorFlow 2 takes each of its inputs."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        y = tf.constant(3.0, name="three") * 2.0
        export(session, tmp_path / "m", inputs={"x": v1.placeholder(tf.float32, [], "x")}, outputs={"y": y})
    sign(tmp_path / "m", signatures={"alone": {"inputs": {}, "outputs": {"z": "three"}}})
    assert tfmagic.run(tmp_path / "m", signature="alone").outputs == {"z": 3.0}
    with pytest.raises(errors.ConversionError, match="would be left out"):
        sign(made / "tensorflow 2", tmp_path / "n", signatures={"alone": {"inputs": {}}})


def test_a_live_model_is_no_file(tmp_path: Path) -> None:
    module = runtime.tensorflow().Module()
    with pytest.raises(errors.ConversionError, match=r"tfmagic\.export"):
        sign(module, rename={"a": "b"})
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_moment_one_whole_model_is_left(made: Path, tmp_path: Path) -> None:
    places = [tmp_path / str(moment) for moment in range(40)]
    for place in places:
        shutil.copytree(made / "tensorflow 2", place)
    old = (made / "tensorflow 2" / "fingerprint.pb").read_bytes()
    imports = "from pathlib import Path\nimport tfmagic\nfrom tfmagic.files import renames"
    write = "tfmagic.sign(place, rename={'serving_default': 'predict'})"
    calls = (
        "(os, 'replace'), (os, 'rename'), (os, 'fsync'), (Path, 'unlink'), (Path, 'rename'), (Path, 'replace'), "
        "(renames, 'flush'), (renames, 'rename_new')"
    )
    written = killed_at_each_moment(imports, write, calls, places)
    for place in written:
        assert keys(place) in ({"serving_default"}, {"predict"})
        # It belongs to the old model, which is whole with it alone; with the new one it may be the old one's.
        assert keys(place) == {"predict"} or (place / "fingerprint.pb").read_bytes() == old
    assert keys(written[-1]) == {"predict"}
    assert (written[-1] / "fingerprint.pb").read_bytes() != old if (written[-1] / "fingerprint.pb").exists() else True
    assert len(written) > 3


def test_no_tensorflow_is_loaded_for_it(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "tensorflow 2", tmp_path / "m")
    program = (
        "import sys, tfmagic; model = tfmagic.sign(sys.argv[1], rename={'serving_default': 'p'}); "
        "print('tensorflow' in sys.modules, *model.notes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "m")],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.startswith("False")
    assert "not verified by running: TensorFlow is not loaded" in done.stdout
    check(tmp_path / "m", "p", {"a": A, "b": B}, {"sum": SUM, "difference": DIFFERENCE})


def test_the_magics(made: Path, tmp_path: Path, shell: InteractiveShell) -> None:
    shutil.copytree(made / "tensorflow 2", tmp_path / "m")
    shell.user_ns["place"] = str(tmp_path / "m")
    run(shell, "%tf_sign {place} --rename serving_default=predict")
    assert keys(tmp_path / "m") == {"predict"}
    run(shell, '%%tf_sign {place}\n{"other": {"outputs": {"y": "sum"},\n  "method": "predict"}}')
    assert keys(tmp_path / "m") == {"predict", "other"}
    check(tmp_path / "m", "other", {"a": A, "b": B}, {"y": SUM})
    assert "did you mean" in refused(shell, "%tf_sign {place} --remove othr")


def test_the_corpus_is_signed(tmp_path: Path) -> None:
    corpus = Path(__file__).resolve().parents[3] / "shared" / "corpus"
    if not corpus.is_dir():
        pytest.skip(f"{corpus} is not there")
    tried = 0
    for file in sorted(corpus.rglob("saved_model.pb")):
        try:
            found = [key for key in keys(file.parent) if key not in ("proposed", "")]
        except errors.TfMagicError:
            continue
        if len(set(found)) != 1 or file.stat().st_size > 3_000_000:
            continue
        place = tmp_path / str(tried)
        sign(file.parent, place, rename={found[0]: "renamed"}, verify=False)
        old, new = (readers.read(each).signatures for each in (file.parent, place))
        assert set(new["signature"]) == {"renamed"}
        assert new[["side", "key", "tensor", "dtype", "shape"]].equals(old[["side", "key", "tensor", "dtype", "shape"]])
        tried += 1
        shutil.rmtree(place)
        if tried == 40:
            break
    assert tried > 10


@pytest.mark.parametrize("name", ["again", "m.pb", "m.onnx"])
def test_default_values_of_inputs_are_kept_or_said_to_be_lost(tmp_path: Path, name: str) -> None:
    """A caller may leave such an input out; TensorFlow 2's loader asks for it, and knows no default."""
    if name.endswith(".onnx"):
        pytest.importorskip("tf2onnx")
    tf = runtime.tensorflow()

    class Scaled(tf.Module):  # type: ignore[misc,name-defined]
        @tf.function(input_signature=[tf.TensorSpec([2], name="x"), tf.TensorSpec([], name="scale")])  # type: ignore[untyped-decorator]
        def call(self, x: Any, scale: Any = tf.constant(3.0)) -> Any:  # noqa: B008 - as TensorFlow wants it
            return {"y": x * scale}

    module = Scaled()
    tf.saved_model.save(module, str(tmp_path / "served"), signatures=module.call)
    changed = {"inputs": {"image": "x", "factor": "scale"}, "outputs": {"out": "y"}}
    sign(tmp_path / "served", signatures={"other": changed})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "served")).signature_def["other"]
        assert list(loaded.defaults) == ["factor"]
        found = session.run(loaded.outputs["out"].name, {loaded.inputs["image"].name: [1.0, 2.0]})
        assert found.tolist() == [3.0, 6.0]
    done = export(tmp_path / "served", tmp_path / name, signature="other")
    assert [note for note in done.notes if "default value" in note and "'factor'" in note]

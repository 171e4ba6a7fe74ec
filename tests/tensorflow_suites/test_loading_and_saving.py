"""What TensorFlow's suites of loading and saving (``load_test``, ``save_test``) try, asked of what is made here.

Functions in every state, tables and assets of live objects and of loaded ones: looked at, run, frozen, exported, and
read by both of TensorFlow's loaders. What their other tests hold (optimizers, gradients, Python's garbage) is not ours.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _saved(tf: Any, root: Any, path: Path, **options: Any) -> Any:
    tf.saved_model.save(root, str(path), **options)
    return tf.saved_model.load(str(path))


def _by_session(tf: Any, path: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run the only signature as TensorFlow 1 does."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], str(path))
        (signature,) = (each for key, each in loaded.signature_def.items() if not key.startswith("__"))
        fed = {signature.inputs[key].name: value for key, value in inputs.items()}
        results: dict[str, Any] = session.run({key: info.name for key, info in signature.outputs.items()}, fed)
    return results


def _agree(tf: Any, source: Any, inputs: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Run a source, what it is frozen to, and what it is exported to, and see that all give what is expected."""
    tfmagic.export(source, path)
    results = [tfmagic.run(each, inputs).outputs for each in (source, tfmagic.freeze(source), path)]
    for outputs in (*results, _by_session(tf, path, inputs)):
        assert {key: np.asarray(value).tolist() for key, value in outputs.items()} == expected


def test_a_function_that_was_called_and_saved_has_each_trace_once(tf: Any, tmp_path: Path) -> None:
    """``test_implicit_input_signature``: saving traces what a call traced once more, under its arguments' names."""
    module = tf.Module()
    module.f = tf.function(lambda x: 2 * x)
    module.f(tf.constant(1.0))
    _saved(tf, module, tmp_path / "m")
    assert set(tfmagic.inspect(module.f).signatures["signature"]) == {"serving_default"}
    module.f(tf.constant(1))
    _saved(tf, module, tmp_path / "n")
    assert set(tfmagic.inspect(module.f).signatures["signature"]) == {"function", "function_1"}


def test_default_arguments_tell_traces_apart_after_saving(tf: Any, tmp_path: Path) -> None:
    """``test_function_with_default_bool_input``."""
    module = tf.Module()

    @tf.function  # type: ignore[untyped-decorator]
    def scaled(x: Any, *, training: bool = False) -> Any:
        return 2 * x if training else 7 * x

    module.scaled = scaled
    for training in (False, True):
        scaled(tf.constant(1), training=training)
    loaded = _saved(tf, module, tmp_path / "m")
    keys = {"scaled(training=False)", "scaled(training=True)"}
    for source in (scaled, loaded):
        assert set(tfmagic.inspect(source).signatures["signature"]) == keys
        assert tfmagic.run(source, {"x": 3}, signature="scaled(training=True)").outputs == {"output_0": 6}


def test_results_that_are_none_are_left_out(tf: Any, tmp_path: Path) -> None:
    """``test_export_correct_output_shapes``: a gradient leaves more results in the graph than the function has."""
    module = tf.Module()
    module.v = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec(None, name="x")])  # type: ignore[untyped-decorator]
    def both(x: Any) -> Any:
        return module.v * x, module.v * (x + 1), None

    @tf.function(input_signature=[tf.TensorSpec(None, name="x")])  # type: ignore[untyped-decorator]
    def second(x: Any) -> Any:
        return both(x)[1]

    with tf.GradientTape():
        second(tf.constant(3.0))
    _agree(tf, both, {"x": np.float32(3)}, {"output_0": 6.0, "output_1": 8.0}, tmp_path / "both")
    _agree(tf, second, {"x": np.float32(3)}, {"output_0": 8.0}, tmp_path / "second")


def test_a_part_of_a_loaded_model_is_a_source(tf: Any, tmp_path: Path) -> None:
    """``test_callable``, ``test_functions_list``: functions of an object farther down, and of a list."""
    module, module.part = tf.Module(), tf.Module()
    module.weight = tf.Variable(3.0)
    module.part.__call__ = tf.function(lambda x: x * module.weight, input_signature=[tf.TensorSpec([], name="x")])
    module.losses = [tf.function(lambda: {"loss": module.weight**2}, input_signature=[])]
    loaded = _saved(tf, module, tmp_path / "m")
    _agree(tf, loaded.part, {"x": np.float32(2)}, {"output_0": 6.0}, tmp_path / "part")
    _agree(tf, loaded.losses[0], {}, {"loss": 9.0}, tmp_path / "loss")
    with pytest.raises(errors.MissingPartError, match=r"but 'part', 'losses\[0\]' is one: give that"):
        tfmagic.freeze(loaded)


def test_a_root_that_is_no_module_is_a_source(tf: Any, tmp_path: Path) -> None:
    """Most of TensorFlow's own tests save such objects."""
    root = tf.train.Checkpoint(v=tf.Variable(4.0))
    root.f = tf.function(lambda x: {"y": root.v * x}, input_signature=[tf.TensorSpec([], name="x")])
    assert list(tfmagic.inspect(root).variables["name"]) == ["v"]
    _agree(tf, root, {"x": np.float32(2)}, {"y": 8.0}, tmp_path / "m")


def test_a_function_whose_model_is_gone_says_what_to_keep(tf: Any, tmp_path: Path) -> None:
    """A line that many people type: TensorFlow itself speaks of "variables which have been deleted"."""
    module = tf.Module()
    module.v = tf.Variable(2.0)
    module.f = tf.function(lambda x: module.v * x, input_signature=[tf.TensorSpec([], name="x")])
    function = _saved(tf, module, tmp_path / "m", signatures=module.f).signatures["serving_default"]
    gc.collect()
    with pytest.raises(errors.ConversionError, match=r"keep the model, as in model = tf\.saved_model\.load"):
        tfmagic.freeze(function)


def test_a_variable_as_an_argument_is_refused_and_keeps_no_other_back(tf: Any, tmp_path: Path) -> None:
    """``test_concrete_function_variable_argument``, ``test_variable_args_cannot_be_used_as_signature``."""
    module = tf.Module()
    taking = tf.function(lambda variable: variable + 1.0).get_concrete_function(tf.Variable(1.0))
    with pytest.raises(errors.ConversionError, match="is a variable, which no file can be given"):
        tfmagic.freeze(taking)
    module.taking = taking
    module.plain = tf.function(lambda x: {"y": x + 1.0}, input_signature=[tf.TensorSpec([], name="x")])
    _agree(tf, module, {"x": np.float32(1)}, {"y": 2.0}, tmp_path / "m")
    assert any("'taking' is left out" in note for note in tfmagic.freeze(module).notes)


@pytest.fixture
def lookup(tf: Any, tmp_path: Path) -> Any:
    """A module with tables, one of them filled from a file, and a variable (``_make_model_with_tables``)."""
    file = tmp_path / "vocabulary.txt"
    file.write_text("test\nfoo\nbrain\n")
    tables, whole, number = tf.lookup, tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    filled = tables.KeyValueTensorInitializer(["brain", "salad", "surgery"], tf.constant([0, 1, 2], tf.int64))
    lines = tables.TextFileInitializer(str(file), tf.string, whole, tf.int64, number)
    module = tf.Module()
    module.first, module.second = tables.StaticHashTable(filled, -1), tables.StaticHashTable(lines, -1)
    module.changing = tables.experimental.MutableHashTable(tf.string, tf.int64, -1)
    module.changing.insert(["brain"], tf.constant([7], tf.int64))
    module.weight = tf.Variable(1, dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="keys")])  # type: ignore[untyped-decorator]
    def look(keys: Any) -> dict[str, Any]:
        return {
            "first": module.first.lookup(keys) * module.weight,
            "second": module.second.lookup(keys),
            "changing": module.changing.lookup(keys),
        }

    module.look = look
    return module


_KEYS = {"keys": np.array([b"brain", b"test", b"surgery"], dtype=object)}
_LOOKED_UP = {"first": [0, -1, 2], "second": [2, 0, -1], "changing": [7, -1, -1]}


@pytest.mark.parametrize("state", ["live", "saved", "loaded", "function of loaded"])
def test_tables_come_along_whatever_held_them(tf: Any, lookup: Any, tmp_path: Path, state: str) -> None:
    """``test_table``: a function out of a loaded model does not lead to its tables."""
    loaded = _saved(tf, lookup, tmp_path / "m", signatures=lookup.look)
    source = {"live": lookup.look, "saved": tmp_path / "m", "loaded": loaded, "function of loaded": loaded.look}[state]
    _agree(tf, source, _KEYS, _LOOKED_UP, tmp_path / "n")


@pytest.mark.parametrize("state", ["live", "saved", "loaded"])
def test_variables_stay_where_their_module_has_them(tf: Any, lookup: Any, tmp_path: Path, state: str) -> None:
    """Also where TensorFlow saves tables, and where nobody named a variable."""
    lookup.scales = [None, tf.Variable(2, dtype=tf.int64)]
    lookup.look = tf.function(
        lambda keys: {"y": lookup.first.lookup(keys) * lookup.weight * lookup.scales[1]},
        input_signature=[tf.TensorSpec([None], tf.string, name="keys")],
    )
    loaded = _saved(tf, lookup, tmp_path / "m", signatures=lookup.look)
    source = {"live": lookup, "saved": tmp_path / "m", "loaded": loaded}[state]
    tfmagic.export(source, tmp_path / "n", signature="look" if state == "live" else "serving_default")
    stored = tf.train.load_checkpoint(str(tmp_path / "n" / "variables" / "variables"))
    paths = {f"{path}/.ATTRIBUTES/VARIABLE_VALUE" for path in ("weight", "scales/1")}
    assert set(stored.get_variable_to_shape_map()) == {"_CHECKPOINTABLE_OBJECT_GRAPH", *paths}
    again = tf.saved_model.load(str(tmp_path / "n"))
    assert (again.weight.numpy(), again.scales[1].numpy(), len(again.variables)) == (1, 2, 2)
    for path in ("m", "n"):
        # What was loaded and saved again makes its tables in functions, and is frozen as it lies on disk all the same.
        frozen = tfmagic.freeze(tmp_path / path)
        assert {"weight", "scales/1"} <= set(frozen.ops["name"])
        assert not any("was loaded" in note for note in frozen.notes)


@pytest.mark.parametrize("state", ["live", "loaded"])
def test_variables_far_down_have_the_way_to_them_as_their_key(tf: Any, lookup: Any, tmp_path: Path, state: str) -> None:
    """TensorFlow's own saver takes the shortest way, which is the list of all variables."""
    lookup.encoder = tf.Module()
    lookup.encoder.blocks = [tf.Module(), tf.Module()]
    for place, block in enumerate(lookup.encoder.blocks):
        block.kernel = tf.Variable(np.full((2,), place + 2), dtype=tf.int64, name=f"k{place}")
    kernels = [block.kernel for block in lookup.encoder.blocks]
    lookup.look = tf.function(
        lambda keys: {"y": lookup.first.lookup(keys)[:, None] * kernels[0] * kernels[1] * lookup.weight},
        input_signature=[tf.TensorSpec([None], tf.string, name="keys")],
    )
    source = lookup if state == "live" else _saved(tf, lookup, tmp_path / "m", signatures=lookup.look)
    tfmagic.export(source, tmp_path / "n", signature="look" if state == "live" else None)
    stored = tf.train.load_checkpoint(str(tmp_path / "n" / "variables" / "variables"))
    ways = {f"encoder/blocks/{place}/kernel/.ATTRIBUTES/VARIABLE_VALUE": [place + 2] * 2 for place in range(2)}
    for key, value in ways.items():
        assert stored.get_tensor(key).tolist() == value
    keys = set(stored.get_variable_to_shape_map())
    assert keys == {"_CHECKPOINTABLE_OBJECT_GRAPH", "weight/.ATTRIBUTES/VARIABLE_VALUE", *ways}
    again = tf.saved_model.load(str(tmp_path / "n"))
    assert [block.kernel.numpy().tolist() for block in again.encoder.blocks] == [[2, 2], [3, 3]]
    assert len(again.variables) == 3
    given = {"keys": np.array([b"surgery"], dtype=object)}
    for outputs in (tfmagic.run(tmp_path / "n", given).outputs, _by_session(tf, tmp_path / "n", given)):
        assert outputs["y"].tolist() == [[12, 12]]
    # What the saver in its graph saves is read along the objects, too.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "n")).saver_def
        written = session.run(saver.save_tensor_name, {saver.filename_tensor_name: str(tmp_path / "o")}).decode()
    for prefix in (tmp_path / "n" / "variables" / "variables", written):
        target = tf.train.Checkpoint(encoder=tf.train.Checkpoint(blocks=[tf.Module(), tf.Module()]))
        target.encoder.blocks[1].kernel = tf.Variable([0, 0], dtype=tf.int64)
        target.read(str(prefix)).expect_partial()
        assert target.encoder.blocks[1].kernel.numpy().tolist() == [3, 3]


@pytest.mark.parametrize("state", ["live", "saved", "loaded"])
def test_an_asset_that_is_read_comes_along(tf: Any, tmp_path: Path, state: str) -> None:
    """``test_capture_assets``: its path would lead to where the source lay, which nobody keeps."""
    file = tmp_path / "words.txt"
    file.write_text("contents")
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(file))

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="x")])  # type: ignore[untyped-decorator]
    def read(x: Any) -> dict[str, Any]:
        return {"y": tf.strings.join([tf.io.read_file(module.words.asset_path), x])}

    module.read = read
    loaded = _saved(tf, module, tmp_path / "m", signatures=read)
    source = {"live": read, "saved": tmp_path / "m", "loaded": loaded}[state]
    tfmagic.export(source, tmp_path / "n")
    tfmagic.freeze(source, output=tmp_path / "n.pb")
    file.unlink()
    (tmp_path / "m").rename(tmp_path / "moved source")
    (tmp_path / "n").rename(tmp_path / "moved")
    assert _by_session(tf, tmp_path / "moved", {"x": "!"}) == {"y": b"contents!"}
    assert tfmagic.run(tmp_path / "n.pb", {"x": "!"}, outputs=["y"]).outputs["y"] == b"contents!"


def test_the_path_of_an_asset_is_that_of_the_result(tf: Any, tmp_path: Path) -> None:
    """``test_asset_path_returned``: it follows the model, and a graph, which holds no files, is refused."""
    file = tmp_path / "words.txt"
    file.write_text("contents")
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(file))
    module.path = tf.function(lambda: {"path": module.words.asset_path}, input_signature=[])
    _saved(tf, module, tmp_path / "m", signatures=module.path)
    for number, source in enumerate((module.path, tmp_path / "m")):
        exported = tfmagic.export(source, tmp_path / f"n{number}")
        assert exported.verification["equal"].all()
        (tmp_path / f"n{number}").rename(tmp_path / f"moved{number}")
        path = tfmagic.run(tmp_path / f"moved{number}", {}).outputs["path"].item().decode()
        assert path == str(tmp_path / f"moved{number}" / "assets" / "words.txt")
        with pytest.raises(errors.ConversionError, match=r"is the path of the asset 'words\.txt'"):
            tfmagic.freeze(source)


def test_a_variable_without_a_value_is_named(tf: Any, tmp_path: Path) -> None:
    """What a load that skips its checkpoint leaves behind: TensorFlow takes the variable for an empty one."""
    module = tf.Module()
    module.kernel = tf.Variable([1.0, 2.0], name="kernel")
    module.f = tf.function(lambda x: {"y": module.kernel * x}, input_signature=[tf.TensorSpec([], name="x")])
    skipping = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    loaded = tf.saved_model.load(str(tmp_path / "m"), options=skipping)
    for call in (
        lambda: tfmagic.run(loaded, {"x": 1.0}),
        lambda: tfmagic.freeze(loaded, verify=False),
        lambda: tfmagic.export(loaded, tmp_path / "n", verify=False),
    ):
        with pytest.raises(
            errors.ConversionError, match=r"'kernel' of shape \(2,\) has no value, but one of shape \(0,\)"
        ):
            call()

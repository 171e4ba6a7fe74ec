"""Where the bytes of a model go, and copies without what is not needed: as stock TensorFlow reads them."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfmagic
from tests.samples import SAMPLES
from tfmagic.files import crc32c, protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import sorted_tables, tensor_bundle, tensor_writing, trackable_object_graph
from tfmagic.files.checkpoints.tensor_writing import Tensor
from tfmagic.verbs.slimming import shares

if TYPE_CHECKING:
    from tests.samples import Built

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
FLOAT = np.dtype(np.float32).itemsize


def stored(prefix: Path) -> dict[str, Any]:
    """Return all values of a checkpoint, as TensorFlow reads them."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    reader = tf.train.load_checkpoint(str(prefix))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def kinds(result: tfmagic.Slimmed) -> dict[str, int]:
    """Return the bytes of each kind that a copy is without."""
    gone = result.table[~result.table["retained"]]
    return {str(kind): int(size) for kind, size in gone.groupby("kind")["bytes"].sum().items()}


def served(path: Path, key: str = "serving_default", tags: str = "serve") -> Any:
    """Return what TensorFlow 1's loader makes of X."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, tags.split(","), str(path)).signature_def[key]
        fetches = {name: info.name for name, info in signature.outputs.items()}
        return session.run(fetches, {info.name: X for info in signature.inputs.values()})


def network() -> Any:
    """Return a Keras model that was trained, so that its optimizer has a state."""
    import keras  # noqa: PLC0415 - costs seconds

    layers = [keras.Input((8,), name="x"), keras.layers.Dense(64, "relu", name="wide"), keras.layers.Dense(4, name="y")]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(X, np.ones((3, 4), np.float32), verbose=0)
    return model


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_form_is_told_and_copied_where_it_can_be(samples: Built, tmp_path: Path, name: str) -> None:
    source = samples[name]
    told = tfmagic.slim(source)
    assert list(told.table) == ["kind", "where", "bytes", "retained", "why"]
    # What is packed takes less than what is in it.
    assert told.table["bytes"].sum() == told.bytes_before or name == "graph_def_gzip"
    assert told.path is None
    assert "slim:" in repr(told)
    assert "<table" in told._repr_html_()
    if told.bytes_after is None:
        return
    suffix = ".pb" if tfmagic.inspect(source).form == "graph_def" else ""
    copied = tfmagic.slim(source, tmp_path / f"slim{suffix}", verify=True)
    assert copied.verification is not None
    assert all(copied.verification["equal"])
    before, after = (tfmagic.inspect(each) for each in (source, tmp_path / f"slim{suffix}"))
    assert set(after.variables["name"]) <= set(before.variables["name"])
    if "signatures" in before.parts:
        assert after.signatures.equals(before.signatures)


# Checkpoints


def test_a_copy_is_shown_under_the_path_that_was_named(in_tmp_path: Path) -> None:
    tensor_writing.write(Path("trained"), [Tensor("dense/kernel", "float32", X)])
    Path("out").mkdir()
    done = tfmagic.slim("trained", "out/slim")
    assert done.path == in_tmp_path / "out" / "slim"
    assert done.called == "out/slim"
    assert "slim: trained\n" in repr(done)
    assert "path: out/slim\n" in repr(done)
    assert str(in_tmp_path) not in repr(done)
    assert f'title="{in_tmp_path}/out/slim"' in done._repr_html_()
    assert tfmagic.slim("trained").called == ""


def test_a_checkpoint_without_its_optimizer_restores_into_a_model(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    model = network()
    source = Path(tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "trained")))
    expected = model(X).numpy()
    result = tfmagic.slim(source, tmp_path / "slim")
    before, after = stored(source), stored(tmp_path / "slim")
    objects = trackable_object_graph.KEY
    assert after.keys() - {objects} == {key for key in before if "/_trainable_variables/" in key or "save_c" in key}
    assert all(np.array_equal(value, before[key]) for key, value in after.items() if key != objects)
    graph = protos.parse("TrackableObjectGraph", after[objects])
    assert {each.checkpoint_key for node in graph.nodes for each in node.attributes} == after.keys() - {objects}
    assert kinds(result).keys() == {"optimizer"}
    assert result.table["bytes"].sum() == result.bytes_before
    assert result.bytes_after == sum(file.stat().st_size for file in tmp_path.glob("slim.*"))
    assert result.verification is not None
    assert all(result.verification["equal"])
    other = network()
    assert not np.allclose(other(X), expected)
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(str(tmp_path / "slim")).expect_partial()
    np.testing.assert_array_equal(other(X), expected)


def test_slots_go_out_of_the_object_graph(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds
    import tf_keras  # noqa: PLC0415 - costs seconds

    model = tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Dense(4)])
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    model.fit(X, np.ones((3, 4), np.float32), verbose=0)
    source = Path(tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "trained")))
    tfmagic.slim(source, tmp_path / "slim")
    after = stored(tmp_path / "slim")
    assert not [key for key in after if "OPTIMIZER_SLOT" in key or "/iter/" in key]
    graph = protos.parse("TrackableObjectGraph", after[trackable_object_graph.KEY])
    assert not any(node.slot_variables for node in graph.nodes)
    other = tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Dense(4)])
    tf.train.Checkpoint(model=other).restore(str(tmp_path / "slim")).assert_existing_objects_matched()
    np.testing.assert_array_equal(other(X), model(X))
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).restore(str(tmp_path / "slim")).expect_partial()
    model.fit(X, np.ones((3, 4), np.float32), verbose=0)


def test_weights_are_loaded_from_a_slim_checkpoint(tmp_path: Path) -> None:
    import tf_keras  # noqa: PLC0415 - costs seconds

    model = tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Dense(4)])
    model.compile("adam", "mse")
    model.fit(X, np.ones((3, 4), np.float32), verbose=0)
    model.save_weights(tmp_path / "weights", save_format="tf")
    expected = model(X).numpy()
    tfmagic.slim(tmp_path / "weights", tmp_path / "slim")
    other = tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Dense(4)])
    other.load_weights(tmp_path / "slim").assert_existing_objects_matched()
    np.testing.assert_array_equal(other(X), expected)


def test_a_saver_restores_what_is_left_of_a_checkpoint_of_tensorflow_1(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        kernel = v1.get_variable("layer/kernel", [8, 4], partitioner=v1.fixed_size_partitioner(2))
        loss = tf.reduce_sum(tf.matmul(X, tf.convert_to_tensor(kernel)) ** 2)
        train = v1.train.AdamOptimizer().minimize(loss)
        session.run(v1.global_variables_initializer())
        session.run(train)
        expected = session.run(tf.convert_to_tensor(kernel))
        v1.train.Saver(max_to_keep=None).save(session, str(tmp_path / "trained"), write_meta_graph=False)
        tfmagic.slim(tmp_path / "trained", tmp_path / "slim")
        assert stored(tmp_path / "slim").keys() == {"layer/kernel"}
        session.run(v1.global_variables_initializer())
        v1.train.Saver({"layer/kernel": kernel}).restore(session, str(tmp_path / "slim"))
        np.testing.assert_array_equal(session.run(tf.convert_to_tensor(kernel)), expected)


def test_what_is_retained_stays(tmp_path: Path) -> None:
    values = np.arange(2000, dtype=np.float32)
    tensors = [Tensor(name, "float32", values) for name in ("dense/kernel", "dense/kernel/Adam", "other/kernel")]
    tensor_writing.write(tmp_path / "source", tensors)
    size = values.nbytes
    every = tfmagic.slim(tmp_path / "source", tmp_path / "every", retain=["optimizer", "duplicates"])
    assert kinds(every) == {}
    assert (tmp_path / "every.data-00000-of-00001").stat().st_size == 3 * size
    shared = tfmagic.slim(tmp_path / "source", tmp_path / "shared", retain="optimizer")
    assert kinds(shared) == {"duplicates": 2 * size}
    assert (tmp_path / "shared.data-00000-of-00001").stat().st_size == size
    slim = tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    assert kinds(slim) == {"duplicates": size, "optimizer": size}
    assert stored(tmp_path / "slim").keys() == {"dense/kernel", "other/kernel"}
    with pytest.raises(tfmagic.UnknownNameError, match="no kind 'optimiser'"):
        tfmagic.slim(tmp_path / "source", retain="optimiser")


ARRAYS = st.one_of(
    st.lists(st.integers(0, 2), max_size=6).map(lambda items: np.array(items, np.float32)),
    st.lists(st.integers(0, 2), max_size=6).map(lambda items: np.array(items, np.int64)),
    st.lists(st.binary(max_size=3), max_size=3).map(lambda items: np.array([*items, None], object)[:-1]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from("abcdefghij"), ARRAYS, min_size=1), at=st.data())
def test_every_value_is_what_it_was(tmp_path: Path, values: dict[str, Any], at: st.DataObject) -> None:
    names = {np.dtype(np.float32): "float32", np.dtype(np.int64): "int64", np.dtype(object): "string"}
    tensors = [Tensor(key, names[value.dtype], value) for key, value in sorted(values.items())]
    source, place = tmp_path / "source", tmp_path / "slim"
    tensor_writing.write(source, tensors)
    retain = at.draw(st.sampled_from([(), ("duplicates",)]))
    result = tfmagic.slim(source, place, retain=retain, overwrite=True)
    before, after = (tensor_bundle.open_checkpoint(prefix) for prefix in (source, place))
    assert before.entries.keys() == after.entries.keys()
    for key, value in values.items():
        assert after.read(key).tolist() == value.tolist()
        assert after.read(key).dtype == before.read(key).dtype
    assert result.table["bytes"].sum() == result.bytes_before
    contents = {value.tobytes() if value.dtype != object else repr(value.tolist()) for value in values.values()}
    assert retain or len({(each.offset, each.bytes) for each in after.entries.values() if each.bytes}) <= len(contents)


def edited(prefix: Path, change: Any) -> None:
    """Change the index of a checkpoint: its header and its entries."""
    index = prefix.with_name(prefix.name + ".index")
    table = dict(sorted_tables.Table.open(index))
    header = protos.parse("BundleHeaderProto", table.pop(b""))
    entries = {key: protos.parse("BundleEntryProto", value) for key, value in table.items()}
    change(header, entries)
    listed = {b"": header.SerializeToString(), **{key: each.SerializeToString() for key, each in entries.items()}}
    index.write_bytes(sorted_tables.table(listed))


def sealed(values: Any) -> int:
    """Return the checksum of values as an index has it."""
    return crc32c.masked(crc32c.checksum(values.tobytes()))


def two(prefix: Path) -> None:
    tensors = [Tensor(name, "float32", np.full(256, number, np.float32)) for number, name in enumerate("ab")]
    tensor_writing.write(prefix, tensors)


def test_an_entry_beyond_its_shard_is_told_and_not_copied(tmp_path: Path) -> None:
    two(tmp_path / "source")
    edited(tmp_path / "source", lambda _, entries: setattr(entries[b"b"], "offset", 5000))
    result = tfmagic.slim(tmp_path / "source")
    assert result.bytes_after is None
    with pytest.raises(tfmagic.CorruptSourceError, match=r"the index counts on 6,024"):
        tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    assert not list(tmp_path.glob("slim*"))


def test_entries_that_overlap_stay_what_they_are(tmp_path: Path) -> None:
    two(tmp_path / "source")
    edited(tmp_path / "source", lambda _, entries: setattr(entries[b"b"], "offset", 512))
    checkpoint = tensor_bundle.open_checkpoint(tmp_path / "source")
    expected = {key: checkpoint.read(key, check=False) for key in "ab"}
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    copy = tensor_bundle.open_checkpoint(tmp_path / "slim")
    assert all(np.array_equal(copy.read(key, check=False), value) for key, value in expected.items())
    assert (tmp_path / "slim.data-00000-of-00001").stat().st_size == 1536


def test_bytes_that_no_key_has_are_left_out(tmp_path: Path) -> None:
    two(tmp_path / "source")
    shard = tmp_path / "source.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes() + bytes(3000))
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    assert kinds(result) == {"unreached": 3000}
    assert (tmp_path / "slim.data-00000-of-00001").stat().st_size == 2048
    assert stored(tmp_path / "slim").keys() == {"a", "b"}


def test_a_byte_order_stays(tmp_path: Path) -> None:
    values = np.arange(5, dtype=">f4")
    two(tmp_path / "source")
    shard = tmp_path / "source.data-00000-of-00001"
    shard.write_bytes(values.tobytes() * 2)

    def change(header: Any, entries: Any) -> None:
        header.endianness = 1
        for number, entry in enumerate(entries.values()):
            entry.size, entry.offset, entry.shape.dim[0].size, entry.crc32c = 20, 20 * number, 5, sealed(values)

    edited(tmp_path / "source", change)
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    copy = tensor_bundle.open_checkpoint(tmp_path / "slim")
    assert copy.big_endian
    assert [copy.read(key).tolist() for key in "ab"] == [list(range(5))] * 2
    assert (tmp_path / "slim.data-00000-of-00001").read_bytes() == values.tobytes()


def test_shards_stay_apart(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    for number, name in enumerate(("kernel", "kernel/Adam", "bias")):
        values = tf.constant(np.full(300, number, np.float32))
        tf.raw_ops.SaveV2(
            prefix=str(tmp_path / f"part{number}"), tensor_names=[name], shape_and_slices=[""], tensors=[values]
        )
    parts = [str(tmp_path / f"part{number}") for number in range(3)]
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(tmp_path / "source"))
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    after = stored(tmp_path / "slim")
    assert {key: value[0] for key, value in after.items()} == {"kernel": 0, "bias": 2}
    assert sum(file.stat().st_size for file in tmp_path.glob("slim.data*")) == 2 * 300 * FLOAT


def test_what_slim_does_not_copy_gets_its_table(samples: Built, tmp_path: Path) -> None:
    for form in ("keras_archive", "keras_hdf5", "tflite", "meta_graph"):
        source = samples.path(form)
        result = tfmagic.slim(source)
        assert result.bytes_after is None
        assert {"variables", "graph"} <= set(result.table["kind"])
        with pytest.raises(tfmagic.UnsupportedConversionError, match="gives the table alone"):
            tfmagic.slim(source, tmp_path / "slim")
    assert not list(tmp_path.iterdir())


def test_a_piece_of_a_tensor_shares_bytes_too(tmp_path: Path) -> None:
    two(tmp_path / "source")

    def change(_: Any, entries: Any) -> None:
        for key in (b"a", b"b"):
            whole = entries[key]
            piece = protos.message("BundleEntryProto")()
            piece.CopyFrom(whole)
            piece.shape.dim[0].size = 128
            whole.ClearField("size")
            for start in (0, 128):
                own = protos.message("BundleEntryProto")()
                own.CopyFrom(piece)
                own.offset, own.size = piece.offset + start * FLOAT, 128 * FLOAT
                own.crc32c = sealed(np.full(128, "ab".index(key.decode()), np.float32))
                extent = whole.slices.add().extent.add(start=start)
                extent.length = 128
                entries[tensor_slices.key(key, ((start, 128),))] = own
        for key in sorted(entries):
            entries[key] = entries.pop(key)

    edited(tmp_path / "source", change)
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    copy = tensor_bundle.open_checkpoint(tmp_path / "slim")
    assert [set(copy.read(key).tolist()) for key in "ab"] == [{0.0}, {1.0}]
    assert (tmp_path / "slim.data-00000-of-00001").stat().st_size == 2 * 128 * FLOAT


# SavedModels


def test_a_keras_export_comes_out_at_the_size_of_its_weights(tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 - costs seconds
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    model = keras.Sequential([keras.Input((8,), name="x"), keras.layers.Dense(4096), keras.layers.Dense(256)])
    weights = sum(value.nbytes for value in model.get_weights())
    model.export(tmp_path / "source")
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    files = [(tmp_path / name / "saved_model.pb").read_bytes() for name in ("source", "slim")]
    assert files[0] == files[1]
    values = sum(file.stat().st_size for file in (tmp_path / "slim" / "variables").iterdir())
    assert values <= 1.01 * weights
    before, after = (stored(tmp_path / name / "variables" / "variables") for name in ("source", "slim"))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert kinds(result) == {"duplicates": weights}
    np.testing.assert_array_equal(served(tmp_path / "slim")["output_0"], served(tmp_path / "source")["output_0"])
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    np.testing.assert_allclose(loaded.serve(X), model(X), rtol=1e-5)
    assert (tmp_path / "slim" / "fingerprint.pb").exists()


def module() -> Any:
    """Return a module of which a signature needs the half."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    result = tf.Module()
    result.kernel = tf.Variable(np.full((8, 4), 2, np.float32), name="kernel")
    result.unused = tf.Variable(np.arange(500, dtype=np.float32), name="unused")
    result.parts = [tf.Variable(np.full(900, number, np.float32)) for number in range(2)]
    spec = [tf.TensorSpec([None, 8], tf.float32, name="x")]
    result.served = tf.function(lambda x: {"y": tf.matmul(x, result.kernel) + result.parts[1][:4]}, spec)
    result.other = tf.function(lambda x: {"y": x + result.parts[0][:8]}, spec)
    return result


def test_what_no_signature_needs_is_left_out_for_both_loaders(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = module()
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim", verify=True)
    prefix = tmp_path / "slim" / "variables" / "variables"
    assert stored(prefix).keys() - {trackable_object_graph.KEY} == {
        "kernel/.ATTRIBUTES/VARIABLE_VALUE",
        "parts/1/.ATTRIBUTES/VARIABLE_VALUE",
    }
    assert {"unreached", "functions"} <= kinds(result).keys()
    assert kinds(result)["unreached"] >= (500 + 900) * FLOAT
    assert result.bytes_after == sum(file.stat().st_size for file in (tmp_path / "slim").rglob("*") if file.is_file())
    expected = X @ np.full((8, 4), 2, np.float32) + 1
    np.testing.assert_allclose(served(tmp_path / "slim")["y"], expected, rtol=1e-5)
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=X)["y"], expected, rtol=1e-5)
    np.testing.assert_array_equal(loaded.parts[1], np.ones(900, np.float32))
    assert any("'other'" in note for note in result.notes)


def test_functions_that_are_retained_keep_their_variables(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = module()
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    tfmagic.slim(tmp_path / "source", tmp_path / "slim", retain="functions")
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    np.testing.assert_array_equal(loaded.other(tf.constant(X))["y"], X)
    assert "unused/.ATTRIBUTES/VARIABLE_VALUE" not in stored(tmp_path / "slim" / "variables" / "variables")


@pytest.mark.parametrize("legacy", [False, True], ids=["optimizer", "slots"])
def test_a_keras_2_model_loses_its_optimizer(tmp_path: Path, legacy: bool) -> None:  # noqa: FBT001 - a parameter
    import tensorflow as tf  # noqa: PLC0415 - costs seconds
    import tf_keras  # noqa: PLC0415 - costs seconds

    model = tf_keras.Sequential([tf_keras.Input((8,), name="x"), tf_keras.layers.Dense(4, name="y")])
    model.compile(tf_keras.optimizers.legacy.Adam() if legacy else "adam", "mse")
    model.fit(X, np.ones((3, 4), np.float32), verbose=0)
    model.save(tmp_path / "source", save_format="tf")
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim", verify=True)
    assert "optimizer" in kinds(result)
    prefix = tmp_path / "slim" / "variables" / "variables"
    assert len(stored(prefix)) == 3
    expected = model(X).numpy()
    np.testing.assert_allclose(served(tmp_path / "slim")["y"], expected, rtol=1e-5)
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=X)["y"], expected, rtol=1e-5)
    other = tf_keras.Sequential([tf_keras.Input((8,), name="x"), tf_keras.layers.Dense(4, name="y")])
    other.load_weights(prefix).expect_partial()
    np.testing.assert_array_equal(other(X), expected)


def test_what_is_saved_again_has_the_keys_that_are_left(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = module()
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.saved_model.load(session, ["serve"], str(tmp_path / "slim")).saver_def
        session.run(saver.save_tensor_name, {saver.filename_tensor_name: str(tmp_path / "again")})
    again = stored(tmp_path / "again")
    assert again.keys() == stored(tmp_path / "slim" / "variables" / "variables").keys()
    graph = protos.parse("TrackableObjectGraph", again[trackable_object_graph.KEY])
    assert {each.checkpoint_key for node in graph.nodes for each in node.attributes} < again.keys()


def trained_session(tmp_path: Path, *, resource: bool) -> Path:
    """Write a SavedModel of TensorFlow 1 with two MetaGraphDefs, of which one trains nothing."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    place = tmp_path / "source"
    builder = v1.saved_model.Builder(str(place))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 8], "x")
        start = v1.constant_initializer(np.arange(8 * 512, dtype=np.float32).reshape(8, 512) / 5000)
        kernel = v1.get_variable("wide/kernel", [8, 512], initializer=start, use_resource=resource)
        side = v1.get_variable("side/kernel", [8, 64], use_resource=resource)
        y = tf.identity(tf.matmul(x, kernel), name="y")
        z = tf.identity(tf.matmul(x, side), name="z")
        v1.train.AdamOptimizer(1e-3).minimize(tf.reduce_sum(y**2) + tf.reduce_sum(z**2))
        session.run(v1.global_variables_initializer())
        sign = v1.saved_model.signature_def_utils.predict_signature_def
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": sign({"x": x}, {"y": y})})
        builder.add_meta_graph(["other"], {"serving_default": sign({"x": x}, {"z": z})})
        builder.save()
    return place


@pytest.mark.parametrize("resource", [False, True], ids=["references", "resources"])
def test_several_meta_graphs_share_what_any_of_them_needs(tmp_path: Path, resource: bool) -> None:  # noqa: FBT001
    source = trained_session(tmp_path, resource=resource)
    result = tfmagic.slim(source, tmp_path / "slim", verify=True)
    assert stored(tmp_path / "slim" / "variables" / "variables").keys() == {"wide/kernel", "side/kernel"}
    assert {"optimizer", "unreached"} <= kinds(result).keys()
    assert kinds(result)["optimizer"] > 2 * (8 * 512 + 8 * 64) * FLOAT - 1
    for tags, key in (("serve", "y"), ("other", "z")):
        np.testing.assert_array_equal(served(tmp_path / "slim", tags=tags)[key], served(source, tags=tags)[key])
    names = set(tfmagic.inspect(tmp_path / "slim", tags="serve").ops["name"])
    assert "wide/kernel" in names
    assert not [name for name in names if "Adam" in name or "gradients" in name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("resource", "retain"),
    [
        *((True, [kind]) for kind in shares.KINDS),
        *((resource, retain) for resource in (False, True) for retain in (["unreached", "optimizer"], shares.KINDS)),
    ],
)
def test_each_kind_can_be_retained(tmp_path: Path, resource: bool, retain: list[str]) -> None:  # noqa: FBT001
    source = trained_session(tmp_path, resource=resource)
    result = tfmagic.slim(source, tmp_path / "slim", retain=retain, verify=True)
    # Nodes that train slots go with those.
    assert not set(retain) & (kinds(result).keys() - {"unreached"})
    for tags, key in (("serve", "y"), ("other", "z")):
        np.testing.assert_array_equal(served(tmp_path / "slim", tags=tags)[key], served(source, tags=tags)[key])


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_a_signature_reaches_is_byte_for_byte_what_it_was(tmp_path: Path, data: st.DataObject) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    numbers = data.draw(st.lists(st.sampled_from([0.0, 1.0, -0.0, np.nan]), min_size=1, max_size=6))
    used = data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    module = tf.Module()
    module.all = [tf.Variable(np.full((8, 4), number, np.float32)) for number in numbers]
    module.text = tf.Variable(["a", "b"])
    read = [each for each, is_used in zip(module.all, used, strict=True) if is_used]
    spec = [tf.TensorSpec([None, 8], tf.float32, name="x")]
    module.served = tf.function(
        lambda x: {"y": tf.add_n([x[:, :1], *(tf.matmul(x, each)[:, :1] for each in read)])}, spec
    )
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    tf.saved_model.save(module, str(place / "source"), {"serving_default": module.served})
    tfmagic.slim(place / "source", place / "slim", verify=False)
    before, after = (stored(place / name / "variables" / "variables") for name in ("source", "slim"))
    reached = {f"all/{place}/.ATTRIBUTES/VARIABLE_VALUE" for place, is_used in enumerate(used) if is_used}
    assert reached <= after.keys() <= before.keys()
    assert all(before[key].tobytes() == after[key].tobytes() for key in after.keys() - {trackable_object_graph.KEY})
    assert served(place / "slim")["y"].tobytes() == served(place / "source")["y"].tobytes()
    loaded = tf.saved_model.load(str(place / "slim"))
    assert all(loaded.all[place].numpy().tobytes() == before[key].tobytes() for place, key in listed(reached))


def listed(keys: set[str]) -> list[tuple[int, str]]:
    """Return the numbers of keys in a list, and the keys."""
    return [(int(key.split("/")[1]), key) for key in sorted(keys)]


def test_the_index_of_a_checkpoint_with_its_graph_stands_for_its_values(samples: Built, tmp_path: Path) -> None:
    prefix = samples.path("meta_graph_of_a_prefix")
    with pytest.raises(tfmagic.UnsupportedConversionError, match="index' for a copy of its values"):
        tfmagic.slim(prefix, tmp_path / "slim")
    tfmagic.slim(f"{prefix}.index", tmp_path / "slim")
    assert stored(tmp_path / "slim").keys() == stored(prefix).keys()


def test_large_initial_values_go_and_the_variable_is_set_by_the_saver(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    source = trained_session(tmp_path, resource=True)
    slim = tfmagic.slim(source, tmp_path / "slim")
    kept = tfmagic.slim(source, tmp_path / "kept", retain="constants")
    assert "constants" in kinds(slim)
    assert "constants" not in kinds(kept)
    assert (kept.bytes_after or 0) - (slim.bytes_after or 0) > 8 * 512 * FLOAT
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(tmp_path / "slim"))
        variables = {each.name: each.initializer.name for each in v1.trainable_variables()}
    # The other MetaGraphDef needs the second, and both restore the one checkpoint.
    assert variables.keys() == {"wide/kernel:0", "side/kernel:0"}
    assert variables["wide/kernel:0"].startswith("save/AssignVariableOp")


def test_a_loop_and_a_colocation_survive(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 8], "x")
            scale = v1.get_variable("scale", initializer=np.float32(1.5))
            looped = v1.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * scale), (0, x))[1]
            with v1.colocate_with(v1.get_variable("unused", [2000]).op):
                y = tf.identity(looped, name="y")
            v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(y))
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(tmp_path / "source"), {"x": x}, {"y": y})
    finally:
        v1.enable_control_flow_v2()
    tfmagic.slim(tmp_path / "source", tmp_path / "slim", verify=True)
    np.testing.assert_array_equal(served(tmp_path / "slim")["y"], served(tmp_path / "source")["y"])
    assert stored(tmp_path / "slim" / "variables" / "variables").keys() == {"scale"}


def test_tables_and_assets_stay_and_files_of_nobody_go(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    words = tmp_path / "words.txt"
    words.write_text("one\ntwo\n", "utf-8")
    saved = tf.Module()
    content = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    saved.table = tf.lookup.StaticHashTable(content, -1)
    saved.big = tf.Variable(np.arange(999, dtype=np.float32))
    spec = [tf.TensorSpec([None], tf.string, name="word")]
    saved.served = tf.function(lambda word: {"number": saved.table.lookup(word)}, spec)
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    (tmp_path / "source" / "assets" / "left.txt").write_text("of nobody\n" * 50)
    (tmp_path / "source" / "assets.extra").mkdir()
    (tmp_path / "source" / "assets.extra" / "requests").write_text("kept")
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim", verify=True)
    assert kinds(result)["assets"] == 500
    slim = tmp_path / "slim"
    files = {path.relative_to(slim).as_posix() for path in slim.rglob("*") if path.is_file()}
    assert {"assets/words.txt", "assets.extra/requests"} <= files
    assert "assets/left.txt" not in files
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    assert loaded.signatures["serving_default"](word=tf.constant(["two", "six"]))["number"].numpy().tolist() == [1, -1]
    tfmagic.slim(tmp_path / "source", tmp_path / "kept", retain="assets")
    assert (tmp_path / "kept" / "assets" / "left.txt").exists()


def test_a_model_without_signatures_needs_all_of_itself(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = module()
    tf.saved_model.save(saved, str(tmp_path / "source"))
    tfmagic.slim(tmp_path / "source", tmp_path / "slim")
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    np.testing.assert_array_equal(loaded.other(tf.constant(X))["y"], X)
    np.testing.assert_array_equal(loaded.unused, np.arange(500, dtype=np.float32))


def test_a_copy_goes_nowhere_into_its_source(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = module()
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    with pytest.raises(tfmagic.WriteError, match="inside of what is read"):
        tfmagic.slim(tmp_path / "source", tmp_path / "source" / "slim", verify=False)
    with pytest.raises(tfmagic.ConversionError, match="is a name for a graph"):
        tfmagic.slim(tmp_path / "source", tmp_path / "slim.pb", verify=False)
    before = tfmagic.slim(tmp_path / "source").bytes_after
    tfmagic.slim(tmp_path / "source", tmp_path / "source", overwrite=True)
    again = tfmagic.slim(tmp_path / "source")
    # The fingerprint is another, of about the same size.
    assert abs(again.bytes_before - (before or 0)) < 16
    assert kinds(again) == {}


def test_constants_that_functions_capture_are_found_again(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    saved = tf.Module()
    values = np.linspace(0, 1, 8 * 400, dtype=np.float32).reshape(8, 400)
    wanted, other = tf.constant(values), tf.constant(-values)
    saved.big = tf.Variable(np.arange(999, dtype=np.float32))
    spec = [tf.TensorSpec([None, 8], tf.float32, name="x")]
    saved.served = tf.function(lambda x: {"y": tf.matmul(x, wanted)}, spec)
    saved.other = tf.function(lambda x: {"y": tf.matmul(x, other)}, spec)
    tf.saved_model.save(saved, str(tmp_path / "source"), {"serving_default": saved.served})
    result = tfmagic.slim(tmp_path / "source", tmp_path / "slim", verify=True)
    assert kinds(result)["constants"] > 8 * 400 * FLOAT
    loaded = tf.saved_model.load(str(tmp_path / "slim"))
    expected = X @ values
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=X)["y"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(served(tmp_path / "slim")["y"], expected, rtol=1e-5, atol=1e-6)


# Graphs


def test_constants_of_the_same_values_are_there_once(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    values = np.linspace(0, 1, 8 * 2000, dtype=np.float32).reshape(8, 2000)
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8], "x")
        first, second, third = (tf.constant(values, name=name) for name in ("first", "second", "third"))
        with tf.control_dependencies([x]):
            waiting = tf.constant(values, name="waiting")
        tf.add_n([tf.matmul(x, each) for each in (first, second, third, waiting)], name="y")
    (tmp_path / "source.pb").write_bytes(graph.as_graph_def().SerializeToString())
    result = tfmagic.slim(tmp_path / "source.pb", tmp_path / "slim.pb", verify=True)
    assert kinds(result)["duplicates"] > 2 * values.nbytes
    assert (result.bytes_after or 0) < 2.1 * values.nbytes
    nodes = {node.name: node for node in v1.GraphDef.FromString((tmp_path / "slim.pb").read_bytes()).node}
    assert {name: nodes[name].op for name in ("first", "second", "third", "waiting")} == {
        "first": "Const", "second": "Identity", "third": "Identity", "waiting": "Const",
    }  # fmt: skip
    with tf.Graph().as_default(), v1.Session() as session:
        tf.graph_util.import_graph_def(v1.GraphDef(node=nodes.values()), name="")
        np.testing.assert_array_equal(session.run("third:0"), values)
    kept = tfmagic.slim(tmp_path / "source.pb", retain="duplicates")
    assert kept.bytes_after == kept.bytes_before


def test_a_graph_loses_what_its_outputs_do_not_need(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8], "x")
        tf.matmul(x, tf.constant(np.ones((8, 4), np.float32), name="kernel"), name="y")
        spare = tf.constant(np.arange(5000, dtype=np.float32), name="spare")
        v1.summary.histogram("spare_histogram", spare)
    (tmp_path / "source.pb").write_bytes(graph.as_graph_def().SerializeToString())
    result = tfmagic.slim(tmp_path / "source.pb", tmp_path / "slim.pb", verify=True)
    assert kinds(result)["constants"] >= 5000 * FLOAT
    names = {node.name for node in v1.GraphDef.FromString((tmp_path / "slim.pb").read_bytes()).node}
    assert names == {"x", "kernel", "y"}
    assert result.verification is not None
    assert list(result.verification["equal"]) == [True]
    tfmagic.slim(tmp_path / "source.pb", tmp_path / "slim.pbtxt")
    assert set(tfmagic.inspect(tmp_path / "slim.pbtxt").ops["name"]) == names
    with pytest.raises(tfmagic.ConversionError, match="one that ends in"):
        tfmagic.slim(tmp_path / "source.pb", tmp_path / "slim")


# Real files


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("item", "files"),
    [
        # Its asset is named by a collection alone.
        ("generated-by-upstream-tests/load_v1_in_v2_test/test_asset_loading", {"assets/vocab.txt"}),
        # Nothing needs its asset; a collection names the constant that held its path.
        ("tensorflow__tensorflow/tensorflow/cc/saved_model/testdata/half_plus_two/00000123", set()),
    ],
)
def test_assets_of_old_models_stay_where_they_are_needed(
    corpus: Path, tmp_path: Path, item: str, files: set[str]
) -> None:
    result = tfmagic.slim(corpus / item, tmp_path / "slim", verify=True)
    assert {f"assets/{path.name}" for path in tmp_path.glob("slim/assets/*")} == files
    assert result.verification is not None
    assert True in list(result.verification["equal"])


@pytest.mark.corpus
def test_a_source_that_does_not_load_is_copied_and_says_so(corpus: Path, tmp_path: Path) -> None:
    item = "tensorflow__serving/tensorflow_serving/servables/tensorflow/testdata/saved_model_counter/00000123"
    result = tfmagic.slim(corpus / item, tmp_path / "slim")
    assert any("cannot be loaded to be run, nor can the copy" in note for note in result.notes)


@pytest.mark.corpus
def test_where_nodes_come_from_is_left_out(corpus: Path, tmp_path: Path) -> None:
    item = "tensorflow__serving@bd206e41/tensorflow_serving/servables/tensorflow/testdata/tf_text_regression/01"
    result = tfmagic.slim(corpus / item, tmp_path / "slim")
    assert kinds(result)["debug"] > 100_000
    assert result.table["bytes"].sum() == result.bytes_before
    again = tfmagic.slim(tmp_path / "slim")
    assert "debug" not in set(again.table["kind"])
    assert "debug" not in kinds(tfmagic.slim(corpus / item, retain=["debug"]))


@pytest.mark.corpus
@pytest.mark.slow
def test_all_real_models_are_told_and_copied(corpus: Path, tmp_path: Path) -> None:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as file:
        items = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    copied = 0
    for number, item in enumerate(items):
        try:
            result = tfmagic.slim(corpus / item)
        except (tfmagic.ReadError, FileNotFoundError):
            continue
        assert result.table["bytes"].sum() >= 0, item
        if result.bytes_after is not None:
            form = tfmagic.inspect(corpus / item).form
            place = tmp_path / f"{number}{'.pb' if form == 'graph_def' else ''}"
            with contextlib.suppress(tfmagic.CorruptSourceError):
                tfmagic.slim(corpus / item, place, verify=False)
                copied += 1
    assert copied > 500

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import pytest

import tfmagic
from tests.findings.graph_defs import graph, node, text
from tfmagic import errors
from tfmagic.files import protos, wire
from tfmagic.findings import keras_scan

if TYPE_CHECKING:
    from pathlib import Path

LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}


def sequential(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}}
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [first, *layers]}, **more}


def dense(**arguments: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2, **arguments}}


def told(config: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row.severity, row.fires) for row in keras_scan.of_config(config, "config")}


def nested(config: dict[str, Any], depth: int) -> dict[str, Any]:
    for _ in range(depth):
        config = sequential(config)
    return config


@pytest.mark.parametrize(
    "config",
    [
        sequential(dense(activation=LAMBDA)),
        nested(sequential(dense(kernel_initializer=LAMBDA)), 3),
        sequential(dense(), compile_config={"loss": LAMBDA}),
        nested(sequential(dense(), compile_config={"loss": LAMBDA}), 2),
        sequential({"class_name": "TimeDistributed", "config": {"layer": dense(kernel_regularizer=LAMBDA)}}),
        sequential({"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}),
        sequential(dense(activation={"module": "keras.config", "class_name": "function", "config": "set_floatx"})),
        sequential({"class_name": "TFOpLambda", "config": {"name": "t", "function": "io.write_file"}}),
        sequential({"class_name": "Custom>TFSMLayer", "config": {"name": "t", "filepath": "/x"}}),
        # tf_keras looks for the registered name where its module lacks the class.
        sequential({"module": "keras.layers", "class_name": "Nope", "registered_name": "TFSMLayer", "config": {}}),
        sequential({"module": "keras.layers", "class_name": "Nope", "registered_name": "Any>Lambda", "config": {}}),
        # It goes on from a module to what that imports; a class of Keras's may be a function.
        sequential(dense(activation={"module": "keras.activations", "class_name": "function", "config": "sys.exit"})),
        sequential({"module": "keras.src.layers.core", "class_name": "lambda_layer.Lambda", "config": {"name": "l"}}),
        sequential(dense(activation={"module": "keras.backend", "class_name": "clear_session", "config": {}})),
    ],
)  # fmt: skip
def test_code_is_seen_in_every_place_of_a_config(config: dict[str, Any]) -> None:
    assert ("high", "load") in told(config)


def test_a_file_with_words_is_medium_and_a_plain_config_is_clean() -> None:
    assert told(sequential({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}})) == {
        ("medium", "load")
    }
    assert told(sequential(dense(activation="relu", kernel_initializer={"class_name": "Zeros", "config": {}}))) == set()


@pytest.mark.parametrize(
    ("kind", "argument"),
    [("VocabularyFileCategoricalColumn", "vocabulary_file"), ("EmbeddingColumn", "ckpt_to_load_from")],
)
def test_a_feature_column_that_reads_a_file_is_told(kind: str, argument: str) -> None:
    column = {"class_name": "IndicatorColumn", "config": {"categorical_column": {"class_name": kind, "config": {}}}}
    config = sequential({"class_name": "DenseFeatures", "config": {"name": "f", "feature_columns": [column]}})
    assert told(config) == set()
    column["config"]["categorical_column"]["config"][argument] = "/etc/passwd"  # type: ignore[index]
    assert told(config) == {("medium", "load")}


def test_names_that_keras_writes_itself_are_clean() -> None:
    named = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    written = {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": "Dense",
        "config": {"activation": named},
    }
    own: dict[str, Any] = {
        "module": "keras.initializers",
        "class_name": "GlorotUniform",
        "registered_name": None,
        "config": {},
    }
    old = {"class_name": "relu", "config": {}}
    assert told(sequential(written, dense(kernel_initializer=own), dense(activation=old))) == set()


def test_a_class_of_nobody_knows_whom_is_not_called_safe() -> None:
    assert told(sequential({"module": "somebody.layers", "class_name": "Wise", "config": {}})) == {("medium", "load")}


def test_what_keras_2_keeps_in_a_saved_model_needs_keras_2(tmp_path: Path) -> None:
    text = json.dumps({"class_name": "Lambda", "config": {"name": "l", "function": ["code", None, None]}}).encode()
    item = bytes([5 << 3 | 2]) + wire.written(len(text)) + text
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "keras_metadata.pb").write_bytes(bytes([1 << 3 | 2]) + wire.written(len(item)) + item)
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    message.meta_graphs.add().meta_info_def.tags.append("serve")
    (tmp_path / "m" / "saved_model.pb").write_bytes(message.SerializeToString())
    result = tfmagic.scan(tmp_path / "m")
    assert result.severity == "medium"
    assert set(result.table["fires"]) == {"called"}


def archive(path: Path, *members: tuple[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in [("metadata.json", "{}"), ("config.json", json.dumps(sequential(dense()))), *members]:
            file.writestr(name, content)
    return path


def of_config(path: Path, config: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        file.writestr("config.json", json.dumps(config))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "severity"),
    [("../evil", "high"), ("/evil", "high"), ("a/.. /evil", "high"), ("config.json", "medium"), ("assets/a", "clean")],
)
def test_what_two_readers_take_differently_or_what_leads_out_is_told(tmp_path: Path, name: str, severity: str) -> None:
    assert tfmagic.scan(archive(tmp_path / "m.keras", (name, "{}"))).severity == severity


def test_a_member_that_is_called_otherwise_where_it_lies_is_told(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras")
    data = path.read_bytes()
    first = data.index(b"config.json")
    path.write_bytes(data[:first] + b"Config.json" + data[first + len("config.json") :])
    assert "otherwise" in tfmagic.scan(path).verdict


@pytest.mark.parametrize("names", [("A/x", "a/x"), ("\u00e9/x", "e\u0301/x")])
def test_two_members_that_some_file_systems_take_for_one_are_told(tmp_path: Path, names: tuple[str, str]) -> None:
    path = archive(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as written:
        for name in names:
            written.writestr(name, b"1")
    assert "is there twice" in tfmagic.scan(path).verdict


def test_an_archive_behind_other_bytes_is_told(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras")
    path.write_bytes(b"GIF89a" + path.read_bytes())
    assert tfmagic.scan(path).severity == "medium"


@pytest.fixture
def other(tmp_path: Path) -> bytes:
    """Another model in HDF5."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(dense(activation="exec")))
    return (tmp_path / "other.h5").read_bytes()


def at_512(path: Path, name: str, content: bytes) -> None:
    """Write an archive whose first member begins where libhdf5 looks for HDF5."""
    with zipfile.ZipFile(path, "w") as written:
        info = zipfile.ZipInfo(name)
        info.extra = b"\xff\xff" + (512 - 30 - len(name) - 4).to_bytes(2, "little") + bytes(512 - 30 - len(name) - 4)
        written.writestr(info, content)
        written.writestr("metadata.json", json.dumps({"keras_version": "3.15.0"}))
        written.writestr("config.json", json.dumps(sequential(dense())))


def test_hdf5_behind_an_archive_is_told_but_not_that_weights_begin_there(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "two.keras"
    at_512(path, "inner", other)
    with h5py.File(path) as file:
        assert "exec" in file.attrs["model_config"]
    (row,) = tfmagic.scan(path).table.itertuples()
    assert (row.severity, row.what) == ("medium", "an HDF5 file behind other bytes")
    at_512(path, "model.weights.h5", other)
    assert [each for each in tfmagic.scan(path).table["what"] if "HDF5 file behind" in each] == []


@pytest.mark.parametrize(
    ("kind", "small", "large"),
    [
        ("Dense", {"units": 100_000}, {"units": 1 << 33}),
        ("Embedding", {"input_dim": 1_000_000, "output_dim": 300}, {"input_dim": 1 << 30, "output_dim": 300}),
        ("RepeatVector", {"n": 5000}, {"n": 1 << 40}),
        ("UpSampling2D", {"size": [8, 8]}, {"size": [1 << 20, 1 << 20]}),
        ("Conv2D", {"filters": 4096, "kernel_size": [7, 7]}, {"filters": 1 << 31, "kernel_size": [7, 7]}),
        ("ZeroPadding1D", {"padding": [70_000, 70_000]}, {"padding": [1 << 40, 0]}),
        ("ZeroPadding2D", {"padding": [[500, 500], [500, 500]]}, {"padding": [1 << 20, 1 << 20]}),
        ("ZeroPadding3D", {"padding": [[64, 64], [64, 64], [64, 64]]}, {"padding": 1 << 20}),
    ],
)
def test_a_layer_that_no_memory_holds_is_told(
    tmp_path: Path, kind: str, small: dict[str, Any], large: dict[str, Any]
) -> None:
    for arguments, severity in ((small, "clean"), (large, "medium")):
        layer = {"module": "keras.layers", "class_name": kind, "config": {"name": "l", **arguments}}
        # It may be nested in any other.
        around = {"module": "keras.layers", "class_name": "TimeDistributed", "config": {"name": "t", "layer": layer}}
        result = tfmagic.scan(of_config(tmp_path / "m.keras", sequential(around)))
        assert result.severity == severity
        assert severity == "clean" or f"a bomb: {kind} of" in result.verdict


@pytest.mark.tensorflow
def test_a_layer_that_no_memory_holds_is_not_loaded_without_trust(tmp_path: Path) -> None:
    path = of_config(tmp_path / "m.keras", sequential(dense(units=1 << 33)))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(path, "a") as written:
        written.write(tmp_path / "weights.h5", "model.weights.h5")
    with pytest.raises(errors.UntrustedCodeError, match="layer 'd': Dense of 8,589,934,592 elements"):
        tfmagic.run(path)


def test_two_configs_of_one_name_are_refused_and_told(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    code = {"class_name": "Lambda", "config": {"name": "l", "function": ["code", None, None]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(code))
        file.attrs["modelXconfig"] = json.dumps(sequential(dense()))
    path.write_bytes(path.read_bytes().replace(b"modelXconfig", b"model_config"))
    with h5py.File(path) as file:
        assert "Lambda" in file.attrs["model_config"]
    with pytest.raises(errors.CorruptSourceError, match="two attributes called 'model_config'"):
        tfmagic.inspect(path)
    (row,) = tfmagic.scan(path).table.itertuples()
    assert (row.severity, row.what) == ("medium", "the attribute or member 'model_config' is there twice")


@pytest.mark.parametrize(
    ("block", "severity"), [(bytes(512), "clean"), (bytes(1 << 17), "clean"), (b"#!/bin/sh".ljust(2048), "medium")]
)
def test_a_keras_file_behind_a_user_block_is_scanned_and_what_stands_there_is_told(
    tmp_path: Path, block: bytes, severity: str
) -> None:
    path = tmp_path / "m.h5"
    code = {"class_name": "Lambda", "config": {"name": "l", "function": ["code", None, None]}}
    for layer, worst in ((dense(), severity), (code, "high")):
        with h5py.File(tmp_path / "inner.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(sequential(layer))
        path.write_bytes(block + (tmp_path / "inner.h5").read_bytes())
        assert tfmagic.inspect(path).form == "keras_file"
        assert tfmagic.scan(path).severity == worst


def test_hdf5_behind_a_graph_is_told(tmp_path: Path, other: bytes) -> None:
    def written(before: int) -> bytes:
        return bytes(graph(text("t", bytes(before) + other), node("y", "Relu", "t")).SerializeToString())

    before = 512 - written(500).index(other) + 500
    data = written(before - (written(before).index(other) - 512))
    path = tmp_path / "two.pb"
    path.write_bytes(data)
    assert data.index(other) == 512
    (row,) = tfmagic.scan(path).table.itertuples()
    assert (row.severity, row.what) == ("medium", "an HDF5 file behind other bytes")

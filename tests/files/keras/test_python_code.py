from __future__ import annotations

import base64
import json
import marshal
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.files.keras import bytecode, python_code
from tfmagic.findings import hazards
from tfmagic.functions.keras import files as keras_files
from tfmagic.models.model import Part
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

#: ``lambda x: K.mean(x, axis=1)`` as the marshal module of each Python writes it.
DUMPS = {
    (2, 7): (
        "YwEAAAABAAAABAAAAEMAAABzEwAAAHQAAGoBAHwAAGQBAGQCAIMBAVMoAwAAAE50BAAAAGF4aXNpAQAAACgCAAAAdAEAAABLdAQA"
        "AABtZWFuKAEAAAB0AQAAAHgoAAAAACgAAAAAcwgAAAA8c3RyaW5nPnQIAAAAPGxhbWJkYT4BAAAAdAAAAAA="
    ),
    (3, 7): (
        "YwEAAAAAAAAAAQAAAAQAAABDAAAAcw4AAAB0AGoBfABkAWQCjQJTACkDTukBAAAAKQFaBGF4aXMpAtoBS1oEbWVhbikB2gF4qQBy"
        "AwAAANoIPHN0cmluZz7aCDxsYW1iZGE+AQAAAPMAAAAA"
    ),
    (3, 10): (
        "YwEAAAAAAAAAAAAAAAEAAAAEAAAAQwAAAHMOAAAAdABqAXwAZAFkAo0CUwApA07pAQAAACkBWgRheGlzKQLaAUtaBG1lYW4pAdoB"
        "eKkAcgMAAADaCDxzdHJpbmc+2gg8bGFtYmRhPgEAAABzAgAAAA4A"
    ),
    (3, 11): (
        "YwEAAAAAAAAAAAAAAAQAAAADAAAA8zoAAACXAHQAAAAAAAAAAAAAAKABAAAAAAAAAAAAAAAAAAAAAAAAAAB8AGQBrAKmAgAAqwIA"
        "AAAAAAAAAFMAKQNO6QEAAAApAdoEYXhpcykC2gFL2gRtZWFuKQHaAXhzAQAAACD6CDxzdHJpbmc++gg8bGFtYmRhPnIHAAAAAQAA"
        "AHMWAAAAgACNIY8miiaQEZgRiCbRChvUChuAAPMAAAAA"
    ),
    (3, 12): (
        "YwEAAAAAAAAAAAAAAAQAAAADAAAA8zAAAACXAHQAAAAAAAAAAABqAwAAAAAAAAAAAAAAAAAAAAAAAHwAZAGsAqsCAAAAAAAAUwAp"
        "A07pAQAAACkB2gRheGlzKQLaAUvaBG1lYW4pAdoBeHMBAAAAIPoIPHN0cmluZz76CDxsYW1iZGE+cgcAAAABAAAAcxMAAACAAIwh"
        "jyaJJpARmBGIJtMKG4AA8wAAAAA="
    ),
    (3, 13): (
        "YwEAAAAAAAAAAAAAAAUAAAADAAAA8yoAAACVAFsAAAAAAAAAAABSAwAAAAAAAAAAAAAAAAAAAAAAAFUAUwFTAjkCJAApA07pAQAA"
        "ACkB2gRheGlzKQLaAUvaBG1lYW4pAdoBeHMBAAAAINoIPHN0cmluZz7aCDxsYW1iZGE+cgcAAAABAAAAcxEAAACAAIwhjyaJJpAR"
        "mBGIJtEKG/MAAAAA"
    ),
}


def dump(function: Any) -> str:
    return base64.encodebytes(marshal.dumps(function.__code__)).decode()


# Bytecode


def test_only_this_pythons_bytecode_is_taken() -> None:
    for version, text in DUMPS.items():
        if version == sys.version_info[:2]:
            assert bytecode.unmarshalled(text).co_names == ("K", "mean")
        else:
            with pytest.raises(ValueError, match="another version"):
                bytecode.unmarshalled(text)


def test_functions_in_functions() -> None:
    scale = 3
    functions = (
        lambda x: [each.a(each.b[scale], k=1) for each in x if each > 2],
        lambda x, *rest, **named: (rest, (one for one in x), lambda: named),
        lambda x: x * scale,
    )
    for function in functions:
        for _ in range(100):  # Bytecode that ran often is specialised in memory.
            function([])
        assert bytecode.unmarshalled(dump(function)) == function.__code__


@pytest.mark.parametrize("text", ["", "####", "aGVsbG8=", "Yw==", dump(lambda x: x)[:-30], "\ud800"])
def test_what_is_no_bytecode(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is no bytecode|its layout"):
        bytecode.unmarshalled(text)


def test_a_damaged_instruction_is_not_unmarshalled() -> None:
    data = bytearray(marshal.dumps((lambda x: x + 1).__code__))
    for place in range(26, 40, 2):
        damaged = bytes(data[:place]) + b"\xff" + bytes(data[place + 1 :])
        with pytest.raises(ValueError, match="version"):
            bytecode.unmarshalled(base64.b64encode(damaged).decode())


# What a config holds


def model_of(spec: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [spec]}}


def check(config: dict[str, Any], tmp_path: Path, *, trust: bool = False, registered: bool = False) -> None:
    python_code.check(
        config,
        tmp_path / "m.keras",
        trust=trust,
        is_registered=lambda _: registered,
        node_hazard=hazards.of_node_in_json,
    )


@pytest.mark.parametrize(
    "function",
    ["concat", "math.multiply", "__operators__.getitem", "nn.relu", "image.resize", "compat.v1.nn.relu", "cast",
     "keras.backend.mean", "linalg.matmul", "io.decode_base64", "compat.v1.shape", "strings.length"],
)  # fmt: skip
def test_functions_that_compute_need_no_trust(function: str, tmp_path: Path) -> None:
    check(model_of({"class_name": "TFOpLambda", "config": {"name": "op", "function": function}}), tmp_path)


@pytest.mark.parametrize(
    "function",
    ["io.write_file", "io.read_file", "io.gfile.remove", "py_function", "numpy_function", "raw_ops.WriteFile", "print",
     "saved_model.load", "keras.models.load_model", "load_library", "compat.v1.py_func", "keras.utils.get_file",
     "compat.v1.gfile.Remove", "load_op_library", "summary.create_file_writer", "math", "data.experimental.save"],
)  # fmt: skip
def test_functions_that_do_more_need_trust(function: str, tmp_path: Path) -> None:
    config = model_of({"class_name": "TFOpLambda", "config": {"name": "op", "function": function}})
    if function == "math":
        # A module: whoever calls it gets an error, and nothing else.
        return
    with pytest.raises(errors.UntrustedCodeError, match=rf"'op': calls tf\.{function}"):
        check(config, tmp_path)
    check(config, tmp_path, trust=True)


@pytest.mark.parametrize(
    "function",
    ["math.__loader__.set_data", "math._sys.exit", "random.set_seed", "keras.backend.clear_session",
     "keras.backend.set_floatx", "compat.v1.disable_eager_execution", "compat.v1.math.__loader__.get_data",
     "Assert", "config.run_functions_eagerly", "add.__globals__", "", "None", "keras.backend.get_value"],
)  # fmt: skip
@pytest.mark.parametrize("layer", ["TFOpLambda", "SlicingOpLambda"])
def test_a_way_of_attributes_is_no_function(layer: str, function: str, tmp_path: Path) -> None:
    """A dotted name may lead anywhere: to a module's loader, to what changes the user's settings."""
    config = model_of({"class_name": layer, "config": {"name": "op", "function": function}})
    with pytest.raises(errors.UntrustedCodeError, match="'op': calls tf"):
        check(config, tmp_path)


@pytest.mark.parametrize(
    ("module", "name"),
    [("keras.backend", "clear_session"), ("keras.mixed_precision", "set_global_policy"),
     ("keras.models", "clone_model"), ("keras", "Input"),
     ("tf_keras.src.backend", "set_floatx"), ("keras.random", "uniform")],
)  # fmt: skip
def test_a_function_of_keras_that_does_not_compute_needs_trust(module: str, name: str, tmp_path: Path) -> None:
    function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    spec = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "activation": function}}
    with pytest.raises(errors.UntrustedCodeError, match=rf"'d': calls {module}\.{name}"):
        check(model_of(spec), tmp_path)
    check(model_of({**spec, "config": {"name": "d", "activation": {**function, "module": "keras.ops"}}}), tmp_path)


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("TFSMLayer", {"filepath": "/somewhere"}, "loads '/somewhere'"),
        ("TorchModuleWrapper", {"module": "gASV"}, "TorchModuleWrapper"),
        ("StringLookup", {"vocabulary": "/etc/passwd"}, "reads the file '/etc/passwd'"),
        ("TextVectorization", {"vocabulary": ["a"], "idf_weights": "/etc/passwd"}, "reads the file '/etc/passwd'"),
        ("TensorFlowOpLayer", {"node_def": {"name": "w", "op": "WriteFile", "input": ["a", "b"]}}, "write files"),
        ("TensorFlowOpLayer", {"node_def": {"name": "w", "nonsense": 1}}, "does not parse"),
        ("TensorFlowOpLayer", {}, "does not parse"),
    ],
)
def test_a_layer_that_does_more_than_compute_needs_trust(
    kind: str, config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    spec = model_of({"class_name": kind, "config": {"name": "layer", **config}})
    with pytest.raises(errors.UntrustedCodeError, match=said):
        check(spec, tmp_path)
    check(spec, tmp_path, trust=True)


def test_an_op_that_computes_needs_no_trust(tmp_path: Path) -> None:
    node = {"name": "w", "op": "Relu", "input": ["x"], "attr": {"T": {"type": "DT_FLOAT"}}}
    check(model_of({"class_name": "TensorFlowOpLayer", "config": {"name": "w", "node_def": node}}), tmp_path)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("subprocess", "Popen"), ("keras.utils", "get_file"), ("keras.models", "load_model"),
     ("keras.src.utils.file_utils", "get_file"), ("tf_keras.src.utils.data_utils", "get_file"), ("mine", "Layer"),
     ("tensorflow", "py_function"), ("builtins", "exec"),
     ("keras.saving", "load_model"), ("keras.config", "enable_unsafe_deserialization")],
)  # fmt: skip
@pytest.mark.parametrize("as_function", [True, False])
def test_what_lies_outside_of_models_is_not_imported(
    module: str, name: str, *, as_function: bool, tmp_path: Path
) -> None:
    kind, config = ("function", name) if as_function else (name, {})
    made = {"module": module, "class_name": kind, "config": config, "registered_name": name}
    spec = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "activation": made}}
    for trust in (False, True):
        with pytest.raises(errors.ReadError, match=rf"is made with '{module}.{name}'.*register it"):
            check(model_of(spec), tmp_path, trust=trust)
    check(model_of(spec), tmp_path, registered=True)
    check({**model_of({}), "compile_config": made}, tmp_path)


def test_lambdas_are_found_wherever_they_are(tmp_path: Path) -> None:
    code = dump(lambda x: x)
    inner = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
    deep = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": {
        "class_name": "Dense", "config": {"name": "d", "kernel_initializer": inner}}}}  # fmt: skip
    assert [(each.layer, each.bytecode) for each in python_code.in_config(model_of(deep))] == [("t", code)]
    with pytest.raises(errors.UntrustedCodeError, match=r"'t': a lambda.*trust=True \(--trust"):
        check(model_of(deep), tmp_path)


def test_the_bytecode_of_another_python_is_refused_in_words(tmp_path: Path) -> None:
    code = DUMPS[3, 7]
    spec = {"class_name": "Lambda", "config": {"name": "old", "function": [code, None, None]}}
    with pytest.raises(errors.ReadError, match=r"lambda of the layer 'old'.*another version, not of Python 3\.\d+\."):
        check(model_of(spec), tmp_path, trust=True)


# Files


def leaving_a_mark(path: Path) -> Any:
    """A function whose only name from outside is a builtin: it writes the file when it is called, or traced."""
    return eval(f"lambda x: (open({str(path)!r}, 'w').close(), x * 2)[1]", {})  # noqa: S307 - the test's own text


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_lambda_runs_on_explicit_word_only(package: str, suffix: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(package)
    mark, path = tmp_path / "mark", tmp_path / f"model{suffix}"
    function = leaving_a_mark(mark)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(function, output_shape=(2,), name="twice")])
    model.save(path)
    mark.unlink(missing_ok=True)
    inspected = tfmagic.inspect(path)
    assert list(inspected.layers["class"])[-1] == "Lambda"
    repr(inspected)
    for use in (
        lambda: inspected.ops,
        lambda: tfmagic.freeze(path),
        lambda: tfmagic.freeze(inspected),
        lambda: tfmagic.export(path, tmp_path / "served"),
    ):
        with pytest.raises(errors.UntrustedCodeError, match=r"'twice': a Lambda layer.*trust=True \(--trust"):
            use()
    assert not mark.exists()
    assert not (tmp_path / "served").exists()
    assert set(tfmagic.freeze(inspected, trust=True).ops["op"]) >= {"Mul"}
    assert mark.exists()
    assert list(tfmagic.export(path, tmp_path / "served", trust=True).verification["equal"]) == [True]
    assert len(tfmagic.inspect(path, trust=True).ops) > 1


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_trusted_lambda_knows_the_usual_names(package: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(package)
    text = "(lambda scale: lambda v: tf.reduce_sum(v, axis=1, keepdims=True) * np.float32(scale))(3.0)"
    function = eval(text, {"tf": runtime.tensorflow(), "np": np})  # noqa: S307 - the test's own text
    x = keras.layers.Input((4,), name="x")
    keras.Model(x, keras.layers.Lambda(function, name="y")(x)).save(tmp_path / "model.h5")
    run = tfmagic.inspect(tmp_path / "model.h5", trust=True).part(Part.FUNCTION)(None)
    np.testing.assert_allclose(run({"x": np.ones((2, 4))})["y"], np.full((2, 1), 12.0))


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_function_that_is_not_in_the_file_is_named(suffix: str, tmp_path: Path) -> None:
    keras, path = keras_runtime.keras(), tmp_path / f"model{suffix}"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(outside, name="apart")]).save(path)
    with pytest.raises(errors.ReadError, match="Could not locate function 'outside'"):
        keras_files.load(path, trust=True)
    with keras.saving.custom_object_scope({"outside": outside}):
        model = keras_files.load(path, trust=True).model
    np.testing.assert_allclose(model(np.ones((1, 2))), [[5, 5]])


def test_a_function_by_name_of_keras_2(tmp_path: Path) -> None:
    given = {"name": "apart", "function": "outside", "function_type": "function", "module": "mine"}
    config = model_of({"class_name": "Lambda", "config": given})
    with pytest.raises(errors.ReadError, match=r"'apart' .* calls the function 'outside', which is not in the file"):
        check(config, tmp_path, trust=True)
    check(config, tmp_path, trust=True, registered=True)


def outside(value: Any) -> Any:
    return value * 5


@pytest.mark.tensorflow
def test_an_archive_cannot_have_a_module_imported(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2, name="d")]).save(tmp_path / "good.keras")
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["config"]["activation"] = {
                    "module": "evil_module", "class_name": "function", "config": "f", "registered_name": "f"
                }  # fmt: skip
                data = json.dumps(config).encode()
            bad.writestr(name, data)
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(errors.ReadError, match=r"evil_module\.f"):
            keras_files.load(tmp_path / "bad.keras", trust=True)
    finally:
        sys.path.remove(str(tmp_path))
    assert "evil_module" not in sys.modules


@pytest.mark.tensorflow
def test_a_call_of_tensorflow_in_a_file_writes_nothing(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.layers.Input((2,), name="x")
    keras.Model(x, runtime.tensorflow().math.add(x, 1.0)).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["function"] = "io.write_file"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(errors.UntrustedCodeError, match=r"calls tf\.io\.write_file"):
        tfmagic.freeze(tmp_path / "m.h5")

"""What a file does beyond computing happens on the user's word alone: one test a form, and one a way around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.findings.graph_defs import function, graph, node, text
from tfmagic import errors, readers
from tfmagic.files import protos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that the models of these tests write."""
    return tmp_path / "mark"


def hostile_graph(mark: Path) -> Any:
    """Return a graph whose output ``y`` needs a file to be written, and whose output ``z`` does not."""
    x = node("x", "Placeholder")
    x.attr["dtype"].type = protos.dtype_number("float32")
    y = node("y", "Neg", "x", "^write")
    z = node("z", "Neg", "x")
    for computing in (y, z):
        computing.attr["T"].type = protos.dtype_number("float32")
    path = text("path", bytes(mark))
    path.attr["dtype"].type = protos.dtype_number("string")
    path.attr["value"].tensor.tensor_shape.SetInParent()
    return graph(x, path, node("write", "WriteFile", "path", "path"), y, z)


@pytest.fixture
def hostile(tmp_path: Path, mark: Path) -> Path:
    path = tmp_path / "hostile.pb"
    path.write_bytes(hostile_graph(mark).SerializeToString())
    return path


@pytest.fixture
def hostile_saved_model(tmp_path: Path, mark: Path) -> Path:
    """Return a SavedModel of TensorFlow 1: its signature ``bad`` writes a file, its signature ``good`` does not."""
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add(graph_def=hostile_graph(mark))
    meta_graph.meta_info_def.tags.append("serve")
    for key, output in (("bad", "y"), ("good", "z")):
        signature = meta_graph.signature_def[key]
        signature.method_name = "tensorflow/serving/predict"
        for name, info in (("x", signature.inputs["x"]), (output, signature.outputs["y"])):
            info.name, info.dtype = f"{name}:0", protos.dtype_number("float32")
            info.tensor_shape.unknown_rank = True
    directory = tmp_path / "saved"
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(message.SerializeToString())
    return directory


INPUTS = {"x": [1.0]}


def test_a_graph_that_writes_is_not_run(hostile: Path, mark: Path) -> None:
    with pytest.raises(errors.UntrustedCodeError, match=r"write files \(node 'write': WriteFile"):
        tfmagic.run(hostile, INPUTS, outputs=["y"])
    assert not mark.exists()


def test_it_runs_on_the_users_word(hostile: Path, mark: Path) -> None:
    assert list(tfmagic.run(hostile, INPUTS, outputs=["y"], trust=True).outputs["y"]) == [-1.0]
    assert mark.exists()


def test_what_its_outputs_do_not_need_does_not_count(hostile: Path, mark: Path) -> None:
    assert list(tfmagic.run(hostile, INPUTS, outputs=["z"]).outputs["z"]) == [-1.0]
    assert not mark.exists()


def test_a_model_read_with_trust_stays_trusted_and_a_path_does_not(hostile: Path) -> None:
    assert tfmagic.run(tfmagic.inspect(hostile, trust=True), INPUTS, outputs=["y"]).outputs
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.run(tfmagic.inspect(hostile), INPUTS, outputs=["y"])


def test_a_message_is_judged_as_a_file_is(mark: Path) -> None:
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.run(hostile_graph(mark), INPUTS, outputs=["y"])


def test_a_signature_is_judged_by_itself(hostile_saved_model: Path, mark: Path) -> None:
    assert list(tfmagic.run(hostile_saved_model, INPUTS, signature="good").outputs["y"]) == [-1.0]
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.run(hostile_saved_model, INPUTS, signature="bad")
    assert not mark.exists()


def test_what_works_on_messages_is_done_and_says_that_it_was_not_verified(
    hostile_saved_model: Path, mark: Path
) -> None:
    frozen = tfmagic.freeze(hostile_saved_model, signature="bad")
    assert any("not verified" in note and "would write files (node 'write'" in note for note in frozen.notes)
    assert any("%tf_verify" in note and "--trust" in note for note in frozen.notes)
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.run(frozen, INPUTS)
    assert not mark.exists()


def test_a_frozen_file_is_judged_anew(hostile_saved_model: Path, tmp_path: Path, mark: Path) -> None:
    frozen = tfmagic.freeze(hostile_saved_model, signature="bad", output=tmp_path / "frozen.pb")
    for source in (frozen, tmp_path / "frozen.pb"):
        with pytest.raises(errors.UntrustedCodeError):
            tfmagic.run(source, INPUTS, outputs=["y"])
    assert not mark.exists()


def test_the_file_that_tensorflow_loads_is_judged_not_the_one_that_was_named(
    hostile_saved_model: Path, mark: Path
) -> None:
    """With a binary and a text file side by side, TensorFlow takes the binary one."""
    harmless = protos.message("SavedModel").FromString((hostile_saved_model / "saved_model.pb").read_bytes())
    del harmless.meta_graphs[0].graph_def.node[3].input[1]
    harmless.meta_graphs[0].signature_def["bad"].outputs["y"].name = "z:0"
    named = hostile_saved_model / "saved_model.pbtxt"
    named.write_text(protos.to_text(harmless))
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.run(named, INPUTS, signature="bad")
    assert not mark.exists()


def test_signing_runs_nothing_that_acts_outside(hostile_saved_model: Path, tmp_path: Path, mark: Path) -> None:
    signed = tfmagic.sign(hostile_saved_model, tmp_path / "signed", rename={"bad": "worse"})
    assert any("write files" in note for note in signed.notes)
    assert not mark.exists()


def test_a_function_that_calls_itself_is_frozen_and_nothing_goes_into_it(tmp_path: Path) -> None:
    """TensorFlow loses the process as it imports such a graph, and its optimizer is never done."""
    x = node("x", "Placeholder")
    x.attr["dtype"].type = protos.dtype_number("float32")
    again = function("again", (), node("c", "PartitionedCall", "a", f="again"))
    again.signature.input_arg.add(name="a", type=protos.dtype_number("float32"))
    again.signature.output_arg.add(name="o", type=protos.dtype_number("float32"))
    again.ret["o"] = "c:output:0"
    call, end = node("y", "PartitionedCall", "x", f="again"), node("z", "Identity", "y")
    for each in (again.node_def[0], call):
        for name in ("Tin", "Tout"):
            each.attr[name].list.type.append(protos.dtype_number("float32"))
    end.attr["T"].type = protos.dtype_number("float32")
    path = tmp_path / "again.pb"
    path.write_bytes(graph(x, call, end, functions=[again]).SerializeToString())
    with pytest.raises(errors.UntrustedCodeError, match="calls itself"):
        tfmagic.run(path)
    assert any("not verified" in note for note in tfmagic.freeze(path, output=tmp_path / "frozen.pb").notes)
    with pytest.raises(errors.ConversionError, match=r"optimizer would stop the process \(function 'again"):
        tfmagic.freeze(path, optimize=True)


def test_a_live_object_is_the_users_own(mark: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415

    def write(x: Any) -> dict[str, Any]:
        tf.io.write_file(str(mark), "x")
        return {"y": x}

    function = tf.function(write, input_signature=[tf.TensorSpec([1], name="x")])
    assert readers.read(function.get_concrete_function()).is_trusted
    assert tfmagic.run(function.get_concrete_function(), INPUTS).outputs
    assert mark.exists()


@pytest.mark.parametrize("operator", ["DELEGATE", "STABLEHLO_CUSTOM_CALL"])
def test_ops_of_tflite_that_stand_for_what_somebody_else_brings_ask(
    samples: Built, tmp_path: Path, operator: str
) -> None:
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromPackedBuf(samples["tflite"].read_bytes(), 0)
    code = model.operatorCodes[0]
    code.builtinCode = getattr(schema.BuiltinOperator, operator)
    # Runtimes before schema 3a look at a byte, in which greater numbers are this one.
    code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "m.tflite"
    path.write_bytes(builder.Output())
    with pytest.raises(errors.UntrustedCodeError, match=operator):
        tfmagic.run(path, {"x": [[0.0] * 4]})
    assert tfmagic.scan(path).reaches("medium")
    assert tfmagic.scan(samples["tflite"]).severity == "clean"


@pytest.mark.parametrize(
    ("named", "held", "is_free"),
    [
        ("AddV2", "AddV2", True),
        ("Sinh", "Sinh", True),
        ("WriteFile", "AddV2", False),
        ("AddV2", "WriteFile", False),
        ("NoSuchOp", "NoSuchOp", False),
        ("AddV2", "", False),
    ],
)
def test_an_op_of_tflite_is_the_node_that_it_holds_whatever_it_is_called(
    samples: Built, tmp_path: Path, named: str, held: str, *, is_free: bool
) -> None:
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    writer = pytest.importorskip("flatbuffers.flexbuffers")
    model = schema.ModelT.InitFromPackedBuf(samples["tflite"].read_bytes(), 0)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexAddV2"
    node = protos.message("NodeDef")(name="y", op=held).SerializeToString() if held else b"\xff"
    for operator in (each for each in model.subgraphs[0].operators if each.opcodeIndex == 0):
        operator.customOptions = bytearray(writer.Dumps([named, node]))
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "m.tflite"
    path.write_bytes(builder.Output())
    result = tfmagic.scan(path)
    assert (result.severity == "clean") == is_free
    if not is_free:
        assert "FlexAddV2" in result.verdict
        with pytest.raises(errors.UntrustedCodeError, match="FlexAddV2"):
            tfmagic.run(path, {"x": [[0.0] * 4]})


@pytest.mark.parametrize("name", ["saved_model_tf2", "graph_def", "meta_graph", "keras_hdf5", "tflite"])
def test_every_form_of_file_may_be_vouched_for(samples: Built, name: str) -> None:
    model = readers.read(samples[name])
    assert not model.is_trusted
    assert model.trusting is not None
    assert model.trusting().is_trusted
    assert readers.read(samples[name], trust=True).is_trusted


def test_a_check_that_must_be_made_and_may_not_run_is_an_error(
    hostile_saved_model: Path, tmp_path: Path, mark: Path
) -> None:
    frozen = tmp_path / "frozen.pb"
    with pytest.raises(errors.UntrustedCodeError, match=r"--verify.* would write files"):
        tfmagic.freeze(hostile_saved_model, signature="bad", output=frozen, verify=True)
    assert not frozen.exists()
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.freeze(hostile_saved_model, signature="bad", verify=True)
    with pytest.raises(errors.UntrustedCodeError):
        tfmagic.sign(hostile_saved_model, tmp_path / "signed", rename={"bad": "worse"}, verify=True)
    assert tfmagic.freeze(hostile_saved_model, signature="good", verify=True).form == "graph_def"
    assert tfmagic.freeze(hostile_saved_model, signature="bad", verify=False).form == "graph_def"
    assert not mark.exists()

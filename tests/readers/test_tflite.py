from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import keras_samples, tflite_samples
from tests.damage import DAMAGES
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.tflite import structure as tflite_structure
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Candidate
from tfmagic.readers import tflite
from tfmagic.readers.tflite import TFLiteReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READER = TFLiteReader()


def read(path: Path) -> Model:
    candidate = Candidate(str(path), path)
    assert READER.claims(candidate)
    return READER.read(candidate, None)


def signatures(path: Path) -> dict[str, Any]:
    ((tags, found),) = read(path).part(Part.SIGNATURES)
    assert tags == ()
    return dict(found)


@pytest.fixture(scope="module", params=["keras", "function"])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras model with two inputs and outputs, and a module with two signatures and an unknown dimension."""
    tensorflow = pytest.importorskip("tensorflow")
    path = tmp_path_factory.mktemp("tflite") / "model.bin"
    if request.param == "keras":
        model = keras_samples.branching(tensorflow.keras)
        converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    else:
        converter = _two_signatures(tensorflow, path.parent / "saved")
    path.write_bytes(converter.convert())
    return path


def _two_signatures(tensorflow: Any, directory: Path) -> Any:
    spec = tensorflow.TensorSpec((None, 3), tensorflow.float32)
    module = tensorflow.Module()
    module.double = tensorflow.function(lambda x: {"doubled": x * 2.0}, input_signature=[spec])
    module.total = tensorflow.function(
        lambda x: {"sum": tensorflow.reduce_sum(x), "kept": x + 1.0}, input_signature=[spec]
    )
    named = {"double": module.double, "total": module.total}
    tensorflow.saved_model.save(module, str(directory), signatures=named)
    return tensorflow.lite.TFLiteConverter.from_saved_model(str(directory), signature_keys=list(named))


@pytest.mark.tensorflow
def test_a_tensor_that_no_memory_holds_is_told(tf: Any, tmp_path: Path) -> None:
    filled: Any = tf.function(
        lambda x: x + tf.reduce_sum(tf.fill([1 << 20, 1 << 20], x[0])),
        input_signature=[tf.TensorSpec([2], tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([filled.get_concrete_function()], tf.Module())
    (tmp_path / "filled.tflite").write_bytes(converter.convert())
    (row,) = tfmagic.scan(tmp_path / "filled.tflite").table.itertuples()
    assert (row.severity, row.what) == ("medium", f"a bomb: a tensor of {1 << 40:,} elements")


def test_notes_tell_constants_and_what_the_maker_says(tmp_path: Path) -> None:
    notes = read(tflite_samples.labelled(tmp_path / "m.tflite")).notes
    assert f"subgraphs 2, tensors 5, bytes of constants {tflite_samples.WEIGHTS.nbytes}" in notes
    assert "its maker says: name 'Colours', author 'Ada'" in notes
    assert "input 0 'picture'" in notes
    assert "output 0 'colours': labels in 'labels.txt'" in notes


def test_each_row_of_a_weight_has_a_scale_of_its_own_and_a_second_subgraph_its_ops(tmp_path: Path) -> None:
    model = tfmagic.inspect(tflite_samples.labelled(tmp_path / "m.tflite"))
    (row,) = model.variable_rows()
    assert model.values is not None
    real = tflite_samples.WEIGHTS * np.array(tflite_samples.SCALES)[:, None]
    assert np.concatenate(list(model.values(row).blocks())).tolist() == real.reshape(-1).tolist()
    assert {"scores": "FULLY_CONNECTED", "twice/doubled": "ADD"}.items() <= dict(
        model.ops[["name", "op"]].values
    ).items()


@pytest.mark.tensorflow
def test_signatures_are_those_of_the_interpreter(converted: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    interpreter = tensorflow.lite.Interpreter(model_path=str(converted))
    found = signatures(converted)
    expected = interpreter.get_signature_list()
    assert found.keys() == (expected.keys() or {tflite.SIGNATURE})
    for key, ends in expected.items():
        runner = interpreter.get_signature_runner(key)
        assert found[key].inputs.keys() == set(ends["inputs"])
        assert found[key].outputs.keys() == set(ends["outputs"])
        for side, details in (("inputs", runner.get_input_details()), ("outputs", runner.get_output_details())):
            for name, detail in details.items():
                _compare(getattr(found[key], side)[name], detail)


def _compare(info: Any, detail: dict[str, Any]) -> None:
    assert info.name == detail["name"]
    assert protos.dtype_name(info.dtype) == detail["dtype"].__name__
    shape = protos.shape_of(info.tensor_shape)
    assert [-1 if size is None else size for size in shape or ()] == detail["shape_signature"].tolist()


@pytest.mark.tensorflow
def test_tensors_and_ops_are_those_of_the_interpreter(converted: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    interpreter = tensorflow.lite.Interpreter(
        model_path=str(converted), experimental_preserve_all_tensors=True, num_threads=1
    )
    description = tflite_structure.describe(converted)
    main = description.subgraphs[0]
    live = {detail["name"]: detail["dtype"].__name__ for detail in interpreter.get_tensor_details()}
    assert {tensor.name: tensor.dtype for tensor in main.tensors}.items() <= live.items()
    # A delegate may have taken ops together, under a name of its own.
    assert main.ops.total() >= 1
    assert [main.tensors[number].name for number in main.inputs] == [
        detail["name"] for detail in interpreter.get_input_details()
    ]
    assert 0 < description.constant_bytes < converted.stat().st_size


@pytest.mark.corpus
def test_the_corpus_gives_its_tables(corpus: Path) -> None:
    items = [line.split("\t")[:2] for line in (corpus / "MANIFEST.tsv").read_text("utf-8").splitlines()[1:]]
    for name, kind in items:
        path = corpus / name
        # One of the files that are broken on purpose lacks the identifier.
        is_tflite = kind == "TFLite" and not name.endswith("/test_model_broken.bin")
        assert READER.claims(Candidate(name, path)) is is_tflite, name
        if is_tflite:
            assert signatures(path) or name.endswith("/0_subgraphs.bin"), name


@pytest.mark.corpus
def test_a_file_without_signatures_gets_a_proposal(corpus: Path) -> None:
    path = corpus / "tensorflow__tensorflow/tensorflow/lite/testdata/add_quantized.bin"
    model = read(path)
    assert tflite.PROPOSAL in model.notes
    signature = signatures(path)["serving_default"]
    assert protos.dtype_name(signature.inputs["input"].dtype) == "uint8"
    assert protos.shape_of(signature.outputs["output"].tensor_shape) == (1, 8, 8, 3)
    assert any(note.startswith("ops 2: ADD 2") for note in model.notes)


@pytest.mark.corpus
def test_unknown_dimensions_and_signatures(corpus: Path) -> None:
    path = corpus / "tensorflow__tensorflow/tensorflow/lite/testdata/multi_signatures.bin"
    found = signatures(path)
    assert set(found) == {"add", "sub"}
    assert protos.shape_of(found["add"].inputs["x"].tensor_shape) == (None,)
    assert found["sub"].inputs["x"].name == "sub_x:0"
    assert tflite.PROPOSAL not in read(path).notes


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL2")
    assert not READER.claims(Candidate(str(path), path))
    assert not READER.claims(Candidate(str(tmp_path), tmp_path))


@pytest.mark.parametrize("data", [b"\x1c\0\0\0TFL3", b"\x08\0\0\0TFL3" + b"\xff" * 64])
def test_damage_names_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(errors.CorruptSourceError, match=r"model\.tflite.*truncated or damaged"):
        read(path)


@pytest.mark.tensorflow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_gives_our_errors_only(
    converted: Path, damage: Callable[[bytearray, random.Random], None], tmp_path: Path
) -> None:
    chance = random.Random(7)
    path = tmp_path / "damaged"
    for _ in range(80):
        data = bytearray(converted.read_bytes())
        damage(data, chance)
        path.write_bytes(data)
        try:
            if READER.claims(Candidate(str(path), path)):
                signatures(path)
        except errors.CorruptSourceError:
            continue


@pytest.mark.corpus
def test_tensorflow_stays_out(corpus: Path) -> None:
    path = corpus / "tensorflow__tensorflow/tensorflow/lite/testdata/multi_signatures.bin"
    code = (
        "import sys; from pathlib import Path; from tests.readers.test_tflite import signatures; "
        f"signatures(Path({str(path)!r})); "
        "sys.exit('TensorFlow was imported' if 'tensorflow' in sys.modules else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

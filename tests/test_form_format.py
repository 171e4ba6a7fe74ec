"""Every cell of the table of forms by formats: what is possible gives the same numbers, what is not says what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import tfmagic
from tests.samples import SAMPLES, WEIGHTS, network
from tfmagic import errors
from tfmagic.writers import WRITERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built, Sample
    from tfmagic.models.writer import Writer

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(5).random((3, 4), dtype=np.float32)
#: Formats that no form reads: their own runtimes have checked them.
UNREAD = {"onnx": "onnxruntime", "tensorboard": ""}
#: Keras calls an output after its layer, or not at all where it exports by itself.
OUTPUTS = {
    **dict.fromkeys(("keras_model", "keras_archive", "keras_hdf5"), "out"),
    "saved_model_of_keras": "output_0",
}
EXTRAS = {"onnx": "tf2onnx"}
#: A message has no checkpoint beside it: its graph can be shown, and no value of its variables is anywhere.
WITHOUT_VALUES = {"meta_graph_message"}
#: Formats that are made of the function alone, a second each: one sample of each form goes there, a file if one is.
OF_THE_FUNCTION = {"tflite"}
FIRST = {
    sample.form: sample.name
    for is_file in (False, True)
    for sample in reversed(SAMPLES.values())
    if sample.is_file == is_file
}
#: How many elements each variable has.
SIZES = [each.size for each in WEIGHTS.values()]


def cells() -> list[tuple[Sample, Writer]]:
    return [
        (sample, writer)
        for sample in SAMPLES.values()
        for writer in WRITERS
        if writer.format not in OF_THE_FUNCTION or FIRST[sample.form] == sample.name
    ]


def possible(model: tfmagic.Model) -> list[str]:
    """The formats that a source has the parts for."""
    parts = model.reader.written_parts(model.loaders)
    return [writer.format for writer in WRITERS if writer.needs <= parts]


@pytest.mark.parametrize(("sample", "writer"), cells(), ids=[f"{sample}-{writer.format}" for sample, writer in cells()])
def test_a_cell(samples: Built, tmp_path: Path, sample: Sample, writer: Writer) -> None:
    source = samples[sample.name]
    model = tfmagic.inspect(source)
    place = tmp_path / f"result{next(iter(writer.suffixes), '')}"
    if writer.format not in possible(model):
        refused(model, place, writer, possible(model))
        return
    pytest.importorskip(EXTRAS.get(writer.format, "tensorflow"))
    if sample.name in WITHOUT_VALUES and "function" in {part.value for part in writer.needs}:
        with pytest.raises(errors.ConversionError, match="no checkpoint"):
            tfmagic.export(source, place, format=writer.format)
        return
    done = tfmagic.export(source, place, format=writer.format)
    assert done.format == writer.format
    assert done.path.exists() or done.path.with_name(f"{done.path.name}.index").exists()
    assert done.verification["equal"].tolist() == [True] * len(done.verification)
    assert len(done.verification) >= (len(WEIGHTS) if writer.format in ("weights", "checkpoint") else 1)
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
    if writer.format in ("weights", "checkpoint"):
        # TensorFlow 2 counts the times that it saved; Keras exports each weight twice.
        assert set(SIZES) <= set(tfmagic.inspect(done.path).variables["size"]) <= {1, *SIZES}
    elif writer.format not in UNREAD:
        key = OUTPUTS.get(sample.name, "y")
        frame = tfmagic.inspect(done.path).signatures
        assert frame["key"].tolist() == ["x", key] * frame["signature"].nunique()
        np.testing.assert_allclose(tfmagic.run(done.path, {"x": X}).outputs[key], network(X), rtol=1e-4, atol=1e-5)


def refused(model: tfmagic.Model, place: Path, writer: Writer, formats: list[str]) -> None:
    """What is not possible says what is, and leaves nothing."""
    with pytest.raises(errors.UnsupportedConversionError) as caught:
        tfmagic.export(model, place, format=writer.format)
    assert (caught.value.form, caught.value.format) == (model.form, writer.format)
    assert list(caught.value.possible) == formats
    assert all(repr(name) in str(caught.value) for name in formats)
    assert not place.exists()


def test_a_cell_of_the_table_is_what_some_sample_can(samples: Built) -> None:
    """The table says of a form what the fullest of its samples can become."""
    table = tfmagic.forms()
    for form in {sample.form for sample in SAMPLES.values()}:
        found = {
            name
            for sample in SAMPLES.values()
            if sample.form == form
            for name in possible(tfmagic.inspect(samples[sample.name]))
        }
        assert {writer.format for writer in WRITERS if table.loc[form, writer.format]} == found

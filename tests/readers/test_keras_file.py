from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from tests import keras_samples
from tests.damage import DAMAGES
from tests.versions import version_of
from tfmagic import errors, frames
from tfmagic.files import protos
from tfmagic.files.keras import archive as keras_archive
from tfmagic.functions.keras import files as keras_files
from tfmagic.functions.keras import models as keras_models
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Candidate
from tfmagic.readers.keras_file import KerasFileReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READER = KerasFileReader()
STATE = ("optimizer/", "metrics/")


def read(path: Path) -> Model:
    candidate = Candidate(str(path), path)
    assert READER.claims(candidate)
    return READER.read(candidate, None)


def claims(path: Path) -> bool:
    return READER.claims(Candidate(str(path), path))


def everything(model: Model) -> None:
    """Read every part that is in the file, into tables where there is one."""
    for name in set(model.parts) - model.computed:
        value = model.part(Part(name))
        if name in ("variables", "keras"):
            frames.from_rows({"keras": "layers"}.get(name, name), value)


class Saved:
    """A live model and the files that it was saved to."""

    def __init__(self, model: Any, files: dict[str, Path], version: int) -> None:
        self.model = model
        self.files = files
        self.version = version

    @property
    def weights(self) -> dict[str, tuple[tuple[int, ...], bool]]:
        """Shape and trainability of each weight by its path."""
        return {self._path(weight): (tuple(weight.shape), weight.trainable) for weight in self.model.weights}

    def _path(self, weight: Any) -> str:
        return str(weight.path) if self.version == 3 else str(weight.name).split(":", maxsplit=1)[0]


@pytest.fixture(
    scope="module",
    params=[(package, name) for package in ("keras", "tf_keras") for name in keras_samples.MODELS],
    ids=lambda value: f"{value[0]}-{value[1]}",
)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    package, name = request.param
    keras = pytest.importorskip(package)
    model = keras_samples.MODELS[name](keras)
    model.compile("adam", "mse")
    directory = tmp_path_factory.mktemp(name)
    files = {suffix: directory / f"model{suffix}" for suffix in (".keras", ".h5", ".weights.h5")}
    model.save(files[".keras"])
    model.save(files[".h5"])
    model.save_weights(files[".weights.h5"])
    return Saved(model, files, 3 if package == "keras" else 2)


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_variables_are_those_of_the_live_model(saved: Saved, suffix: str) -> None:
    rows = read(saved.files[suffix]).part(Part.VARIABLES)
    found = {row.name: row for row in rows if not row.name.startswith(STATE)}
    assert {name: row.shape for name, row in found.items()} == {
        name: shape for name, (shape, _) in saved.weights.items()
    }
    assert {row.dtype for row in found.values()} == {"float32"}
    assert sum(row.bytes for row in found.values()) == 4 * saved.model.count_params()
    if saved.version == 3:
        # Keras 2 marks a frozen layer's weights as trainable, one by one.
        assert {name: row.trainable for name, row in found.items()} == {
            name: trained for name, (_, trained) in saved.weights.items()
        }


@pytest.mark.tensorflow
def test_a_direction_that_the_file_names_is_named_once(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    path = tmp_path / "model.keras"
    both = layers.Bidirectional(layers.LSTM(2, name="steps"), name="both")
    keras.Sequential([layers.Input((3, 2)), both], name="m").save(path)
    names = [row.name for row in read(path).part(Part.VARIABLES)]
    assert "m/both/forward_steps/lstm_cell/kernel" in names
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    # As Keras 3.5 writes it.
    contents["config.json"] = contents["config.json"].replace(b'"name": "steps"', b'"name": "forward_steps"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert [row.name for row in read(path).part(Part.VARIABLES)] == names


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_are_those_of_the_live_model(saved: Saved, suffix: str) -> None:
    rows = {row.name: row for row in read(saved.files[suffix]).part(Part.KERAS)}
    for layer in saved.model.layers:
        row = rows[layer.name]
        assert (row.class_, row.parameters) == (type(layer).__name__, layer.count_params())
        assert row.bytes == sum(each.numpy().nbytes for each in layer.weights)
        if row.trainable is not None:
            assert row.trainable == layer.trainable
    top = [row for row in rows.values() if "/" not in row.name]
    assert sum(row.parameters or 0 for row in top) == saved.model.count_params()


@pytest.mark.tensorflow
def test_weights_of_their_own_have_variables_only(saved: Saved) -> None:
    model = read(saved.files[".weights.h5"])
    assert model.parts == ("variables",)
    assert any("weights only" in note for note in model.notes)
    rows = [row for row in model.part(Part.VARIABLES) if not row.name.startswith(STATE)]
    assert sorted(row.shape for row in rows) == sorted(shape for shape, _ in saved.weights.values())
    if saved.version == 3 and version_of("keras") >= (3, 6):
        certain = {row.name: row.shape for row in rows if "/vars/" not in row.name}
        assert {name: saved.weights[name][0] for name in certain} == certain
        assert len(certain) >= len(rows) - 5


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_signatures_are_the_models_ends(saved: Saved, suffix: str) -> None:
    ((tags, signatures),) = read(saved.files[suffix]).part(Part.SIGNATURES)
    signature = signatures["serving_default"]
    assert tags == ("serve",)
    assert signature.method_name == "tensorflow/serving/predict"
    for side, tensors in ((signature.inputs, saved.model.inputs), (signature.outputs, saved.model.outputs)):
        found = sorted((protos.dtype_name(info.dtype), protos.shape_of(info.tensor_shape)) for info in side.values())
        live = sorted((_dtype_name(tensor.dtype), tuple(tensor.shape)) for tensor in tensors)
        assert [dtype for dtype, _ in found] == [dtype for dtype, _ in live]
        assert all(shape in (None, expected) for (_, shape), (_, expected) in zip(found, live, strict=True))


def _dtype_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_function_and_the_graph_have_the_files_signature(
    saved: Saved, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, load = read(saved.files[suffix]), Mock(side_effect=keras_files.load)
    monkeypatch.setattr(keras_files, "load", load)
    assert {part for part in model.computed if part in model.parts} == {"graph", "function"}
    signature = model.part(Part.SIGNATURES)[0][1]["serving_default"]
    function = model.part(Part.FUNCTION)("serving_default")
    live = keras_models.trace(saved.model)
    assert [each.key for each in function.inputs] == [each.key for each in live.inputs]
    assert [each.key for each in function.outputs] == [each.key for each in live.outputs]
    for side, ends in ((signature.inputs, function.inputs), (signature.outputs, function.outputs)):
        assert set(side) == {each.key for each in ends}
        for each in ends:
            known = protos.shape_of(side[each.key].tensor_shape)
            assert known in (None, each.shape)
            assert protos.dtype_name(side[each.key].dtype) == each.dtype
    ((_, traced),) = [(each.tags, each.signature_def) for each in model.meta_graphs]
    assert set(traced["serving_default"].outputs) == set(signature.outputs)
    assert len(model.ops) > 10
    assert load.call_count == 1


@pytest.mark.tensorflow
def test_outputs_of_one_name_are_numbered_as_the_live_models(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    x, layer = keras.Input((4,), name="x"), keras.layers.Dense(4, name="shared")
    original = keras.Model(x, [layer(x), layer(layer(x))])
    for suffix in (".keras", ".h5"):
        original.save(tmp_path / f"model{suffix}")
        model = read(tmp_path / f"model{suffix}")
        assert set(model.part(Part.SIGNATURES)[0][1]["serving_default"].outputs) == {"shared", "shared_1"}
        given = {"x": np.random.default_rng(0).normal(size=(2, 4))}
        found = model.part(Part.FUNCTION)(None)(given)
        assert list(found) == ["shared", "shared_1"]
        for value, expected in zip(found.values(), original(given["x"]), strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.tensorflow
def test_a_display_makes_nothing_and_shows_what_was_made(saved: Saved) -> None:
    model = read(saved.files[".keras"])
    assert "Op counts" not in repr(model)
    assert not model.is_read(Part.GRAPH)
    assert model.signature_def.keys() == {"serving_default"}
    assert not model.is_read(Part.GRAPH)
    assert len(model.ops)
    assert "Op counts" in repr(model)


@pytest.mark.tensorflow
def test_keys_are_the_users(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    model = keras_samples.dictionary(keras)
    model.save(tmp_path / "model.keras")
    loaded = read(tmp_path / "model.keras")
    signature = loaded.part(Part.SIGNATURES)[0][1]["serving_default"]
    assert set(signature.inputs) == {"x", "y"}
    assert set(signature.outputs) == {"o", "p"}
    rows = {row.name: row.parameters for row in loaded.part(Part.KERAS)}
    # The shared layer is stored once and counts in both models.
    assert rows["shared"] == rows["inner"] == rows["inner/shared"] == 20


@pytest.mark.tensorflow
def test_a_subclassed_model_has_variables_and_no_more_without_its_class(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    class Mine(keras.Model):  # type: ignore[misc, name-defined] # keras ships no types
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.first = keras.layers.Dense(3, name="first")
            self.rest = [keras.layers.Dense(2, name="second"), keras.layers.BatchNormalization(name="norm")]

        def call(self, value: Any) -> Any:
            return self.rest[1](self.rest[0](self.first(value)))

        def get_config(self) -> dict[str, Any]:
            # Keras does not record a subclassed model's name by itself, and numbers those of a process.
            return {"name": self.name}

    model = Mine(name="mine")
    model(np.zeros((1, 4), "float32"))
    model.save(tmp_path / "model.keras")
    loaded = read(tmp_path / "model.keras")
    assert set(loaded.parts) - loaded.computed == {"variables"}
    with pytest.raises(errors.ReadError, match="give the live model"):
        loaded.part(Part.FUNCTION)(None)
    with keras.saving.custom_object_scope({"Mine": Mine}):
        assert [each.key for each in loaded.part(Part.FUNCTION)(None).outputs] == ["mine"]
    assert list(loaded.signatures["shape"]) == [(None, 4), (None, 2)]
    assert any("'Mine' is a subclassed model" in note for note in loaded.notes)
    names = {row.name for row in loaded.part(Part.VARIABLES)}
    if version_of("keras") >= (3, 6):
        assert {"mine/second/kernel", "mine/norm/moving_mean"} <= names
        # An attribute's class is not in the file.
        assert "mine/first/vars/0" in names


@pytest.mark.tensorflow
def test_code_is_told_and_not_run(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda value: value * 2, name="twice")])
    model.save(tmp_path / "model.keras")
    assert "Python code travels with the layers 'twice'; it was not run" in read(tmp_path / "model.keras").notes


@pytest.mark.corpus
def test_the_corpus_gives_its_tables(corpus: Path) -> None:
    items = [line.split("\t")[:2] for line in (corpus / "MANIFEST.tsv").read_text("utf-8").splitlines()[1:]]
    for name, kind in items:
        path = corpus / name
        is_keras = kind.startswith("Keras")
        assert claims(path) is is_keras, name
        if is_keras:
            model = read(path)
            assert model.part(Part.VARIABLES), name
            assert ("keras" in model.parts) is ("weights" not in path.name), name
            everything(model)


def test_tensorflow_and_keras_stay_out(tmp_path: Path) -> None:
    weights = tmp_path / "model.weights.h5"
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 3), "f4")
    code = (
        "import sys; from pathlib import Path; from tests.readers.test_keras_file import read, everything; "
        f"everything(read(Path({str(weights)!r}))); "
        "sys.exit(str(sorted({'tensorflow', 'keras', 'tf_keras'} & set(sys.modules))) if "
        "{'tensorflow', 'keras', 'tf_keras'} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Recognition


def test_hdf5_without_marks_is_not_keras(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["layers/counts"] = np.zeros(3)
        file.create_group("vars")
        file.attrs["title"] = "measurements"
    assert not claims(path)


def test_other_archives_are_not_keras(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert not claims(path)
    (tmp_path / "text.keras").write_text("PK")
    assert not claims(tmp_path / "text.keras")
    assert not claims(tmp_path)


def test_weights_without_names_of_layers(tmp_path: Path) -> None:
    # As Keras before 3.6 wrote them: no attributes, so the class says what is what, if it is certain.
    path = tmp_path / "model.weights.h5"
    layers: dict[str, list[tuple[int, ...]]] = {
        "dense": [(2, 3), (3,)],
        "dense_1": [(3, 2)],
        "batch_normalization": [(2,)] * 4,
        "batch_normalization_1": [(2,)] * 3,
        "custom": [(5,)],
    }
    with h5py.File(path, "w") as file:
        for name, shapes in layers.items():
            for number, shape in enumerate(shapes):
                file[f"layers/{name}/vars/{number}"] = np.zeros(shape, "f4")
        file["optimizer/vars/0"] = 1
    rows = {row.name: row.trainable for row in read(path).part(Part.VARIABLES)}
    assert list(rows) == [
        *(f"batch_normalization/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")),
        *(f"batch_normalization_1/vars/{number}" for number in range(3)),
        "custom/vars/0", "dense/kernel", "dense/bias", "dense_1/kernel", "optimizer/vars/0",
    ]  # fmt: skip
    assert rows["batch_normalization/moving_mean"] is False
    assert rows["dense/kernel"] is None


# Damage


def _archive(
    path: Path, config: str = '{"class_name": "Sequential", "config": {"layers": []}}', **options: Any
) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        archive.writestr("config.json", config)
    return path


def corrupt(path: Path, problem: str) -> None:
    with pytest.raises(errors.CorruptSourceError, match=problem) as caught:
        everything(read(path))
    assert repr(str(path))[:-1] in str(caught.value)


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    path = _archive(tmp_path / "model.keras")
    path.write_bytes(path.read_bytes()[:100])
    corrupt(path, "zip archive cannot be read")


def test_a_truncated_hdf5_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
    path.write_bytes(path.read_bytes()[:500])
    corrupt(path, "it has 500 of")


@pytest.mark.parametrize(
    "config", ["", "[1]", '{"class_name": ', "[" * 100_000, '{"a": ' * 100_000], ids=lambda text: text[:9]
)
def test_a_config_that_is_none(tmp_path: Path, config: str) -> None:
    corrupt(_archive(tmp_path / "model.keras", config), "'config.json'")


def test_names_twice_or_leading_out(tmp_path: Path) -> None:
    path = _archive(tmp_path / "twice.keras")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    corrupt(path, "'config.json' twice")
    path = _archive(tmp_path / "out.keras")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../escape", "")
    corrupt(path, "leads out of it")


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = _archive(tmp_path / "model.keras")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    corrupt(path, "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_keras_does_not_use(tmp_path: Path, method: int) -> None:
    corrupt(_archive(tmp_path / "model.keras", compression=method), "compressed by method")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    for member in ("config.json", keras_archive.WEIGHTS):
        path = tmp_path / f"{member}.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in {"metadata.json", "config.json"} - {member}:
                archive.writestr(name, '{"class_name": "Sequential", "config": []}')
            with archive.open(member, "w", force_zip64=True) as stream:
                for _ in range(200):
                    stream.write(bytes(1 << 20))
        assert path.stat().st_size < 1 << 20
        corrupt(path, "zip bomb")


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", " " * (80 << 20))
    data = path.read_bytes().replace((80 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(data)
    corrupt(path, "'config.json'|cannot be read")


@pytest.mark.tensorflow
def test_a_deflated_archive_is_read(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, path = saved.files[".keras"], tmp_path / "deflated.keras"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as deflated:
        for name in archive.namelist():
            deflated.writestr(name, archive.read(name))
    assert read(path).part(Part.VARIABLES) == read(source).part(Part.VARIABLES)
    assert read(path).part(Part.KERAS) == read(source).part(Part.KERAS)
    # It is unpacked to the temporary directory, which is no fault of the file's.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    for checked in (True, False):
        if not checked:
            monkeypatch.setattr(keras_archive, "_check_room", lambda *_: None)
        with pytest.raises(errors.ReadError, match=r"temporary directory.*No such file.*TMPDIR") as caught:
            read(path).part(Part.VARIABLES)
        assert not isinstance(caught.value, errors.CorruptSourceError)


@pytest.mark.tensorflow
def test_a_temporary_directory_that_is_gone_is_no_fault_of_the_file(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(errors.WriteError, match=r"temporary directory.*TMPDIR"):
        keras_files.load(saved.files[".keras"], trust=False)


def test_an_archive_without_weights(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"name": "a", "units": 2}}]}
    model = read(_archive(tmp_path / "model.keras", json.dumps(config)))
    assert set(model.parts) - model.computed == {"keras"}
    assert model.part(Part.KERAS)[0].parameters is None
    assert any("no 'model.weights.h5'" in note for note in model.notes)


@pytest.mark.tensorflow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_damage_gives_our_errors_only(
    saved: Saved, suffix: str, damage: Callable[[bytearray, random.Random], None], tmp_path: Path
) -> None:
    chance = random.Random(suffix)
    path = tmp_path / "damaged"
    for _ in range(15):
        data = bytearray(saved.files[suffix].read_bytes())
        damage(data, chance)
        path.write_bytes(data)
        candidate = Candidate(str(path), path)
        try:
            if READER.claims(candidate):
                everything(READER.read(candidate, None))
        except errors.ReadError:
            # Damaged, or by a bit that changed of a layout that is not read.
            continue

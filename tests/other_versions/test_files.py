"""Files of TensorFlow 2.16 to 2.21, Keras 2 and 3, read, run, frozen, exported, restored; the old ones load ours."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.other_versions import environments, networks

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Set by ``make test-versions``: the folder of the environments.
FOLDER = os.environ.get("TFMAGIC_VERSIONS", "")
if not FOLDER:
    pytest.skip("`make test-versions` makes the versions and names them in TFMAGIC_VERSIONS", allow_module_level=True)
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
]
PLACE = Path(FOLDER)
LIBRARIES = ("keras", "tf_keras")
#: What holds a graph, and what holds values alone, by the library that writes it.
RUNNABLE = {
    "keras": ("exported", "saved", "model.keras", "model.h5"),
    "tf_keras": ("exported", "saved", "saved_by_keras", "model.keras", "model.h5"),
}
VALUES = {
    "keras": ("model.weights.h5", "tracked.ckpt"),
    "tf_keras": ("model.weights.h5", "weights.h5", "tracked.ckpt", "weights.ckpt"),
}
SOURCES = [
    pytest.param(version, library, name, file, id=f"{version}-{library}-{name}-{file}")
    for version in environments.VERSIONS
    for library in LIBRARIES
    for name in networks.NETWORKS
    for file in RUNNABLE[library] + VALUES[library]
]
GRAPHS = [source for source in SOURCES if source.values[3] in RUNNABLE[str(source.values[1])]]
#: Begins the names of what stock writes beside ours.
STOCK = "stock_"
#: What an old version cannot load whoever writes it: the kernel of a convolution is another attribute since Keras 3.4.
_CONVOLUTIONS = "keras_convolutional_model.ckpt as checkpoint"
UNREADABLE = {"2.16": {_CONVOLUTIONS, STOCK + _CONVOLUTIONS}}
PLAIN = ("module", "session", "frozen.pb", "frozen.pbtxt", "saver.ckpt")
#: Prints how the variables of each file come out where TensorFlow cannot be imported.
READ = """
import json, sys
sys.modules["tensorflow"] = sys.modules["keras"] = sys.modules["tf_keras"] = None
import numpy as np
import tfmagic
from tfmagic.frames import VariableRow
from tfmagic.models.variable_values import VariableValues

sums = {}
for path in json.load(sys.stdin):
    model = tfmagic.inspect(path)
    values = VariableValues(model)
    rows = [VariableRow(*row) for row in model.variables.itertuples(index=False, name=None)]
    sums[path] = [
        (row.shape, float(sum(np.sum(block, dtype="f8") for block in values.of(row).blocks())))
        for row in rows
        if row.dtype == "float32"
    ]
json.dump(sums, sys.stdout)
"""


def located(version: str, library: str, name: str, file: str) -> Path:
    """Return the path of a file, unless its own version could not write it."""
    folder = environments.files(PLACE, version)
    refused = json.loads((folder / "told.json").read_text())["refused"]
    if reason := refused.get(f"{library}/{name}/{file}"):
        pytest.skip(f"its own version cannot write it: {reason}")
    return folder / library / name / file


def stored(version: str, library: str, name: str, what: str) -> list[np.ndarray]:
    """Return the outputs or the weights that a version had."""
    with np.load(environments.files(PLACE, version) / library / name / f"{what}.npz") as arrays:
        return [arrays[key] for key in arrays.files]


def assert_outputs(outputs: Mapping[str, Any], expected: list[np.ndarray]) -> None:
    """Hold outputs to what is expected; no two of a network have one shape."""
    by_shape = {np.shape(value): value for value in outputs.values()}
    assert by_shape.keys() == {value.shape for value in expected}
    for value in expected:
        np.testing.assert_allclose(by_shape[value.shape], value, atol=1e-5, rtol=1e-4)


def fed(source: Path, name: str) -> dict[str, np.ndarray]:
    """Return a network's input by the key that the file has for it: Keras before 3.5 traced its ``call(inputs)``."""
    signatures = tfmagic.inspect(source).signatures
    keys = signatures[signatures["side"] == "input"]["key"].unique()
    ((key, value),) = networks.inputs(name).items()
    return {key if key in keys else "inputs": value}


@pytest.mark.parametrize("version", environments.VERSIONS)
def test_every_value_is_read_without_tensorflow(version: str) -> None:
    folder = environments.files(PLACE, version)
    refused = json.loads((folder / "told.json").read_text())["refused"]
    paths = {
        str(folder / library / name / file): (library, name)
        for library in LIBRARIES
        for name in networks.NETWORKS
        for file in RUNNABLE[library] + VALUES[library]
        if f"{library}/{name}/{file}" not in refused
    }
    done = subprocess.run(
        [sys.executable, "-c", READ], input=json.dumps(list(paths)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    sums = json.loads(done.stdout)
    lost: dict[str, list[tuple[int, ...]]] = {}
    for path, (library, name) in paths.items():
        listed = [(tuple(shape), total) for shape, total in sums[path]]
        for weight in stored(version, library, name, "weights"):
            total = float(weight.sum(dtype="f8"))
            if not any(shape == weight.shape and np.isclose(total, other, rtol=1e-6) for shape, other in listed):
                lost.setdefault(path, []).append(weight.shape)
    assert not lost


@pytest.mark.parametrize(("version", "library", "name", "file"), GRAPHS)
def test_it_runs(version: str, library: str, name: str, file: str) -> None:
    path = located(version, library, name, file)
    result = tfmagic.run(path, fed(path, name))
    assert_outputs(result.outputs, stored(version, library, name, "outputs"))


@pytest.mark.parametrize(("version", "library", "name", "file"), GRAPHS)
def test_it_is_frozen_and_exported(version: str, library: str, name: str, file: str, tmp_path: Path) -> None:
    path = located(version, library, name, file)
    expected, inputs = stored(version, library, name, "outputs"), fed(path, name)
    tfmagic.freeze(path, output=tmp_path / "frozen.pb", verify=True)
    assert_outputs(tfmagic.run(tmp_path / "frozen.pb", inputs).outputs, expected)
    exported = tfmagic.export(path, tmp_path / "exported", verify=True)
    assert exported.verification["equal"].all()
    assert_outputs(tfmagic.run(tmp_path / "exported", inputs).outputs, expected)


@pytest.mark.parametrize(("version", "library", "name", "file"), SOURCES)
def test_it_is_restored(version: str, library: str, name: str, file: str) -> None:
    path = located(version, library, name, file)
    model = networks.NETWORKS[name](importlib.import_module(library))
    tfmagic.restore(model, path)
    for restored, weight in zip(model.get_weights(), stored(version, library, name, "weights"), strict=True):
        np.testing.assert_array_equal(restored, weight)


@pytest.mark.parametrize("file", PLAIN)
@pytest.mark.parametrize("version", environments.VERSIONS)
def test_plain_tensorflow(version: str, file: str, tmp_path: Path) -> None:
    path = environments.files(PLACE, version) / "plain" / file
    features = np.arange(8, dtype=np.float32).reshape(2, 4)
    expected = features @ np.arange(12, dtype=np.float32).reshape(4, 3) + np.array([1, -2, 3], np.float32)
    if file in {"module", "session"}:
        tfmagic.freeze(path, output=tmp_path / "frozen.pb")
        tfmagic.export(path, tmp_path / "exported")
    else:
        tfmagic.freeze(path, inputs=["features"], outputs=["scores"], output=tmp_path / "frozen.pb")
        tfmagic.export(path, tmp_path / "exported", inputs={"features": "features"}, outputs={"scores": "scores"})
    for result in (tmp_path / "frozen.pb", tmp_path / "exported"):
        (scores,) = tfmagic.run(result, {"features": features}).outputs.values()
        np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.fixture(name="ours", scope="module")
def _ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write what we write today, and what is to be tried of it."""
    tf = importlib.import_module("tensorflow")
    folder = tmp_path_factory.mktemp("ours")
    trials: list[tuple[str, str, str, str]] = []
    for library in LIBRARIES:
        keras = importlib.import_module(library)
        for name in networks.NETWORKS:
            model = networks.weighted(keras, name)
            np.savez(folder / f"{name}.npz", *networks.outputs(model, name))
            for way, file in (
                ("tensorflow_2", "saved"),
                ("tensorflow_1", "saved"),
                ("graph_def", "frozen.pb"),
                ("weights", "model.weights.h5"),
                ("checkpoint", "model.ckpt"),
            ):
                written = f"{library}_{name}_{file}"
                if not (folder / written).exists():
                    tfmagic.export(model, folder / written, verify=False)
                trials.append((way, written, name, library))
            model.save_weights(folder / f"{STOCK}{library}_{name}_model.weights.h5")
            tf.train.Checkpoint(model=model).write(folder / f"{STOCK}{library}_{name}_model.ckpt")
            trials += [(way, STOCK + written, name, library) for way, written, *_ in trials[-2:]]
            tfmagic.export(folder / f"{library}_{name}_frozen.pb", folder / f"{library}_{name}_wrapped", verify=False)
            trials += [(way, f"{library}_{name}_wrapped", name, library) for way in ("tensorflow_1", "tensorflow_2")]
    (folder / "trials.json").write_text(json.dumps(trials))
    return folder


@pytest.mark.parametrize("version", ["2.16", "2.18"])
def test_ours_loads_in(version: str, ours: Path) -> None:
    done = environments.run(PLACE, version, "load_files", str(ours))
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout.splitlines()[-1])
    ours_alone = {
        trial: outcome
        for trial, outcome in outcomes.items()
        if not trial.startswith(STOCK) and outcome != "equal" and outcomes.get(STOCK + trial, "equal") == "equal"
    }
    assert ours_alone == {}
    assert {trial for trial in outcomes if outcomes[trial] != "equal"} == UNREADABLE.get(version, set())

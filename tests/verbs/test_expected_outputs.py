"""Graphs of others with the outputs that they are known to give: run, frozen and exported they give the same.

Beside a graph of the corpus lie ``NAME.placeholder.csv`` for an input and ``NAME.prediction.csv`` for an output, a
value a line, with the shapes in files of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.conftest import CORPUS, ROOT
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

pytestmark = [pytest.mark.corpus, pytest.mark.tensorflow]

_INPUT, _OUTPUT, _GRAPH = ".placeholder.csv", ".prediction.csv", "frozen_model.pb"
#: Read by TensorFlow as it starts; tests/conftest.py sets it.
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
#: What was stored has a few digits, and some of the graphs add up hundreds of products.
_TOLERANCE = 1e-3


def _folders() -> Iterator[Path]:
    """Yield the folders with a graph and its outputs."""
    found = sorted(CORPUS.rglob(f"*{_OUTPUT}")) if CORPUS.is_dir() else []
    yield from (folder for folder in dict.fromkeys(file.parent for file in found) if (folder / _GRAPH).is_file())


def _name(folder: Path) -> str:
    return "/".join(folder.parts[-2:])


def _stored(file: Path, dtype: str) -> npt.NDArray[Any]:
    """Read values; of a scalar the shape is written as nothing or as 0."""
    words = [word for word in file.read_text().split("\n") if word]
    place = file.with_suffix(".shape")
    shape = tuple(map(int, place.read_text().split())) if place.exists() else (len(words),)
    if len(words) == 1 and np.prod(shape) != 1:
        shape = ()
    if dtype == "bool":
        return np.array([word.lower() in ("true", "1", "1.0") for word in words]).reshape(shape)
    return np.array(words, dtype=object if dtype == "string" else np.float64).reshape(shape).astype(dtype)


def _tensor(name: str, dtypes: dict[str, str]) -> str:
    """Return the tensor that a file is named after: a node, or a node and the number of its output."""
    node, _, number = name.rpartition(".")
    return f"{name}:0" if name in dtypes else f"{node}:{number}"


def _as_stored(results: dict[str, npt.NDArray[Any]], folder: Path) -> None:
    """Compare results with the files; raises AssertionError."""
    for key, value in results.items():
        wanted = _stored(folder / f"{key}{_OUTPUT}", value.dtype.name if value.dtype.kind != "O" else "string")
        assert value.shape == wanted.shape, key
        if value.dtype.kind in "fc":
            scale = float(np.max(np.abs(wanted), initial=0.0))
            np.testing.assert_allclose(value, wanted, rtol=_TOLERANCE, atol=_TOLERANCE * scale, err_msg=key)
        else:
            np.testing.assert_array_equal(value, wanted, err_msg=key)


def _in_a_process_with_onednn(test: str) -> None:
    """Run a test where TensorFlow computes by oneDNN, which the suite leaves out: it alone has NCHW convolutions."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    # That run has no browser test, and must not fail for it.
    environment = {**os.environ, _ONEDNN: "1", "CI": "", "TFMAGIC_REQUIRE_BROWSER": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("folder", list(_folders()), ids=_name)
def test_it_gives_what_is_stored(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    graph = folder / _GRAPH
    ops = tfmagic.inspect(graph).ops
    dtypes = dict(zip(ops["name"], ops["dtype"], strict=True))
    keys = [file.name.removesuffix(_INPUT) for file in folder.glob(f"*{_INPUT}")]
    given = {key: _stored(folder / f"{key}{_INPUT}", dtypes[key]) for key in keys}
    outputs = {
        name: _tensor(name, dtypes) for name in (file.name.removesuffix(_OUTPUT) for file in folder.glob(f"*{_OUTPUT}"))
    }
    if any(op == "Assign" for op in ops["op"]):
        # TensorFlow takes none of these: whoever froze them made a constant of a variable that the graph assigns.
        with pytest.raises(errors.ConversionError, match="float_ref"):
            tfmagic.run(graph, given, outputs=outputs)
        return
    try:
        results = tfmagic.run(graph, given, outputs=outputs).outputs
    except errors.ConversionError as error:
        if os.environ[_ONEDNN] != "0" or "NHWC" not in str(error):
            raise
        _in_a_process_with_onednn(request.node.nodeid)
        return
    _as_stored(results, folder)
    inputs = {key: f"{key}:0" for key in given} or None
    frozen = tfmagic.freeze(graph, inputs=inputs, outputs=outputs, output=tmp_path / "frozen.pb", verify=False)
    _as_stored(tfmagic.run(frozen, given).outputs, folder)
    tfmagic.export(graph, tmp_path / "saved", inputs=inputs, outputs=outputs, verify=False)
    _as_stored(tfmagic.run(tmp_path / "saved", given).outputs, folder)

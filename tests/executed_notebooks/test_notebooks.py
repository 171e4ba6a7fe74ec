"""Every notebook runs from its first cell to its last in a real kernel, through the script that ``make demo`` uses.

Each has a kernel of its own. That of the first is started as a person's is, those of the others with TensorFlow
imported already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[Any]:
    import nbformat  # noqa: PLC0415 - seconds of each worker

    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def kernels(ready_tensorflow: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for Jupyter to look for kernels; the one of Python there begins with TensorFlow imported."""
    place = tmp_path_factory.mktemp("kernels")
    (place / "kernels" / "python3").mkdir(parents=True)
    command = [*ready_tensorflow, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (place / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return place


def run(notebook: Path, directory: Path, kernels: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a notebook as ``make demo`` does, its results in ``directory``; no terminal, so nothing is opened."""
    environment = {**os.environ, "TFMAGIC_DEMO_DIR": str(directory), "PYTHONPATH": str(ROOT)}
    if kernels is not None:
        environment["JUPYTER_PATH"] = str(kernels)
    command = [sys.executable, str(ROOT / "notebooks" / "run.py"), str(notebook), "--open"]
    return subprocess.run(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.notebook
@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, kernels: Path) -> None:
    before = path.read_bytes()
    done = run(path, tmp_path, None if path == NOTEBOOKS[0] else kernels)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    executed = code_cells(tmp_path / path.name)
    assert all(cell.execution_count for cell in executed)
    assert [output for cell in executed for output in cell.outputs if output.output_type == "error"] == []
    assert f"[{len(executed)}/{len(executed)}]" in done.stdout
    assert f"The results are in {tmp_path}" in done.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    assert [cell.id for cell in code_cells(path) if cell.outputs or cell.execution_count] == []


@pytest.mark.notebook
def test_a_failing_cell_fails_the_run_and_is_kept(tmp_path: Path) -> None:
    import nbformat  # noqa: PLC0415 - as above

    cells = ["first = 1", "raise RuntimeError('on purpose')", "third = 3"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = tmp_path / "failing.ipynb"
    nbformat.write(notebook, path)
    results = tmp_path / "results"
    results.mkdir()
    done = run(path, results)
    assert done.returncode == 1
    assert "on purpose" in done.stderr
    assert "[2/3]" in done.stdout
    assert "[3/3]" not in done.stdout
    executed = code_cells(results / path.name)
    assert [cell.outputs[0].output_type for cell in executed if cell.outputs] == ["error"]

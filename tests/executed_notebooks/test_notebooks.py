"""Every notebook runs from its first cell to its last in a real kernel, through the script that ``make demo`` uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run(notebook: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook as ``make demo`` does, its results in ``directory``; no terminal, so nothing is opened."""
    environment = {**os.environ, "TFMAGIC_DEMO_DIR": str(directory), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "notebooks" / "run.py"), str(notebook), "--open"]
    return subprocess.run(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.notebook
@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    done = run(path, tmp_path)
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

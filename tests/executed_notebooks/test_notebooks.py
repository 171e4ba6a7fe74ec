"""Every notebook runs from its first cell to its last in a real kernel, through the script that ``make demo`` uses.

Each has a kernel of its own. That of the first is started as a person's is, those of the others, and the script, with
what they import imported already.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import ready_python

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Shown by GitHub as they are in a repository.
WITH_OUTPUTS = ("01_quickstart", "09_panel")
MOST_BYTES = 300_000
#: What needs no kernel.
STATIC = {"text/plain", "text/html", "image/svg+xml", "image/png"}
#: A path of the machine that they were made on, a place in its memory.
OF_A_MACHINE = r"/tmp/|/home/|/root/|/work/|/Users/|tfmagic-demo-| at 0x[0-9a-f]+"  # noqa: S108 - nothing is opened


def place(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


def code_cells(path: Path) -> list[Any]:
    """Return a notebook's cells of code as they stand in the file: to import nbformat takes each worker seconds."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def written(path: Path, *sources: str) -> Path:
    """Write a notebook of some cells of code."""
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**cell, "id": f"cell-{number}", "source": source} for number, source in enumerate(sources)]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def python(run_folder: Path) -> list[str]:
    """What stands for ``python`` where the script runs."""
    return ready_python.command(run_folder, ("nbclient", "nbformat"))


def run(
    notebook: Path, directory: Path, *options: str, python: Sequence[str], kernels: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a notebook as ``make demo`` does, its results in ``directory``; no terminal, so nothing is opened."""
    environment = {**os.environ, "TFMAGIC_DEMO_DIR": str(directory), "PYTHONPATH": str(ROOT)}
    if kernels is not None:
        environment["JUPYTER_PATH"] = str(kernels)
    command = [*python, str(ROOT / "notebooks" / "run.py"), str(notebook), "--open", *options]
    return subprocess.run(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.notebook
@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, kernels: Path, python: list[str]) -> None:
    before = path.read_bytes()
    is_first = path == NOTEBOOKS[0]
    done = run(path, tmp_path, python=[sys.executable] if is_first else python, kernels=None if is_first else kernels)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    executed = code_cells(tmp_path / path.name)
    assert all(cell["execution_count"] for cell in executed)
    assert [output for cell in executed for output in cell["outputs"] if output["output_type"] == "error"] == []
    assert f"[{len(executed)}/{len(executed)}]" in done.stdout
    assert f"The results are in {tmp_path}" in done.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.stem not in WITH_OUTPUTS], ids=lambda path: path.stem
)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    assert [cell["id"] for cell in code_cells(path) if cell["outputs"] or cell["execution_count"]] == []


@pytest.mark.parametrize("name", WITH_OUTPUTS)
def test_what_is_to_be_seen_without_a_kernel_is_committed_with_outputs(name: str) -> None:
    """``python notebooks/run.py --keep notebooks/NAME.ipynb`` renews them."""
    path = place(name)
    assert path.stat().st_size < MOST_BYTES
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert "text/html" in shown
    assert set(shown) <= STATIC
    assert re.findall(OF_A_MACHINE, json.dumps(outputs)) == []
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert set().union(*(cell["metadata"] for cell in notebook["cells"])) <= {"jupyter"}


def test_outputs_that_belong_to_a_machine_are_not_kept(tmp_path: Path, kernels: Path, python: list[str]) -> None:
    for number, source in enumerate(("import os; os.getcwd()", "import sys; print(1, file=sys.stderr)")):
        path, results = written(tmp_path / f"{number}.ipynb", source), tmp_path / f"results-{number}"
        results.mkdir()
        before = path.read_bytes()
        done = run(path, results, "--keep", python=python, kernels=kernels)
        assert "this output is not kept" in done.stderr
        assert path.read_bytes() == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_no_log_of_tensorflows(path: Path) -> None:
    first = "".join(code_cells(path)[0]["source"])
    for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
        assert f'os.environ.setdefault("{name}", ' in first
    assert "keras" not in first


@pytest.mark.notebook
def test_a_failing_cell_fails_the_run_and_is_kept(tmp_path: Path, kernels: Path, python: list[str]) -> None:
    path = written(tmp_path / "failing.ipynb", "first = 1", "raise RuntimeError('on purpose')", "third = 3")
    results = tmp_path / "results"
    results.mkdir()
    done = run(path, results, python=python, kernels=kernels)
    assert done.returncode == 1
    assert "on purpose" in done.stderr
    assert "[2/3]" in done.stdout
    assert "[3/3]" not in done.stdout
    executed = code_cells(results / path.name)
    assert [cell["outputs"][0]["output_type"] for cell in executed if cell["outputs"]] == ["error"]

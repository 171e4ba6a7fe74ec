"""Run a notebook in a real kernel, its progress in view, and say where its results lie.

``make demo`` and the tests run the notebooks through this. The notebook itself is left as it is, unless its outputs are
to be kept in it; the executed copy goes where the notebook's own results go (``TFMAGIC_DEMO_DIR``, which the notebooks
honour, else a new temporary directory). Not for: making the environment (``Makefile``).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "TFMAGIC_DEMO_DIR"
#: Executed notebooks are read where no kernel lives: a live panel would be blank there.
DISPLAY, STATIC = "TFMAGIC_DISPLAY", "html"
#: Seconds that one cell may take: several times what importing TensorFlow takes on a slow machine.
CELL_TIMEOUT = 600
#: What TensorFlow says of this machine at its start, and cannot be told not to: the executed notebook keeps it.
TENSORFLOW_LOG = re.compile(
    r"^(?:[IWE]\d{4} \d\d:\d\d|WARNING: All log messages before absl|To enable the following).*\n?", re.MULTILINE
)


def headings(cells: Sequence[Any]) -> list[str]:
    """Return for each cell the heading that it stands under."""
    current, found = "", []
    for cell in cells:
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        current = next((line.lstrip("# ") for line in lines if line.startswith("#")), current)
        found.append(current)
    return found


class Progress(NotebookClient):
    """A client that prints each cell's place, its heading and what it puts out, as it comes."""

    def __init__(self, notebook: nbformat.NotebookNode, directory: Path) -> None:
        super().__init__(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(directory)}},
            on_cell_execute=self.started,
            on_cell_executed=self.finished,
        )
        code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        self.place = {index: f"{number}/{len(code)}" for number, index in enumerate(code, start=1)}
        self.headings = headings(notebook.cells)
        self.since = 0.0

    def started(self, cell: Any, cell_index: int) -> None:  # noqa: ANN401 - nbformat's nodes have no types
        """Say which cell begins."""
        self.since = time.perf_counter()
        first = cell.source.strip().partition("\n")[0]
        print(f"\n[{self.place[cell_index]}] {self.headings[cell_index]}\n    {first}", flush=True)

    def finished(self, cell: Any, cell_index: int, execute_reply: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Say how long the cell took."""
        print(f"    ({time.perf_counter() - self.since:.1f} s)", flush=True)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:  # noqa: ANN401 - as above
        """Print what a cell puts out; nbclient then stores it in the notebook."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            print(TENSORFLOW_LOG.sub("", content["text"]), end="", flush=True)
        elif msg["msg_type"] in {"execute_result", "display_data"}:
            print(content["data"].get("text/plain", ""), flush=True)
        return super().process_message(msg, cell, cell_index)


def run(path: Path, directory: Path) -> Path:
    """Execute a notebook in a directory and write the executed copy there.

    Raises
    ------
    CellExecutionError
        If a cell fails; the copy is written all the same, with the error in it.
    """
    notebook = nbformat.read(path, as_version=4)
    executed = directory / path.name
    try:
        # The kernel's own error stream repeats what the notebook gets.
        Progress(notebook, directory).execute(stderr=subprocess.DEVNULL)
    finally:
        nbformat.write(notebook, executed)
    return executed


def results_directory() -> Path:
    """Return the directory for the results, made if need be, and tell the kernel of it."""
    directory = Path(os.environ.get(VARIABLE) or tempfile.mkdtemp(prefix="tfmagic-demo-")).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    os.environ[VARIABLE] = str(directory)
    os.environ.setdefault(DISPLAY, STATIC)
    return directory


def list_results(directory: Path) -> None:
    """Print what lies in the directory, directories with all that they hold."""
    print(f"\nThe results are in {directory}")
    for entry in sorted(directory.iterdir()):
        files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
        print(f"  {sum(file.stat().st_size for file in files):>12,} bytes  {entry.name}{'/' * entry.is_dir()}")


def person_watches() -> bool:
    """Say whether a person sits at this terminal, with a display that a browser can open on."""
    display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) and sys.stdin.isatty() and sys.stdout.isatty()


def open_in_lab(notebook: Path) -> None:
    """Open a notebook that ran here in JupyterLab, its outputs trusted, and stay until it ends."""
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    subprocess.run([sys.executable, "-m", "jupyter", "trust", str(notebook)], check=False)  # noqa: S603 - our own
    print(f"\nOpening {notebook} in JupyterLab; Ctrl-C ends it", flush=True)
    subprocess.run([sys.executable, "-m", "jupyterlab", *as_root, str(notebook)], check=False)  # noqa: S603 - our own


def keep(executed: Path, notebook: Path) -> None:
    """Put the outputs of an executed copy into the notebook itself, without what belongs to this run.

    Raises
    ------
    ValueError
        If an output is an error, was written to standard error, or names the directory of the results.
    """
    # Results are told as they are seen from their directory.
    text = executed.read_text(encoding="utf-8").replace(f"{executed.parent}/", "")
    ran, kept = nbformat.reads(text, as_version=4), nbformat.read(notebook, as_version=4)
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    wrong = [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"]
    wrong += [each for each in outputs if str(executed.parent) in str(each)]
    if wrong:
        message = f"this output is not kept: {str(wrong[0])[:400]}"
        raise ValueError(message)
    for cell, own in zip(ran.cells, kept.cells, strict=True):
        if own.cell_type == "code":
            # Of progress, an empty line is left.
            own.outputs = [each for each in cell.outputs if each.get("data") != {"text/plain": ""}]
            own.execution_count = cell.execution_count
    nbformat.write(kept, notebook)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the notebook that the command line names."""
    parser = argparse.ArgumentParser(description="Run a notebook and say where its results lie.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--open", action="store_true", help="then open it in JupyterLab, if a person is there to see")
    parser.add_argument("--keep", action="store_true", help="put the outputs into the notebook itself, to be committed")
    options = parser.parse_args(arguments)
    directory = results_directory()
    try:
        executed = run(options.notebook, directory)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"\n{options.notebook}: a cell failed\n{error}", file=sys.stderr)
        return 1
    if options.keep:
        keep(executed, options.notebook)
    list_results(directory)
    if options.open and person_watches():
        open_in_lab(executed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

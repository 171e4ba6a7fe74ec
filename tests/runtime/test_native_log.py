"""What libraries log beside Python: kept from the cells of a real kernel, told where a library failed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERB = """import os, threading
from tfmagic import errors
from tfmagic.verbs.undisturbed import undisturbed

LOG = b"I0000 00:00:1796012739.024663   18326 port.cc:153] one\\n2026-11-30 04:00:00.1: E core/x.cc:1] two\\n"

@undisturbed
def verb(fails=None):
    os.write(2, LOG + b"printed by a model\\n")
    if fails is not None:
        raise fails

@undisturbed
def outer():
    verb()
    os.write(2, LOG)

def caught(error):
    try:
        verb(error)
    except Exception:
        pass
"""
MANY = """threads = [threading.Thread(target=outer) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()"""
GRAPH = """import tfmagic
from pathlib import Path
Path('silent.pbtxt').write_text('''
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: 2 } } } } }
node { name: "y" op: "Relu" input: "x" attr { key: "T" value { type: DT_FLOAT } } }''')"""


def in_a_kernel(cells: Sequence[str], monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """Run cells in a kernel that shows what comes at the descriptor; return what is red below each."""
    import nbformat  # noqa: PLC0415 - seconds of each worker
    from nbclient import NotebookClient  # noqa: PLC0415 - as above

    # ipykernel leaves the descriptor alone where it is under test itself.
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # The descriptor is read by a thread, whose text comes with the cell that is running then.
    settled = [f"{cell}\nimport time; time.sleep(0.3)" for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in settled])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return ["".join(each.text for each in cell.outputs if each.get("name") == "stderr") for cell in notebook.cells]


@pytest.fixture
def begun(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that have imported already what takes long to import."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernels))


@pytest.mark.usefixtures("begun")
def test_a_cell_shows_what_a_model_prints_and_not_what_libraries_log(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        VERB,
        "verb()",
        "outer()",
        "os.write(2, LOG)",
        "caught(RuntimeError())",
        "caught(errors.ReadError('refused'))",
        MANY,
    ]
    red = in_a_kernel(cells, monkeypatch)
    one, two, printed = "port.cc:153] one", "core/x.cc:1] two", "printed by a model"
    assert red[1].strip() == red[2].strip() == red[5].strip() == printed
    # Afterwards all is as it was; of a failure only what is grave is told.
    assert one in red[3]
    assert two in red[3]
    assert one not in red[4]
    assert two in red[4]
    assert red[6].split("\n") == [printed] * 8 + [""]


@pytest.mark.usefixtures("begun")
def test_who_asks_for_the_log_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "port.cc:153] one" in in_a_kernel([VERB, "verb()"], monkeypatch, TF_CPP_MIN_LOG_LEVEL="0")[1]


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.usefixtures("in_tmp_path")
def test_our_own_import_of_tensorflow_and_a_conversion_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        GRAPH,
        "exported = tfmagic.export('silent.pbtxt', 'silent')\nassert exported.verification['equal'].all()",
    ]
    assert in_a_kernel(cells, monkeypatch) == ["", ""]

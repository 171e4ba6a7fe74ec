"""What a long call shows below its cell, in a real kernel: a line, which is gone when the call is over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.conftest import ROOT

if TYPE_CHECKING:
    import pytest

LONG = """import threading
from tfmagic import progress

def call():
    with progress.stages("m.pb", 2) as begin:
        begin("tracing")
        threading.Event().wait(0.6)
        begin("writing")
"""


def test_nothing_red_and_no_text_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat  # noqa: PLC0415 - seconds of each worker
    from nbclient import NotebookClient  # noqa: PLC0415 - as above

    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    cells = [
        "%load_ext tfmagic",
        LONG,
        "call()",
        "thread = threading.Thread(target=call)",
        "thread.start(); thread.join()",
    ]
    shown: list[str] = []

    class Client(NotebookClient):
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            content = msg["content"]
            if msg["msg_type"] in ("display_data", "update_display_data"):
                shown.append(content["data"]["text/plain"])
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    Client(notebook, kernel_name="python3", timeout=120).execute()
    once = ["m.pb: tracing (step 1 of 2)", "m.pb: writing (step 2 of 2)", ""]
    assert shown == once * 2
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert [output.get("data") for output in outputs] == [{"text/plain": ""}] * 2

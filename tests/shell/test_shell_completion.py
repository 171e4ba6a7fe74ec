from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.wire_samples import attr, field, node
from tfmagic.files import protos
from tfmagic.shell import shell_completion

if TYPE_CHECKING:
    from pathlib import Path

GRAPH = (
    field(1, node("image", "Placeholder", attrs=attr("dtype", b"\x30\x01")))
    + field(1, node("conv y", "Conv2D", "image"))
    + field(1, node("\x1b[31m", "NoOp"))
)


@pytest.fixture
def here(in_tmp_path: Path) -> Path:
    """A directory with a graph and a SavedModel."""
    (in_tmp_path / "my graph.pb").write_bytes(GRAPH)
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    signature = saved.meta_graphs.add(graph_def=protos.parse("GraphDef", GRAPH)).signature_def["serving_default"]
    signature.inputs["in put"].name = "image:0"
    (in_tmp_path / "served").mkdir()
    (in_tmp_path / "served" / "saved_model.pb").write_bytes(saved.SerializeToString())
    return in_tmp_path


@pytest.mark.parametrize(
    ("before", "word", "proposed"),
    [
        ((), "in", ["inspect"]),
        ((), "--v", ["--version"]),
        ((), "pan", []),
        (("inspect",), "", ["my graph.pb", "served/"]),
        (("inspect",), "my", ["my graph.pb"]),
        (("inspect", "served", "--signature"), "s", ["serving_default"]),
        (("inspect", "my graph.pb", "--op"), "C", ["Conv2D"]),
        (("inspect", "my graph.pb", "--name"), "", ["conv y", "image"]),
        (("inspect", "served", "--as"), "m", ["markdown"]),
        (("run", "served"), "", ["in put="]),
        (("run", "served"), "in put=@my", ["in put=@my graph.pb"]),
        (("export", "served", "m.tflite", "--samples"), "@my", ["@my graph.pb"]),
        (("export", "served", "m.tflite", "--quantize"), "i", ["int8"]),
        (("freeze", "served"), "--ov", ["--overwrite"]),
        (("export", "served", "out", "--signa"), "", []),
        (("inspect", "https://example.org/model", "--op"), "", []),
        (("frobnicate",), "", []),
        (("inspect", "missing.pb", "--op"), "", []),
    ],
)
def test_what_can_follow(before: tuple[str, ...], word: str, proposed: list[str], here: Path) -> None:
    del here
    assert shell_completion.proposals(before, word) == proposed


def test_a_shell_gets_names_with_what_it_takes_apart_escaped(here: Path) -> None:
    pytest.importorskip("argcomplete")
    line = "tfmagic inspect my"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_STDOUT_FILENAME": "proposals",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tfmagic"], env=environment, cwd=here, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert (here / "proposals").read_text(encoding="utf-8") == "my\\ graph.pb "

"""The README's table for who comes from TensorFlow's own tools: each line of it is run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.conftest import ROOT
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from tests.samples import Built

README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("<!-- you typed")[2].partition("<!-- /you typed")[0]
LINES = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", TABLE, flags=re.MULTILINE)
#: The model that each line speaks of, by its name there.
FILES = {
    "served": "saved_model_tf2",
    "constants.pb": "graph_def",
    "model.h5": "keras_hdf5",
    "model.ckpt.meta": "meta_graph",
}


@pytest.fixture
def models(samples: Built, in_tmp_path: Path) -> Path:
    for name, sample in FILES.items():
        source = samples.path(sample)
        if name != source.name or source.is_dir():
            Path(name).symlink_to(source)
            continue
        for beside in source.parent.iterdir():
            Path(beside.name).symlink_to(beside)
    np.save("x.npy", np.ones((3, 4), np.float32))
    return in_tmp_path


def test_the_tools_of_tensorflow_are_in_the_table() -> None:
    tools = {typed.split()[0] for typed, _ in LINES}
    assert tools == {"saved_model_cli", "freeze_graph", "tflite_convert", "toco", "inspect_checkpoint"}
    assert len(LINES) == TABLE.count("\n| `")


@pytest.mark.tensorflow
@pytest.mark.parametrize(("typed", "line"), LINES, ids=[line for _, line in LINES])
def test_a_line_does_what_the_tool_did(typed: str, line: str, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(line)
    assert program == "tfmagic"
    before = set(models.iterdir())
    status = command_line.run(words)
    printed = capsys.readouterr()
    assert (status, printed.err) == (command_line.DONE, "")
    assert printed.out
    wanted = re.findall(r"output_(?:graph|file)=(\S+)|outdir (\S+)", typed)
    written = {path.name for path in set(models.iterdir()) - before}
    expected = {Path(graph or f"{folder}.npz").name for graph, folder in wanted}
    # A line that goes on from the one before writes what that wrote.
    assert written == (expected or ({"frozen.pb"} if "…" in typed else set()))

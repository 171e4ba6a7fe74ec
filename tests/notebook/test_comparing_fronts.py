"""Costs, differences, colours, TFLite and runs: each in Python, by a magic, in the panel and its static form.

And in the shell, where it is text. That the three lines give one result is held by ``tests/shell/test_fronts.py``, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import tfmagic
from tests.samples import keras_model
from tfmagic.notebook.panel.widgets.panel import Panel
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.tensorflow


class Subject(NamedTuple):
    """One of the five: what the fronts give of it.

    ``told`` takes what Python and the magic return, and says the same of both; ``shell`` are words of a line whose
    answer holds ``printed``; ``drawn`` is what the static form of ``panel`` holds, which has the ``tab``.
    """

    python: Callable[[], Any]
    magic: str
    told: Callable[[Any], Any]
    shell: tuple[str, ...]
    printed: str
    panel: Callable[[], Any]
    tab: str
    drawn: tuple[str, ...]


def rows(frame: Any) -> Any:
    return json.loads(frame.to_json(orient="records"))


def static(panel: Any) -> str:
    return str(panel._repr_mimebundle_()["text/html"])


SUBJECTS = {
    "costs": Subject(
        lambda: tfmagic.inspect("a.pb").costs,
        "tf_inspect a.pb --costs",
        rows,
        ("inspect", "a.pb", "--costs", "--as", "csv"),
        "flops",
        lambda: tfmagic.panel("a.pb"),
        "Layers",
        ("FLOPs",),
    ),
    "diff": Subject(
        lambda: tfmagic.diff("a.pb", "b.pb"),
        "tf_diff a.pb b.pb",
        lambda found: (found.equal, rows(found.table)),
        ("diff", "a.pb", "b.pb", "--as", "json"),
        '"equal": false',
        lambda: tfmagic.panel("a.pb", compare="b.pb"),
        "Diff",
        ("differences from b.pb", "only in the other"),
    ),
    "colour": Subject(
        lambda: tfmagic.panel("a.pb", color="flops"),
        "tf_panel a.pb --color flops",
        static,
        ("inspect", "a.pb", "--as", "svg"),
        "<svg",
        lambda: tfmagic.panel("a.pb", color="flops"),
        "Graph",
        ("coloured by FLOPs",),
    ),
    "tflite": Subject(
        lambda: tfmagic.inspect("a.tflite").ops,
        "tf_inspect a.tflite --ops",
        rows,
        ("inspect", "a.tflite", "--ops", "--as", "csv"),
        "FULLY_CONNECTED",
        lambda: tfmagic.panel("a.tflite"),
        "Graph",
        ("FULLY_CONNECTED", "TFLite"),
    ),
    "run": Subject(
        lambda: tfmagic.run("a.pb", {"x": np.ones((1, 4), np.float32)}),
        "tf_run a.pb x=np.ones((1,4),np.float32)",
        lambda found: {key: array.tolist() for key, array in found.outputs.items()},
        ("run", "a.pb", "x=[[1.0, 1.0, 1.0, 1.0]]", "--as", "json"),
        '"outputs"',
        lambda: tfmagic.panel("a.pb"),
        "Run",
        ("run",),
    ),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a frozen graph, the same with another activation, and a TFLite file."""
    place = tmp_path_factory.mktemp("fronts")
    tfmagic.export(keras_model(place), place / "served", verify=False)
    tfmagic.freeze(place / "served", output=place / "a.pb", verify=False)
    message = tfmagic.inspect(place / "a.pb").graph_def
    next(node for node in message.node if node.op == "Relu").op = "Relu6"
    (place / "b.pb").write_bytes(message.SerializeToString())
    tfmagic.export(place / "served", place / "a.tflite", verify=False)
    return place


@pytest.mark.parametrize("name", SUBJECTS)
def test_each_is_there_in_every_front(
    name: str,
    models: Path,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(models)
    shell.user_ns["np"] = np
    subject = SUBJECTS[name]
    verb, _, line = subject.magic.partition(" ")
    assert subject.told(shell.run_line_magic(verb, line)) == subject.told(subject.python())
    capsys.readouterr()
    assert command_line.run([*subject.shell]) in (command_line.DONE, command_line.DENIED)
    assert subject.printed in capsys.readouterr().out
    panel = subject.panel()
    assert isinstance(panel, Panel)
    assert subject.tab in panel.tabs.titles
    assert [word for word in subject.drawn if word not in static(panel)] == []

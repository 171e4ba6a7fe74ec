"""What stands for Python does what Python does, and has a fresh TensorFlow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import ready_python

if TYPE_CHECKING:
    from pathlib import Path

FRESH = """
import json, os, sys, threading
import ipywidgets.widgets.widget
before = {"json", "tensorflow", "tfmagic.notebook.panel.widgets.panel"} <= set(sys.modules)
from tensorflow.python.eager import context
before &= not ipywidgets.widgets.widget._instances
print(json.dumps([before, context.context_safe() is None, threading.active_count(), sys.argv, os.getcwd(),
                  os.environ.get("SAID")]))
"""


@pytest.mark.tensorflow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is Python itself")
def test_tensorflow_is_there_and_has_done_nothing(ready_tensorflow: list[str], tmp_path: Path) -> None:
    for said in ("one", "two"):
        done = subprocess.run(
            [*ready_tensorflow, "-c", FRESH, "a", "b c"], cwd=tmp_path, env={"SAID": said}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == [True, True, 1, ["-c", "a", "b c"], str(tmp_path), said]
        # What one does stays with it.
        ending = "import tensorflow as tf; tf.constant(1); import json; json.loads = None"
        subprocess.run([*ready_tensorflow, "-c", ending], check=True)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A Python that has nothing imported."""
    return ready_python.command(tmp_path_factory.mktemp("ready"), ("json",))


@pytest.mark.parametrize("words", [["-c"], ["-m", "program"], ["program.py"]], ids=["text", "module", "file"])
@pytest.mark.parametrize(
    "program",
    [
        "import sys; print(__name__, *sys.argv[1:], sys.stdin.read()); sys.exit(3)",
        "import sys; sys.exit('for the error stream')",
        "import atexit; atexit.register(print, 'at the end')",
        "import os; os.kill(os.getpid(), 9)",
        "raise ValueError('wrong')",
        "import os; print(os.getcwd(), os.environ['PYTHONPATH'])",
        "import beside; print(beside.__file__)",
    ],
)
def test_a_program_ends_as_it_does_under_python(
    ready: list[str], tmp_path: Path, words: list[str], program: str
) -> None:
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "beside.py").touch()
    outcomes = []
    for python in ([sys.executable], ready):
        done = subprocess.run(
            [*python, *words, *([program] if words == ["-c"] else []), "argument", "ü"], cwd=tmp_path, input="given",
            env={"PYTHONPATH": str(tmp_path / "library"), "PYTHONUTF8": "1"}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        # Of a traceback, the last line: those before it name places.
        outcomes.append((done.returncode, done.stdout, done.stderr.splitlines()[-1:]))
    assert outcomes[0] == outcomes[1]


def test_signals_reach_a_program_and_it_ends_with_who_waits_for_it(ready: list[str], tmp_path: Path) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
    for number, status in ((signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)):
        with subprocess.Popen(
            [*ready, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            own = int(process.stdout.readline())
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
        assert process.returncode in {status, -number}
        assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)
        deadline = time.monotonic() + 60
        while _runs(own) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _runs(own)


def _runs(process: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)  # noqa: S607 - whichever ps
    return bool(done.stdout.strip()) and "Z" not in done.stdout

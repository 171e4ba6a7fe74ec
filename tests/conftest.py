"""What all tests share: a quiet TensorFlow without GPUs, the corpus, and the promise to run the browser tests."""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import ready_python
from tests.samples import Built

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

# Before anything imports TensorFlow, and inherited by the kernels and processes that tests start.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# oneDNN makes a kernel of its own for each shape that it meets, a quarter of what the tests take of the processor: the
# runs on the oldest and the newest versions have it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["KERAS_BACKEND"] = "tensorflow"

#: More modules than these are a library, such as ``tf_keras``.
MANY_MODULES = 200
ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("TFMAGIC_CORPUS") or ROOT.parent / "shared" / "corpus")
#: Set by ``make test`` and by CI: a browser test that cannot run is then a failure.
BROWSER_REQUIRED = bool(os.environ.get("TFMAGIC_REQUIRE_BROWSER") or os.environ.get("CI"))
NO_CORPUS = f"no corpus at {CORPUS}; TFMAGIC_CORPUS names one"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The directory of real model files."""
    if not CORPUS.is_dir():
        pytest.skip(NO_CORPUS)
    return CORPUS


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same network in every form, each built when a test first asks for it."""
    return Built(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow, where it is installed."""
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers of a run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def ready_tensorflow(run_folder: Path) -> list[str]:
    """What stands for ``python`` in a command: TensorFlow is imported there, and has done nothing yet."""
    if not importlib.util.find_spec("tensorflow"):
        pytest.skip("TensorFlow is not installed")
    return ready_python.command(run_folder, ready_python.TENSORFLOW)


@pytest.fixture(scope="session")
def kernels(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for Jupyter to look for kernels; the one of Python there begins with what takes long to import."""
    imported = [name for name in ready_python.TENSORFLOW if importlib.util.find_spec(name.partition(".")[0])]
    python = ready_python.command(run_folder, tuple(imported))
    place = tmp_path_factory.mktemp("kernels")
    (place / "kernels" / "python3").mkdir(parents=True)
    command = [*python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (place / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return place


@pytest.fixture
def control_flow_v1() -> Iterator[None]:
    """Loops and branches as TensorFlow 1 built them; the switch is put back."""
    util: Any = importlib.import_module("tensorflow.python.ops.control_flow_util")
    before = util.ENABLE_CONTROL_FLOW_V2
    util.ENABLE_CONTROL_FLOW_V2 = False
    yield
    util.ENABLE_CONTROL_FLOW_V2 = before


@pytest.fixture
def codec(tf: Any) -> Any:
    """A module with a variable, a table, and methods: one with a signature, one that is traced for a Python value."""

    class Codec(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("codec")
            self.scale = tf.Variable(2.0, name="scale")
            self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [5.0]), -1.0)

        @tf.function(input_signature=[tf.TensorSpec([None], name="value")])  # type: ignore[untyped-decorator]
        def encode(self, value: Any) -> Any:
            return {"code": value * self.scale}

        @tf.function  # type: ignore[untyped-decorator]
        def decode(self, code: Any, times: int = 1) -> Any:
            return code / self.scale * times

        @tf.function(input_signature=[tf.TensorSpec([None], "string", name="words")])  # type: ignore[untyped-decorator]
        def look(self, words: Any) -> Any:
            return {"found": self.table.lookup(words)}

        @property
        def explosive(self) -> Any:
            raise AssertionError("a property was run")

    return Codec()


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a temporary directory the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shell(in_tmp_path: Path) -> Iterator[InteractiveShell]:
    """An IPython of its own in an empty directory, the extension loaded."""
    from IPython.core.interactiveshell import InteractiveShell  # noqa: PLC0415 - a second that few tests should take
    from traitlets.config import Config  # noqa: PLC0415 - comes with it

    del in_tmp_path
    # A history would be written into the temporary directory when that is gone.
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.run_line_magic("load_ext", "tfmagic")
    yield made
    made.run_line_magic("unload_ext", "tfmagic")
    InteractiveShell.clear_instance()
    # At its end the process would tidy up every shell there was, with all that it held until then.
    atexit.unregister(made.atexit_operations)


@pytest.fixture(autouse=True)
def no_seed_left_behind() -> Iterator[None]:
    """Take back a global seed that a test set: another test's functions would draw the same twice."""
    yield
    tf = sys.modules.get("tensorflow")
    if tf is not None and tf.compat.v1.get_seed(None) != (None, None):
        tf.random.set_seed(None)


@pytest.fixture(autouse=True, scope="session")
def own_jupyter_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings and the history of the person who runs the tests out of every kernel, and safe from them."""
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(variable, str(home / variable.lower()))
        yield


def pytest_report_header() -> list[str]:
    """Say what the run has to work with."""
    tensorflow = "installed" if importlib.util.find_spec("tensorflow") else "not installed; its tests are skipped"
    return [
        f"corpus: {CORPUS if CORPUS.is_dir() else NO_CORPUS + '; its tests are skipped'}",
        f"TensorFlow: {tensorflow}",
        f"browser tests: {'required' if BROWSER_REQUIRED else 'skipped where there is no Chromium'}",
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs TensorFlow where there is none; a worker lists tests in their turn."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        from tests.groups import turn  # noqa: PLC0415 - as below

        items.sort(key=lambda item: turn(item.nodeid))
    if importlib.util.find_spec("tensorflow"):
        return
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.skip(reason="TensorFlow is not installed"))


def pytest_sessionstart() -> None:
    """Keep Python's collector from going through what is imported and collected, again and again as that grows."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Have it go through what tests make, and no more through ten thousand tests and TensorFlow."""
    if any(item.get_closest_marker("tensorflow") for item in session.items):
        for name in ("tensorflow", "keras"):
            if importlib.util.find_spec(name):
                importlib.import_module(name)
    gc.freeze()
    gc.enable()
    session.config.pluginmanager.register(LateImports())


class LateImports:
    """Have Python's collector leave alone what came with libraries that a test was the first to import."""

    def __init__(self) -> None:
        self._modules = len(sys.modules)

    def pytest_runtest_logfinish(self) -> None:
        """Look whether there is much more than before."""
        if len(sys.modules) > self._modules + MANY_MODULES:
            self._modules = len(sys.modules)
            gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests that share what is costly on one worker."""
    from tests.groups import Groups  # noqa: PLC0415 - pytest-xdist is there only where tests run in parallel

    # Not by the number of tests.
    config.option.loadscopereorder = False
    return Groups(config, log)


class BrowserRun:
    """What became of the browser tests of a run, and whether that is what the run promised.

    Reports reach the process that was started, wherever a test ran: with workers of pytest-xdist that is another one.

    Parameters
    ----------
    required : bool
        Whether a run without browser tests is a failure.
    """

    def __init__(self, *, required: bool) -> None:
        self.required = required
        self.passed = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a browser test came to; other engines than Chromium are a courtesy."""
        if "browser" not in report.keywords or "other_engine" in report.keywords:
            return
        self.passed += report.when == "call" and report.passed
        if report.skipped:
            self.skipped.append(report.nodeid)

    def shortfall(self) -> str:
        """Say why a run that must have driven a browser has not, or nothing."""
        if not self.required:
            return ""
        if not self.passed:
            return "no browser test passed, and this run requires them"
        skipped = ", ".join(self.skipped)
        return f"browser tests were skipped, and this run requires them: {skipped}" if skipped else ""

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run that was to drive a browser and did not."""
        if exitstatus == pytest.ExitCode.OK and self.shortfall():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many browser tests passed, and what is missing."""
        if self.passed or self.skipped:
            terminalreporter.write_line(f"browser tests: {self.passed} passed")
        if shortfall := self.shortfall():
            terminalreporter.write_line(f"FAILED: {shortfall}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Keep count of the browser tests, in the process that hears of all tests."""
    if not hasattr(config, "workerinput"):
        required = BROWSER_REQUIRED and not config.option.collectonly
        config.pluginmanager.register(BrowserRun(required=required))

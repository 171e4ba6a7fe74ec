"""A run that requires browser tests fails where none ran, in one process and with workers of pytest-xdist."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = "from tests.conftest import pytest_configure"
OTHER = "def test_other(): pass\n"
BROWSER = "import pytest\n\n@pytest.mark.browser\ndef test_browser(): "
WORKERS = ["-p", "xdist", "-n", "1"]
#: Other plugins take seconds to import.
NO_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def run(directory: Path, tests: str, *options: str, required: str = "1") -> subprocess.CompletedProcess[str]:
    """Run tests under the hooks of the suite's conftest."""
    (directory / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (directory / "test_some.py").write_text(tests, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "XDIST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "markers=browser", "-p", "no:cacheprovider", *options, str(directory)],
        env={**environment, "TFMAGIC_REQUIRE_BROWSER": required, "PYTHONPATH": str(ROOT), **NO_PLUGINS},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [[], WORKERS], ids=["one process", "workers"])
@pytest.mark.parametrize(
    ("tests", "status", "says"),
    [
        (OTHER, 1, "no browser test passed, and this run requires them"),
        (OTHER + BROWSER + "pytest.skip('no Chromium')\n" + BROWSER.replace("_browser", "_more") + "pass\n", 1,
         "browser tests were skipped, and this run requires them: test_some.py::test_browser"),
        (OTHER + BROWSER + "pass\n", 0, "browser tests: 1 passed"),
    ],
    ids=["none", "skipped", "passed"],
)  # fmt: skip
def test_a_run_keeps_its_promise(tmp_path: Path, tests: str, status: int, says: str, options: list[str]) -> None:
    done = run(tmp_path, tests, *options)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout
    assert ("FAILED: " in done.stdout) == bool(status)


def test_without_the_promise_a_run_without_a_browser_passes(tmp_path: Path) -> None:
    done = run(tmp_path, OTHER, required="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requires them" not in done.stdout

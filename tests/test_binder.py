"""What of `binder/` can be held to without building an image: its pins, its scripts, what the README's links open."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / "binder"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
#: Beside what tfmagic itself needs: TensorFlow, the front ends and the kernel.
MORE = {"tensorflow-cpu", "keras", "voila", "jupyterlab", "ipykernel"}
#: Where the links lead: a notebook in JupyterLab, a page of Voila.
OPENED = {"lab/tree/notebooks/01_quickstart.ipynb", "voila/render/notebooks/panel_demo.ipynb"}
#: repo2docker reads these before requirements.txt, or instead of it.
OTHERS = ("environment.yml", "Pipfile", "Pipfile.lock", "setup.py", "Dockerfile", "apt.txt", "install.R")


def pins() -> dict[str, str]:
    """Return the version of each requirement."""
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z0-9_-]+)==(\d+(?:\.\d+)+)", line) for line in lines if not line.startswith("#")]
    assert all(found), lines
    return {match[1]: match[2] for match in found if match}


def ranges() -> list[Requirement]:
    """Return what pyproject says of the packages that are pinned."""
    extras = PROJECT["optional-dependencies"]
    demo = PYPROJECT["dependency-groups"]["demo"]
    named = [*PROJECT["dependencies"], *extras["cpu"], *extras["voila"], *demo]
    return [each for each in map(Requirement, named) if each.name in pins()]


def test_every_need_is_pinned_and_nothing_else() -> None:
    needs = {Requirement(each).name for each in PROJECT["dependencies"]}
    assert set(pins()) == needs | MORE


@pytest.mark.parametrize("required", ranges(), ids=str)
def test_a_pin_is_within_the_range_of_the_package(required: Requirement) -> None:
    assert pins()[required.name] in required.specifier


def test_the_python_is_one_that_the_package_runs_on() -> None:
    version = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    assert re.fullmatch(r"3\.\d+", version)
    assert version in SpecifierSet(PROJECT["requires-python"])
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_no_file_names_a_host_or_says_otherwise() -> None:
    files = sorted(path.name for path in BINDER.iterdir())
    assert files == ["postBuild", "requirements.txt", "runtime.txt", "start"]
    for name in files:
        text = (BINDER / name).read_text(encoding="utf-8")
        assert not re.search(r"://|index-url|find-links|\.(org|com|io|net)\b", text), name
    assert [name for name in OTHERS if (ROOT / name).exists()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no executable bit, and perhaps no bash")
@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_a_script_is_executable_and_parses(name: str) -> None:
    script = BINDER / name
    assert os.access(script, os.X_OK)
    assert script.read_bytes().startswith(b"#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", str(script)], check=True)  # noqa: S607 - whichever bash


@pytest.mark.skipif(sys.platform == "win32", reason="as above")
def test_a_session_begins_with_what_it_was_given() -> None:
    program = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    command = [str(BINDER / "start"), sys.executable, "-c", program, "lab", "two words"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    arguments, environment = json.loads(done.stdout)
    assert arguments == ["lab", "two words"]
    assert environment["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_the_links_open_what_is_there() -> None:
    import nbformat  # noqa: PLC0415 - seconds that few workers should take

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paths = {unquote(path) for path in re.findall(r"/HEAD\?urlpath=(\S+)", readme)}
    assert paths == OPENED
    for path in paths:
        notebook = nbformat.read(ROOT / path[path.index("notebooks/") :], as_version=4)
        assert notebook.metadata.kernelspec.name == "python3"

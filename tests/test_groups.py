"""What a worker runs as a whole; one that dies ends neither the run nor another: its test fails, the rest is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import os, pytest

@pytest.mark.parametrize("number", range(12))
def test_some(number):
    if number in {FATAL}:
        os._exit(1)
"""


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/browser/test_panel.py::test_it[lab]", "lab"),
        ("tests/browser/test_panel.py::test_it[lab-served_model]", "lab"),
        ("tests/browser/test_catalog.py::test_it[light-lab]", "lab"),
        ("tests/browser/test_panel.py::test_it[notebook-600]", "notebook"),
        ("tests/browser/test_table.py::test_labels_of_a_notebook[600]", "pages"),
        ("tests/browser/test_harness.py::test_it[http://127.0.0.1:8888/lab-False]", "pages"),
        ("tests/test_corpus.py::test_it[a.pb]", "corpus"),
        ("tests/verbs/test_run.py::test_it[lab]", "tests/verbs/test_run.py::test_it[lab]"),
        ("tests/graphs/test_tflite_graphs.py::test_it[lab]", "tests/graphs/test_tflite_graphs.py"),
    ],
)
def test_tests_of_a_front_end_are_one_group(nodeid: str, group: str) -> None:
    assert pytest.importorskip("tests.groups").group_of(nodeid) == group


def test_what_takes_long_comes_first_and_single_tests_last() -> None:
    ordered = [
        "tests/browser/test_panel.py::test_it[lab]",
        "tests/browser/test_panel.py::test_it[notebook]",
        "tests/test_corpus.py::test_it",
        "tests/test_architecture.py::test_it",
        "tests/browser/test_table.py::test_it",
        "tests/graphs/test_tflite_graphs.py::test_it",
        "tests/files/test_wire.py::test_it",
        "tests/verbs/test_run.py::test_it",
    ]
    turn = pytest.importorskip("tests.groups").turn
    assert [turn(each) for each in ordered] == [0, 1, 2, 3, 5, 6, 7, 7]


@pytest.mark.parametrize(("workers", "fatal"), [(1, (0, 1, 11)), (3, (4,))])
def test_a_worker_that_dies_leaves_the_rest_to_others(tmp_path: Path, workers: int, fatal: tuple[int, ...]) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_xdist_make_scheduler", encoding="utf-8")
    (tmp_path / "test_some.py").write_text(TESTS.replace("{FATAL}", str(set(fatal))), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", "-n", str(workers), str(tmp_path)],
        env={**environment, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{len(fatal)} failed, {12 - len(fatal)} passed" in done.stdout
    for number in fatal:
        assert f"crashed while running 'test_some.py::test_some[{number}]'" in done.stdout


def test_what_a_worker_that_has_just_died_is_dealt_goes_to_another() -> None:
    scheduling = pytest.importorskip("tests.groups").Groups

    class Dead:
        shutting_down = False

        def send_runtest_some(self, _indices: list[int]) -> None:
            raise OSError("cannot send (already closed?)")

    node, tests = Dead(), [f"tests/test_it.py::test_it[{number}]" for number in range(9)]
    groups = scheduling.__new__(scheduling)
    groups.log = lambda *_: None
    groups.registered_collections = {node: tests}
    groups.assigned_work = {node: {tests[0]: {tests[0]: True}, tests[1]: {tests[1]: False}}}
    groups.workqueue = OrderedDict((test, {test: False}) for test in tests[2:])
    groups._reschedule(node)
    assert groups.remove_node(node) == tests[1]
    assert sorted(groups.workqueue) == tests[2:]

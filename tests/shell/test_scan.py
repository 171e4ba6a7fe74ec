from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.findings.graph_defs import graph, node, writing
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A graph that writes a file."""
    path = tmp_path / "bad.pb"
    path.write_bytes(graph(node("x", "Placeholder"), *writing(), node("y", "Relu", "x", "^write")).SerializeToString())
    return str(path)


@pytest.fixture
def harmless(tmp_path: Path) -> str:
    """A graph that computes."""
    path = tmp_path / "good.pb"
    path.write_bytes(graph(node("x", "Placeholder"), node("y", "Relu", "x")).SerializeToString())
    return str(path)


def test_a_scan_fails_on_what_it_is_told_to_fail_on(
    hostile: str, harmless: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(["scan", hostile]) == command_line.DONE
    assert "WriteFile '/tmp/mark'" in capsys.readouterr().out
    assert command_line.run(["scan", hostile, "--fail-on", "medium"]) == command_line.DENIED
    assert command_line.run(["scan", harmless, "--fail-on", "low"]) == command_line.DONE
    assert command_line.run(["scan", harmless, "--fail-on", "grave"]) == command_line.WRONG_CALL


def test_a_scan_is_printed_as_sarif(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["scan", hostile, "--as", "sarif"]) == command_line.DONE
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    assert [each["level"] for each in log["runs"][0]["results"]] == ["error"]

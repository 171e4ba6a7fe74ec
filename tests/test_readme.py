"""The README's code runs in a real IPython, and what it says of commands and versions is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Feeds the cells, which come on standard input, to a shell as a notebook would, and stops at the first that fails.
RUN_CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for number, cell in enumerate(json.load(sys.stdin), start=1):
    if not shell.run_cell(cell, store_history=True).success:
        sys.exit(f"block {number} failed:\\n{cell}")
"""


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def markdown_table(text: str) -> list[list[str]]:
    """Return the cells of the first Markdown table in a text, header first, without the rule below it."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-: ")]


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_code_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_CELLS],
        input=json.dumps(blocks("python")),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_table_of_forms_is_the_computed_one() -> None:
    import tfmagic  # noqa: PLC0415 - the other tests here need only the text

    table = tfmagic.forms()
    shown = README.partition("<!-- forms")[2].partition("-->")[2].partition("<!-- /forms")[0]
    header, *rows = markdown_table(shown)
    computed = [[f"`{row.Index}`", *map(str, row[1:])] for row in table.itertuples()]
    assert header[1:] == [f"`{name}`" for name in table.columns]
    assert rows == computed


def test_every_verb_of_the_readme_is_a_magic_and_every_magic_is_in_the_readme() -> None:
    from tfmagic.commands import COMMANDS  # noqa: PLC0415 - the other tests here need only the text

    assert set(re.findall(r"^\| `%tf_(\w+)", README, flags=re.MULTILINE)) == set(COMMANDS)


def test_the_extras_and_the_versions_are_those_of_the_package() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(re.findall(r"pip install '\.\[(\w+)\]'", README)) <= set(extras)
    assert extras["tensorflow"] == ["tensorflow>=2.18,<2.22"]
    assert "TensorFlow 2.18 to 2.21" in README
    assert PROJECT["requires-python"] == ">=3.11"
    assert "Python 3.11 to 3.13" in README


def test_the_commands_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"`?\bmake (demo|test|lint|bench|clean|format)\b", README + contributing))
    assert {"demo", "test", "lint", "bench", "clean"} <= commands
    assert {command for command in commands if not re.search(rf"^{command}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_within_the_repository_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).exists()] == []

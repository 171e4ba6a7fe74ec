"""The README's code runs in a real IPython, and what it says of commands and versions is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import tfmagic
from tfmagic.commands.declarations import COMMANDS

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


#: How the README says that a form can become a format.
CELLS = {True: "yes", False: "no"}


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_code_runs(tmp_path: Path, ready_tensorflow: list[str]) -> None:
    done = subprocess.run(
        [*ready_tensorflow, "-c", RUN_CELLS],
        input=json.dumps(blocks("python")),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def forms_table() -> str:
    """Return `tfmagic.forms()` as the README shows it."""
    table = tfmagic.forms()
    columns = [table.index.name, *table.columns]
    rows = [columns, ["---"] * len(columns)]
    for row in table.itertuples():
        form, *cells = row
        rows.append([f"`{form}`", *(CELLS.get(cell, cell) for cell in cells)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def test_the_table_of_forms_is_the_computed_one() -> None:
    shown = README.partition("<!-- forms")[2].partition("-->\n")[2].partition("<!-- /forms")[0]
    assert shown.strip() == forms_table()


def test_every_verb_of_the_readme_is_a_magic_and_every_magic_is_in_the_readme() -> None:
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

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.utils.capture import capture_output

import tfmagic
from tests.conftest import ROOT
from tests.wire_samples import field, node
from tfmagic.commands import declarations
from tfmagic.display import render
from tfmagic.models.model import Model

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

GRAPH = field(1, node("x", "Placeholder")) + field(1, node("y", "Conv2D", "x"))


@pytest.fixture
def notebook(shell: InteractiveShell) -> InteractiveShell:
    """A shell in a directory with models, whose variables hold some too."""
    for path in ("graph.pb", "my graph.pb", "served/1/graph.pb", "model.pb", "twin"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(GRAPH)
    shell.user_ns |= {"model": tfmagic.inspect("graph.pb"), "twin": tfmagic.inspect("my graph.pb"), "number": 6}
    shell.user_ns["models"] = {"a b": shell.user_ns["model"], "list": [shell.user_ns["model"]]}
    shell.user_ns["path"] = "graph.pb"
    return shell


def run(shell: InteractiveShell, code: str) -> Any:
    """Run a cell that must succeed and return its value."""
    with capture_output() as captured:
        done = shell.run_cell(code)  # type: ignore[no-untyped-call]
    assert done.success, captured.stdout + captured.stderr
    return done.result


def refused(shell: InteractiveShell, code: str) -> str:
    """Run a cell that must fail and return what a person then reads."""
    with capture_output() as captured:
        done = shell.run_cell(code)  # type: ignore[no-untyped-call]
    assert not done.success
    return str(captured.stderr + captured.stdout)


def test_what_is_interrupted_says_so_in_one_line(shell: InteractiveShell, in_tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    shell.user_ns["stop"] = stop
    (in_tmp_path / "graph.pb").write_bytes(b"")
    assert refused(shell, "%tf_run graph.pb x=stop()").strip() == "KeyboardInterrupt: %tf_run was stopped"


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("graph.pb", "graph.pb"),
        ("./graph.pb", "graph.pb"),
        ("'my graph.pb'", "my graph.pb"),
        ('"my graph.pb"', "my graph.pb"),
        ("model", "graph.pb"),
        ("models['a b']", "graph.pb"),
        ('models["list"][0]', "graph.pb"),
        ("next(iter(models.values()))", "graph.pb"),
        ("path", "graph.pb"),
        ("('my ' + path)", "my graph.pb"),
        ("{path}", "graph.pb"),
        ("$path", "graph.pb"),
        ("'my {path}'", "my graph.pb"),
        ("./{path}", "graph.pb"),
        # A variable comes before a path, but what does not evaluate is a path.
        ("twin", "my graph.pb"),
        ("./twin", "twin"),
        ("'twin'", "twin"),
        ("model.pb", "model.pb"),
        ("served/1", "served/1/graph.pb"),
    ],
)
def test_what_a_source_means(source: str, origin: str, notebook: InteractiveShell) -> None:
    assert run(notebook, f"%tf_inspect {source}").origin == origin


def test_a_path_with_a_variables_name_in_it(notebook: InteractiveShell) -> None:
    notebook.user_ns["served"] = "text"
    assert run(notebook, "%tf_inspect served/1").origin == "served/1/graph.pb"
    assert "as an expression it raises TypeError" in refused(notebook, "%tf_inspect served/2")


def test_a_value_is_assigned_kept_and_nothing_is_printed(notebook: InteractiveShell) -> None:
    with capture_output() as captured:
        notebook.run_cell("found = %tf_inspect graph.pb")  # type: ignore[no-untyped-call]
    assert captured.stdout == ""
    assert isinstance(notebook.user_ns["found"], Model)
    ops = run(notebook, "ops = %tf_inspect graph.pb --ops\nops")
    assert ops["op"].tolist() == ["Placeholder", "Conv2D"]
    run(notebook, "%tf_inspect graph.pb --ops --op Conv")
    assert notebook.user_ns["_"]["name"].tolist() == ["y"]


def test_the_magic_is_the_function(notebook: InteractiveShell) -> None:
    assert repr(run(notebook, "%tf_inspect graph.pb")) == repr(tfmagic.inspect("graph.pb"))
    for table in ("ops", "functions", "signatures", "metagraphs", "assets"):
        theirs = getattr(tfmagic.inspect("graph.pb"), table)
        assert run(notebook, f"%tf_inspect graph.pb --{table}").equals(theirs)
    assert run(notebook, "%tf_forms").equals(tfmagic.forms())


def test_a_loop_can_hold_a_magic(notebook: InteractiveShell) -> None:
    loop = "for each in ['graph.pb', 'my graph.pb']:\n    one = %tf_inspect '{each}'\n    found.append(one.origin)"
    run(notebook, f"found = []\n{loop}")
    assert notebook.user_ns["found"] == ["graph.pb", "my graph.pb"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tf_inspect", "SOURCE"),
        ("tf_inspect missing.pb", "no file, directory or checkpoint 'missing.pb'"),
        ("tf_inspect grap.pb", "did you mean 'graph.pb'"),
        ("tf_inspect modle", "neither a variable nor a path 'modle'; did you mean 'model'"),
        ("tf_inspect number", "'builtins.int' is no model"),
        ("tf_inspect 'my ' + path", "unrecognized arguments: + path"),
        ("tf_inspect graph.pb --opps", "did you mean '--ops'"),
        ("tf_inspect graph.pb --layers", "layers"),
        ("tf_inspect graph.pb --ops --depth 2", "--depth belongs to --costs"),
        ("tf_inspect graph.pb --costs --depth 0", "--depth"),
        ("tf_inspect graph.pb --ops --op '('", "regular expression"),
        ("tf_inspect graph.pb --signature nothing --ops", "no signature 'nothing'"),
        ("tf_inspect graph.pb --form grap_def", "did you mean 'graph_def'"),
        ("tf_inspect 'graph.pb", "does not close"),
        ("tf_inspect models['nothing']", "raises KeyError"),
        ("tf_inspect 1/number-number/0", "raises ZeroDivisionError"),
        ("tf_export model", "DEST"),
        ("tf_export model out --input x", "KEY=TENSOR"),
        ("tf_forms more", "unrecognized arguments: more"),
    ],
)
def test_an_error_is_one_line_without_a_traceback(line: str, says: str, notebook: InteractiveShell) -> None:
    said = refused(notebook, f"%{line}")
    assert says in said
    assert said.startswith("UsageError: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_the_cause_of_a_usage_error_is_chained(notebook: InteractiveShell) -> None:
    with pytest.raises(Exception, match="no file") as raised:
        notebook.run_line_magic("tf_inspect", "missing.pb")
    assert type(raised.value).__name__ == "UsageError"
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_a_fault_of_ours_keeps_its_traceback(notebook: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmagic.verbs.inspect.inspect", lambda *_, **__: 1 / 0)
    assert "Traceback" in refused(notebook, "%tf_inspect graph.pb")


@pytest.mark.parametrize("name", declarations.COMMANDS)
def test_help_is_printed_and_is_no_value(name: str, notebook: InteractiveShell) -> None:
    with capture_output() as captured:
        done = notebook.run_cell(f"%tf_{name} --help")  # type: ignore[no-untyped-call]
    assert done.success
    assert done.result is None
    assert captured.stdout.startswith(f"usage: %tf_{name}")


@pytest.mark.parametrize("name", declarations.COMMANDS)
def test_the_docstring_shows_the_python_that_it_stands_for(name: str, notebook: InteractiveShell) -> None:
    found = notebook.object_inspect(f"%tf_{name}")  # type: ignore[no-untyped-call]
    assert found["found"]
    assert f"%tf_{name}" in found["docstring"]
    assert f"tfmagic.{name}(" in found["docstring"]
    assert declarations.COMMANDS[name].summary.startswith(found["docstring"].splitlines()[0].rstrip("."))
    with capture_output():
        assert notebook.run_cell(f"%tf_{name}?").success  # type: ignore[no-untyped-call]


def test_loading_again_is_loading_once(notebook: InteractiveShell) -> None:
    before = len(notebook.Completer.custom_matchers), len(notebook.configurables)
    run(notebook, "%load_ext tfmagic")
    run(notebook, "%reload_ext tfmagic")
    assert (len(notebook.Completer.custom_matchers), len(notebook.configurables)) == before
    assert run(notebook, "%tf_inspect model").form == "graph_def"


def test_unloading_leaves_nothing(shell: InteractiveShell) -> None:
    run(shell, "%unload_ext tfmagic")
    assert "not found" in refused(shell, "%tf_inspect graph.pb")
    magics = shell.magics_manager.magics
    assert not [name for kind in ("line", "cell") for name in magics[kind] if name.startswith("tf_")]
    assert not [each for each in shell.configurables if type(each).__module__.startswith("tfmagic")]
    assert not [each for each in shell.Completer.custom_matchers if type(each).__module__.startswith("tfmagic")]
    run(shell, "%load_ext tfmagic")
    assert "tf_inspect" in shell.magics_manager.magics["line"]


def test_every_command_has_its_magic_and_every_magic_its_command(shell: InteractiveShell) -> None:
    magics = {name.removeprefix("tf_") for name in shell.magics_manager.magics["line"] if name.startswith("tf_")}
    # %%tf_graph is a cell, and as a line it helps.
    assert magics == {*declarations.COMMANDS, "graph"}


def test_the_cell_of_version_1_has_help_too(shell: InteractiveShell) -> None:
    for line in ("%tf_graph --help", "%tf_graph -h", "%%tf_graph --help\n1 / 0"):
        with capture_output() as captured:
            done = shell.run_cell(line)  # type: ignore[no-untyped-call]
        assert done.success
        assert done.result is None
        assert captured.stdout.startswith("usage: %%tf_graph NAME")
        assert "tf.placeholder" in captured.stdout
    assert "is for a cell" in refused(shell, "%tf_graph net")


def displayed(shell: InteractiveShell, code: str) -> dict[str, str]:
    """Run a cell and return the forms of its value that a front end gets."""
    value = run(shell, code)
    forms, _ = shell.display_formatter.format(value)  # type: ignore[union-attr]
    return dict(forms)


def test_the_display_is_configured(notebook: InteractiveShell) -> None:
    assert run(notebook, "%config TfMagic.display") == "auto"
    assert set(displayed(notebook, "%tf_inspect model")) == {"text/plain", "text/html"}
    run(notebook, "%config TfMagic.display = 'text'")
    assert set(displayed(notebook, "%tf_inspect model")) == {"text/plain"}
    run(notebook, "%config TfMagic.display = 'html'")
    assert set(displayed(notebook, "%tf_inspect model")) == {"text/plain", "text/html"}
    with capture_output() as captured:
        notebook.run_cell("%config")  # type: ignore[no-untyped-call]
    assert captured.stdout.count("TfMagic") == 1
    run(notebook, "%config TfMagic.display = 'colour'")
    assert render.display.mode == "html"
    run(notebook, "%config TfMagic.display = 'auto'")
    assert render.display.mode == "auto"


def _printed(program: str, **environment: str) -> list[str]:
    """Return the words that a Python of its own prints, to which nothing of tfmagic was imported before."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)} | environment,
        cwd=ROOT,
    )
    return done.stdout.split()


def test_a_pipeline_sets_the_display_by_an_environment_variable() -> None:
    program = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("%load_ext tfmagic")  # type: ignore[no-untyped-call]
print(shell.run_cell("%config TfMagic.display").result)  # type: ignore[no-untyped-call]
"""
    for given, used in (("text", "text"), ("colour", "auto")):
        assert _printed(program, TFMAGIC_DISPLAY=given)[-1] == used


def test_loading_the_extension_imports_only_what_declares_the_magics() -> None:
    program = """
import sys
from IPython.core.interactiveshell import InteractiveShell
before = set(sys.modules)
InteractiveShell.instance().run_line_magic("load_ext", "tfmagic")
print(*(set(sys.modules) - before))
"""
    imported = set(_printed(program))
    assert "tfmagic.notebook" in imported
    heavy = {
        "google.protobuf",
        "numpy",
        "pandas",
        "h5py",
        "tensorflow",
        "ipywidgets",
        "anywidget",
        "tfmagic.models.model",
    }
    assert not imported & heavy


def test_the_text_of_a_notebooks_own_exception_does_not_run_over_lines(notebook: InteractiveShell) -> None:
    run(notebook, "def burst():\n    raise ValueError('first\\nsecond\\nthird')")
    said = refused(notebook, "%tf_inspect burst()")
    assert "first" in said
    assert said.count("\n") == 1

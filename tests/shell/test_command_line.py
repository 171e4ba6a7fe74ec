from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.wire_samples import attr, field, node
from tfmagic import __version__
from tfmagic.commands.declarations import COMMANDS
from tfmagic.files import protos
from tfmagic.shell import command_line

GRAPH = field(1, node("x", "Placeholder", attrs=attr("dtype", b"\x30\x01"))) + field(1, node("y", "Conv2D", "x"))


@pytest.fixture
def graph(in_tmp_path: Path) -> Path:
    """A graph in the working directory."""
    (in_tmp_path / "graph.pb").write_bytes(GRAPH)
    return in_tmp_path


def process(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a whole process, as a person at a shell does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "tfmagic", *words], env=environment, capture_output=True, check=False, **options
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "usage: tfmagic VERB"),
        (("frobnicate",), 2, "no verb 'frobnicate'"),
        (("inspekt",), 2, "did you mean 'inspect'?"),
        (("inspect",), 2, "arguments are required: SOURCE"),
        (("inspect", "graph.pb", "--oops"), 2, "did you mean '--ops', '--op'?"),
        (("inspect", "graph.pb", "--as", "yaml"), 2, "--as wants one of text, csv, json, markdown, html, svg"),
        (("inspect", "nothing"), 1, "there is no file"),
        (("catalog", ".", "--executor", "gpu"), 2, "--executor takes 'threads', 'processes' in the shell, not 'gpu'"),
        (("freeze", "graph.pb", "-o", "a.txt"), 1, "which no format goes by; did you mean '.pbtxt'?"),
        (("inspect", "graph.pb", "--layers"), 1, "Nothing makes layers of a graph"),
        (("inspect", "graph.pb", "--layers"), 1, "has no 'keras'"),
        (("inspect", "graph.pb", "--as", "csv"), 1, "CSV is for one table"),
        (("freeze", "graph.pb"), 2, "freeze wants -o in the shell"),
        (("run", "graph.pb", "x=open('/etc/passwd')"), 2, "is no value"),
        (("run", "graph.pb", "x=values.npy"), 2, "a file is given as @values.npy"),
        (("--versoin",), 2, "did you mean '--version'"),
        (("inspect", "graph.pb", "--as", "svg", "--ops"), 1, "leave the option out that asks for it"),
        (("export", "graph.pb", "there", "--format", "pb"), 1, "format='graph_def'"),
        (("run", "graph.pb", "x=@missing.npy"), 1, "No such file or directory: 'missing.npy'"),
        (("run", "graph.pb", "x=1", "x=2"), 2, "given twice"),
        (("run", "graph.pb", "--timeout", "0"), 2, "--timeout wants a number of seconds above 0, such as 30, not '0'"),
        (("verify", "-", "-"), 2, "only one source"),
        (("restore", "a", "b"), 2, "restore needs a notebook"),
        (("panel",), 2, "panel needs a notebook"),
        (("export", "graph.pb", "-", "--format", "saved_model"), 2, "standard output takes a format of one file"),
        (("export", "graph.pb", "out", "--signatures", "graph.pb"), 2, "one JSON object"),
    ],
)
def test_a_wrong_call_is_one_line_and_a_status(
    words: tuple[str, ...], status: int, said: str, graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GRAPH)))
        assert command_line.run(words) == status
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
    if words:
        assert printed.err.startswith("tfmagic: ")
        assert printed.err.count("\n") == 1
    assert [path.name for path in graph.iterdir()] == ["graph.pb"]


@pytest.mark.parametrize("verb", [name for name, command in COMMANDS.items() if not command.shell.absent])
def test_help_lists_every_option_of_the_declaration(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run([verb, "--help"]) == command_line.DONE
    told = capsys.readouterr().out
    assert told.startswith(f"usage: tfmagic {verb} ")
    assert all(flag in told for each in COMMANDS[verb].arguments for flag in each.flags)
    assert "notebook's variables" not in told
    assert "%tf_" not in told


def test_the_overview_has_every_verb_and_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["--help"]) == command_line.DONE
    told = capsys.readouterr().out
    assert all(command.summary in told for command in COMMANDS.values() if not command.shell.absent)
    assert command_line.run(["--version"]) == command_line.DONE
    assert capsys.readouterr().out == f"tfmagic {__version__}\n"


def test_what_comes_on_standard_input_is_a_source(
    graph: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del graph
    for more in ((), ("--form", "graph_def")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GRAPH)))
        assert command_line.run(["inspect", "-", "--ops", "--as", "json", *more]) == command_line.DONE
        assert [row["op"] for row in json.loads(capsys.readouterr().out)] == ["Placeholder", "Conv2D"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GRAPH)))
    assert command_line.run(["inspect", "-", "--as", "json"]) == command_line.DONE
    assert json.loads(capsys.readouterr().out)["origin"] == "standard input"


def test_an_interrupt_has_a_status_of_its_own(
    graph: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del graph

    class Interrupted(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Interrupted()))
    assert command_line.run(["inspect", "-"]) == command_line.INTERRUPTED
    assert capsys.readouterr().err == "tfmagic: interrupted\n"


def test_a_path_may_have_quotes_blanks_and_dashes_in_its_name(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("'quoted'", '"a b"', "-dash", "model", "$x{y}", "a,b=c"):
        (graph / "graph.pb").rename(graph / name)
        assert command_line.run(["inspect", f"./{name}", "--as", "json"]) == command_line.DONE
        assert json.loads(capsys.readouterr().out)["path"] == name
        (graph / name).rename(graph / "graph.pb")


def test_names_of_a_model_do_nothing_to_the_terminal(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;gone\x07\u202eevil|`<b>@team"
    (graph / "graph.pb").write_bytes(field(1, node(hostile, "Placeholder")))
    for format in ("text", "csv", "json", "markdown", "html"):
        assert command_line.run(["inspect", "graph.pb", "--ops", "--as", format]) == command_line.DONE
        printed = capsys.readouterr().out
        assert not {"\x1b", "\x07", "\u202e"}.intersection(printed)
        if format == "json":
            assert json.loads(printed)[0]["name"] == hostile
        if format in ("html", "markdown"):
            assert "<b>" not in printed


@pytest.mark.slow
def test_a_process_reads_pipes_and_writes_them(graph: Path) -> None:
    piped = process("inspect", "-", "--ops", "--as", "csv", input=GRAPH, cwd=graph)
    assert piped.stdout.decode().splitlines()[1].startswith(",x,Placeholder")
    assert (piped.returncode, piped.stderr) == (0, b"")
    narrow = process("inspect", "graph.pb", cwd=graph, env={"PYTHONIOENCODING": "ascii"})
    assert narrow.stdout.decode("ascii")
    full = process("inspect", "nothing", cwd=graph)
    assert (full.returncode, full.stdout) == (1, b"")


@pytest.mark.slow
def test_a_closed_pipe_is_silent(graph: Path) -> None:
    nodes = b"".join(field(1, node(f"n{index}", "NoOp")) for index in range(20_000))
    (graph / "graph.pb").write_bytes(nodes)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "tfmagic", "inspect", "graph.pb", "--ops"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=graph,
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_version_is_said_without_numpy() -> None:
    program = "import sys; from tfmagic.shell import command_line; command_line.run(['--version']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("tfmagic ")
    assert not {"numpy", "google.protobuf", "pandas"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "begin"),
    [(["inspect", "served", "--signatures"], "tags"), (["freeze", "served", "-o", "f.pb", "--no-verify"], "graph_def")],
)
def test_small_models_need_neither_pandas_nor_tensorflow(graph: Path, words: list[str], begin: str) -> None:
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = saved.meta_graphs.add(graph_def=protos.parse("GraphDef", GRAPH))
    # As TensorFlow writes it: what the graph's ops take.
    ops = meta_graph.meta_info_def.stripped_op_list.op
    ops.add(name="Placeholder")
    ops.add(name="Conv2D").input_arg.add(name="input", type=1)
    signature = meta_graph.signature_def["s"]
    signature.inputs["x"].name, signature.outputs["y"].name = "x:0", "y:0"
    (graph / "served").mkdir()
    (graph / "served" / "saved_model.pb").write_bytes(saved.SerializeToString())
    program = (
        "import sys; from tfmagic.shell import command_line;"
        "status = command_line.run(sys.argv[1:]);"
        "print(status, *sorted({'pandas', 'tensorflow', 'tqdm', 'IPython'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=graph,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.split() == ["0"]
    assert done.stdout.startswith(begin)


@pytest.mark.tensorflow
def test_a_single_file_goes_to_standard_output(
    samples: Any, in_tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = str(samples.path("graph_def"))
    words = ["freeze", source, "--inputs", "x", "--outputs", "y", "--no-verify"]
    assert command_line.run([*words, "-o", "frozen.pb"]) == command_line.DONE
    capfdbinary.readouterr()
    assert command_line.run([*words, "-o", "-"]) == command_line.DONE
    printed = capfdbinary.readouterr()
    assert printed.out == Path("frozen.pb").read_bytes()
    assert printed.err.startswith(b"tfmagic: ")
    assert [path.name for path in in_tmp_path.iterdir()] == ["frozen.pb"]


@pytest.mark.tensorflow
def test_what_libraries_log_of_themselves_is_kept_back_and_what_a_model_prints_is_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from tfmagic.runtime import native_log  # noqa: PLC0415 - the one test of it

    with native_log.kept_back():
        os.write(2, b"I0000 00:00:1796012739.024663   18326 port.cc:153] oneDNN\nprinted by a model\n")
        # In one piece: print writes the end of its line by itself, and the other lines come from a thread.
        sys.stderr.write("by Python\n")
        os.write(2, b"2026-11-30 04:00:00.1: W tensorflow/core/x.cc:1] hm\nno end")
    said = capfd.readouterr().err
    assert sorted(said.splitlines()) == sorted(["by Python", "printed by a model", "no end"])

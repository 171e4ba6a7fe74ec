"""A verb is the same through Python, a magic and the shell: one declaration, one result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from IPython.utils.capture import capture_output

import tfmagic
from tests.samples import network
from tfmagic.commands import arguments
from tfmagic.commands.declarations import COMMANDS
from tfmagic.shell import command_line, printing

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built

#: What is measured anew with each call; the size of a graph goes with the numbers that TensorFlow gives its functions.
# A SavedModel that is written gets a fingerprint of its own, whose numbers take a byte more or less.
MEASURED = frozenset({"seconds", "load_seconds", "first_seconds", "warm_seconds", "bytes", "bytes_after", "metagraphs"})
MAP = {"predict": {"inputs": {"images": "x:0"}, "outputs": {"scores": "y:0"}, "method": "predict"}}


class Case(NamedTuple):
    """A call: the words of its line behind the verb, what Python is called with, a map of signatures as its cell."""

    words: tuple[str, ...]
    call: Callable[[], Any]
    cell: Any = None


def select(table: str, name: str | None = None, op: str | None = None) -> Any:
    from tfmagic.models import selection  # noqa: PLC0415 - as the command does

    return selection.select(tfmagic.inspect("served"), table, name=name, op=op)


def verified() -> Any:
    return tfmagic.verify("served", "graph.pb", signature="serving_default")


CASES: dict[str, tuple[Case, ...]] = {
    "inspect": (
        Case(("served",), lambda: tfmagic.inspect("served")),
        Case(("served", "--signatures"), lambda: tfmagic.inspect("served").signatures),
        Case(("served", "--variables", "--name", "kernel"), lambda: select("variables", "kernel")),
        Case(("served", "--ops", "--op", "MatMul"), lambda: select("ops", op="MatMul")),
    ),
    "forms": (Case((), tfmagic.forms),),
    "scan": (Case(("served",), lambda: tfmagic.scan("served")),),
    "catalog": (
        Case(("served", "graph.pb"), lambda: tfmagic.catalog("served", "graph.pb")),
        Case(
            ("served", "*.pb", "--read-weights", "--executor", "threads", "-o", "OUT.csv"),
            lambda: tfmagic.catalog("served", "*.pb", read_weights=True, output="python.csv"),
        ),
    ),
    "slim": (
        Case(("served", "--retain", "debug,assets"), lambda: tfmagic.slim("served", retain=["debug", "assets"])),
        Case(("served", "OUT", "--no-verify"), lambda: tfmagic.slim("served", "python", verify=False)),
    ),
    "freeze": (
        Case(("served", "-o", "OUT.pb"), lambda: tfmagic.freeze("served", output="python.pb")),
        Case(
            ("served", "-o", "OUT-small.pb", "--optimize"),
            lambda: tfmagic.freeze("served", output="python-small.pb", optimize=True),
        ),
        Case(
            ("graph.pb", "--inputs", "x", "--outputs", "hidden,y", "-o", "OUT.pbtxt", "--no-verify"),
            lambda: tfmagic.freeze(
                "graph.pb", inputs=["x"], outputs=["hidden", "y"], output="python.pbtxt", verify=False
            ),
        ),
    ),
    "export": (
        Case(("served", "OUT", "--no-verify"), lambda: tfmagic.export("served", "python", verify=False)),
        Case(
            ("served", "OUT-small", "--optimize"),
            lambda: tfmagic.export("served", "python-small", optimize=True),
        ),
        Case(("graph.pb", "OUT-signed"), lambda: tfmagic.export("graph.pb", "python-signed", signatures=MAP), cell=MAP),
    ),
    "run": (
        Case(
            ("served", "x=[[1.0, 2.0, 3.0, 4.0]]", "--timeout", "600"),
            # Once before: a model that stays loaded is noted.
            lambda: [tfmagic.run("served", {"x": [[1.0, 2.0, 3.0, 4.0]]}, timeout=600) for _ in range(2)][1],
        ),
    ),
    "verify": (Case(("served", "graph.pb", "--signature", "serving_default"), verified),),
    "merge": (
        Case(
            ("served", "other", "--connect", "y=y2", "-o", "OUT", "--no-verify"),
            lambda: tfmagic.merge("served", "other", connect={"y": "y2"}, output="python", verify=False),
        ),
    ),
    "sign": (
        Case(
            ("served", "OUT", "--rename", "serving_default=predict", "--no-verify"),
            lambda: tfmagic.sign("served", "python", rename={"serving_default": "predict"}, verify=False),
        ),
    ),
}


SAMPLES = np.linspace(-1, 1, 80, dtype=np.float32).reshape(20, 4)


@pytest.mark.tensorflow
def test_samples_are_an_expression_or_a_file(
    models: Path, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("samples.npy", SAMPLES)
    np.savez("samples.npz", x=SAMPLES, unused=SAMPLES)
    np.savez("one.npz", x=SAMPLES)
    python = told(as_json(tfmagic.export("served", "python.tflite", quantize="int8", samples=SAMPLES)), "python")
    for place in ("samples.npy", "one.npz"):
        line = ["export", "served", "shell.tflite", "--quantize", "int8", "--samples", f"@{place}", "--as", "json"]
        assert command_line.run([*line, "--overwrite"]) == command_line.DONE
        assert told(capsys.readouterr().out, "shell") == python
    assert (models / "shell.tflite").read_bytes() == (models / "python.tflite").read_bytes()
    line = ["export", "served", "no.tflite", "--quantize", "int8", "--samples"]
    assert command_line.run([*line, "@samples.npz"]) == command_line.FAILED
    assert "'unused'" in capsys.readouterr().err
    assert command_line.run([*line[:-1]]) == command_line.FAILED
    assert "--samples EXPR" in capsys.readouterr().err
    assert command_line.run([*line[:-2], "int7"]) == command_line.FAILED
    assert "did you mean 'int8'" in capsys.readouterr().err
    shell.user_ns["photos"] = SAMPLES
    code = "%tf_export served magic.tflite --quantize int8 --samples photos[:]"
    with capture_output() as captured:
        done = shell.run_cell(code)  # type: ignore[no-untyped-call]
    assert done.success, captured.stdout + captured.stderr
    assert told(as_json(done.result), "magic") == python
    assert not (models / "no.tflite").exists()


def lines() -> list[Any]:
    """Return each verb of the shell with its cases; one that nobody wrote any for is called on a source alone."""
    found = []
    for verb, command in COMMANDS.items():
        sources = tuple("served" for each in command.arguments if each.kind == arguments.SOURCE)
        plain = Case(sources, lambda verb=verb, sources=sources: getattr(tfmagic, verb)(*sources))  # type: ignore[misc]
        if not command.shell.absent:
            found += [pytest.param(verb, each, id=" ".join([verb, *each.words])) for each in CASES.get(verb, (plain,))]
    return found


def told(text: str, place: str) -> Any:
    """Return what the JSON of a result says, less what is measured and the name of the place that was written to."""
    plain = json.loads(text.replace(place, "PLACE"))
    return {key: value for key, value in plain.items() if key not in MEASURED} if isinstance(plain, dict) else plain


def as_json(result: Any) -> str:
    return printing.printed(result, "json", COMMANDS["forms"])


@pytest.fixture
def models(samples: Built, in_tmp_path: Path) -> Path:
    """The working directory, with models under short names."""
    paths = {
        "served": samples.path("saved_model_tf2"),
        "graph.pb": samples.path("graph_def"),
        "other": half(samples.directory / "half"),
    }
    for name, path in paths.items():
        Path(name).symlink_to(path)
    return in_tmp_path


def half(path: Path) -> Path:
    """Return a model that takes what the sample gives."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who builds should take

    class Half(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="y2")])  # type: ignore[untyped-decorator]
        def __call__(self, y2: Any) -> Any:
            return {"z": y2 / 2}

    if not path.exists():
        tf.saved_model.save(Half(), str(path))
    return path


@pytest.mark.tensorflow
@pytest.mark.parametrize(("verb", "case"), lines())
def test_a_verb_gives_the_same_through_python_a_magic_and_the_shell(
    verb: str, case: Case, models: Path, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    python = told(as_json(case.call()), "python")
    words = [verb, *(word.replace("OUT", "shell") for word in case.words), "--as", "json"]
    if case.cell is not None:
        (models / "map.json").write_text(json.dumps(case.cell), encoding="utf-8")
        words += ["--signatures", "map.json"]
    capsys.readouterr()
    status = command_line.run(words)
    printed = capsys.readouterr()
    assert (status, printed.err) == (command_line.DONE, "")
    assert told(printed.out, "shell") == python

    line = " ".join([verb, *case.words]).replace("OUT", "magic")
    code = f"%tf_{line}" if case.cell is None else f"%%tf_{line}\n{case.cell!r}"
    with capture_output() as captured:
        done = shell.run_cell(code)  # type: ignore[no-untyped-call]
    assert done.success, captured.stdout + captured.stderr
    assert told(as_json(done.result), "magic") == python


@pytest.mark.tensorflow
def test_what_was_written_is_the_same_bytes(models: Path) -> None:
    tfmagic.freeze("served", output="python.pb", verify=False)
    assert command_line.run(["freeze", "served", "-o", "shell.pb", "--no-verify"]) == command_line.DONE
    assert (models / "shell.pb").read_bytes() == (models / "python.pb").read_bytes()


@pytest.mark.tensorflow
def test_the_outputs_of_a_run_are_kept(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.save("x.npy", x)
    np.savez("both.npz", x=x, other=np.zeros(3))
    for given in ("x=@x.npy", "x=@both.npz", f"x={x.tolist()}"):
        assert command_line.run(["run", "served", given, "-o", "out.npz", "--overwrite"]) == command_line.DONE
        with np.load(models / "out.npz", allow_pickle=False) as kept:
            np.testing.assert_allclose(kept["y"], network(x), rtol=1e-6)
    assert command_line.run(["run", "served", "-o", "out.npz"]) == command_line.FAILED
    assert command_line.run(["run", "served", "-o", "out.csv"]) == command_line.FAILED
    said = capsys.readouterr().err.splitlines()
    assert "exists" in said[0]
    assert "'.npz'" in said[1]
    assert len(said) == 2


@pytest.mark.tensorflow
def test_the_answer_may_be_no(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        tf.add(x[:, :2], 1.0, name="y")
    (models / "wrong.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert command_line.run(["verify", "served", "wrong.pb", "--as", "csv"]) == command_line.DENIED
    assert capsys.readouterr().out.splitlines()[1].startswith("y,")

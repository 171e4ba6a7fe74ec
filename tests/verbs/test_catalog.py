from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import tfmagic
from tests.conftest import ROOT
from tests.findings.graph_defs import function, graph, node, writing
from tests.verbs.cataloguing import trees
from tfmagic import errors, frames
from tfmagic.notebook.panel import catalog_words
from tfmagic.verbs.cataloguing import outputs, tasks

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built

#: DESIGN section 5.
COLUMNS = [
    *("address", "form", "error", "stamp", "bytes", "created", "tensorflow_version", "keras_version", "tags"),
    *("signatures", "parameters", "families", "severity", "structure", "weights", "formats"),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    trees.saved_model(place / "served" / "1")
    trees.checkpoint(place / "training" / "ckpt-1")
    trees.frozen(place / "frozen.pb")
    (place / "broken.keras").write_bytes(b"")
    (place / "README.md").write_text("# Models\n")
    (place / "notes").write_text("no model")
    return place


def test_a_dtype_that_only_tracing_tells_is_null(tmp_path: Path) -> None:
    twice = {"class_name": "Lambda", "config": {"name": "twice", "function": {"class_name": "__lambda__"}}}
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4], "dtype": "float32"}}
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": [first, twice]}}
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
    (signature,) = json.loads(tfmagic.catalog(tmp_path)["signatures"][0])
    assert signature["inputs"] == {"x": {"dtype": "float32", "shape": [None, 4]}}
    assert signature["outputs"] == {"twice": {"dtype": None, "shape": None}}
    assert "twice (not known)" in str(catalog_words.in_words("signatures", json.dumps([signature])))


def test_functions_that_call_one_another_twice_have_a_row_without_a_structure(tmp_path: Path) -> None:
    """Without a single op they would run 2^60 bodies."""

    def twice(body: str, argument: str) -> list[Any]:
        return [node("a", "PartitionedCall", argument, f=body), node("b", "PartitionedCall", "a:output:0", f=body)]

    functions = [function(f"f{number}", ["x"], *twice(f"f{number + 1}", "x")) for number in range(60)]
    functions.append(function("f60", ["x"], node("b", "Identity", "x")))
    for each in functions:
        each.signature.output_arg.add().name = "y"
        each.ret["y"] = "b:output:0"
    message = graph(node("x", "Placeholder"), node("y", "PartitionedCall", "x", f="f0"), functions=functions)
    (tmp_path / "twice.pb").write_bytes(message.SerializeToString())
    (row,) = tfmagic.catalog(tmp_path).to_dict("records")
    assert (row["form"], row["structure"]) == ("graph_def", None)


def by_name(frame: pd.DataFrame) -> dict[str, Any]:
    return {Path(row["address"]).name: row for row in frame.to_dict("records")}


def test_each_model_is_a_row_with_what_it_is(place: Path) -> None:
    frame = tfmagic.catalog(place)
    assert list(frame.columns) == COLUMNS
    assert [str(dtype) for dtype in frame[["bytes", "parameters"]].dtypes] == ["Int64", "Int64"]
    rows = by_name(frame)
    assert list(rows) == ["broken.keras", "frozen.pb", "1", "ckpt-1"]
    served = rows["1"]
    assert (served["form"], served["error"], served["tensorflow_version"]) == ("saved_model", None, "1.15.0")
    assert json.loads(served["tags"]) == [["serve"]]
    assert json.loads(served["signatures"]) == [
        {
            "tags": "serve",
            "signature": "serving_default",
            "method": "tensorflow/serving/predict",
            "inputs": {"x": {"dtype": "float32", "shape": [None, 4]}},
            "outputs": {"y": {"dtype": "float32", "shape": None}},
        }
    ]
    assert (served["parameters"], served["severity"]) == (12, "clean")
    assert served["bytes"] == sum(file.stat().st_size for file in (place / "served").rglob("*") if file.is_file())
    assert {"matrix": 1, "activation": 1}.items() <= json.loads(served["families"]).items()
    assert {"saved_model", "graph_def", "tflite"} <= set(json.loads(served["formats"]))
    assert json.loads(rows["ckpt-1"]["formats"]) == ["checkpoint", "weights"] or rows["ckpt-1"]["formats"]
    assert served["created"].endswith("Z")
    assert rows["broken.keras"]["error"].startswith(f"{str(place / 'broken.keras')!r} is no model")
    assert rows["broken.keras"]["form"] is None


def test_nothing_there_is_a_table_with_its_columns(tmp_path: Path) -> None:
    frame = tfmagic.catalog(tmp_path)
    assert (list(frame.columns), len(frame)) == (COLUMNS, 0)
    with pytest.raises(errors.TfMagicError, match="needs a place"):
        tfmagic.catalog()


def test_weights_are_found_under_any_names(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "first", seed=1)
    trees.saved_model(tmp_path / "renamed", seed=1, scope="other/name")
    trees.checkpoint(tmp_path / "ckpt", seed=1, scope="third")
    trees.saved_model(tmp_path / "trained", seed=2)
    trees.saved_model(tmp_path / "wider", seed=1, units=5)
    rows = by_name(tfmagic.catalog(tmp_path))
    assert rows["first"]["weights"] == rows["renamed"]["weights"] == rows["ckpt"]["weights"] is not None
    assert len({rows[name]["weights"] for name in ("first", "trained", "wider")}) == 3
    assert rows["first"]["structure"] == rows["renamed"]["structure"] == rows["trained"]["structure"] is not None
    assert rows["wider"]["structure"] != rows["first"]["structure"]


def test_no_shard_is_read_for_it(tmp_path: Path) -> None:
    prefix = trees.checkpoint(tmp_path / "ckpt")
    before = tfmagic.catalog(tmp_path)["weights"].tolist()
    shard = prefix.with_name("ckpt.data-00000-of-00001")
    shard.write_bytes(bytes(shard.stat().st_size))
    assert tfmagic.catalog(tmp_path)["weights"].tolist() == before


@pytest.mark.tensorflow
def test_what_was_made_of_a_model_has_its_fingerprints(samples: Built, tmp_path: Path) -> None:
    served = samples.path("saved_model_tf2")
    shutil.copytree(served, tmp_path / "copy")
    tfmagic.export(served, tmp_path / "again", verify=False)
    tfmagic.freeze(served, output=tmp_path / "frozen.pb", verify=False)
    frame = by_name(tfmagic.catalog(tmp_path))
    assert frame["frozen.pb"]["weights"] is None
    rows = by_name(tfmagic.catalog(tmp_path, read_weights=True))
    assert {row["error"] for row in rows.values()} == {None}
    assert len({row["structure"] for row in rows.values()}) == 1
    assert len({row["weights"] for row in rows.values()}) == 1


@pytest.mark.tensorflow
def test_a_keras_file_has_the_weights_of_its_export(samples: Built, tmp_path: Path) -> None:
    keras_file = samples.path("keras_archive")
    shutil.copy(keras_file, tmp_path / "m.keras")
    tfmagic.export(keras_file, tmp_path / "served", verify=False)
    rows = by_name(tfmagic.catalog(tmp_path, read_weights=True))
    assert rows["m.keras"]["weights"] == rows["served"]["weights"] is not None
    assert rows["m.keras"]["keras_version"]
    assert {"matrix": 2}.items() <= json.loads(rows["m.keras"]["families"]).items()


@pytest.mark.tensorflow
def test_every_form_on_disk_has_a_row_without_an_error(samples: Built) -> None:
    from tests.samples import SAMPLES  # noqa: PLC0415 - with what it lists

    for name, sample in SAMPLES.items():
        if sample.is_file:
            task = tasks.Task(str(samples.path(name)), "", None, 0, is_certain=True, reads_weights=True)
            row = tasks.row(task)
            assert row is not None
            assert (row.form, row.error) == (sample.form, None), name
            assert row.formats is not None


def test_two_runs_give_the_same_rows_in_the_same_order(place: Path) -> None:
    first, second = tfmagic.catalog(place), tfmagic.catalog(place)
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_are_written_and_go_on(place: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    odd = trees.frozen(place / "=1+1\n'x', \"y\".pb")
    output = tmp_path / f"out{suffix}"
    frame = tfmagic.catalog(place, output=output)
    written = output.read_bytes()
    with pytest.raises(errors.WriteError, match="exists"):
        tfmagic.catalog(place, output=output)
    tfmagic.catalog(place, output=output, overwrite=True)
    assert output.read_bytes() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, "place"]

    read: list[str] = []
    work = tasks.row

    def noted(task: tasks.Task) -> frames.CatalogRow | None:
        read.append(task.address)
        return work(task)

    monkeypatch.setattr(tasks, "row", noted)
    for previous in (output, frame):
        read.clear()
        pd.testing.assert_frame_equal(tfmagic.catalog(place, previous=previous), frame)
        # What had an error is tried again.
        assert sorted(read) == [str(place / "broken.keras"), str(place / "notes")]
    trees.saved_model(place / "served" / "2", seed=5)
    trees.frozen(odd, *writing())
    read.clear()
    again = tfmagic.catalog(place, previous=output, output=output, overwrite=True)
    assert set(read) == {str(odd), str(place / "broken.keras"), str(place / "notes"), str(place / "served" / "2")}
    assert by_name(again)[odd.name]["severity"] == "medium"
    pd.testing.assert_frame_equal(again, tfmagic.catalog(place))


def test_weights_are_read_where_an_earlier_catalogue_did_not(place: Path) -> None:
    trees.frozen(place / "weights.pb")
    earlier = tfmagic.catalog(place)
    pd.testing.assert_frame_equal(
        tfmagic.catalog(place, previous=earlier, read_weights=True), tfmagic.catalog(place, read_weights=True)
    )


def test_what_is_no_catalogue_is_told(place: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.jsonl").write_text("[1]\n")
    for name in ("other.csv", "other.jsonl"):
        with pytest.raises(errors.CorruptSourceError, match="no catalogue"):
            tfmagic.catalog(place, previous=tmp_path / name)
    with pytest.raises(errors.ReadError, match="previous="):
        tfmagic.catalog(place, previous=pd.DataFrame({"address": ["x"]}))
    with pytest.raises(errors.WriteError, match=r"\.csv, \.jsonl"):
        tfmagic.catalog(place, output=tmp_path / "out.xlsx")


def test_a_table_of_a_killed_run_is_gone_on_from(place: Path, tmp_path: Path) -> None:
    for suffix in (".csv", ".jsonl"):
        output = tmp_path / f"out{suffix}"
        frame = tfmagic.catalog(place, output=output)
        unfinished = tmp_path / f"out.unfinished{suffix}"
        unfinished.write_bytes(output.read_bytes()[:-20])
        pd.testing.assert_frame_equal(tfmagic.catalog(place, previous=unfinished), frame)
        again = tfmagic.catalog(place, previous=unfinished, output=output, overwrite=True)
        pd.testing.assert_frame_equal(again, frame)
        assert not unfinished.exists()


def test_what_python_takes_for_a_long_cell_is_as_before(place: Path, tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    output = tmp_path / "out.csv"
    frame = tfmagic.catalog(place).assign(signatures="x" * (2 * limit))
    frame.to_csv(output, index=False)
    assert set(tfmagic.catalog(place, previous=output)["signatures"].dropna()) == {"x" * (2 * limit)}
    assert csv.field_size_limit() == limit


def test_a_place_that_is_not_there_leaves_an_unfinished_table_as_it_was(tmp_path: Path) -> None:
    unfinished = tmp_path / "out.unfinished.csv"
    unfinished.write_bytes(b"rows")
    with pytest.raises(FileNotFoundError):
        tfmagic.catalog(tmp_path / "nowhere", output=tmp_path / "out.csv")
    assert unfinished.read_bytes() == b"rows"
    assert not (tmp_path / "out.csv").exists()


def test_an_interrupt_leaves_what_was_finished(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.csv"
    output.write_text("the old one")
    frame = tfmagic.catalog(place)
    work = tasks.row

    def stopped(task: tasks.Task) -> frames.CatalogRow | None:
        if task.address.endswith("1"):
            raise KeyboardInterrupt
        return work(task)

    monkeypatch.setattr(tasks, "row", stopped)
    with pytest.raises(KeyboardInterrupt):
        tfmagic.catalog(place, output=output, overwrite=True)
    monkeypatch.undo()
    assert output.read_text() == "the old one"
    again = tfmagic.catalog(place, previous=tmp_path / "out.unfinished.csv")
    pd.testing.assert_frame_equal(again, frame)


def test_a_run_that_goes_on_and_is_stopped_loses_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, unfinished = tmp_path / "out.jsonl", tmp_path / "out.unfinished.jsonl"
    frame = tfmagic.catalog(place, output=output)
    output.rename(unfinished)
    (place / "served" / "1" / "saved_model.pb").touch()

    def stopped(task: tasks.Task) -> frames.CatalogRow | None:
        if task.address.endswith("served/1"):
            raise KeyboardInterrupt
        return tasks.unread(task, "")

    monkeypatch.setattr(tasks, "row", stopped)
    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        tfmagic.catalog(place, previous=unfinished, output=output, executor=executor)
    left = {json.loads(line)["address"] for line in unfinished.read_text().splitlines()}
    assert left >= set(frame["address"]) - {str(place / "served" / "1")} - {str(place / "broken.keras")}


#: Goes on from what a run left, and is killed where it reads the model that was written again.
KILLED = """
import os, signal, sys, tfmagic
from tfmagic.verbs.cataloguing import tasks
work = tasks.row

def killed(task):
    if task.address.endswith("served/1"):
        os.kill(os.getpid(), signal.SIGKILL)
    return work(task)

tasks.row = killed
place, previous, output = sys.argv[1:]
tfmagic.catalog(place, previous=previous, output=output)
"""


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_run_that_goes_on_may_be_killed_again_and_again(place: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    output, unfinished = tmp_path / f"out{suffix}", tmp_path / f"out.unfinished{suffix}"
    addresses = set(tfmagic.catalog(place, output=output)["address"])
    output.rename(unfinished)
    (place / "served" / "1" / "saved_model.pb").touch()
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", KILLED, place, unfinished, output], check=False, cwd=ROOT)
        assert done.returncode == -signal.SIGKILL
        assert {row.address for row in outputs.rows_of(unfinished)} == addresses
        assert not output.exists()
    again = tfmagic.catalog(place, previous=unfinished, output=output)
    pd.testing.assert_frame_equal(again, tfmagic.catalog(place))
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, "place"]


def test_of_two_runs_to_one_output_the_first_is_done(place: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    tfmagic.catalog(place, output=tmp_path / "other.csv")
    rows = list(outputs.rows_of(tmp_path / "other.csv"))
    with outputs.Output(output, overwrite=False) as first:
        first.write(rows[0])
        with pytest.raises(errors.WriteError, match=r"another run is writing .*out\.unfinished\.csv"):
            tfmagic.catalog(place, output=output)
    assert [row.address for row in outputs.rows_of(output)] == [rows[0].address]
    with (  # noqa: PT012 - the error comes at the end of the block
        pytest.raises(errors.WriteError, match="another run"),
        outputs.Output(output, overwrite=True) as first,
    ):
        first.write(rows[0])
        # As where there are no locks.
        first.unfinished.unlink()
        first.unfinished.write_text("half of it")
    assert [row.address for row in outputs.rows_of(output)] == [rows[0].address]


def test_a_model_that_no_reader_expects_is_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("tfmagic.verbs.cataloguing.structures.fingerprint", failing)
    monkeypatch.setattr("tfmagic.verbs.cataloguing.weights.fingerprint", failing)
    rows = by_name(tfmagic.catalog(place))
    assert rows["ckpt-1"]["error"] == "ZeroDivisionError: of all things"
    assert rows["ckpt-1"]["parameters"] == 12


def test_the_magic_gives_the_same(place: Path, shell: InteractiveShell) -> None:
    shell.user_ns["here"] = place
    done = shell.run_cell("table = %tf_catalog {here} --executor threads")  # type: ignore[no-untyped-call]
    assert done.success
    pd.testing.assert_frame_equal(shell.user_ns["table"], tfmagic.catalog(place))
    with pytest.raises(Exception, match="no executor"):
        shell.run_line_magic("tf_catalog", f"{place} --executor 5")


def test_names_of_a_stranger_reach_no_terminal_and_no_page_as_they_are(tmp_path: Path) -> None:
    trees.frozen(tmp_path / "\x1b[31m<b>\u202e.pb")
    (tmp_path / "bytes\udcff.pb").write_bytes(b"")
    frame: Any = tfmagic.catalog(tmp_path, output=tmp_path / "out.csv")
    for shown in (repr(frame), frame._repr_html_()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<b>" not in frame._repr_html_()
    assert len(tfmagic.catalog(tmp_path, previous=tmp_path / "out.csv")) == 2


def test_tensorflow_is_not_imported(place: Path) -> None:
    program = (
        "import sys, tfmagic; frame = tfmagic.catalog(sys.argv[1], read_weights=True); "
        "print(len(frame), *sorted({'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(place)], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == (["4"], 0), done.stderr

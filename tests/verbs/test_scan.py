from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests import checkpoint_samples
from tests.findings.graph_defs import graph, node, text, writing
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

COLUMNS = ["severity", "what", "where", "fires", "why"]


def graph_file(path: Path, *nodes: Any) -> Path:
    path.write_bytes(graph(node("x", "Placeholder"), *nodes).SerializeToString())
    return path


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    return graph_file(tmp_path / "bad.pb", *writing(), node("y", "Relu", "x", "^write"))


@pytest.fixture
def harmless(tmp_path: Path) -> Path:
    return graph_file(tmp_path / "good.pb", node("r", "RandomUniform", "x"), node("y", "Relu", "r"))


def test_a_harmless_model_is_an_empty_table_with_its_columns(harmless: Path) -> None:
    result = tfmagic.scan(harmless)
    assert list(result.table.columns) == COLUMNS
    assert (len(result.table), result.severity) == (0, "clean")
    assert result.verdict.startswith("clean")
    assert list(tfmagic.scan(harmless, all=True).table["severity"]) == ["info"]
    assert tfmagic.scan(harmless, all=True).severity == "clean"


def test_a_hostile_model_is_told_with_its_file(hostile: Path) -> None:
    result = tfmagic.scan(hostile)
    assert list(result.table.iloc[0])[:4] == [
        "high", "writes files: WriteFile '/tmp/mark'", "the graph: node 'write'", "run",
    ]  # fmt: skip
    assert result.severity == "high"
    assert "\n" not in result.verdict
    assert "'/tmp/mark'" in result.verdict
    assert "'/tmp/mark'" in repr(result)
    assert "&#x27;/tmp/mark&#x27;" in result._repr_html_()


def test_the_magic_gives_the_same(hostile: Path, shell: InteractiveShell) -> None:
    done = shell.run_cell(f"scanned = %tf_scan {hostile}")  # type: ignore[no-untyped-call]
    assert done.success
    assert shell.user_ns["scanned"].table.equals(tfmagic.scan(hostile).table)


def test_it_reaches_what_is_as_grave_or_less(hostile: Path, harmless: Path) -> None:
    assert tfmagic.scan(hostile).reaches("low")
    assert tfmagic.scan(hostile).reaches("high")
    assert not tfmagic.scan(harmless).reaches("low")
    with pytest.raises(errors.UnknownNameError, match="medium"):
        tfmagic.scan(harmless).reaches("grave")


def test_a_sarif_log_has_a_result_for_each_row(hostile: Path) -> None:
    result = tfmagic.scan(hostile)
    (run,) = json.loads(result.sarif())["runs"]
    assert [each["level"] for each in run["results"]] == ["error"]
    assert {each["ruleId"] for each in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == str(hostile)


def test_the_summary_bears_the_verdict(hostile: Path, harmless: Path) -> None:
    assert "scan: high" in repr(tfmagic.inspect(hostile))
    assert "scan: clean" in repr(tfmagic.inspect(harmless))
    assert "scan:" not in repr(tfmagic.inspect(graph(node("y", "Const"))))


def test_a_summary_of_a_large_graph_says_how_to_scan_it(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfmagic.display import summary  # noqa: PLC0415 - its limit is lowered here

    monkeypatch.setattr(summary, "_SCANNED_NODES", 1)
    # Below a short path: what a cell cannot hold is cut.
    monkeypatch.chdir(hostile.parent)
    assert f"%tf_scan {hostile.name}" in repr(tfmagic.inspect(hostile.name))


def test_both_messages_of_a_saved_model_are_looked_at(tmp_path: Path) -> None:
    for name, nodes in (("saved_model.pb", ()), ("saved_model.pbtxt", writing())):
        message = protos.message("SavedModel")(saved_model_schema_version=1)
        meta_graph = message.meta_graphs.add(graph_def=graph(node("x", "Placeholder"), *nodes))
        meta_graph.meta_info_def.tags.append("serve")
        meta_graph.collection_def["saved_model_main_op"].node_list.value.append("write")
        data = protos.to_text(message).encode() if name.endswith("txt") else message.SerializeToString()
        (tmp_path / name).write_bytes(data)
    (row,) = tfmagic.scan(tmp_path).table.to_dict("records")
    assert (row["severity"], row["fires"]) == ("high", "load")
    assert str(row["where"]).startswith("saved_model.pbtxt, MetaGraph 'serve'")


def test_a_link_that_leads_out_is_low_and_followed(tmp_path: Path) -> None:
    outside = tmp_path / "blob"
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    message.meta_graphs.add(graph_def=graph(node("x", "Placeholder"))).meta_info_def.tags.append("serve")
    outside.write_bytes(message.SerializeToString())
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "saved_model.pb").symlink_to(outside)
    result = tfmagic.scan(tmp_path / "m")
    assert (result.severity, len(result.table)) == ("low", 1)
    assert str(outside) in result.verdict
    assert any("blob" in note for note in tfmagic.inspect(tmp_path / "m").notes)


def test_a_state_file_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "../../other/m.ckpt"\n')
    assert tfmagic.scan(tmp_path).severity == "medium"


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes among its files")
def test_a_pipe_among_the_files_of_a_model_is_told_and_not_waited_for(tmp_path: Path) -> None:
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    message.meta_graphs.add(graph_def=graph(node("x", "Placeholder"))).meta_info_def.tags.append("serve")
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    os.mkfifo(tmp_path / "variables" / "variables.index")
    result = tfmagic.scan(tmp_path)
    assert result.severity == "medium"
    assert "a named pipe in the place of a file" in result.verdict
    with pytest.raises(errors.ReadError, match="is a named pipe, which would keep whoever loads the model waiting"):
        tfmagic.inspect(tmp_path).part(Part.FUNCTION)(None)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes among its files")
def test_a_pipe_in_the_place_of_a_state_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(errors.UnrecognizedSourceError):
        tfmagic.scan(tmp_path)


def test_what_is_damaged_and_no_more_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_bytes(b"\x00\x01nothing")
    with pytest.raises(errors.UnrecognizedSourceError):
        tfmagic.scan(tmp_path / "m.pb")
    with pytest.raises(FileNotFoundError):
        tfmagic.scan(tmp_path / "nowhere")


def test_names_of_a_model_reach_no_terminal_as_they_are(tmp_path: Path) -> None:
    path = graph_file(tmp_path / "m.pb", text("p", b"/tmp/\x1b[31m"), node("w\u202e<b>", "WriteFile", "p", "p"))
    result = tfmagic.scan(path)
    table: Any = result.table
    for shown in (repr(result), result._repr_html_(), repr(table), table._repr_html_()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<b>" not in result._repr_html_() + table._repr_html_()


def test_a_name_of_a_megabyte_makes_no_line_long(tmp_path: Path) -> None:
    path = graph_file(tmp_path / "m.pb", text("p", b"x" * 1_000_000), node("w" * 1_000_000, "WriteFile", "p", "p"))
    result = tfmagic.scan(path)
    assert all(len(shown) < 5_000 for shown in (result.verdict, repr(result), result._repr_html_(), result.sarif()))


BOMBS = {
    "ends behind the shard": (checkpoint_samples.entry((2,), bytes(8)), {"offset": 1 << 30}, "of a shard of 16"),
    "more elements than bytes": (
        checkpoint_samples.entry((1 << 40,), bytes(8)),
        {},
        "4,398,046,511,104 bytes that takes 8",
    ),
    "more texts than bytes": (
        checkpoint_samples.entry((1 << 40,), bytes(8)),
        {"dtype": 7},
        "strings that take 8 bytes",
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("form", ["checkpoint", "saved_model"])
def test_what_a_checkpoint_cannot_hold_is_told(tmp_path: Path, kind: str, form: str) -> None:
    entry, changes, told = BOMBS[kind]
    bomb = protos.message("BundleEntryProto").FromString(entry.SerializeToString())
    for name, value in changes.items():
        setattr(bomb, name, value)
    # One of no known rank hides nothing.
    unknown = checkpoint_samples.entry((2,), bytes(8))
    unknown.shape.Clear()
    unknown.shape.unknown_rank = True
    sound = checkpoint_samples.entry((2,), bytes(8), offset=8)
    directory = tmp_path / "variables"
    directory.mkdir()
    source = prefix = directory / "variables"
    if form == "saved_model":
        message = protos.message("SavedModel")(saved_model_schema_version=1)
        message.meta_graphs.add(graph_def=graph(node("x", "Placeholder"))).meta_info_def.tags.append("serve")
        (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
        source = tmp_path
    checkpoint_samples.write_bundle(prefix, {b"a": unknown, b"b": sound}, bytes(16))
    assert tfmagic.scan(source).severity == "clean"
    checkpoint_samples.write_bundle(prefix, {b"a": unknown, b"b": sound, b"c": bomb}, bytes(16))
    result = tfmagic.scan(source)
    assert result.severity == "medium"
    assert told in result.table["what"].iloc[0]


def test_what_a_checkpoint_of_the_first_format_cannot_hold_is_told(tmp_path: Path) -> None:
    slices = protos.message("SavedTensorSlices")()
    tensor = slices.meta.tensor.add(name="w", type=1)
    tensor.shape.dim.add(size=1 << 40)
    tensor.slice.add().extent.add()
    (tmp_path / "m.ckpt").write_bytes(checkpoint_samples.table({b"": slices.SerializeToString()}))
    (row,) = tfmagic.scan(tmp_path / "m.ckpt").table.to_dict("records")
    assert (row["severity"], row["where"]) == ("medium", "checkpoint entry 'w'")


def test_a_name_in_a_log_is_no_link(tmp_path: Path) -> None:
    link = "[click](https://elsewhere.example)"
    (tmp_path / "m.pb").write_bytes(
        graph(text("p", link.encode()), node(link, "WriteFile", "p", "p")).SerializeToString()
    )
    (run,) = json.loads(tfmagic.scan(tmp_path / "m.pb").sarif())["runs"]
    # SARIF 2.1.0, 3.11.6: text in brackets and an address in parentheses are a link, unless a backslash is before.
    told = run["results"][0]["message"]["text"]
    assert "elsewhere" in told
    assert "](" not in told.replace("\\](", "")


def test_a_scan_needs_no_tensorflow(hostile: Path) -> None:
    code = f"import sys, tfmagic; tfmagic.scan({str(hostile)!r}); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

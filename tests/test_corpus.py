"""Every item of the corpus of real model files: its tables, or an error that names the file and helps.

The files are read once, by this module as a program, in a process that never imports TensorFlow; the tests look at what
it reports.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CORPUS, ROOT

pytestmark = pytest.mark.corpus

#: Items that hold no model that anybody reads: the error, what its message says, and why it is right.
REFUSED = {
    "generated-by-upstream-tests/save_test/test_expand_distributed_variables": (
        "CorruptSourceError", "should hold a SavedModel but holds a MetaGraphDef", "the upstream test writes it so",
    ),
    "generated-by-upstream-tests/save_test/test_expand_distributed_variables-2": (
        "CorruptSourceError", "should hold a SavedModel but holds a MetaGraphDef", "as above",
    ),
    "generated-by-upstream-tests/saved_model_test/testBadSavedModelFileFormat": (
        "CorruptSourceError", "should hold a SavedModel", "the file says `invalid content`",
    ),
    "tensorflow__tensorflow/tensorflow/lite/testdata/test_model_broken.bin": (
        "UnrecognizedSourceError", "check where it comes from", "a TFLite file whose identifier was broken on purpose",
    ),
    **{
        f"tensorflow__tensorflow/tensorflow/tools/proto_splitter/testdata/{name}.cpb": (
            "UnrecognizedSourceError", "chunked proto", "no public TensorFlow reads the format",
        )
        for name in ("many-field", "split-large-constant", "split-lots-nodes", "split-standard")
    },
    "tensorflow__tensorflow/tensorflow/tools/proto_splitter/testdata/many-field.pbtxt": (
        "UnrecognizedSourceError", "none of TensorFlow's messages", "a message of a test, none of TensorFlow's",
    ),
    "tensorflow__tensorflow/tensorflow/core/ir/importexport/tests/graphdef_to_mlir/empty.pbtxt": (
        "UnrecognizedSourceError", "text with comments and nothing else", "a graph of no words is no graph to anybody",
    ),
}  # fmt: skip
#: Items of which the manifest says something else, and rightly so or not.
OTHERWISE = {
    "generated-by-upstream-tests/meta_graph_test/testScopedExportAndImport": (
        "the manifest's parser went by the suffix .pbtxt, but the file is binary and holds 34 nodes"
    ),
}
#: Of so many models each, by what they give a cause for. Looked at one by one: none of them is wrong.
RATES = {
    # Graphs whose values are not in their files: GraphDefs that nobody froze, `.meta` without a checkpoint, two
    # SavedModels of tests without a value for a variable.
    "missing-weights": 35,
    # The signatures of upstream's tests are of one example, or of scalars beside it.
    "fixed-batch": 21,
    # Of TensorFlow Text, Decision Forests, TensorRT, TFX, and names that tests made up.
    "foreign-ops": 10,
    # Training graphs of TensorFlow 1.
    "input-pipeline": 7,
    # Batch normalisation that was exported as it was made.
    "untrained": 4,
    # Training graphs whose ends are proposed: dropout at a constant rate, batch normalisation that trains.
    "training-mode": 2,
    "mutable-tables": 2,
}
SECONDS = 10
#: The one text graph that protobuf's own text parser needs longer for.
SLOW_BYTES = 50_000_000


@pytest.fixture(scope="module")
def manifest(corpus: Path) -> dict[str, dict[str, str]]:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


@pytest.fixture(scope="module")
def reports(corpus: Path, manifest: dict[str, dict[str, str]]) -> dict[str, dict[str, Any]]:
    """What the program below reports of each item; nothing in the corpus changes meanwhile."""
    before = snapshot(corpus)
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_corpus"], input=json.dumps(list(manifest)), capture_output=True, text=True,
        cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *items, last = map(json.loads, done.stdout.splitlines())
    assert last == {"imported": []}
    assert snapshot(corpus) == before
    return {item["path"]: item for item in items}


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")}


def test_every_item_is_looked_at(reports: dict[str, Any], manifest: dict[str, Any]) -> None:
    assert list(reports) == list(manifest)
    assert len(reports) == 661


def test_only_what_is_no_model_is_refused(reports: dict[str, Any]) -> None:
    found = {path: report["error"] for path, report in reports.items() if report["error"]}
    assert found.keys() == REFUSED.keys()
    for path, (kind, message) in found.items():
        expected, words, _ = REFUSED[path]
        assert kind == expected
        assert words in message
        assert str(CORPUS / path) in message


def test_each_takes_seconds_at_most(reports: dict[str, Any], manifest: dict[str, Any]) -> None:
    slow = {path: report["seconds"] for path, report in reports.items() if report["seconds"] > SECONDS}
    assert not [path for path in slow if int(manifest[path]["size_bytes"]) < SLOW_BYTES]


def test_each_is_of_the_form_that_the_manifest_says(reports: dict[str, Any], manifest: dict[str, Any]) -> None:
    forms = {
        "GraphDef": {"graph_def"},
        "SavedModel": {"saved_model"},
        "TFLite": {"tflite"},
        # With a state file beside it, a directory means its checkpoint; the graph is told of in a note.
        "MetaGraphDef": {"meta_graph", "checkpoint"},
        "Keras": {"keras_file"},
        "checkpoint": {"checkpoint"},
        "proto-splitter": {"graph_def", "saved_model"},
    }
    for path, report in reports.items():
        if not report["error"]:
            expected = next(found for word, found in forms.items() if manifest[path]["format"].startswith(word))
            assert report["form"] in expected, path
            tells = report["form"] != "checkpoint" or "its graph is in" in str(report["notes"])
            assert tells or "MetaGraphDef" not in manifest[path]["format"]


def test_graphs_have_the_nodes_functions_and_tags_of_the_manifest(
    reports: dict[str, Any], manifest: dict[str, Any]
) -> None:
    compared, different = 0, []
    for path, row in manifest.items():
        graphs = reports[path].get("graphs")
        if not graphs or not (row["nodes"] or row["tags"]) or "tensors" in row["nodes"]:
            continue
        compared += 1
        same = [
            _nodes(row["nodes"]) == [(each["main"], each["inner"]) for each in graphs],
            row["functions"].split("+") == [str(each["functions"]) for each in graphs],
            not row["tags"] or _tag_sets(row["tags"]) == [sorted(each["tags"]) for each in graphs],
        ]
        if not all(same) and path not in OTHERWISE:
            different.append((path, same))
    assert not different
    assert compared > 500


def _nodes(text: str) -> list[tuple[int, int]]:
    """Read the nodes of the main graph and of its functions: `21(+125 in fns)`, or `31+44` of two MetaGraphDefs."""
    inner = re.fullmatch(r"(\d+)\(\+(\d+) in fns\)", text)
    return [(int(inner[1]), int(inner[2]))] if inner else [(int(part), 0) for part in text.split("+")]


def _tag_sets(text: str) -> list[list[str]]:
    return [sorted(filter(None, part.strip(" {}").split(","))) for part in text.split("|")]


def test_signatures_are_those_of_the_manifest(reports: dict[str, Any], manifest: dict[str, Any]) -> None:
    compared = 0
    for path, row in manifest.items():
        report = reports[path]
        if not row["signatures"] or report["error"] or (row["signatures"] == "-" and report["form"] == "tflite"):
            continue
        compared += 1
        said = [
            sorted(re.sub(r"\(.*\)$", "", key.strip()) for key in part.split(";") if key.strip(" -"))
            for part in row["signatures"].split("|")
        ]
        assert said == report["signatures"], path
    assert compared > 150


def test_checkpoints_have_the_tensors_of_the_manifest(reports: dict[str, Any], manifest: dict[str, Any]) -> None:
    said = {
        path: int(row["nodes"].split()[0]) for path, row in manifest.items() if row["format"].startswith("checkpoint")
    }
    assert len(said) == 26
    for path, count in said.items():
        # The object graph, which TensorFlow counts among the tensors, is no variable.
        assert reports[path]["variables"] in (count, count - 1), path


def test_so_many_models_give_a_cause_for_a_caution(reports: dict[str, Any]) -> None:
    known = [set(report["cautions"]) for report in reports.values() if not report["error"]]
    assert Counter(code for codes in known for code in codes) == RATES
    assert sum(map(bool, known)) / len(known) < 0.12


def test_tables_have_what_protobuf_parses(reports: dict[str, Any]) -> None:
    compared = [path for path, report in reports.items() if "same" in report]
    assert len(compared) > 450
    assert not [path for path in compared if not reports[path]["same"]]


# The program


def report(path: str) -> dict[str, Any]:
    """Look at all of one item."""
    import tfmagic  # noqa: PLC0415 - in the program only
    from tfmagic import errors  # noqa: PLC0415 - as above

    start = time.process_time()
    found: dict[str, Any] = {"path": path, "error": None}
    try:
        found |= _seen(tfmagic.inspect(CORPUS / path))
    except errors.TfMagicError as error:
        found["error"] = [type(error).__name__, str(error)]
    return found | {"seconds": time.process_time() - start}


def _seen(model: Any) -> dict[str, Any]:
    from tfmagic import frames  # noqa: PLC0415 - as above

    found: dict[str, Any] = {"form": model.form, "notes": model.notes}
    found["cautions"] = [caution.code for caution in model.cautions]
    # Keras makes the graph of its files, which takes TensorFlow.
    parts = {part for part in model.parts if (model.form, part) != ("keras_file", "graph")}
    for table in frames.ROW_TYPES:
        if PARTS[table] in parts:
            found[table] = len(model.table(table, all=True))
            model.table(table)
    repr(model), model._repr_html_()
    if model.form == "checkpoint" and "its graph is in" in str(model.notes):
        import tfmagic  # noqa: PLC0415 - as above

        return found | _graphs(tfmagic.inspect(model.path.parent, form="meta_graph"))
    return found | (_graphs(model) if "graph" in parts else _keys(model))


PARTS = {
    "signatures": "signatures", "ops": "graph", "functions": "graph", "variables": "variables", "metagraphs": "graph",
    "assets": "graph", "layers": "keras", "costs": "graph",
}  # fmt: skip


def _keys(model: Any) -> dict[str, Any]:
    if "signatures" not in model.parts:
        return {"signatures": None}
    return {"signatures": [sorted(set(model.table("signatures", all=True)["signature"]))]}


def _graphs(model: Any) -> dict[str, Any]:
    graphs = [
        {
            "main": len(each.graph.nodes[0]),
            "inner": len(each.graph.function_nodes.owner),
            "functions": len(each.graph.functions[0]),
            "tags": each.tags,
        }
        for each in model.meta_graphs
    ]
    keys = [sorted(each.signature_def) for each in model.meta_graphs]
    return {"graphs": graphs, "signatures": keys, "same": _is_same(model)}


def _is_same(model: Any) -> bool:
    """Say whether the table of ops is what protobuf parses from the file itself."""
    graph = _parsed(model)
    if graph is None:
        return True
    expected = [
        (function, node.name, node.op, list(node.input), node.device)
        for function, nodes in [
            ("", graph.node),
            *((one.signature.name, one.node_def) for one in graph.library.function),
        ]
        for node in nodes
    ]
    table = model.table("ops", all=True)
    inputs = [[*data, *control] for data, control in zip(table["inputs"], table["control_inputs"], strict=True)]
    return expected == list(zip(table["function"], table["name"], table["op"], inputs, table["device"], strict=True))


def _parsed(model: Any) -> Any:
    """Parse the graph that is shown with protobuf alone, from the whole file."""
    from tfmagic.files import protos  # noqa: PLC0415 - as above

    name = {"saved_model": "SavedModel", "graph_def": "GraphDef", "meta_graph": "MetaGraphDef"}.get(model.form)
    if name is None:
        # A TFLite file is held to flatbuffers' own reader elsewhere.
        return None
    data = Path(model.file or model.path).read_bytes()
    try:
        message = protos.parse_text(name, data.decode())
    except (UnicodeDecodeError, protos.TextParseError):
        message = protos.parse(name, data)
    if name == "SavedModel":
        message = message.meta_graphs[model.meta_graphs.index(model.meta_graph)]
    return message if name == "GraphDef" else message.graph_def


if __name__ == "__main__":
    for line in json.load(sys.stdin):
        print(json.dumps(report(line)), flush=True)  # noqa: T201 - this is the program's result
    loaded = [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras", "tf_keras")]
    print(json.dumps({"imported": loaded}))  # noqa: T201 - as above

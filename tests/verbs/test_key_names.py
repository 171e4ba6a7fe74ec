"""Keys that somebody lowers, cuts or cleans up: each stays as it is where no tensor runs, and through a merge."""

from __future__ import annotations

import ast
import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.commands import completion, magic_lines
from tfmagic.files import protos
from tfmagic.graphs.signatures import Endpoint
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.conversion.plan import plan
from tfmagic.verbs.conversion.request import Request
from tfmagic.verbs.snippets import serving_requests
from tfmagic.verbs.snippets.serving_requests import Served

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("Image", "a feature", "X", "x", "名前", "x:0")
keys = pytest.mark.parametrize("key", KEYS)


@pytest.fixture
def served(in_tmp_path: Path) -> Path:
    """A SavedModel of TensorFlow 1 with all of these keys on both sides, in the working directory."""
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = saved.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    signature = meta_graph.signature_def["serving_default"]
    for place, key in enumerate(KEYS):
        meta_graph.graph_def.node.add(name=f"in{place}", op="Placeholder").attr["dtype"].type = 1
        meta_graph.graph_def.node.add(name=f"out{place}", op="Neg", input=[f"in{place}"]).attr["T"].type = 1
        for side, name in ((signature.inputs, f"in{place}:0"), (signature.outputs, f"out{place}:0")):
            side[key].name, side[key].dtype = name, 1
            side[key].tensor_shape.dim.add(size=-1)
    (in_tmp_path / "served").mkdir()
    (in_tmp_path / "served" / "saved_model.pb").write_bytes(saved.SerializeToString())
    return in_tmp_path / "served"


@keys
@pytest.mark.parametrize(
    ("line", "suffix"),
    [
        ("%tf_run served ", "="),
        ("%tf_verify served served ", "="),
        ("%tf_export served DEST --bind ", "="),
        ("%tf_freeze served --outputs ", ""),
        ("%tf_export served DEST --output mine=", ""),
        ("%tf_merge served served --connect ", ""),
    ],
)
def test_a_key_is_completed(served: Path, key: str, line: str, suffix: str) -> None:
    """By its first letter, whose case counts; quoted where it has a blank."""
    begin = line[line.rindex(" ") + 1 :]
    text = begin + (f'"{key}"{suffix}' if " " in key else f"{key}{suffix}")
    for typed in ("", key[0], f'"{key[0]}'):
        proposals = [each.text for each in completion.complete(line + typed, {})[1]]
        assert text in proposals
        assert all(each.removeprefix(begin).lstrip('"').startswith(typed.lstrip('"')) for each in proposals)
    del served


@keys
@pytest.mark.parametrize("format", ["saved_model", "tflite", "onnx"])
def test_a_plan_has_a_key(served: Path, key: str, format: str) -> None:
    model = tfmagic.inspect(served)
    names = plan_names.Names(plan_names.signed(model))
    request = Request(format, "m", inputs=f"{key}={key}", outputs=f"mine={key}", bind=f"{key}=1.0")
    assert not names.unknown("inputs", "serving_default", key)
    problems = plan(model, request, names).problems
    assert not [each for each in problems if each.field not in ("format", "destination")]
    options = request.options()
    assert (options["inputs"], options["outputs"], options["bind"]) == ({key: key}, {"mine": key}, {key: 1.0})
    assert repr(options["outputs"]["mine"])[1:-1] in magic_lines.line(request, "model")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [("", ""), ("X=a feature, x=Image", "名前=a feature, out0=Image, out1:0"), ("in0:0", "mine=Image")],
)
def test_a_plan_lists_the_nodes_that_the_result_lists(served: Path, inputs: str, outputs: str) -> None:
    model = tfmagic.inspect(served)
    request = Request("graph_def", "m.pb", inputs=inputs, outputs=outputs)
    told = plan(model, request, plan_names.Names(plan_names.signed(model))).cautions
    done = tfmagic.export(served, "m.pb", **{"inputs": None, "outputs": None, **request.options()})
    assert [line for line in told if "cannot hold" in line] == [line for line in done.notes if "cannot hold" in line]


def test_a_request_has_each_key() -> None:
    ends = tuple(Endpoint(key, f"in{place}:0", "float32", (None,)) for place, key in enumerate(KEYS))
    asked = Served("net", "serving_default", "tensorflow/serving/predict", ends)
    body = json.loads(shlex.split(serving_requests.rest(asked))[-1])
    assert [list(row) for row in body["instances"]] == [list(KEYS)]
    tree = ast.parse(serving_requests.grpc(asked))
    assert set(KEYS) <= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


@pytest.mark.tensorflow
@keys
def test_a_merge_connects_by_a_key(key: str) -> None:
    """Each of the first's outputs is another multiple, so that a neighbour's tensor would be told."""
    tf: Any = runtime.tensorflow()
    first = tf.function(lambda values: {each: values["v"] * (place + 2.0) for place, each in enumerate(KEYS)})
    first({"v": tf.constant([1.0])})
    second = tf.function(
        lambda values: {"sum": tf.add_n([values[each] * 10.0**place for place, each in enumerate(KEYS)])}
    )
    second({each: tf.constant([1.0]) for each in KEYS})
    joined = tfmagic.merge(first, second, connect={key: key})
    signature = joined.signatures
    inputs = set(signature[signature["side"] == "input"]["key"])
    assert inputs == {"v", *KEYS} - {key}
    values = {each: np.array([1.0 if each == "v" else 0.0], np.float32) for each in inputs}
    place = KEYS.index(key)
    assert tfmagic.run(joined, values).outputs["sum"] == pytest.approx([(place + 2.0) * 10.0**place])

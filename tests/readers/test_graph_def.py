from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.samples import WEIGHTS
from tfmagic.files import protos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("name", ["graph_def", "graph_def_text", "graph_def_gzip"])
def test_files_have_the_nodes_of_the_message(samples: Built, name: str) -> None:
    message = samples["graph_def_message"]
    model = tfmagic.inspect(samples[name])
    assert list(model.ops["name"]) == [node.name for node in message.node]
    assert list(model.ops["op"]) == [node.op for node in message.node]
    assert list(model.ops["inputs"]) == [tuple(node.input) for node in message.node]
    # TensorFlow is loaded here, so that its own functions take what they are given.
    assert model.graph_def == message
    assert type(model.graph_def) is type(message)


def test_a_message_is_taken_as_it_is_now(samples: Built) -> None:
    message = type(samples["graph_def_message"])()
    message.CopyFrom(samples["graph_def_message"])
    model = tfmagic.inspect(message)
    del message.node[:]
    assert len(model.ops) == len(samples["graph_def_message"].node)
    ours = protos.adopt(samples["graph_def_message"])
    assert list(tfmagic.inspect(ours).ops["name"]) == list(model.ops["name"])


def test_text_packed_by_gzip(samples: Built, tmp_path: Path) -> None:
    path = tmp_path / "graph.pbtxt.gz"
    path.write_bytes(gzip.compress(samples.path("graph_def_text").read_bytes()))
    assert len(tfmagic.inspect(path).ops) == len(samples["graph_def_message"].node)


@pytest.mark.parametrize("name", ["graph_def", "graph_def_text", "graph_def_gzip", "graph_def_message", "bare_graph"])
def test_ends_are_proposed(samples: Built, name: str) -> None:
    found = tfmagic.inspect(samples[name]).signatures
    assert list(zip(found["side"], found["key"], found["tensor"], found["dtype"], strict=True)) == [
        ("input", "x", "x:0", "float32"),
        ("output", "y", "y:0", "float32"),
    ]
    assert set(found["signature"]) == {"proposed"}
    assert found["shape"][0] == (None, 4)


def test_sizes_and_shapes_of_constants(samples: Built) -> None:
    found = tfmagic.inspect(samples["graph_def"]).ops.set_index("name")
    assert found.loc["hidden/kernel", "bytes"] == 48
    assert found.loc["hidden/kernel", "shape"] == (4, 3)
    assert found.loc["x", "shape"] == (None, 4)
    assert found.loc["x", "bytes"] == 0


@pytest.mark.parametrize("text", ["versions {\n  producer: 24\n}\n", "library {\n}\n"])
def test_graphs_without_nodes(text: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pbtxt").write_text(text)
    model = tfmagic.inspect(tmp_path / "empty.pbtxt")
    assert model.form == "graph_def"
    assert not len(model.ops)
    assert not len(model.signatures)
    repr(model)


def test_text_of_a_newer_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "new.pbtxt").write_text('node { name: "a" op: "A" not_yet_known { x: 1 } } invented: 3\n')
    assert list(tfmagic.inspect(tmp_path / "new.pbtxt").ops["name"]) == ["a"]


def graph(**changes: Any) -> Any:
    result = protos.message("GraphDef")()
    result.node.add(name="a", op="Placeholder")
    result.node.add(name="b", op="NoSuchOp>Of_anyone", input=["a", "a:1", "^a"], **changes)
    return result


def test_ops_that_tensorflow_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "g.pb").write_bytes(graph(device="/job:x").SerializeToString())
    row = tfmagic.inspect(tmp_path / "g.pb").ops.iloc[1]
    assert (row["op"], row["inputs"], row["control_inputs"], row["device"]) == (
        "NoSuchOp>Of_anyone", ("a", "a:1"), ("^a",), "/job:x",
    )  # fmt: skip


def test_variables_are_the_constants_that_are_weights(samples: Built) -> None:
    variables = tfmagic.inspect(samples["graph_def"]).variables.set_index("name")
    assert set(variables.index) == set(WEIGHTS)
    for name, value in WEIGHTS.items():
        assert (variables["dtype"][name], variables["shape"][name]) == ("float32", value.shape)
    assert variables["trainable"].isna().all()


#: Directories of the corpus whose proposals are not what their author lists: loose ends of a cond without inputs, and a
#: variable that the author looked at though the graph reads it.
OTHERWISE = {"cond/cond_false", "tensor_array/close_sz1_int64_nodynamic_noname_shape2-3"}


@pytest.mark.corpus
def test_ends_are_those_that_the_authors_list(corpus: Path) -> None:
    examples = corpus / "KonduitAI__dl4j-test-resources/src/main/resources/tf_graphs/examples"
    compared = 0
    for path in examples.rglob("frozen_model.pb"):
        inputs, outputs = (listed(path.parent, kind) for kind in ("placeholder", "prediction"))
        if outputs and str(path.parent.relative_to(examples)) not in OTHERWISE:
            compared += 1
            ends = tfmagic.inspect(path).ends
            assert ({tensor[:-2] for tensor in ends.inputs}, {tensor[:-2] for tensor in ends.outputs}) == (
                inputs,
                outputs,
            )
    assert compared > 120


def listed(directory: Path, kind: str) -> set[str]:
    """The nodes whose values lie beside a graph: `node.kind.csv`, with the output's number where there are several."""
    names = [str(path.relative_to(directory)) for path in directory.rglob(f"*.{kind}.csv")]
    return {re.sub(r"(\.\d+)?\.[a-z]+\.csv$", "", name) for name in names}

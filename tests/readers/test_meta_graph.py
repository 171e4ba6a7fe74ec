from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.samples import WEIGHTS, Built
from tfmagic import protos

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def test_variables_come_from_the_checkpoint_beside_it(samples: Built) -> None:
    tf = pytest.importorskip("tensorflow")
    model = tfmagic.inspect(samples["meta_graph"])
    found = model.variables
    assert not model.notes
    prefix = str(samples.path("meta_graph")).removesuffix(".meta")
    assert sorted(zip(found["name"], map(list, found["shape"]), strict=True)) == tf.train.list_variables(prefix)
    assert all(found["trainable"])


def test_without_a_checkpoint_the_graph_declares_them(samples: Built, tmp_path: Path) -> None:
    path = tmp_path / "alone.meta"
    path.write_bytes(samples.path("meta_graph").read_bytes())
    model = tfmagic.inspect(path)
    assert "no checkpoint lies beside it" in model.notes[0]
    complete = tfmagic.inspect(samples["meta_graph"]).variables.sort_values("name", ignore_index=True)
    assert model.variables.sort_values("name", ignore_index=True).equals(complete)
    message = tfmagic.inspect(samples["meta_graph_message"])
    assert not message.notes
    assert set(message.variables["name"]) == set(WEIGHTS)


def test_ends_are_proposed_without_what_saves(samples: Built) -> None:
    model = tfmagic.inspect(samples["meta_graph"])
    found = model.signatures
    assert list(zip(found["side"], found["tensor"], strict=True)) == [("input", "x:0"), ("output", "y:0")]
    assert not {"SaveV2", "RestoreV2"} & set(model.ops["op"])
    assert {"SaveV2", "RestoreV2"} <= set(model.table("ops", all=True)["op"])


def test_signatures_in_the_message_are_shown(samples: Built, tmp_path: Path) -> None:
    meta = protos.parse("MetaGraphDef", samples.path("meta_graph").read_bytes())
    info = meta.signature_def["mine"].inputs["image"]
    info.name, info.dtype = "x:0", protos.dtype_number("float32")
    (tmp_path / "signed").write_bytes(meta.SerializeToString())
    found = tfmagic.inspect(tmp_path / "signed").signatures
    assert list(zip(found["signature"], found["key"], found["tensor"], strict=True)) == [("mine", "image", "x:0")]


def test_a_graph_and_nothing_else_is_no_saved_model(samples: Built, tmp_path: Path) -> None:
    # Both begin with field 2; only what is inside tells them apart.
    meta = protos.message("MetaGraphDef")(graph_def=protos.adopt(samples["graph_def_message"]))
    (tmp_path / "plain.meta").write_bytes(meta.SerializeToString())
    assert tfmagic.inspect(tmp_path / "plain.meta").form == "meta_graph"
    saved = protos.message("SavedModel")(meta_graphs=[meta])
    saved.meta_graphs[0].meta_info_def.tags.append("serve")
    (tmp_path / "saved_model").write_bytes(saved.SerializeToString())
    assert tfmagic.inspect(tmp_path / "saved_model").form == "saved_model"


def test_text(samples: Built, tmp_path: Path) -> None:
    meta = protos.parse("MetaGraphDef", samples.path("meta_graph").read_bytes())
    (tmp_path / "model.meta.txt").write_text(protos.to_text(meta))
    model = tfmagic.inspect(tmp_path / "model.meta.txt")
    assert model.form == "meta_graph"
    assert list(model.ops["name"]) == list(tfmagic.inspect(samples["meta_graph"]).ops["name"])


def test_the_newest_of_a_directory(samples: Built, tmp_path: Path) -> None:
    for step, age in ((1, 300), (2, 200), (10, 100)):
        path = tmp_path / f"model-{step}.meta"
        path.write_bytes(samples.path("meta_graph").read_bytes())
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    assert tfmagic.inspect(tmp_path).origin.endswith("model-10.meta")


def test_a_checkpoint_tells_of_its_graph(samples: Built) -> None:
    model = tfmagic.inspect(samples["checkpoint_sharded"])
    assert "its graph is in 'model.ckpt.meta' beside it" in " ".join(model.notes)
    graph = tfmagic.inspect(samples["checkpoint_sharded"], form="meta_graph")
    assert graph.origin.endswith("model.ckpt.meta")
    assert {"MatMul", "Relu"} <= set(graph.ops["op"])
    assert list(graph.variables["name"]) == list(model.variables["name"])


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "variables"),
    [
        (
            "tensorflow__serving@f83efeee/tensorflow_serving/servables/tensorflow/testdata/half_plus_two/00000123",
            {"Variable", "Variable_1"},
        ),
        (
            "tensorflow__tensorflow@42376e9a/tensorflow/contrib/session_bundle/testdata/half_plus_two/00000123",
            {"a", "b"},
        ),
    ],
)
def test_session_bundles(corpus: Path, name: str, variables: set[str]) -> None:
    model = tfmagic.inspect(corpus / name)
    assert model.form == "meta_graph"
    assert set(model.variables["name"]) == variables
    assert model.ends.inputs
    assert {"RestoreV2", "RestoreSlice"} & set(model.table("ops", all=True)["op"])

from __future__ import annotations

import pytest

from tests.wire_samples import attr, field, function_def, node
from tfmagic import errors
from tfmagic.frames import VariableRow
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs.signatures import Endpoint
from tfmagic.models import selection
from tfmagic.models.model import Model, Part


def calling(name: str, *inputs: str) -> bytes:
    return node(f"call_{name}", "PartitionedCall", *inputs, attrs=attr("f", field(10, field(1, name))))


GRAPH = b"".join(
    field(1, each)
    for each in (
        node("x", "Placeholder"),
        node("conv/w", "Const"),
        node("conv/y", "Conv2D", "x", "conv/w"),
        calling("first", "conv/y:0"),
        node("other", "Relu", "x", "^guard"),
        node("guard", "NoOp"),
        node("save", "SaveV2"),
    )
) + (
    function_def("first", calling("second"))
    + function_def("second", node("deep", "Conv3D"))
    + function_def("third", node("n", "Add"))
)
SIGNATURES = {
    "predict": signatures.signature_def(
        [Endpoint("image", "x:0", "float32", (None,))], [Endpoint("score", "call_first:0", "float32", None)]
    ),
    "train": signatures.signature_def([], [Endpoint("loss", "other:0", "float32", None)]),
    "__saved_model_init_op": signatures.signature_def([], [Endpoint("op", "guard", "float32", None)]),
}
MODEL = Model(
    "made",
    "by hand",
    {
        Part.GRAPH: lambda: (metagraphs.MetaGraph.of(field(2, GRAPH) + _signature_map()),),
        Part.SIGNATURES: lambda: (((), SIGNATURES),),
        Part.VARIABLES: lambda: (
            VariableRow("conv/w", "float32", (), 1, 4, None),
            VariableRow("b", "string", (), 1, None, None),
        ),
    },
)


def _signature_map() -> bytes:
    return b"".join(field(5, field(1, key) + field(2, made.SerializeToString())) for key, made in SIGNATURES.items())


@pytest.mark.parametrize(
    ("table", "filters", "column", "kept"),
    [
        ("ops", {"op": "Conv"}, "name", ["conv/y", "deep"]),
        ("ops", {"op": "^Conv2D$"}, "name", ["conv/y"]),
        ("ops", {"name": "^conv/"}, "name", ["conv/w", "conv/y"]),
        ("ops", {"name": "conv", "op": "Const"}, "name", ["conv/w"]),
        ("ops", {"op": "NothingLikeIt"}, "name", []),
        ("ops", {"op": "Save"}, "name", []),
        ("ops", {"op": "Save", "all": True}, "name", ["save"]),
        ("ops", {"signature": "predict"}, "name", ["x", "conv/w", "conv/y", "call_first", "call_second", "deep"]),
        ("ops", {"signature": "train"}, "name", ["x", "other", "guard"]),
        ("ops", {"signature": "predict", "op": "Conv"}, "name", ["conv/y", "deep"]),
        ("functions", {"signature": "predict"}, "function", ["first", "second"]),
        ("functions", {"signature": "train"}, "function", []),
        ("functions", {"name": "ir"}, "function", ["first", "third"]),
        ("signatures", {"signature": "train"}, "key", ["loss"]),
        ("signatures", {"signature": "__saved_model_init_op"}, "key", ["op"]),
        ("signatures", {"name": "score|loss"}, "key", ["score", "loss"]),
        ("variables", {"name": "w$"}, "name", ["conv/w"]),
    ],
)
def test_rows_that_match(table: str, filters: dict[str, str], column: str, kept: list[str]) -> None:
    found = selection.select(MODEL, table, **filters)  # type: ignore[arg-type]
    assert found[column].tolist() == kept
    assert found.index.tolist() == list(range(len(kept)))
    assert list(found.columns) == list(MODEL.table(table).columns)


@pytest.mark.parametrize(
    ("table", "filters", "error", "says"),
    [
        ("ops", {"signature": "predicts"}, errors.UnknownNameError, "did you mean 'predict'"),
        ("signatures", {"signature": "zzz"}, errors.UnknownNameError, "there is 'predict', 'train'$"),
        ("variables", {"op": "Conv"}, errors.UnknownNameError, "column of the table 'variables'"),
        ("variables", {"signature": "predict"}, errors.UnknownNameError, "there is 'signatures', 'ops'"),
        ("ops", {"op": "Conv("}, errors.TfMagicError, "'Conv\\(' is not a regular expression"),
        ("layers", {}, errors.MissingPartError, "layers"),
    ],
)
def test_what_cannot_be_chosen(table: str, filters: dict[str, str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        selection.select(MODEL, table, **filters)  # type: ignore[arg-type]


def test_the_ops_that_proposed_outputs_need() -> None:
    bare = Model("made", "by hand", {Part.GRAPH: lambda: (metagraphs.MetaGraph.of(field(2, GRAPH)),)})
    assert set(bare.signatures["tensor"]) == {"x:0", "call_first:0", "other:0"}
    found = selection.select(bare, "ops", signature="proposed")
    assert found["name"].tolist() == ["x", "conv/w", "conv/y", "call_first", "other", "guard", "call_second", "deep"]


def test_a_pattern_is_searched_in_each_name_once_and_soon() -> None:
    nodes = b"".join(field(1, node("same", "Relu")) for _ in range(50_000))
    found = Model("made", "by hand", {Part.GRAPH: lambda: (metagraphs.MetaGraph.of(field(2, nodes)),)})
    assert len(selection.select(found, "ops", op="Relu", name="same")) == 50_000

"""Real graphs edited: every node that is left is as it was, and what comes besides is what an edit has to add.

Three eighths of the corpus were held to this once, 166 graphs; these are of each kind some.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.corpus, pytest.mark.tensorflow]

_TESTS = "generated-by-upstream-tests"
_MLIR = "tensorflow__tensorflow/tensorflow/compiler/mlir/tensorflow/tests/graphdef2mlir"
_IR = "tensorflow__tensorflow/tensorflow/core/ir/importexport/tests"
_ITEMS = (
    f"{_TESTS}/freeze_graph_test/testFreezeMetaGraph",
    f"{_TESTS}/load_v1_in_v2_test/test_load_sparse_inputs",
    f"{_TESTS}/load_v1_in_v2_test/test_while",
    f"{_TESTS}/load_v1_in_v2_test/test_cond",
    f"{_TESTS}/load_v1_in_v2_test/test_node_name_sharing",
    f"{_TESTS}/load_v1_in_v2_test/test_asset_loading",
    f"{_MLIR}/graph-function-control-ret-same-island.pbtxt",
    f"{_IR}/roundtrip/graph-function-defs.pbtxt",
    "tensorflow__tensorflow/tensorflow/cc/saved_model/testdata/half_plus_two/00000123",
    "vespa-engine__vespa@99ca9b29/model-integration/src/test/models/tensorflow/dropout/saved",
)
#: What becomes of a variable, of what reads it, and of what is fed: by the op before, the ops after.
_FROZEN = {
    "VariableV2": {"Const"},
    "VarHandleOp": {"Const"},
    "ReadVariableOp": {"Identity"},
    "Identity": {"Placeholder"},
}
_SAVED = {
    "VariableV2": {"VarHandleOp"},
    "Assign": {"AssignVariableOp"},
    "Identity": {"ReadVariableOp", "Placeholder"},
}
#: What comes besides: a saver under a free scope, a read of a variable that has none, what stands for a key, and what
#: fills the tables of a frozen graph, which have names that nobody else has.
_BESIDES = re.compile(r"save(_\d+)?/.*|.*/Read/ReadVariableOp|init\w*|.*/input_\d+|.*/(keys|values|fill)")
_TABLES = frozenset({"HashTableV2"})


def _differences(source: Any, result: Any, becomes: Mapping[str, set[str]], keys: set[str]) -> Iterator[str]:
    """Yield what of a result's nodes is otherwise than in the source."""
    before = {node.name: node for node in source.node}
    for node in result.node:
        old = before.get(node.name)
        if old is None:
            if not _BESIDES.fullmatch(node.name) and (
                node.op != "Identity" or re.sub(r"_\d+$", "", node.name) not in keys
            ):
                yield f"{node.name} ({node.op}) is new"
        elif old.op != node.op:
            if node.op not in becomes.get(old.op, ()):
                yield f"{node.name} was {old.op} and is {node.op}"
        elif _inputs(old) != _inputs(node) or (_attributes(old) != _attributes(node) and node.op not in _TABLES):
            yield f"{node.name} ({node.op}) takes or says something else"
        elif node.device not in (old.device, ""):
            yield f"{node.name} is on {node.device}"
    names = [node.name for node in result.node if node.name in before]
    if names != [node.name for node in source.node if node.name in set(names)]:
        yield "the order changed"


def _inputs(node: Any) -> list[str]:
    """Return what a node takes and waits for, but that a table is filled."""
    return [text for text in node.input if not (text.startswith("^") and text.endswith("/fill"))]


def _attributes(node: Any) -> dict[str, str]:
    """Return the attributes as text, functions without what their content adds to their names."""
    shown = {name: str(value) for name, value in node.attr.items() if name not in ("_output_shapes", "_class")}
    return {name: re.sub(r'name: "(.+?)__[0-9a-f]+"', r'name: "\1"', text) for name, text in shown.items()}


@pytest.mark.parametrize("item", _ITEMS)
def test_nodes_stay_as_they_were(corpus: Path, tmp_path: Path, item: str) -> None:
    model = tfmagic.inspect(corpus / item)
    frozen = tfmagic.freeze(corpus / item)
    exported = tfmagic.export(corpus / item, tmp_path / "m")
    assert False not in set(exported.verification["equal"])
    keys = {key.replace(":", "_") for key in frozen.signatures["key"]}
    source = model.graph_def
    assert not list(_differences(source, frozen.graph_def, _FROZEN, keys))
    assert not list(_differences(source, tfmagic.inspect(tmp_path / "m").graph_def, _SAVED, set()))
    saved = tfmagic.inspect(tmp_path / "m").signature_def
    for key, signature in (model.signature_def if "signatures" in model.parts else {}).items():
        if not key.startswith("__"):
            assert {each: info.name for each, info in saved[key].outputs.items()} == {
                each: info.name for each, info in signature.outputs.items()
            }

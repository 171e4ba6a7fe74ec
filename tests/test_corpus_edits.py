"""Real graphs edited: every node that is left is as it was, and what comes besides is what an edit has to add.

These are of each kind some; ``python -m tests.corpus_edits`` goes over all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.corpus_edits import FROZEN, SAVED, differences, signature_differences

if TYPE_CHECKING:
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


@pytest.mark.parametrize("item", _ITEMS)
def test_nodes_stay_as_they_were(corpus: Path, tmp_path: Path, item: str) -> None:
    model = tfmagic.inspect(corpus / item)
    frozen = tfmagic.freeze(corpus / item)
    exported = tfmagic.export(corpus / item, tmp_path / "m")
    assert False not in set(exported.verification["equal"])
    keys = {key.replace(":", "_") for key in frozen.signatures["key"]}
    source, saved = model.graph_def, tfmagic.inspect(tmp_path / "m")
    assert not list(differences(source, frozen.graph_def, FROZEN, keys))
    assert not list(differences(source, saved.graph_def, SAVED, set()))
    assert not list(signature_differences(model, saved))

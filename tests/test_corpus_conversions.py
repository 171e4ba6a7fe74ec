"""Real files on their way to a frozen graph: each becomes one that gives its numbers, or an error that helps.

All 661 items were run once (CONTRIBUTING); these are the ones that taught something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tfmagic
from tfmagic import errors
from tfmagic.models.model import Model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.corpus, pytest.mark.tensorflow]

_MLIR = "tensorflow__tensorflow/tensorflow/compiler/mlir/tensorflow/tests/graphdef2mlir"
_IR = "tensorflow__tensorflow/tensorflow/core/ir/importexport/tests"
_KONDUIT = "KonduitAI__dl4j-test-resources/src/main/resources/tf_graphs"
_LOAD_V1 = "generated-by-upstream-tests/load_v1_in_v2_test"


@pytest.mark.parametrize(
    "item",
    [
        # TensorFlow's loader makes "input___" of its input "input./-".
        f"{_LOAD_V1}/test_multiple_inputs",
        # An output of three tensors.
        f"{_LOAD_V1}/test_load_sparse_outputs",
    ],
)
def test_it_is_frozen_and_verified(corpus: Path, item: str) -> None:
    result = tfmagic.freeze(corpus / item)
    assert isinstance(result, Model)
    assert not any("not verified" in note for note in result.notes)


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        # TensorFlow aborts the process over an argument of a function among a graph's nodes.
        *(
            (f"{folder}.pbtxt", errors.ConversionError, "body of one and no graph by itself")
            for folder in (
                f"{_MLIR}/arg-as-fetch",
                f"{_MLIR}/graph-as-function",
                f"{_MLIR}/shape-attrs",
                f"{_IR}/graphdef_to_mlir/infer_arg_handle_type",
                f"{_IR}/roundtrip/graph-as-function",
            )
        ),
        # Placeholders without a dtype, behind variables without values.
        (f"{_KONDUIT}/max_graph.pb.txt", errors.ConversionError, "the graph reads the variables 'dense_1/bias'"),
        (f"{_KONDUIT}/max_log_reg.pb.txt", errors.ConversionError, "the graph reads the variables 'weights'"),
        (f"{_KONDUIT}/examples/reductions/scatter_add_scalar", errors.ConversionError, "choose outputs before them"),
        (f"{_LOAD_V1}/test_custom_pruning", errors.MissingPartError, "Nobody signed this SavedModel"),
    ],
)
def test_it_cannot_be_and_says_why(corpus: Path, item: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        tfmagic.freeze(corpus / item)
    assert message in str(caught.value)

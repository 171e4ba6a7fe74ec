"""Of the corpus' models, those that a scan puts above low, each with the reason; all others stay within themselves."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpus

_TF = "tensorflow__tensorflow/tensorflow/"
_IR = f"{_TF}core/ir/importexport/tests/"
_MLIR = f"{_TF}compiler/mlir/tensorflow/tests/graphdef2mlir/"
_TFLITE = f"{_TF}lite/testdata/"
EXTENSION = "an op that TensorFlow does not register: whoever loads the library that does says what it does"
TPU = "ops that talk to TPUs, to other machines' among them"
#: Severity and reason by the item's path: 29 of 661.
ABOVE_LOW = {
    "KonduitAI__dl4j-test-resources/src/main/resources/modelimport/keras/examples/lambda/sequential_lambda.h5": (
        "high", "two Lambda layers, whose bytecode Keras runs"
    ),
    "generated-by-upstream-tests/saved_model_cli_test/testShowAllWithCustomOp": ("medium", EXTENSION),
    "tensorflow__decision-forests/tensorflow_decision_forests/test_data/model/saved_model_adult_rf": (
        "medium", EXTENSION
    ),
    "tensorflow__serving/tensorflow_serving/servables/tensorflow/testdata/parse_example_tflite/00000123/model.tflite": (
        "medium", "a custom op of TFLite that is called as TensorFlow's, ParseExampleV2, and is not its own"
    ),
    "tensorflow__serving@bd206e41/tensorflow_serving/servables/tensorflow/testdata/tf_text_regression/01": (
        "medium", EXTENSION
    ),
    f"{_TF}cc/saved_model/testdata/chunked_saved_model/chunked_model": (
        "medium", "a chunked message beside one as text, of which no reader takes both"
    ),
    f"{_TF}compiler/aot/test_graph_tfunknownop.pbtxt": ("medium", EXTENSION),
    f"{_TF}compiler/mlir/lite/quantization/lite/testdata/custom_op.bin": ("medium", EXTENSION),
    f"{_MLIR}graph-function-defs.pbtxt": ("medium", TPU),
    f"{_MLIR}mlir_passthrough_op.pbtxt": ("medium", "MLIR in a string, which nobody can look into"),
    f"{_MLIR}shape-attrs.pbtxt": ("high", TPU),
    f"{_TF}core/common_runtime/testdata/simplify_ici_dummy_variables_pass_before.pbtxt": (
        "medium", "programs compiled for TPUs, which nobody can look into"
    ),
    f"{_IR}graphdef_to_mlir/error_during_backedge.pbtxt": ("medium", EXTENSION),
    f"{_IR}graphdef_to_mlir/infeed_dequeue.pbtxt": ("high", TPU),
    f"{_IR}roundtrip/graph-function-defs.pbtxt": ("medium", TPU),
    f"{_IR}roundtrip/mlir_passthrough_op.pbtxt": ("medium", "MLIR in a string, which nobody can look into"),
    f"{_IR}roundtrip/test.pbtxt": ("high", "a graph that ends in saving a checkpoint under a fixed name"),
    f"{_IR}roundtrip/test10.pbtxt": ("medium", "a graph that ends in restoring a checkpoint from a fixed name"),
    f"{_IR}roundtrip/test13.pbtxt": ("medium", TPU),
    f"{_TFLITE}custom_sinh.bin": ("medium", EXTENSION),
    f"{_TFLITE}double_flex.bin": ("medium", EXTENSION),
    f"{_TFLITE}test_custom_node_with_init_data.bin": ("medium", EXTENSION),
    f"{_TFLITE}test_model.bin": ("medium", EXTENSION),
    f"{_TFLITE}test_model_versioned_ops.bin": ("medium", EXTENSION),
    f"{_TFLITE}with_metadata.bin": ("medium", EXTENSION),
    f"{_TF}python/compiler/tensorrt/test/testdata/tftrt_2.0_saved_model": (
        "medium", "TRTEngineOp runs an engine in a string, and TensorFlow registers it with TensorRT alone"
    ),
    "tensorflow__tfx/tfx/components/testdata/trainer/current/Format-Serving/model.ckpt-0.meta": (
        "medium", "a training's graph, which reads the files that it is trained on"
    ),
    "tensorflow__tfx@04217bd4/tfx/components/evaluator/testdata/eval_model_dir/1550629841": ("medium", EXTENSION),
    "tensorflow__tfx@04217bd4/tfx/components/trainer/testdata/transform_output/tftransform_tmp/"
    "788d06e75e0647219e66541fdc191b70": ("medium", EXTENSION),
}  # fmt: skip


def test_ordinary_models_are_clean_and_each_other_has_its_reason(corpus: Path) -> None:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    above: dict[str, str] = {}
    for path in paths:
        try:
            result = tfmagic.scan(corpus / path)
        except errors.ReadError:
            continue  # no model: tests/test_corpus.py says which
        if result.reaches("medium"):
            above[path] = result.severity
    assert above == {path: severity for path, (severity, _) in ABOVE_LOW.items()}

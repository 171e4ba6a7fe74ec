from __future__ import annotations

import pytest

from tfmagic.files.tflite import structure as tflite_structure


@pytest.mark.tensorflow
def test_the_schema_is_tensorflows() -> None:
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    operators = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    assert (
        tuple(operators[number] for number in range(len(operators)))[: len(tflite_structure.OPERATORS)]
        == (tflite_structure.OPERATORS[: len(operators)])
    )
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if not name.startswith("_")}
    assert [types[number] for number in sorted(types)] == list(tflite_structure.DTYPES[: len(types)])

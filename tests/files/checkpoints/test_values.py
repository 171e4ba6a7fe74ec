from __future__ import annotations

import numpy as np
import pytest

from tfmagic.files.checkpoints import values as tensor_values


def test_dtypes_that_numpy_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tensor_values.numpy_dtype("qint8") == np.int8
    assert tensor_values.numpy_dtype("bfloat16").itemsize == 2
    with pytest.raises(ValueError, match="inside TensorFlow only"):
        tensor_values.numpy_dtype("variant")
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    assert tensor_values.numpy_dtype("bfloat16") == np.uint16
    assert tensor_values.numpy_dtype("float8_e5m2") == np.uint8

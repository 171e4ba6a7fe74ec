"""The OpDefs of all ops that the installed TensorFlow registers: what our list of ops is held to."""

from __future__ import annotations

from functools import cache
from typing import Any

from tfmagic.files import protos


@cache
def registry() -> dict[str, Any]:
    """Return the OpDefs by the names of the ops."""
    from tensorflow.python.client import pywrap_tf_session as session  # noqa: PLC0415 - seconds for these tests only

    data = session.TF_GetBuffer(session.TF_GetAllOpList())
    return {op.name: op for op in protos.parse("OpList", data).op}

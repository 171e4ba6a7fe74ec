"""The interpreter of TFLite files, of LiteRT or of TensorFlow.

Not for: what is in such a file (``files/tflite/``).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.optional import library
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

_LITERT = '"tfmagic[litert]"'


def interpreter(path: Path, content: bytes | None = None) -> runtime.Live:
    """Return an interpreter of a TFLite file: that of ``ai_edge_litert``, else the one that TensorFlow still has.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes, optional
        What is to be run instead of what the file has.

    Raises
    ------
    MissingDependencyError
        If neither is there.
    """
    module: runtime.Live
    try:
        module = library("ai_edge_litert.interpreter", "running a TFLite file", _LITERT)
    except errors.MissingDependencyError:
        module = getattr(runtime.tensorflow(), "lite", None)
        if not hasattr(module, "Interpreter"):
            raise
    with warnings.catch_warnings():
        # TensorFlow announces that its own will go.
        warnings.simplefilter("ignore", UserWarning)
        source = {"model_path": str(path)} if content is None else {"model_content": content}
        return module.Interpreter(**source)

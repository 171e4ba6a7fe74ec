"""The bytes of files that hold arrays, as NumPy writes them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def npy(value: Any, **options: Any) -> bytes:
    """Return a `.npy` file's content."""
    buffer = io.BytesIO()
    np.save(buffer, value, **options)
    return buffer.getvalue()

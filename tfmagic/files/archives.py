"""Zip archives that may be damaged, or made so that whoever unpacks them stumbles.

Not for: what the members of an archive mean (:mod:`tfmagic.files.keras.archive`, :mod:`tfmagic.files.tflite.metadata`).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import Final

try:
    import lzma
except ImportError:  # Python can be built without it
    _UNPACKING: tuple[type[Exception], ...] = (zlib.error,)
else:
    _UNPACKING = (zlib.error, lzma.LZMAError)

#: What zipfile and the libraries that it unpacks with raise for a damaged archive, by where the damage lies.
DAMAGE: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile, struct.error, EOFError, NotImplementedError, ValueError, OverflowError, RuntimeError, OSError,
    *_UNPACKING,
)  # fmt: skip

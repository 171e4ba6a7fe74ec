"""The fingerprint of a model's weights: the set of dtype, shape and CRC-32C of what it stores, without names.

A checkpoint's index has the checksums, so no shard is read, and copies and re-exports are found whatever renamed them.
Text, of which the object graph is one, and counters of steps are no weights. Not for: telling which weight differs
(:mod:`tfmagic.verbs.diff`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import crc32c
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.graphs import constants, fingerprints
from tfmagic.models.form import Part
from tfmagic.models.variable_values import VariableValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint
    from tfmagic.frames import Shape
    from tfmagic.models.model import Model

#: What a Keras file keeps for its optimizer, which an export leaves behind.
_OPTIMIZER = "optimizer/"


def fingerprint(model: Model, *, reads_values: bool) -> str | None:
    """Return the fingerprint, None where there are no weights, or no checksums and values are not to be read.

    Parameters
    ----------
    model : Model
        What was read of a file.
    reads_values : bool
        Whether values are read, all of them, where no checksums are stored.
    """
    files = model.checkpoint_files()
    opened = files.opened if files is not None and files.tables else None
    if opened is not None and opened.version == "V2":
        stored = set(_stored(opened))
    elif reads_values and model.is_at_hand(Part.VARIABLES):
        stored = set(_read(model, opened))
    else:
        return None
    return fingerprints.of_parts(sorted(stored)) if stored else None


def _stored(opened: Checkpoint) -> Iterator[str]:
    """Yield what the index says of each tensor, of a tensor in pieces of each of them."""
    for entry in (*opened.entries.values(), *opened.pieces.values()):
        if not entry.slices and _is_weight(entry.dtype, entry.shape):
            yield _text(entry.dtype, entry.shape, entry.crc32c)


def _read(model: Model, opened: Checkpoint | None) -> Iterator[str]:
    """Yield what an index would say of each variable."""
    values = VariableValues(model)
    for row in model.variable_rows():
        if row.name.startswith(_OPTIMIZER) or not _is_weight(row.dtype, row.shape):
            continue
        blocks = [opened.read(row.name)] if opened is not None else values.of(row).blocks()
        dtype = tensor_values.numpy_dtype(row.dtype)
        checksum = 0
        for block in blocks:
            stored = np.ascontiguousarray(block, dtype=dtype)
            checksum = crc32c.checksum(stored.reshape(-1).view(np.uint8).data, checksum)
        yield _text(row.dtype, row.shape, crc32c.masked(checksum))


def _is_weight(dtype: str, shape: Shape) -> bool:
    return dtype != "string" and (constants.is_of_weights(dtype) or bool(shape))


def _text(dtype: str, shape: Shape, checksum: int) -> str:
    return f"{dtype} {shape} {checksum:08x}"

"""The variables of one of two models that are compared, by name, and digests of their values.

Not for: comparing values (:mod:`tfmagic.verbs.differences.weight_values`).
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.graphs import node_descriptions
from tfmagic.models.model import Part
from tfmagic.models.variable_values import VariableValues, comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.frames import Shape, VariableRow
    from tfmagic.graphs.node_descriptions import Attributes
    from tfmagic.models.model import Model
    from tfmagic.models.value_blocks import Array, Values

#: Kinds of numpy dtypes in which text comes.
_TEXT_KINDS = frozenset("OS")


class Side:
    """One model's variables, by name."""

    def __init__(self, model: Model) -> None:
        rows: Sequence[VariableRow] = model.part(Part.VARIABLES)
        self.rows = {row.name: row for row in rows}
        self.has_layers = Part.KERAS in model.parts
        self._values = VariableValues(model)
        self._digests: dict[str, str] = {}

    def values(self, row: VariableRow) -> Values:
        """Return the values of a variable as they are stored."""
        return self._values.as_stored(row)

    def of_value(self, attributes: Attributes) -> VariableRow | None:
        """Take away a variable that holds what a constant holds, for one whose node does not say its name."""
        kind = attributes[:-1]
        for row in list(self.rows.values()):
            if (("dtype", row.dtype), ("shape", str(row.shape))) == kind:
                with contextlib.suppress(errors.TfMagicError):
                    if node_descriptions.of_value(row.dtype, whole(self.values(row), row)) == attributes:
                        return self.rows.pop(row.name)
        return None

    def digest(self, row: VariableRow) -> str:
        """Return a digest of the values, of what cannot be read one that no other has."""
        if row.name not in self._digests:
            self._digests[row.name] = self._digest(row)
        return self._digests[row.name]

    def without_copies(self, rows: Sequence[VariableRow]) -> list[VariableRow]:
        """Return what is no copy of another variable: a Keras export holds each weight under two keys."""
        spare = {row.name for row in rows}
        kinds = {kind_of(row) for row in rows}
        kept = [row for row in self.rows.values() if row.name not in spare and kind_of(row) in kinds]
        digests = {(kind_of(row), self.digest(row)) for row in kept}
        return [row for row in rows if (kind_of(row), self.digest(row)) not in digests]

    def _digest(self, row: VariableRow) -> str:
        digest = hashlib.blake2b(digest_size=16)
        try:
            for block in self.values(row).blocks():
                digest.update(_content(comparable(block, row.dtype)))
        except errors.TfMagicError:
            return f"unread {id(self)} {row.name}"
        return digest.hexdigest()


def _content(values: Array) -> bytes:
    """Return bytes that are the same for the same values."""
    if values.dtype.kind not in _TEXT_KINDS:
        return np.ascontiguousarray(values).tobytes()
    texts = list(map(bytes, values.tolist()))
    return b"".join([*(len(text).to_bytes(8, "little") for text in texts), *texts])


def kind_of(row: VariableRow) -> tuple[str, Shape]:
    """Return what two variables must share to be compared."""
    return row.dtype, row.shape


def whole(values: Values, row: VariableRow) -> Array:
    """Return all values of a variable as one array."""
    blocks = [comparable(block, row.dtype).reshape(-1) for block in values.blocks()]
    return np.concatenate(blocks).reshape(tuple(size or 0 for size in row.shape or ()))

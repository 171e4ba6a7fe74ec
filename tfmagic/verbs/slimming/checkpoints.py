"""Slim a checkpoint: without the state of optimizers, and with equal values in one place.

Not for: which values these are (:mod:`tfmagic.verbs.slimming.stored_values`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files.checkpoints import tensor_bundle
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.verbs.conversion.job import NOT_ASKED
from tfmagic.verbs.slimming import copy_checks
from tfmagic.verbs.slimming.stored_values import StoredValues
from tfmagic.verbs.verification.comparison import Comparison
from tfmagic.verbs.verification.outcome import Verification

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.checkpoints.range_copies import RangeCopy
    from tfmagic.models.model import Model
    from tfmagic.verbs.slimming.shares import Share


@dataclass(frozen=True)
class CheckpointSlim:
    """A checkpoint, and what a copy of it is without.

    Attributes
    ----------
    model : Model
        The source.
    retained : frozenset of str
        Kinds that stay.
    """

    model: Model
    retained: frozenset[str]
    notes: tuple[str, ...] = ()

    @cached_property
    def values(self) -> StoredValues:
        """The values, and what becomes of them."""
        files = None if self.model.checkpoint is None else self.model.checkpoint()
        if files is None:
            raise errors.CorruptSourceError(f"{self.model.origin!r} is no checkpoint any more; give its path once more")
        files = files.checked()
        checkpoint = tensor_bundle.open_checkpoint(files.prefix, files.tables)
        return StoredValues(checkpoint, checkpoint.names, self.retained)

    def shares(self) -> Iterator[Share]:
        """Yield what takes its bytes."""
        return self.values.shares()

    @property
    def bytes_before(self) -> int:
        """What its files take."""
        return self.values.bytes

    @cached_property
    def _copy(self) -> RangeCopy:
        return self.values.copy()

    @property
    def size(self) -> int | None:
        """What a copy takes; None where there can be none."""
        return None if self.values.checkpoint.version == "V1" or self.values.checkpoint.notes else self._copy.size

    def write(self, place: Path, *, overwrite: bool, check: bool | None) -> tuple[dict[str, Verification], list[str]]:
        """Write the copy, and hold each value against the source's, byte by byte."""
        staging = checkpoint_writing.Staging(place, overwrite=overwrite, size=self._copy.size)
        with staging as staged:
            self._copy.write(staged)
            verification = self._verified(staged, check=check)
            copy_checks.require_good({"": verification}, place, check=check)
            self.model.require_unchanged()
        return {"": verification}, staging.notes

    def _verified(self, staged: Path, *, check: bool | None) -> Verification:
        if check is False:
            return Verification(Comparison(), NOT_ASKED)
        names = self.values.names
        rows = [
            (names.get(key, key), np.nan if differs else 0.0, np.nan if differs else 0.0, not differs)
            for key, differs in self._copy.differing(staged)
            if key in self.values.checkpoint.entries
        ]
        return Verification(Comparison(rows))

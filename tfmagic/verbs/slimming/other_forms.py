"""Where the bytes of a form go of which slim makes no copy: Keras files, TFLite, a ``.meta``, live models.

Not for: forms that are copied.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from tfmagic import errors
from tfmagic.files.checkpoints import tensor_bundle
from tfmagic.models.model import Part
from tfmagic.transforms.slim_graph import GraphUse
from tfmagic.transforms.slim_message import Reduction
from tfmagic.verbs.slimming import message_shares
from tfmagic.verbs.slimming.shares import Share, by_layer
from tfmagic.verbs.slimming.stored_values import StoredValues

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.frames import VariableRow
    from tfmagic.models.model import Model

#: How the names of an optimizer's and a metric's state begin in a Keras file.
_OPTIMIZER, _METRICS = ("optimizer/", "optimizer_weights/"), ("metrics/", "_metrics/")
#: Values that unpack to so many times their file are not read only to be compared.
_MOST_GROWTH = 8


@dataclass(frozen=True)
class OtherForm:
    """A model of which slim gives the table only.

    Attributes
    ----------
    model : Model
        The source.
    retained : frozenset of str
        Kinds that would stay.
    """

    model: Model
    retained: frozenset[str]
    size: int | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def _shares(self) -> list[Share]:
        if self.model.reader.message and Part.GRAPH in self.model.loaders:
            return list(self._of_meta_graph())
        return list(self._of_variables())

    def shares(self) -> Iterator[Share]:
        """Yield what takes its bytes."""
        return iter(self._shares)

    @property
    def bytes_before(self) -> int:
        """What it takes."""
        return sum(share.bytes for share in self._shares)

    def write(self, place: Path, *, overwrite: bool, check: bool | None) -> NoReturn:
        """Refuse."""
        del overwrite, check
        raise errors.UnsupportedConversionError(
            self.model.form,
            str(place),
            (),
            f"slim copies SavedModels, checkpoints and files with a GraphDef, and gives the table alone of this; "
            f"{self.model.reader.smaller}",
        )

    def _of_meta_graph(self) -> Iterator[Share]:
        """Yield what the graph takes, and the checkpoint beside it."""
        (meta_graph,) = self.model.meta_graphs
        use = GraphUse(meta_graph)
        files = None if self.model.checkpoint is None else self.model.checkpoint()
        if files is not None:
            checkpoint = tensor_bundle.open_checkpoint(files.prefix, files.tables)
            slots = frozenset(use.slots)
            yield from StoredValues(checkpoint, checkpoint.names, self.retained, slots=slots).shares()
        yield from message_shares.of(Reduction(use, frozenset(), self.retained), "")

    def _of_variables(self) -> Iterator[Share]:
        """Yield what variables take, those apart that repeat another's values, and the rest of the file."""
        has_rows = Part.VARIABLES in self.model.loaders and not self.model.has_own_ops
        rows: tuple[VariableRow, ...] = self.model.part(Part.VARIABLES) if has_rows else ()
        repeats = self._repeats(rows)
        plain: list[tuple[str, int]] = []
        total = 0
        for row in rows:
            size = row.bytes or 0
            total += size
            if row.name.startswith(_OPTIMIZER):
                yield Share.kept("optimizer", row.name, size, "the state of an optimizer: only training needs it")
            elif row.name.startswith(_METRICS):
                yield Share.kept("unreached", row.name, size, "the state of a metric: only training needs it")
            elif row.name in repeats:
                yield Share.kept("duplicates", row.name, size, f"the same values as {repeats[row.name]!r}")
            else:
                plain.append((row.name, size))
        path = self.model.path
        constants, others = self.model.reader.constant_sizes(path) if path is not None else ([], 0)
        total += sum(size for _, size in constants) + others
        yield from by_layer([*plain, *constants], "the model's own")
        if others:
            yield Share.kept("debug", "metadata", others, "what no tensor has, such as metadata")
        if path is not None and path.is_file():
            why = "the config, names and what else the file has around its values"
            yield Share.kept("graph", path.name, max(0, path.stat().st_size - total), why)

    def _repeats(self, rows: tuple[VariableRow, ...]) -> dict[str, str]:
        """Return, by its name, the variable whose values a variable repeats; values are read block by block."""
        read, path = self.model.values, self.model.path
        if read is None or path is None or not path.is_file():
            return {}
        # What is packed may claim to be any size.
        if sum(row.bytes or 0 for row in rows) > _MOST_GROWTH * path.stat().st_size:
            return {}
        alike: dict[tuple[object, ...], list[VariableRow]] = defaultdict(list)
        for row in rows:
            if row.bytes and row.dtype != "string":
                alike[row.dtype, row.bytes].append(row)
        repeats: dict[str, str] = {}
        for group in alike.values():
            held: dict[bytes, str] = {}
            for row in group if len(group) > 1 else ():
                digest = hashlib.blake2b(digest_size=32)
                try:
                    for block in read(row).blocks():
                        digest.update(block.tobytes())
                except (errors.TfMagicError, ImportError):
                    continue
                original = held.setdefault(digest.digest(), row.name)
                if original != row.name:
                    repeats[row.name] = original
        return repeats

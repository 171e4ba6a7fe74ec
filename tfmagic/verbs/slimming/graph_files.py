"""Slim a file with a GraphDef: without what its outputs do not need.

It has no signature, so what counts are the ends that are proposed for it. Not for: the edit
(:mod:`tfmagic.transforms.slim_message`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic import errors, readers
from tfmagic.files import early_writing, message_files, protos, reading, writing
from tfmagic.graphs.signatures import Endpoint
from tfmagic.graphs.tensor_names import node_of
from tfmagic.models.model import Part
from tfmagic.transforms.slim_graph import GraphUse
from tfmagic.transforms.slim_message import Reduction
from tfmagic.verbs.conversion.checks import Source
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.slimming import copy_checks, message_shares
from tfmagic.verbs.slimming.shares import Share

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.models.model import Model
    from tfmagic.transforms.slim_message import Piece
    from tfmagic.verbs.verification.outcome import Verification

_SUFFIXES = (".pb", ".pbtxt")


@dataclass(frozen=True)
class GraphSlim:
    """A GraphDef in a file, and what a copy of it is without.

    Attributes
    ----------
    model : Model
        The source.
    file : Path
        The file.
    retained : frozenset of str
        Kinds that stay.
    """

    model: Model
    file: Path
    retained: frozenset[str]

    @cached_property
    def reduction(self) -> Reduction:
        """The graph, and what becomes of it."""
        (meta_graph,) = self.model.meta_graphs
        ends = (*self.model.ends.inputs, *self.model.ends.outputs) if self.model.ends.outputs else ()
        keeps_functions = "functions" in self.retained
        return Reduction(GraphUse(meta_graph, ends=ends, keeps_functions=keeps_functions), frozenset(), self.retained)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the copy."""
        outputs = self.model.ends.outputs
        return (f"needed is what the proposed outputs need: {errors.listed(outputs)}",) if outputs else ()

    def shares(self) -> Iterator[Share]:
        """Yield what takes its bytes."""
        yield from message_shares.of(self.reduction, "")
        rest = self.bytes_before - self.reduction.weights.total
        if rest > 0:
            yield Share.kept("graph", self.file.name, rest, "what text takes more than the message")

    @property
    def bytes_before(self) -> int:
        """What the file takes."""
        return self.file.stat().st_size

    @cached_property
    def _pieces(self) -> list[Piece]:
        if self.reduction.is_due:
            return self.reduction.graph_pieces()
        meta_graph = self.reduction.use.meta_graph
        return [meta_graph.buffer.data[meta_graph.start : meta_graph.end]]

    def _content(self, *, as_text: bool) -> list[Piece]:
        if not as_text:
            return self._pieces
        return [protos.to_text(protos.parse("GraphDef", b"".join(self._pieces))).encode()]

    @property
    def is_text(self) -> bool:
        """Whether the file is text."""
        with reading.opened(self.file) as file:
            head = file.read(message_files.HEAD_BYTES)
        return message_files.message_in_text(reading.head_of(head, message_files.HEAD_BYTES)) is not None

    @property
    def size(self) -> int:
        """What a copy takes."""
        return sum(map(len, self._content(as_text=self.is_text)))

    def write(self, place: Path, *, overwrite: bool, check: bool | None) -> tuple[dict[str, Verification], list[str]]:
        """Write the copy, and run it and the source on the same inputs."""
        if place.suffix not in _SUFFIXES:
            raise errors.ConversionError(
                f"slim copies a graph as one, and {str(place)!r} is no name for it; give one that ends in "
                f"{errors.listed(_SUFFIXES)}"
            )
        content = self._content(as_text=place.suffix == ".pbtxt")
        staging = writing.Staging(place, overwrite=overwrite, size=sum(map(len, content)))
        with staging as staged:
            with early_writing.opened(staged) as file:
                file.writelines(content)
            verifications = self._verified(staged, check=check)
            copy_checks.require_good(verifications, place, check=check)
            self.model.require_unchanged()
        return verifications, [*self.notes, *staging.notes]

    def _verified(self, staged: Path, *, check: bool | None) -> dict[str, Verification]:
        """Run source and copy between the same ends."""
        ends = self.model.ends
        if not ends.outputs:
            return {}

        def load(_key: str) -> NamedFunction:
            part = readers.read(staged, trust=True).part(Part.FUNCTION)
            function: NamedFunction = part(None, inputs=list(ends.inputs), outputs=list(ends.outputs))
            return function

        stated = copy_checks.Ends(
            *(tuple(Endpoint(node_of(each), each, "", None) for each in side) for side in ends[:2])
        )
        source = Source(self.model, Wish(), {"": stated}, {})
        return dict(copy_checks.compared(source, load, check=check))
